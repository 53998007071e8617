"""What a run paints by now: a grid of samples, and a zoom into a few of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from creps.coordinates import Canvas, Window
from creps.networks.base import Generator
from creps.rendering._painter import Picture, to_uint8
from creps.rendering._sheets import contact_sheet
from creps.rendering._styles import latents
from creps.rendering.output._save import save_picture
from creps.training._config import TrainConfig
from creps.training._engine import Stats
from creps.training._losses import picture_distances
from creps.training._precision import grid_on
from creps.training._run import Callback, Run, Timer

COLUMNS = 6
_ROWS = 4
"""Of a sample grid; with classes, a row shows one of them, and there are up to twice as many."""
_ZOOM_SEEDS = (0, 1, 2)
MAGNIFICATIONS = (1, 2, 4, 8)
"""Of the windows of a zoom strip, from left to right."""
_PIXELS_AT_ONCE = 2**20
"""Pictures are drawn together up to this many pixels: previews must not need more memory than
training."""


class Previews(Callback):
    """Pictures of the averaged generator, always of the same latents.

    RUN/previews/IMAGES.png is a sample grid, IMAGES-zoom.png a zoom strip. The log gets how
    different the samples are from each other, and from those before. Every `preview_every` steps,
    and by time too, after a minute and then every five, as snapshots come; never with 0.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._timer = Timer(clock)
        self._drawn_step = -1
        self._before: Tensor | None = None

    def after_step(self, run: Run, stats: Stats) -> None:
        """Draw when due."""
        every = run.config.preview_every
        if every and (run.state.step % every == 0 or self._timer.due()):
            self._draw(run)

    def at_end(self, run: Run) -> None:
        """Draw a last time."""
        if run.state.step != self._drawn_step:
            self._draw(run)

    def _draw(self, run: Run) -> None:
        self._drawn_step = step = run.state.step
        images = samples(run.model, run.config)
        sheets = {
            "": contact_sheet(
                [to_uint8(image[: run.config.generator.colors]) for image in images],
                columns=COLUMNS,
            )
        }
        if run.model.tileable:
            sheets["-zoom"] = zoom_strip(run.model, run.config)
        folder = run.folder / "previews"
        folder.mkdir(parents=True, exist_ok=True)
        for name, sheet in sheets.items():
            save_picture(sheet, folder / f"{run.images:09d}{name}.png")
            run.log.show(step, f"previews/{'zoom' if name else 'samples'}", sheet)
        spread, nearest = (float(value) for value in picture_distances(images))
        values = {"preview/spread": spread, "preview/nearest": nearest}
        if self._before is not None:
            pairs = zip(images, self._before, strict=True)
            moved = [float(picture_distances(torch.stack(pair))[0]) for pair in pairs]
            values["preview/change"] = sum(moved) / len(moved)
        self._before = images
        run.log.write(step, values)
        self._timer.done()


def samples(generator: Generator, config: TrainConfig) -> Tensor:
    """(N, C, H, W) pictures of fixed latents at the training size, on the CPU, row by row.

    With classes, each row shows the same latents in its own class.
    """
    classes = config.generator.label_dim
    rows = min(classes, 2 * _ROWS) or _ROWS
    seeds = list(range(COLUMNS)) * rows if classes else list(range(COLUMNS * rows))
    labels = [place // COLUMNS for place in range(COLUMNS * rows)] if classes else None
    return _painted(generator, seeds, labels, config.canvas())


def zoom_strip(generator: Generator, config: TrainConfig) -> Picture:
    """(H, W, C) uint8: rows of fixed latents; from left to right the whole picture and windows of a
    half, a quarter and an eighth of its sides around its center, each at the training size.
    """
    classes = config.generator.label_dim
    labels = [seed % classes for seed in _ZOOM_SEEDS] if classes else None
    columns = [
        _painted(generator, _ZOOM_SEEDS, labels, config.canvas(_middle(config.whole, times)))
        for times in MAGNIFICATIONS
    ]
    colors = config.generator.colors
    pictures = [
        to_uint8(column[row][:colors]) for row in range(len(_ZOOM_SEEDS)) for column in columns
    ]
    return contact_sheet(pictures, columns=len(MAGNIFICATIONS))


def _middle(whole: Window, times: float) -> Window:
    """The part around the center of a window that fills it when magnified."""
    y0, x0, y1, x1 = whole
    y, x = (y0 + y1) / 2, (x0 + x1) / 2
    height, width = (y1 - y0) / times / 2, (x1 - x0) / times / 2
    return (y - height, x - width, y + height, x + width)


@torch.no_grad()
def _painted(
    generator: Generator, seeds: Sequence[int], labels: Sequence[int] | None, canvas: Canvas
) -> Tensor:
    """Pictures of a canvas, a few at a time."""
    device = generator.device
    z = latents(list(seeds), generator).to(device)
    label = None if labels is None else torch.tensor(labels, device=device)
    styles, grid = generator.map(z, label), grid_on(canvas, device)
    few = max(_PIXELS_AT_ONCE // (canvas.height * canvas.width), 1)
    parts = torch.split(styles, few)
    return torch.cat([generator.synthesize(part, grid).float().cpu() for part in parts])
