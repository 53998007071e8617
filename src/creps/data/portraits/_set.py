"""Portrait data sets: many portraits drawn once, over all cores, into one ZIP file."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from creps.data._set_files import draw_set, named, png, ranges
from creps.data.portraits._art import ART_VERSION
from creps.data.portraits._drawing import LONGEST_SIDE, portrait
from creps.data.portraits._styles import DEFAULT_STYLE, portrait_style
from creps.errors import GridError, MissingExtraError

SETTINGS_NAME = "portraits.json"

_CHUNK_PIXELS = 1 << 21  # that a process draws at a time: a second of work
_CHUNK_LIMIT = 32  # portraits in it, which take their time however small


def write_portraits(
    out: str | os.PathLike[str],
    *,
    count: int,
    size: int,
    seed: int = 0,
    style: str = DEFAULT_STYLE,
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
        workers: drawing processes; all cores by default. Processes are spawned, so a script that
            calls this needs the usual `if __name__ == "__main__":`.
        overwrite: replace a file that holds something else.
        progress: called with the number of portraits done so far, in order.
    Returns:
        True if the file was drawn, False if it was there already.
    Raises:
        GridError: for settings that cannot be drawn.
        ConfigError: for an unknown style.
        DataError: if `out` holds something else, or cannot be written.
        MissingExtraError: if the packages of the `data` extra are missing.
    """
    out = Path(out)
    _check(count, size, seed, workers)
    settings = _settings(count, size, seed, style)
    return draw_set(
        out,
        partial(_draw_chunk, size=size, seed=seed, style=style),
        ranges(count, min(max(_CHUNK_PIXELS // size**2, 1), _CHUNK_LIMIT)),
        files=named,
        settings=settings,
        settings_name=SETTINGS_NAME,
        kind="portrait",
        attribution=portrait_style(style).attribution,
        workers=workers,
        overwrite=overwrite,
        progress=progress,
    )


def _draw_chunk(chunk: tuple[int, int], *, size: int, seed: int, style: str) -> list[bytes]:
    return [png(portrait(index, size, seed=seed, style=style)) for index in range(*chunk)]


def _settings(count: int, size: int, seed: int, style: str) -> dict[str, Any]:
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
        "licence": drawn.licence,
        "credit": drawn.credit,
    }
    # Files of the default style were written before there were others, and stay as they are.
    return settings if style == DEFAULT_STYLE else settings | {"style": style}


def _check(count: int, size: int, seed: int, workers: int | None) -> None:
    if not 1 <= count <= 100_000_000:
        raise GridError(f"{count} portraits: expected 1 to 100,000,000")
    if not 1 <= size <= LONGEST_SIDE:
        raise GridError(f"size {size}: expected 1 to {LONGEST_SIDE} pixels")
    if seed < 0:
        raise GridError(f"seed {seed}: expected 0 or more")
    if workers is not None and workers < 1:
        raise GridError(f"{workers} workers: expected 1 or more")
