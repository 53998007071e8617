"""What is shown of the plane, at which size and how finely: checked once, on input.

The road of every picture: a `Latent` (whose picture, see `_styles`) and a `View` are made from what
a user says, before a model is loaded. `Renderer(generator, latent).painter(view)` is a source of
tiles (`_painter.TileSource`), and writers take any such source.
"""

from __future__ import annotations

import math
import operator
from dataclasses import InitVar, dataclass
from typing import Any, Literal, TypedDict, get_args

import torch

from creps._devices import available_memory
from creps.coordinates import FARTHEST, Canvas, Window, undistorted_window
from creps.errors import GridError, UsageError, nearest
from creps.networks.base import Generator
from creps.rendering._rounding import Depth
from creps.rendering.warps import Warp, WarpLike, as_warp

Size = int | tuple[int, int]
Repeats = int | tuple[int, int] | None
Samples = int | Literal["auto"]
Fit = Literal["whole", "crop"]
"""What a picture that is no square shows: the whole unit square, or what fills it."""
Precision = str | torch.dtype | None

PRECISIONS = {
    str(kind).removeprefix("torch."): kind
    for kind in (torch.float32, torch.float64, torch.bfloat16, torch.float16)
}
"""By name; half precision serves accelerators, with errors of some gray levels."""

PICTURE_LIMIT = 4 * 2**30
"""Bytes of the largest picture that is held in memory as a whole."""

TOLERANCE, LARGEST_TOLERANCE = 0.5, 64.0
"""How far colors may be off, in gray levels of 255: by default, and at most."""

DISTINCT = 8
"""Neighboring pixels are at least this many steps of float64 apart: none are drawn alike."""


class ViewOptions(TypedDict, total=False):
    """The keywords of a `View`, for calls that make one."""

    size: Size | None
    window: Window | None
    zoom: float | None
    pan: tuple[float, float] | None
    fit: Fit
    warp: WarpLike
    supersample: Samples
    tolerance: float
    exact: bool
    tile: Repeats
    tile_edge: int | None
    depth: Depth
    dither: bool


@dataclass(frozen=True, kw_only=True)
class View:
    """What a picture shows of the plane, at which size and how finely.

    Args:
        size: (height, width) in pixels, or one number for a square; None: the model's resolution.
        window: (y0, x0, y1, x1) in plane units, mapped exactly onto the picture; None shows the
            unit square undistorted: the shorter side spans [0, 1], the longer reaches beyond it.
        zoom, pan: instead of a window: how many times as large the scene is seen, and the
            (y, x) in the middle of the picture; see `view_window`.
        fit: "whole" shows the whole unit square, and in longer pictures what lies beyond it, where
            most models were never trained (`beyond_training`); "crop" the largest part of the unit
            square that has the picture's proportion.
        across: the scene is that many unit squares side by side (`Latent.across`).
        warp: changes the picture before the window is cut out: text such as "rotate:30", a warp, or
            a function of points (`rendering.warps`); black where it shows nothing.
        supersample: pixels are means of N x N samples, N >= 1: less shimmer where a
            picture is smaller than the detail of the model; "auto": as many as it takes, where it
            takes them.
        tolerance: how far colors may be off, in gray levels of 255 (with 16 bits of 4,095): what is
            smooth is interpolated from fewer pixels, and hardly any pixel is off by more (see
            `_sparse`). 0 evaluates every pixel, as do families whose pixels depend on each other.
        exact: evaluate every pixel, whatever the tolerance, and the lines of every point of a bent
            picture instead of looking them up in tables: up to a hundred times slower, closer by
            less than a gray level.
        tile: instead of a window, for models that repeat: (down, across) whole periods, or one
            number for both. The picture then closes on itself, and its repeats are alike to the
            last bit. A size of one number is its height; None: each at the model's own size.
        tile_edge: pixels of a side of what is drawn at once, >= 1, where every pixel is evaluated;
            bounds memory, changes pixels only by rounding. None: what suits the device and model.
        depth: bits of a channel, 8 or 16; 16 show no bands in smooth parts of large prints.
        dither: hide the bands of 8 bits under fine grain, which is the same however the picture is
            cut into tiles.
        map: of a material, what is drawn instead of its colors: "normal" (made unit length),
            "height" or "roughness".
    Raises:
        GridError: for impossible sizes, windows or tiles, for sizes that do not hold the periods of
            a tile in whole pixels, and for pixels so small that float64 cannot tell them apart.
        UsageError: for a window together with zoom, pan or a tile, an invalid warp, number of
            samples or tolerance.
    Example:
        >>> View(size=512, zoom=4, pan=(0.25, 0.5)).window
        (0.125, 0.375, 0.375, 0.625)
    """

    size: Size | None = None
    window: Window | None = None
    zoom: InitVar[float | None] = None
    pan: InitVar[tuple[float, float] | None] = None
    fit: InitVar[Fit] = "whole"
    across: int = 1
    warp: WarpLike = None
    supersample: Samples = 1
    tolerance: float = TOLERANCE
    exact: bool = False
    tile: Repeats = None
    tile_edge: int | None = None
    depth: Depth = 8
    dither: bool = False
    map: str = ""

    def __post_init__(self, zoom: float | None, pan: tuple[float, float] | None, fit: Fit) -> None:
        if self.tile is not None:
            self._check_tile(zoom is not None or pan is not None or fit != "whole")
        if self.size is not None and (self.tile is None or not isinstance(self.size, int)):
            object.__setattr__(self, "size", _both_sides(self.size))
        height, width = self.pixels or (1, self.across)
        undistorted_window(height, width)  # refuses sizes below 1
        if fit not in get_args(Fit):
            raise UsageError(f"fit {fit!r}: expected whole or crop")
        if self.window is not None:
            if zoom is not None or pan is not None or fit != "whole":
                raise UsageError("window given with zoom, pan or fit: expected one of them")
            window = numbers(self.window, 4, "window", "(y0, x0, y1, x1)")
            object.__setattr__(self, "window", window)
            Canvas(height, width, self.window)
        elif zoom is not None or pan is not None or fit != "whole" or self.across > 1:
            window = view_window(
                height,
                width,
                zoom=1.0 if zoom is None else numbers((zoom,), 1, "zoom", "a number")[0],
                pan=None if pan is None else numbers(pan, 2, "pan", "(y, x)"),
                across=self.across,
                fit=fit,
            )
            object.__setattr__(self, "window", window)
        if self.window is not None:
            if max(abs(edge) for edge in self.window) > FARTHEST:
                raise GridError(f"window {self.window}: expected edges within +-{FARTHEST:g}")
            refuse_beyond_precision(self.window, height, width)
        if self.warp is not None:
            object.__setattr__(self, "warp", as_warp(self.warp))
        if self.supersample != "auto":
            object.__setattr__(self, "supersample", _whole_samples(self.supersample))
        object.__setattr__(self, "tolerance", checked_tolerance(self.tolerance))
        if self.tile_edge is not None and self.tile_edge < 1:
            raise GridError(f"tile_edge of {self.tile_edge} pixels: expected at least 1")
        if self.depth not in (8, 16):
            raise UsageError(f"depth {self.depth!r}: expected 8 or 16 bits")
        if self.dither and self.depth != 8:
            raise UsageError("dither is for 8 bits: 16 show no bands")

    def _check_tile(self, moved: bool) -> None:
        """Make the repeats two numbers; refuse what cannot repeat, as what is moved or zoomed."""
        if self.window is not None or moved or self.across > 1:
            raise UsageError(
                "tile given with a window, zoom, pan, fit or several pictures: expected one of "
                "them, a tile is whole periods"
            )
        object.__setattr__(self, "tile", _repeats(self.tile))
        if self.pixels is not None:
            refuse_parts_of_periods(*self.pixels, repeats=_repeats(self.tile))

    @property
    def pixels(self) -> tuple[int, int] | None:
        """(height, width); None for the model's own resolution.

        Of a tile whose size is one number, the width is that of square periods.
        """
        if self.size is None:
            return None
        if self.tile is not None and isinstance(self.size, int):
            down, across = _repeats(self.tile)
            return self.size, max(self.size * across // down, 1)
        return _both_sides(self.size)

    @property
    def evaluated_within(self) -> float:
        """The tolerance in gray levels of 255; 0 where every pixel is to be evaluated."""
        return 0.0 if self.exact else self.tolerance / (1 if self.depth == 8 else 16)

    @property
    def bend(self) -> Warp | None:
        """The warp; None where the picture is straight."""
        return None if self.warp is None else as_warp(self.warp)

    def canvas(self, generator: Generator) -> Canvas:
        """Size, window and sampling rule of this picture for a model.

        Raises:
            GridError: for pixels of the model's own size that float64 cannot tell apart.
        """
        own = generator.config.resolution
        if self.tile is not None:
            return self._tiled_canvas(generator, _repeats(self.tile))
        height, width = self.pixels or (own, own * self.across)
        if self.window is None:
            return Canvas(height, width, undistorted_window(height, width), generator.sampling)
        refuse_beyond_precision(self.window, height, width)
        return Canvas(height, width, self.window, generator.sampling)

    def _tiled_canvas(self, generator: Generator, repeats: tuple[int, int]) -> Canvas:
        """Whole periods, as many down and across; one plane unit where a model does not repeat."""
        if not any(generator.period):
            raise UsageError(
                "pictures of this model do not repeat, so none closes on itself: train one that "
                "does with creps train --tile"
            )
        for name, count, each in zip(("down", "across"), repeats, generator.period, strict=True):
            if count > 1 and not each:
                raise UsageError(
                    f"tile {repeats[0]}x{repeats[1]}: pictures of this model do not repeat {name}, "
                    "expected 1 there"
                )
        tall, wide = (each or 1.0 for each in generator.period)
        down, across = repeats
        if self.size is None:
            own = generator.config.resolution
            height, width = round(own * tall) * down, round(own * wide) * across
        elif isinstance(self.size, int):
            height, width = self.size, round(self.size // down * wide / tall) * across
        else:
            height, width = self.size
        refuse_parts_of_periods(height, width, repeats=repeats)
        window = (0.0, 0.0, tall * down, wide * across)
        refuse_beyond_precision(window, height, width)
        return Canvas(height, width, window, generator.sampling)


def view_window(
    height: int,
    width: int,
    *,
    zoom: float = 1.0,
    pan: tuple[float, float] | None = None,
    across: int = 1,
    fit: Fit = "whole",
) -> Window:
    """The window of a view with square pixels.

    At zoom 1 the scene just fits into the picture, in its middle, or just fills it; at zoom 4 a
    quarter of that height and width fills it. Without zoom, pan and fit it is
    `coordinates.undistorted_window`.

    Args:
        height, width: of the picture, or any numbers in their proportion, >= 1.
        zoom: above 0; below 1 more than the scene is seen.
        pan: (y, x) of the plane in the middle of the picture; the middle of the scene by default.
        across: the scene is that many unit squares side by side, >= 1.
        fit: at zoom 1 "whole" shows the whole scene, "crop" nothing beyond it.
    Returns:
        (y0, x0, y1, x1) in plane units.
    Raises:
        GridError: for an invalid zoom or pan.
    Example:
        >>> view_window(512, 512, zoom=4, pan=(0.25, 0.5))
        (0.125, 0.375, 0.375, 0.625)
    """
    if min(height, width) < 1:
        raise GridError(f"size {height}x{width}: both sides must be at least 1 pixel")
    if not (zoom > 0 and math.isfinite(zoom)):
        raise GridError(f"zoom {zoom:g}: expected a finite number above 0, 2 shows twice as large")
    y, x = (0.5, across / 2) if pan is None else pan
    if not (math.isfinite(y) and math.isfinite(x)):
        raise GridError(f"pan {y:g},{x:g}: expected two finite numbers Y,X in plane units")
    if (across * height > width) == (fit == "whole"):  # its sides touch those of the picture
        half_y, half_x = across * height / width / 2, across / 2
    else:
        half_y, half_x = 0.5, width / height / 2
    return (y - half_y / zoom, x - half_x / zoom, y + half_y / zoom, x + half_x / zoom)


def numbers(values: object, count: int, name: str, shape: str) -> tuple[Any, ...]:
    """`count` numbers as plain ones; a UsageError that says their name and shape otherwise."""
    try:
        if isinstance(values, str):
            raise TypeError
        found = tuple(float(value) for value in values if not isinstance(value, str))  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        found = ()
    if len(found) != count:
        raise UsageError(f"{name} {values!r}: expected {shape}")
    return found


def refuse_parts_of_periods(height: int, width: int, *, repeats: tuple[int, int]) -> None:
    """Raise a GridError for sizes that do not hold so many whole periods in whole pixels."""
    down, across = repeats
    if height % down or width % across or min(height, width) < 1:
        rows, columns = height / down, width / across  # of a period
        columns = rows if abs(rows - columns) < 1 else columns  # meant as a square
        near = (max(round(side), 1) * n for side, n in ((rows, down), (columns, across)))
        raise GridError(
            f"size {height}x{width} does not hold {down}x{across} whole periods: expected a "
            f"multiple of {down} rows and {across} columns, such as {'x'.join(map(str, near))}"
        )


def refuse_beyond_precision(window: Window, height: int, width: int) -> None:
    """Raise a GridError for pixels too small for float64: about 40 octaves at 512 pixels."""
    y0, x0, y1, x1 = window
    for first, last, pixels in ((y0, y1, height), (x0, x1, width)):
        if last - first < DISTINCT * pixels * math.ulp(max(abs(first), abs(last))):
            raise GridError(
                f"window {window} at {height}x{width}: "
                "too small for float64 to tell its pixels apart, zoom in less deep"
            )


def refuse_beyond_memory(height: int, width: int, *, channels: int = 3, depth: Depth = 8) -> None:
    """Raise a GridError for a picture that cannot be held in memory as pixels."""
    needed = height * width * channels * depth // 8
    available = available_memory()
    limit = PICTURE_LIMIT if available is None else min(PICTURE_LIMIT, available)
    if needed > limit:
        reason = "is available" if limit == available else "is the limit"
        raise GridError(
            f"size {height}x{width} is {height * width / 1e6:,.0f} megapixels and needs "
            f"{needed / 1e9:,.1f} GB of memory, {limit / 1e9:,.1f} GB {reason}: "
            "ask for a smaller size, or for a window of it"
        )


def checked_tolerance(tolerance: float) -> float:
    """A tolerance as a number; a UsageError for none between 0 and `LARGEST_TOLERANCE`."""
    try:
        number = float(tolerance)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number <= LARGEST_TOLERANCE:
        raise UsageError(
            f"tolerance {tolerance}: expected 0 (every pixel) to {LARGEST_TOLERANCE:g} gray levels "
            f"of 255, usually {TOLERANCE:g}"
        )
    return number


def checked_dtype(dtype: Precision, device: torch.device) -> torch.dtype | None:
    """The requested precision, None for the generator's; a UsageError for one not supported."""
    if dtype is None:
        return None
    name = str(dtype).removeprefix("torch.").lower()
    if name not in PRECISIONS:
        raise UsageError(f"dtype {dtype}: {nearest(name, PRECISIONS)}")
    if name == "float64" and device.type == "mps":
        raise UsageError("dtype float64: mps has none, expected float32 or float16 there")
    return PRECISIONS[name]


def _repeats(tile: Repeats) -> tuple[int, int]:
    """(down, across) of a number of periods given as one number or two."""
    sides = tuple(tile) if isinstance(tile, tuple | list) else (tile, tile)
    try:
        down, across = (operator.index(side) for side in sides)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        down = across = 0
    if min(down, across) < 1:
        raise UsageError(
            f"tile {tile!r}: expected whole periods, one number or (down, across), each at least 1"
        )
    return down, across


def _both_sides(size: Size) -> tuple[int, int]:
    """(height, width) of a size given as one number or two."""
    sides = tuple(size) if isinstance(size, tuple | list) else (size, size)
    try:
        height, width = (operator.index(side) for side in sides)
    except (TypeError, ValueError):
        raise GridError(
            f"size {size!r}: expected whole pixels, one number or (height, width)"
        ) from None
    return height, width


def _whole_samples(samples: object) -> int:
    """A number of samples a side of a pixel as a plain integer."""
    try:
        number = operator.index(samples)  # type: ignore[arg-type]
    except TypeError:
        number = 0
    if number < 1:
        raise UsageError(f'supersample {samples!r}: expected a whole number from 1, or "auto"')
    return number
