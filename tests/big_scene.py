"""A picture of any size from its pixels' places alone: what the tests of big pictures write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from creps.rendering._tiles import Tile
from creps.rendering.output import _chunks, _save
from creps.rendering.output._save import SUFFIXES, Outcome, Tiles, save_picture

Picture = NDArray[np.uint8]

HEIGHT, WIDTH, CHUNK = 70, 45, 16
CHUNKS = 5 * 3
SETTINGS = {"seed": 7, "credits": "drawn by a test"}
FORMATS = sorted({*SUFFIXES} - {".tiff", ".jpeg"})


def scene(channels: int = 3, *, rough: bool = True) -> Callable[[Tile], Picture]:
    """A producer of tiles, (h, w, channels) uint8.

    Args:
        channels: 1 or 3.
        rough: neighboring pixels differ wildly, so that no misplaced pixel goes unnoticed; else
            smooth, for formats that lose a little.
    """

    def make(tile: Tile) -> Picture:
        y = np.arange(tile.top, tile.top + tile.height, dtype=np.int64)[:, None, None]
        x = np.arange(tile.left, tile.left + tile.width, dtype=np.int64)[None, :, None]
        c = np.arange(channels)[None, None, :]
        if rough:
            return ((y * 7919 + x * 104729 + y * x * 31 + c * 53) % 251).astype(np.uint8)
        wave = np.sin(y / 9 + c) + np.cos(x / 13 - c)
        return (127.5 + 60 * wave).astype(np.uint8)

    return make


def whole(height: int, width: int, channels: int = 3, *, rough: bool = True) -> Picture:
    """The scene in one piece."""
    return scene(channels, rough=rough)(Tile(0, 0, height, width))


def average(picture: Picture) -> Picture:
    """A picture at half its size, by the definition: the mean of what exists, halves upwards."""
    height, width, channels = picture.shape
    result = np.empty(((height + 1) // 2, (width + 1) // 2, channels), np.uint8)
    for y in range(result.shape[0]):
        for x in range(result.shape[1]):
            block = picture[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].astype(np.float64)
            result[y, x] = np.floor(block.mean((0, 1)) + 0.5)
    return result


@pytest.fixture(autouse=True, scope="module")
def through_chunks() -> Iterator[None]:
    """Even small pictures go through chunks on the disk, small ones; for tests that import it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_save, "CHUNK", CHUNK)
        patch.setattr(_save, "SMALL", 0)
        patch.setattr(_chunks, "SECONDS", 0)
        yield


def write_scene(
    target: Path,
    make: Callable[[Tile], Picture] | None = None,
    *,
    size: tuple[int, int, int] = (HEIGHT, WIDTH, 3),
    **other: Any,
) -> Outcome:
    """`save_picture`; it refuses what is there."""
    height, width, channels = size
    source = Tiles(height=height, width=width, channels=channels, make=make or scene(channels))
    return save_picture(source, target, **{"settings": SETTINGS, "overwrite": False, **other})


def stopping_after(count: int, error: BaseException) -> Callable[[Tile], Picture]:
    """A producer that makes `count` tiles and fails."""
    left = iter(range(count))

    def make(tile: Tile) -> Picture:
        if next(left, None) is None:
            raise error
        return scene()(tile)

    return make


def contents(path: Path) -> dict[str, bytes]:
    """All files of a result, by name."""
    files = [path] if path.is_file() else []
    folders = [path, path.with_name(f"{path.stem}_files")]
    files += [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(path.parent)): file.read_bytes() for file in files}


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def damage(store: Path, which: int) -> None:
    """Change bytes of a chunk of an unfinished picture."""
    (log,) = store.glob("*.done")
    notes = np.fromfile(log, _chunks.NOTE)
    (note,) = notes[notes["index"] == which]
    with log.with_suffix(".chunks").open("rb+") as file:
        file.seek(int(note["offset"]) + int(note["length"]) // 2)
        file.write(b"damaged")
