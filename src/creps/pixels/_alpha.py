"""Fourth channels that Pillow takes for opacity, and that are none, or mean it in another way."""

from __future__ import annotations

import struct
from typing import IO

import numpy as np
from PIL import Image

_TGA_DESCRIPTOR, _TGA_ALPHA_BITS = 17, 15  # a byte of its header, and what of it counts bits
_STRIP = 1 << 18  # pixels that are worked on at once
_PSD_SECTIONS = 26  # where the sections begin: table of colors, resources, layers


def with_true_alpha(image: Image.Image, stream: IO[bytes]) -> Image.Image:
    """A loaded picture, the first frame of a file, whose alpha says what can be seen.

    A TGA says how many bits of alpha it has, and none is common. In a BMP, ICO or TGA alpha that is
    0 everywhere is a byte that nobody set, as browsers take it. Of a PSD the fourth channel is a
    saved selection, unless its layers say that it is the transparency of the whole, whose colors
    lie on white already. Of a GIF that is larger than its first frame the rest is transparent.
    """
    place = stream.tell()
    try:
        if image.format == "GIF":
            return _within_frame(image, getattr(image, "dispose_extent", None))
        if image.mode != "RGBA" or image.format not in ("BMP", "DIB", "ICO", "PSD", "TGA"):
            return image
        if image.format == "PSD":
            return _off_white(image) if _is_transparent(stream) else image.convert("RGB")
        unset = image.getchannel("A").getextrema()[1] == 0
        none = image.format == "TGA" and not _bits_of_alpha(stream)
        return image.convert("RGB") if unset or none else image
    finally:
        stream.seek(place)


def _within_frame(image: Image.Image, frame: tuple[int, int, int, int] | None) -> Image.Image:
    if frame is None or tuple(frame) == (0, 0, *image.size):
        return image
    whole = Image.new("RGBA", image.size)
    whole.paste(image.crop(frame).convert("RGBA"), frame[:2])
    return whole


def _bits_of_alpha(stream: IO[bytes]) -> int:
    stream.seek(_TGA_DESCRIPTOR)
    return stream.read(1)[0] & _TGA_ALPHA_BITS


def _is_transparent(stream: IO[bytes]) -> bool:
    """Whether a PSD's count of layers is negative: the first further channel is transparency."""
    stream.seek(_PSD_SECTIONS)
    for _ in range(2):
        (length,) = struct.unpack(">I", stream.read(4))
        stream.seek(length, 1)
    layers, info = struct.unpack(">II", stream.read(8))
    return min(layers, info) >= 2 and struct.unpack(">h", stream.read(2))[0] < 0


def _off_white(image: Image.Image) -> Image.Image:
    """Colors that lie on white by their alpha, as they are without it."""
    pixels = np.array(image)
    step = max(_STRIP // image.width, 1)
    for top in range(0, image.height, step):
        part = pixels[top : top + step]
        alpha = part[:, :, 3:] / np.float32(255)
        colors = 255 - (255 - part[:, :, :3].astype(np.float32)) / np.maximum(alpha, 1e-3)
        part[:, :, :3] = np.rint(colors.clip(0, 255))
    return Image.fromarray(pixels)
