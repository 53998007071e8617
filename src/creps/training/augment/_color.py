"""Color transforms of ADA: one affine map of color for each picture (appendix B).

Letters: B pictures, C channels, H rows, W columns.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from creps.errors import UsageError
from creps.training.augment._settings import AugmentSettings, Draws

_BRIGHTNESS = 0.2
"""Standard deviation of what is added, where color spans [-1, 1]."""
_CONTRAST = 0.5
"""Standard deviation of the contrast's base-2 logarithm."""
_SATURATION = 1.0
"""Standard deviation of the saturation's base-2 logarithm."""

COLOR_DRAWS = (
    *("brightness?", "brightness", "contrast?", "contrast", "luma_flip?", "luma_flip"),
    *("hue?", "hue", "saturation?", "saturation"),
)
"""Random numbers of a picture; those with `?` decide whether the transform happens."""

_ALONG = torch.full((3, 3), 1 / 3, dtype=torch.float64)
"""Projection on the gray axis v = (1, 1, 1) / sqrt(3); what is left is the chroma."""
_ACROSS = torch.eye(3, dtype=torch.float64) - _ALONG
"""Projection on the plane of chroma."""
_QUARTER = torch.tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], dtype=torch.float64) / math.sqrt(3)
"""Chroma turned by 90 degrees around the gray axis: the cross product with v."""


def color_channels(images: Tensor) -> int:
    """How many of the channels of (B, C, H, W) are color: 1 of gray, 3 of RGB and what has more."""
    channels = images.shape[1]
    if channels == 2:
        raise UsageError("2 channels cannot be augmented: expected gray, RGB or RGB and others")
    return min(channels, 3)


def draw_color(draws: Draws, strength: float, settings: AugmentSettings) -> Tensor:
    """The composed color transform of each picture: (B, 3, 4), see `color_matrix`."""

    def drawn(name: str, values: Tensor, neutral: float) -> Tensor:
        happens = draws.happens(f"{name}?", settings.probability(name, strength))
        return torch.where(happens, values, neutral)

    return color_matrix(
        brightness=drawn("brightness", draws.normal("brightness") * _BRIGHTNESS, 0.0),
        contrast=drawn("contrast", torch.exp2(draws.normal("contrast") * _CONTRAST), 1.0),
        luma=drawn("luma_flip", draws.sign("luma_flip"), 1.0),
        hue=drawn("hue", draws.uniform("hue", -math.pi, math.pi), 0.0),
        saturation=drawn("saturation", torch.exp2(draws.normal("saturation") * _SATURATION), 1.0),
    )


def color_matrix(
    *, brightness: Tensor, contrast: Tensor, luma: Tensor, hue: Tensor, saturation: Tensor
) -> Tensor:
    """Brightness, then contrast, luma flip, hue and saturation, as one map of RGB colors.

    All but brightness act on the gray axis and on the plane across it, each by itself, so the
    product of the paper's matrices is a sum of three terms.

    All are (B,) float64: luma of -1 inverts it and keeps the hue, hue is in radians. Returns
    (B, 3, 4), A and b of x -> A x + b; exactly the identity for 0, 1, 1, 0, 1.
    """
    cosine, sine = (part[:, None, None] for part in (hue.cos(), hue.sin()))
    chroma = saturation[:, None, None] * (cosine * _ACROSS + sine * _QUARTER)
    linear = contrast[:, None, None] * (luma[:, None, None] * _ALONG + chroma)
    shift = (contrast * luma * brightness)[:, None, None].expand(-1, 3, 1)
    return torch.cat([linear, shift], dim=2)


def recolor(images: Tensor, matrices: Tensor) -> Tensor:
    """Pictures (B, C, H, W) under maps of color (B, 3, 4); alpha stays.

    A gray picture is seen as RGB with three equal channels, of which the mean is taken: brightness,
    contrast and luma act on it, hue and saturation do not.
    """
    colors = color_channels(images)
    if colors == 1:
        rows = torch.stack([matrices[:, :, :3].sum(2), matrices[:, :, 3]], dim=2)  # (B, 3, 2)
        matrices = rows.mean(1, keepdim=True)
    matrices = matrices.to(images.dtype).to(images.device)[..., None, None]
    # Multiplied out by hand: a matrix product may be rounded to TF32, even where nothing changes.
    result = matrices[:, :, colors]
    for channel in range(colors):
        result = result + matrices[:, :, channel] * images[:, channel : channel + 1]
    return torch.cat([result, images[:, colors:]], dim=1)
