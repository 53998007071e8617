"""Curves as SVG, for pages that are complete in themselves."""

from __future__ import annotations

import math
from html import escape

import numpy as np
from numpy.typing import NDArray

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Of lines in charts: told apart by colour-blind people too (Okabe and Ito)."""

LEFT, BOTTOM, TOP, RIGHT = 52, 40, 28, 16
"""Pixels around the plot."""


def line_chart(
    x: NDArray[np.float64],
    lines: dict[str, NDArray[np.float64]],
    *,
    x_name: str,
    y_name: str,
    size: tuple[int, int] = (320, 640),
) -> str:
    """Curves over one axis, as SVG.

    Args:
        x: (K,), increasing, K >= 2.
        lines: (K,) finite values by name; at most six.
        x_name, y_name: of the axes.
        size: (height, width) in CSS pixels; it shrinks where there is less room.
    """
    height, width = size
    values = np.concatenate(list(lines.values()))
    ys, xs = ticks(values.min(), values.max(), 5), ticks(x[0], x[-1], 6)
    low, high = min(ys[0], values.min()), max(ys[-1], values.max())

    def across(place: NDArray[np.float64] | float) -> NDArray[np.float64]:
        share: NDArray[np.float64] = (np.asarray(place) - x[0]) / (x[-1] - x[0])
        return LEFT + share * (width - LEFT - RIGHT)

    def down(value: NDArray[np.float64] | float) -> NDArray[np.float64]:
        share: NDArray[np.float64] = (high - np.asarray(value)) / (high - low)
        return TOP + share * (height - TOP - BOTTOM)

    parts = [
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" '
        f'style="max-width: 100%; height: auto" '
        f'aria-label="{escape(y_name)} over {escape(x_name)}">'
    ]
    for y in ys:
        parts.append(
            f'<line x1="{LEFT}" x2="{width - RIGHT}" y1="{down(y):.1f}" y2="{down(y):.1f}" '
            f'stroke="#8884"/><text x="{LEFT - 6}" y="{down(y) + 4:.1f}" text-anchor="end">'
            f"{tick_label(y)}</text>"
        )
    for place in (place for place in xs if x[0] <= place <= x[-1]):
        parts.append(
            f'<text x="{across(place):.1f}" y="{height - BOTTOM + 18}" text-anchor="middle">'
            f"{tick_label(place)}</text>"
        )
    start = LEFT
    for k, (name, line) in enumerate(lines.items()):
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across(x), down(line), strict=True))
        colour = COLOURS[k % len(COLOURS)]
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
            f'<text x="{start}" y="14" style="fill: {colour}">{escape(name)}</text>'
        )
        start += 8 * len(name) + 16
    parts.append(
        f'<text x="{(LEFT + width) / 2:.0f}" y="{height - 6}" text-anchor="middle">'
        f"{escape(x_name)} ({escape(y_name)} upwards)</text></svg>"
    )
    return "".join(parts)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers from about `low` to about `high`: within, where two or more are.

    Args:
        low, high: the range.
        most: about so many.
    Example:
        >>> ticks(0.02, 0.97, 5)
        [0.2, 0.4, 0.6, 0.8]
    """
    if not high > low:
        return [float(low), float(low) + 1]
    rough = (high - low) / most
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(times * unit for times in (1, 2, 5, 10, 20) if times * unit >= 0.7 * rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    if last <= first:
        first, last = math.floor(low / step), math.ceil(high / step)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def tick_label(value: float) -> str:
    """A number for an axis; thousands and millions by a letter.

    Example:
        >>> tick_label(20000), tick_label(1.5e6), tick_label(0.25)
        ('20k', '1.5M', '0.25')
    """
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:.6g}{letter}"
    return f"{value:.6g}"
