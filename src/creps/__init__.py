"""creps: any-scale image synthesis.

One trained generator maps a latent and continuous coordinates to color, so the same picture can be
rendered at 256 px or 16,384 px, zoomed or windowed, with the same details.

    >>> import creps
    >>> g = creps.load("portraits")
    >>> picture = creps.render(g, seed=7, size=(768, 1024))
    >>> picture.shape
    (768, 1024, 3)
"""

import lazy_loader

__version__ = "0.1.0"

# Public names are listed in __init__.pyi; their modules are imported on first use.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
