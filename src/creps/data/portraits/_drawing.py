"""Portraits in pixels: any size, any window of the plane, and many of them in one ZIP file.

One renderer draws them all: resvg, a plain wheel whose software rasterizer needs no system library.
Skia is several times faster, but differs by about 0.15 of 255 on average at 256 pixels: with both,
a data set would depend on the machine that drew it.
"""

from __future__ import annotations

import io
import math
import os
import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from creps.data._set_files import draw_set, picture_name, png, ranges
from creps.data.portraits._art import ART_VERSION, CANVAS, optional
from creps.data.portraits._styles import DEFAULT_STYLE, portrait_style, portrait_svg
from creps.data.portraits._truth import DRAWINGS, portrait_truth
from creps.errors import ConfigError, GridError, MissingExtraError, nearest

if TYPE_CHECKING:  # coordinates need torch; without it drawing processes start at once
    from creps.coordinates import Window

LONGEST_SIDE = 16384
SETTINGS_NAME = "portraits.json"

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
    return _rasterize(art, height, width, window, canvas)


def _rasterize(
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
    drawn = resvg.svg_to_bytes(
        svg_string=unclipped, width=wide, height=tall, skip_system_fonts=True
    )
    with Image.open(io.BytesIO(drawn)) as image:
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


def write_portraits(
    out: str | os.PathLike[str],
    *,
    count: int,
    size: int,
    seed: int = 0,
    style: str = DEFAULT_STYLE,
    labels: Sequence[str] = (),
    workers: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> bool:
    """Draw portraits 0 .. count - 1 of a seed into a ZIP of PNG files.

    A file that already holds exactly these portraits is kept. The file appears complete or not at
    all: an interruption or a full disk leaves nothing behind.

    Args:
        out: path of the ZIP file; missing folders are made.
        count: how many, 1 .. 100,000,000.
        size: pixels of each side.
        seed: which family of portraits, >= 0.
        style: whose drawings: one of `STYLES`.
        labels: parts of `DRAWINGS`, such as ("hair", "clothes"): each portrait lies in a folder
            named by its drawings of them, "bun+dress", which is its class. Of the default style.
        workers: drawing processes; all cores by default. Processes are spawned, so a script that
            calls this needs the usual `if __name__ == "__main__":`.
        overwrite: replace a file that holds something else.
        progress: called with the number of portraits done so far, in order.
    Returns:
        True if the file was drawn, False if it existed.
    Raises:
        GridError: for settings that cannot be drawn.
        ConfigError: for an unknown style or label, or labels of another style than the default.
        DataError: if `out` holds something else, or cannot be written.
        MissingExtraError: if the packages of the `data` extra are missing.
    """
    out = Path(out)
    _check(count, size, seed)
    _check_labels(labels, style)
    settings = _settings(count, size, seed, style, labels)
    return draw_set(
        out,
        partial(_draw_chunk, size=size, seed=seed, style=style, labels=tuple(labels)),
        ranges(count, size),
        files=_filed,
        settings=settings,
        settings_name=SETTINGS_NAME,
        unset=() if labels else ("labels",),
        kind="portrait",
        attribution=portrait_style(style).attribution,
        workers=workers,
        overwrite=overwrite,
        progress=progress,
    )


def _draw_chunk(
    chunk: tuple[int, int], *, size: int, seed: int, style: str, labels: tuple[str, ...]
) -> list[tuple[str, bytes]]:
    """The class of each portrait, empty without labels, and its PNG file."""
    return [
        (_class(index, seed, labels), png(portrait(index, size, seed=seed, style=style)))
        for index in range(*chunk)
    ]


def _class(index: int, seed: int, labels: tuple[str, ...]) -> str:
    if not labels:
        return ""
    drawings = portrait_truth(index, seed).drawings
    return "+".join(drawings[part] for part in labels)


def _filed(drawn: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Portraits with their names: in folders of a thousand, or of a class."""
    for index, (kind, content) in enumerate(drawn):
        name = picture_name(index)
        yield (f"{kind}/{posixpath.basename(name)}" if kind else name), content


def _settings(
    count: int, size: int, seed: int, style: str, labels: Sequence[str]
) -> dict[str, Any]:
    """What the pixels depend on."""
    drawn = portrait_style(style)
    try:
        packages = ("dicebear-core", "dicebear-styles", "resvg-py")
        versions = {name: version(name) for name in packages}
    except PackageNotFoundError:
        raise MissingExtraError("drawing portraits", "data") from None
    settings = {
        "format": "creps portraits",
        "count": count,
        "size": size,
        "seed": seed,
        "art": ART_VERSION,
        "versions": versions,
        "licence": drawn.license,
        "credit": drawn.credit,
    }
    # Files of the default style, without labels, were written before there was anything else, and
    # stay as they are, in their spelling too.
    settings |= {} if style == DEFAULT_STYLE else {"style": style}
    return settings | ({"labels": list(labels)} if labels else {})


def _check(count: int, size: int, seed: int) -> None:
    if not 1 <= count <= 100_000_000:
        raise GridError(f"{count} portraits: expected 1 to 100,000,000")
    if not 1 <= size <= LONGEST_SIDE:
        raise GridError(f"size {size}: expected 1 to {LONGEST_SIDE} pixels")
    if seed < 0:
        raise GridError(f"seed {seed}: expected 0 or more")


def _check_labels(labels: Sequence[str], style: str) -> None:
    for name in labels:
        if name not in DRAWINGS:
            raise ConfigError(f"label {name!r}: {nearest(name, DRAWINGS)}")
    if len(set(labels)) < len(labels):
        raise ConfigError(f"labels {', '.join(labels)}: expected each once")
    if labels and style != DEFAULT_STYLE:
        raise ConfigError(f"labels of the style {style}: what is drawn is known of {DEFAULT_STYLE}")
