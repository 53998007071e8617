from ._blends import (
    Gradient,
    Mask,
    Radial,
    Stripes,
    StyleBlend,
    StyleField,
    load_mask,
    panorama,
    parse_blend,
)
from ._evaluations import Evaluations
from ._foveated import FoveatedPainter, sampling_pattern
from ._latents import Latent
from ._painter import Painter, Picture, TileSource, to_uint8
from ._provenance import made_by, provenance
from ._renderer import Renderer, render, render_tiles
from ._sheets import Panel, captioned_sheet, contact_sheet, sheet_size
from ._styles import (
    Recipe,
    SeedPath,
    StyleFile,
    Walk,
    latents,
    mix_styles,
    parse_recipes,
    parse_styles,
    save_styles,
    slerp,
    styles_of,
)
from ._tiles import Tile
from ._view import View, view_window
from .arrays._picture import VirtualLevel, VirtualPicture
from .output._images import read_settings
from .output._save import Outcome, Tiles, refuse_target, save_picture, unfinished
from .output._shards import Shard, parse_shard, shard_from_environment

__all__ = [
    "Evaluations",
    "FoveatedPainter",
    "Gradient",
    "Latent",
    "Mask",
    "Outcome",
    "Painter",
    "Panel",
    "Picture",
    "Radial",
    "Recipe",
    "Renderer",
    "SeedPath",
    "Shard",
    "Stripes",
    "StyleBlend",
    "StyleField",
    "StyleFile",
    "Tile",
    "TileSource",
    "Tiles",
    "View",
    "VirtualLevel",
    "VirtualPicture",
    "Walk",
    "captioned_sheet",
    "contact_sheet",
    "latents",
    "load_mask",
    "made_by",
    "mix_styles",
    "panorama",
    "parse_blend",
    "parse_recipes",
    "parse_shard",
    "parse_styles",
    "provenance",
    "read_settings",
    "refuse_target",
    "render",
    "render_tiles",
    "sampling_pattern",
    "save_picture",
    "save_styles",
    "shard_from_environment",
    "sheet_size",
    "slerp",
    "styles_of",
    "to_uint8",
    "unfinished",
    "view_window",
]
