"""`creps generate`: pictures of a model, one file a seed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from creps import __version__
from creps.cli._options import (
    PICTURE,
    ComputeDevice,
    Cutoff,
    Dpi,
    Dtype,
    Label,
    Model,
    Pan,
    Size,
    Supersample,
    Truncation,
    View,
    WindowOption,
    Zoom,
    parse_seeds,
    parse_supersample,
)
from creps.cli._progress import vanishing_bar

if TYPE_CHECKING:
    from creps.coordinates import Canvas
    from creps.networks.base import Generator
    from creps.rendering._painter import Picture
    from creps.rendering._view import RenderRequest


class PictureFormat(StrEnum):
    """What `--format` takes; the value is the file suffix."""

    png = "png"
    jpg = "jpg"
    webp = "webp"


def generate(
    model: Model = "portraits",
    seeds: Annotated[
        str, typer.Option(help="Seeds such as 7, 0-7 or 0-7,12.", rich_help_panel=PICTURE)
    ] = "0-7",
    out: Annotated[Path, typer.Option(help="Folder for the pictures; made if missing.")] = Path(
        "out"
    ),
    truncation: Truncation = 1.0,
    cutoff: Cutoff = None,
    label: Label = None,
    size: Size = None,
    dpi: Dpi = None,
    zoom: Zoom = None,
    pan: Pan = None,
    window: WindowOption = None,
    supersample: Supersample = "1",
    kind: Annotated[
        PictureFormat, typer.Option("--format", help="File format of the pictures.")
    ] = PictureFormat.png,
    grid: Annotated[
        bool, typer.Option("--grid", help="Also write all pictures on one sheet: OUT/grid.png.")
    ] = False,
    device: ComputeDevice = None,
    dtype: Dtype = None,
    tile: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Make pictures of a model: OUT/seed0000.png and so on, replacing files of the same names.

    Each file holds its seed and settings. Equal seeds show the same picture at every size.
    """
    from creps.rendering._styles import checked_seed
    from creps.rendering._view import checked_device, checked_dtype

    wanted = parse_seeds(seeds)
    checked_seed(max(wanted))
    view = View(size=size, dpi=dpi, zoom=zoom, pan=pan, window=window)
    request = view.request(truncation=truncation, truncation_cutoff=cutoff)
    if tile is not None:
        request = replace(request, tile=tile)
    samples = parse_supersample(supersample)
    from creps.checkpoints import load
    from creps.rendering._renderer import render

    started = time.perf_counter()
    generator = load(model)
    canvas = request.canvas(generator)
    _refuse_too_big(canvas, generator, kind, len(wanted) if grid else 1)
    where = checked_device(device, generator)
    checked_dtype(dtype, where)
    out.mkdir(parents=True, exist_ok=True)
    noted = {
        "dpi": view.resolution,
        "supersample": None if samples == 1 else samples,
        "dtype": dtype,
    }
    settings = settings_of(model, generator, request, label=label)
    settings |= {name: value for name, value in noted.items() if value is not None}
    make = partial(
        render,
        generator,
        label=label,
        supersample=samples,
        device=where,
        dtype=dtype,
        **asdict(request),
    )
    names = _write_all(make, wanted, out, settings=settings, kind=kind, grid=grid)
    written = names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]}"
    typer.echo(
        f"{len(names)} file{'s' if len(names) > 1 else ''} in {out}: {written}, "
        f"{canvas.height}x{canvas.width} a picture, {time.perf_counter() - started:.1f} s"
    )


def settings_of(
    model: str, generator: Generator, request: RenderRequest, *, label: int | None = None
) -> dict[str, Any]:
    """What a picture's file tells of how it was made, all but the seed."""
    from creps.checkpoints import weights_id

    canvas = request.canvas(generator)
    settings = {
        "creps": __version__,
        "model": model,
        "weights": weights_id(generator),
        "class": label,
        "size": [canvas.height, canvas.width],
        "window": list(canvas.window),
        "truncation": request.truncation,
        "truncation_cutoff": request.truncation_cutoff,
        "credits": generator.record.get("credits"),
    }
    return {name: value for name, value in settings.items() if value is not None}


def progress_bar(what: str) -> Progress:
    """The bar of a render, on stderr, gone when it is done; nothing where that is no terminal."""
    return vanishing_bar(
        TextColumn(what),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %  {task.description}"),
        TimeRemainingColumn(),
    )


def _refuse_too_big(
    canvas: Canvas, generator: Generator, kind: PictureFormat, on_sheet: int
) -> None:
    """Refuse pictures that memory or their format cannot hold, before any is made."""
    from creps.rendering._sheets import sheet_columns
    from creps.rendering._view import refuse_beyond_memory
    from creps.rendering.output._images import refuse_beyond_format

    across = sheet_columns(on_sheet)
    height, width = canvas.height * -(-on_sheet // across), canvas.width * across
    refuse_beyond_format(f"picture.{kind.value}", height, width)
    refuse_beyond_memory(height, width, channels=generator.config.img_channels)


def _write_all(
    make: Callable[..., Picture],
    seeds: list[int],
    out: Path,
    *,
    settings: dict[str, Any],
    kind: PictureFormat,
    grid: bool,
) -> list[str]:
    """Render and write one file a seed, and the sheet; the names of the files."""
    from creps.rendering._sheets import contact_sheet
    from creps.rendering.output._save import save_picture

    names, pictures = [], []
    with progress_bar("rendering") as bar:
        task = bar.add_task("", total=len(seeds))
        for count, seed in enumerate(seeds):
            bar.update(task, description=f"seed {seed}")
            picture = make(seed=seed, progress=partial(advance, bar, task, count))
            names.append(f"seed{seed:04d}.{kind.value}")
            save_picture(picture, out / names[-1], settings={"seed": seed, **settings})
            if grid:
                pictures.append(picture)
    if grid:
        names.append(f"grid.{kind.value}")
        save_picture(
            contact_sheet(pictures), out / names[-1], settings={"seeds": seeds, **settings}
        )
    return names


def advance(bar: Progress, task: TaskID, before: int, done: int, total: int) -> None:
    """Show `before` whole pictures and the part done of the next."""
    bar.update(task, completed=before + done / total)
