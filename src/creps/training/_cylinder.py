"""Training on cylinders: pictures at any angle, and across the border of two painted frames.

Any-resolution GAN, section 6: no picture of the set shows the whole panorama. A slice of it at a
random angle is painted as a picture; what the discriminator sees straddles two frames that are
painted apart, so that their border has to look like any other place.
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
    """A batch whose windows lie at the angle of a step, uniform around the cylinder.

    The pictures stay what they are: which angle a real one was taken at is not known. On a flat
    plane nothing changes.
    """
    if not config.period:
        return batch
    random = step_random(config.seed, step, "angle")
    shift = config.period * float(torch.rand((), generator=random, dtype=torch.float64))
    windows = batch.windows
    if windows is not None:
        windows = windows + torch.tensor([0.0, shift, 0.0, shift], dtype=torch.float64)
    return replace(batch, region=moved(batch.region, shift), windows=windows)


def moved(canvas: Canvas, shift: float) -> Canvas:
    """A canvas moved along x by a distance in plane units."""
    y0, x0, y1, x1 = canvas.window
    return replace(canvas, window=(y0, x0 + shift, y1, x1 + shift))


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
