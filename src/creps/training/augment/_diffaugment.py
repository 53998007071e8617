"""DiffAugment: a light augmentation of every picture (Zhao et al. 2020, section 3).

Letters: B pictures, C channels, H rows, W columns.
"""

from __future__ import annotations

import torch
from torch import Tensor

from creps.training.augment._color import colour_channels
from creps.training.augment._geometry import gathered
from creps.training.augment._settings import AugmentSettings, Draws

BRIGHTNESS = 0.5
"""Largest number added, where colour spans [-1, 1]."""
SATURATION = 1.0
"""The factor of chroma is 1 plus or minus this."""
CONTRAST = 0.5
"""The factor of contrast is 1 plus or minus this."""
SHIFT = 0.125
"""Largest shift, of the size."""
CUTOUT = 0.5
"""Sides of the hole, of the size."""

DIFFAUGMENT_DRAWS = (
    *("brightness", "saturation", "contrast"),
    *("translation y", "translation x", "cutout y", "cutout x"),
)
"""Random numbers of a picture."""


def diffaugment(images: Tensor, draws: Draws, settings: AugmentSettings) -> Tensor:
    """Pictures (B, C, H, W) under the settings' policy, in the order colour, shift, hole."""
    size = images.shape[2:]
    parts = settings.policy_parts
    if "color" in parts:
        images = jitter_colour(
            images,
            brightness=draws.uniform("brightness", -BRIGHTNESS, BRIGHTNESS),
            saturation=draws.uniform("saturation", 1 - SATURATION, 1 + SATURATION),
            contrast=draws.uniform("contrast", 1 - CONTRAST, 1 + CONTRAST),
        )
    if "translation" in parts:
        largest = [round(side * SHIFT) for side in size]
        names = ("translation y", "translation x")
        offsets = [
            draws.integer(name, 2 * reach + 1) - reach
            for name, reach in zip(names, largest, strict=True)
        ]
        images = shift_pixels(images, torch.stack(offsets, dim=1))
    if "cutout" in parts:
        names = ("cutout y", "cutout x")
        centres = [draws.integer(name, side) for name, side in zip(names, size, strict=True)]
        images = cut_out(images, torch.stack(centres, dim=1))
    return images


def jitter_colour(
    images: Tensor, *, brightness: Tensor, saturation: Tensor, contrast: Tensor
) -> Tensor:
    """Add brightness, scale the distance from gray, then that from the mean of the picture.

    Args:
        images: (B, C, H, W); alpha stays.
        brightness, saturation, contrast: (B,) on the CPU.
    """
    colours = colour_channels(images)
    added, chroma, spread = (
        values.to(images.dtype).to(images.device)[:, None, None, None]
        for values in (brightness, saturation, contrast)
    )
    colour = images[:, :colours] + added
    gray = colour.mean(1, keepdim=True)
    colour = (colour - gray) * chroma + gray
    mean = colour.mean((1, 2, 3), keepdim=True)
    colour = (colour - mean) * spread + mean
    return torch.cat([colour, images[:, colours:]], dim=1)


def shift_pixels(images: Tensor, offset: Tensor) -> Tensor:
    """Pictures (B, C, H, W) moved by whole pixels (B, 2), down and right; zeros come in."""
    height, width = images.shape[2:]
    offset = offset.to(images.device)
    rows = torch.arange(height, device=images.device) - offset[:, :1]  # (B, H)
    columns = torch.arange(width, device=images.device) - offset[:, 1:]
    inside = _within(rows, height)[:, :, None] & _within(columns, width)[:, None]
    index = rows.clamp(0, height - 1)[:, :, None] * width + columns.clamp(0, width - 1)[:, None]
    moved = gathered(images.flatten(2), index.flatten(1)).unflatten(2, (height, width))
    return moved * inside[:, None]


def cut_out(images: Tensor, centre: Tensor) -> Tensor:
    """Pictures (B, C, H, W) with zeros in a rectangle of half their size around pixels (B, 2)."""
    centre = centre.to(images.device)
    holes = []
    for axis, side in enumerate(images.shape[2:]):
        length = round(side * CUTOUT)
        places = torch.arange(side, device=images.device) - centre[:, axis, None]
        holes.append(_within(places + length // 2, length))
    return images * ~(holes[0][:, :, None] & holes[1][:, None])[:, None]


def _within(index: Tensor, size: int) -> Tensor:
    return (index >= 0) & (index < size)
