"""From picture files to arrays: orientation, color modes, bit depth, color profiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from creps.errors import ConfigError
from creps.pixels._alpha import with_true_alpha
from creps.pixels._deep import Box, bits_per_channel, deep_pixels
from creps.pixels._jpeg2000 import DeepJpeg2000, deep_jpeg2000, profile_of
from creps.pixels._opening import opened
from creps.pixels._profiles import Conversion, conversion_of, profile_name
from creps.pixels._quiet import quiet
from creps.pixels._tiff import DeepTiff, deep_tiff

CHANNELS = {1: "gray", 3: "RGB", 4: "RGB and alpha"}
"""Channels that pictures may have, and their meaning."""

_EXIF_ORIENTATION = 0x0112
_WIDTH, _HEIGHT = 256, 257  # TIFF tags
_UPRIGHT: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: np.rot90(p, 1),
}
_LYING = (5, 6, 7, 8)  # orientations that swap height and width
_LUMA = np.array((0.299, 0.587, 0.114), np.float32)  # ITU-R 601


def check_channels(channels: int) -> None:
    """Refuse pictures of other than 1 (gray), 3 (RGB) or 4 (RGB, alpha) channels (ConfigError)."""
    if channels not in CHANNELS:
        raise ConfigError(f"{channels} channels: expected 1 (gray), 3 (RGB) or 4 (RGB and alpha)")


@dataclass(frozen=True)
class Header:
    """What the header of an image file says, before its pixels are read.

    Attributes:
        size: upright (height, width).
        mode: Pillow's word for the color mode: "L", "RGB", "CMYK", "P", "I;16", ...
        bits: per channel: 8, 16 or 32.
        format: "PNG", "JPEG", ...
        turned: whether the file asks to be turned or mirrored (EXIF orientation).
        profile: the name of its color profile, empty without one that can be read.
        converted: digest of the profile, if colors are converted from it; empty where they are
            sRGB's already.
    """

    size: tuple[int, int]
    mode: str
    bits: int
    format: str
    turned: bool
    profile: str
    converted: str


def read_header(stream: IO[bytes]) -> Header:
    """The header of a picture file; raises whatever its reader raises for a broken one."""
    deep = _beyond_pillow(stream)
    if deep is not None:
        width, height = deep.size
        size = (width, height) if deep.orientation in _LYING else (height, width)
        facts = (size, deep.mode, deep.bits, deep.format, deep.orientation != 1)
        return Header(*facts, *_profile_facts(deep.profile, deep.mode))
    with opened(stream) as image:
        orientation = _orientation(image)
        size = _upright_size(image, orientation)
        bits = bits_per_channel(image)
        facts = (size, image.mode, bits, image.format or "", orientation != 1)
        return Header(*facts, *_profile_facts(_profile(image, stream), image.mode))


def _beyond_pillow(stream: IO[bytes]) -> DeepTiff | DeepJpeg2000 | None:
    """A file that Pillow reads as another picture, or not at all; None for all others."""
    return deep_tiff(stream) or deep_jpeg2000(stream)


def _profile(image: Image.Image, stream: IO[bytes]) -> bytes | None:
    """The color profile of a file as Pillow opened it."""
    if image.format == "JPEG2000":
        return profile_of(stream)
    return image.info.get("icc_profile")


def _profile_facts(profile: bytes | None, mode: str) -> tuple[str, str]:
    """The name of a profile, and its digest if pictures of a mode are converted from it."""
    if not profile:
        return "", ""
    conversion = conversion_of(profile)
    suits = conversion is not None and conversion.suits(mode)
    return profile_name(profile), conversion.digest if conversion and suits else ""


def decode(
    stream: IO[bytes],
    channels: int = 3,
    *,
    precise: bool = False,
    shortest: int = 0,
    keep_colors: bool = False,
    square: bool = False,
) -> NDArray[np.uint8] | NDArray[np.float32]:
    """The pixels of a picture file, upright, in sRGB.

    Transparent pictures are composited on white, unless alpha is requested; then invisible pixels
    are white. Gray and color of 16 and 32 bits are scaled to 8 and rounded to nearest, or kept
    where precise; floating-point numbers are taken as [0, 1]. Colors of another profile than sRGB
    are converted by it, before anything else is done to them. Of an animation the first frame
    counts. A broken file raises whatever its reader raises.

    Args:
        stream: a seekable binary file.
        channels: 1 (gray, ITU-R 601 luma), 3 (RGB) or 4 (RGB and alpha, not premultiplied).
        precise: float32 on the scale 0 .. 255, unrounded where the file has more than 8 bits.
        shortest: pixels of the shorter side that are enough: a larger JPEG is read at 1/2, 1/4 or
            1/8 of its size, several times faster, as long as it stays at least as large as that.
        keep_colors: take the values as they are, whatever the profile.
        square: the largest centered square alone: colors of what is cut off need no conversion.
    Returns:
        (H, W, channels) uint8, or float32 if precise.
    """
    check_channels(channels)
    with np.errstate(all="ignore"), quiet():  # of numbers that are none, which are clipped
        wanted = _Wanted(channels, precise, keep_colors, square)
        pixels, turn = _lying(stream, wanted, shortest=shortest)
        return pixels if turn is None else np.ascontiguousarray(turn(pixels))


_Turn = Callable[[NDArray[Any]], NDArray[Any]]
_STRIP = 1 << 20  # pixels that are made at once: memory beside the picture's own


@dataclass(frozen=True)
class _Wanted:
    """What is to be made of a picture; see `decode`."""

    channels: int
    precise: bool
    keep: bool
    square: bool

    @property
    def per_pixel(self) -> int:
        """Bytes."""
        return self.channels * (4 if self.precise else 1)

    def gathered(
        self, size: tuple[int, int], turn: _Turn | None, part: Callable[[Box], NDArray[Any]]
    ) -> NDArray[Any]:
        """The pixels of a picture (width, height) as it lies, made strip by strip."""
        box = _square(*size, turn) if self.square else (0, 0, *size)
        left, top, right, bottom = box
        shape = (bottom - top, right - left, self.channels)
        made = np.empty(shape, np.float32 if self.precise else np.uint8)
        step = max(_STRIP // shape[1], 1)
        for start in range(top, bottom, step):
            stop = min(start + step, bottom)
            pixels = part((left, start, right, stop))
            if not self.precise and pixels.dtype != np.uint8:
                pixels = np.rint(pixels)
            made[start - top : stop - top] = pixels
        return made


def _lying(
    stream: IO[bytes], wanted: _Wanted, *, shortest: int
) -> tuple[NDArray[Any], _Turn | None]:
    """The pixels of a picture as its file lies, and what turns them upright."""
    deep = _beyond_pillow(stream)
    if deep is not None:
        turn = _UPRIGHT.get(deep.orientation)
        parts = deep.pixels(wanted.per_pixel)
        return _from_deep(parts, deep.size, deep.profile, turn, wanted), turn
    with opened(stream, shortest=shortest, out=wanted.per_pixel) as image:
        turn = _UPRIGHT.get(_orientation(image))
        profile = _profile(image, stream)
        found = deep_pixels(image, stream)
        image.load()
        if image.format == "TIFF":  # the only format that Pillow itself turns upright
            turn = None
        if found is not None:
            return _from_deep(found, image.size, profile, turn, wanted), turn
        conversion = None if wanted.keep else conversion_of(profile)
        loaded = with_true_alpha(image, stream)

        def part(box: Box) -> NDArray[Any]:
            cut = loaded if box == (0, 0, *loaded.size) else loaded.crop(box)
            return _shallow(conversion.applied(cut) if conversion else cut, wanted.channels)

        return wanted.gathered(image.size, turn, part), turn


def _from_deep(
    parts: Callable[[Box], NDArray[np.float32]],
    size: tuple[int, int],
    profile: bytes | None,
    turn: _Turn | None,
    wanted: _Wanted,
) -> NDArray[Any]:
    """The pixels of a deep picture as it lies."""
    conversion = None if wanted.keep else conversion_of(profile)
    return wanted.gathered(
        size, turn, lambda box: _deep_channels(parts(box), wanted.channels, conversion)
    )


def _square(width: int, height: int, turn: _Turn | None) -> Box:
    """The square, before a picture is turned, that is its center once it is upright."""
    side = min(width, height)
    rows = np.broadcast_to(np.arange(height)[:, None], (height, width))
    columns = np.broadcast_to(np.arange(width), rows.shape)
    if turn is not None:
        rows, columns = turn(rows), turn(columns)  # views
    top, left = (rows.shape[0] - side) // 2, (rows.shape[1] - side) // 2
    corners = (slice(top, top + side, max(side - 1, 1)), slice(left, left + side, max(side - 1, 1)))
    first, start = int(rows[corners].min()), int(columns[corners].min())
    return (start, first, start + side, first + side)


def _deep_channels(
    pixels: NDArray[np.float32], channels: int, conversion: Conversion | None
) -> NDArray[np.float32]:
    return _to_channels(conversion.deep(pixels) if conversion else pixels, channels)


def _upright_size(image: Image.Image, orientation: int) -> tuple[int, int]:
    width, height = image.size
    if image.format == "TIFF":  # whose size some versions of Pillow turn already
        width, height = image.tag_v2[_WIDTH], image.tag_v2[_HEIGHT]  # type: ignore[attr-defined]
    return (width, height) if orientation in _LYING else (height, width)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 if there is none."""
    # For EXIF data that a PNG may have behind its pixels, Pillow would decode the whole picture.
    if image.format == "PNG" and not image.info.keys() & {"exif", "Raw profile type exif"}:
        return 1
    value = image.getexif().get(_EXIF_ORIENTATION, 1)
    return value if value in _UPRIGHT else 1


def _shallow(image: Image.Image, channels: int) -> NDArray[np.uint8]:
    """(H, W, channels) of a loaded picture of 8 bits."""
    if channels == 4:
        pixels = np.array(image.convert("RGBA"))
        pixels[pixels[:, :, 3] == 0] = (255, 255, 255, 0)
        return pixels
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    flat = image.convert("L" if channels == 1 else "RGB")
    return np.array(flat).reshape(flat.height, flat.width, channels)


def _to_channels(pixels: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """Gray, RGB or RGB and alpha in 0 .. 255 to the channels that are wanted."""
    height, width, have = pixels.shape
    if channels == 4:
        color = np.broadcast_to(pixels[:, :, :3], (height, width, 3))
        alpha = pixels[:, :, 3:] if have == 4 else np.full((height, width, 1), 255, np.float32)
        return np.concatenate([np.where(alpha > 0, color, 255), alpha], 2, dtype=np.float32)
    if have == 4:
        alpha = pixels[:, :, 3:] / np.float32(255)
        pixels = np.asarray(pixels[:, :, :3] * alpha + 255 * (1 - alpha), np.float32)
    if channels == 1:
        return pixels if pixels.shape[2] == 1 else (pixels @ _LUMA)[:, :, None]
    return np.broadcast_to(pixels, (height, width, 3))
