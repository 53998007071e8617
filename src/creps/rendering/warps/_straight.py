"""Warps that keep straight lines straight: shifts, zooms, mirrors, rotations, matrices, corners.

Matrices act on columns (y, x, 1) in plane units. A user's matrix says where the picture goes; every
warp holds the inverse: where to sample.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creps.errors import GridError
from creps.rendering._words import numbers_text, parse_number
from creps.rendering.warps._base import Axes, Warp, cosine_sine, register_warp

Rows = tuple[tuple[float, ...], ...]
Array = NDArray[np.float64]
Table = Sequence[Sequence[float]] | NDArray[Any] | Tensor

LAST_ROW = (0.0, 0.0, 1.0)
UNIT_CORNERS = ((0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0))
"""(y, x) of the unit square: top left, top right, bottom right, bottom left."""
SINGULAR = 1e-12
"""A matrix squeezes the plane into a line when its determinant is below this part of its bound."""


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


@dataclass(frozen=True)
class _NumberTable(Projective):
    """A projective warp whose parameters are a table of numbers, written row by row."""

    rows: Table

    shapes: ClassVar[tuple[tuple[int, int], ...]]
    """Rows and columns that the table may have."""

    @property
    def _table(self) -> Array:
        return np.array(self.rows)  # nested tuples by now, see _keep

    @classmethod
    def from_text(cls, text: str) -> Self:
        misuse, usage = f"warp {cls.name}", cls.usage()
        numbers = [parse_number(word, misuse, usage) for word in text.split(",")]
        counts = [height * width for height, width in cls.shapes]
        if len(numbers) not in counts:
            wanted = " or ".join(map(str, counts))
            raise cls._misuse(f"{len(numbers)} numbers, expected {wanted}")
        return cls(np.reshape(numbers, (-1, cls.shapes[0][1])))

    def __str__(self) -> str:
        return f"{self.name}:{numbers_text(self._table.ravel().tolist())}"

    def _take(self) -> Array:
        """The rows as an array; refuse other shapes and numbers that are not finite."""
        table = _as_array(self.rows)
        wanted = " or ".join(f"{height}x{width}" for height, width in self.shapes)
        shape = "x".join(map(str, table.shape))
        self._require(table.shape in self.shapes, f"numbers of shape {shape}", expected=wanted)
        self._require(bool(np.isfinite(table).all()), "its numbers", expected="finite numbers")
        return table

    def _keep(self, table: Array) -> None:
        object.__setattr__(self, "rows", _as_rows(table))


@register_warp("affine")
@dataclass(frozen=True)
class Affine(_NumberTable):
    """Moves each place of the picture by a matrix: (y, x, 1) goes to rows @ (y, x, 1).

    Args:
        rows: 2 x 3 numbers, or 3 x 3 whose last row is 0, 0, 1: nested sequences, array or tensor.
            Kept as 2 x 3.
    """

    shapes = ((2, 3), (3, 3))

    def __post_init__(self) -> None:
        table = self._take()
        affine = len(table) == 2 or tuple(table[2]) == LAST_ROW
        self._require(affine, "its last row", expected="0, 0, 1, or use homography")
        _refuse_singular(self.name, table[:2, :2])
        self._keep(table[:2])

    @cached_property
    def _matrix(self) -> Rows:
        (a, b, c), (d, e, f) = self._table.tolist()
        scale = a * e - b * d
        p, q, r, s = e / scale, -b / scale, -d / scale, a / scale
        return (p, q, -(p * c + q * f)), (r, s, -(r * c + s * f)), LAST_ROW

    @classmethod
    def usage(cls) -> str:
        return f"{cls.name}:YY,YX,Y,XY,XX,X"


@register_warp("homography")
@dataclass(frozen=True)
class Homography(_NumberTable):
    """Moves each place of the picture by perspective: rows @ (y, x, 1) is w times where it goes.

    What lies at or behind the horizon (w <= 0) is not shown; the sign of w is taken so that the
    center of the unit square is.

    Args:
        rows: 3 x 3 numbers up to a common factor: nested sequences, array or tensor.
    """

    shapes = ((3, 3),)

    def __post_init__(self) -> None:
        table = self._take()
        _refuse_singular(self.name, table)
        depth = float(table[2] @ (0.5, 0.5, 1.0))
        self._require(depth != 0, "the picture's center on the horizon", expected="it in front")
        self._keep(table)

    @classmethod
    def from_corners(cls, targets: Table, sources: Table = UNIT_CORNERS) -> Homography:
        """The homography that moves four points to four others.

        Args:
            targets: four (y, x) where the points are to be seen.
            sources: four (y, x) of the picture; by default the corners of the unit square: top
                left, top right, bottom right, bottom left.
        Raises:
            GridError: unless both are convex quadrilaterals, in order round them.
        """
        return cls(_as_rows(_square_to(targets) @ _inverse(_square_to(sources))))

    @cached_property
    def _matrix(self) -> Rows:
        table = self._table
        front = math.copysign(1.0, float(table[2] @ (0.5, 0.5, 1.0)))
        return _as_rows(front * _inverse(table))

    @classmethod
    def usage(cls) -> str:
        return f"{cls.name}:YY,YX,Y,XY,XX,X,WY,WX,W"


@register_warp("perspective")
@dataclass(frozen=True)
class Perspective(_NumberTable):
    """Moves the corners of the unit square to four places, and all between by perspective.

    Args:
        rows: 4 x 2 numbers, (y, x) where the corners are seen: top left, top right, bottom right,
            bottom left; they must make a convex quadrilateral.
    """

    shapes = ((4, 2),)

    def __post_init__(self) -> None:
        self._keep(self._take())
        _ = self._matrix  # refuses corners that make no quadrilateral

    @cached_property
    def _matrix(self) -> Rows:
        return Homography.from_corners(self._table)._matrix

    @classmethod
    def usage(cls) -> str:
        return f"{cls.name}:Y,X,Y,X,Y,X,Y,X"


def _as_array(table: Table) -> Array:
    """The table in float64; an array of no entries where it is ragged or no table at all."""
    try:
        return np.array(table.tolist() if isinstance(table, Tensor) else table, dtype=np.float64)
    except (TypeError, ValueError):
        return np.zeros(0)


def _as_rows(table: Array) -> Rows:
    return tuple(tuple(map(float, row)) for row in table)


def _refuse_singular(name: str, table: Array) -> None:
    """Raise unless the determinant is a fair part of its bound, the product of row lengths."""
    with np.errstate(all="ignore"):  # an overflow is refused as well
        bound = float(np.prod(np.linalg.norm(table, axis=1)))
        determinant = abs(float(np.linalg.det(table)))
    if not determinant > SINGULAR * bound:
        raise GridError(f"warp {name}: its matrix is singular: expected one that can be inverted")


def _inverse(table: Array) -> Array:
    """The inverse of 3 x 3 by cross products: exact for permutations and powers of two."""
    a, b, c = table.T
    adjugate = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)])
    result: Array = adjugate / (a @ np.cross(b, c))
    return result


def _square_to(corners: Table) -> Array:
    """The homography of the unit square's corners to four others (Heckbert 1989, section 2.2)."""
    quad = _as_array(corners)
    if quad.shape != (4, 2) or not np.isfinite(quad).all():
        shape = "x".join(map(str, quad.shape))
        raise GridError(f"corners of shape {shape}: expected 4x2, four finite points (y, x)")
    sides = np.roll(quad, -1, axis=0) - quad
    following = np.roll(sides, -1, axis=0)
    turns = sides[:, 0] * following[:, 1] - sides[:, 1] * following[:, 0]
    size = float((sides**2).sum())
    if not (turns > SINGULAR * size).all() and not (turns < -SINGULAR * size).all():
        raise GridError(
            f"corners {_as_rows(quad)}: expected a convex quadrilateral, in order round it"
        )
    p00, p01, p11, p10 = quad
    slack = p00 - p01 + p11 - p10
    bend = np.linalg.solve(np.stack([p10 - p11, p01 - p11], axis=1), slack)  # along y, along x
    along_y = p10 - p00 + bend[0] * p10
    along_x = p01 - p00 + bend[1] * p01
    return np.array([*np.stack([along_y, along_x, p00], axis=1), [bend[0], bend[1], 1.0]])
