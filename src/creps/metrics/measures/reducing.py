"""Pictures at a fraction of their size, by exact box filters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from creps.errors import UsageError

Array = NDArray[Any]


def box_reduce(image: Array, factor: int) -> NDArray[np.float64]:
    """A picture at 1/factor of its size: each pixel the mean of the block it covers.

    Args:
        image: (H, W) or (H, W, C), H and W multiples of factor.
        factor: >= 1.
    Returns:
        (H / factor, W / factor[, C]) float64, not rounded.
    Raises:
        UsageError: for another layout, or a factor that does not divide the size.
    Example:
        >>> box_reduce(np.array([[0, 2, 10, 10], [4, 6, 10, 10]]), 2).tolist()
        [[3.0, 10.0]]
    """
    if image.ndim not in (2, 3):
        raise UsageError(f"picture of shape {image.shape}: expected (H, W) or (H, W, C)")
    height, width = image.shape[:2]
    if factor < 1 or not image.size or height % factor or width % factor:
        raise UsageError(f"size {height}x{width} cannot be divided by {factor} into whole pixels")
    blocks = image.reshape(height // factor, factor, width // factor, factor, *image.shape[2:])
    reduced: NDArray[np.float64] = blocks.mean((1, 3), dtype=np.float64)
    return reduced
