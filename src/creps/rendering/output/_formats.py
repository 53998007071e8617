"""From a complete picture on disk to the requested file, by libvips and Zarr.

Memory holds some rows of tiles, whatever the height: TIFF and Deep Zoom take about 6 MB for a
thousand columns, the flat formats less (but WebP's encoder holds the picture whole). Imported only
where the packages of the `big` extra are installed.
"""

from __future__ import annotations

import errno
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
import zarr
from zarr.codecs import BloscCodec

from creps.errors import DataError
from creps.rendering._tiles import Tile, TilePlan
from creps.rendering.output._images import (
    DEEP_ZOOM_OVERLAP,
    DEEP_ZOOM_TILE,
    QUALITY,
    SETTINGS_KEY,
    SOFTWARE,
    exif_of,
    notes_of,
    tiles_folder,
)
from creps.rendering.output._levels import halve, level_sizes, ome
from creps.rendering.output._store import Store

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""How systems say that a disk is full; libvips passes their words on, not their numbers."""

JPEG = {"Q": QUALITY, "subsample_mode": "off"}
END_OF_JPEG = b"\xff\xd9"
"""Tiles without it did not fit on the disk: of small files libvips (8.18) does not notice."""
TIFF_TILE = 512
"""Pixels of a tile's side."""

SOFTWARE_TAG, COPYRIGHT_TAG = 305, 33432


def export(store: Store, place: Path) -> None:
    """Write a complete picture in the format that the suffix of `place` names."""
    suffix = place.suffix.lower()
    try:
        if suffix == ".zarr":
            _write_zarr(store, place)
        elif suffix == ".dzi":
            _write_deep_zoom(store, place)
        elif suffix in (".tif", ".tiff"):
            _write_tiff(store, place)
        elif suffix == ".png":
            _image(store).pngsave(str(place), compression=6, filter="up")
        elif suffix == ".webp":
            _image(store).webpsave(str(place), Q=QUALITY)
        else:
            _image(store).jpegsave(str(place), **JPEG)
    except pyvips.Error as error:
        reason = " ".join(str(error).split())
        for code in FULL:
            if os.strerror(code) in reason:
                raise OSError(code, os.strerror(code), str(place)) from None
        raise DataError(f"{place}: libvips failed: {reason}") from None


def _image(store: Store) -> pyvips.Image:
    """The picture for libvips, read from disk on demand, with its metadata."""
    edge, tiles = store.tiles.edge, store.tiles
    rows = [
        pyvips.Image.new_from_memory(row, edge, edge * tiles.across, store.channels, "uchar").grid(
            edge, tiles.across, 1
        )
        for row in store.pixels
    ]
    image = pyvips.Image.arrayjoin(rows, across=1).crop(0, 0, store.width, store.height)
    # Pixels a millimetre.
    density = {f"{axis}res": dpi / 25.4 for axis in "xy" if (dpi := store.settings.get("dpi"))}
    image = image.copy(interpretation="srgb" if store.channels == 3 else "b-w", **density)
    image.set_type(pyvips.GValue.blob_type, "exif-data", exif_of(store.settings).tobytes())
    for number, (keyword, note) in enumerate(notes_of(store.settings).items()):
        latin = note.encode("latin-1", "replace")  # as these texts are in PNG
        image.set_type(pyvips.GValue.gstr_type, f"png-comment-{number}-{keyword}", latin)
        if keyword == SETTINGS_KEY:
            image.set_type(pyvips.GValue.gstr_type, "image-description", note)  # of a TIFF
    return image


def _write_deep_zoom(store: Store, place: Path) -> None:
    """NAME.dzi, and JPEG tiles of all levels in NAME_files; the settings are in a file there."""
    suffix = f".jpg[{','.join(f'{name}={value}' for name, value in JPEG.items())},keep=none]"
    tiles = {"tile_size": DEEP_ZOOM_TILE, "overlap": DEEP_ZOOM_OVERLAP}
    _image(store).dzsave(str(place.with_suffix("")), suffix=suffix, **tiles)
    folder, document = tiles_folder(place), json.dumps(store.settings, indent=2)
    (folder / "vips-properties.xml").unlink(missing_ok=True)  # it has the date: no two are alike
    (folder / "creps.json").write_text(document, encoding="utf-8")
    for tile in folder.rglob("*.jpg"):
        if tile.read_bytes()[-2:] != END_OF_JPEG:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tile))


def _write_tiff(store: Store, place: Path) -> None:
    """A tiled BigTIFF, deflated without loss, smaller levels in its SubIFDs."""
    _image(store).tiffsave(
        str(place),
        tile=True,
        tile_width=TIFF_TILE,
        tile_height=TIFF_TILE,
        pyramid=True,
        subifd=True,
        bigtiff=True,
        compression="deflate",
        predictor="horizontal",
        resunit="inch",
    )
    tags = {SOFTWARE_TAG: SOFTWARE, COPYRIGHT_TAG: str(store.settings.get("credits", ""))}
    _add_tags(place, {tag: text for tag, text in tags.items() if text})


def _add_tags(path: Path, tags: Mapping[int, str]) -> None:
    """Give the first picture of a little-endian BigTIFF texts, for tags that libvips cannot write.

    Its directory is copied to the end of the file with the new entries (tag, type, count, place of
    the content: 20 bytes, in the order of tags), and the header points there.
    """
    with path.open("rb+") as file:
        assert file.read(4) == b"II+\0", f"{path}: no little-endian BigTIFF"
        file.seek(8)
        (start,) = struct.unpack("<Q", file.read(8))
        file.seek(start)
        (count,) = struct.unpack("<Q", file.read(8))
        entries = [file.read(20) for _ in range(count)]
        following = file.read(8)
        file.seek(0, os.SEEK_END)
        for tag, text in tags.items():
            content = text.encode().ljust(8, b"\0") + b"\0"  # 8 bytes would fit in the entry
            entries.append(struct.pack("<HHQQ", tag, 2, len(content), file.tell()))
            file.write(content)
        entries.sort(key=lambda entry: struct.unpack("<H", entry[:2]))
        end = file.tell()
        file.write(struct.pack("<Q", len(entries)) + b"".join(entries) + following)
        file.seek(8)
        file.write(struct.pack("<Q", end))


def _write_zarr(store: Store, place: Path) -> None:
    """An OME-Zarr 0.5 with all smaller levels: https://ngff.openmicroscopy.org/0.5/"""
    edge, channels = store.tiles.edge, store.channels
    sizes = level_sizes(store.height, store.width, smallest=edge)
    settings = {SETTINGS_KEY: {"settings": store.settings}}
    group = zarr.create_group(
        str(place), attributes={**settings, **ome(place.stem, len(sizes), channels)}
    )
    below: zarr.Array[Any] | None = None
    for number, (height, width) in enumerate(sizes):
        level = group.create_array(
            str(number),
            shape=(channels, height, width),
            chunks=(channels, edge, edge),
            dtype="uint8",
            fill_value=0,
            compressors=BloscCodec(cname="zstd", clevel=5, shuffle="noshuffle"),
            chunk_key_encoding={"name": "default", "separator": "/"},
            dimension_names=("c", "y", "x"),
        )
        for tile in TilePlan(height, width, edge):
            if below is None:
                pixels = store.read(tile)
            else:
                twice = Tile(2 * tile.top, 2 * tile.left, 2 * tile.height, 2 * tile.width)
                pixels = halve(np.moveaxis(np.asarray(below[:, twice.rows, twice.columns]), 0, 2))
            level[:, tile.rows, tile.columns] = np.moveaxis(pixels, 2, 0)
        below = level
