"""Pyramids: a picture at half its size, and half again; a pixel is the average of those below."""

from __future__ import annotations

from typing import Any

import numpy as np

from creps.rendering.renderer import Picture
from creps.rendering.streams.tile_array import TileArray
from creps.rendering.streams.tile_store import TileStore
from creps.rendering.tiles import Tile


def halve(pixels: Picture) -> Picture:
    """A picture at half its size: means of 2 x 2 pixels, halves rounded up.

    A side of odd length ends in pixels that average what exists, two pixels or one.

    Args:
        pixels: (H, W, C) uint8.
    Returns:
        (ceil(H / 2), ceil(W / 2), C) uint8.
    Example:
        >>> halve(np.array([[[1], [2], [7]]], np.uint8)).tolist()
        [[[2], [7]]]
    """
    height, width = pixels.shape[:2]
    # Repeating the last row or column leaves the average of what exists as it is.
    even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge").astype(np.uint16)
    rows = even[0::2] + even[1::2]
    quarters = rows[:, 0::2] + rows[:, 1::2]
    return ((quarters + 2) >> 2).astype(np.uint8)


def level_sizes(height: int, width: int, *, smallest: int) -> list[tuple[int, int]]:
    """(height, width) of every level, full size first, until both sides are at most `smallest`.

    Example:
        >>> level_sizes(5, 3, smallest=1)
        [(5, 3), (3, 2), (2, 1), (1, 1)]
    """
    sizes = [(height, width)]
    while max(sizes[-1]) > smallest:
        height, width = sizes[-1]
        sizes.append((-(-height // 2), -(-width // 2)))
    return sizes


def build_pyramid(store: TileStore, *, smallest: int) -> list[TileArray]:
    """Add the smaller levels to a complete picture; what is there already is kept.

    Memory is bounded by five chunks, whatever the picture's size.

    Args:
        store: the picture, all of its chunks written.
        smallest: pixels of the last level's longer side, at most; >= 1.
    Returns:
        the levels, full size first.
    Raises:
        DataError: if pixels are missing or damaged.
        OSError: if a level cannot be written, with the file's path; the same call goes on later.
    """
    levels = [store.pixels]
    sizes = level_sizes(store.pixels.height, store.pixels.width, smallest=smallest)
    for number, (height, width) in enumerate(sizes[1:], 1):
        below, level = levels[-1], store.level(number, height, width)
        for tile in level.missing():
            level.write(tile, halve(below.read(_covered(tile, below))))
        levels.append(level)
    return levels


def _covered(tile: Tile, below: TileArray) -> Tile:
    """The pixels of the level below that a tile averages."""
    top, left = 2 * tile.top, 2 * tile.left
    height = min(2 * tile.height, below.height - top)
    return Tile(top, left, height, min(2 * tile.width, below.width - left))


def ome_attributes(name: str, *, levels: int, channels: int) -> dict[str, Any]:
    """Attributes that make a Zarr group an OME-Zarr 0.5 multiscale image.

    Lengths are in pixels of the full size; a pixel of level k is centred on the 2**k x 2**k pixels
    that it averages.

    Args:
        name: of the image.
        levels: how many, full size first, in arrays "0", "1", ... of axes (c, y, x).
        channels: 3 for colour, 1 for gray.
    Source:
        https://ngff.openmicroscopy.org/0.5/ (multiscales and omero metadata).
    """
    axes = [{"name": "c", "type": "channel"}] + [{"name": n, "type": "space"} for n in "yx"]
    datasets = [
        {
            "path": str(k),
            "coordinateTransformations": [
                {"type": "scale", "scale": [1.0, 2.0**k, 2.0**k]},
                {"type": "translation", "translation": [0.0, *[(2.0**k - 1) / 2] * 2]},
            ],
        }
        for k in range(levels)
    ]
    multiscale = {"name": name, "axes": axes, "datasets": datasets, "type": "mean of 2x2 pixels"}
    colours = {"red": "FF0000", "green": "00FF00", "blue": "0000FF"}
    window = {"start": 0, "end": 255, "min": 0, "max": 255}
    shown = [
        {"label": label, "color": colour, "active": True, "window": window}
        for label, colour in (colours if channels == 3 else {"gray": "FFFFFF"}).items()
    ]
    omero = {"channels": shown, "rdefs": {"model": "color" if channels == 3 else "greyscale"}}
    return {"ome": {"version": "0.5", "multiscales": [multiscale], "omero": omero}}
