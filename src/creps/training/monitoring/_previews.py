"""What a run paints by now: a grid of samples, and a zoom into a few of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from creps.coordinates import AxisGrid, Canvas, Window
from creps.networks.base import Generator
from creps.rendering._painter import Picture, to_uint8
from creps.rendering._sheets import contact_sheet
from creps.rendering._styles import latents
from creps.rendering.output._save import save_picture
from creps.training._config import TrainConfig
from creps.training._engine import Stats
from creps.training._state import TrainState
from creps.training.monitoring._log import Journal

# How different pictures are from each other: a collapsed generator paints one again and again.
#
# Pictures are compared by their colours at a small size. That costs next to nothing, needs no
# other network, and is the same for real and generated pictures of a batch, whatever their
# windows.


COMPARED_SIDE = 16
"""Pixels a side, at most, that pictures are compared at: what is seen, not its noise."""


@torch.no_grad()
def thumbnails(images: Tensor) -> Tensor:
    """Pictures (B, C, H, W) at no more than 16 x 16 pixels, flat: (B, P)."""
    height, width = (min(side, COMPARED_SIDE) for side in images.shape[2:])
    return torch.nn.functional.adaptive_avg_pool2d(images.float(), (height, width)).flatten(1)


@torch.no_grad()
def thumbnail_distances(small: Tensor) -> tuple[Tensor, Tensor]:
    """Mean distance of two pictures, and of a picture to the one most like it.

    The distance of two pictures is the root mean square difference of their colours: 0 to 2.

    Args:
        small: (B, P) of `thumbnails`, B >= 2.
    Returns:
        two scalars: over all pairs, and over each picture's nearest other.
    Example:
        >>> spread, nearest = thumbnail_distances(torch.tensor([[-1.0], [-1.0], [1.0]]))
        >>> round(float(spread), 3), round(float(nearest), 3)
        (1.333, 0.667)
    """
    small = small - small.mean(0)  # so that like pictures do not drown in rounding
    squares = small.square().sum(1)
    between = squares[:, None] + squares[None] - 2 * small @ small.T
    distances = (between.clamp(min=0) / small.shape[1]).sqrt()  # (B, B)
    count = len(small)
    own = torch.eye(count, dtype=torch.bool, device=small.device)
    spread = distances.masked_fill(own, 0).sum() / (count * (count - 1))
    nearest = distances.masked_fill(own, torch.inf).amin(1).mean()
    return spread, nearest


def picture_distances(images: Tensor) -> tuple[Tensor, Tensor]:
    """`thumbnail_distances` of pictures (B, C, H, W), nominally in [-1, 1], B >= 2."""
    return thumbnail_distances(thumbnails(images))


COLUMNS = 6
ROWS = 4
"""Of a sample grid; with classes, a row shows one of them, and there are up to twice as many."""
ZOOM_SEEDS = (0, 1, 2)
MAGNIFICATIONS = (1, 2, 4, 8)
"""Of the windows of a zoom strip, from left to right."""
PIXELS_AT_ONCE = 2**20
"""Pictures are drawn together up to so many pixels: previews must not need more memory than
training."""


class Previews:
    """Pictures of the averaged generator, always of the same latents.

    Args:
        folder: takes `IMAGES.png`, a sample grid, and `IMAGES-zoom.png`, a zoom strip.
        config: the run.
        journal: is told how different the samples are from each other, and from those before.
    """

    def __init__(self, folder: Path, config: TrainConfig, *, journal: Journal) -> None:
        self.folder, self.config, self.journal = folder, config, journal
        self.drawn_step = -1
        self.before: Tensor | None = None

    def after_step(self, state: TrainState, stats: Stats) -> None:
        """Draw when due."""
        every = self.config.preview_every
        if every and state.step % every == 0:
            self._draw(state)

    def at_end(self, state: TrainState) -> None:
        """Draw a last time."""
        if state.step != self.drawn_step:
            self._draw(state)

    def _draw(self, state: TrainState) -> None:
        self.drawn_step = state.step
        images = samples(state.average, self.config)
        sheets = {"": contact_sheet([to_uint8(image) for image in images], columns=COLUMNS)}
        if state.average.tileable:
            sheets["-zoom"] = zoom_strip(state.average, self.config)
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, sheet in sheets.items():
            save_picture(sheet, self.folder / f"{state.step * self.config.batch:09d}{name}.png")
            self.journal.show(state.step, f"previews/{'zoom' if name else 'samples'}", sheet)
        self.journal.write(state.step, self._compare(images))

    def _compare(self, images: Tensor) -> dict[str, float]:
        """How different the samples are from each other, and from the previous ones."""
        spread, nearest = (float(value) for value in picture_distances(images))
        values = {"preview/spread": spread, "preview/nearest": nearest}
        if self.before is not None:
            pairs = zip(images, self.before, strict=True)
            moved = [float(picture_distances(torch.stack(pair))[0]) for pair in pairs]
            values["preview/change"] = sum(moved) / len(moved)
        self.before = images
        return values


def samples(generator: Generator, config: TrainConfig) -> Tensor:
    """(N, C, H, W) pictures of fixed latents at the training size, on the CPU, row by row.

    With classes, each row shows the same latents in a class of its own.
    """
    classes = config.generator.label_dim
    rows = min(classes, 2 * ROWS) or ROWS
    seeds = list(range(COLUMNS)) * rows if classes else list(range(COLUMNS * rows))
    labels = [place // COLUMNS for place in range(COLUMNS * rows)] if classes else None
    return _paint(generator, seeds, labels, config.canvas())


def zoom_strip(generator: Generator, config: TrainConfig) -> Picture:
    """(H, W, C) uint8: rows of fixed latents; from left to right the whole picture and windows of a
    half, a quarter and an eighth of its sides around its centre, each at the training size.
    """
    classes = config.generator.label_dim
    labels = [seed % classes for seed in ZOOM_SEEDS] if classes else None
    columns = [
        _paint(generator, ZOOM_SEEDS, labels, config.canvas(centred_window(config.whole, times)))
        for times in MAGNIFICATIONS
    ]
    pictures = [to_uint8(column[row]) for row in range(len(ZOOM_SEEDS)) for column in columns]
    return contact_sheet(pictures, columns=len(MAGNIFICATIONS))


def centred_window(whole: Window, times: float) -> Window:
    """The part around the centre of a window that fills it when magnified.

    Example:
        >>> centred_window((0.0, -0.5, 1.0, 1.5), 4)
        (0.375, 0.25, 0.625, 0.75)
    """
    y0, x0, y1, x1 = whole
    y, x = (y0 + y1) / 2, (x0 + x1) / 2
    height, width = (y1 - y0) / times / 2, (x1 - x0) / times / 2
    return (y - height, x - width, y + height, x + width)


@torch.no_grad()
def _paint(
    generator: Generator, seeds: Sequence[int], labels: Sequence[int] | None, canvas: Canvas
) -> Tensor:
    """Pictures of a canvas, a few at a time."""
    device = generator.device
    z = latents(list(seeds), generator).to(device)
    label = None if labels is None else torch.tensor(labels, device=device)
    styles = generator.map(z, label)
    grid = canvas.grid()
    if device.type == "cuda":  # which computes in float64, as coordinates need
        grid = AxisGrid(grid.ys.to(device), grid.xs.to(device))
    few = max(PIXELS_AT_ONCE // (canvas.height * canvas.width), 1)
    painted = [generator.synthesize(part, grid).float().cpu() for part in styles.split(few)]
    return torch.cat(painted)
