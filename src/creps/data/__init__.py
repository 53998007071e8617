"""Pictures: image folders, ZIP files and tar shards, training patches, and sets drawn here.

Names are imported when they are first used: reading pictures needs no torch, and no part of the
portraits.
"""

import lazy_loader

# What is public stands in __init__.pyi; a name's module is imported when it is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
