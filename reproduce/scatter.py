"""Points as SVG."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from creps.metrics._pages import COLOURS, Plot


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
        f'<circle cx="{plot.across(x):.1f}" cy="{plot.down(y):.1f}" r="5" fill="{COLOURS[0]}" '
        'fill-opacity="0.7"/>'
        for x, y in points
    ]
    return "".join([plot.opening(x_name, y_name), *dots, plot.ending(x_name, y_name)])
