"""Picture files to arrays: gray, RGB or RGB and alpha, upright, with the colors of sRGB.

The one road by which a stranger's picture comes in: training, checks, projection and masks.
"""

import lazy_loader

# Public names are listed in __init__.pyi; their modules are imported on first use.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
