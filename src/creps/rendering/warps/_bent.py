"""Warps that bend the picture: shaken, through a lens, swirled, rolled up, or by a user's map."""

from __future__ import annotations

import hashlib
import math
from copy import copy
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creps.coordinates import WHOLE_PLANE, Canvas, Window
from creps.errors import DataError, GridError
from creps.pixels import read_numbers
from creps.rendering._words import numbers_text
from creps.rendering.warps._base import Warp, angle_of, cosine_sine, register_warp

LARGEST_SEED = 2**32 - 1
WORD = 2**32 - 1
"""Mask of the 32 bits that the hash works in; int64 holds its products without overflow."""


@register_warp("elastic")
@dataclass(frozen=True)
class Elastic(Warp):
    """Shakes the picture smoothly at random (CREPS, Fig. 6): the same at any size and of any part.

    Each place is displaced by a uniform cubic B-spline, twice continuously differentiable, over an
    endless square lattice. The displacement of a lattice node is drawn from (seed, node) alone, so
    the field covers the whole plane and never repeats. It cannot fold the picture onto itself
    where amount < scale / 4.

    Args:
        amount: bound of the displacement along y and along x, in plane units, 0 or more; its root
            mean square is 0.28 of that.
        scale: distance of the lattice nodes in plane units, the size of the bulges; above 0.
        seed: which field, 0 .. 2**32 - 1.
    """

    amount: float
    scale: float = 0.25
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.amount >= 0, f"amount {self.amount:g}", expected="0 or more plane units")
        self._require(self.scale > 0, f"scale {self.scale:g}", expected="plane units above 0")
        seed_fits = 0 <= self.seed <= LARGEST_SEED
        self._require(seed_fits, f"seed {self.seed}", expected="0 to 4294967295")

    def __call__(self, points: Tensor) -> Tensor:
        lattice = points / self.scale
        corner = lattice.floor()
        row, column = corner.to(torch.int64).unbind(-1)
        weights_y, weights_x = (_cubic_weights(t) for t in (lattice - corner).unbind(-1))
        seed = _mix(torch.tensor(self.seed, device=points.device))
        shift_y, shift_x = torch.zeros_like(lattice).unbind(-1)
        for i, weight_y in enumerate(weights_y):
            row_hash = _mix(seed + row + i)
            for j, weight_x in enumerate(weights_x):
                first = _mix(row_hash + column + j)
                weight = weight_y * weight_x
                shift_y = shift_y + weight * _signed_unit(first)
                shift_x = shift_x + weight * _signed_unit(_mix(first))
        return points + self.amount * torch.stack([shift_y, shift_x], dim=-1)


@register_warp("barrel")
@dataclass(frozen=True)
class Barrel(Warp):
    """A lens: straight lines away from the center bow outwards, inwards where k1 is negative.

    Samples at r (1 + k1 r^2 + k2 r^4), with r the distance from the center in halves of the unit
    square's side: 1 at the middle of its edges.

    Args:
        k1, k2: coefficients of the radial polynomial; k1 > 0 barrel, k1 < 0 pincushion.
        y, x: the optical center, in plane units.
    """

    k1: float
    k2: float = 0.0
    y: float = 0.5
    x: float = 0.5

    def __call__(self, points: Tensor) -> Tensor:
        down, right = points[..., 0] - self.y, points[..., 1] - self.x
        square = 4 * (down * down + right * right)  # r^2
        stretch = 1 + square * (self.k1 + self.k2 * square)
        return torch.stack([self.y + down * stretch, self.x + right * stretch], dim=-1)


@register_warp("swirl")
@dataclass(frozen=True)
class Swirl(Warp):
    """Turns the picture's middle counter-clockwise, less and less towards a circle that stays.

    The angle at distance d is degrees (1 - (d / radius)^2)^2.

    Args:
        degrees: the turn at the center; negative turns clockwise.
        radius: of the circle, in plane units; above 0.
        y, x: its center, in plane units.
    """

    degrees: float
    radius: float = 0.5
    y: float = 0.5
    x: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.radius > 0, f"radius {self.radius:g}", expected="plane units above 0")

    def __call__(self, points: Tensor) -> Tensor:
        down, right = points[..., 0] - self.y, points[..., 1] - self.x
        calm = 1 - (down * down + right * right) / (self.radius * self.radius)
        angle = math.radians(self.degrees) * calm * calm
        cosine, sine = angle.cos(), angle.sin()
        turned = [self.y + cosine * down + sine * right, self.x - sine * down + cosine * right]
        return torch.where((calm <= 0)[..., None], points, torch.stack(turned, dim=-1))


def _cubic_weights(t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights of the four nodes about a place, t of the way from the second node to the third."""
    rest = 1 - t
    return (
        rest * rest * rest / 6,
        (4 - 3 * t * t * (2 - t)) / 6,
        (4 - 3 * rest * rest * (2 - rest)) / 6,
        t * t * t / 6,
    )


def _mix(value: Tensor) -> Tensor:
    """A 32-bit hash of integers (constants of Wellons' hash-prospector): exact on every device."""
    value = (value + 0x9E3779B9) & WORD  # else 0 would be mixed to 0
    value = ((value ^ (value >> 16)) * 0x21F0AAAD) & WORD
    value = ((value ^ (value >> 15)) * 0x735A2D97) & WORD
    return value ^ (value >> 15)


def _signed_unit(word: Tensor) -> Tensor:
    """32 bits to a number in [-1, 1]."""
    return word.double() * (2 / WORD) - 1


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
        y, x: the center, in plane units.
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
        y, x: the center, in plane units.
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
        longitude = ((x - self.x) / self.radius).asin()  # NaN outside the can
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


@register_warp("map")
@dataclass(frozen=True)
class PointMap(Warp):
    """Samples where an array says, interpolated bilinearly.

    The array lies over a window as pixels lie on a canvas: entry (i, j) at the center of the area
    of pixel (i, j). Any size serves, coarser maps too: between entries and beyond the outermost
    ones the map is continued linearly, so an array of an affine map is that map.

    Two maps are equal if their entries and windows are, wherever the arrays come from.

    Args:
        points: (H', W', 2) finite floating-point (y, x) in plane units, a tensor or array; kept as
            float64.
        window: (y0, x0, y1, x1) that the array covers; None is the window of the picture, and the
            unit square where there is no picture.
        source: the file it was read from, for `str`.
    Raises:
        GridError: for arrays of other shapes or types, with values that are not finite, or an empty
            window.
    """

    points: Tensor = field(compare=False, repr=False)
    window: Window | None = None
    source: str = field(default="", compare=False)
    fingerprint: str = field(init=False, repr=False)
    """SHA-256 of shape and entries: what maps are compared by."""

    def __post_init__(self) -> None:
        points = torch.as_tensor(self.points)
        label = f"map {self.source}".rstrip()
        if points.ndim != 3 or points.shape[2] != 2 or not points.numel():
            shape = "x".join(map(str, points.shape))
            raise GridError(f"{label} has shape {shape}: expected HxWx2, a (y, x) for each pixel")
        if not points.is_floating_point():
            name = str(points.dtype).removeprefix("torch.")
            raise GridError(f"{label} holds {name}: expected floating-point plane units, 0 to 1")
        points = points.detach().double().contiguous()
        if not points.isfinite().all():
            raise GridError(
                f"{label} holds values that are not finite: expected plane units, 0 to 1"
            )
        if self.window is not None:
            Canvas(1, 1, self.window)  # refuses empty and non-finite windows
            object.__setattr__(self, "window", tuple(float(edge) for edge in self.window))
        digest = hashlib.sha256(repr(tuple(points.shape)).encode())
        digest.update(points.cpu().numpy().astype("<f8").data)
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "fingerprint", digest.hexdigest())

    @classmethod
    def read(cls, path: str | PathLike[str], *, window: Window | None = None) -> Self:
        """A map of a NumPy file (.npy).

        Args:
            path: the file; arrays of Python objects (pickles) are refused, nothing in it is run.
            window: as for the class.
        Raises:
            GridError: if the file is missing, or its array is not numeric or not a map.
        """
        array = _read_array(Path(path))
        return cls(torch.from_numpy(array), window, str(path))

    @classmethod
    def from_text(cls, text: str) -> Self:
        if not text.strip():
            raise cls._misuse("no file")
        path, *edges = text.rsplit(",", 4)
        try:
            y0, x0, y1, x1 = map(float, edges)
        except ValueError:
            return cls.read(text)  # a file name with commas
        return cls.read(path, window=(y0, x0, y1, x1))

    @classmethod
    def usage(cls) -> str:
        return f"{cls.name}:FILE.npy or {cls.name}:FILE.npy,Y0,X0,Y1,X1"

    def __str__(self) -> str:
        height, width, _ = self.points.shape
        window = "" if self.window is None else f",{numbers_text(self.window)}"
        return f"{self.name}:{self.source or f'<array of {height}x{width}>'}{window}"

    def over(self, window: Window) -> Self:
        if self.window is not None:
            return self
        placed = copy(self)  # replace() would check and hash the entries again, for every tile
        object.__setattr__(placed, "window", window)
        return placed

    def __call__(self, points: Tensor) -> Tensor:
        entries = self.points.to(points.device)
        y0, x0, y1, x1 = WHOLE_PLANE if self.window is None else self.window
        y, x = points.unbind(-1)
        top, bottom, down = _neighbors((y - y0) / (y1 - y0), entries.shape[0])
        left, right, across = _neighbors((x - x0) / (x1 - x0), entries.shape[1])
        upper = _between(entries[top, left], entries[top, right], across)
        lower = _between(entries[bottom, left], entries[bottom, right], across)
        return _between(upper, lower, down)


def _neighbors(unit: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Indices of the two entries about a place of [0, 1], and how far between them it lies."""
    place = unit * count - 0.5
    first = place.floor().clamp(0, max(count - 2, 0)).nan_to_num(0.0)
    index = first.to(torch.int64)
    return index, (index + 1).clamp(max=count - 1), place - first


def _between(start: Tensor, stop: Tensor, part: Tensor) -> Tensor:
    return start + (stop - start) * part[..., None]


def _read_array(path: Path) -> NDArray[np.float64]:
    """The array of a file, in float64."""
    try:
        return read_numbers(path, kinds="f")
    except DataError as error:
        raise GridError(f"map {error}") from None
