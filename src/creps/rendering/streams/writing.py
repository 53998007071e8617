"""One door to picture files: small ones at once, large ones chunk by chunk so that they resume."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from creps.errors import GridError
from creps.rendering.renderer import Progress
from creps.rendering.requests import refuse_beyond_memory
from creps.rendering.streams.shards import Shard
from creps.rendering.streams.streaming import (
    DEFAULT_CHUNK,
    Make,
    Outcome,
    refuse_existing,
    unfinished,
    write_big,
)
from creps.rendering.tiles import plan
from creps.rendering.writers import FORMATS, refuse_beyond_format, save_picture

SMALL = 2**22
"""Samples of a picture that is made at once: some seconds of work, cheaper lost than kept."""

BIG_PACKAGES = ("zarr", "tifffile", "pyvips", "filelock")
"""What the extra `big` brings."""


def write_picture(
    target: str | Path,
    make: Make,
    *,
    height: int,
    width: int,
    channels: int,
    settings: Mapping[str, Any],
    samples: int = 1,
    shard: Shard | None = None,
    overwrite: bool = False,
    started: float | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Write a picture of any size; see `is_streamed` for how.

    Args:
        target, make, height, width, channels, settings, shard, overwrite, started, progress: as
            for `write_big`.
        samples: of a pixel's side, which the work grows with.
    Raises:
        as `write_big`; a small picture needs no extra.
    """
    target = Path(target)
    if is_streamed(target, height=height, width=width, samples=samples, shard=shard):
        return write_big(
            target,
            make,
            height=height,
            width=width,
            channels=channels,
            settings=settings,
            shard=shard,
            overwrite=overwrite,
            started=started,
            progress=progress,
        )
    refuse_beyond_format(target, height, width)
    refuse_beyond_memory(height, width, channels=channels)
    if not overwrite:
        refuse_existing(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    picture = np.empty((height, width, channels), np.uint8)
    done = 0
    tiles = plan(height, width, DEFAULT_CHUNK)
    for tile in tiles:  # those of `write_big`: the same pixels either way
        picture[tile.rows, tile.columns] = make(tile)
        done += tile.height * tile.width
        if progress is not None:
            progress(done, height * width)
    if not overwrite:
        refuse_existing(target)
    save_picture(target, picture, settings=settings)
    return Outcome(target, 0, len(tiles))


def is_streamed(
    target: Path, *, height: int, width: int, samples: int = 1, shard: Shard | None = None
) -> bool:
    """Whether a picture goes through chunks on disk, and so resumes after a stop.

    So do all but PNG, JPEG and WebP; of those the large ones, shared ones, and what was begun in
    this way. Without the extra `big`, flat pictures that fit in memory are made there.

    Args:
        target: the file.
        height, width: of the picture.
        samples: of a pixel's side.
        shard: which share is asked for.
    """
    if shard is not None or target.suffix.lower() not in FORMATS:
        return True
    if unfinished(target).exists():
        return True
    if height * width * samples**2 <= SMALL:
        return False
    if all(importlib.util.find_spec(package) for package in BIG_PACKAGES):
        return True
    try:
        refuse_beyond_memory(height, width)
    except GridError:
        return True
    return False
