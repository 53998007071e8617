"""Pictures: image folders and ZIP files, drawn portraits, and training patches.

The names here need no torch; training patches, which do, live in `creps.data.patches`.
"""

from creps.data.portraits import portrait, portrait_svg, write_portraits
from creps.data.sources import ImageSource, open_images, square

__all__ = [
    "ImageSource",
    "open_images",
    "portrait",
    "portrait_svg",
    "square",
    "write_portraits",
]
