"""Training pictures that repeat: at any place, and across the border of two painted frames.

Any-resolution GAN, section 6: no picture of the set shows the whole panorama. A slice of it at a
random angle is painted as a picture, so that no angle differs from others; a texture is painted at
a random place of its period along both axes. What the discriminator sees may also straddle two
frames that are painted apart, so that their border has to look like any other place.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from creps.coordinates import AxisGrid, Canvas
from creps.data import Batch
from creps.networks.base import Synthesize
from creps.training._config import TrainConfig
from creps.training._state import step_random


def turned(config: TrainConfig, batch: Batch, step: int) -> Batch:
    """A batch whose windows lie at the place of a step, uniform over the period of each axis.

    The pictures stay what they are: which place a real one shows is not known. On a flat plane
    nothing changes.
    """
    if not any(config.period):
        return batch
    random = step_random(config.seed, step, "angle")
    around, along = torch.rand(2, generator=random, dtype=torch.float64).tolist()
    y, x = config.period[0] * along, config.period[1] * around
    windows = batch.windows
    if windows is not None:
        windows = windows + torch.tensor([y, x, y, x], dtype=torch.float64)
    return replace(batch, region=moved(batch.region, y, x), windows=windows)


def moved(canvas: Canvas, down: float, right: float) -> Canvas:
    """A canvas moved by a distance in plane units."""
    y0, x0, y1, x1 = canvas.window
    return replace(canvas, window=(y0 + down, x0 + right, y1 + down, x1 + right))


def draw_split(config: TrainConfig, step: int) -> int | None:
    """At which column the border of two frames lies in a step, 1 .. W - 1; None for one frame."""
    if not config.cross_frame:
        return None
    random = step_random(config.seed, step, "cross frame")
    return int(torch.randint(1, config.size[1], (), generator=random))


def straddling(synthesize: Synthesize, split: int) -> Synthesize:
    """Paints the end of one frame and, from column `split` on, the beginning of the next."""

    def painted(styles: Tensor, grid: AxisGrid) -> Tensor:
        width = len(grid.xs)
        before, after = (
            synthesize(styles, AxisGrid(grid.ys, _columns(grid.xs, first)))
            for first in (split - width, split)
        )
        return torch.cat([before[..., -split:], after[..., : width - split]], dim=-1)

    return painted


def _columns(xs: Tensor, first: int) -> Tensor:
    """As many columns, on the same lattice, from column `first` on."""
    step = (xs[-1] - xs[0]) / (len(xs) - 1)
    return xs[0] + step * torch.arange(first, first + len(xs), dtype=xs.dtype, device=xs.device)
