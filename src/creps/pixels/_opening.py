"""Opening picture files with Pillow: which there are, how large they may be, why one is broken."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import IO

from PIL import Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from creps.errors import DataError, printable
from creps.pixels._deep import bits_per_channel
from creps.pixels._quiet import quiet

_FOREIGN = frozenset(
    {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
)  # formats that need other programs
MOST_FILE = 1 << 29
"""Bytes of a picture file."""
MOST_MEMORY = 1 << 30
"""Bytes that reading one picture may take, its pixels included."""
_MOST_JPEG = 1_500_000_000  # pixels of a JPEG that is read at a part of its size
_SCAN, _BARE = 0xDA, frozenset([0x01, *range(0xD0, 0xDA)])  # markers of JPEG, and those alone
_REDUCTIONS = (1, 2, 4, 8)
"""What a JPEG can be read at: all of it, a half, a quarter, an eighth of its sides."""


@lru_cache(maxsize=1)
def image_endings() -> frozenset[str]:
    """Lower-case endings, with their dots, of the files that can be read."""
    with suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    known = Image.registered_extensions()
    return frozenset(e for e, kind in known.items() if kind in Image.OPEN and kind not in _FOREIGN)


def most_pixels() -> int:
    """How many pixels a picture may have: what Pillow takes without a doubt, twice."""
    return 2 * Image.MAX_IMAGE_PIXELS if Image.MAX_IMAGE_PIXELS else 2**62


def check_room(width: int, height: int, per_pixel: int, *, more: int = 0) -> None:
    """Refuse a picture of no pixels, of too many, or too many bytes (DataError).

    Args:
        width, height: in pixels.
        per_pixel: bytes of memory that reading it takes.
        more: further bytes.
    """
    if width < 1 or height < 1:
        raise DataError("it has no pixels")
    need = width * height * per_pixel + more
    if need > MOST_MEMORY:
        raise DataError(
            f"{height:,} x {width:,} pixels would take {need / 1e9:.1f} GB of memory to read, "
            f"expected at most {MOST_MEMORY / 1e9:.1f}: reduce it first"
        )
    if width * height > most_pixels():
        raise DataError(f"more than {most_pixels():,} pixels, reduce it first")


@contextmanager
def opened(stream: IO[bytes], *, shortest: int = 0, out: int = 3) -> Iterator[Image.Image]:
    """A picture file whose pixels are not read yet.

    A JPEG that would take too much memory is opened at a half, a quarter or an eighth of its size;
    so is one whose shorter side stays at `shortest` pixels or more then, if that is not 0.

    Args:
        stream: a seekable binary file.
        shortest: see above.
        out: bytes a pixel of what will be made of it.
    Raises:
        DataError: for a file of no pixels, too many, or too many bytes. Broken files: whatever
            Pillow raises.
    """
    image_endings()  # registers readers
    with quiet(), _known(stream) as image:
        kept = 0
        if isinstance(image, JpegImageFile):
            kept = _kept_coefficients(image, stream)
            _reduce(image, shortest, out=out, kept=kept)
        check_room(*image.size, _held(image) + out, more=kept)
        _scale_transparent_gray(image)
        yield image


def _known(stream: IO[bytes]) -> Image.Image:
    """A picture file as Pillow opens it; a JPEG of any number of pixels."""
    try:
        return Image.open(stream)
    except Image.DecompressionBombError:
        stream.seek(0)
        large = stream.read(2) == b"\xff\xd8"
        stream.seek(0)
        if not large:
            raise DataError(f"more than {most_pixels():,} pixels, reduce it first") from None
        return JpegImageFile(stream)


_DECODERS = {"AVIF": 8, "GIF": 12, "HEIF": 8, "JPEG2000": 16, "PSD": 8, "TIFF": 4, "WEBP": 12}
_DECODERS |= dict.fromkeys(("BMP", "DIB", "ICO", "TGA"), 4)
"""Bytes a pixel that decoders hold besides Pillow's own, and what makes their alpha true; about."""


def _held(image: Image.Image) -> int:
    """Bytes a pixel that an opened picture takes once it is loaded."""
    own = {"1": 1, "L": 1, "P": 1}.get(image.mode, 2 if image.mode.startswith("I;16") else 4)
    twice = bits_per_channel(image) == 16 and own == 4  # as `deep_pixels` reads them
    return own * (1 + twice) + _DECODERS.get(image.format or "", 0)


def jpeg_reduction(picture: tuple[int, int], shortest: int) -> int:
    """What part of its sides a JPEG is read at, as 1, 2, 4 or 8, where memory does not matter.

    Args:
        picture: its sides in pixels.
        shortest: pixels of the shorter side that are enough; 0: all.
    """
    enough = max(min(picture) // shortest, 1) if shortest else 1
    return max(k for k in _REDUCTIONS if k <= enough)


def _reduce(image: JpegImageFile, shortest: int, *, out: int, kept: int) -> None:
    """Let a JPEG be read at a part of its size, where that is enough or all that is possible."""
    width, height = image.size
    room = min(most_pixels(), (MOST_MEMORY - kept) // (_held(image) + out))
    fitting = [k for k in _REDUCTIONS if (width // k) * (height // k) <= room]
    times = max([jpeg_reduction(image.size, shortest), *fitting[:1]])
    if times > 1:
        image.draft(image.mode, (width // times, height // times))


def _kept_coefficients(image: JpegImageFile, stream: IO[bytes]) -> int:
    """Bytes of what libjpeg keeps of a JPEG of several scans until it has seen the last."""
    width, height = image.size
    if width * height > _MOST_JPEG:
        raise DataError(f"more than {_MOST_JPEG:,} pixels, reduce it first")
    layers = image.layer
    place = stream.tell()
    several = "progressive" in image.info or _in_first_scan(stream) < len(layers)
    stream.seek(place)
    if not several:
        return 0
    across, down = (max(each[k] for each in layers) or 1 for k in (1, 2))
    shares = sum(each[1] * each[2] for each in layers) / (across * down)
    return int(2 * width * height * shares)


def _in_first_scan(stream: IO[bytes]) -> int:
    """How many components the first scan of a JPEG holds; 0 where there is none."""
    stream.seek(2)
    while len(marker := stream.read(2)) == 2 and marker[0] == 0xFF:
        if marker[1] == 0xFF:  # a filling byte
            stream.seek(-1, io.SEEK_CUR)
        elif marker[1] not in _BARE:
            length = int.from_bytes(stream.read(2), "big")
            if marker[1] == _SCAN:
                return int.from_bytes(stream.read(1), "big")
            stream.seek(max(length - 2, 0), io.SEEK_CUR)
    return 0


def _scale_transparent_gray(image: Image.Image) -> None:
    """The transparent gray of a PNG of 2 or 4 bits, widened as Pillow widens its pixels."""
    clear, tiles = image.info.get("transparency"), getattr(image, "tile", None)
    if image.format == "PNG" and image.mode == "L" and isinstance(clear, int) and tiles:
        bits = {"L;2": 2, "L;4": 4}.get(tiles[0][3], 8)
        image.info["transparency"] = clear * 255 // (2**bits - 1)


def why_broken(error: Exception, stream: IO[bytes]) -> str:
    """Why a file cannot be read, in a few words: what it is instead, or what its reader says."""
    if isinstance(error, DataError):
        return str(error)
    head = b""
    with suppress(Exception):
        stream.seek(0)
        head = stream.read(64)
    start = head.lstrip().lower()
    if not head:
        return "an empty file"
    if not head.strip(b"\0"):
        return "nothing but zeros"
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the file: git lfs pull fetches it"
    if start.startswith((b"<!doctype html", b"<html")):
        return "a page of HTML, no picture"
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        return "a HEIC picture: pip install pillow-heif to read it"
    if isinstance(error, UnidentifiedImageError):
        return "no picture of a known format"
    return reason_of(error)


_WORDS: dict[type[Exception], str] = {
    RecursionError: "it is nested too deeply",
    EOFError: "it ends too early",
    AssertionError: "it is damaged",
}
"""What errors mean that say nothing, or nothing about the file."""
_LONGEST_REASON = 200


def reason_of(error: Exception) -> str:
    """What an error says, in one short line; its kind where it says nothing."""
    for kind, meaning in _WORDS.items():
        if isinstance(error, kind):
            return meaning
    told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    words = printable(" ".join(told.split())) or f"it is damaged ({type(error).__name__})"
    return words if len(words) <= _LONGEST_REASON else words[:_LONGEST_REASON] + "..."
