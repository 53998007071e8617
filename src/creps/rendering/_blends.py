"""Pictures of several styles at once: each pixel mixes them with its own weights (CIPS, 4.8).

Weights are functions of points: (P, 2) plane coordinates (y, x) to (M, P) weights of M styles, from
0 to 1, that sum to 1 at each point. The classes here serve as well as any other such function. A
`StyleField` says which styles there are, how much each weighs where, and where its picture lies.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from creps.coordinates import WHOLE_PLANE, Window
from creps.errors import DataError, UsageError, nearest
from creps.pixels import read_numbers, read_picture
from creps.rendering._words import parameters_text, parse_parameters, usage_text

_LUMA = np.array((0.299, 0.587, 0.114))  # ITU-R 601

MOST_WEIGHTS = 3 << 24
"""Weights of a mask, of all its styles: 0.4 GB of memory, and three times that to make it."""

Weights = Callable[[Tensor], Tensor]
"""Points (P, 2) of (y, x) to weights (M, P)."""


def smoothstep(t: Tensor) -> Tensor:
    """0 up to 0, 1 from 1 on, 3t^2 - 2t^3 between: slope 0 at both ends."""
    t = t.clamp(0, 1)
    return t * t * (3 - 2 * t)


def crossfade(place: Tensor, count: int, *, softness: float = 1.0) -> Tensor:
    """Weights (M, P) of styles that follow one another, at places (P,) counted in styles.

    At place 0 there is the first style alone, at 1 the second; before the first and after the last
    nothing changes. Half-way between two styles they change over smoothly: all the way between them
    with softness 1, in the middle fifth with 0.2, at once with 0.

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
        angle: the direction in degrees: 0 is left to right, 90 top to bottom.
        softness: as in `crossfade`.
        start, stop: where the first and the last style are alone, plane units along the direction
            from the origin; the others lie evenly between.
    Raises:
        UsageError: for no styles, or a start that is not before the stop.
    """

    count: int
    angle: float = 0.0
    softness: float = 1.0
    start: float = 0.0
    stop: float = 1.0

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
        y, x: the point, in plane units.
        softness: as in `crossfade`.
    Raises:
        UsageError: for no styles, or radii that are not 0 <= inner < outer.
    """

    count: int
    inner: float = 0.2
    outer: float = 0.5
    y: float = 0.5
    x: float = 0.5
    softness: float = 1.0

    def __post_init__(self) -> None:
        _check(self.count, self.softness)
        if not 0 <= self.inner < self.outer:
            raise UsageError(f"radii {self.inner} and {self.outer}: expected 0 <= inner < outer")

    def __call__(self, points: Tensor) -> Tensor:
        radius = (points - points.new_tensor((self.y, self.x))).norm(dim=1)
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
    """A mask from one picture (h, w): 0 is the first of `count` styles, 1 the last.

    A UsageError for another shape or range, or one of too many weights.
    """
    if values.ndim != 2 or not bool(((values >= 0) & (values <= 1)).all()):
        raise UsageError(f"mask of shape {tuple(values.shape)}: expected (height, width), 0 to 1")
    _check(count, 0.0)
    if values.numel() * count > MOST_WEIGHTS:
        raise UsageError(
            f"mask of shape {tuple(values.shape)} for {count} styles: expected at most "
            f"{MOST_WEIGHTS // count:,} pixels; it is interpolated, so reduce it first"
        )
    maps = torch.empty(count, *values.shape, dtype=torch.float64)
    for level, weights in enumerate(maps):
        torch.mul(values, count - 1, out=weights)
        weights.sub_(level).abs_().neg_().add_(1).clamp_(min=0)
    return Mask(maps, window=window)


def load_mask(path: str | Path, count: int, *, window: Window = WHOLE_PLANE) -> Mask:
    """A mask from a file: a picture (see `gray_mask`), or a NumPy array.

    Args:
        path: a picture as `creps.pixels.read_picture` takes it, black 0 and white 1, transparent
            parts black; or a .npy file, (h, w) from 0 to 1 as `gray_mask` or (M, h, w) as `Mask`.
        count: M, how many styles.
        window: as `Mask`.
    Raises:
        DataError: if the file is missing, broken or neither of these, or paints black alone on a
            transparent ground.
        UsageError: for a mask of another shape or range, or for another number of styles.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such mask")
    numbers = path.suffix.lower() == ".npy"
    values = torch.from_numpy(_numpy_file(path) if numbers else _gray_picture(path))
    if values.ndim == 2:
        return gray_mask(values, count, window=window)
    if len(values) != count:
        raise UsageError(f"{path} has maps for {len(values)} styles: expected {count}")
    return Mask(values, window=window)


def _numpy_file(path: Path) -> NDArray[np.float64]:
    """The weights of a file, (h, w) or (styles, h, w)."""
    values = read_numbers(path, most=MOST_WEIGHTS)
    if values.ndim not in (2, 3):
        raise DataError(
            f"{path}: {values.ndim} dimensions, expected (height, width) or (styles, height, width)"
        )
    return values


def _gray_picture(path: Path) -> NDArray[np.float64]:
    """(h, w), 0 to 1, with all the digits that a picture has; what is transparent is black."""
    try:
        picture = read_picture(path, channels=4, precise=True)
    except DataError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise DataError(
            f"{path}: neither a picture nor a NumPy array of numbers ({reason})"
        ) from None
    values = np.empty(picture.shape[:2])
    colored = bool((picture[:, :, :3] != picture[:, :, :1]).any())
    for row, line in zip(values, picture, strict=True):  # in float64, a line at a time
        gray = line[:, :3] @ _LUMA if colored else line[:, 0]
        row[:] = (gray * (line[:, 3].astype(np.float64) / 255) / 255).clip(0, 1)
    alpha = picture[:, :, 3]
    if not values.any() and (alpha < 255).any():
        raise DataError(
            f"{path} paints nothing but black on a transparent ground, which counts as black: "
            "paint white what the last style is to have, or fill the ground with white"
        )
    return values


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


# As text, the form is that of warps, a name, a colon, and numbers in order or by name. A mask
# has a file first, a gray picture or .npy array: mask:FILE,x1=2; black is the first style.

_NUMBER_WORD = re.compile(r"\s*(?:[^/\\=]*=[^/\\]*|[-+.\d][-+.\deE]*|)\s*")
"""What follows a file name: a number, or one with its name."""

_KINDS: dict[str, Any] = {"gradient": Gradient, "radial": Radial, "stripes": Stripes}
BLENDS: dict[str, dict[str, float]] = {
    **{
        name: {f.name: float(getattr(kind, f.name)) for f in fields(kind) if f.name != "count"}
        for name, kind in _KINDS.items()
    },
    "mask": {"y0": 0.0, "x0": 0.0, "y1": 1.0, "x1": 1.0},
    "panorama": {"overlap": 0.5},
    "ring": {"overlap": 0.5},
}
"""Kinds of blends, with their numbers in order and by default."""

SIDE_BY_SIDE = ("panorama", "ring")
"""Blends whose styles have a unit square each; the right border of a ring meets its left one."""


@dataclass(frozen=True)
class StyleBlend:
    """One of `BLENDS`; `str` gives its text form. Made by `parse_blend`.

    Attributes:
        name: its kind.
        numbers: all its parameters.
        file: the mask, for masks.
    """

    name: str
    numbers: Mapping[str, float]
    file: str | None = None

    def across(self, count: int) -> int:
        """Unit squares side by side that `count` styles need."""
        return count if self.name in SIDE_BY_SIDE else 1

    def field(self, styles: Tensor) -> StyleField:
        """The styles (M, K, D), sharing the plane in this way.

        Raises:
            UsageError, DataError: for numbers out of range, or a mask that is invalid.
        """
        if self.name in SIDE_BY_SIDE:
            overlap = self.numbers["overlap"]
            return panorama(styles, overlap=overlap, closed=self.name == "ring")
        return StyleField(styles, self._weights(len(styles)))

    def check(self, count: int) -> None:
        """Raise what `field` would raise for `count` styles, without a model.

        Raises:
            UsageError, DataError: as `field`; also for a blend of one style.
        """
        if count < 2 and self.name != "ring":
            raise UsageError(
                f"blend {self.name} of one style: give several, such as --styles 7/12/3"
            )
        self.field(torch.zeros(count, 1, 1))

    @property
    def fingerprint(self) -> str | None:
        """Of the mask's bytes: its name does not show whether the file has changed."""
        if self.file is None:
            return None
        return hashlib.sha256(Path(self.file).read_bytes()).hexdigest()[:16]

    def __str__(self) -> str:
        text = parameters_text(self.name, self.numbers, BLENDS[self.name])
        if self.file is None:
            return text
        return f"{self.name}:{self.file}" + text.removeprefix(self.name).replace(":", ",", 1)

    def _weights(self, count: int) -> Weights:
        n = self.numbers
        if self.name in _KINDS:
            weights: Weights = _KINDS[self.name](count, **n)
            return weights
        assert self.file is not None
        window = (n["y0"], n["x0"], n["y1"], n["x1"])
        if not (window[0] < window[2] and window[1] < window[3]):
            raise UsageError(f"blend {self}: expected y0 < y1 and x0 < x1")
        return load_mask(self.file, count, window=window)


def parse_blend(text: str) -> StyleBlend:
    """Parse a blend such as `gradient:90` or `radial:inner=0.1,outer=0.3`.

    Raises:
        UsageError: for unknown names or parameters, and values that are not finite numbers.
    Example:
        >>> str(parse_blend("gradient:90,softness=0.5")), parse_blend("ring").across(3)
        ('gradient:angle=90,softness=0.5', 3)
    """
    name, _, words = text.strip().partition(":")
    if name not in BLENDS:
        raise UsageError(f"unknown blend {name!r}: {nearest(name, BLENDS)}")
    defaults, file, usage = BLENDS[name], None, usage_text(name, BLENDS[name])
    if name == "mask":
        file, words = _file_and_words(words.strip())
        usage = usage.replace(":", ":FILE,")
        if not file:
            raise UsageError("blend mask without a file: write mask:FILE, a picture or .npy array")
    numbers = parse_parameters(words, defaults, f"blend {name}", usage)
    for key, value in numbers.items():
        if not math.isfinite(value):
            raise UsageError(f"blend {name}, {key} {value}: expected a finite number")
    return StyleBlend(name, {key: float(numbers.get(key, d)) for key, d in defaults.items()}, file)


def _file_and_words(text: str) -> tuple[str, str]:
    """The file of a mask, whose name may hold commas, and the numbers after it."""
    parts = text.split(",")
    first = len(parts)
    while first > 1 and _NUMBER_WORD.fullmatch(parts[first - 1]) and not _is_file(text):
        first -= 1
    return ",".join(parts[:first]).strip(), ",".join(parts[first:])


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # no name at all
        return False


EVERYWHERE: Window = (-math.inf, -math.inf, math.inf, math.inf)

_SUM_TOLERANCE = 1e-5  # weights that a user's own function computes in float32


@dataclass(frozen=True)
class Frame:
    """Where on the plane one style of a field paints.

    Attributes:
        y, x: the place of its picture's origin: the style sees the point (0, 0) there.
        reach: (y0, x0, y1, x1) beyond which its weight is 0: its lines are not computed there.
    """

    y: float = 0.0
    x: float = 0.0
    reach: Window = EVERYWHERE


@dataclass(frozen=True, eq=False)
class StyleField:
    """Styles and how they share the plane.

    Args:
        styles: (M, K, D), one row a style, from `map`.
        weights: points (P, 2) of (y, x) to (M, P), 0 or more, sum 1 at each point: a class of
            `style_weights`, or any function that gives a point the same weights in every call.
        frames: M of them, or none: all styles paint the same plane.
    Raises:
        UsageError: if there are no styles, or not as many frames as styles.
    """

    styles: Tensor
    weights: Weights
    frames: tuple[Frame, ...] = ()

    def __post_init__(self) -> None:
        if self.styles.ndim != 3 or not len(self.styles):
            raise UsageError(f"styles of shape {tuple(self.styles.shape)}: expected (M, K, D)")
        if len(self.frames) not in (0, len(self.styles)):
            raise UsageError(
                f"{len(self.frames)} frames for {len(self.styles)} styles: expected one for each"
            )

    @property
    def placed(self) -> tuple[Frame, ...]:
        """A frame for each style."""
        return self.frames or (Frame(),) * len(self.styles)

    def weights_on(self, ys: Tensor, xs: Tensor) -> Tensor:
        """(M, H, W) weights of rows (H,) and columns (W,), checked.

        Raises:
            UsageError: if the function does not give M weights, 0 or more, that sum to 1.
        """
        points = torch.cartesian_prod(ys, xs).reshape(-1, 2)
        return self.weights_at(points).reshape(-1, len(ys), len(xs))

    def weights_at(self, points: Tensor) -> Tensor:
        """(M, P) weights at points (P, 2), checked; errors as `weights_on`."""
        weights = self.weights(points)
        expected = (len(self.styles), len(points))
        if weights.shape != expected:
            raise UsageError(f"weights of shape {tuple(weights.shape)}: expected {expected}")
        # Written so that NaN is refused too.
        if not bool((weights >= 0).all() and ((weights.sum(0) - 1).abs() <= _SUM_TOLERANCE).all()):
            raise UsageError("weights of styles: expected 0 or more, and the sum 1 at each point")
        return weights


def panorama(styles: Tensor, *, overlap: float = 0.5, closed: bool = False) -> StyleField:
    """Pictures side by side that flow into each other: style k fills the plane from x = k to k + 1.

    Each paints its own unit square, moved into place, and goes on a little beyond it, where it
    is mixed with its neighbor's. A canvas with the window (0, 0, 1, M) shows all of it.

    Args:
        styles: (M, K, D).
        overlap: width of the changes about x = 1, 2, ..., plane units, 0 (hard borders) to 1.
        closed: the last flows into the first: the picture's left and right borders fit together,
            as on a cylinder.
    Raises:
        UsageError: for another overlap, or no styles.
    """
    count = len(styles)
    places = range(-1, count + 1) if closed else range(count)
    ends = (places[0] + 0.5, places[-1] + 0.5) if count else (0.0, 1.0)
    weights = Gradient(len(places), start=ends[0], stop=ends[1], softness=overlap)
    frames = []
    for x in places:
        left = x - overlap / 2 if x > places[0] else -math.inf
        right = x + 1 + overlap / 2 if x < places[-1] else math.inf
        frames.append(Frame(0.0, float(x), (-math.inf, left, math.inf, right)))
    return StyleField(styles[[x % count for x in places]], weights, tuple(frames))
