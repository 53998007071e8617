"""Opening picture files with Pillow: which there are, how large they may be, why one is broken."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import IO

from PIL import Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from creps.errors import DataError, printable

_FOREIGN = frozenset(
    {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
)  # formats that need other programs
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


def check_pixels(width: int, height: int) -> None:
    """Refuse a picture of too many pixels (DataError)."""
    if width * height > most_pixels():
        raise DataError(f"more than {most_pixels():,} pixels, reduce it first")


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings of Pillow's: what is wrong with a file is an error, or does not matter."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


@contextmanager
def opened(stream: IO[bytes], *, shortest: int = 0) -> Iterator[Image.Image]:
    """A picture file whose pixels are not read yet.

    A JPEG of too many pixels is opened at a half, a quarter or an eighth of its size; so is one
    whose shorter side stays at `shortest` pixels or more then, if that is not 0.

    Raises:
        DataError: for another file of too many pixels. Broken files: whatever Pillow raises.
    """
    image_endings()  # registers readers
    with quiet(), _known(stream) as image:
        if isinstance(image, JpegImageFile):
            _reduce(image, shortest)
        check_pixels(*image.size)
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


def _reduce(image: JpegImageFile, shortest: int) -> None:
    """Let a JPEG be read at a part of its size, where that is enough or all that is possible."""
    width, height = image.size
    wanted = min(image.size) // shortest if shortest else 1
    fitting = [k for k in _REDUCTIONS if (width // k) * (height // k) <= most_pixels()]
    times = max([k for k in _REDUCTIONS if k <= wanted] + fitting[:1])
    if times > 1:
        image.draft(image.mode, (width // times, height // times))


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
