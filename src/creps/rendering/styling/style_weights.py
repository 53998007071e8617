"""How several styles share the plane: gradients, rings, stripes and masks.

Each class here is a function of points: (P, 2) plane coordinates (y, x) to (M, P) weights of M
styles, from 0 to 1, that sum to 1 at each point. `style_fields` makes pictures of them; any other
function of this kind serves as well. Styles are numbered in the order of the field's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from creps.coordinates import WHOLE_PLANE, Window
from creps.errors import DataError, UsageError

Weights = Callable[[Tensor], Tensor]
"""Points (P, 2) of (y, x) to weights (M, P)."""


def smoothstep(t: Tensor) -> Tensor:
    """0 up to 0, 1 from 1 on, 3t^2 - 2t^3 between: slope 0 at both ends."""
    t = t.clamp(0, 1)
    return t * t * (3 - 2 * t)


def crossfade(place: Tensor, count: int, *, softness: float = 1.0) -> Tensor:
    """Weights of styles that follow one another, at places counted in styles.

    At place 0 there is the first style alone, at 1 the second; before the first and after the last
    nothing changes any more. Half-way between two styles they change over smoothly.

    Args:
        place: (P,) floating point.
        count: M, at least 1.
        softness: 1 changes over all the way between two styles, 0.2 in the middle fifth, 0 at once.
    Returns:
        (M, P), at most two of the M above 0 at each place.
    Example:
        >>> crossfade(torch.tensor([0.0, 0.5, 0.9, 7.0]), 2, softness=0.5).tolist()
        [[1.0, 0.5, 0.0, 0.0], [0.0, 0.5, 1.0, 1.0]]
    """
    place = place.clamp(0, count - 1)
    first = place.floor().clamp(max=max(count - 2, 0)).long()
    return _pairs(first, (first + 1).clamp(max=count - 1), place - first, count, softness=softness)


@dataclass(frozen=True)
class Gradient:
    """Styles one after the other along a direction, with smooth changes between them.

    Args:
        count: M, how many styles.
        start, stop: where the first and the last style are alone, plane units along the direction
            from the origin; the others lie evenly between.
        angle: the direction in degrees: 0 is left to right, 90 top to bottom.
        softness: as in `crossfade`.
    Raises:
        UsageError: for no styles, or a start that is not before the stop.
    """

    count: int
    start: float = 0.0
    stop: float = 1.0
    angle: float = 0.0
    softness: float = 1.0

    def __post_init__(self) -> None:
        _check(self.count, self.softness)
        if not (self.start < self.stop or self.count == 1):
            raise UsageError(f"gradient from {self.start} to {self.stop}: expected start < stop")

    def __call__(self, points: Tensor) -> Tensor:
        share = (_along(points, self.angle) - self.start) / max(self.stop - self.start, 1e-300)
        return crossfade(share * (self.count - 1), self.count, softness=self.softness)


@dataclass(frozen=True)
class Radial:
    """Styles in rings about a point, the first inside.

    Args:
        count: M, how many styles.
        inner, outer: radii in plane units: the first style is alone within the inner one, the last
            beyond the outer one.
        centre: (y, x) in plane units.
        softness: as in `crossfade`.
    Raises:
        UsageError: for no styles, or radii that are not 0 <= inner < outer.
    """

    count: int
    inner: float = 0.2
    outer: float = 0.5
    centre: tuple[float, float] = (0.5, 0.5)
    softness: float = 1.0

    def __post_init__(self) -> None:
        _check(self.count, self.softness)
        if not 0 <= self.inner < self.outer:
            raise UsageError(f"radii {self.inner} and {self.outer}: expected 0 <= inner < outer")

    def __call__(self, points: Tensor) -> Tensor:
        radius = (points - points.new_tensor(self.centre)).norm(dim=1)
        share = (radius - self.inner) / (self.outer - self.inner)
        return crossfade(share * (self.count - 1), self.count, softness=self.softness)


@dataclass(frozen=True)
class Stripes:
    """Styles in stripes of equal width, over and over.

    Args:
        count: M, how many styles.
        width: of a stripe, plane units; the first begins at the origin.
        angle: the direction across the stripes in degrees: 0 makes upright ones.
        softness: how much of a stripe's width the change to the next one takes, 0 to 1.
    Raises:
        UsageError: for no styles or no width.
    """

    count: int
    width: float = 0.25
    angle: float = 0.0
    softness: float = 0.5

    def __post_init__(self) -> None:
        _check(self.count, self.softness)
        if not self.width > 0:
            raise UsageError(f"stripes {self.width} wide: expected more than 0")

    def __call__(self, points: Tensor) -> Tensor:
        place = _along(points, self.angle) / self.width - 0.5  # whole at the middle of a stripe
        stripe = place.floor()
        first, second = (s.remainder(self.count).long() for s in (stripe, stripe + 1))
        return _pairs(first, second, place - stripe, self.count, softness=self.softness)


class Mask:
    """Weights painted by hand: one map for each style, interpolated bilinearly.

    A map's pixels are areas of its window, as in every picture; beyond the window the border pixels
    go on. Where all maps are in whole pixels of one style, so is the picture, up to half a pixel of
    the mask from the next style.

    Args:
        maps: (M, h, w), 0 or more, not 0 for all styles in any pixel; divided by their sum.
        window: (y0, x0, y1, x1) that the maps span.
    Raises:
        UsageError: for another shape, or values that are negative, not finite or all 0.
    """

    def __init__(self, maps: Tensor, *, window: Window = WHOLE_PLANE) -> None:
        if maps.ndim != 3 or not maps.numel():
            raise UsageError(f"mask of shape {tuple(maps.shape)}: expected (styles, height, width)")
        maps = maps.double()
        total = maps.sum(0)
        if not bool(maps.isfinite().all() and (maps >= 0).all() and (total > 0).all()):
            raise UsageError("mask: expected finite weights, 0 or more, not all 0 in any pixel")
        self.maps, self.window = maps / total, window

    def __call__(self, points: Tensor) -> Tensor:
        y0, x0, y1, x1 = self.window
        start, span = points.new_tensor([y0, x0]), points.new_tensor([y1 - y0, x1 - x0])
        places = ((points - start) / span * 2 - 1).flip(1)  # (P, 2) of (x, y), as grid_sample's
        maps = self.maps.to(points)
        sampled = F.grid_sample(
            maps[None], places[None, None], padding_mode="border", align_corners=False
        )
        return sampled[0, :, 0]


def gray_mask(values: Tensor, count: int, *, window: Window = WHOLE_PLANE) -> Mask:
    """A mask from one picture: 0 is the first style, 1 the last, grays lie between.

    Args:
        values: (h, w), 0 to 1; with two styles, the weight of the second.
        count: M, how many styles.
        window: as `Mask`.
    Raises:
        UsageError: for another shape or range.
    """
    if values.ndim != 2 or not bool(((values >= 0) & (values <= 1)).all()):
        raise UsageError(f"mask of shape {tuple(values.shape)}: expected (height, width), 0 to 1")
    _check(count, 0.0)
    place = values.double() * (count - 1)
    levels = torch.arange(count, dtype=torch.float64)[:, None, None]
    return Mask((1 - (place - levels).abs()).clamp(min=0), window=window)


def load_mask(path: str | Path, count: int, *, window: Window = WHOLE_PLANE) -> Mask:
    """A mask from a file: a picture (see `gray_mask`), or a NumPy array.

    Args:
        path: an image in any format Pillow reads, black 0 and white 1; or a .npy file, (h, w) from
            0 to 1 as `gray_mask` or (M, h, w) as `Mask`.
        count: M, how many styles.
        window: as `Mask`.
    Raises:
        DataError: if the file is missing, broken or neither of these.
        UsageError: for a mask of another shape or range, or for another number of styles.
    """
    path = Path(path)
    try:
        array = _numpy_file(path) if path.suffix.lower() == ".npy" else _gray_picture(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such mask") from None
    except (OSError, ValueError, UnidentifiedImageError):
        raise DataError(f"{path}: neither a picture nor a NumPy array of numbers") from None
    values = torch.from_numpy(array)
    if values.ndim == 2:
        return gray_mask(values, count, window=window)
    if len(values) != count:
        raise UsageError(f"{path} has maps for {len(values)} styles: expected {count}")
    return Mask(values, window=window)


def _numpy_file(path: Path) -> NDArray[np.float64]:
    return np.asarray(np.load(path, allow_pickle=False), dtype=np.float64)


def _gray_picture(path: Path) -> NDArray[np.float64]:
    """(h, w), 0 to 1, with all the digits that a 16-bit picture has."""
    with Image.open(path) as image:
        if image.mode.startswith("I"):
            return np.asarray(image, dtype=np.float64) / 65535
        return np.asarray(image.convert("L"), dtype=np.float64) / 255


def _along(points: Tensor, angle: float) -> Tensor:
    """(P,): how far points (P, 2) lie along a direction from the origin."""
    turn = math.radians(angle)
    return points[:, 0] * math.sin(turn) + points[:, 1] * math.cos(turn)


def _pairs(first: Tensor, second: Tensor, share: Tensor, count: int, *, softness: float) -> Tensor:
    """(M, P) weights of two styles each, by how far it is from the first to the second, 0 to 1."""
    late = smoothstep((share - 0.5) / softness + 0.5) if softness else (share >= 0.5).to(share)
    weights = share.new_zeros(count, len(share))
    weights.scatter_add_(0, first[None], (1 - late)[None])
    return weights.scatter_add_(0, second[None], late[None])


def _check(count: int, softness: float) -> None:
    if count < 1:
        raise UsageError(f"weights of {count} styles: expected at least 1")
    if not 0 <= softness <= 1:
        raise UsageError(f"softness {softness}: expected 0 (hard borders) to 1")
