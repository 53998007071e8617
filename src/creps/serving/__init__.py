"""Pictures over HTTP: IIIF, Deep Zoom and an endless plane of tiles; a viewer; static sites."""

import lazy_loader

# What is public stands in __init__.pyi; a name's module is imported when it is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
