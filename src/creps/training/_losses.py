"""Losses of the adversarial game: pure functions of logits and gradients.

Every function returns a scalar mean over the batch. Regularisers are "lazy" (StyleGAN2, appendix
B): computed every k-th step and scaled by k where they are used.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

LossKind = Literal["nonsaturating", "relativistic"]


def generator_loss(kind: LossKind, fake: Tensor, real: Tensor | None = None) -> Tensor:
    """What the generator minimises.

    Args:
        kind: "nonsaturating" (GAN, section 3) or "relativistic" pairing (R3GAN, eq. 2).
        fake: (B, 1) logits of generated pictures.
        real: (B, 1) logits of real pictures; only the relativistic loss looks at them.
    """
    if kind == "nonsaturating":
        return F.softplus(-fake).mean()
    assert real is not None
    return F.softplus(real - fake).mean()


def discriminator_loss(kind: LossKind, fake: Tensor, real: Tensor) -> Tensor:
    """What the discriminator minimises; arguments as `generator_loss`."""
    if kind == "nonsaturating":
        return (F.softplus(fake) + F.softplus(-real)).mean()
    return F.softplus(fake - real).mean()


def gradient_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """Mean squared norm of the logits' gradient by the images: R1 on real, R2 on generated ones.

    Args:
        logits: (B, 1), computed from `images`.
        images: (B, C, H, W) that require gradients.
    Returns:
        scalar, to be weighted by gamma / 2 (Mescheder et al. 2018, eq. 9).
    """
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


def path_lengths(images: Tensor, styles: Tensor, noise: Tensor) -> Tensor:
    """How far the picture moves when the styles do (StyleGAN2, section 3.2).

    Args:
        images: (B, C, H, W), computed from `styles`.
        styles: (B, K, D) that require gradients.
        noise: (B, C, H, W) standard normal; divided by sqrt(H * W) here.
    Returns:
        (B,) root of the mean over the K styles of the squared gradient.
    """
    height, width = images.shape[2:]
    projected = (images * noise / math.sqrt(height * width)).sum()
    (gradient,) = torch.autograd.grad(projected, styles, create_graph=True)
    return gradient.square().sum(2).mean(1).sqrt()


def path_length_penalty(lengths: Tensor, mean: Tensor) -> Tensor:
    """How much path lengths (B,) differ from their running mean (scalar), squared.

    The mean has moved towards these lengths already (StyleGAN2's code).
    """
    return (lengths - mean.detach()).square().mean()
