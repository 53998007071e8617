"""Warps that roll the picture up: round a point, round a can, round the viewer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from creps.rendering.warps.base import Warp, angle_of, cosine_sine, register_warp


@dataclass(frozen=True)
class _Ring(Warp):
    """A ring about a point, and its places by radius and angle."""

    inner: float = 0.0
    outer: float = 0.5
    y: float = 0.5
    x: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = 0 <= self.inner < self.outer
        self._require(
            fits, f"radii {self.inner:g} to {self.outer:g}", expected="0 <= inner < outer"
        )


@register_warp("polar")
@dataclass(frozen=True)
class Polar(_Ring):
    """Bends the picture round a point: its top edge becomes the outer circle, its bottom edge the
    inner one, its columns rays; the middle column points up, left and right edge meet below.

    Args:
        inner, outer: radii in plane units, 0 <= inner < outer. Inside and outside the ring the
            plane goes on below and above the unit square.
        y, x: the centre, in plane units.
    """

    def __call__(self, points: Tensor) -> Tensor:
        down, right = points[..., 0] - self.y, points[..., 1] - self.x
        distance = (down * down + right * right).sqrt()
        clockwise = angle_of(right, -down) / (2 * math.pi)
        return torch.stack(
            [(self.outer - distance) / (self.outer - self.inner), 0.5 + clockwise], dim=-1
        )


@register_warp("unpolar")
@dataclass(frozen=True)
class Unpolar(_Ring):
    """Unrolls a ring of the picture into the unit square: what `polar` bends, laid flat.

    Args:
        inner, outer: radii in plane units, 0 <= inner < outer.
        y, x: the centre, in plane units.
    """

    def __call__(self, points: Tensor) -> Tensor:
        distance = self.outer - points[..., 0] * (self.outer - self.inner)
        clockwise = (points[..., 1] - 0.5) * (2 * math.pi)
        down, right = -distance * clockwise.cos(), distance * clockwise.sin()
        return torch.stack([self.y + down, self.x + right], dim=-1)


@register_warp("cylinder")
@dataclass(frozen=True)
class Cylinder(Warp):
    """Lays the picture round an upright can seen from the side, without perspective.

    The unit square's width covers `arc` degrees, its middle in front; rows stay at their heights.
    Left and right of the can there is nothing.

    Args:
        arc: degrees of the can that the picture covers, above 0 and at most 360; beyond its edges
            the plane goes on.
        turn: degrees that the can is turned, what is in front to the right.
        radius: of the can, in plane units; above 0.
        x: its axis, in plane units.
    """

    arc: float = 360.0
    turn: float = 0.0
    radius: float = 0.5
    x: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(
            0 < self.arc <= 360, f"arc {self.arc:g}", expected="degrees above 0, up to 360"
        )
        self._require(self.radius > 0, f"radius {self.radius:g}", expected="plane units above 0")

    def __call__(self, points: Tensor) -> Tensor:
        y, x = points.unbind(-1)
        longitude = ((x - self.x) / self.radius).asin()  # NaN beside the can
        turns = longitude / (2 * math.pi) - self.turn / 360
        return torch.stack([y, 0.5 + _nearest_turn(turns) * (360 / self.arc)], dim=-1)


@register_warp("equirectangular")
@dataclass(frozen=True)
class Equirectangular(Warp):
    """Looks round in the picture, taken as a panorama of the whole sphere, with a pinhole camera.

    Of the panorama, x from 0 to 1 is longitude from -180 to 180 degrees and y from 0 to 1 latitude
    from 90 to -90. The unit square of the output is what the camera sees.

    Args:
        yaw: degrees that the camera looks to the right of the panorama's middle.
        pitch: degrees that it looks up, -90 to 90.
        fov: field of view of the unit square's side in degrees, above 0 and below 180.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    fov: float = 90.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(abs(self.pitch) <= 90, f"pitch {self.pitch:g}", expected="-90 to 90 degrees")
        self._require(0 < self.fov < 180, f"fov {self.fov:g}", expected="degrees between 0 and 180")

    def __call__(self, points: Tensor) -> Tensor:
        half = math.tan(math.radians(self.fov / 2))
        up, right = ((0.5 - points[..., 0]) * (2 * half), (points[..., 1] - 0.5) * (2 * half))
        cosine, sine = cosine_sine(self.pitch)
        up, ahead = cosine * up + sine, cosine - sine * up  # before the camera was tilted
        latitude = angle_of(up, (right * right + ahead * ahead).sqrt()) / math.pi
        longitude = angle_of(right, ahead) / (2 * math.pi) + self.yaw / 360
        return torch.stack([0.5 - latitude, 0.5 + _nearest_turn(longitude)], dim=-1)


def _nearest_turn(turns: Tensor) -> Tensor:
    """Turns without the whole ones, in [-0.5, 0.5)."""
    shifted = turns + 0.5
    return shifted - shifted.floor() - 0.5
