"""Pictures: image folders, ZIP files and tar shards, drawn portraits, and training patches.

The names here need no torch; training patches, which do, live in `creps.data.patches`.
"""

from creps.data.framing import fit, square
from creps.data.portraits import portrait, portrait_svg, write_portraits
from creps.data.sources import ImageSource, open_images

__all__ = [
    "ImageSource",
    "fit",
    "open_images",
    "portrait",
    "portrait_svg",
    "square",
    "write_portraits",
]
