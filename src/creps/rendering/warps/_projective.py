"""Warps that keep straight lines straight: the base of all, shifts, zooms, mirrors and rotations.

Matrices act on columns (y, x, 1) in plane units; those here are the inverse maps: where to sample.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from creps.rendering.warps._base import Axes, Warp, cosine_sine, register_warp

Rows = tuple[tuple[float, ...], ...]

LAST_ROW = (0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Projective(Warp):
    """A warp that is one 3 x 3 matrix."""

    @property
    @abstractmethod
    def _matrix(self) -> Rows:
        """Three rows of three: homogeneous (y, x, 1) of the output to (y, x, w) of the plane.

        w is positive where the output shows the plane, and zero at the horizon.
        """

    def __call__(self, points: Tensor) -> Tensor:
        y, x = points.unbind(-1)
        to_y, to_x, to_w = self._matrix
        mapped = torch.stack([_dot(to_y, y, x), _dot(to_x, y, x)], dim=-1)
        if to_w == LAST_ROW:
            return mapped
        depth = _dot(to_w, y, x)[..., None]
        return torch.where(depth > 0, mapped / depth, math.nan)

    def axes(self, ys: Tensor, xs: Tensor) -> Axes | None:
        (yy, yx, y1), (xy, xx, x1), last = self._matrix
        if yx or xy or last != LAST_ROW:
            return None
        return yy * ys + y1, xx * xs + x1


@register_warp("identity")
@dataclass(frozen=True)
class Identity(Projective):
    """The picture as it is."""

    @cached_property
    def _matrix(self) -> Rows:
        return (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), LAST_ROW


@register_warp("translate")
@dataclass(frozen=True)
class Translate(Projective):
    """Moves the picture: CREPS, section 4.6, with the shifts -down and -right of the coordinates.

    Args:
        down, right: plane units that the picture moves; the unit square's side is 1.
    """

    down: float
    right: float = 0.0

    @cached_property
    def _matrix(self) -> Rows:
        return (1.0, 0.0, -self.down), (0.0, 1.0, -self.right), LAST_ROW


@register_warp("scale")
@dataclass(frozen=True)
class Scale(Projective):
    """Stretches the picture about a fixed point; negative factors mirror it.

    Args:
        height, width: how many times as high and wide the picture gets; not 0.
        y, x: the point that stays where it is, in plane units.
    """

    height: float
    width: float
    y: float = 0.5
    x: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("height", "width"):
            value = getattr(self, name)
            self._require(value != 0, f"{name} 0", expected="a factor, such as 2 or -1 to mirror")

    @cached_property
    def _matrix(self) -> Rows:
        return _about(self.y, self.x, ((1 / self.height, 0.0), (0.0, 1 / self.width)))


@register_warp("zoom")
@dataclass(frozen=True)
class Zoom(Projective):
    """Enlarges the picture about a fixed point (CREPS, section 4.6, which keeps the corner fixed).

    Args:
        factor: how many times as large the picture gets; below 1 it shrinks. Above 0.
        y, x: the point that stays where it is, in plane units.
    """

    factor: float
    y: float = 0.5
    x: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.factor > 0, f"factor {self.factor:g}", expected="a number above 0")

    @cached_property
    def _matrix(self) -> Rows:
        return _about(self.y, self.x, ((1 / self.factor, 0.0), (0.0, 1 / self.factor)))


@register_warp("rotate")
@dataclass(frozen=True)
class Rotate(Projective):
    """Turns the picture counter-clockwise; exactly where `degrees` is a multiple of 90.

    Args:
        degrees: the angle; negative turns clockwise.
        y, x: the point that the picture turns about, in plane units.
    """

    degrees: float
    y: float = 0.5
    x: float = 0.5

    @cached_property
    def _matrix(self) -> Rows:
        cosine, sine = cosine_sine(self.degrees)  # y points down
        return _about(self.y, self.x, ((cosine, sine), (-sine, cosine)))


def _dot(row: tuple[float, ...], y: Tensor, x: Tensor) -> Tensor:
    return row[0] * y + row[1] * x + row[2]


def _about(y: float, x: float, linear: Rows) -> Rows:
    """The linear map that leaves (y, x) where it is; exactly the identity for the unit matrix."""
    (yy, yx), (xy, xx) = linear
    return (yy, yx, y - (yy * y + yx * x)), (xy, xx, x - (xy * y + xx * x)), LAST_ROW
