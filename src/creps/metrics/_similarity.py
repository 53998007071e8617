"""How alike two pictures are: PSNR, SSIM, a perceptual distance; box-filtered pictures."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor

from creps.errors import UsageError

Array = NDArray[Any]

SIGMA = 1.5
RADIUS = 5
"""Pixels: the window of SSIM is a Gaussian of 11 x 11 (Wang et al. 2004, section III-C)."""


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


def psnr(a: Array, b: Array, *, peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio of two pictures, in decibels.

    Args:
        a, b: arrays of one shape, any numeric type.
        peak: the range of values, > 0: 255 for 8-bit pictures, 2 for pictures in [-1, 1].
    Returns:
        10 log10(peak^2 / mean squared difference); infinite for equal pictures.
    Raises:
        UsageError: for differing shapes, empty pictures or a peak that is not positive.
    Example:
        >>> round(psnr(np.zeros((2, 3)), np.full((2, 3), 25.5)), 9)
        20.0
    """
    _check_pair(a, b, peak)
    error = float(np.square(a.astype(np.float64) - b.astype(np.float64)).mean())
    return math.inf if error == 0 else 10 * math.log10(peak**2 / error)


def ssim(a: Array, b: Array, *, peak: float = 255.0) -> float:
    """Structural similarity of two pictures, -1 .. 1, 1 for equal ones.

    Wang et al. 2004, eq. 13, with its settings: a Gaussian window of sigma 1.5 and 11 x 11 pixels,
    K1 = 0.01, K2 = 0.03. Colors are compared one by one and averaged. The mean is over places
    whose window lies within the picture.

    Args:
        a, b: (H, W) or (H, W, C) of one shape, H and W >= 11.
        peak: the range of values, > 0: 255 for 8-bit pictures.
    Raises:
        UsageError: for differing or too small shapes, or a peak that is not positive.
    Example:
        >>> ssim(np.eye(16), np.eye(16), peak=1)
        1.0
    """
    _check_pair(a, b, peak)
    side = 2 * RADIUS + 1
    if a.ndim not in (2, 3) or min(a.shape[:2]) < side:
        raise UsageError(
            f"pictures of shape {a.shape}: SSIM needs (H, W) or (H, W, C) of at least {side} pixels"
        )
    x, y = a.astype(np.float64), b.astype(np.float64)
    mean_x, mean_y = _windowed(x), _windowed(y)
    variance_x = _windowed(x * x) - mean_x**2
    variance_y = _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return float((luminance * structure).mean())


class LayeredExtractor(Protocol):
    """An extractor whose feature maps can be compared place by place."""

    @property
    def name(self) -> str:
        """Short name, the suffix of the numbers made with it: "effnet" gives `pd_effnet`."""

    def layers(self, images: Tensor, /) -> list[Tensor]:
        """(B, C, H, W) pictures in [-1, 1] to feature maps (B, C_l, H_l, W_l), differentiable."""


def perceptual_distance(a: Tensor, b: Tensor, *, extractor: LayeredExtractor) -> Tensor:
    """How different pictures look to a network: 0 for equal ones.

    In every layer, features are scaled to length 1 at each place; squared differences are summed
    over channels, averaged over places, and summed over layers. This is Zhang et al. 2018, eq. 1,
    without learnt weights and with another network, so its numbers are not LPIPS: compare them with
    each other only.

    Args:
        a, b: (B, C, H, W) in [-1, 1].
        extractor: whose layers to compare.
    Returns:
        (B,) distances, >= 0; differentiable in both.
    Raises:
        UsageError: for differing shapes.
    """
    if a.shape != b.shape:
        raise UsageError(f"pictures of shapes {tuple(a.shape)} and {tuple(b.shape)}: expected one")
    total = a.new_zeros(len(a))
    for x, y in zip(extractor.layers(a), extractor.layers(b), strict=True):
        total = total + (_unit(x) - _unit(y)).square().sum(1).mean((1, 2))
    return total


def _unit(features: Tensor) -> Tensor:
    """Features (B, C, H, W) of length 1 at each place; nothing stays nothing."""
    return features / (features.square().sum(1, keepdim=True) + 1e-10).sqrt()


def _windowed(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over the Gaussian window at every place where it fits: (H - 10, W - 10[, C])."""
    offsets = np.arange(-RADIUS, RADIUS + 1)
    weights = np.exp(-0.5 * (offsets / SIGMA) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        x = sliding_window_view(x, len(weights), axis=axis) @ weights
    return x


def _check_pair(a: Array, b: Array, peak: float) -> None:
    if a.shape != b.shape or not a.size:
        raise UsageError(f"pictures of shapes {a.shape} and {b.shape}: expected one, not empty")
    if not peak > 0:
        raise UsageError(f"peak {peak}: expected a positive number, 255 for 8-bit pictures")
