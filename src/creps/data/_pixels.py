"""From image files to arrays of pixels: orientation, color modes, bit depth."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from creps.errors import ConfigError

# Pillow has no mode for 16-bit color: it reads the high byte of each value and drops the other.
# Its unpackers exist for both byte orders though, so reading the file once more in the wrong order
# gives the low bytes, and the two together all 16 bits.
_NATIVE_SWAPPED = "16B" if sys.byteorder == "little" else "16L"
_SWAPPED = {
    f"{mode};{order}": f"{mode};{other}"
    for mode in ("RGB", "RGBA", "RGBX")
    for order, other in (("16B", "16L"), ("16L", "16B"), ("16N", _NATIVE_SWAPPED))
}
"""Pillow's names for 16-bit color, and the same in the other byte order."""


def bits_per_channel(image: Image.Image) -> int:
    """8, 16 or 32 bits of an opened, not yet loaded image; 1-bit pictures count as 8."""
    if image.mode in ("I", "F"):
        return 32
    return 16 if image.mode.startswith("I;16") or _raw_mode(image) in _SWAPPED else 8


def deep_pixels(image: Image.Image, stream: IO[bytes]) -> NDArray[np.float32] | None:
    """The pixels of a deep picture on the scale 0 .. 255, unrounded; None for one of 8 bits.

    16-bit values are divided by 257, so that 65535 is 255; gray of 32-bit integers is taken as 16
    bits, as Pillow widens it; floating-point gray is taken as [0, 1]. The image is just opened, and
    loaded afterwards; the result is (H, W, k), gray, RGB or RGB and alpha, as the file lies.
    """
    swapped = _SWAPPED.get(_raw_mode(image))
    if swapped is not None:
        start = stream.tell()
        stream.seek(0)
        with Image.open(stream) as again:
            _set_raw_mode(again, swapped)
            low = np.asarray(again)
        stream.seek(start)
        image.load()
        deep = np.asarray(image).astype(np.float32) * 256 + low
        return deep[:, :, :3] / 257 if image.mode == "RGBX" else deep / 257
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image), nan=0.0)
        return 255 * values.clip(0, 1)[:, :, None]
    if image.mode.startswith("I"):  # I;16 and its byte orders; I where Pillow widens 16 bits to 32
        values = np.asarray(image).astype(np.int64).clip(0, 65535)
        return (values / 257).astype(np.float32)[:, :, None]
    return None


def _raw_mode(image: Image.Image) -> str:
    """How the file's values are packed, in Pillow's words; empty where it does not say."""
    tiles: list[Any] = getattr(image, "tile", [])
    if not tiles:
        return ""
    details = tiles[0][3]
    name = details[0] if isinstance(details, tuple) and details else details
    return name if isinstance(name, str) else ""


def _set_raw_mode(image: Image.Image, name: str) -> None:
    """Read the values another way."""
    image.tile = [  # type: ignore[attr-defined]
        tile._replace(args=(name, *tile[3][1:]) if isinstance(tile[3], tuple) else name)
        if hasattr(tile, "_replace")
        else (*tile[:3], (name, *tile[3][1:]) if isinstance(tile[3], tuple) else name)
        for tile in image.tile  # type: ignore[attr-defined]
    ]


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
        profile: whether it carries a color profile, which is not applied.
    """

    size: tuple[int, int]
    mode: str
    bits: int
    format: str
    turned: bool
    profile: bool


def read_header(stream: IO[bytes]) -> Header:
    """The header of an image file; raises whatever Pillow raises for a broken one."""
    with Image.open(stream) as image:
        orientation = _orientation(image)
        return Header(
            _upright_size(image, orientation),
            image.mode,
            bits_per_channel(image),
            image.format or "",
            orientation != 1,
            "icc_profile" in image.info,
        )


def header_size(stream: IO[bytes]) -> tuple[int, int]:
    """The upright (height, width) of an image file, from its header alone; errors alike."""
    with Image.open(stream) as image:
        return _upright_size(image, _orientation(image))


def decode(
    stream: IO[bytes], channels: int = 3, *, precise: bool = False, shortest: int = 0
) -> NDArray[np.uint8] | NDArray[np.float32]:
    """The pixels of an image file, upright.

    Transparent pictures are composited on white, unless alpha is requested; then invisible pixels
    are white. Gray and color of 16 bits are scaled to 8 and rounded to nearest, or kept where
    precise; floating-point gray is taken as [0, 1]. Color profiles are not applied. Of an
    animation the first frame counts. A broken file raises whatever Pillow's reader raises.

    Args:
        stream: a seekable binary file.
        channels: 1 (gray, ITU-R 601 luma), 3 (RGB) or 4 (RGB and alpha, not premultiplied).
        precise: float32 on the scale 0 .. 255, unrounded where the file has more than 8 bits.
        shortest: pixels of the shorter side that are enough: a larger JPEG is read at 1/2, 1/4 or
            1/8 of its size, several times faster, as long as it stays at least as large as that.
    Returns:
        (H, W, channels) uint8, or float32 if precise.
    """
    check_channels(channels)
    with Image.open(stream) as image:
        turn = _UPRIGHT.get(_orientation(image))
        if shortest and image.format == "JPEG":
            enough = shortest / min(image.size)
            image.draft(image.mode, (int(enough * image.width), int(enough * image.height)))
        deep = deep_pixels(image, stream)
        if deep is None:
            image.load()
            pixels: NDArray[Any] = _shallow(image, channels)
        else:
            pixels = _to_channels(deep, channels)
        if image.format == "TIFF":  # the only format that Pillow itself turns upright
            turn = None
    pixels = pixels if turn is None else np.ascontiguousarray(turn(pixels))
    if precise:
        return pixels.astype(np.float32)
    return pixels if pixels.dtype == np.uint8 else np.rint(pixels).astype(np.uint8)


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
