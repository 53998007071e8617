"""From a complete picture on disk to the file that was asked for, in bounded memory.

Every file is written aside and renamed, so that it appears whole or not at all. Imported only where
the packages of the `big` extra are there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from creps.rendering.renderer import Picture
from creps.rendering.streams.durable import aside, discard, sweep, write_durably
from creps.rendering.streams.pyramids import build_pyramid, ome_attributes
from creps.rendering.streams.tile_array import TileArray
from creps.rendering.streams.tile_store import TileStore
from creps.rendering.tiles import Tile

TIFF_TILE = 512
TIFF_BUFFER = 2**24
"""Bytes of tiles that are compressed side by side; tifffile's own default is 256 MiB."""
COPYRIGHT_TAG = 33432

DEEP_ZOOM_TILE, DEEP_ZOOM_OVERLAP = 254, 1
"""What libvips and the viewers expect: 256 pixels with the seams shared by neighbours."""
JPEG_QUALITY = 95


def export_zarr(store: TileStore, target: Path) -> None:
    """Make the store itself an OME-Zarr 0.5 with its pyramid; it moves to `target`."""
    levels = build_pyramid(store, smallest=store.pixels.tiles.edge)
    name, channels = target.stem, store.pixels.channels
    store.describe(ome_attributes(name, levels=len(levels), channels=channels))
    sweep(store.path)
    discard(target)
    store.path.rename(target)


def export_tiff(store: TileStore, target: Path) -> None:
    """Write a tiled BigTIFF, deflated without loss, smaller levels in its SubIFDs.

    The settings are its image description.
    """
    levels = build_pyramid(store, smallest=TIFF_TILE)
    channels, credits = store.pixels.channels, str(store.settings.get("credits", ""))
    dpi = store.settings.get("dpi")
    rights = [(COPYRIGHT_TAG, "s", 0, credits, True)] if credits else []
    with (
        aside(target) as temporary,
        temporary.open(
            "w+b"
        ) as buffered,  # unlike tifffile's own, it notices when the disk is full
        tifffile.TiffWriter(buffered, bigtiff=True) as file,
    ):
        for k, level in enumerate(levels):
            file.write(
                _tiff_tiles(level),
                shape=(level.height, level.width, *([channels] if channels > 1 else [])),
                dtype=np.uint8,
                tile=(TIFF_TILE, TIFF_TILE),
                photometric="rgb" if channels == 3 else "minisblack",
                compression="zlib",
                predictor=2,  # horizontal differences
                subifds=len(levels) - 1 if k == 0 else None,
                subfiletype=1 if k else 0,  # 1: a smaller version of another image
                description=json.dumps(store.settings) if k == 0 else None,
                resolution=None if dpi is None else (dpi, dpi),
                resolutionunit=None if dpi is None else "INCH",
                software=f"creps {version('creps')}" if k == 0 else False,
                extratags=rights if k == 0 else [],
                metadata=None,
                buffersize=TIFF_BUFFER,
            )


def _tiff_tiles(level: TileArray) -> Iterator[Picture]:
    """The tiles of a TIFF, row by row: (h, w, C), gray (h, w); tifffile pads the last ones."""
    for top in range(0, level.height, TIFF_TILE):
        for left in range(0, level.width, TIFF_TILE):
            height = min(TIFF_TILE, level.height - top)
            tile = Tile(top, left, height, min(TIFF_TILE, level.width - left))
            pixels = level.read(tile)
            yield pixels if level.channels > 1 else pixels[:, :, 0]


def export_deep_zoom(store: TileStore, target: Path) -> None:
    """Write a Deep Zoom image: NAME.dzi, and JPEG tiles of all levels in NAME_files.

    The settings are in NAME_files/creps.json. The folder comes first and NAME.dzi last.
    """
    levels = build_pyramid(store, smallest=1)
    folder = tiles_folder(target)
    with aside(folder) as temporary:
        for number, level in enumerate(reversed(levels)):  # level 0 is one pixel
            place = temporary / str(number)
            place.mkdir(parents=True)
            for row, column, tile in deep_zoom_tiles(level.height, level.width):
                (place / f"{column}_{row}.jpg").write_bytes(_jpeg(level.read(tile)))
        write_durably(temporary / "creps.json", json.dumps(store.settings, indent=2).encode())
        target.unlink(missing_ok=True)  # never an old description of new tiles
    write_durably(target, _deep_zoom_description(store.pixels).encode())


def deep_zoom_tiles(height: int, width: int) -> Iterator[tuple[int, int, Tile]]:
    """(row, column, pixels) of the tiles of one level; neighbours share a seam of two pixels.

    Source:
        https://learn.microsoft.com/previous-versions/windows/silverlight/dotnet-windows-silverlight/cc645077(v=vs.95)
    """
    edge, overlap = DEEP_ZOOM_TILE, DEEP_ZOOM_OVERLAP
    for row in range(-(-height // edge)):
        for column in range(-(-width // edge)):
            top, left = max(row * edge - overlap, 0), max(column * edge - overlap, 0)
            bottom = min((row + 1) * edge + overlap, height)
            right = min((column + 1) * edge + overlap, width)
            yield row, column, Tile(top, left, bottom - top, right - left)


def tiles_folder(target: Path) -> Path:
    """Where the tiles of a Deep Zoom image are: NAME_files beside NAME.dzi."""
    return target.with_name(f"{target.stem}_files")


def _jpeg(pixels: Picture) -> bytes:
    """Encoded in memory: Pillow would not notice when the disk takes only a part of it."""
    image = Image.fromarray(pixels if pixels.shape[2] > 1 else pixels[:, :, 0])
    file = BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return file.getvalue()


def _deep_zoom_description(pixels: TileArray) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<Image xmlns="http://schemas.microsoft.com/deepzoom/2008" Format="jpg" '
        f'Overlap="{DEEP_ZOOM_OVERLAP}" TileSize="{DEEP_ZOOM_TILE}">\n'
        f'  <Size Width="{pixels.width}" Height="{pixels.height}"/>\n'
        "</Image>\n"
    )
