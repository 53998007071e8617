"""HTML pages that are complete in themselves: pictures, tables and charts in one file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from creps._files import write_atomically

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
    path: Path, title: str, sections: Sequence[str], *, refresh: int | None = None
) -> None:
    """Write a page: a title and sections of HTML.

    Args:
        path: of the page.
        title: of the page.
        sections: HTML.
        refresh: seconds after which a browser that shows it looks again; None: never.
    Raises:
        OSError: if it cannot be written.
    """
    body = "\n".join(f"<section>{section}</section>" for section in sections)
    again = f'<meta http-equiv="refresh" content="{refresh}">' if refresh else ""
    text = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{again}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>{escape(title)}</h1>\n{body}\n</body></html>\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())


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
    """A table; all columns but the first and those with long words hold numbers.

    Args:
        columns: headings.
        rows: cells.
        best: for each row the cell to stress, or None.
    """
    numeric = [
        column > 0 and all(len(row[column]) < 16 for row in rows) for column in range(len(columns))
    ]
    classes = ["number" if each else "" for each in numeric]

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
    return np.rint(255 * scaled.clip(0, 1)).astype(np.uint8)
