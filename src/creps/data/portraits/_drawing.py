"""Portraits in pixels: any size, any window of the plane.

One renderer draws them all: resvg, a plain wheel whose software rasteriser needs no system library.
Skia is several times faster, but differs by about 0.15 of 255 on average at 256 pixels: with both,
a data set would depend on the machine that drew it.
"""

from __future__ import annotations

import io
import math
import re
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from creps.data.portraits._art import CANVAS, optional
from creps.data.portraits._styles import DEFAULT_STYLE, portrait_style, portrait_svg
from creps.errors import GridError

if TYPE_CHECKING:  # coordinates need torch; without it drawing processes start at once
    from numpy.typing import NDArray

    from creps.coordinates import Window

LONGEST_SIDE = 16384

_MARGIN = 4  # pixels drawn around a picture and cut off


def portrait(
    index: int,
    size: int | tuple[int, int],
    *,
    seed: int = 0,
    window: Window = (0.0, 0.0, 1.0, 1.0),
    style: str = DEFAULT_STYLE,
) -> NDArray[np.uint8]:
    """Draw one portrait, or a window of it, at any size.

    Args:
        index: which portrait, >= 0.
        size: pixels, one side for a square or (height, width), each 1 .. LONGEST_SIDE.
        seed: which family of portraits, >= 0.
        window: (y0, x0, y1, x1) in plane units within [0, 1], mapped exactly onto the picture.
        style: one of `portrait_styles.STYLES`.
    Returns:
        (H, W, 3) uint8 RGB; the same bytes for the same arguments.
    Raises:
        GridError: for a size, window, index or seed that cannot be drawn.
        ConfigError: for an unknown style.
        MissingExtraError: if the packages of the `data` extra are missing.
    Example:
        >>> portrait(3, (48, 64), window=(0.25, 0.0, 1.0, 1.0)).shape
        (48, 64, 3)
    """
    height, width = size if isinstance(size, tuple) else (size, size)
    _check_picture(height, width, window)
    art, canvas = portrait_svg(index, seed, style=style), portrait_style(style).canvas
    return _rasterise(art, height, width, window, canvas)


def _rasterise(
    svg: str, height: int, width: int, window: Window, canvas: int = CANVAS
) -> NDArray[np.uint8]:
    # Resvg draws shapes that cross its border a little differently: with a margin that is cut off,
    # a window shows the pixels of the whole picture, but for rounding on a few outlines.
    resvg = optional("resvg_py")
    y0, x0, y1, x1 = (canvas * edge for edge in window)
    tall, wide = height + 2 * _MARGIN, width + 2 * _MARGIN
    unit_y, unit_x = (y1 - y0) / height, (x1 - x0) / width
    view = (
        f"{x0 - _MARGIN * unit_x!r} {y0 - _MARGIN * unit_y!r} {unit_x * wide!r} {unit_y * tall!r}"
    )
    frame = f'width="{wide}" height="{tall}" viewBox="{view}" preserveAspectRatio="none"'
    framed = svg.replace(f'viewBox="0 0 {canvas} {canvas}"', frame, 1)
    # The clip is the canvas, where the picture ends anyway; drawing without it is a third faster.
    unclipped = re.sub(r'<g clip-path="url\(#clip-\w+\)">', "<g>", framed, count=1)
    png = resvg.svg_to_bytes(svg_string=unclipped, width=wide, height=tall, skip_system_fonts=True)
    with Image.open(io.BytesIO(png)) as image:
        box = (_MARGIN, _MARGIN, _MARGIN + width, _MARGIN + height)
        return np.array(image.crop(box).convert("RGB"))


def _check_picture(height: int, width: int, window: Window) -> None:
    if not (1 <= height <= LONGEST_SIDE and 1 <= width <= LONGEST_SIDE):
        raise GridError(
            f"size {height}x{width}: expected sides of 1 to {LONGEST_SIDE} pixels; "
            "draw larger pictures in windows"
        )
    y0, x0, y1, x1 = window
    if not (
        all(math.isfinite(edge) for edge in window) and 0 <= y0 < y1 <= 1 and 0 <= x0 < x1 <= 1
    ):
        raise GridError(
            f"window {window}: portraits fill the unit square, expected "
            "0 <= y0 < y1 <= 1 and 0 <= x0 < x1 <= 1"
        )
