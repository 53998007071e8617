"""`creps render`: one picture of any size, view and shape, which goes on after a stop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from creps.cli._images import Fovea, Job, write_job
from creps.cli._options import (
    CHANGE,
    MAKING,
    PICTURE,
    ComputeDevice,
    Cutoff,
    Dpi,
    Dtype,
    Exact,
    Label,
    Model,
    Pan,
    Size,
    Supersample,
    Truncation,
    View,
    WindowOption,
    Zoom,
    parse_point,
    parse_supersample,
)
from creps.errors import UsageError

if TYPE_CHECKING:
    from creps.rendering._styles import FileRecipe, Recipe

DEFAULT_SEED = 7

Out = Annotated[
    Path, typer.Option(help="Picture to write: .png, .jpg, .webp, .tif, .dzi or .zarr.")
]
Seed = Annotated[
    int | None,
    typer.Option(help="Which picture.", show_default=f"{DEFAULT_SEED}", rich_help_panel=PICTURE),
]
Styles = Annotated[
    str | None,
    typer.Option(
        help="Instead of a seed: 7..12@0.4, between two; 7+12:4-8, layers 4 to 8 from another; "
        "7/12/3, several for --blend; FILE.safetensors, found by creps project.",
        rich_help_panel=PICTURE,
    ),
]
WarpWords = Annotated[
    str | None,
    typer.Option(
        help="rotate:30, barrel:0.2, polar, map:FILE.npy ...; several as rotate:30+barrel:0.2.",
        rich_help_panel=CHANGE,
    ),
]
BlendWords = Annotated[
    str | None,
    typer.Option(
        help="How several styles share the picture: gradient:90, radial, stripes, mask:FILE, "
        "panorama, or ring: a panorama without a seam.",
        rich_help_panel=CHANGE,
    ),
]
FoveatedShare = Annotated[
    float | None,
    typer.Option(
        help="Evaluate this share of the pixels, most of them where one looks, and fill in the "
        "others: 0.25.",
        rich_help_panel=CHANGE,
    ),
]
Gaze = Annotated[
    str | None,
    typer.Option(
        help="Y,X that one looks at.",
        show_default="the middle of the picture",
        rich_help_panel=CHANGE,
    ),
]
ShardWords = Annotated[
    str | None,
    typer.Option(
        help="Make a share only: 2/8 is the second of eight, on any machine that sees OUT.",
        show_default="all; under torchrun the share of the process",
        rich_help_panel=MAKING,
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace a file or unfinished work that is there.",
        rich_help_panel=MAKING,
    ),
]


def render(
    out: Out,
    model: Model = "portraits",
    seed: Seed = None,
    styles: Styles = None,
    truncation: Truncation = 1.0,
    cutoff: Cutoff = None,
    label: Label = None,
    size: Size = None,
    dpi: Dpi = None,
    zoom: Zoom = None,
    pan: Pan = None,
    window: WindowOption = None,
    warp: WarpWords = None,
    blend: BlendWords = None,
    supersample: Supersample = "1",
    foveated: FoveatedShare = None,
    gaze: Gaze = None,
    shard: ShardWords = None,
    overwrite: Overwrite = False,
    device: ComputeDevice = None,
    dtype: Dtype = None,
    exact: Exact = False,
) -> None:
    """Make one picture of any size, in bounded memory.

    Large pictures, and all TIFF, Deep Zoom and Zarr ones, wait in OUT.part until they are
    whole: after a stop or a crash, the same command goes on.

    \b
    creps render --size 1024 --out seven.png
    creps render --size 16384 --out big.tif
    creps render --size 30x40cm --dpi 300 --out print.tif
    creps render --size 512 --zoom 8 --pan 0.58,0.38 --out eye.png
    creps render --size 1024 --warp rotate:30 --out turned.webp
    creps render --size 512 --styles 7/12/3 --blend panorama --out wide.jpg

    docs/rendering.md tells more.
    """
    from creps.rendering._blends import parse_blend
    from creps.rendering.output._shards import parse_shard, shard_from_environment
    from creps.rendering.warps import parse_warp

    if gaze is not None and foveated is None:
        raise UsageError("--gaze is for foveated pictures: give a share too, --foveated 0.25")
    recipes, blending = _parse_source(seed, styles), None if blend is None else parse_blend(blend)
    across = 1 if blending is None else blending.across(len(recipes))
    write_job(
        Job(
            model=model,
            out=out,
            view=View(size=size, dpi=dpi, zoom=zoom, pan=pan, window=window, across=across),
            truncation=truncation,
            cutoff=cutoff,
            label=label,
            recipes=recipes,
            blend=blending,
            warp=None if warp is None else parse_warp(warp),
            fovea=None
            if foveated is None
            else Fovea(share=foveated, gaze=None if gaze is None else parse_point(gaze, "gaze")),
            supersample=parse_supersample(supersample),
            shard=shard_from_environment() if shard is None else parse_shard(shard),
            overwrite=overwrite,
            device=device,
            dtype=dtype,
            exact=exact,
        )
    )


def _parse_source(seed: int | None, styles: str | None) -> tuple[Recipe | FileRecipe, ...]:
    """What `--seed` or `--styles` asks for."""
    from creps.rendering._styles import FileRecipe, Recipe, Walk, parse_recipes

    if styles is None:
        return (Recipe(Walk((DEFAULT_SEED if seed is None else seed,))),)
    if seed is not None:
        raise UsageError("--seed and --styles given: expected one of them")
    recipes = parse_recipes(styles)
    for recipe in recipes:
        if isinstance(recipe, FileRecipe):
            recipe.base.read()  # refused here, before the model is looked for
    return recipes
