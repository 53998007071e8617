"""Smaller levels of a picture: their sizes, their pixels, and how OME-Zarr describes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from creps.rendering._painter import Picture

MM_AN_INCH = 25.4


def halve(pixels: Picture) -> Picture:
    """(H, W, C) pixels at half the size: means of 2 x 2, or of what exists, halves rounded up.

    Colors with opacity, C 4, count as much as they are seen.

    Example:
        >>> halve(np.array([[[1], [2], [7]]], np.uint8)).tolist()
        [[[2], [7]]]
    """
    height, width = pixels.shape[:2]
    # Repeating the last row or column leaves the average of what exists as it is.
    even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    if pixels.shape[2] == 4:
        return _halve_seen(even)
    rows = np.add(even[0::2], even[1::2], dtype=f"u{2 * pixels.dtype.itemsize}")
    quarters = rows[:, 0::2] + rows[:, 1::2]
    return ((quarters + 2) >> 2).astype(pixels.dtype)


def _halve_seen(even: Picture) -> Picture:
    """Means of 2 x 2 pixels with opacity; sides are even."""
    blocks = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2, 4).astype(np.float64)
    opacity = blocks[..., 3:].sum((1, 3))
    seen = (blocks[..., :3] * blocks[..., 3:]).sum((1, 3)) / np.maximum(opacity, 1)
    colors = np.where(opacity > 0, seen, blocks[..., :3].mean((1, 3)))
    halved: Picture = np.floor(np.concatenate([colors, opacity / 4], 2) + 0.5).astype(even.dtype)
    return halved


def level_sizes(height: int, width: int, *, smallest: int) -> list[tuple[int, int]]:
    """(height, width) of every level, full size first, until both sides are at most `smallest`.

    Example:
        >>> level_sizes(5, 3, smallest=1)
        [(5, 3), (3, 2), (2, 1), (1, 1)]
    """
    sizes = [(height, width)]
    while max(sizes[-1]) > smallest:
        height, width = sizes[-1]
        sizes.append((-(-height // 2), -(-width // 2)))
    return sizes


def ome(
    name: str,
    levels: int,
    channels: int,
    *,
    made: str = "mean of 2x2 pixels",
    dpi: float | None = None,
    most: int = 255,
) -> dict[str, Any]:
    """What describes arrays "0", "1", ... of axes (c, y, x) as levels of one image, and how a level
    is `made`.

    Lengths are in pixels of the full size, or in millimeters where pixels an inch are given; a
    pixel of level k is centered on the 2**k x 2**k pixels that it averages. `most` is white.
    """
    unit = {} if dpi is None else {"unit": "millimeter"}
    pixel = 1.0 if dpi is None else MM_AN_INCH / dpi
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", **unit} for name in "yx"]
    datasets = [
        {
            "path": str(k),
            "coordinateTransformations": [
                {"type": "scale", "scale": [1.0, *[pixel * 2**k] * 2]},
                {"type": "translation", "translation": [0.0, *[pixel * (2**k - 1) / 2] * 2]},
            ],
        }
        for k in range(levels)
    ]
    multiscale = {"name": name, "axes": axes, "datasets": datasets, "type": made}
    colors = {"red": "FF0000", "green": "00FF00", "blue": "0000FF"}
    if channels == 4:
        colors["opacity"] = "FFFFFF"
    window = {"start": 0, "end": most, "min": 0, "max": most}
    shown = [
        {"label": label, "color": color, "active": label != "opacity", "window": window}
        for label, color in (colors if channels > 1 else {"gray": "FFFFFF"}).items()
    ]
    omero = {"channels": shown, "rdefs": {"model": "color" if channels > 1 else "grayscale"}}
    return {"ome": {"version": "0.5", "multiscales": [multiscale], "omero": omero}}
