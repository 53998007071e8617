"""`creps generate`: pictures of a model, one file a seed."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from creps.cli._options import PICTURE, VIEW, PictureOptions, parse_seeds, takes
from creps.cli._progress import report

REPEATS = (2, 2)
"""Of a picture that closes on itself: a seam would show in the middle."""


class PictureFormat(StrEnum):
    """What `--format` takes; the value is the file suffix."""

    png = "png"
    jpg = "jpg"
    webp = "webp"


@takes(PictureOptions)
def generate(
    picture: PictureOptions,
    *,
    seeds: Annotated[
        str, typer.Option(help="Seeds such as 7, 0-7 or 0-7,12.", rich_help_panel=PICTURE)
    ] = "0-7",
    out: Annotated[Path, typer.Option(help="Folder for the pictures; made if missing.")] = Path(
        "out"
    ),
    kind: Annotated[
        PictureFormat, typer.Option("--format", help="File format of the pictures.")
    ] = PictureFormat.png,
    grid: Annotated[
        bool, typer.Option("--grid", help="Also write all pictures on one sheet: OUT/grid.png.")
    ] = False,
    tile: Annotated[
        bool,
        typer.Option(
            "--tile",
            help="Two by two repeats of models that close on themselves, as train --tile makes.",
            rich_help_panel=VIEW,
        ),
    ] = False,
    tile_edge: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Make pictures of a model: OUT/seed0000.png and so on, replacing files of the same names.

    Each file holds its seed and settings. Equal seeds show the same picture at every size.
    """
    wanted = parse_seeds(seeds)
    latents = [picture.latent(seed=seed) for seed in wanted]
    view = picture.view(tile=REPEATS if tile else None, tile_edge=tile_edge)
    from creps.checkpoints import load
    from creps.rendering import contact_sheet, refuse_target, save_picture, sheet_size
    from creps.rendering._view import refuse_beyond_memory

    started = time.perf_counter()
    generator = load(picture.model)
    canvas = view.canvas(generator)
    height, width = canvas.height, canvas.width
    if grid:
        height, width = sheet_size(len(wanted), height, width)
        refuse_beyond_memory(height, width)
    refuse_target(out / f"picture.{kind.value}", height=height, width=width)
    settings = {"model": picture.model, "dpi": picture.density}
    names = [f"seed{seed:04d}.{kind.value}" for seed in wanted]
    pictures, about = [], {}
    with report("rendering", unit=None) as told:
        for index, (latent, name) in enumerate(zip(latents, names, strict=True)):
            told.describe(f"seed {latent.seed}")
            source = picture.renderer(generator, latent).painter(view)
            if index == 0:  # as all of them
                picture.say_beyond(source)
            progress = told.part(index, len(names))
            about = {**source.about(), **settings}
            if grid:
                pictures.append(source.pixels(progress=progress))
                save_picture(pictures[-1], out / name, settings=about)
            else:
                save_picture(source, out / name, settings=settings, progress=progress)
    if grid:
        names.append(f"grid.{kind.value}")
        about = {"seeds": wanted, **about}
        del about["seed"]
        save_picture(contact_sheet(pictures), out / names[-1], settings=about)
    written = names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]}"
    typer.echo(
        f"{len(names)} file{'s' if len(names) > 1 else ''} in {out}: {written}, "
        f"{canvas.height}x{canvas.width} a picture, {time.perf_counter() - started:.1f} s"
    )
