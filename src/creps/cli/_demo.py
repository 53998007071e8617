"""`creps demo`: what a model can do, in a few pictures and one number."""

from __future__ import annotations

import shutil
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from creps.cli._options import Label
from creps.cli._progress import report

if TYPE_CHECKING:
    from creps.networks.base import Generator
    from creps.rendering import Picture, Renderer

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
    seed: Annotated[int, typer.Option(help="The picture to zoom into.")] = 10,
    truncation: Annotated[float, typer.Option(help="As in generate.")] = 1.0,
    label: Label = None,
) -> None:
    """Render a sheet of samples, and one picture at 256, 1024 and 4096 px next to enlargements."""
    from creps.rendering import Latent, Renderer

    drawn = partial(Latent, truncation=truncation, label=label)
    latents, latent = [drawn(seed=k) for k in range(SHEET_ROWS * SHEET_COLUMNS)], drawn(seed=seed)
    from creps.checkpoints import load

    started = time.perf_counter()
    generator = load(model)
    generator.class_index(label)  # refuses what does not suit the model
    out.mkdir(parents=True, exist_ok=True)
    settings = {"model": model}
    _sheet([Renderer(generator, each) for each in latents], out / "sheet.png", settings)
    renderer = Renderer(generator, latent)
    portraits = _portraits(renderer, out, settings, seed=seed)
    _zoom(renderer, portraits, out / "zoom.png", settings, seed=seed)
    _consistency(generator, truncation=truncation)
    typer.echo(f"done in {time.perf_counter() - started:.0f} s; look at {out / 'zoom.png'} first")
    typer.echo(f"to walk into pictures: {_command()} serve, then open http://127.0.0.1:8000/")


def _command() -> str:
    """How this command is called again: by its name, as a module, or by its path."""
    if Path(sys.argv[0]).name == "__main__.py":
        return "python -m creps"
    return "creps" if shutil.which("creps") else sys.argv[0]  # `make` calls .venv/bin/creps


def _sheet(renderers: list[Renderer], path: Path, settings: dict[str, Any]) -> None:
    """The first seeds, edge to edge."""
    from creps.rendering import contact_sheet, save_picture

    pictures = []
    started = time.perf_counter()
    with report("sheet", unit=None) as told:
        for index, renderer in enumerate(renderers):
            pictures.append(renderer.picture(size=PANEL, progress=told.part(index, len(renderers))))
    about = renderers[-1].painter(size=PANEL).about()
    del about["seed"]
    about |= {"seeds": list(range(len(renderers))), **settings}
    save_picture(contact_sheet(pictures, columns=SHEET_COLUMNS), path, settings=about)
    _say(path, f"{len(renderers)} samples at {PANEL} px", started)


def _portraits(
    renderer: Renderer, out: Path, settings: dict[str, Any], *, seed: int
) -> dict[int, Picture]:
    """portrait-SIZE.png: one picture at every size, but for those that would take too long."""
    from creps.rendering import save_picture

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
        painter = renderer.painter(size=size)
        with report(path.name) as told:
            portraits[size] = painter.pixels(progress=told)
        seconds_per_pixel = (time.perf_counter() - started) / size**2
        save_picture(portraits[size], path, settings={**painter.about(), **settings})
        _say(path, f"seed {seed} at {size} px", started)
    return portraits


def _zoom(
    renderer: Renderer,
    portraits: dict[int, Picture],
    path: Path,
    settings: dict[str, Any],
    *,
    seed: int,
) -> None:
    """Pixels of each size above the same part, enlarged with Lanczos (CREPS, Fig. 9)."""
    from creps.rendering import Panel, captioned_sheet, save_picture

    started = time.perf_counter()
    base_size = min(renderer.generator.config.resolution, PANEL)
    base = renderer.picture(size=base_size)
    corners = zoom_corners(portraits[PANEL])
    ours, enlarged = [], []
    for step, (size, (top, left)) in enumerate(zip(SIZES, corners, strict=True)):
        if size in portraits:
            crop = portraits[size][top : top + PANEL, left : left + PANEL]
        else:
            y, x, side = top / size, left / size, PANEL / size
            crop = renderer.picture(size=PANEL, window=(y, x, y + side, x + side))
        box = None
        if step + 1 < len(SIZES):
            box = _next_box(corners[step + 1], (top, left), zoom=SIZES[step + 1] // size)
        note = "the whole picture" if size == PANEL else f"{PANEL} x {PANEL} of its pixels"
        ours.append(Panel(crop, f"rendered at {size} px", note, box))
        title = f"{base_size} px enlarged to {size} px"
        lanczos = _lanczos(base, top=top, left=left, size=size)
        enlarged.append(Panel(lanczos, title, "Lanczos filter", box))
    model = Path(settings["model"]).name
    heading = f"creps, model {model}, seed {seed}: one generator, every size"
    about = {**renderer.painter(size=PANEL).about(), **settings}
    save_picture(captioned_sheet([ours, enlarged], heading=heading), path, settings=about)
    _say(path, "each size next to a Lanczos enlargement", started)


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

    Each panel lies inside the one before; the last is where the middle half of the whole picture,
    (256, 256, C), varies most.
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
    center = [(int(place) + across // 4 + 0.5) / across for place in (row, column)]
    corners = []
    for size in SIZES:
        top, left = (min(max(round(c * size - PANEL / 2), 0), size - PANEL) for c in center)
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
