"""Consistency across scales as a loss: the same picture, only sharper, at a larger size.

ScaleParty trains for it (any-resolution GAN, section 2); the papers at hand do not say how, so this
is the plain form of the measure of CREPS, section 4.4: reduce the larger picture, compare.
"""

from __future__ import annotations

from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor

from creps.coordinates import Canvas
from creps.errors import UsageError


def refined(canvas: Canvas, factor: int) -> Canvas:
    """The same window with `factor` times the pixels on each axis.

    With centre sampling the mean place of each factor x factor block is the pixel it refines.

    Raises:
        UsageError: for a factor below 1, or a canvas that is sampled at corners.
    Example:
        >>> refined(Canvas(2, 3), 2)
        Canvas(height=4, width=6, window=(0.0, 0.0, 1.0, 1.0), sampling='centers')
    """
    if factor < 1:
        raise UsageError(f"factor {factor}: expected at least 1")
    if canvas.sampling != "centers":
        raise UsageError("a canvas sampled at corners has no exact refinement: sample its centres")
    return replace(canvas, height=canvas.height * factor, width=canvas.width * factor)


def cross_scale_loss(coarse: Tensor, fine: Tensor) -> Tensor:
    """How far a picture is from the means of its refinement: mean absolute difference.

    Args:
        coarse: (B, C, H, W), drawn on a canvas.
        fine: (B, C, k * H, k * W) of the same styles, drawn on `refined(canvas, k)`.
    Returns:
        scalar, at least 0; gradients flow into both pictures.
    Raises:
        UsageError: if the fine picture has not a whole number of times the pixels of the coarse.
    """
    factor = fine.shape[-1] // coarse.shape[-1]
    height, width = coarse.shape[-2] * factor, coarse.shape[-1] * factor
    if factor < 1 or fine.shape != (*coarse.shape[:-2], height, width):
        raise UsageError(
            f"pictures of {tuple(coarse.shape)} and {tuple(fine.shape)}: expected the second to "
            "have k times the rows and columns of the first"
        )
    return (coarse - F.avg_pool2d(fine, factor)).abs().mean()
