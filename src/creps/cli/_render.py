"""`creps render`: one picture of any size, view and shape; resumes after a stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import typer

from creps._urls import is_url, shown
from creps.cli._options import (
    CHANGE,
    MAKING,
    PICTURE,
    VIEW,
    Exact,
    Overwrite,
    PictureOptions,
    parse_depth,
    parse_tile,
    takes,
)
from creps.cli._progress import report, resumable
from creps.errors import MissingExtraError, UsageError
from creps.rendering._words import parse_point

if TYPE_CHECKING:
    from creps.networks.base import Generator
    from creps.rendering import Latent, Outcome, Renderer, Shard, TileSource, View

STARTED = time.time()
"""When this process began, near enough: before torch is imported."""

DEFAULT_SEED = 7

Out = Annotated[
    str,
    typer.Option(
        help="Picture to write: .png, .jpg, .webp, .tif, .dzi or .zarr; a .zarr also by URL, "
        "s3://BUCKET/NAME.zarr."
    ),
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
        help="Y,X where details matter.",
        show_default="the middle of the picture",
        rich_help_panel=CHANGE,
    ),
]
TileWords = Annotated[
    str | None,
    typer.Option(
        "--tile",
        metavar="DOWNxACROSS",
        help="Whole periods of a model that repeats: 2x3; a size of one number is the height.",
        show_default="a part of the plane",
        rich_help_panel=VIEW,
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

Cluster = Annotated[
    str | None,
    typer.Option(
        "--dask",
        metavar="ADDRESS",
        help="Draw a .zarr on the dask cluster of this scheduler, tcp://HOST:8786; OUT is a folder "
        "that its workers see, or a URL.",
        show_default="this machine",
        rich_help_panel=MAKING,
    ),
]

PackedWords = Annotated[
    str | None,
    typer.Option(
        "--compression",
        help="Lossless, by name and level: of .tif deflate, zstd, lzw or none; of .zarr zstd, lz4 "
        "or none; of .png deflate or none; zstd:9 is smaller, zstd:1 faster.",
        show_default="deflate:6; of .zarr zstd:5",
        rich_help_panel=MAKING,
    ),
]


DepthWords = Annotated[
    str,
    typer.Option(
        "--depth",
        help="Bits a channel, 8 or 16: 16 of .png, .tif and .zarr, for large prints without bands.",
        rich_help_panel=MAKING,
    ),
]
Dither = Annotated[
    bool,
    typer.Option(
        "--dither",
        help="Hide the bands of 8 bits under fine grain.",
        rich_help_panel=MAKING,
    ),
]


ALL_MAPS = "all"
"""Asks for every map of a material, a file each."""
MapName = Annotated[
    str | None,
    typer.Option(
        "--map",
        metavar="NAME",
        help="Of a material: albedo, normal, height or roughness; or all: OUT is a folder of "
        "16-bit PNG files with these names.",
        show_default="albedo",
        rich_help_panel=VIEW,
    ),
]


class Saving(TypedDict):
    """How the file is written, as `save_picture` takes it."""

    shard: Shard | None
    overwrite: bool
    compression: str | None


@takes(PictureOptions)
def render(
    picture: PictureOptions,
    *,
    out: Out,
    seed: Seed = None,
    styles: Styles = None,
    tile: TileWords = None,
    map_name: MapName = None,
    warp: WarpWords = None,
    blend: BlendWords = None,
    foveated: FoveatedShare = None,
    gaze: Gaze = None,
    shard: ShardWords = None,
    dask: Cluster = None,
    compression: PackedWords = None,
    depth: DepthWords = "8",
    dither: Dither = False,
    overwrite: Overwrite = False,
    exact: Exact = False,
) -> None:
    """Make one picture of any size, in bounded memory.

    Large pictures, and all TIFF, Deep Zoom and Zarr ones, wait in OUT.part until they are
    whole: after a stop or a crash, the same command resumes. See docs/rendering.md.

    \b
    creps render --size 1024 --out seven.png
    creps render --size 16384 --out big.tif
    creps render --size 30x40cm --dpi 300 --out print.tif
    creps render --size 512 --zoom 8 --pan 0.58,0.38 --out eye.png
    creps render --size 1024 --warp rotate:30 --out turned.webp
    creps render --model wall/model --size 2048 --tile 2x3 --out wall.png
    creps render --model wall/model --size 2048 --tile 1 --map all --out wall
    creps render --size 512 --styles 7/12/3 --blend panorama --out wide.jpg
    """
    from creps.rendering import refuse_target, save_picture

    started = time.perf_counter()
    if seed is not None and styles is not None:
        raise UsageError("--seed and --styles given: expected one of them")
    given = {"--tile": tile, "--blend": blend, "--foveated": foveated, "--gaze": gaze}
    given |= {"--warp": warp, "--exact": exact or None, "--shard": shard, "--dask": dask}
    given |= {"--map": map_name, "--depth": depth if depth != "8" else None}
    _refuse_combinations(given, picture)
    seed = DEFAULT_SEED if seed is None and styles is None else seed
    latent = picture.latent(seed=seed, styles=styles, blend=blend)
    picture.announce(across=latent.across)
    view = picture.view(
        across=latent.across,
        tile=None if tile is None else parse_tile(tile),
        warp=warp,
        exact=exact,
        depth=16 if map_name == ALL_MAPS else parse_depth(depth),
        dither=dither,
        map_name="" if map_name in (None, ALL_MAPS) else str(map_name),
    )
    look = None if gaze is None else parse_point(gaze, "gaze")
    share = _share(shard, dask)
    height, width = view.pixels or (1, 1)
    saving = Saving(shard=share, overwrite=overwrite, compression=compression)
    kind: Any = {"depth": view.depth, "shard": share, "compression": compression}
    refuse_target(_first(out, map_name), height=height, width=width, **kind)  # it may be this one
    strange = _files_of(latent)
    from creps.checkpoints import load

    generator = load(picture.model)
    _note_other_weights(strange, generator, picture.model)
    renderer = picture.renderer(generator, latent)
    files = _map_files(generator, view, out) if map_name == ALL_MAPS else {out: view}
    for place, seen in files.items():
        painter = renderer.painter(seen)
        picture.say_beyond(painter, warp=warp)
        source: TileSource = painter
        if foveated is not None:
            source = renderer.foveated(seen, share=foveated, gaze=look)
        here = partial(save_picture, source, place, started=STARTED, **saving)
        write = here if dask is None else _on_cluster(dask, renderer, seen, place, saving)
        outcome = _save(write, place, _settings(picture), shard=share)
        typer.echo(_result(source, place, outcome, share) + _work(renderer, started))


def _settings(picture: PictureOptions) -> dict[str, object]:
    """What a file says beside how its pixels were made."""
    return {"model": shown(picture.model), "dpi": picture.density}


def _work(renderer: Renderer, started: float) -> str:
    """How many of the pixels so far were evaluated, and the time it took, after commas."""
    evaluated = f", {renderer.evaluations}" if renderer.evaluations.painted else ""
    return f"{evaluated}, {time.perf_counter() - started:.1f} s"


def _first(out: str, map_name: str | None) -> str:
    """The first file that is written."""
    return _map_file(out, "albedo") if map_name == ALL_MAPS else out


def _map_file(folder: str, name: str) -> str:
    """The file of a map of a material."""
    if is_url(folder):
        raise UsageError(f"--map {ALL_MAPS} writes files, not to {shown(folder)}: give a folder")
    if Path(folder).suffix or Path(folder).is_file():
        raise UsageError(f"--map {ALL_MAPS} writes files into a folder: {folder} names a file")
    return str(Path(folder) / f"{name}.png")


def _map_files(generator: Generator, view: View, folder: str) -> dict[str, View]:
    """What is seen in each file of a material."""
    names = generator.config.map_names
    if not names:
        raise UsageError(
            "pictures of this model have colors alone: train one with creps train --tile "
            "--channels normal=FOLDER"
        )
    return {_map_file(folder, name): replace(view, map=name) for name in ("albedo", *names)}


def _share(words: str | None, cluster: str | None) -> Shard | None:
    """The share of the picture that is made here; None for all of it."""
    from creps.rendering import parse_shard, shard_from_environment

    if words is not None:
        return parse_shard(words)
    return shard_from_environment() if cluster is None else None


def _refuse_combinations(given: Mapping[str, object], picture: PictureOptions) -> None:
    """Raise for options that exclude each other; None is an option that is not given."""

    def wanted(*names: str) -> dict[str, bool]:
        return {name: given[name] is not None for name in names}

    if given["--gaze"] is not None and given["--foveated"] is None:
        raise UsageError("--gaze is for foveated pictures: give a share too, --foveated 0.25")
    fine = {"--dtype": picture.dtype is not None, **wanted("--exact")}
    if given["--tile"] is not None:
        seen = {"--zoom": picture.zoom, "--pan": picture.pan, "--window": picture.window}
        others = {name: value is not None for name, value in seen.items()}
        others |= {"--fit": picture.fit != "whole", **wanted("--blend", "--foveated")}
        _refuse_together("--tile", others, "a tile is whole periods of one picture")
    if given["--map"] is not None:
        others = wanted("--blend", "--foveated", "--dask")
        if given["--map"] == ALL_MAPS:
            others |= wanted("--shard", "--depth")
        _refuse_together("--map", others, "a material is drawn whole, all of it with 16 bits")
    if given["--blend"] is not None:
        reason = "several styles share an unwarped picture, in the model's precision"
        _refuse_together("--blend", {**wanted("--warp"), **fine}, reason)
    if given["--foveated"] is not None:
        finer = {"--supersample": picture.supersample != "1", **wanted("--shard")}
        others = {**wanted("--blend", "--dask", "--warp"), **finer, **fine}
        _refuse_together("--foveated", others, "foveated pictures take neither")
    if given["--dask"] is not None:
        _refuse_together("--dask", wanted("--shard"), "a cluster shares the picture out itself")


def _refuse_together(name: str, others: Mapping[str, object], reason: str) -> None:
    """Raise if an option is given together with others that it excludes."""
    if given := [other for other, value in others.items() if value]:
        raise UsageError(f"{name} and {' and '.join(given)} given: {reason}")


def _files_of(latent: Latent) -> dict[str, object]:
    """The files of styles, and the weights they were found with; refuses other files."""
    files = [recipe.file for recipe in latent.recipes if recipe.file is not None]
    return {str(file): file.read()[1].get("weights") for file in files}


def _note_other_weights(files: dict[str, object], generator: Generator, model: str) -> None:
    """Say which files of styles were found with other weights: the picture is another there."""
    from creps.checkpoints import weights_id

    for file, weights in files.items():
        if weights not in (None, weights_id(generator)):
            typer.echo(
                f"note: {file} was found with other weights than {model} has now, "
                "so this is not the picture it was found for",
                err=True,
            )


def _on_cluster(
    address: str, renderer: Renderer, view: View, out: str, saving: Saving
) -> Callable[..., Outcome]:
    """What draws the picture on a dask cluster."""
    try:
        from creps.rendering.arrays._cluster import save_on_cluster
    except ImportError:
        raise MissingExtraError("a dask cluster", "arrays") from None
    how: Any = {name: saving[name] for name in ("overwrite", "compression")}
    return partial(save_on_cluster, address, renderer, view, out, **how)


def _save(
    write: Callable[..., Outcome],
    out: str,
    settings: Mapping[str, object],
    *,
    shard: Shard | None,
) -> Outcome:
    """Write behind a bar; what stops it is one line that says what is kept."""
    from creps.rendering import unfinished

    with report("rendering") as told:

        def show(done: int, total: int) -> None:
            told(done, total)
            if done == total:
                told.describe("writing")
                if not is_url(out) and shard is None and unfinished(Path(out)).exists():
                    told.say(f"all pixels are rendered, writing {Path(out).name}")

        def kept() -> str | None:
            if is_url(out):
                return f"{told.share:.0%} of the pixels are at {shown(out)}"
            place = unfinished(Path(out))
            return f"{told.share:.0%} of the pixels are in {place}" if place.exists() else None

        with resumable(kept):
            return write(settings=settings, progress=show)


def _result(source: TileSource, out: str, outcome: Outcome, shard: Shard | None) -> str:
    """The outcome as text."""
    size = f"{source.height}x{source.width} pixels"
    if outcome.found:
        return f"{shown(out)} is complete, of the same settings: --overwrite draws it again"
    if is_url(out):
        out = shown(out)
        if outcome.path is not None:
            return f"{out}: {size} in {outcome.chunks} chunks"
    elif outcome.path is not None:
        count = _bytes_in(Path(out))
        amount = f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.1f} kB"
        return f"{out}: {size}, {amount}"
    share = "" if shard is None else f" share {shard} is done,"
    if outcome.missing:
        return f"{out}:{share} {outcome.missing} of {outcome.chunks} chunks are left to others"
    return f"{out}:{share} another process writes the file of {size}"


def _bytes_in(path: Path) -> int:
    """Bytes of a picture that is a file, a folder, or a file with a folder of tiles (.dzi)."""
    places = [path, *path.rglob("*")]
    if path.suffix.lower() == ".dzi":
        places += path.with_name(f"{path.stem}_files").rglob("*")
    return sum(place.stat().st_size for place in places if place.is_file())
