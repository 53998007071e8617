"""Pictures of any size to pictures of one size.

By centered crops and exact area averages. Arrays are (H, W, C) with C = 1, 3 or 4, uint8, or
float32 on the same scale. No torch here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from creps.errors import GridError
from creps.pixels._decoding import check_channels
from creps.pixels._files import read_picture as read_picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[Any]  # uint8 or float32

Box = tuple[float, float, float, float]
"""(top, left, bottom, right) in pixels of a picture, fractions allowed."""


def square(image: Pixels, size: int) -> Pixels:
    """The largest centered square of a picture, resized with Pillow's antialiasing Lanczos filter.

    Args:
        image: (H, W, C) uint8 or float32, C = 1, 3 or 4.
        size: pixels of each side, >= 1; smaller pictures are enlarged.
    Returns:
        (size, size, C) of the same type; the square itself, untouched, where it has that size.
    Raises:
        GridError: if size is below 1.
        ConfigError: for another C.
    Example:
        >>> square(np.zeros((5, 8, 3), np.uint8), 4).shape
        (4, 4, 3)
    """
    check_frame((size, size))
    height, width, channels = image.shape
    check_channels(channels)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    center = image[top : top + side, left : left + side]
    return np.ascontiguousarray(center) if side == size else _lanczos(center, (size, size))


def fit(image: Pixels, size: tuple[int, int], *, native: tuple[int, int] | None = None) -> Pixels:
    """The largest centered part of a picture that has the shape of a frame, as large as the frame.

    It is reduced by exact area averages: each pixel is the mean color of the area it covers,
    fractions of pixels included. A smaller picture is enlarged with a Lanczos filter.

    Args:
        image: (H, W, C) uint8 or float32, C = 1, 3 or 4.
        size: (height, width) of the frame, each >= 1.
        native: (height, width) of the file, where `image` is a smaller reading of it: the part is
            centered in the file's pixels.
    Returns:
        (height, width, C) of the same type.
    Raises:
        GridError: for a size below 1.
        ConfigError: for another C.
    Example:
        >>> fit(np.arange(8, dtype=np.uint8).reshape(2, 4, 1), (1, 2)).ravel().tolist()
        [2, 4]
    """
    check_frame(size)
    check_channels(image.shape[2])
    box = centered_box(native or (image.shape[0], image.shape[1]), size)
    if native is not None:
        box = scaled(box, native, image)
    top, left, bottom, right = box
    if (bottom - top, right - left) == size:
        y, x = int(top), int(left)
        return np.ascontiguousarray(image[y : y + size[0], x : x + size[1]])
    if bottom - top < size[0]:
        return _lanczos(image[int(top) : math.ceil(bottom), int(left) : math.ceil(right)], size)
    return like(area_average(image, box, size), image)


def enough(picture: tuple[int, int], box: Box, size: tuple[int, int]) -> int:
    """`shortest` of `ImageSource.image` for a box of a picture to become `size` pixels; 0: all.

    Two pixels for each one are enough: the mean difference from reading all is below 0.5 of 255
    (the eighths, quarters and halves that JPEG offers are averages themselves).
    """
    top, left, bottom, right = box
    reduction = min((bottom - top) / size[0], (right - left) / size[1])
    return math.ceil(2 * min(picture) / reduction) if reduction > 4 else 0


def scaled(box: Box, native: tuple[int, int], image: Pixels) -> Box:
    """A box in pixels of a file, in pixels of a smaller reading of it."""
    y, x = image.shape[0] / native[0], image.shape[1] / native[1]
    return (y * box[0], x * box[1], y * box[2], x * box[3])


def centered_box(picture: tuple[int, int], frame: tuple[int, int]) -> Box:
    """The largest centered part of a picture (height, width) with the proportions of a frame.

    It starts on a whole pixel, so that a frame as large as the part shows the picture's own pixels.

    Example:
        >>> centered_box((5, 9), (4, 4))
        (0.0, 2.0, 5.0, 7.0)
    """
    scale = min(picture[0] / frame[0], picture[1] / frame[1])
    height, width = scale * frame[0], scale * frame[1]
    top, left = math.floor((picture[0] - height) / 2), math.floor((picture[1] - width) / 2)
    return (float(top), float(left), top + height, left + width)


def area_average(
    image: NDArray[np.uint8] | NDArray[np.float32],
    box: Box,
    size: tuple[int, int],
    *,
    wrap: bool = False,
) -> NDArray[np.float32]:
    """The mean color of a picture over each cell of a box that is divided into equal cells.

    Colors count by their alpha where there is one, and are white where nothing can be seen. Beyond
    the picture its border pixels are repeated; with `wrap` the right border continues at the left
    one, as of a panorama of 360 degrees. (H, W, C) to (height, width, C) float32.
    """
    check_frame(size)
    top, left, bottom, right = box
    if not (top < bottom and left < right):
        raise GridError(f"box {box}: expected top < bottom and left < right")
    if image.shape[2] == 4:
        alpha = image[:, :, 3:] / np.float32(255)
        seen = np.concatenate([image[:, :, :3] * alpha, image[:, :, 3:]], 2, dtype=np.float32)
        mean = _average(seen, box, size, wrap)
        part = mean[:, :, 3:] / 255
        color = np.where(part > 1e-6, mean[:, :, :3] / np.maximum(part, 1e-6), 255)
        return np.concatenate([color, mean[:, :, 3:]], 2, dtype=np.float32)
    return _average(image, box, size, wrap)


def whole_pixels(box: Box) -> Box:
    """A box without the rounding errors of its plane units, where it means whole pixels."""
    near = [round(edge) if abs(edge - round(edge)) < 1e-6 else edge for edge in box]
    return (float(near[0]), float(near[1]), float(near[2]), float(near[3]))


def like(pixels: NDArray[np.float32], image: Pixels) -> Pixels:
    """Averages in the type of the picture they come from: uint8 is rounded to nearest."""
    return np.rint(pixels.clip(0, 255)).astype(np.uint8) if image.dtype == np.uint8 else pixels


def check_frame(size: tuple[int, int]) -> None:
    """Refuse a size (height, width) below 1 with a GridError."""
    if min(size) < 1:
        raise GridError(f"size {size[0]}x{size[1]}: expected at least 1 pixel a side")


def _average(
    image: NDArray[np.uint8] | NDArray[np.float32], box: Box, size: tuple[int, int], wrap: bool
) -> NDArray[np.float32]:
    top, left, bottom, right = box
    if not wrap:  # skip columns outside the box
        first = min(max(math.floor(left), 0), image.shape[1] - 1)
        last = max(min(math.ceil(right), image.shape[1]), first + 1)
        image, left, right = image[:, first:last], left - first, right - first
    rows = _average_rows(image, (top, bottom), size[0], False)  # (h, W, C)
    columns = _average_rows(rows.swapaxes(0, 1), (left, right), size[1], wrap)  # (w, h, C)
    return np.ascontiguousarray(columns.swapaxes(0, 1))


def _average_rows(
    image: NDArray[np.uint8] | NDArray[np.float32],
    span: tuple[float, float],
    count: int,
    wrap: bool,
) -> NDArray[np.float32]:
    """Means over `count` equal parts of a span of rows, (count, W, C).

    The parts' rows are added up one by one: the k-th row of every part at a time.
    """
    edges = span[0] + (span[1] - span[0]) * np.arange(count + 1) / count
    upper, lower = edges[:-1], edges[1:]
    first = np.floor(upper).astype(np.int64)
    total = np.zeros((count, *image.shape[1:]), np.float32)
    for k in range(int((np.ceil(lower).astype(np.int64) - first).max())):
        row = first + k
        covered = (np.minimum(lower, row + 1) - np.maximum(upper, row)).clip(min=0)
        if covered.max() <= 1e-9 * (lower[0] - upper[0]):
            continue
        weight = (covered / (lower - upper)).astype(np.float32)[:, None, None]
        index = row % len(image) if wrap else row.clip(0, len(image) - 1)
        total += weight * image[index]
    return total


def _lanczos(image: Pixels, size: tuple[int, int]) -> Pixels:
    """Resized by Pillow, antialiased."""
    filtered = Image.Resampling.LANCZOS
    height, width = size
    channels = image.shape[2]
    if image.dtype == np.uint8:  # alpha counts: Pillow premultiplies RGBA by itself
        plane = Image.fromarray(np.ascontiguousarray(image[:, :, 0] if channels == 1 else image))
        resized = plane.resize((width, height), filtered, reducing_gap=None)
        return np.array(resized).reshape(height, width, channels)
    planes = (Image.fromarray(np.ascontiguousarray(image[:, :, k])) for k in range(channels))
    layers = [np.array(plane.resize((width, height), filtered)) for plane in planes]
    return np.stack(layers, 2).clip(0, 255)
