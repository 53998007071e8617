"""Pictures: image folders, ZIP files and tar shards, training patches, and sets drawn here.

Names are imported when they are first used: reading pictures needs no torch, and no part of the
portraits.
"""

import lazy_loader

# Public names are listed in __init__.pyi; their modules are imported on first use.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
