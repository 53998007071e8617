"""Colors as integers, of 8 bits or of 16, plain or dithered."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creps.errors import CrepsError

Depth = Literal[8, 16]

GOLDEN = (5**0.5 - 1) / 2
"""What the noise of one channel is shifted by from that of the one before it."""


NO_NUMBERS = (
    "the picture has values that are not numbers: the weights or styles are out of range, or not "
    "finite"
)


def rounded(
    image: Tensor, *, depth: Depth = 8, dither: bool = False, top: int = 0, left: int = 0
) -> NDArray[Any]:
    """A picture in [-1, 1] as integers from 0 to 2**depth - 1, rounded to nearest.

    Args:
        image: (C, H, W), floating point, on any device.
        depth: bits of a channel.
        dither: round up or down by the place of a pixel, so that the mean over a few pixels is the
            color itself: smooth ramps get fine grain instead of bands.
        top, left: the place of the first pixel in the picture; the noise is that of the place.
    Returns:
        (H, W, C) uint8 or uint16 array on the CPU.
    Raises:
        CrepsError: for values that are not numbers.
    """
    image, white = image.permute(1, 2, 0), 2**depth - 1
    kind = np.uint8 if depth == 8 else np.uint16
    if image.device.type != "cpu" and depth == 8 and not dither:  # a quarter of the bytes comes
        levels = ((image + 1) * (white / 2)).clamp(0, white).round()
        if levels.isnan().any():
            raise CrepsError(NO_NUMBERS)
        levels = levels.to(torch.uint8)
        picture: NDArray[Any] = levels.cpu().numpy()
        return picture
    # In NumPy: torch would wake its threads for little work, and they spin while tile workers run.
    exact = image.cpu().numpy() + 1
    exact *= white / 2
    exact.clip(0, white, out=exact)
    if math.isnan(exact.sum()):
        raise CrepsError(NO_NUMBERS)
    height, width, channels = exact.shape
    if dither:
        exact = np.floor(exact + _noise(top, left, height, width, channels))
    else:
        np.rint(exact, out=exact)
    levels = np.empty(exact.shape, kind)
    for k in range(channels):  # plane by plane, as they lie in memory: in half the time
        levels[:, :, k] = exact[:, :, k]
    return levels


def _noise(top: int, left: int, height: int, width: int, channels: int) -> NDArray[np.float64]:
    """(H, W, C) numbers in [0, 1), evenly spread in any few neighbors.

    Interleaved gradient noise (Jimenez, Next Generation Post Processing in Call of Duty: Advanced
    Warfare, SIGGRAPH 2014).
    """
    y = np.arange(top, top + height, dtype=np.float64)[:, None]
    x = np.arange(left, left + width, dtype=np.float64)[None, :]
    plain = np.mod(52.9829189 * np.mod(0.06711056 * x + 0.00583715 * y, 1), 1)
    noise: NDArray[np.float64] = np.mod(plain[:, :, None] + GOLDEN * np.arange(channels), 1)
    return np.minimum(noise, np.nextafter(1, 0))
