"""Rendering: pictures of any size from a generator, tile by tile, and the files they go to."""

import lazy_loader

# Public names are listed in __init__.pyi; their modules are imported on first use.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
