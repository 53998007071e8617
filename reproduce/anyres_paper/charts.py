"""Charts of Figures 4 and 12: how large the pictures of a set are, as bars; points, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from creps.metrics._pages import COLORS, Plot

Bar = tuple[int, int, int]
"""From this many pixels, below that many: how many pictures."""


def size_bars(short_sides: Sequence[int], most: int = 16, *, step: float = 0.5) -> list[Bar]:
    """Pictures by their shorter side, in bins of half an octave; one bin where all are equal.

    Args:
        short_sides: pixels, each >= 1.
        most: bins, at most; wider ones are taken where there would be more.
        step: octaves a bin, one over a whole number.
    Example:
        >>> size_bars([64, 100, 100, 250])
        [(64, 91, 1), (91, 128, 2), (128, 182, 0), (182, 256, 1)]
    """
    low, high = min(short_sides), max(short_sides)
    if low == high:
        return [(low, low + 1, len(short_sides))]
    while math.floor(math.log2(high) / step) - math.floor(math.log2(low) / step) >= most:
        step *= 2
    first, last = math.floor(math.log2(low) / step), math.floor(math.log2(high) / step)
    edges = [math.ceil(2 ** (k * step)) for k in range(first, last + 2)]
    return [(a, b, sum(a <= side < b for side in short_sides)) for a, b in pairwise(edges)]


def bars_picture(bars: Sequence[Bar], *, title: str) -> Image.Image:
    """The same as a picture in color."""
    left, top, bar, height = 60, 50, 56, 260
    image = Image.new("RGB", (left + bar * len(bars) + 30, top + height + 90), "white")
    draw = ImageDraw.Draw(image)
    ink, small, large = (40, 40, 48), ImageFont.load_default(13), ImageFont.load_default(17)
    draw.text((left, 14), title, ink, large)
    most = max(count for _, _, count in bars)
    for k, (low, high, count) in enumerate(bars):
        x, tall = left + k * bar, round(height * count / most)
        draw.rectangle((x + 4, top + height - tall, x + bar - 4, top + height), (84, 120, 190))
        if count:
            draw.text((x + bar // 2, top + height - tall - 3), f"{count}", ink, small, anchor="ms")
        label = f"{low}" if high == low + 1 else f"{low}-\n{high - 1}"
        draw.multiline_text(
            (x + bar // 2, top + height + 6), label, ink, small, anchor="ma", align="center"
        )
    draw.line((left, top + height, left + bar * len(bars), top + height), ink)
    middle = left + bar * len(bars) // 2
    draw.text((middle, top + height + 74), "pixels of the shorter side", ink, small, anchor="ms")
    return image


def scatter_chart(
    points: NDArray[np.float64],
    *,
    x_name: str,
    y_name: str,
    size: tuple[int, int] = (320, 640),
) -> str:
    """Points, as SVG.

    Args:
        points: (N, 2) finite (x, y), N >= 1.
        x_name, y_name: of the axes.
        size: (height, width) in CSS pixels; it shrinks where there is less room.
    """
    (left, low), (right, high) = points.min(0), points.max(0)
    space = 0.05 * (right - left), 0.05 * (high - low)
    plot = Plot((left - space[0], right + space[0]), (low - space[1], high + space[1]), size=size)
    dots = [
        f'<circle cx="{plot.across(x):.1f}" cy="{plot.down(y):.1f}" r="5" fill="{COLORS[0]}" '
        'fill-opacity="0.7"/>'
        for x, y in points
    ]
    return "".join([plot.opening(x_name, y_name), *dots, plot.ending(x_name, y_name)])
