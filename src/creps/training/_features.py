"""What the projected discriminator sees: maps of EfficientNet-Lite0, frozen."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from creps.metrics._extractors import EffnetLite0
from creps.networks.projected import ProjectedDiscriminator, halved
from creps.training._config import TrainConfig

CHANNELS = (24, 40, 112, 320)
"""Of the maps at a quarter, an eighth, a sixteenth and a thirty-second of the pictures' size."""

SMALLEST = 32
"""Pixels a side at which the smallest map still has one place."""


def projected_discriminator(config: TrainConfig) -> ProjectedDiscriminator:
    """Fresh heads for the maps of a run's pictures; the seed of the run fixes the mixing."""
    return ProjectedDiscriminator(
        CHANNELS,
        halved(seen_size(config), len(CHANNELS)),
        width=config.projected.width,
        seed=config.seed,
    )


def seen_size(config: TrainConfig) -> tuple[int, int]:
    """(height, width) in pixels at which features of patches are taken."""
    height, width = config.size
    growth = max(max(config.projected.side, SMALLEST) / min(height, width), 1.0)
    return round(height * growth), round(width * growth)


def feature_maps(network: EffnetLite0, images: Tensor, size: tuple[int, int]) -> list[Tensor]:
    """Maps (B, C_l, h_l, w_l), finest first, of pictures (B, 1 or 3, H, W) in [-1, 1]."""
    x = (images.expand(-1, 3, -1, -1) + 1) / 2
    if x.shape[2:] != size:
        x = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
    return network.maps(x)[1:]
