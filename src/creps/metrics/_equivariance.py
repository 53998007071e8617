"""EQ-T and EQ-R: does a picture move and turn with the plane, or do details stick to the pixels?

StyleGAN3 (Karras et al. 2021), section E.3: the generator draws on a moved plane, and its picture
is compared with the plain one, moved afterwards by resampling. In decibels, with the range 2 of
[-1, 1] as the peak: 10 log10(4 / mean squared difference), means over samples, moves, pixels and
colors. Pixels that see beyond the plain picture are left out.

What differs from the paper: its generators have a margin around the picture, ours paint
the plane itself; the plain picture is resampled with a Lanczos kernel of 3 lobes. For a pixel-wise
family the plane moves exactly, so what is measured is how much detail its samples cannot hold:
the moved plain picture lacks it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creps.errors import UsageError
from creps.metrics._measurements import Measurement
from creps.metrics._models import ModelRef, Size, draw

Movement = Literal["translation", "rotation"]

LOBES = 3
FARTHEST = 1 / 8
"""Part of the picture that translations reach at most, on each axis (StyleGAN3, section E.3)."""


@dataclass(frozen=True, kw_only=True)
class Equivariance(Measurement):
    """Squared differences of moved samples; one random move of each; see `equivariance_decibels`.

    Attributes:
        model, truncation: what is drawn.
        movement: "translation" by fractions of pixels, up to an eighth of the picture on each axis;
            or "rotation" about the middle by any angle.
        size: (height, width), sides of at least 16; square for rotations.
        seed: of the moves; the first sample's too.
    """

    model: ModelRef
    movement: Movement
    size: Size
    truncation: float = 1.0
    seed: int = 0

    @property
    def seconds(self) -> float:
        # Turned pictures cannot share lines.
        return (8e-5 if self.movement == "rotation" else 6e-6) * self.size[0] * self.size[1]

    def item(self, index: int) -> dict[str, float]:
        """The mean squared difference of values in [-1, 1], not clipped.

        Raises:
            UsageError: for pictures that are too small; not square, for rotations.
            GridError: if the family cannot paint a moved plane.
        """
        height, width = self.size
        if min(self.size) < 16:
            raise UsageError(f"size {height}x{width}: equivariance needs 16 pixels or more a side")
        if self.movement == "rotation" and height != width:
            raise UsageError(f"size {height}x{width}: rotations are measured on square pictures")
        draws, seed = np.random.default_rng((self.seed, index)), self.seed + index
        sample = partial(draw, self.model, seed, size=self.size, truncation=self.truncation)
        y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
        if self.movement == "translation":
            dy, dx = draws.uniform(-FARTHEST, FARTHEST, 2) * self.size
            corners = self.model.generator().sampling == "corners"
            down, across = dy / (height - corners), dx / (width - corners)  # in plane units
            moved = sample(window=(down, across, 1 + down, 1 + across))
            rows, columns = y + dy, x + dx
        else:
            angle = draws.uniform(0, 2 * math.pi)
            moved = sample(warp=_Turn(angle))
            middle = (height - 1) / 2
            cos, sin = math.cos(angle), math.sin(angle)
            rows = middle + cos * (y - middle) - sin * (x - middle)
            columns = middle + sin * (y - middle) + cos * (x - middle)
        seen = _inside(rows, height) & _inside(columns, width)
        plain = sample().numpy().astype(np.float64)
        expected = lanczos_at(plain, rows[seen], columns[seen])
        return {"error": float(np.square(moved.numpy()[:, seen] - expected).mean())}


def equivariance_decibels(errors: NDArray[np.float64]) -> float:
    """EQ-T or EQ-R of the errors (N,) of many samples: 10 log10(4 / their mean)."""
    mean = float(errors.mean())
    return math.inf if mean == 0 else 10 * math.log10(4 / mean)


def lanczos_at(
    picture: NDArray[np.float64], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A picture (C, H, W) at places (P,) in pixels, 0 the center of the first: (C, P).

    A Lanczos kernel of 3 lobes; places must be at least 3 pixels from the borders.
    """
    first_row = np.floor(rows).astype(np.int64) - LOBES + 1
    first_column = np.floor(columns).astype(np.int64) - LOBES + 1
    taps = range(2 * LOBES)
    down, across = _weights(rows - first_row), _weights(columns - first_column)
    total = np.zeros((len(picture), len(rows)))
    for i in taps:
        line = sum(across[j] * picture[:, first_row + i, first_column + j] for j in taps)
        total += down[i] * line
    return total


def _weights(offset: NDArray[np.float64]) -> NDArray[np.float64]:
    """(6, P) weights of the taps, `offset` being the distance from the first; they sum to 1."""
    distance = offset - np.arange(2 * LOBES)[:, None]
    weights = np.sinc(distance) * np.sinc(distance / LOBES)
    scaled: NDArray[np.float64] = weights / weights.sum(0)
    return scaled


def _inside(places: NDArray[np.float64], count: int) -> NDArray[np.bool_]:
    """Places whose six taps lie within the picture."""
    return (places >= LOBES - 1) & (places < count - LOBES)


class _Turn:
    """Points turned about the middle of the unit square."""

    def __init__(self, angle: float) -> None:
        self._cos, self._sin = math.cos(angle), math.sin(angle)

    def __call__(self, points: Tensor) -> Tensor:
        y, x = (points - 0.5).unbind(-1)
        turned = (self._cos * y - self._sin * x, self._sin * y + self._cos * x)
        return torch.stack(turned, dim=-1) + 0.5
