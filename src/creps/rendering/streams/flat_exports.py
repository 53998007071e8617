"""From a complete picture on disk to the formats of one flat image: PNG, JPEG, WebP.

PNG is written band by band. JPEG and WebP are libvips' work, which reads the same bands through a
pipe. Imported only where the packages of the `big` extra are there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import pyvips

from creps.errors import DataError
from creps.rendering.renderer import Picture
from creps.rendering.streams.durable import aside
from creps.rendering.streams.png_stream import png_stream
from creps.rendering.streams.tile_array import TileArray
from creps.rendering.streams.tile_store import TileStore
from creps.rendering.tiles import Tile
from creps.rendering.writers import SETTINGS_KEY, exif_of

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
