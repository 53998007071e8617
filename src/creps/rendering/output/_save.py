"""One writer for every picture: small ones at once, large ones chunk by chunk, so that they resume.

Finished chunks go to a folder next to the result, NAME.part. When complete, the result is made
of them and the folder removed. So one method serves every format, resumes after any crash,
and shares one picture out among machines that have a disk in common.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from creps._files import (
    discard,
    exclusive,
    flush,
    refuse_foreign_name,
    refuse_special,
    sweep,
    write_atomically,
)
from creps._urls import is_url, last_name, refuse_url, shown
from creps.errors import CrepsError, GridError, MissingExtraError, UsageError
from creps.rendering._painter import Painter, Picture, Progress, TileSource
from creps.rendering._rounding import Depth
from creps.rendering._tiles import Tile, TilePlan
from creps.rendering._view import refuse_beyond_memory
from creps.rendering.output._compression import Compression, parse_compression
from creps.rendering.output._images import (
    FORMATS,
    encode,
    read_settings,
    refuse_beyond_format,
    tiles_folder,
)
from creps.rendering.output._shards import Shard

if TYPE_CHECKING:
    from creps.rendering.output._shared import SharedZarr
    from creps.rendering.output._store import Store

LOSSLESS_PYRAMIDS = (".tif", ".tiff", ".zarr")
"""Formats whose own tiles or chunks are kept until they are complete."""
PYRAMIDS = (".tif", ".tiff", ".dzi", ".zarr")
"""Formats that hold smaller levels too."""
DEEP = (*LOSSLESS_PYRAMIDS, ".png")
"""Formats that hold 16 bits a channel."""
SUFFIXES = (*PYRAMIDS, *FORMATS)
"""What picture files are named."""

CHUNK = 512
"""Pixels of a chunk's side: less than 1 MiB to render again after a crash."""

TILE_STEP = 16
"""Sides of TIFF tiles are multiples of it. Small pictures have a chunk of about their own size:
libvips refuses tiles far larger than a picture."""

SMALL = 2**22
"""Samples of a picture that is made at once: some seconds of work, cheaper lost than kept."""

ZARR_FILES = re.compile(r"\d{1,9}|c|OME|labels|zarr\.json")
"""In the folder of a picture as Zarr, or of a single array."""
TILE_FILES = re.compile(r"\d{1,9}|creps\.json|vips-properties\.xml")
"""In the folder of a Deep Zoom image's tiles."""

LEFT_SECONDS = 600.0
"""Since the last change, after which a temporary file is of a process that was killed."""

SKEW = 2.0
"""Seconds that clocks of machines may differ: a file of the future is no shard's of now."""

CHANNELS = (1, 3, 4)
CHANNELS_IN_WORDS = "1 (gray), 3 (color) or 4 (color and opacity)"


@dataclass(frozen=True)
class Outcome:
    """How far a picture is after one call of `save_picture`.

    Attributes:
        path: the finished file, or its URL; None while chunks of other shards are missing, or
            while another process makes the file.
        missing: chunks without pixels, of `chunks` in all.
        chunks: chunks of the whole picture.
        found: the file was there already, of the same settings, and stays.
    """

    path: Path | str | None
    missing: int
    chunks: int
    found: bool = False


def save_picture(
    source: TileSource | Picture,
    path: str | Path,
    *,
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = True,
    shard: Shard | None = None,
    started: float | None = None,
    progress: Progress | None = None,
    compression: str | None = None,
) -> Outcome:
    """Write a picture of any size, atomically.

    Small PNG, JPEG and WebP are made in memory. All other pictures go through chunks on the disk,
    in memory that does not grow with their height: after a stop or a crash, the same call resumes.

    Args:
        source: (H, W, C) uint8 or uint16 pixels, C 3 for color, 1 for gray, 4 for color and
            opacity; or what makes them part by part, such as `Renderer.painter`: pixels that depend
            on nothing but their place and `settings`.
        path: the suffix is the format: .tif (BigTIFF from 4 GB on), .dzi (Deep Zoom) and .zarr
            (OME-Zarr) have all smaller levels too, .png, .jpg (quality 95, full color) and .webp
            (quality 95) are flat. Folders are made. A .zarr may be a URL, such as
            s3://bucket/picture.zarr.
        settings: JSON values, in addition to the source's own, that say how the picture was made:
            stored in the file, see `read_settings`, and compared before unfinished work is
            continued. "credits" is the file's copyright notice too, "dpi" its pixels an inch.
        overwrite: replace an existing file, and unfinished work with other settings; unfinished
            work with the same settings is continued in any case, and a file of them the result.
        shard: make this share only; the process that makes the last chunk writes the file.
        started: when the work of all shards began, in seconds since the epoch. A shard that comes
            late, with nothing left to do, does not overwrite what the others finished since.
        progress: called with the pixels done and the pixels in all, of this shard; first with what
            an earlier call has done.
        compression: of TIFF "deflate" (by default), "zstd", "lzw" or "none"; of Zarr "zstd" (by
            default), "lz4" or "none"; of PNG "deflate" or "none"; with a level as "zstd:9" if it
            matters.
    Returns:
        the path, or what is still missing.
    Raises:
        UsageError: for an unknown suffix, other pixels, a file that exists, a compression that the
            format does not offer, or unfinished work that differs.
        GridError: if the format cannot hold a picture of this size.
        MissingExtraError: without the packages of the extras `big` and `arrays`, where they are
            needed.
        DataError: for a URL that refuses; what is there stays.
        OSError: if the disk is full or fails, with a path; what is done stays and is continued.
    """
    if isinstance(source, np.ndarray):
        source = _tiles_of(source)
    if not hasattr(source, "pixels"):
        raise UsageError(
            f"a picture of type {type(source).__name__}: expected pixels, or a source of them such "
            "as Renderer.painter, then the path"
        )
    settings = settings_of(source, settings)
    height, width = source.height, source.width
    refuse_target(path, height=height, width=width, shard=shard, depth=source.depth)
    packed = parse_compression(compression, path)
    if source.channels not in CHANNELS:
        raise UsageError(f"{source.channels} channels: expected {CHANNELS_IN_WORDS}")
    if is_url(path):
        shared = shared_zarr(source, str(path), settings, compression=compression)
        return _fill_in_place(shared, source, shard, overwrite=overwrite, progress=progress)
    path = Path(path)
    since = started if overwrite else 0.0
    if _made_by_others(path, settings, shard=shard, since=since):
        return Outcome(path, 0, len(TilePlan(height, width, CHUNK)))
    if not overwrite:
        if is_made(path, settings):
            tidy(path)
            return Outcome(path, 0, len(TilePlan(height, width, CHUNK)), found=True)
        refuse_existing(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    size: Any = {"height": height, "width": width, "samples": source.samples}
    if is_streamed(path, **size, depth=source.depth, shard=shard):
        how: Any = {"overwrite": overwrite, "shard": shard, "since": since, "progress": progress}
        return _save_by_chunks(source, path, settings, compression=packed, **how)
    write_atomically(path, _made_at_once(source, path, settings, overwrite, progress, packed))
    return Outcome(path, 0, len(TilePlan(height, width, CHUNK)))


def _made_at_once(
    source: TileSource,
    path: Path,
    settings: Mapping[str, Any],
    overwrite: bool,
    progress: Progress | None,
    compression: Compression | None,
) -> bytes:
    """The file of a small picture."""
    refuse_beyond_memory(source.height, source.width, channels=source.channels)
    picture = source.pixels(progress=progress)
    if not overwrite:
        refuse_existing(path)  # something may have appeared meanwhile
    return encode(picture, path, settings, compression=compression)


def settings_of(source: TileSource, settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a file records of a source: the source's own, and more of it."""
    told = {**source.about(), **(settings or {})}
    return {name: value for name, value in told.items() if value is not None}


def refuse_target(
    path: str | Path,
    *,
    height: int = 1,
    width: int = 1,
    shard: Shard | None = None,
    overwrite: bool = True,
    compression: str | None = None,
    depth: Depth = 8,
) -> None:
    """Raise the errors of `save_picture` that can be known from the path, without a model.

    Args:
        path, shard, overwrite, compression: as for `save_picture`.
        height, width: of the picture, if known.
        depth: bits of a channel.
    Raises:
        UsageError, GridError, MissingExtraError: as `save_picture`.
    """
    TilePlan(height, width, CHUNK)
    if is_url(path):
        if not last_name(str(path)).lower().endswith(".zarr"):
            raise UsageError(f"{shown(str(path))}: only a .zarr can be written to a URL")
        parse_compression(compression, ".zarr")
        _in_place()
        return
    path = Path(path)
    refuse_url(path)
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path.name}: unknown picture format, expected {', '.join(SUFFIXES)}")
    _refuse_foreign(path)
    refuse_beyond_format(path, height, width)
    parse_compression(compression, path)
    if depth == 16 and path.suffix.lower() not in DEEP:
        raise UsageError(f"{path.name}: 16 bits are for {', '.join(DEEP)}; {path.suffix} holds 8")
    if shard is not None or depth == 16 or path.suffix.lower() in PYRAMIDS:
        _exporter()
    if not overwrite and shard is None:  # other shards may have made just this file
        refuse_existing(path)


def is_streamed(
    path: Path,
    *,
    height: int,
    width: int,
    samples: int = 1,
    depth: Depth = 8,
    shard: Shard | None = None,
) -> bool:
    """Whether a picture goes through chunks on disk, and so resumes after a stop.

    So do all but PNG, JPEG and WebP; of those the large ones, shared ones, those of 16 bits, and
    what was begun in this way. Without the extra `big`, flat pictures that fit in memory are made
    there.
    """
    begun = unfinished(path).exists()
    if shard is not None or depth == 16 or path.suffix.lower() in PYRAMIDS or begun:
        return True
    if height * width * samples**2 <= SMALL:
        return False
    try:
        _exporter()
    except MissingExtraError:
        try:
            refuse_beyond_memory(height, width)
        except GridError:
            return True
        return False
    return True


def unfinished(path: Path) -> Path:
    """The folder of a picture's chunks until it is complete: NAME.part next to it."""
    return path.with_name(f"{path.name}.part")


def tidy(path: Path) -> None:
    """Remove the chunks that a finished picture was made of: a killed process leaves them.

    Those of another picture, or in use by another process, stay.
    """
    chunks = unfinished(path)
    with contextlib.suppress(CrepsError, OSError):
        if read_settings(chunks) == read_settings(path):
            with exclusive(chunks) as ours:
                if ours:
                    discard(chunks)


def refuse_existing(path: Path) -> None:
    """Raise a UsageError if the result, or a part of it from other work, exists."""
    tiles = tiles_folder(path)
    foreign = path.suffix.lower() == ".dzi" and tiles.exists() and not unfinished(path).exists()
    if path.exists() or foreign:
        name = path if path.exists() else tiles
        raise UsageError(f"{name} exists: choose another name, or --overwrite it")


def _refuse_foreign(path: Path) -> None:
    """Raise a UsageError for a folder or device that a picture would take the place of."""
    refuse_special(path)
    suffix, tiles = path.suffix.lower(), tiles_folder(path)
    if path.is_dir() and (suffix != ".zarr" or not _is_made_of(path, ZARR_FILES)):
        raise UsageError(f"{path} is a folder of something else: choose another name")
    if suffix == ".dzi" and tiles.is_dir() and not _is_made_of(tiles, TILE_FILES):
        raise UsageError(f"{tiles} is a folder of something else: choose another name")


def _is_made_of(folder: Path, names: re.Pattern[str]) -> bool:
    """Whether all that is in a folder, hidden files apart, has such names."""
    found = [path.name for path in folder.iterdir()]
    return all(name.startswith(".") or names.fullmatch(name) for name in found)


@dataclass(kw_only=True)
class Tiles:
    """A source of tiles from a function that makes one."""

    height: int
    width: int
    channels: int
    make: Callable[[Tile], Picture]
    depth: Depth = 8
    samples: int = 1
    sampling: int | str = 1
    settings: Mapping[str, Any] = field(default_factory=dict)

    def pixels(self, part: Tile | None = None, *, progress: Progress | None = None) -> Picture:
        """The pixels of a part; of the whole picture by default."""
        part = Tile(0, 0, self.height, self.width) if part is None else part
        pixels = self.make(part)
        if progress is not None:
            progress(part.height * part.width, part.height * part.width)
        return pixels

    def about(self) -> dict[str, Any]:
        """What a file records of how the pixels were made."""
        return dict(self.settings)


def _tiles_of(picture: Picture) -> Tiles:
    """An array as a source."""
    if picture.dtype not in (np.uint8, np.uint16) or picture.ndim != 3:
        raise UsageError(
            f"picture of shape {picture.shape} and type {picture.dtype}: "
            f"expected uint8 or uint16 of (H, W, C), C {CHANNELS_IN_WORDS}"
        )
    height, width, channels = picture.shape

    def make(tile: Tile) -> Picture:
        return picture[tile.rows, tile.columns]

    depth: Depth = 8 if picture.dtype == np.uint8 else 16
    return Tiles(height=height, width=width, channels=channels, make=make, depth=depth)


def _save_by_chunks(
    source: TileSource,
    path: Path,
    settings: Mapping[str, Any],
    *,
    overwrite: bool,
    shard: Shard | None,
    since: float | None,
    progress: Progress | None,
    compression: Compression | None,
) -> Outcome:
    """`save_picture` of large pictures: through a store next to the file."""
    _exporter()
    if path.suffix.lower() not in LOSSLESS_PYRAMIDS:
        refuse_foreign_name(path, "libvips")
    from creps.rendering.output._store import Store

    sweep(path.parent, f"{glob.escape(path.name)}.*", older=LEFT_SECONDS)
    store = Store(
        unfinished(path),
        height=source.height,
        width=source.width,
        channels=source.channels,
        dtype=np.uint8 if source.depth == 8 else np.uint16,
        settings=settings,
        chunk=chunk_of(source),
        suffix=path.suffix.lower(),
        compression=compression if path.suffix.lower() in LOSSLESS_PYRAMIDS else None,
        overwrite=overwrite,
    )
    if _made_by_others(path, settings, shard=shard, since=since):  # in the meantime
        _remove(store)
        return Outcome(path, 0, len(store.tiles))
    _fill(store, source, shard=shard, progress=progress)
    missing = sum(1 for _ in store.missing())
    if missing and not store.path.exists():
        missing = 0  # not undone: another process has made the file and removed the chunks
    finished = not missing and _finish(store, path, overwrite=overwrite, compression=compression)
    return Outcome(path if finished else None, missing, len(store.tiles))


def chunk_of(source: TileSource) -> int:
    """Pixels of a chunk's side of a picture."""
    return min(CHUNK, -(-max(source.height, source.width) // TILE_STEP) * TILE_STEP)


def shared_zarr(
    source: TileSource,
    place: str,
    settings: Mapping[str, Any],
    *,
    compression: str | None = None,
    name: str | None = None,
) -> SharedZarr:
    """A Zarr of a picture that is filled in place, in a folder or at a URL."""
    packed = parse_compression(compression, "picture.zarr")
    assert packed is not None
    return _in_place()(
        place,
        last_name(place).rpartition(".")[0] if name is None else name,
        height=source.height,
        width=source.width,
        channels=source.channels,
        settings=settings,
        chunk=chunk_of(source),
        compression=packed,
        depth=source.depth,
    )


def _in_place() -> type[SharedZarr]:
    """What fills a Zarr in place; its packages are imported before hours of work."""
    try:
        from creps.rendering.output._shared import SharedZarr
    except ImportError:
        raise MissingExtraError("a picture that is filled in place", "arrays") from None
    return SharedZarr


def _fill_in_place(
    shared: SharedZarr,
    source: TileSource,
    shard: Shard | None,
    *,
    overwrite: bool,
    progress: Progress | None,
) -> Outcome:
    """`save_picture` to a URL: chunks in place, the group's document when all are there."""
    chunks = len(shared.plan(0))
    take = shard is not None or not overwrite
    if not shared.begin(overwrite=overwrite, alone=shard is None, take=take):
        return Outcome(shared.place, 0, chunks, found=shard is None)
    share = range(chunks) if shard is None else shard.indices(chunks)
    total = sum(shared.plan(0)[k].height * shared.plan(0)[k].width for k in share)
    todo = shared.missing(0, shard)
    left = sum(tile.height * tile.width for tile in todo)
    if progress is not None:
        progress(total - left, total)
    for tile, pixels in zip(todo, _parts(source, todo), strict=True):
        shared.write(tile, pixels)
        left -= tile.height * tile.width
        if progress is not None:
            progress(total - left, total)
    if missing := len(shared.missing(0)):
        return Outcome(None, missing, chunks)
    for level in range(1, len(shared.sizes)):
        for tile in shared.missing(level):
            shared.reduce(tile, level=level)
    shared.finish()
    return Outcome(shared.place, 0, chunks)


def _exporter() -> Callable[[Store, Path, Compression | None], None]:
    """What makes the file of a store; all it needs is imported before hours of work."""
    try:
        from creps.rendering.output._formats import export
    except (ImportError, OSError):  # OSError: pyvips without libvips
        raise MissingExtraError("big pictures", "big") from None
    return export


def _made_by_others(
    path: Path, settings: Mapping[str, Any], *, shard: Shard | None, since: float | None
) -> bool:
    """Whether other shards have made this very file, no earlier than `since`."""
    if shard is None or since is None or not is_made(path, settings):
        return False
    try:
        return since <= path.stat().st_mtime <= time.time() + SKEW
    except OSError:
        return False


def is_made(path: Path, settings: Mapping[str, Any]) -> bool:
    """Whether a finished file is of these very settings."""
    try:
        return read_settings(path) == json.loads(json.dumps(settings))
    except (CrepsError, OSError):
        return False


def _fill(
    store: Store, source: TileSource, *, shard: Shard | None, progress: Progress | None
) -> None:
    """Make the missing chunks of a share."""
    tiles = store.tiles
    share = range(len(tiles)) if shard is None else shard.indices(len(tiles))
    total = sum(tiles[k].height * tiles[k].width for k in share)
    left = sum(tile.height * tile.width for tile in store.missing(shard))
    if progress is not None:
        progress(total - left, total)

    def kept(tile: Tile) -> None:
        nonlocal left
        left -= tile.height * tile.width
        if progress is not None:
            progress(total - left, total)

    with store.writing(kept) as write:
        todo, parts = tee(store.missing(shard))
        for tile, pixels in zip(todo, _parts(source, parts), strict=True):
            write(tile, partial(np.asarray, pixels))


def _parts(source: TileSource, parts: Iterable[Tile]) -> Iterator[Picture]:
    """The pixels of parts of a picture, in order."""
    return source.each(parts) if isinstance(source, Painter) else map(source.pixels, parts)


def _finish(store: Store, path: Path, *, overwrite: bool, compression: Compression | None) -> bool:
    """Make the file of a complete store, unless another process does; whether it exists."""
    with exclusive(store.path) as ours:
        if not ours:
            return False
        if not store.path.exists():  # another process was faster, from the last chunk to the end
            return True
        if not overwrite:
            refuse_existing(path)
        made = store.path / "result" / path.name
        discard(made.parent)  # of a process that was killed
        made.parent.mkdir()
        try:
            _exporter()(store, made, compression)
            flush(made)
        except OSError as error:
            discard(made.parent)
            raise OSError(error.errno, error.strerror, str(path)) from None
        if path.suffix.lower() == ".dzi":  # the description last, and never an old one of new tiles
            path.unlink(missing_ok=True)
            _move(tiles_folder(made), tiles_folder(path))
        _move(made, path)
        discard(store.path)
    return True


def _move(made: Path, path: Path) -> None:
    """Give a finished file or folder its name, in place of what has it."""
    if made.is_dir() or path.is_dir():
        discard(path)
    os.replace(made, path)


def _remove(store: Store) -> None:
    """Remove a finished store, unless another process just does."""
    with exclusive(store.path) as ours, contextlib.suppress(FileNotFoundError):
        if ours:
            discard(store.path)
