"""Losses and their regularizers, and how different pictures are: pure functions of a batch.

Losses are scalar means over the batch. Regularizers are "lazy" (StyleGAN2, appendix B): computed
every k-th step and scaled by k where they are used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from creps.coordinates import Canvas

LossKind = Literal["nonsaturating", "relativistic", "statistics"]
PenaltyKind = Literal["exact", "finite"]

_COMPARED_SIDE = 16
"""Pixels a side, at most, that pictures are compared at: what is seen, not its noise. It costs next
to nothing, needs no other network, and is the same for real and generated pictures of a batch."""


def generator_loss(kind: LossKind, fake: Tensor, real: Tensor | None = None) -> Tensor:
    """What the generator minimizes.

    Args:
        kind: "nonsaturating" (GAN, section 3) or "relativistic" pairing (R3GAN, eq. 2);
            "statistics" has no adversary and does not come here.
        fake: (B, 1) logits of generated pictures.
        real: (B, 1) logits of real pictures; only the relativistic loss uses them.
    """
    if kind == "nonsaturating":
        return F.softplus(-fake).mean()
    assert real is not None
    return F.softplus(real - fake).mean()


def discriminator_loss(kind: LossKind, fake: Tensor, real: Tensor) -> Tensor:
    """What the discriminator minimizes; arguments as `generator_loss`."""
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


def finite_penalty(logits: Tensor, noisy: Tensor, *, noise: float) -> Tensor:
    """What `gradient_penalty` is, from differences: mean of (D(x + s n) - D(x))^2 / s^2.

    For n of independent standard normal numbers its expectation is the squared norm of the gradient
    as s becomes small (2501.08316, section 4.3; 2509.24935).

    Args:
        logits: (B, 1) of pictures.
        noisy: (B, 1) of the pictures with noise added.
        noise: its standard deviation s.
    Returns:
        scalar, to be weighted by gamma / 2.
    """
    return ((noisy - logits) / noise).square().mean()


def hinge_generator_loss(fake: Sequence[Tensor]) -> Tensor:
    """What the generator minimizes against scores of several heads (Projected GAN, eq. 4).

    Args:
        fake: scores of generated pictures, one tensor (B, 1, h, w) a head.
    Returns:
        scalar: means over pictures and places, summed over heads.
    """
    return -torch.stack([scores.mean() for scores in fake]).sum()


def hinge_discriminator_loss(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """What the heads minimize: scores of real ones above 1, of generated ones below -1."""
    return torch.stack(
        [
            F.relu(1 + of_fake).mean() + F.relu(1 - of_real).mean()
            for of_fake, of_real in zip(fake, real, strict=True)
        ]
    ).sum()


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


def cross_scale_loss(coarse: Tensor, fine: Tensor) -> Tensor:
    """How far a picture is from the means of its refinement: the same picture, only sharper.

    ScaleParty trains for it (any-resolution GAN, section 2); the papers we have do not say how, so
    this is the plain form of the measure of CREPS, section 4.4: reduce the larger picture, compare.

    Args:
        coarse: (B, C, H, W), drawn on a canvas.
        fine: (B, C, k * H, k * W) of the same styles, drawn on `refined(canvas, k)`.
    Returns:
        scalar mean absolute difference; gradients flow into both pictures.
    """
    return (coarse - F.avg_pool2d(fine, fine.shape[-1] // coarse.shape[-1])).abs().mean()


def refined(canvas: Canvas, factor: int) -> Canvas:
    """The same window with `factor` times the pixels on each axis; of center sampling.

    The mean place of each factor x factor block is the pixel it refines.

    Example:
        >>> refined(Canvas(2, 3), 2)
        Canvas(height=4, width=6, window=(0.0, 0.0, 1.0, 1.0), sampling='centers')
    """
    return replace(canvas, height=canvas.height * factor, width=canvas.width * factor)


@torch.no_grad()
def thumbnails(images: Tensor) -> Tensor:
    """Pictures (B, C, H, W) at no more than 16 x 16 pixels, flat: (B, P)."""
    height, width = (min(side, _COMPARED_SIDE) for side in images.shape[2:])
    return F.adaptive_avg_pool2d(images.float(), (height, width)).flatten(1)


@torch.no_grad()
def thumbnail_distances(small: Tensor) -> tuple[Tensor, Tensor]:
    """Mean distance of two of B >= 2 thumbnails (B, P), and of one to the one most like it.

    The distance of two pictures is the root mean square difference of their colors: 0 to 2.

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
