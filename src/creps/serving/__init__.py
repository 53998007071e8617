"""Pictures over HTTP: IIIF, Deep Zoom and an endless plane of tiles; a viewer; static sites."""

import lazy_loader

# Public names are listed in __init__.pyi; their modules are imported on first use.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
