"""Augmentation of what the discriminator sees, and the strength that adapts to overfitting.

Adaptive discriminator augmentation (ADA; Karras et al. 2020, "Training generative adversarial
networks with limited data") and DiffAugment (Zhao et al. 2020). Both are applied to real and to
generated pictures, and are differentiable, so that generators do not learn to draw augmented
pictures; gradient penalties take a second derivative through them, by the pictures as they came.
"""

from __future__ import annotations

import torch
from torch import Tensor

from creps.training.augment._color import COLOUR_DRAWS, colour_channels, draw_colour, recolour
from creps.training.augment._diffaugment import DIFFAUGMENT_DRAWS, diffaugment
from creps.training.augment._geometry import GEOMETRY_DRAWS, draw_geometry, transform
from creps.training.augment._settings import AugmentSettings, Draws

__all__ = ["AugmentSettings", "adapt_strength", "augment"]


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
    colour_channels(images)
    chance = float(strength) if settings.kind == "ada" else 1.0
    if settings.kind == "none" or chance <= 0:
        return images
    names = DIFFAUGMENT_DRAWS if settings.kind == "diffaugment" else GEOMETRY_DRAWS + COLOUR_DRAWS
    draws = Draws.take(names, len(images), generator=generator, first=first)
    # Places of pixels and the filters' small taps need more digits than mixed precision has.
    with torch.autocast(images.device.type, enabled=False):
        wide = images if images.dtype == torch.float64 else images.float()
        if settings.kind == "diffaugment":
            return diffaugment(wide, draws, settings).to(images.dtype)
        size = (images.shape[2], images.shape[3])
        moved = transform(wide, draw_geometry(draws, chance, settings, size=size))
        return recolour(moved, draw_colour(draws, chance, settings)).to(images.dtype)


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
    # Logits that are not numbers say nothing about overfitting.
    excess = torch.nan_to_num(sign_mean.to(strength) - settings.target)
    step = images / (settings.speed_kimg * 1000)
    return (strength + excess.sign() * step).clamp(0, 1)
