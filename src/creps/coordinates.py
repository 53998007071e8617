"""The plane and its grids: where the pixels of a picture lie.

Plane units: a canvas spans [0, 1] on each axis. Positions are (y, x), sizes (height, width). Pixels
are addressed by integers, so two tiles that share a pixel get bit-identical coordinates; the
arithmetic is float64. See docs/conventions.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from creps.errors import GridError

Sampling = Literal["centers", "corners"]
Window = tuple[float, float, float, float]

WHOLE_PLANE: Window = (0.0, 0.0, 1.0, 1.0)

FARTHEST = 1e6
"""Plane units from the origin that are still sampled: far beyond anything a model can have learnt,
near enough for float64 to place the pixels."""


@dataclass(frozen=True)
class AxisGrid:
    """An axis-aligned grid: every row coordinate with every column coordinate.

    Args:
        ys: (H,) plane coordinates of the rows: a tensor, an array or a list.
        xs: (W,) plane coordinates of the columns; any length, also other than H.
    Raises:
        GridError: if an axis is not a non-empty 1-D floating tensor.
    """

    ys: Tensor
    xs: Tensor

    def __post_init__(self) -> None:
        for name in ("ys", "xs"):
            axis = _floats(getattr(self, name), name)
            object.__setattr__(self, name, axis)
            if axis.ndim != 1 or not axis.numel() or not axis.is_floating_point():
                raise GridError(
                    f"{name} has shape {tuple(axis.shape)} and type {axis.dtype}: "
                    "expected a non-empty 1-D tensor of floating-point plane coordinates"
                )

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of a picture on this grid."""
        return len(self.ys), len(self.xs)


@dataclass(frozen=True)
class PointGrid:
    """A free grid: each pixel has its own place on the plane (rotations, warps).

    Args:
        points: (H, W, 2) of plane coordinates (y, x): a tensor, an array or lists.
    Raises:
        GridError: if the points are not a non-empty (H, W, 2) floating tensor.
    """

    points: Tensor

    def __post_init__(self) -> None:
        points = _floats(self.points, "points")
        object.__setattr__(self, "points", points)
        if (
            points.ndim != 3
            or points.shape[2] != 2
            or not points.numel()
            or not points.is_floating_point()
        ):
            raise GridError(
                f"points have shape {tuple(points.shape)} and type {points.dtype}: "
                "expected non-empty (H, W, 2) floating-point plane coordinates (y, x)"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of a picture on this grid."""
        return self.points.shape[0], self.points.shape[1]


def _floats(values: object, name: str) -> Tensor:
    """Tensors as they are, anything else as one: in float64 unless it is floating already."""
    if isinstance(values, Tensor):
        return values
    try:
        found = torch.as_tensor(np.asarray(values))
        return found if found.is_floating_point() else found.double()
    except (TypeError, ValueError, RuntimeError):
        raise GridError(
            f"{name} of type {type(values).__name__}: expected a tensor, an array or a list of "
            "plane coordinates"
        ) from None


def pixel_centers(first: int, count: int, canvas: int) -> Tensor:
    """Plane coordinates of pixels `first` .. `first + count - 1` along one axis.

    The canvas spans [0, 1) by area, so pixel i of n is centered at (i + 0.5) / n. A picture of
    twice the size refines it exactly: the mean of a 2x2 block sits on the small one's pixel center.

    Args:
        first: index of the first pixel; may be negative or past the end (extrapolation).
        count: number of pixels, >= 1.
        canvas: pixels of the whole picture along this axis, >= 1.
    Returns:
        (count,) float64 tensor, strictly increasing, spacing 1 / canvas.
    Raises:
        GridError: if count or canvas is below 1.
    Example:
        >>> pixel_centers(0, 4, 4).tolist()
        [0.125, 0.375, 0.625, 0.875]
    """
    return (_indices(first, count, canvas) + 0.5) / canvas


def pixel_corners(first: int, count: int, canvas: int) -> Tensor:
    """Plane coordinates with the first and last pixel on the borders of [0, 1].

    The rule of the official CREPS, kept for its converted models: pixel i of n lies at i / (n - 1),
    and the only pixel of a canvas of one at 0. Arguments, result and errors as `pixel_centers`.

    Example:
        >>> pixel_corners(0, 3, 3).tolist()
        [0.0, 0.5, 1.0]
    """
    return _indices(first, count, canvas) / max(canvas - 1, 1)


def wrapped(coords: Tensor, period: float) -> Tensor:
    """Coordinates less whole periods, in [0, period]; as they are where the period is 0.

    Nothing is rounded: places whole periods apart become the same number, to the last bit.

    Example:
        >>> wrapped(torch.tensor([0.25, 1.25, -0.75], dtype=torch.float64), 1.0).tolist()
        [0.25, 0.25, 0.25]
    """
    return coords.remainder(period) if period else coords


def _indices(first: int, count: int, canvas: int) -> Tensor:
    if count < 1 or canvas < 1:
        raise GridError(f"{count} pixels of a canvas of {canvas}: both must be at least 1")
    return torch.arange(first, first + count, dtype=torch.float64)


@dataclass(frozen=True)
class Canvas:
    """A picture to be: its size in pixels, its window of the plane and its sampling rule.

    Args:
        height: rows of pixels, >= 1.
        width: columns of pixels, >= 1.
        window: (y0, x0, y1, x1) in plane units, mapped exactly onto the canvas; outside [0, 1] the
            generator extrapolates.
        sampling: "centers" (pixels are areas) or "corners" (border pixels on the window's borders).
    Raises:
        GridError: for sizes below 1, or a window that is not finite or not increasing.
    """

    height: int
    width: int
    window: Window = WHOLE_PLANE
    sampling: Sampling = "centers"

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise GridError(f"size {self.height}x{self.width}: both sides must be at least 1 pixel")
        if len(self.window) != 4 or not all(math.isfinite(edge) for edge in self.window):
            raise GridError(f"window {self.window}: expected four finite numbers y0, x0, y1, x1")
        y0, x0, y1, x1 = self.window
        if y1 <= y0 or x1 <= x0:
            raise GridError(f"window {self.window} is empty: expected y0 < y1 and x0 < x1")

    def rows(self, first: int = 0, count: int | None = None) -> Tensor:
        """(count,) plane coordinates of pixel rows `first`, `first + 1`, ... (all by default)."""
        return self._axis(self.window[0], self.window[2], first, count, self.height)

    def columns(self, first: int = 0, count: int | None = None) -> Tensor:
        """(count,) plane coordinates of pixel columns `first`, `first + 1`, ... (default: all)."""
        return self._axis(self.window[1], self.window[3], first, count, self.width)

    def grid(self) -> AxisGrid:
        """The grid of the whole canvas."""
        return AxisGrid(self.rows(), self.columns())

    def _axis(self, start: float, stop: float, first: int, count: int | None, size: int) -> Tensor:
        place = pixel_centers if self.sampling == "centers" else pixel_corners
        unit = place(first, size - first if count is None else count, size)
        return start + (stop - start) * unit


def undistorted_window(height: int, width: int) -> Window:
    """The window that shows the whole unit square, centered, with square pixels.

    The shorter side of the picture spans [0, 1]; the longer side reaches beyond it on both ends.

    Example:
        >>> undistorted_window(1, 2)
        (0.0, -0.5, 1.0, 1.5)
    """
    if height < 1 or width < 1:
        raise GridError(f"size {height}x{width}: both sides must be at least 1 pixel")
    short = min(height, width)
    over_y, over_x = (height / short - 1) / 2, (width / short - 1) / 2
    return (-over_y if over_y else 0.0, -over_x if over_x else 0.0, 1 + over_y, 1 + over_x)
