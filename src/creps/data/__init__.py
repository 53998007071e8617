"""Pictures: image folders, ZIP files and tar shards, drawn portraits, and training patches.

The names here need no torch; training patches, which do, live in `creps.data._patches`.
"""

from creps.data._framing import fit, square
from creps.data._sources import ImageSource, open_images
from creps.data.portraits._set import portrait, portrait_svg, write_portraits

__all__ = [
    "ImageSource",
    "fit",
    "open_images",
    "portrait",
    "portrait_svg",
    "square",
    "write_portraits",
]
