"""How different pictures are from each other: a collapsed generator paints one again and again.

Pictures are compared by their colours at a small size. That costs next to nothing, needs no other
network, and is the same for real and generated pictures of a batch, whatever their windows.
"""

from __future__ import annotations

import torch
from torch import Tensor

COMPARED_SIDE = 16
"""Pixels a side, at most, that pictures are compared at: what is seen, not its noise."""


@torch.no_grad()
def thumbnails(images: Tensor) -> Tensor:
    """Pictures (B, C, H, W) at no more than 16 x 16 pixels, flat: (B, P)."""
    height, width = (min(side, COMPARED_SIDE) for side in images.shape[2:])
    return torch.nn.functional.adaptive_avg_pool2d(images.float(), (height, width)).flatten(1)


@torch.no_grad()
def thumbnail_distances(small: Tensor) -> tuple[Tensor, Tensor]:
    """Mean distance of two pictures, and of a picture to the one most like it.

    The distance of two pictures is the root mean square difference of their colours: 0 to 2.

    Args:
        small: (B, P) of `thumbnails`, B >= 2.
    Returns:
        two scalars: over all pairs, and over each picture's nearest other.
    Example:
        >>> spread, nearest = thumbnail_distances(torch.tensor([[-1.0], [-1.0], [1.0]]))
        >>> round(float(spread), 3), round(float(nearest), 3)
        (1.333, 0.667)
    """
    small = small - small.mean(0)  # so that like pictures do not drown in rounding
    squares = small.square().sum(1)
    between = squares[:, None] + squares[None] - 2 * small @ small.T
    distances = (between.clamp(min=0) / small.shape[1]).sqrt()  # (B, B)
    count = len(small)
    own = torch.eye(count, dtype=torch.bool, device=small.device)
    spread = distances.masked_fill(own, 0).sum() / (count * (count - 1))
    nearest = distances.masked_fill(own, torch.inf).amin(1).mean()
    return spread, nearest


def picture_distances(images: Tensor) -> tuple[Tensor, Tensor]:
    """`thumbnail_distances` of pictures (B, C, H, W), nominally in [-1, 1], B >= 2."""
    return thumbnail_distances(thumbnails(images))
