"""Pixels in chunks on disk: a chunk's file appears whole or not at all, so one that exists is done.

Imported only where the packages of the `big` extra are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from creps.errors import DataError, UsageError
from creps.rendering.renderer import Picture
from creps.rendering.streams.shards import Shard
from creps.rendering.tiles import Tile, plan

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
