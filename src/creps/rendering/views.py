"""Views: which window of the plane a picture shows, by zoom and pan."""

from __future__ import annotations

import math

from creps.coordinates import Window
from creps.errors import GridError

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
