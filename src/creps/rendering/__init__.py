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
    from creps.rendering._renderer import Renderer, render, render_tiles
    from creps.rendering._styles import (
        Recipe,
        SeedPath,
        StyleFile,
        Walk,
        interpolate_w,
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
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "FoveatedPainter": "creps.rendering._foveated",
            "Gradient": "creps.rendering._blends",
            "Latent": "creps.rendering._latents",
            "Mask": "creps.rendering._blends",
            "Painter": "creps.rendering._painter",
            "Picture": "creps.rendering._painter",
            "Radial": "creps.rendering._blends",
            "Recipe": "creps.rendering._styles",
            "Renderer": "creps.rendering._renderer",
            "SeedPath": "creps.rendering._styles",
            "Stripes": "creps.rendering._blends",
            "StyleBlend": "creps.rendering._blends",
            "StyleField": "creps.rendering._blends",
            "StyleFile": "creps.rendering._styles",
            "Tile": "creps.rendering._tiles",
            "TileSource": "creps.rendering._painter",
            "View": "creps.rendering._view",
            "Walk": "creps.rendering._styles",
            "interpolate_w": "creps.rendering._styles",
            "latents": "creps.rendering._styles",
            "load_mask": "creps.rendering._blends",
            "mix_styles": "creps.rendering._styles",
            "panorama": "creps.rendering._blends",
            "parse_blend": "creps.rendering._blends",
            "parse_recipes": "creps.rendering._styles",
            "parse_styles": "creps.rendering._styles",
            "render": "creps.rendering._renderer",
            "render_tiles": "creps.rendering._renderer",
            "sampling_pattern": "creps.rendering._foveated",
            "save_styles": "creps.rendering._styles",
            "slerp": "creps.rendering._styles",
            "styles_of": "creps.rendering._styles",
            "to_uint8": "creps.rendering._painter",
            "view_window": "creps.rendering._view",
        },
    )

__all__ = [
    "FoveatedPainter",
    "Gradient",
    "Latent",
    "Mask",
    "Painter",
    "Picture",
    "Radial",
    "Recipe",
    "Renderer",
    "SeedPath",
    "Stripes",
    "StyleBlend",
    "StyleField",
    "StyleFile",
    "Tile",
    "TileSource",
    "View",
    "Walk",
    "interpolate_w",
    "latents",
    "load_mask",
    "mix_styles",
    "panorama",
    "parse_blend",
    "parse_recipes",
    "parse_styles",
    "render",
    "render_tiles",
    "sampling_pattern",
    "save_styles",
    "slerp",
    "styles_of",
    "to_uint8",
    "view_window",
]
