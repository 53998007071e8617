"""Seeing: pictures of any size from a generator, tile by tile, and the files they go to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from creps._lazy import attach

if TYPE_CHECKING:
    from creps.rendering._blends import (
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
    from creps.rendering._foveated import FoveatedPainter, sampling_pattern
    from creps.rendering._latents import Latent
    from creps.rendering._painter import Painter, Picture, TileSource, to_uint8
    from creps.rendering._provenance import made_by, provenance
    from creps.rendering._renderer import Renderer, render, render_tiles
    from creps.rendering._sheets import Panel, captioned_sheet, contact_sheet, sheet_size
    from creps.rendering._styles import (
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
    from creps.rendering._tiles import Tile
    from creps.rendering._view import View, view_window
    from creps.rendering.output._images import read_settings
    from creps.rendering.output._save import (
        Outcome,
        Tiles,
        refuse_target,
        save_picture,
        unfinished,
    )
    from creps.rendering.output._shards import Shard, parse_shard, shard_from_environment
else:
    __getattr__, __dir__ = attach(__name__, __file__)

__all__ = [
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
