"""Unfinished pictures on disk: chunks of pixels in a Zarr group, to resume and to share work.

The group carries the settings of its picture, so that nobody continues it with others. Imported
only where the packages of the `big` extra are there.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec

from creps.errors import DataError, UsageError
from creps.rendering._painter import Picture
from creps.rendering._tiles import Tile, plan
from creps.rendering.output._atomic import DurableFolder, discard, exclusive
from creps.rendering.output._shards import Shard

# Pixels in chunks on disk: a chunk's file appears whole or not at all, so one that exists is
# done.
#
# Imported only where the packages of the `big` extra are there.


BAND = 2048
"""Columns of a picture that are filled from top to bottom before the next ones: the lines of so
many are kept (14 MiB with the 512 preset), and those of the rows are computed again for each band,
which costs a fifth of the pixels' time there, and a fiftieth with the packaged model."""


class TileArray:
    """One level of a picture on disk: (height, width, channels) pixels in square chunks.

    On disk it is (channels, height, width), as OME-Zarr wants it; planes compress better, too.

    Attributes:
        height, width, channels: of the picture.
        tiles: its chunks, row by row.
    """

    def __init__(self, array: zarr.Array[Any], folder: Path) -> None:
        self.channels, self.height, self.width = array.shape
        self.tiles = plan(self.height, self.width, array.chunks[1])
        self._array, self._folder = array, folder

    def missing(self, shard: Shard | None = None) -> Iterator[Tile]:
        """The chunks without pixels, in bands; looked up one by one, as they are asked for."""
        edge, count = self.tiles.edge, len(self.tiles)
        share = range(count) if shard is None else shard.indices(count)
        for index in self.tiles.in_bands(BAND):
            tile = self.tiles[index]
            if index in share and not self._file(tile.top // edge, tile.left // edge).is_file():
                yield tile

    def write(self, tile: Tile, pixels: Picture) -> None:
        """Store the pixels of one chunk; they are on the disk when this returns.

        Args:
            tile: one of `tiles`.
            pixels: (tile.height, tile.width, channels) uint8.
        Raises:
            UsageError: for another tile or other pixels.
            OSError: if they cannot be written, with the file's path; what is there stays.
        """
        expected = (tile.height, tile.width, self.channels)
        if pixels.shape != expected or pixels.dtype != np.uint8:
            raise UsageError(
                f"pixels of shape {pixels.shape} and type {pixels.dtype}: expected {expected} uint8"
            )
        row, column = tile.top // self.tiles.edge, tile.left // self.tiles.edge
        if self.tiles[row * self.tiles.across + column] != tile:
            raise UsageError(f"{tile}: expected a whole chunk of {self.tiles.edge} pixels")
        self._array[:, tile.rows, tile.columns] = pixels.transpose(2, 0, 1)

    def read(self, tile: Tile) -> Picture:
        """The pixels of any rectangle, (tile.height, tile.width, channels) uint8.

        Raises:
            DataError: if a chunk is missing or damaged; names its file.
        """
        edge, bottom, right = self.tiles.edge, tile.top + tile.height, tile.left + tile.width
        result = np.empty((tile.height, tile.width, self.channels), np.uint8)
        for row in range(tile.top // edge, -(-bottom // edge)):
            for column in range(tile.left // edge, -(-right // edge)):
                top, left = max(row * edge, tile.top), max(column * edge, tile.left)
                rows = slice(top, min((row + 1) * edge, bottom))
                columns = slice(left, min((column + 1) * edge, right))
                part = self._read_within(row, column, rows, columns)
                result[
                    rows.start - tile.top : rows.stop - tile.top,
                    columns.start - tile.left : columns.stop - tile.left,
                ] = part.transpose(1, 2, 0)
        return result

    def _read_within(self, row: int, column: int, rows: slice, columns: slice) -> Picture:
        """(channels, h, w) pixels of one chunk; Zarr alone would take a missing one for black."""
        file = self._file(row, column)
        if not file.is_file():
            raise DataError(f"{file}: these pixels are missing, run the same command again")
        try:
            return np.asarray(self._array[:, rows, columns], np.uint8)
        except (RuntimeError, ValueError):  # how decoders complain
            raise DataError(f"{file}: damaged, remove it and run the same command again") from None

    def _file(self, row: int, column: int) -> Path:
        return self._folder / "c" / "0" / str(row) / str(column)


SETTINGS_KEY = "creps"
"""Attribute of the group that says what picture it holds."""

ALL_CHUNKS = {"array.write_empty_chunks": True}
"""Black chunks need files as well: a chunk without a file is not done."""

_CONFIG_LOCK = threading.Lock()
"""Zarr's settings are those of the process; threads would restore each other's."""

OVERWRITE_PATIENCE = 60.0
"""Seconds to wait for another process that clears the same store away."""


class TileStore:
    """A picture on disk, with as many of its chunks as are done so far.

    Attributes:
        path: the folder, a Zarr group.
        settings: JSON values that say how the picture is made.
        pixels: the picture itself.
    """

    def __init__(self, path: Path) -> None:
        identity = _identity(path)
        if identity is None:
            raise DataError(f"{path}: not an unfinished picture of creps")
        self.path = path
        self.settings: dict[str, Any] = identity["settings"]
        self._chunk: int = identity["chunk"]
        self._group = zarr.open_group(DurableFolder(path), mode="r+")
        height, width, self._channels = identity["pixels"]
        self.pixels = self.level(0, height, width)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        height: int,
        width: int,
        channels: int,
        settings: Mapping[str, Any],
        chunk: int,
        overwrite: bool = False,
    ) -> TileStore:
        """Begin a picture on disk, or go on with it if it is the same picture.

        Any number of processes may open one picture at the same moment.

        Args:
            path: the folder; its parent must exist.
            height, width, channels: of the picture.
            settings: JSON values that determine its pixels.
            chunk: pixels of a chunk's side.
            overwrite: remove what is there if it is anything but this picture.
        Raises:
            GridError: if a size is below 1.
            UsageError: if something else is at `path`; names the setting that differs.
            OSError: if it cannot be written, with the path.
        """
        plan(height, width, chunk)
        identity = json.loads(
            json.dumps({"settings": settings, "pixels": [height, width, channels], "chunk": chunk})
        )
        if overwrite and path.exists() and _identity(path) != identity:
            with exclusive(path, wait=OVERWRITE_PATIENCE) as ours:
                if not ours:
                    raise UsageError(f"{path} is in use by another process: wait or stop it")
                if path.exists() and _identity(path) != identity:  # unless another was faster
                    discard(path)
        if not path.exists():
            _create(path, identity)
        _refuse_other(path, identity)
        return cls(path)

    def level(self, number: int, height: int, width: int) -> TileArray:
        """Level `number` of the picture, made if missing; 0 is the picture itself."""
        name = str(number)
        with _CONFIG_LOCK, zarr.config.set(ALL_CHUNKS):  # an array keeps what it was opened with
            if name not in self._group:
                _add_array(self._group, name, (self._channels, height, width), self._chunk)
            array = self._group[name]
        assert isinstance(array, zarr.Array)
        return TileArray(array, self.path / name)

    def describe(self, attributes: Mapping[str, Any]) -> None:
        """Add attributes to the group."""
        self._group.update_attributes(dict(attributes))


def _identity(path: Path) -> dict[str, Any] | None:
    """What picture a folder holds; None if it is not one of ours."""
    try:
        identity = json.loads((path / "zarr.json").read_bytes())["attributes"][SETTINGS_KEY]
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None
    return identity if isinstance(identity, dict) else None


def _refuse_other(path: Path, identity: dict[str, Any]) -> None:
    """Raise unless `path` holds the picture of `identity`."""
    found = _identity(path)
    if found is None:
        raise UsageError(f"{path} exists and is no unfinished picture: remove it, or overwrite it")
    there = {**found.pop("settings"), **found}
    asked = {**identity["settings"], "pixels": identity["pixels"], "chunk": identity["chunk"]}
    for name in sorted(there.keys() | asked.keys()):
        if there.get(name) != asked.get(name):
            raise UsageError(
                f"{path} was begun with {name} {there.get(name)}, not {asked.get(name)}: "
                "use the same settings to go on, or overwrite it"
            )


def _create(path: Path, identity: dict[str, Any]) -> None:
    """Make an empty store, whole or not at all; another process may do so at the same moment."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.new")
    height, width, channels = identity["pixels"]
    try:
        attributes = {SETTINGS_KEY: identity}
        group = zarr.create_group(DurableFolder(temporary), attributes=attributes)
        _add_array(group, "0", (channels, height, width), identity["chunk"])
        try:
            os.rename(temporary, path)
        except OSError:
            if not path.exists():
                raise  # else another process was faster, with the same picture or one to refuse
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _add_array(group: zarr.Group, name: str, shape: tuple[int, int, int], chunk: int) -> None:
    """An empty (channels, height, width) array; Blosc is what every Zarr reader knows."""
    group.create_array(
        name,
        shape=shape,
        chunks=(shape[0], chunk, chunk),
        dtype="uint8",
        fill_value=0,
        compressors=BloscCodec(cname="zstd", clevel=5, shuffle="noshuffle"),
        chunk_key_encoding={"name": "default", "separator": "/"},
        dimension_names=("c", "y", "x"),
    )
