"""From image files to arrays of pixels: orientation, colour modes, and squares of a given size."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import numpy as np
from PIL import Image

from creps.errors import ConfigError, GridError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EXIF_ORIENTATION = 0x0112
_WIDTH, _HEIGHT = 256, 257  # TIFF tags
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LYING = (5, 6, 7, 8)  # orientations that swap height and width


def check_channels(channels: int) -> None:
    """Refuse pictures of other than one (gray) or three (RGB) channels with a ConfigError."""
    if channels not in (1, 3):
        raise ConfigError(f"{channels} channels: expected 1 (gray) or 3 (RGB)")


def header_size(stream: IO[bytes]) -> tuple[int, int]:
    """The upright (height, width) of an image file, from its header alone.

    Raises:
        Exception: whatever Pillow's reader of the format raises for a broken header.
    """
    with Image.open(stream) as image:
        width, height = image.size
        if image.format == "TIFF":  # whose size some versions of Pillow turn already
            width, height = image.tag_v2[_WIDTH], image.tag_v2[_HEIGHT]  # type: ignore[attr-defined]
        return (width, height) if _orientation(image) in _LYING else (height, width)


def decode(stream: IO[bytes], channels: int = 3) -> NDArray[np.uint8]:
    """The pixels of an image file, upright, in 8 bits.

    Transparent pictures are laid on white. Gray of 16 bits is scaled to 8; floating-point gray is
    taken as [0, 1]. Colour profiles are not applied. Of an animation the first frame counts.

    Args:
        stream: a seekable binary file.
        channels: 1 (gray, ITU-R 601 luma) or 3 (RGB).
    Returns:
        (H, W, channels) uint8.
    Raises:
        ConfigError: for another number of channels.
        Exception: whatever Pillow's reader of the format raises for a broken file.
    """
    check_channels(channels)
    with Image.open(stream) as image:
        turn = _UPRIGHT.get(_orientation(image))
        image.load()
        if image.format == "TIFF":  # the only format that Pillow turns upright by itself
            turn = None
        flat = _opaque_8_bit(image).convert("L" if channels == 1 else "RGB")
    if turn is not None:
        flat = flat.transpose(turn)
    return np.array(flat).reshape(flat.height, flat.width, channels)


def square(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The largest centred square of a picture, resized with Pillow's antialiasing Lanczos filter.

    Args:
        image: (H, W, C) uint8, C = 1 or 3.
        size: pixels of each side, >= 1; smaller pictures are enlarged.
    Returns:
        (size, size, C) uint8; the square itself, untouched, where it has that size already.
    Raises:
        GridError: if size is below 1.
        ConfigError: if C is neither 1 nor 3.
    Example:
        >>> square(np.zeros((5, 8, 3), np.uint8), 4).shape
        (4, 4, 3)
    """
    if size < 1:
        raise GridError(f"size {size}: expected at least 1 pixel")
    height, width, channels = image.shape
    check_channels(channels)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    centre = image[top : top + side, left : left + side]
    if side == size:
        return np.ascontiguousarray(centre)
    plane = Image.fromarray(np.ascontiguousarray(centre[:, :, 0] if channels == 1 else centre))
    resized = plane.resize((size, size), Image.Resampling.LANCZOS, reducing_gap=None)
    return np.array(resized).reshape(size, size, channels)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 if there is none."""
    # For EXIF data that a PNG may have behind its pixels, Pillow would decode the whole picture.
    if image.format == "PNG" and not image.info.keys() & {"exif", "Raw profile type exif"}:
        return 1
    value = image.getexif().get(_EXIF_ORIENTATION, 1)
    return value if value in _UPRIGHT else 1


def _opaque_8_bit(image: Image.Image) -> Image.Image:
    """The picture without transparency or deep gray, in some 8-bit mode."""
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image), nan=0.0)
        return Image.fromarray(np.rint(255 * values.clip(0, 1)).astype(np.uint8))
    if image.mode.startswith("I"):  # I;16 and its byte orders; I where Pillow widens 16 bits to 32
        deep = np.asarray(image).astype(np.int64).clip(0, 65535)
        return Image.fromarray(((deep + 128) // 257).astype(np.uint8))  # 65535 = 255 * 257
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA"))
    return image
