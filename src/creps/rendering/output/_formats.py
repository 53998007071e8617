"""From a complete picture on disk to the file that was asked for, in bounded memory.

Every file is written aside and renamed, so that it appears whole or not at all. Imported only where
the packages of the `big` extra are there.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyvips
import tifffile
from PIL import Image

from creps.errors import DataError
from creps.rendering._painter import Picture
from creps.rendering._tiles import Tile
from creps.rendering.output._atomic import aside, discard, sweep, write_durably
from creps.rendering.output._images import SETTINGS_KEY, exif_of
from creps.rendering.output._store import TileArray, TileStore

# Pyramids: a picture at half its size, and half again; a pixel is the average of those below.


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


# A PNG piece by piece, for pictures that no memory holds.
#
# No library writes one in memory that does not grow with the picture: libvips comes close, but
# its buffers grow with the width. What is needed of PNG (W3C Recommendation, third edition) is
# short.


SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {1: 0, 3: 2}
"""Code by number of channels: gray, RGB."""

UP = 2
"""The filter "difference from the row above". On smooth pictures files get as small as with the
best filter of five for each row, at a tenth of the time."""


def png_stream(
    bands: Iterable[Picture],
    *,
    height: int,
    width: int,
    channels: int,
    texts: Mapping[str, str],
    dpi: float | None = None,
    level: int = 6,
) -> Iterator[bytes]:
    """Encode a picture of 8-bit pixels as a PNG; memory is bounded by a band.

    Args:
        bands: the picture in stripes from top to bottom, (h, width, channels) uint8 each, `height`
            rows in all.
        height, width: 1 .. 2**31 - 1 pixels.
        channels: 3 for RGB, 1 for gray.
        texts: what the file tells of itself, by PNG keyword; Latin-1 keywords, any text.
        dpi: pixels an inch; None says nothing.
        level: effort of zlib, 0 (stored, for a pipe) .. 9.
    Yields:
        the bytes of the file, in order.
    """
    header = struct.pack(">IIBBBBB", width, height, 8, COLOUR_TYPES[channels], 0, 0, 0)
    yield SIGNATURE
    yield from _chunk(b"IHDR", header)
    if dpi is not None:
        a_metre = round(dpi / 0.0254)
        yield from _chunk(b"pHYs", struct.pack(">IIB", a_metre, a_metre, 1))
    for keyword, text in texts.items():
        # keyword, NUL, not compressed (two bytes), no language, no translated keyword
        yield from _chunk(b"iTXt", keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode())
    packer = zlib.compressobj(level)
    above = np.zeros((1, width * channels), np.uint8)
    for band in bands:
        rows = band.reshape(len(band), width * channels)
        filtered = np.empty((len(rows), 1 + width * channels), np.uint8)
        filtered[:, 0] = UP
        np.subtract(rows[:1], above, out=filtered[:1, 1:])  # modulo 256, as uint8 does
        np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
        above = rows[-1:].copy()
        packed = packer.compress(filtered.data)
        if packed:
            yield from _chunk(b"IDAT", packed)
    yield from _chunk(b"IDAT", packer.flush())
    yield from _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> Iterator[bytes]:
    """Length and kind, content, checksum; the content may be large and is not copied."""
    yield struct.pack(">I", len(content)) + kind
    yield content
    yield struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))


# From a complete picture on disk to the formats of one flat image: PNG, JPEG, WebP.
#
# PNG is written band by band. JPEG and WebP are libvips' work, which reads the same bands through
# a pipe. Imported only where the packages of the `big` extra are there.


BAND_BYTES = 2**23
"""Largest stripe of a picture in memory, unless it gets too thin."""
THINNEST_BAND = 32
"""Rows: a chunk of 512 is then decoded at most 16 times over."""

QUALITY: dict[str, dict[str, Any]] = {
    ".jpg": {"Q": 95, "subsample_mode": "off"},
    ".webp": {"Q": 95},
}

Result = TypeVar("Result")


def export_png(store: TileStore, target: Path) -> None:
    """Write a PNG without loss; the settings are a text of it."""
    texts = {SETTINGS_KEY: json.dumps(store.settings), "Software": _software()}
    if credits := str(store.settings.get("credits", "")):
        texts["Copyright"] = credits
    with aside(target) as temporary, temporary.open("wb") as file:
        for piece in _png(store.pixels, texts=texts, level=6, dpi=store.settings.get("dpi")):
            file.write(piece)


def export_jpeg(store: TileStore, target: Path) -> None:
    """Write a JPEG at quality 95 without colour subsampling; the settings are in its EXIF."""
    _export_by_vips(store, target, ".jpg")


def export_webp(store: TileStore, target: Path) -> None:
    """Write a WebP at quality 95; libvips holds the whole picture, which the format keeps small."""
    _export_by_vips(store, target, ".webp")


def bands(pixels: TileArray) -> Iterator[Picture]:
    """A picture in stripes from top to bottom, (h, width, channels) uint8 each.

    They are as high as a chunk, or thinner for wide pictures so that memory stays bounded.
    """
    height = pixels.tiles.edge
    while height > THINNEST_BAND and height * pixels.width * pixels.channels > BAND_BYTES:
        height = -(-height // 2)
    for top in range(0, pixels.height, height):
        yield pixels.read(Tile(top, 0, min(height, pixels.height - top), pixels.width))


def _png(
    pixels: TileArray, *, texts: dict[str, str], level: int, dpi: float | None = None
) -> Iterator[bytes]:
    return png_stream(
        bands(pixels),
        height=pixels.height,
        width=pixels.width,
        channels=pixels.channels,
        texts=texts,
        dpi=dpi,
        level=level,
    )


def _export_by_vips(store: TileStore, target: Path, suffix: str) -> None:
    """Encode by libvips, which reads a PNG from a pipe: any build of it can do so in sections."""
    pipe = _Pipe(_png(store.pixels, texts={}, level=0))
    with aside(target) as temporary, temporary.open("wb") as file:
        source, sink = pyvips.SourceCustom(), pyvips.TargetCustom()
        source.on_read(pipe.guarded(pipe.read, failed=b""))
        sink.on_write(pipe.guarded(file.write, failed=-1))
        try:
            image = pyvips.Image.new_from_source(
                source, "", access="sequential", fail_on="truncated", unlimited=True
            ).copy(**_density(store.settings.get("dpi")))
            image.set_type(pyvips.GValue.blob_type, "exif-data", exif_of(store.settings).tobytes())
            image.write_to_target(sink, suffix, **QUALITY[suffix])
        except pyvips.Error as error:
            reason = " ".join(str(error).split())
            raise pipe.failure or DataError(f"{target}: libvips failed: {reason}") from None
        if pipe.failure is not None:
            raise pipe.failure


class _Pipe:
    """Pieces of bytes read in other sizes; keeps the error that libvips would swallow."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")
        self.failure: Exception | None = None

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, none at the end."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = memoryview(piece)
        part, self._rest = self._rest[:size], self._rest[size:]
        return bytes(part)

    def guarded(self, work: Callable[[Any], Result], *, failed: Result) -> Callable[[Any], Result]:
        """`work` for libvips to call: its error is kept in `failure`, and libvips told `failed`."""

        def call(argument: Any) -> Result:
            try:
                return work(argument)
            except Exception as error:
                self.failure = self.failure or error
                return failed

        return call


def _density(dpi: float | None) -> dict[str, float]:
    """Pixels a millimetre, as libvips has it and writes it into JFIF and EXIF."""
    return {} if dpi is None else {"xres": dpi / 25.4, "yres": dpi / 25.4}


def _software() -> str:
    return f"creps {version('creps')}"


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
