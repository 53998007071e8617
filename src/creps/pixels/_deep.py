"""Pictures of more than 8 bits that Pillow opens, but does not read in full."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

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


Box = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels, as Pillow has it."""


def deep_pixels(
    image: Image.Image, stream: IO[bytes]
) -> Callable[[Box], NDArray[np.float32]] | None:
    """What gives parts of a deep picture on the scale 0 .. 255, unrounded; None for one of 8 bits.

    16-bit values are divided by 257, so that 65535 is 255; gray of 32-bit integers is taken as 16
    bits, as Pillow widens it; floating-point gray is taken as [0, 1]. A color that a PNG calls
    transparent becomes alpha. The image is just opened, and loaded afterwards; parts are (h, w, k),
    gray, RGB or RGB and alpha, as the file lies.
    """
    clear = image.info.get("transparency")
    swapped = _SWAPPED.get(_raw_mode(image))
    if swapped is not None:
        start = stream.tell()
        stream.seek(0)
        again = Image.open(stream)
        _set_raw_mode(again, swapped)
        again.load()
        stream.seek(start)
        image.load()

        def color(box: Box) -> NDArray[np.float32]:
            deep = np.asarray(image.crop(box)).astype(np.float32) * 256
            deep += np.asarray(again.crop(box))
            deep = deep[:, :, :3] if image.mode == "RGBX" else deep
            return _with_clear(deep, clear) / np.float32(257)

        return color
    if image.mode != "F" and not image.mode.startswith("I"):
        return None
    image.load()

    def gray(box: Box) -> NDArray[np.float32]:
        values = np.asarray(image.crop(box))
        if image.mode == "F":
            return 255 * np.nan_to_num(values, nan=0.0).clip(0, 1)[:, :, None]
        # I;16 and its byte orders; I where Pillow widens 16 bits to 32
        values = values.astype(np.int64).clip(0, 65535)
        return _with_clear(values.astype(np.float32)[:, :, None], clear) / np.float32(257)

    return gray


def _with_clear(values: NDArray[np.float32], clear: Any) -> NDArray[np.float32]:
    """Values of 16 bits, with alpha if a gray (an integer) or a color (three) is transparent."""
    if clear is None or values.shape[2] == 4:
        return values
    key = np.asarray(clear, np.float32).reshape(-1)
    if key.size not in (1, values.shape[2]):
        return values
    alpha = np.where((values == key).all(2, keepdims=True), np.float32(0), np.float32(65535))
    colors = np.broadcast_to(values, (*values.shape[:2], 3))
    return np.concatenate([colors, alpha], 2)


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
