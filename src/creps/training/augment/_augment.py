"""Augmentation of what the discriminator sees, and the strength that adapts to overfitting.

Adaptive discriminator augmentation (ADA; Karras et al. 2020, "Training generative adversarial
networks with limited data") and DiffAugment (Zhao et al. 2020). Both are applied to real and to
generated pictures, and are differentiable, so that generators do not learn to draw augmented
pictures; gradient penalties take a second derivative through them, by the pictures as they came.

Letters: B pictures, C channels, H rows, W columns.
"""

from __future__ import annotations

import torch
from torch import Tensor

from creps.training.augment._color import COLOR_DRAWS, color_channels, draw_color, recolor
from creps.training.augment._geometry import GEOMETRY_DRAWS, draw_geometry, gathered, transform
from creps.training.augment._settings import AugmentSettings, Draws

# DiffAugment (section 3).
_BRIGHTNESS = 0.5
"""Largest number added, where color spans [-1, 1]."""
_SATURATION = 1.0
"""The factor of chroma is 1 plus or minus this."""
_CONTRAST = 0.5
"""The factor of contrast is 1 plus or minus this."""
_SHIFT = 0.125
"""Largest shift, of the size."""
_CUTOUT = 0.5
"""Sides of the hole, of the size."""

_DIFFAUGMENT_DRAWS = (
    *("brightness", "saturation", "contrast"),
    *("translation y", "translation x", "cutout y", "cutout x"),
)
"""Random numbers of a picture."""


def augment(
    images: Tensor,
    strength: Tensor | float,
    settings: AugmentSettings,
    *,
    generator: torch.Generator,
    first: int = 0,
) -> Tensor:
    """Pictures with a random augmentation each.

    Args:
        images: (B, C, H, W), gray, RGB or RGBA, nominally in [-1, 1]; the result is not clipped.
        strength: ADA's strength, from 0 to 1: 0 gives the pictures back. Kept on the CPU it costs
            no wait for the device. DiffAugment has no strength and ignores it.
        settings: what to apply.
        generator: of the draws, on the CPU. A picture's draw depends on its place in the batch
            alone, not on the size of the batch.
        first: place in the joint batch of the first picture here: parts of a batch, augmented by
            themselves from equal generators, are the augmented batch.
    Returns:
        (B, C, H, W), of the same type and on the same device.
    Raises:
        UsageError: for another number of channels.
    Example:
        >>> settings = AugmentSettings(kind="ada")
        >>> draw = torch.Generator().manual_seed(7)
        >>> augment(torch.zeros(2, 3, 4, 6), 0.5, settings, generator=draw).shape
        torch.Size([2, 3, 4, 6])
    """
    color_channels(images)
    chance = float(strength) if settings.kind == "ada" else 1.0
    if settings.kind == "none" or chance <= 0:
        return images
    names = _DIFFAUGMENT_DRAWS if settings.kind == "diffaugment" else GEOMETRY_DRAWS + COLOR_DRAWS
    draws = Draws.take(names, len(images), generator=generator, first=first)
    # Places of pixels and the filters' small taps need more digits than mixed precision has.
    with torch.autocast(images.device.type, enabled=False):
        wide = images if images.dtype == torch.float64 else images.float()
        if settings.kind == "diffaugment":
            return diffaugment(wide, draws, settings).to(images.dtype)
        size = (images.shape[2], images.shape[3])
        moved = transform(wide, draw_geometry(draws, chance, settings, size=size))
        return recolor(moved, draw_color(draws, chance, settings)).to(images.dtype)


def blurred(images: Tensor, sigma: float) -> Tensor:
    """Pictures (B, C, H, W) under a Gaussian of `sigma` pixels; at borders over what is there.

    Example:
        >>> blurred(torch.ones(1, 1, 3, 5), 2.0).allclose(torch.ones(1, 1, 3, 5))
        True
    """
    rows, columns = (_gaussian_weights(side, sigma).to(images) for side in images.shape[2:])
    return rows @ images @ columns.T


def _gaussian_weights(side: int, sigma: float) -> Tensor:
    """(side, side): how much of each pixel the blurred ones of an axis are made of."""
    places = torch.arange(side, dtype=torch.float64)
    weights = (-((places[:, None] - places) / sigma).square() / 2).exp()
    return weights / weights.sum(1, keepdim=True)


def adapt_strength(
    strength: Tensor, sign_mean: Tensor, settings: AugmentSettings, *, images: int
) -> Tensor:
    """The strength after `images` more images: a step up if the discriminator overfits, else down.

    Overfitting shows as real logits that are nearly all positive: their mean sign, r_t of section
    3, is compared with the target.

    Args:
        strength: scalar from 0 to 1.
        sign_mean: scalar from -1 to 1, mean sign of the logits of real pictures since the last
            adjustment, over all processes.
        settings: target and speed; with a fixed strength or another kind nothing changes.
        images: real images that all processes have seen since the last adjustment.
    Returns:
        scalar from 0 to 1, of the type and on the device of `strength`.
    Example:
        >>> settings = AugmentSettings(kind="ada", speed_kimg=500)
        >>> adapt_strength(torch.tensor(0.25), torch.tensor(0.8), settings, images=500)
        tensor(0.2510)
    """
    if settings.kind != "ada" or not settings.adapt:
        return strength
    # NaN logits say nothing about overfitting.
    excess = torch.nan_to_num(sign_mean.to(strength) - settings.target)
    step = images / (settings.speed_kimg * 1000)
    return (strength + excess.sign() * step).clamp(0, 1)


def diffaugment(images: Tensor, draws: Draws, settings: AugmentSettings) -> Tensor:
    """Pictures (B, C, H, W) under the settings' policy, in the order color, shift, hole."""
    size = images.shape[2:]
    parts = settings.policy_parts
    if "color" in parts:
        images = jitter_color(
            images,
            brightness=draws.uniform("brightness", -_BRIGHTNESS, _BRIGHTNESS),
            saturation=draws.uniform("saturation", 1 - _SATURATION, 1 + _SATURATION),
            contrast=draws.uniform("contrast", 1 - _CONTRAST, 1 + _CONTRAST),
        )
    if "translation" in parts:
        largest = [round(side * _SHIFT) for side in size]
        names = ("translation y", "translation x")
        offsets = [
            draws.integer(name, 2 * reach + 1) - reach
            for name, reach in zip(names, largest, strict=True)
        ]
        images = shift_pixels(images, torch.stack(offsets, dim=1))
    if "cutout" in parts:
        names = ("cutout y", "cutout x")
        centers = [draws.integer(name, side) for name, side in zip(names, size, strict=True)]
        images = cut_out(images, torch.stack(centers, dim=1))
    return images


def jitter_color(
    images: Tensor, *, brightness: Tensor, saturation: Tensor, contrast: Tensor
) -> Tensor:
    """Add brightness, scale the distance from gray, then that from the mean; alpha stays."""
    colors = color_channels(images)
    added, chroma, spread = (
        values.to(images.dtype).to(images.device)[:, None, None, None]
        for values in (brightness, saturation, contrast)
    )
    color = images[:, :colors] + added
    gray = color.mean(1, keepdim=True)
    color = (color - gray) * chroma + gray
    mean = color.mean((1, 2, 3), keepdim=True)
    color = (color - mean) * spread + mean
    return torch.cat([color, images[:, colors:]], dim=1)


def shift_pixels(images: Tensor, offset: Tensor) -> Tensor:
    """Pictures (B, C, H, W) moved by whole pixels (B, 2), down and right; padded with zeros."""
    height, width = images.shape[2:]
    offset = offset.to(images.device)
    rows = torch.arange(height, device=images.device) - offset[:, :1]  # (B, H)
    columns = torch.arange(width, device=images.device) - offset[:, 1:]
    inside = _within(rows, height)[:, :, None] & _within(columns, width)[:, None]
    index = rows.clamp(0, height - 1)[:, :, None] * width + columns.clamp(0, width - 1)[:, None]
    moved = gathered(images.flatten(2), index.flatten(1)).view_as(images)
    return moved * inside[:, None]


def cut_out(images: Tensor, center: Tensor) -> Tensor:
    """Pictures (B, C, H, W) with zeros in a rectangle of half their size around pixels (B, 2)."""
    center = center.to(images.device)
    holes = []
    for axis, side in enumerate(images.shape[2:]):
        length = round(side * _CUTOUT)
        places = torch.arange(side, device=images.device) - center[:, axis, None]
        holes.append(_within(places + length // 2, length))
    return images * ~(holes[0][:, :, None] & holes[1][:, None])[:, None]


def _within(index: Tensor, size: int) -> Tensor:
    return (index >= 0) & (index < size)
