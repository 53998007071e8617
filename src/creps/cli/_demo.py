"""`creps demo`: what a model can do, in a few pictures and one number."""

from __future__ import annotations

import shutil
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from creps.cli._generate import advance, progress_bar, settings_of
from creps.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from creps.networks.base import Generator

    Picture = NDArray[np.uint8]

SIZES = (256, 1024, 4096)
"""Pixels a side of the portraits. A panel shows 256 pixels: the whole, a quarter, a sixteenth."""
PANEL = SIZES[0]
SHEET_ROWS, SHEET_COLUMNS = 4, 6
CONSISTENCY_SEEDS = 16
LARGEST_SECONDS = 60.0
"""A largest picture that would take longer is rendered only where the zoom shows it."""

Corner = tuple[int, int]


def demo(
    model: Annotated[str, typer.Option(help="A packaged model, a folder or a file.")] = "portraits",
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("out/demo"),
    seed: Annotated[int, typer.Option(help="The picture to zoom into.")] = 16,
    truncation: Annotated[float, typer.Option(help="As in generate.")] = 1.0,
) -> None:
    """Render a sheet of samples, and one picture at 256, 1024 and 4096 px beside enlargements."""
    from creps.rendering._view import RenderRequest

    RenderRequest(truncation=truncation)
    from creps.checkpoints import load
    from creps.rendering._styles import checked_seed

    started = time.perf_counter()
    checked_seed(seed)
    generator = load(model)
    if generator.config.label_dim:
        raise UsageError(
            f"{model} is class-conditional: use creps generate --model {model} --class N"
        )
    out.mkdir(parents=True, exist_ok=True)
    _sheet(generator, model, out, truncation=truncation)
    portraits = _portraits(generator, model, out, seed=seed, truncation=truncation)
    _zoom(generator, model, portraits, out, seed=seed, truncation=truncation)
    _consistency(generator, truncation=truncation)
    typer.echo(f"done in {time.perf_counter() - started:.0f} s; look at {out / 'zoom.png'} first")
    command = "creps" if shutil.which("creps") else sys.argv[0]  # `make` calls .venv/bin/creps
    typer.echo(f"to walk into pictures: {command} serve, then open http://127.0.0.1:8000/")


def _sheet(generator: Generator, model: str, out: Path, *, truncation: float) -> None:
    """sheet.png: the first seeds, edge to edge."""
    from creps.rendering._renderer import render
    from creps.rendering._sheets import contact_sheet
    from creps.rendering._view import RenderRequest
    from creps.rendering.output._save import save_picture

    seeds = list(range(SHEET_ROWS * SHEET_COLUMNS))
    pictures = []
    started = time.perf_counter()
    with progress_bar("sheet") as bar:
        for seed in bar.track(seeds):
            pictures.append(render(generator, seed=seed, size=PANEL, truncation=truncation))
    sheet = contact_sheet(pictures, columns=SHEET_COLUMNS)
    request = RenderRequest(size=PANEL, truncation=truncation)
    settings = {"seeds": seeds, **settings_of(model, generator, request)}
    save_picture(sheet, out / "sheet.png", settings=settings)
    _say(out / "sheet.png", f"{len(seeds)} samples at {PANEL} px", started)


def _portraits(
    generator: Generator, model: str, out: Path, *, seed: int, truncation: float
) -> dict[int, Picture]:
    """portrait-SIZE.png: one picture at every size, but for those that would take too long."""
    from creps.rendering._renderer import render
    from creps.rendering._view import RenderRequest
    from creps.rendering.output._save import save_picture

    portraits: dict[int, Picture] = {}
    seconds_per_pixel = 0.0
    for size in SIZES:
        if size * size * seconds_per_pixel > LARGEST_SECONDS:
            typer.echo(
                f"  {size} px would take over {LARGEST_SECONDS:.0f} s: only its zoom is shown"
            )
            continue
        path = out / f"portrait-{size}.png"
        started = time.perf_counter()
        with progress_bar(path.name) as bar:
            task = bar.add_task("", total=1)
            portraits[size] = render(
                generator,
                seed=seed,
                size=size,
                truncation=truncation,
                progress=partial(advance, bar, task, 0),
            )
        seconds_per_pixel = (time.perf_counter() - started) / size**2
        settings = settings_of(model, generator, RenderRequest(size=size, truncation=truncation))
        save_picture(portraits[size], path, settings={"seed": seed, **settings})
        _say(path, f"seed {seed} at {size} px", started)
    return portraits


def _zoom(
    generator: Generator,
    model: str,
    portraits: dict[int, Picture],
    out: Path,
    *,
    seed: int,
    truncation: float,
) -> None:
    """zoom.png: pixels of each size above the same part, enlarged with Lanczos (CREPS, Fig. 9)."""
    from creps.rendering._renderer import render
    from creps.rendering._sheets import Panel, captioned_sheet
    from creps.rendering.output._save import save_picture

    started = time.perf_counter()
    base_size = min(generator.config.resolution, PANEL)
    base = render(generator, seed=seed, size=base_size, truncation=truncation)
    corners = zoom_corners(portraits[PANEL])
    ours, enlarged = [], []
    for step, (size, (top, left)) in enumerate(zip(SIZES, corners, strict=True)):
        if size in portraits:
            crop = portraits[size][top : top + PANEL, left : left + PANEL]
        else:
            y, x, side = top / size, left / size, PANEL / size
            crop = render(
                generator,
                seed=seed,
                size=PANEL,
                window=(y, x, y + side, x + side),
                truncation=truncation,
            )
        box = None
        if step + 1 < len(SIZES):
            box = _next_box(corners[step + 1], (top, left), zoom=SIZES[step + 1] // size)
        note = "the whole picture" if size == PANEL else f"{PANEL} x {PANEL} of its pixels"
        ours.append(Panel(crop, f"rendered at {size} px", note, box))
        title = f"{base_size} px enlarged to {size} px"
        lanczos = _lanczos(base, top=top, left=left, size=size)
        enlarged.append(Panel(lanczos, title, "Lanczos filter", box))
    heading = f"creps, model {Path(model).name}, seed {seed}: one generator, every size"
    sheet = captioned_sheet([ours, enlarged], heading=heading)
    save_picture(sheet, out / "zoom.png", settings={"model": model, "seed": seed})
    _say(out / "zoom.png", "each size beside a Lanczos enlargement", started)


def _consistency(generator: Generator, *, truncation: float) -> None:
    """Say how well the small pictures agree with the larger ones."""
    from creps.metrics._consistency import scale_consistency

    started = time.perf_counter()
    decibels = scale_consistency(
        generator, range(CONSISTENCY_SEEDS), size=PANEL, truncation=truncation
    )
    what = f"{PANEL} px against box-filtered {2 * PANEL} px, {CONSISTENCY_SEEDS} seeds"
    _say(f"scale consistency {decibels:.1f} dB", f"mean PSNR, {what}", started)


def zoom_corners(picture: Picture) -> list[Corner]:
    """Where to look: (top, left) of a 256-pixel panel in the picture at each of SIZES.

    Each panel lies inside the one before; the last is where the middle half varies most.

    Args:
        picture: (256, 256, C), the whole picture.
    """
    import numpy as np

    across = SIZES[-1] // PANEL  # the last panel is one block of across x across
    block = PANEL // across
    gray = picture.mean(2)
    change = np.abs(np.diff(gray, axis=0, append=gray[-1:]))
    change += np.abs(np.diff(gray, axis=1, append=gray[:, -1:]))
    detail = change.reshape(across, block, across, block).mean((1, 3))
    middle = slice(across // 4, across - across // 4)
    inner = detail[middle, middle]
    row, column = np.unravel_index(int(inner.argmax()), inner.shape)
    centre = [(int(place) + across // 4 + 0.5) / across for place in (row, column)]
    corners = []
    for size in SIZES:
        top, left = (min(max(round(c * size - PANEL / 2), 0), size - PANEL) for c in centre)
        corners.append((top, left))
    return corners


def _next_box(inner: Corner, outer: Corner, *, zoom: int) -> tuple[int, int, int, int]:
    """The next panel's outline in this one's pixels; those of `inner` are `zoom` times finer."""
    top, left = (round(i / zoom) - o for i, o in zip(inner, outer, strict=True))
    return top, left, top + PANEL // zoom, left + PANEL // zoom


def _lanczos(base: Picture, *, top: int, left: int, size: int) -> Picture:
    """The panel at (top, left) of `base` enlarged to `size` pixels a side."""
    import numpy as np
    from PIL import Image

    scale = len(base) / size
    box = (left * scale, top * scale, (left + PANEL) * scale, (top + PANEL) * scale)
    image = Image.fromarray(base.squeeze(2) if base.shape[2] == 1 else base)
    enlarged = np.asarray(image.resize((PANEL, PANEL), Image.Resampling.LANCZOS, box=box))
    return enlarged.reshape(PANEL, PANEL, -1)


def _say(what: Path | str, meaning: str, started: float) -> None:
    typer.echo(f"  {what}  ({meaning}; {time.perf_counter() - started:.1f} s)")
