"""A Zarr that many processes fill in place, in a folder or a bucket that they share.

What lies there: `picture.json`, which says what picture it is, while it is not complete; the
documents and chunks of the levels, each written whole or not at all; and `zarr.json`, the
document of the group, last of all: before it is there, nothing opens as a picture. A chunk that is
there is done, so any process may go on with the work of others, at any time. Two that write the
same chunk write the same bytes.

Imported only where the packages zarr and fsspec are installed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import zarr
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from numpy.typing import NDArray
from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import FsspecStore, LocalStore, MemoryStore

from creps._json import parse_json
from creps._urls import is_url, one_line, shown
from creps.errors import DataError, UsageError
from creps.rendering._painter import Picture
from creps.rendering._rounding import Depth
from creps.rendering._tiles import Tile, TilePlan
from creps.rendering.output._compression import Compression
from creps.rendering.output._images import SETTINGS_KEY, UNFINISHED, refuse_other_settings
from creps.rendering.output._levels import halve, level_sizes
from creps.rendering.output._shards import Shard
from creps.rendering.output._zarr import create_group, create_level

DOCUMENT = "zarr.json"
_CHUNK = re.compile(r"(\d+)/c/0/(\d+)/(\d+)")


class SharedZarr:
    """A Zarr of one picture in a place that processes share; it can be pickled.

    Args:
        place: a folder or URL.
        name: of the picture, in its description.
        height, width, channels: of the picture.
        settings: JSON values that say how it is made; nothing secret.
        chunk: pixels of a chunk's side.
        compression: of chunks.
        depth: bits of a channel.
    """

    def __init__(
        self,
        place: str,
        name: str,
        *,
        height: int,
        width: int,
        channels: int,
        settings: Mapping[str, Any],
        chunk: int,
        compression: Compression,
        depth: Depth = 8,
    ) -> None:
        self.compression, self.dtype = compression, np.dtype(f"u{depth // 8}")
        self.place, self.name, self.settings = place, name, json.loads(json.dumps(settings))
        self.height, self.width, self.channels, self.chunk = height, width, channels, chunk
        self.sizes = level_sizes(height, width, smallest=chunk)
        self._store: Store | None = None
        self._arrays: dict[int, zarr.Array[Any]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_store": None, "_arrays": {}}  # they belong to a process

    def plan(self, level: int) -> TilePlan:
        """The chunks of a level, row by row."""
        return TilePlan(*self.sizes[level], self.chunk)

    def begin(self, *, overwrite: bool, alone: bool = True, take: bool = False) -> bool:
        """Make the place ready, or take up what is there; False if the picture is complete.

        Args:
            overwrite: replace another picture of ours, complete or not.
            alone: nobody else works on it, so that it may be replaced.
            take: a complete one of the same settings is the result, not in the way.
        Raises:
            UsageError: for what is in the way.
            DataError: for a place that refuses.
        """
        with one_line(self.place):
            finished, begun = self._read(DOCUMENT), self._read(UNFINISHED)
            if finished is not None and begun is None:
                there = finished.get("attributes", {}).get(SETTINGS_KEY, {}).get("settings")
                if take and there == self.settings:
                    return False
                if there is None:
                    raise UsageError(f"{self} is not a picture of creps: choose another name")
                if not (overwrite and alone):
                    raise UsageError(f"{self} exists: choose another name, or --overwrite it")
                self._clear()
            elif begun is None:
                if not sync(self.store.is_empty("")):
                    raise UsageError(f"{self} holds other things: choose another name")
            elif begun != self._identity:
                if not (overwrite and alone):
                    refuse_other_settings(str(self), *map(_flat, (begun, self._identity)))
                self._clear()
            if begun != self._identity:
                self._write(UNFINISHED, json.dumps(self._identity).encode())
            for key, content in self._documents().items():
                if key != DOCUMENT and not sync(self.store.exists(key)):
                    self._write(key, content)
        return True

    def missing(self, level: int = 0, shard: Shard | None = None) -> list[Tile]:
        """The chunks of a level that are not there, of a share, in bands."""
        plan = self.plan(level)
        with one_line(self.place):
            done = sync(self._listed(f"{level}/c/0/"))
        share = range(len(plan)) if shard is None else shard.indices(len(plan))
        left = (k for k in plan.in_bands() if k in share and divmod(k, plan.across) not in done)
        return [plan[k] for k in left]

    def write(self, tile: Tile, pixels: Picture, *, level: int = 0) -> None:
        """Put a chunk there, (tile.height, tile.width, C); at once, or not at all."""
        with one_line(self.place):
            self._array(level)[:, tile.rows, tile.columns] = np.moveaxis(pixels, 2, 0)

    def reduce(self, tile: Tile, *, level: int) -> None:
        """Make a chunk of a smaller level from the level before, whose chunks are there."""
        twice = tile.times(2)
        with one_line(self.place):
            below = self._read_or_drop(level - 1, twice)
        self.write(tile, halve(np.moveaxis(below, 0, 2)), level=level)

    def _read_or_drop(self, level: int, part: Tile) -> NDArray[Any]:
        """(C, H, W) of a part; damaged chunks are removed, and a DataError says so."""
        try:
            return np.asarray(self._array(level)[:, part.rows, part.columns])
        except (ValueError, RuntimeError):  # of the checksum, of the decompression
            damaged = 0
            for tile in (each for each in self.plan(level) if each.within(part)):
                try:
                    self._array(level)[:, tile.rows, tile.columns]
                except (ValueError, RuntimeError):
                    row, column = tile.top // self.chunk, tile.left // self.chunk
                    sync(self.store.delete(f"{level}/c/0/{row}/{column}"))
                    damaged += 1
            raise DataError(
                f"{self}: {damaged} damaged chunk{'s' * (damaged != 1)} of level {level} removed: "
                "run the same command again"
            ) from None

    def finish(self) -> None:
        """Say that it is complete: from now on it opens as a picture."""
        with one_line(self.place):
            self._write(DOCUMENT, self._documents()[DOCUMENT])
            sync(self.store.delete(UNFINISHED))

    @property
    def store(self) -> Store:
        """The place for zarr-python."""
        if self._store is None:
            self._store = _store_at(self.place)
        return self._store

    def __str__(self) -> str:
        return shown(self.place)

    @property
    def _identity(self) -> dict[str, Any]:
        """What is compared before unfinished work is continued."""
        pixels = [self.height, self.width, self.channels]
        return {
            "settings": self.settings,
            "pixels": pixels,
            "chunk": self.chunk,
            "depth": 8 * self.dtype.itemsize,
            "compression": str(self.compression),
            "kind": "zarr",
            "check": "crc32c",
        }

    def _documents(self) -> dict[str, bytes]:
        """All documents by key."""
        memory, channels = MemoryStore(), self.channels
        group = create_group(
            memory,
            self.name,
            levels=len(self.sizes),
            channels=channels,
            settings=self.settings,
            dtype=self.dtype,
        )
        for number, size in enumerate(self.sizes):
            create_level(
                group,
                number,
                (channels, *size),
                chunk=self.chunk,
                dtype=self.dtype,
                compression=self.compression,
            )
        keys = [DOCUMENT, *(f"{number}/{DOCUMENT}" for number in range(len(self.sizes)))]
        found = {key: sync(memory.get(key, default_buffer_prototype())) for key in keys}
        return {key: buffer.to_bytes() for key, buffer in found.items() if buffer is not None}

    def _array(self, level: int) -> zarr.Array[Any]:
        if level not in self._arrays:
            array = zarr.open_array(self.store, path=str(level), mode="r+", zarr_format=3)
            # A chunk of zeros is done too (findings/zarr-open-drops-config.sh).
            self._arrays[level] = array.with_config({"write_empty_chunks": True})
        return self._arrays[level]

    async def _listed(self, prefix: str) -> set[tuple[int, int]]:
        """(row, column) of the chunks that are there."""
        matches = [_CHUNK.fullmatch(key) async for key in self.store.list_prefix(prefix)]
        return {(int(match[2]), int(match[3])) for match in matches if match}

    def _read(self, key: str) -> dict[str, Any] | None:
        buffer = sync(self.store.get(key, default_buffer_prototype()))
        try:
            return None if buffer is None else parse_json(buffer.to_bytes())
        except ValueError:
            return {}

    def _write(self, key: str, content: bytes) -> None:
        sync(self.store.set(key, default_buffer_prototype().buffer.from_bytes(content)))

    def _clear(self) -> None:
        """Remove a picture of ours; a stop in between leaves an unfinished one."""
        self._arrays.clear()
        self._write(UNFINISHED, b'{"kind": "removed"}')
        for name in sync(self._names()):
            if name.endswith(".json"):
                if name != UNFINISHED:
                    sync(self.store.delete(name))
            else:
                sync(self.store.delete_dir(name))

    async def _names(self) -> list[str]:
        return sorted([name async for name in self.store.list_dir("")], reverse=True)


def _store_at(place: str) -> Store:
    """The store of a folder, also where it is named as file:///folder; else of a URL."""
    if not is_url(place):
        return LocalStore(place)
    fresh = {"use_listings_cache": False}  # others write there too
    files, folder = url_to_fs(place, **fresh)
    if isinstance(files, LocalFileSystem):  # which makes no folders for files, and writes in parts
        return LocalStore(folder)
    return FsspecStore.from_url(place, storage_options=fresh)


def _flat(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Settings and the rest side by side."""
    return {
        **identity.get("settings", {}),
        **{k: v for k, v in identity.items() if k != "settings"},
    }
