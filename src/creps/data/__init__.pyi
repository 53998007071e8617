from ._batches import Batch
from ._checking import Report, check
from ._earth import read_places, write_earth
from ._framing import fit, read_picture, square
from ._native_patches import NativePatches, Scales, load_patches, patch_batch
from ._sources import ImageSource, open_images
from ._textures import Textures, load_textures
from .portraits._drawing import portrait, write_portraits
from .portraits._styles import portrait_svg
from .portraits._truth import PortraitTruth, portrait_truth

__all__ = [
    "Batch",
    "ImageSource",
    "NativePatches",
    "PortraitTruth",
    "Report",
    "Scales",
    "Textures",
    "check",
    "fit",
    "load_patches",
    "load_textures",
    "open_images",
    "patch_batch",
    "portrait",
    "portrait_svg",
    "portrait_truth",
    "read_picture",
    "read_places",
    "square",
    "write_earth",
    "write_portraits",
]
