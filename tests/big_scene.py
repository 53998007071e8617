"""A picture of any size from its pixels' places alone: what the tests of big pictures write."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from creps.rendering.tiles import Tile

Picture = NDArray[np.uint8]


def scene(channels: int = 3, *, rough: bool = True) -> Callable[[Tile], Picture]:
    """A producer of tiles, (h, w, channels) uint8.

    Args:
        channels: 1 or 3.
        rough: neighbouring pixels differ wildly, so that no misplaced pixel goes unnoticed; else
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
