"""Pictures of one window of the plane on the pixels of another: band-limited, with a mask.

Everything is separable: one matrix for rows, one for columns. Arithmetic of places is float64.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from creps.coordinates import Canvas
from creps.errors import GridError

LOBES = 3
"""Of the kernel, on each side; it is stretched by the reduction, so that nothing aliases."""
ROUNDING = 1e-6
"""Share of a pixel by which its area may stick out of a window and still count as inside."""


class Axis(NamedTuple):
    """An axis of a canvas: `pixels` of them over `start` .. `stop` in plane units."""

    start: float
    stop: float
    pixels: int


def lanczos_weights(source: Axis, target: Axis) -> tuple[Tensor, Tensor]:
    """How much of each pixel of one axis the pixels of another are made of.

    Args:
        source: what there is.
        target: what is wanted, of the same plane; it may cover more, or less.
    Returns:
        float64 weights, a row a target pixel: they sum to 1, or are 0 where the kernel meets
        nothing; and a bool for each: whether the whole area of the pixel lies within the source.
    Raises:
        GridError: for an empty axis.
    Example:
        >>> weights, inside = lanczos_weights(Axis(0, 1, 2), Axis(0, 2, 4))
        >>> weights.round(decimals=6).tolist()[:2], inside.tolist()
        ([[1.0, 0.0], [0.0, 1.0]], [True, True, False, False])
    """
    for axis in (source, target):
        if axis.stop <= axis.start or axis.pixels < 1:
            raise GridError(f"{axis}: expected start < stop and at least one pixel")
    spacing = (source.stop - source.start) / source.pixels
    wanted = (target.stop - target.start) / target.pixels
    places = target.start + (torch.arange(target.pixels, dtype=torch.float64) + 0.5) * wanted
    among = (places - source.start) / spacing - 0.5
    stretch = max(1.0, wanted / spacing)
    distance = (among[:, None] - torch.arange(source.pixels, dtype=torch.float64)) / stretch
    weights = torch.sinc(distance) * torch.sinc(distance / LOBES) * (distance.abs() < LOBES)
    total = weights.sum(1, keepdim=True)
    # Far outside only the small lobes are met, whose sum may be anything: nothing is taken there.
    met = (among[:, None] > -1) & (among[:, None] < source.pixels)
    weights = torch.where(met, weights / total, torch.zeros_like(weights))
    slack = ROUNDING * wanted
    inside = (places - wanted / 2 >= source.start - slack) & (
        places + wanted / 2 <= source.stop + slack
    )
    return weights, inside


def resampled(pictures: Tensor, source: Canvas, target: Canvas) -> tuple[Tensor, Tensor]:
    """Pictures on the pixels of another canvas, by a Lanczos filter; differentiable.

    Args:
        pictures: (B, C, H, W) on `source`.
        source, target: canvases of one plane; their pixels are taken as areas.
    Returns:
        (B, C, H', W') on `target`, and the mask (H', W') of its pixels that lie within `source`,
        1 or 0 in the precision of the pictures.
    """
    rows, tall = lanczos_weights(_axis(source, 0), _axis(target, 0))
    columns, wide = lanczos_weights(_axis(source, 1), _axis(target, 1))
    mask = (tall[:, None] & wide).to(pictures)
    return rows.to(pictures) @ pictures @ columns.T.to(pictures), mask


def _axis(canvas: Canvas, axis: int) -> Axis:
    start, stop = canvas.window[axis], canvas.window[axis + 2]
    return Axis(start, stop, (canvas.height, canvas.width)[axis])
