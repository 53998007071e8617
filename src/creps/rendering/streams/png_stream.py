"""A PNG piece by piece, for pictures that no memory holds.

No library writes one in memory that does not grow with the picture: libvips comes close, but its
buffers grow with the width. What is needed of PNG (W3C Recommendation, third edition) is short.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from creps.rendering.renderer import Picture

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
