"""TIFF files that Pillow cannot open or reads as other pictures, by tifffile.

Deep pictures in planes, deep ones whose white is 0, unsigned integers of 32 bits, floating-point
color, odd numbers of bits; compressed gray of big-endian signed or floating-point numbers; of 8
bits signed integers, and gray with alpha in planes or multiplied by it. The others are Pillow's,
which reads more compressions by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from creps.errors import DataError
from creps.pixels._deep import Box
from creps.pixels._opening import check_room
from creps.pixels._quiet import quiet

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _INKS = 0, 1, 2, 5  # PhotometricInterpretation
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3  # SampleFormat
_ASSOCIATED, _UNASSOCIATED = 1, 2  # ExtraSamples: colors times alpha, and colors beside it
_ORIENTATION, _PROFILE = 274, 34675  # tags
_MOST_SAMPLES = 8  # of a pixel, that are decoded to find three or four


@dataclass(frozen=True)
class DeepTiff:
    """The first page of a TIFF file.

    Attributes:
        size: (width, height), as the file lies.
        bits: of each sample.
        mode: in Pillow's words, roughly: "L", "RGB" or "RGBA" and the kind of number.
        orientation: of EXIF, 1 to 8.
        profile: ICC profile, or None.
    """

    size: tuple[int, int]
    bits: int
    mode: str
    orientation: int
    profile: bytes | None
    _page: Any
    format: str = "TIFF"

    def pixels(self, out: int) -> Callable[[Box], NDArray[np.float32]]:
        """What gives parts (h, w, k) on the scale 0 .. 255: gray, RGB or RGB and alpha.

        Integers span their range, floating-point numbers [0, 1].

        Args:
            out: bytes a pixel of what will be made of them.
        Raises:
            DataError: for a picture of too many bytes or unknown compression. Broken files:
                whatever tifffile raises.
        """
        page = self._page
        self.check(out)
        pieces = math.prod(page.chunked)
        if len(page.dataoffsets) < pieces and not page.is_contiguous:
            raise DataError(f"the file holds {len(page.dataoffsets)} of {pieces} pieces of pixels")
        try:
            with quiet():
                values = page.asarray(maxworkers=1)
        except (ValueError, ImportError) as error:
            if "imagecodecs" not in str(error):
                raise
            name = getattr(page.compression, "name", page.compression)
            raise DataError(
                f"a deep TIFF compressed by {name}: pip install 'creps[formats]' to read it"
            ) from None
        planes = page.planarconfig == 2
        values = values.reshape((-1, *page.shape[-2:]) if planes else (*self.size[::-1], -1))

        def part(box: Box) -> NDArray[np.float32]:
            left, top, right, bottom = box
            found = (
                values[..., top:bottom, left:right] if planes else values[top:bottom, left:right]
            )
            scaled = self._scaled(np.moveaxis(found, 0, 2) if planes else found)
            if page.photometric == _WHITE_IS_ZERO:
                scaled[:, :, :1] = 255 - scaled[:, :, :1]
            return self._channels(scaled)

        return part

    def check(self, out: int) -> None:
        """Refuse what would take too much memory (DataError)."""
        page = self._page
        if page.samplesperpixel > _MOST_SAMPLES:
            raise DataError(f"{page.samplesperpixel} samples a pixel: expected at most 8")
        if page.imagedepth != 1 or page.tiledepth not in (0, 1):
            raise DataError(f"it has {page.imagedepth} layers of depth: expected one")
        bytes_each = (self.bits + 7) // 8 * page.samplesperpixel
        check_room(*self.size, 2 * bytes_each + out)
        check_room(max(page.tilewidth, 1), max(page.tilelength, 1), 2 * bytes_each)

    def _scaled(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Samples on the scale 0 .. 255."""
        if values.dtype.kind == "f":
            values = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=1.0, neginf=0.0)
            return 255 * values.clip(0, 1)
        bits = self.bits - 1 if values.dtype.kind == "i" else self.bits
        if self.mode in ("L;16S", "L;32S"):  # as those that Pillow reads: unsigned ones of 16 bits
            bits = 16
        scaled: NDArray[np.float32] = (values.astype(np.float64) * (255 / (2**bits - 1))).astype(
            np.float32
        )
        return scaled.clip(0, 255)

    def _channels(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Gray, RGB or RGB and alpha of all samples."""
        count = 3 if self._page.photometric == _RGB else 1
        extra = list(self._page.extrasamples)
        kinds = [kind for kind in extra if kind in (_ASSOCIATED, _UNASSOCIATED)]
        colors = values[:, :, :count]
        if not kinds:
            return np.ascontiguousarray(colors)
        place = count + extra.index(kinds[0])
        alpha = values[:, :, place : place + 1]
        if kinds[0] == _ASSOCIATED:
            colors = np.where(alpha > 0, 255 * colors / np.maximum(alpha, 1e-6), 255).clip(0, 255)
        colors = np.broadcast_to(colors, (*colors.shape[:2], 3))
        return np.concatenate([colors, alpha], 2, dtype=np.float32)


def deep_tiff(stream: IO[bytes]) -> DeepTiff | None:
    """The first page of a TIFF file that Pillow does not read rightly; None for all other files.

    The stream is left at its start. A DataError for too many pixels.
    """
    stream.seek(0)
    magic = stream.read(4)
    stream.seek(0)
    if magic not in _MAGIC:
        return None
    try:
        with quiet():
            page: Any = tifffile.TiffFile(stream).pages[0]
            kind = None if _suits_pillow(page) else _described(page)
    except (MemoryError, DataError):
        raise
    except Exception:  # Pillow is less strict, or says what is wrong
        kind = None
    stream.seek(0)
    return kind


def _described(page: Any) -> DeepTiff:
    width, height = int(page.imagewidth), int(page.imagelength)
    orientation = page.tags.valueof(_ORIENTATION, 1)
    number = {_FLOAT: "F", _SIGNED: "S"}.get(_format(page), "U")
    colors = "RGB" if page.photometric == _RGB else "L"
    alpha = "A" if {_ASSOCIATED, _UNASSOCIATED} & set(page.extrasamples) else ""
    profile = page.tags.valueof(_PROFILE)
    found = DeepTiff(
        (width, height),
        int(page.bitspersample),
        f"{colors}{alpha};{page.bitspersample}{number}",
        orientation if orientation in range(1, 9) else 1,
        profile if isinstance(profile, bytes) else None,
        page,
    )
    found.check(3)
    return found


def _format(page: Any) -> int:
    """The kind of number of the samples."""
    found = page.sampleformat
    return int(found[0] if isinstance(found, tuple) else found)


def _is_odd_alpha(page: Any) -> bool:
    """Alpha of 8 bits that Pillow refuses, or reads as something else: of gray, and of planes."""
    multiplied, planes = _ASSOCIATED in page.extrasamples, page.planarconfig == 2
    return (multiplied and planes) or (page.samplesperpixel == 2 and (multiplied or planes))


def _is_big_motorola(page: Any) -> bool:
    """A BigTIFF of the byte order that Pillow does not know."""
    return bool(page.parent.is_bigtiff and page.parent.byteorder == ">")


def _suits_pillow(page: Any) -> bool:
    """Whether Pillow reads all of the picture, and as it is meant."""
    bits, kind = page.bitspersample, _format(page)
    planes = page.planarconfig == 2
    if page.photometric == _INKS and bits > 8 and planes and page.compression == 1:
        raise DataError("CMYK of 16 bits in uncompressed planes: save it interleaved, or in 8 bits")
    if page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
        return True  # palettes, CMYK, YCbCr, Lab: 8 bits, or Pillow's own way
    if bits in (1, 2, 4):
        return True
    if bits == 8:
        return kind == _UNSIGNED and not _is_odd_alpha(page) and not _is_big_motorola(page)
    if page.photometric == _WHITE_IS_ZERO or page.samplesperpixel == 2 or planes:
        return False
    if page.samplesperpixel == 1:
        if page.compression != 1 and page.parent.byteorder == ">":  # it swaps bytes once too often
            return (bits, kind) == (16, _UNSIGNED)
        return (bits, kind) in ((16, _UNSIGNED), (16, _SIGNED), (32, _SIGNED), (32, _FLOAT))
    return (bits, kind) == (16, _UNSIGNED) and page.samplesperpixel in (3, 4)
