"""JPEG 2000 files that Pillow reads as other pictures, by imagecodecs; and profiles of all of them.

Of colors and alpha of more than 8 bits Pillow (13) rounds each value up where it should not go
beyond 255, so that white becomes black and what is opaque transparent; gray of fewer bits never
becomes white. Gray of more bits is right.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from creps.errors import DataError
from creps.pixels._deep import Box
from creps.pixels._opening import check_room
from creps.pixels._quiet import quiet

_FILE = b"\0\0\0\x0cjP  \r\n\x87\n"
_CODESTREAM = b"\xff\x4f\xff\x51"
_CMYK, _SYCC = 12, 18  # of the box "colr": colors that are none of RGB and gray
_ICC = 2  # of the same: that a profile follows
_MOST_BOXES, _MOST_HEADER = 64, 1 << 25
_MOST_CHANNELS = 4
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class _Facts:
    """What the headers of a file say: of each channel its bits, sign and the pixels it covers."""

    size: tuple[int, int]
    channels: tuple[tuple[int, bool, int], ...]
    space: int
    palette: bool
    profile: bytes | None
    start: int  # of the codestream

    @property
    def suits_pillow(self) -> bool:
        bits = {each[0] for each in self.channels}
        if self.palette or len(self.channels) > _MOST_CHANNELS or bits == {8}:
            return True
        return len(self.channels) == 1 and min(bits) > 8


@dataclass(frozen=True)
class DeepJpeg2000:
    """A JPEG 2000 of other than 8 bits; attributes as those of `DeepTiff`."""

    size: tuple[int, int]
    bits: int
    mode: str
    profile: bytes | None
    signed: bool
    _stream: IO[bytes]
    _start: int
    orientation: int = 1
    format: str = "JPEG2000"

    def pixels(self, out: int) -> Callable[[Box], NDArray[np.float32]]:
        """What gives parts (h, w, k) on the scale 0 .. 255; as `DeepTiff.pixels`."""
        try:
            from imagecodecs import jpeg2k_decode
        except ImportError:
            raise DataError(
                f"a JPEG 2000 of {self.bits} bits: pip install 'creps[formats]' to read it"
            ) from None
        self.check(out)
        self._stream.seek(self._start)  # of a file with a profile it would convert the colors
        with quiet():
            values = jpeg2k_decode(self._stream.read(), numthreads=1)
        values = values.reshape(*self.size[::-1], -1)
        least = -(2 ** (self.bits - 1)) if self.signed else 0

        def part(box: Box) -> NDArray[np.float32]:
            left, top, right, bottom = box
            found = values[top:bottom, left:right].astype(np.float64) - least
            scaled: NDArray[np.float32] = (found * (255 / (2**self.bits - 1))).astype(np.float32)
            if scaled.shape[2] != 2:
                return scaled
            return np.concatenate([scaled[:, :, :1].repeat(3, 2), scaled[:, :, 1:]], 2)

        return part

    def check(self, out: int) -> None:
        """Refuse what would take too much memory (DataError)."""
        channels = len(self.mode.partition(";")[0])
        check_room(*self.size, 6 * channels + out)  # the decoder's integers of 32 bits, and its own


def deep_jpeg2000(stream: IO[bytes]) -> DeepJpeg2000 | None:
    """A JPEG 2000 that Pillow does not read rightly; None for all other files.

    The stream is left at its start. A DataError for too many pixels, and for kinds that nothing
    here reads.
    """
    facts = _facts(stream)
    if facts is None or facts.suits_pillow:
        return None
    bits, signed, covered = facts.channels[0]
    if any(each != facts.channels[0] for each in facts.channels) or covered != 1:
        raise DataError("a JPEG 2000 whose channels are not alike, of other than 8 bits")
    if facts.space in (_CMYK, _SYCC):
        raise DataError("a JPEG 2000 in CMYK or YCbCr of other than 8 bits: convert it to TIFF")
    mode = f"{_MODES[len(facts.channels)]};{bits}{'S' if signed else 'U'}"
    found = DeepJpeg2000(facts.size, bits, mode, facts.profile, signed, stream, facts.start)
    found.check(3)
    return found


def profile_of(stream: IO[bytes]) -> bytes | None:
    """The color profile of a JPEG 2000, which Pillow passes over; the stream stays where it is."""
    place = stream.tell()
    facts = _facts(stream)
    stream.seek(place)
    return facts.profile if facts else None


def _facts(stream: IO[bytes]) -> _Facts | None:
    """What the headers say; None for other files, and for damaged ones: Pillow says why."""
    stream.seek(0)
    head = stream.read(len(_FILE))
    stream.seek(0)
    if head != _FILE and not head.startswith(_CODESTREAM):
        return None
    boxes: dict[bytes, bytes] = {}
    try:
        if head == _FILE:
            for name, content in _boxes(stream):
                boxes.setdefault(name, content)
        return _described(stream, boxes)
    except (struct.error, ValueError, IndexError):
        return None
    finally:
        stream.seek(0)


def _boxes(stream: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Boxes of the header; the stream ends where the codestream begins."""
    for _ in range(_MOST_BOXES):
        length, name = struct.unpack(">I4s", stream.read(8))
        if name == b"jp2c":
            if length == 1:
                stream.seek(8, 1)
            return
        size = (struct.unpack(">Q", stream.read(8))[0] - 16) if length == 1 else length - 8
        if not 0 <= size <= _MOST_HEADER:
            raise ValueError("a box of an impossible size")
        if name != b"jp2h":
            stream.seek(size, 1)
            continue
        content = stream.read(size)
        place = 0
        while place + 8 <= len(content):
            length, name = struct.unpack_from(">I4s", content, place)
            if length < 8:
                raise ValueError("a box of an impossible size")
            yield name, content[place + 8 : place + length]
            place += length
    raise ValueError("no codestream")


def _described(stream: IO[bytes], boxes: dict[bytes, bytes]) -> _Facts:
    start = stream.tell()
    if stream.read(4) != _CODESTREAM:
        raise ValueError("no codestream")
    _, _, right, bottom, left, top = struct.unpack(">HHIIII", stream.read(20))
    stream.seek(16, 1)  # tiles
    (count,) = struct.unpack(">H", stream.read(2))
    each = [struct.unpack(">BBB", stream.read(3)) for _ in range(min(count, _MOST_CHANNELS + 1))]
    channels = tuple(((kind & 127) + 1, kind > 127, down * across) for kind, across, down in each)
    if not channels:
        raise ValueError("no channels")
    color = boxes.get(b"colr", b"\0\0\0")
    method = color[0]
    return _Facts(
        (right - left, bottom - top),
        channels,
        struct.unpack_from(">I", color, 3)[0] if method == 1 else 0,
        b"pclr" in boxes,
        color[3:] or None if method == _ICC else None,
        start,
    )
