"""One door to picture files: small ones at once, large ones chunk by chunk so that they resume."""

from __future__ import annotations

import contextlib
import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from creps.errors import CrepsError, GridError, MissingExtraError, UsageError
from creps.rendering._painter import Picture, Progress
from creps.rendering._tiles import Tile, plan
from creps.rendering._view import refuse_beyond_memory
from creps.rendering.output._images import (
    FORMATS,
    read_settings,
    refuse_beyond_format,
    save_picture,
)
from creps.rendering.output._shards import Shard

if TYPE_CHECKING:
    from creps.rendering.output._store import TileStore

# Pictures larger than memory, written chunk by chunk; killed work resumes, many can share it.
#
# Finished chunks go to a folder beside the result, NAME.part.zarr. When all are there, the result
# is made of them and the folder removed. So one way of working gives every format, resumes after
# any crash, and spreads one picture over machines that share a disk.


Make = Callable[[Tile], Picture]

SUFFIXES = (".tif", ".tiff", ".dzi", ".zarr", *FORMATS)
"""What the formats of big pictures are named."""

DEFAULT_CHUNK = 512
"""Pixels of a chunk's side: less than 1 MiB to render again after a crash, few enough files."""


@dataclass(frozen=True)
class Outcome:
    """How far a picture is after one call of `write_big`.

    Attributes:
        path: the finished file; None while chunks of other shards are missing, or while another
            process makes the file.
        missing: chunks without pixels, of `chunks` in all.
        chunks: chunks of the whole picture.
    """

    path: Path | None
    missing: int
    chunks: int


def write_big(
    target: str | Path,
    make: Make,
    *,
    height: int,
    width: int,
    channels: int,
    settings: Mapping[str, Any],
    chunk: int = DEFAULT_CHUNK,
    shard: Shard | None = None,
    overwrite: bool = False,
    started: float | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Write a picture of any size, chunk by chunk; the same call goes on after a crash.

    Memory is that of a few chunks, for PNG of a stripe of 32 rows if that is more. JPEG adds some
    stripes inside libvips, and WebP, at most 16,383 pixels a side, is held whole by its encoder.

    Args:
        target: the file; its suffix is the format: .tif (BigTIFF), .dzi (Deep Zoom) and .zarr
            (OME-Zarr) have all smaller levels too, .png, .jpg and .webp are flat. Folders are made.
        make: the pixels of one chunk, (tile.height, tile.width, channels) uint8; must depend on
            nothing but the tile and `settings`.
        height, width: of the picture, >= 1.
        channels: 3 for colour, 1 for gray.
        settings: JSON values that determine the pixels; stored in the file, and compared before
            unfinished work is continued.
        chunk: pixels of a chunk's side.
        shard: render this share only; the process that writes the last chunk makes the file.
        overwrite: replace the file, and unfinished work with other settings; unfinished work with
            the same settings is continued in any case.
        started: when the work of all shards began, in seconds since the epoch. A shard that comes
            late, with nothing left to do, does not overwrite what the others finished since.
        progress: called with the pixels done and the pixels in all, of this shard; first with what
            an earlier call has done.
    Returns:
        the path, or what is still missing.
    Raises:
        UsageError: for an unknown suffix, a file that exists, or unfinished work that differs.
        GridError: for impossible sizes.
        MissingExtraError: without the packages of the `big` extra.
        OSError: if the disk is full or fails, with a path; what is done stays and is continued.
    """
    target = Path(target)
    _refuse_impossible(target, height, width, channels)
    plan(height, width, chunk)
    store_class, export = _machinery(target.suffix.lower())
    done = Outcome(target, 0, len(plan(height, width, chunk)))
    since = started if overwrite else 0.0

    def is_done() -> bool:
        """Whether other shards have made this very file."""
        return shard is not None and since is not None and _is_made(target, settings, since=since)

    if is_done():
        return done
    if not overwrite:
        refuse_existing(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    store = store_class.open(
        unfinished(target),
        height=height,
        width=width,
        channels=channels,
        settings=settings,
        chunk=chunk,
        overwrite=overwrite,
    )
    if is_done():  # while this process made its way here: the store is a new one, of no use
        _remove(store)
        return done
    _fill(store, make, shard=shard, progress=progress)
    missing = sum(1 for _ in store.pixels.missing())
    if missing and not store.path.exists():
        missing = 0  # not undone: another process has made the file and removed the chunks
    path = None if missing else _finish(store, target, export, overwrite=overwrite)
    return Outcome(path, missing, len(store.pixels.tiles))


def refuse_target(
    target: Path,
    *,
    height: int = 1,
    width: int = 1,
    shard: Shard | None = None,
    overwrite: bool = False,
) -> None:
    """Raise what `write_big` would raise of a target, as far as no model is needed for it.

    Args:
        target, shard, overwrite: as for `write_big`.
        height, width: of the picture, as far as known.
    Raises:
        UsageError, GridError: as `write_big`.
        MissingExtraError: for what cannot do without the packages of the `big` extra.
    """
    plan(height, width, DEFAULT_CHUNK)
    _refuse_impossible(target, height, width, 3)
    if shard is not None or target.suffix.lower() not in FORMATS:
        _machinery(target.suffix.lower())
    if not overwrite and shard is None:  # other shards may have made just this file
        refuse_existing(target)


def unfinished(target: Path) -> Path:
    """Where the chunks of a picture wait until all are there: NAME.part.zarr beside it."""
    return target.with_name(f"{target.name}.part.zarr")


def _refuse_impossible(target: Path, height: int, width: int, channels: int) -> None:
    """Raise for unknown formats, and for pictures that no file of the format can hold."""
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"{target.name}: unknown format, expected {', '.join(SUFFIXES)}")
    if suffix in FORMATS:
        refuse_beyond_format(target, height, width)
    if channels not in (1, 3):
        raise UsageError(f"{channels} channels: expected 3 (colour) or 1 (gray)")


def _machinery(suffix: str) -> tuple[type[TileStore], Callable[[TileStore, Path], None]]:
    """The store, and what makes the file of it; everything is imported before hours of work."""
    try:
        from creps.rendering.output import _formats as exports
        from creps.rendering.output import _formats as flat_exports
        from creps.rendering.output._store import TileStore
    except (ImportError, OSError):  # OSError: pyvips without libvips
        raise MissingExtraError("big pictures", "big") from None
    makers = {
        ".tif": exports.export_tiff,
        ".dzi": exports.export_deep_zoom,
        ".zarr": exports.export_zarr,
        ".png": flat_exports.export_png,
        ".jpg": flat_exports.export_jpeg,
        ".webp": flat_exports.export_webp,
    }
    return TileStore, makers[{".tiff": ".tif", ".jpeg": ".jpg"}.get(suffix, suffix)]


def refuse_existing(target: Path) -> None:
    """Raise if the result, or a part of it that this work has not made, is there.

    Raises:
        UsageError: names it.
    """
    tiles = target.with_name(f"{target.stem}_files")
    foreign_tiles = target.suffix.lower() == ".dzi" and tiles.exists()
    if target.exists() or (foreign_tiles and not unfinished(target).exists()):
        name = target if target.exists() else tiles
        raise UsageError(f"{name} exists: choose another name, or overwrite it")


def _is_made(target: Path, settings: Mapping[str, Any], *, since: float) -> bool:
    """Whether a file is there with these settings, no older than `since`."""
    try:
        stored = read_settings(target)
        return stored == json.loads(json.dumps(settings)) and target.stat().st_mtime >= since
    except (CrepsError, OSError):
        return False


def _remove(store: TileStore) -> None:
    """Remove a store that nobody needs, unless another process just does."""
    from creps.rendering.output._atomic import discard, exclusive

    with exclusive(store.path, wait=0) as ours, contextlib.suppress(FileNotFoundError):
        if ours:
            discard(store.path)


def _fill(store: TileStore, make: Make, *, shard: Shard | None, progress: Progress | None) -> None:
    """Make the missing chunks of a share."""
    from creps.rendering.output._atomic import check_disk

    tiles = store.pixels.tiles
    share = range(len(tiles)) if shard is None else shard.indices(len(tiles))
    total = sum(tiles[k].height * tiles[k].width for k in share)
    left = sum(tile.height * tile.width for tile in store.pixels.missing(shard))
    check_disk(store.path, left * store.pixels.channels)
    if progress is not None:
        progress(total - left, total)
    for tile in store.pixels.missing(shard):
        store.pixels.write(tile, make(tile))
        left -= tile.height * tile.width
        if progress is not None:
            progress(total - max(left, 0), total)


def _finish(
    store: TileStore,
    target: Path,
    export: Callable[[TileStore, Path], None],
    *,
    overwrite: bool,
) -> Path | None:
    """Make the file of a complete store, unless another process does."""
    from creps.rendering.output._atomic import discard, exclusive

    with exclusive(store.path, wait=0) as ours:
        if not ours:
            return None
        if not store.path.exists():  # another process was faster, from the last chunk to the end
            return target
        if not overwrite:
            refuse_existing(target)
        export(store, target)
        discard(store.path)
    return target


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
