"""Pictures: image folders, ZIP files and tar shards, training patches, and sets drawn here.

Names are imported when they are first used: reading pictures needs no torch, and no part of the
portraits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from creps._lazy import attach

if TYPE_CHECKING:
    from creps.data._batches import Batch
    from creps.data._checking import Report, check
    from creps.data._earth import read_places, write_earth
    from creps.data._framing import fit, read_picture, square
    from creps.data._native_patches import NativePatches, Scales, load_patches, patch_batch
    from creps.data._sources import ImageSource, open_images
    from creps.data.portraits._drawing import portrait, write_portraits
    from creps.data.portraits._styles import portrait_svg
else:
    __getattr__, __dir__ = attach(__name__, __file__)

__all__ = [
    "Batch",
    "ImageSource",
    "NativePatches",
    "Report",
    "Scales",
    "check",
    "fit",
    "load_patches",
    "open_images",
    "patch_batch",
    "portrait",
    "portrait_svg",
    "read_picture",
    "read_places",
    "square",
    "write_earth",
    "write_portraits",
]
