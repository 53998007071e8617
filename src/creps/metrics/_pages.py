"""HTML pages that are complete in themselves: pictures, tables and SVG charts in one file."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from creps._files import write_atomically
from creps.errors import one_line, printable, utf8

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --faint: #888; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
h1, h2 { font-weight: 600; line-height: 1.2; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .75rem .25rem 0; text-align: left; }
td.number, th.number { text-align: right; }
td.best { font-weight: 700; }
figure { display: inline-block; margin: 0 .75rem .75rem 0; vertical-align: top; }
figcaption, .faint { color: var(--faint); font-size: .85rem; }
img { display: block; max-width: 100%; height: auto; image-rendering: pixelated; }
svg text { fill: currentColor; font: 12px system-ui, sans-serif; }
"""


def write_page(
    path: str | Path, title: str, sections: Sequence[str], *, refresh: int | None = None
) -> None:
    """Write a title and sections of HTML; `refresh`: seconds until a browser looks again."""
    body = "\n".join(f"<section>{section}</section>" for section in sections)
    again = f'<meta http-equiv="refresh" content="{refresh}">' if refresh else ""
    text = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{again}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>{escape(title)}</h1>\n{body}\n</body></html>\n"
    )
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(Path(path), utf8(text).encode())


def heading(text: str) -> str:
    """A heading of a section."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str, *, faint: bool = False) -> str:
    """Plain text."""
    kind = ' class="faint"' if faint else ""
    return f"<p{kind}>{escape(text)}</p>"


def figure(picture: NDArray[np.uint8], caption: str, *, width: int | None = None) -> str:
    """A picture (H, W[, C]) with words under it, `width` CSS pixels wide."""
    buffer = io.BytesIO()
    flat = picture[:, :, 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture
    Image.fromarray(flat).save(buffer, "png", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    shown = f' width="{width}"' if width else ""
    words = escape(caption)
    image = f'<img src="data:image/png;base64,{data}" alt="{words}"{shown}>'
    return f"<figure>{image}<figcaption>{words}</figcaption></figure>"


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, best: Sequence[int | None] = ()
) -> str:
    """A table, `best` the cell to stress in each row.

    All columns but the first and those with long words hold numbers.
    """
    classes = [
        "number" if column > 0 and all(len(row[column]) < 16 for row in rows) else ""
        for column in range(len(columns))
    ]

    def cell(kind: str, text: str, names: str) -> str:
        given = f' class="{names.strip()}"' if names.strip() else ""
        return f"<{kind}{given}>{escape(text)}</{kind}>"

    head = "".join(cell("th", text, classes[k]) for k, text in enumerate(columns))
    lines = []
    for number, row in enumerate(rows):
        stressed = best[number] if number < len(best) else None
        lines.append(
            "".join(
                cell("td", text, classes[k] + (" best" if k == stressed else ""))
                for k, text in enumerate(row)
            )
        )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def shaded(
    values: NDArray[np.float64], *, low: float | None = None, high: float | None = None
) -> NDArray[np.uint8]:
    """Numbers as grays, `low` (the smallest by default) black and `high` (the largest) white."""
    low = float(values.min()) if low is None else low
    high = float(values.max()) if high is None else high
    scaled = (values - low) / (high - low if high > low else 1.0)
    grays: NDArray[np.uint8] = np.rint(255 * scaled.clip(0, 1)).astype(np.uint8)
    return grays


COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Of lines in charts: told apart by color-blind people too (Okabe and Ito)."""
DASHES = ("", "6 3", "2 2", "9 2 2 2")
"""Of the first six lines, the next six, and so on."""
SAMPLE = 22
"""Pixels that a piece of a line takes before its name, where there are dashes."""

LEFT, BOTTOM, TOP, RIGHT = 52, 40, 28, 16
"""Pixels around the plot."""


def line_chart(
    x: NDArray[np.float64] | dict[str, NDArray[np.float64]],
    lines: dict[str, NDArray[np.float64]],
    *,
    x_name: str,
    y_name: str,
    size: tuple[int, int] = (320, 640),
) -> str:
    """Curves (K,) by name, over increasing x (K,), one for all or by name, as SVG.

    Values that are not finite are gaps, a value between two gaps is a dot. `size` is (height,
    width) in CSS pixels; it shrinks where there is less room.
    """
    along = x if isinstance(x, dict) else dict.fromkeys(lines, x)
    sample = SAMPLE if len(lines) > len(COLORS) else 0
    legend = _legend(list(lines), size[1], sample=sample)
    more = legend[-1][1] - legend[0][1] if legend else 0  # pixels of further lines of names
    plot = Plot(_ends(along.values()), _ends(lines.values()), size=size, top=TOP + more)
    parts = [plot.opening(x_name, y_name)]
    for k, (name, line) in enumerate(lines.items()):
        left, base, shown = legend[k]
        color = COLORS[k % len(COLORS)]
        dashes = DASHES[k // len(COLORS) % len(DASHES)]
        pen = f'stroke="{color}" stroke-width="1.5"'
        pen += f' stroke-dasharray="{dashes}"' if dashes else ""
        places = np.stack([plot.across(along[name]), plot.down(line)], axis=1)
        known = np.isfinite(line).nonzero()[0]
        for piece in np.split(places[known], (np.diff(known) > 1).nonzero()[0] + 1):
            points = " ".join(f"{a:.1f},{b:.1f}" for a, b in piece)
            if len(piece) > 1:
                parts.append(f'<polyline points="{points}" fill="none" {pen}/>')
            elif len(piece):
                a, b = points.split(",")
                parts.append(f'<circle cx="{a}" cy="{b}" r="2" fill="{color}"/>')
        if sample:
            parts.append(f'<path d="M{left - sample},{base - 4}h{sample - 4}" {pen}/>')
        parts.append(
            f'<text x="{left}" y="{base}" style="fill: {color}">{escape(shown)}'
            + (f"<title>{escape(printable(name))}</title>" if shown != name else "")
            + "</text>"
        )
    return "".join([*parts, plot.ending(x_name, y_name)])


def _ends(values: Iterable[NDArray[np.float64]]) -> tuple[float, float]:
    """The smallest and largest finite number; 0 and 1 if there are none."""
    found = np.concatenate([np.empty(0), *values])
    found = found[np.isfinite(found)]
    return (found.min(), found.max()) if len(found) else (0.0, 1.0)


def _legend(names: list[str], width: int, *, sample: int) -> list[tuple[int, int, str]]:
    """Where names stand, (left, base line), side by side in as many lines as they need, and how.

    `sample` pixels stay free before each; the middle of one too long for a line is left out.
    """
    places, left, base = [], LEFT, 14
    for name in names:
        letter = 8 if name.isascii() else 13  # pixels
        shown = one_line(name, (width - LEFT - sample) // letter)
        wide = sample + letter * len(shown)
        if left > LEFT and left + wide > width:
            left, base = LEFT, base + 16
        places.append((left + sample, base, shown))
        left += wide + 16
    return places


class Plot:
    """From numbers to pixels, and what surrounds a plot; x, y: (smallest, largest) number.

    `top` pixels are left above it.
    """

    def __init__(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        *,
        size: tuple[int, int],
        top: int = TOP,
    ) -> None:
        (self.height, self.width), self.top = size, top
        self.first, self.last = (x[0], x[1]) if x[1] > x[0] else (x[0], x[0] + 1)
        self.ys, self.xs = ticks(*y, 5), ticks(self.first, self.last, 6)
        self.low, self.high = min(self.ys[0], y[0]), max(self.ys[-1], y[1])

    def across(self, place: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Pixels from the left."""
        share: NDArray[np.float64] = (np.asarray(place) - self.first) / (self.last - self.first)
        return LEFT + share * (self.width - LEFT - RIGHT)

    def down(self, value: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Pixels from the top."""
        share: NDArray[np.float64] = (self.high - np.asarray(value)) / (self.high - self.low)
        return self.top + share * (self.height - self.top - BOTTOM)

    def opening(self, x_name: str, y_name: str) -> str:
        """The beginning of an SVG, with the ticks."""
        parts = [
            f'<svg viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" role="img" style="max-width: 100%; height: auto" '
            f'aria-label="{escape(y_name)} over {escape(x_name)}">'
        ]
        for y in self.ys:
            parts.append(
                f'<line x1="{LEFT}" x2="{self.width - RIGHT}" y1="{self.down(y):.1f}" '
                f'y2="{self.down(y):.1f}" stroke="#8884"/><text x="{LEFT - 6}" '
                f'y="{self.down(y) + 4:.1f}" text-anchor="end">{_tick_label(y)}</text>'
            )
        parts += [
            f'<text x="{self.across(x):.1f}" y="{self.height - BOTTOM + 18}" '
            f'text-anchor="middle">{_tick_label(x)}</text>'
            for x in self.xs
            if self.first <= x <= self.last
        ]
        return "".join(parts)

    def ending(self, x_name: str, y_name: str) -> str:
        """What the axes are, and the end of the SVG."""
        return (
            f'<text x="{(LEFT + self.width) / 2:.0f}" y="{self.height - 6}" text-anchor="middle">'
            f"{escape(x_name)} ({escape(y_name)} upwards)</text></svg>"
        )


def standalone(svg: str) -> str:
    """An SVG as it is inside a page, as a file that shows the same on any ground."""
    begin, end, rest = svg.partition(">")
    opening = begin.replace(
        "<svg", '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="12"', 1
    )
    return f'{opening}{end}<rect width="100%" height="100%" fill="white"/>{rest}'


def ticks(low: float, high: float, most: int) -> list[float]:
    """About `most` round numbers from about `low` to `high`: within, where two or more are.

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


def _tick_label(value: float) -> str:
    """A number for an axis: 20k, 1.5M, 0.25."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:.6g}{letter}"
    return f"{value:.6g}"
