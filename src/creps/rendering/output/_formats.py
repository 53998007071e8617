"""From a complete picture on disk to the requested file.

Imported only where the packages of the `big` extra are installed.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from creps.rendering._painter import Picture
from creps.rendering._tiles import Tile
from creps.rendering.output._chunks import Chunks
from creps.rendering.output._compression import Compression
from creps.rendering.output._flat import write_flat
from creps.rendering.output._levels import halve, level_sizes
from creps.rendering.output._store import Store
from creps.rendering.output._tiff import write_tiff
from creps.rendering.output._zarr import write_zarr


def export(store: Store, place: Path, compression: Compression | None = None) -> None:
    """Write a complete picture in the format that the suffix of `place` names.

    The store's chunks are compressed as TIFF and Zarr want them already; `compression` is of PNG.
    """
    if place.suffix.lower() == ".zarr":
        write_zarr(store, place, _levels(store))
    elif place.suffix.lower() in (".tif", ".tiff"):
        write_tiff(store, place, _levels(store))
    else:
        write_flat(store, place, compression)


def _levels(store: Store) -> list[Chunks]:
    """The picture and its smaller levels: each pixel the mean of 2 x 2 of the level before."""
    levels: list[Chunks] = [store]
    sizes = level_sizes(store.height, store.width, smallest=store.tiles.edge)
    for number, (height, width) in enumerate(sizes[1:], start=1):
        level = store.level(number, height, width)
        with level.writing() as write:
            for tile in level.tiles:
                write(tile, partial(_halved, levels[-1], tile))
        levels.append(level)
    return levels


def _halved(below: Chunks, tile: Tile) -> Picture:
    """The pixels of a tile from those of the level that is twice as large."""
    twice = tile.times(2)
    height = min(twice.height, below.height - twice.top)
    width = min(twice.width, below.width - twice.left)
    return halve(below.read(Tile(twice.top, twice.left, height, width)))
