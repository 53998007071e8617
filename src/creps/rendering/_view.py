"""What can be asked of the renderer, refused early where it makes no sense."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from pathlib import Path

import torch

from creps.coordinates import FARTHEST, Canvas, Window, undistorted_window
from creps.errors import GridError, UsageError, nearest
from creps.networks.base import Generator

# Views: which window of the plane a picture shows, by zoom and pan.


DISTINCT = 8
"""Neighbouring pixels are at least this many steps of float64 apart: none are drawn alike."""


def view_window(
    height: int,
    width: int,
    *,
    zoom: float = 1.0,
    pan: tuple[float, float] | None = None,
    across: int = 1,
) -> Window:
    """The window of a view with square pixels.

    At zoom 1 the scene just fits into the picture, in its middle; at zoom 4 a quarter of that
    height and width fills it. Without zoom and pan it is `coordinates.undistorted_window`.

    Args:
        height, width: of the picture, or any numbers in their proportion, >= 1.
        zoom: above 0; below 1 more than the scene is seen.
        pan: (y, x) of the plane in the middle of the picture; the middle of the scene by default.
        across: the scene is that many unit squares side by side, >= 1.
    Returns:
        (y0, x0, y1, x1) in plane units.
    Raises:
        GridError: for a zoom or pan that makes no sense.
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
    if across * height > width:  # the scene's sides touch those of the picture
        half_y, half_x = across * height / width / 2, across / 2
    else:
        half_y, half_x = 0.5, width / height / 2
    return (y - half_y / zoom, x - half_x / zoom, y + half_y / zoom, x + half_x / zoom)


def refuse_beyond_precision(window: Window, height: int, width: int) -> None:
    """Raise for a window so small that float64 cannot tell its pixels apart.

    Raises:
        GridError: says so; about 40 octaves at 512 pixels.
    """
    y0, x0, y1, x1 = window
    for first, last, pixels in ((y0, y1, height), (x0, x1, width)):
        if last - first < DISTINCT * pixels * math.ulp(max(abs(first), abs(last))):
            raise GridError(
                f"window {window} at {height}x{width}: "
                "too small for float64 to tell its pixels apart, zoom in less deep"
            )


Size = int | tuple[int, int]
Device = str | torch.device | None
Precision = str | torch.dtype | None

PRECISIONS = {
    str(kind).removeprefix("torch."): kind
    for kind in (torch.float32, torch.float64, torch.bfloat16, torch.float16)
}
"""By name; half precision serves accelerators, with errors of some grey levels."""

DEFAULT_TILE = 64
"""Pixels of a tile's side: its widest features (128 channels, 2 MiB) stay near a core. Measured
with the 512 preset: 48 to 96 are alike, 32 and 128 cost a sixth more, 256 twice as much."""
ACCELERATOR_TILE = 1024
"""The same on an accelerator, which wants much at once."""

PICTURE_LIMIT = 4 * 2**30
"""Bytes of the largest picture that is held in memory as a whole."""


@dataclass(frozen=True, kw_only=True)
class RenderRequest:
    """Which picture of a model to make; checked before any model is loaded.

    Args:
        size: (height, width) in pixels, or one number for a square; None: the model's resolution.
        window: (y0, x0, y1, x1) in plane units, mapped exactly onto the picture; None shows the
            unit square undistorted: the shorter side spans [0, 1], the longer reaches beyond it.
        truncation: 1 keeps the styles, 0 gives the average picture.
        truncation_cutoff: truncate only this many leading styles; None truncates all.
        tile: pixels of a tile's side, >= 1; bounds memory, changes pixels only by rounding. None:
            what suits the device and the model.
    Raises:
        GridError: for impossible sizes, windows or tiles.
        UsageError: for an impossible truncation.
    """

    size: Size | None = None
    window: Window | None = None
    truncation: float = 1.0
    truncation_cutoff: int | None = None
    tile: int | None = None

    def __post_init__(self) -> None:
        height, width = (1, 1) if self.size is None else _both_sides(self.size)
        if self.window is None:
            undistorted_window(height, width)
        else:
            Canvas(height, width, self.window)
            if max(abs(edge) for edge in self.window) > FARTHEST:
                raise GridError(f"window {self.window}: expected edges within +-{FARTHEST:g}")
        if not math.isfinite(self.truncation):
            raise UsageError(
                f"truncation {self.truncation}: expected a finite number, usually 0..1"
            )
        if self.truncation_cutoff is not None and self.truncation_cutoff < 0:
            raise UsageError(
                f"truncation cutoff {self.truncation_cutoff}: expected 0 or more styles"
            )
        if self.tile is not None and self.tile < 1:
            raise GridError(f"tile of {self.tile} pixels: expected at least 1")

    def canvas(self, generator: Generator) -> Canvas:
        """The canvas of this picture for a model: its resolution by default, its sampling rule."""
        size = generator.config.resolution if self.size is None else self.size
        height, width = _both_sides(size)
        window = undistorted_window(height, width) if self.window is None else self.window
        return Canvas(height, width, window, generator.sampling)


def refuse_beyond_memory(height: int, width: int, *, channels: int = 3) -> None:
    """Raise for a picture that cannot be held in memory as 8-bit pixels.

    Raises:
        GridError: says how many pixels and how much memory it would need.
    """
    needed = height * width * channels
    available = _available_memory()
    limit = PICTURE_LIMIT if available is None else min(PICTURE_LIMIT, available)
    if needed > limit:
        reason = "is available" if limit == available else "is the limit"
        raise GridError(
            f"size {height}x{width} is {height * width / 1e6:,.0f} megapixels and needs "
            f"{needed / 1e9:,.1f} GB of memory, {limit / 1e9:,.1f} GB {reason}: "
            "ask for a smaller size, or for a window of it"
        )


def checked_device(device: Device, generator: Generator) -> torch.device:
    """Where to work: the device asked for, the generator's own by default.

    Raises:
        UsageError: for words that name no device, and for one that is not there.
    """
    if device is None:
        return generator.device
    try:
        wanted = torch.device(device)
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0].rstrip(". ")
        raise UsageError(
            f"device {device}: {reason}; expected one that is there, such as cpu, cuda or mps"
        ) from None
    if wanted.type == "cuda" and wanted.index is None:  # as tensors call it
        return torch.device("cuda", torch.cuda.current_device())
    return wanted


def checked_dtype(dtype: Precision, device: torch.device) -> torch.dtype | None:
    """The precision asked for; None leaves the generator's own.

    Raises:
        UsageError: for any but float32, float64, bfloat16 and float16, and for float64 on a device
            that has none.
    """
    if dtype is None:
        return None
    name = str(dtype).removeprefix("torch.").lower()
    if name not in PRECISIONS:
        raise UsageError(f"dtype {dtype}: {nearest(name, PRECISIONS)}")
    if name == "float64" and device.type == "mps":
        raise UsageError("dtype float64: mps has none, expected float32 or float16 there")
    return PRECISIONS[name]


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


def _available_memory() -> int | None:
    """Bytes the system could hand out now, where it tells (Linux); None elsewhere."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(fields["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in fields else None
