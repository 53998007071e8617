"""Motions: what each frame of a film shows, as numbers alone.

A motion maps a fraction of the way, 0 to 1, to a `Frame`; `frames_of` samples it, eased, at the
frames of a film. Nothing here renders. Windows are (y0, x0, y1, x1) and points (y, x), in plane
units.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from creps.coordinates import Canvas, Window
from creps.errors import GridError, UsageError, nearest

Point = tuple[float, float]
Easing = Callable[[float], float]

RAMP = 0.15
"""Share of a film over which the easing "cruise" speeds up, and again slows down."""

MOST_FRAMES = 100_000
"""An hour at 30 frames a second; longer films are taken for a mistake."""

MOST_DEGREES = 1_000_000_000
"""Of a turn, either way: beyond, rounding moves pictures."""


SOFT = 0.3
"""Share of a nested copy's radius over which it fades into the picture around it."""


@dataclass(frozen=True)
class Nest:
    """A picture that holds itself about a point, smaller and smaller, without end.

    Magnified about the point by a copy's octaves it is the same picture again: that is what makes a
    zoom into it endless.

    Attributes:
        focus: (y, x) of the point.
        octaves: doublings of the scale from a copy to the next, above 0.
        radius: of the picture itself about the focus, in plane units; its copy k is
            2 ** (k * octaves) times smaller.
    """

    focus: Point
    octaves: float
    radius: float

    def rings(self, canvas: Canvas) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Which copy each pixel (H, W) lies in, and its share there; the rest is the one around."""
        y, x = self.focus
        rows, columns = canvas.rows().numpy() - y, canvas.columns().numpy() - x
        distance = np.hypot(rows[:, None], columns[None, :])
        y0, x0, y1, x1 = canvas.window
        pixel = min((y1 - y0) / canvas.height, (x1 - x0) / canvas.width)
        distance = np.maximum(distance, pixel / 4)  # the focus itself lies in every copy
        place = np.log2(self.radius / distance) / self.octaves
        copies = np.floor(place)
        inwards = 1 - np.exp2(-(place - copies) * self.octaves)  # 0 at its border, 1 at the focus
        t = np.clip(inwards / SOFT, 0, 1)
        return copies.astype(np.int64), t * t * (3 - 2 * t)

    def copied(self, window: Window, copy: int) -> Window:
        """What a window shows of a copy, as a window of the picture itself."""
        (y, x), scale = self.focus, 2.0 ** (copy * self.octaves)
        y0, x0, y1, x1 = window
        return (
            y + (y0 - y) * scale,
            x + (x0 - x) * scale,
            y + (y1 - y) * scale,
            x + (x1 - x) * scale,
        )


@dataclass(frozen=True)
class Frame:
    """What one frame shows.

    Attributes:
        window: this part of the plane fills the frame.
        degrees: the content is turned by so much about the window's center, anticlockwise.
        position: share of the way through several seeds, 0 to 1, as in `styles.SeedPath`.
        amount: of a warp: 0 shows the plane as it is, 1 the whole warp.
        nest: how the picture holds itself; None: it does not.
    """

    window: Window
    degrees: float = 0.0
    position: float = 0.0
    amount: float = 0.0
    nest: Nest | None = None


class Motion(ABC):
    """A way through frames."""

    @property
    def closed(self) -> bool:
        """Whether the way ends where it began."""
        return False

    @property
    def legs(self) -> int:
        """Equal parts of the way that are eased one by one."""
        return 1

    @abstractmethod
    def at(self, way: float) -> Frame:
        """The frame at a fraction `way` of the whole, 0 to 1; both ends are exact."""


@dataclass(frozen=True)
class ZoomMotion(Motion):
    """Exponential zoom about a point, which stays where it is on the screen.

    The window's sides are start * 2 ** (-octaves * way): equal times enlarge by equal factors,
    which the eye takes for constant speed. Edges are worked out from their distance to the focus,
    so that they keep their digits through dozens of octaves.

    Args:
        start: the first window.
        focus: (y, x) that is zoomed into; may lie outside the window.
        octaves: doublings of the scale; negative ones zoom out.
        endless: the picture holds itself about the focus (`Nest`), so that the way ends where it
            began; the focus lies within the window.
    Raises:
        GridError: if the window is empty or anything is not finite, and for an endless zoom of less
            than an octave or about a point outside.
    """

    start: Window
    focus: Point
    octaves: float
    endless: bool = False

    def __post_init__(self) -> None:
        _check_window(self.start)
        if not all(map(math.isfinite, (*self.focus, self.octaves))) or abs(self.octaves) > 1000:
            raise GridError(
                f"zoom of {self.octaves:g} octaves about {self.focus}: "
                "expected finite numbers, and at most 1000 octaves"
            )

        if self.endless:
            y0, x0, y1, x1 = self.start
            inside = y0 < self.focus[0] < y1 and x0 < self.focus[1] < x1
            if not (inside and abs(self.octaves) >= 1):
                raise GridError(
                    f"endless zoom of {self.octaves:g} octaves about {self.focus}: expected an "
                    "octave or more, about a point that is seen"
                )

    @property
    def closed(self) -> bool:
        return self.endless

    @property
    def _nest(self) -> Nest | None:
        if not self.endless:
            return None
        y0, x0, y1, x1 = self.start
        y, x = self.focus
        radius = math.hypot(max(y - y0, y1 - y), max(x - x0, x1 - x))
        return Nest(self.focus, abs(self.octaves), radius)

    def at(self, way: float) -> Frame:
        if way == 0:
            return Frame(self.start, nest=self._nest)
        scale = 2.0 ** (-self.octaves * way)
        y0, x0, y1, x1 = self.start
        y, x = self.focus
        edges = ((y, y0), (x, x0), (y, y1), (x, x1))
        y0, x0, y1, x1 = (about + (edge - about) * scale for about, edge in edges)
        return Frame((y0, x0, y1, x1), nest=self._nest)


@dataclass(frozen=True)
class PanMotion(Motion):
    """From one window to another, at a constant apparent speed.

    Windows of one size: a straight line. Of two sizes: the zoom about the one point that both show
    at the same place of the screen.

    Args:
        start, end: the first and the last window.
    Raises:
        GridError: if a window is empty or not finite.
    """

    start: Window
    end: Window

    def __post_init__(self) -> None:
        _check_window(self.start)
        _check_window(self.end)

    def at(self, way: float) -> Frame:
        a, b = self.start, self.end
        y0, y1 = _between((a[0], a[2]), (b[0], b[2]), way)
        x0, x1 = _between((a[1], a[3]), (b[1], b[3]), way)
        return Frame((y0, x0, y1, x1))


@dataclass(frozen=True)
class _Still(Motion):
    """A motion within one window."""

    window: Window

    def __post_init__(self) -> None:
        _check_window(self.window)


@dataclass(frozen=True)
class RotateMotion(_Still):
    """The content turned evenly about the window's center.

    Args:
        window: what is seen before the turn.
        degrees: the whole turn, anticlockwise; negative ones clockwise.
    Raises:
        GridError: if the window is empty or anything is not finite or beyond `MOST_DEGREES`.
    """

    degrees: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not abs(self.degrees) <= MOST_DEGREES:
            raise GridError(
                f"turn of {self.degrees} degrees: expected a finite number, up to "
                f"{MOST_DEGREES:,} either way"
            )

    @property
    def closed(self) -> bool:
        return self.degrees % 360 == 0

    def at(self, way: float) -> Frame:
        return Frame(self.window, degrees=self.degrees * way)


@dataclass(frozen=True)
class InterpolateMotion(_Still):
    """Through several seeds, each leg from one to the next.

    Args:
        window: what is seen, of every seed.
        seeds: how many there are, at least 2.
        back: whether a last leg leads back to the first.
    Raises:
        GridError: if the window is empty or not finite.
        UsageError: if there are fewer than two seeds.
    """

    seeds: int
    back: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.seeds < 2:
            raise UsageError(f"way through {self.seeds} seed: expected at least 2")

    @property
    def closed(self) -> bool:
        return self.back

    @property
    def legs(self) -> int:
        return self.seeds if self.back else self.seeds - 1

    def at(self, way: float) -> Frame:
        return Frame(self.window, position=way)


@dataclass(frozen=True)
class DistortMotion(_Still):
    """From the plane as it is to a whole warp.

    Args:
        window: what is seen before the warp.
    Raises:
        GridError: if the window is empty or not finite.
    """

    def at(self, way: float) -> Frame:
        return Frame(self.window, amount=way)


def linear(way: float) -> float:
    """Constant speed from the first frame to the last."""
    return way


def smoothstep(way: float) -> float:
    """Smooth start and stop: 3 w**2 - 2 w**3."""
    return way * way * (3 - 2 * way)


def cosine(way: float) -> float:
    """Smooth start and stop: half a cosine wave."""
    return 0.5 - 0.5 * math.cos(math.pi * way)


def cruise(way: float) -> float:
    """Constant speed, but for a short smooth start and stop: for long ways."""
    if way > 0.5:
        return 1 - cruise(1 - way)
    if way < RAMP:
        return way * way / (2 * RAMP * (1 - RAMP))
    return (way - RAMP / 2) / (1 - RAMP)


EASINGS: dict[str, Easing] = {
    easing.__name__: easing for easing in (linear, smoothstep, cosine, cruise)
}
"""Easings by name: from [0, 1] onto [0, 1], never backwards."""


def parse_easing(name: str) -> Easing:
    """The easing of that name; for others a UsageError that names the close ones.

    Example:
        >>> parse_easing("smoothstep")(0.25)
        0.15625
    """
    if name not in EASINGS:
        raise UsageError(f"unknown easing {name!r}: {nearest(name, EASINGS)}")
    return EASINGS[name]


def frames_of(
    motion: Motion, *, count: int, easing: Easing = linear, loop: bool = False
) -> list[Frame]:
    """What each of `count` frames of a film shows; the easing is that of each leg of the way.

    The last frame is the end of the way. With `loop` it leads back to the first: a closed motion
    stops one frame before its end, any other goes there and back.

    Example:
        >>> motion = RotateMotion((0, 0, 1, 1), 360)
        >>> [frame.degrees for frame in frames_of(motion, count=4, loop=True)]
        [0.0, 90.0, 180.0, 270.0]
    """
    if not 1 <= count <= MOST_FRAMES:
        raise UsageError(f"{count:,} frames: expected 1 to {MOST_FRAMES:,}")
    result = []
    for index in range(count):
        way = index / (count if loop else max(count - 1, 1))
        if loop and not motion.closed:
            way = 1 - abs(1 - 2 * way)
        leg = min(int(way * motion.legs), motion.legs - 1)
        eased = (leg + easing(way * motion.legs - leg)) / motion.legs
        result.append(motion.at(min(eased, 1.0)))  # rounding may overshoot
    return result


def window_about(window: Window, center: Point) -> Window:
    """The window of the same size about another center.

    Example:
        >>> window_about((0.0, 0.0, 0.5, 1.0), (0.5, 0.5))
        (0.25, 0.0, 0.75, 1.0)
    """
    half_y, half_x = (window[2] - window[0]) / 2, (window[3] - window[1]) / 2
    y, x = center
    return (y - half_y, x - half_x, y + half_y, x + half_x)


def _check_window(window: Window) -> None:
    """A GridError for a window that is empty or not finite."""
    Canvas(1, 1, window)


def _between(start: Point, end: Point, way: float) -> Point:
    """The edges of one axis on the way from (first, last) to (first, last).

    Both are weighted alike, w of the end and 1 - w of the start, and w is such that the side
    between them is start * ratio ** way: w = (ratio ** way - 1) / (ratio - 1). Each weight has its
    own formula, free of cancellation where it is small.
    """
    if way in (0, 1):
        return end if way else start
    log = math.log((end[1] - end[0]) / (start[1] - start[0]))
    if abs(log) < 1e-12:  # windows of one size: the limit of both formulas
        old, new = 1 - way, way
    else:
        new = math.expm1(way * log) / math.expm1(log)
        old = math.expm1((way - 1) * log) / math.expm1(-log)
    return old * start[0] + new * end[0], old * start[1] + new * end[1]
