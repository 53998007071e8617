"""How far the statistics of textures are from those of real ones: a loss without an adversary.

A material is what its parts have in common, wherever they lie: how their small patches of pixels,
and what a network sees in them, are distributed (Portilla & Simoncelli 2000; Gatys et al. 2015).
Two distributions are compared by their sliced Wasserstein distance: along random directions, sorted
values side by side, of features (Heitz et al. 2021, 2006.07229) and of patches of several sizes
(Elnekave & Weiss 2022, 2203.11862). Each picture is compared with its real one, so that each has
all of the material, and a step is the same in however many parts it is computed.

Shapes: B batch, C channels, H and W pixels, N places of a map, V directions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

DIRECTIONS = 64
"""Random directions a step and distribution."""
PLACES = 512
"""Places of each picture that are compared, of larger maps drawn anew every step."""
PATCHES = (3, 9)
"""Pixels a side of patches, of the pictures and of twice their halves."""
HALVINGS = 2
"""How often pictures are halved: patches of 9 pixels then cover 36."""
LIKENESS = 5.0
"""Weight of `likeness`: with 1 seeds of a long run were 0.4 correlated, so much does it help to
learn one layout well."""
_FLAT = 1e-4
"""Added to variances: what is flat in the real picture is no reason to divide by 0."""


def statistics_loss(
    images: Tensor,
    real: Tensor,
    *,
    maps: Sequence[Tensor],
    real_maps: Sequence[Tensor],
    random: torch.Generator,
    group: int,
) -> Tensor:
    """The mean sliced Wasserstein distance of pictures from real ones, in variances of these.

    Args:
        images, real: (B, C, H, W), nominally in [-1, 1]; picture n is compared with real one n.
        maps, real_maps: features of both, (B, C_l, H_l, W_l) of each layer.
        random: of directions and places, on the CPU; all pictures share them.
        group: how many neighbors of the batch must not be alike.
    Returns:
        scalar: the sum over layers, the mean over patches of each size, and `likeness`; about 0 for
        equal statistics.
    """
    total = images.new_zeros(())
    for own, other in zip(maps, real_maps, strict=True):
        places = _some(own.shape[2] * own.shape[3], random).to(own.device)
        total = total + _distance(
            own.flatten(2)[..., places], other.flatten(2)[..., places], random, scaled=True
        )
    total = total + _patch_distance(images, real, random)
    return total + LIKENESS * likeness(images, group=group)


def likeness(images: Tensor, *, group: int) -> Tensor:
    """The mean squared correlation of pictures (B, C, H, W) of a group: two parts of a texture have
    nothing in common but statistics, so that other latents are other parts.

    Pictures are compared as they are and at a quarter of the size; scalar from 0 to 1.

    Example:
        >>> x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        >>> round(float(likeness(torch.cat([x, x + 1]), group=2)), 3)
        1.0
        >>> round(float(likeness(torch.cat([x, x.flip(2)]), group=2)), 2)
        0.0
    """
    group = min(group, len(images))
    if group < 2:
        return images.new_zeros(())
    found = []
    for times in (1, min(4, *images.shape[2:])):
        small = F.avg_pool2d(images, times).flatten(2)
        small = (small - small.mean(2, keepdim=True)).flatten(1)
        vectors = F.normalize(small, dim=1).unflatten(0, (-1, group))  # (B / group, group, P)
        squares = (vectors @ vectors.mT).square()
        own = torch.eye(group, dtype=torch.bool, device=images.device)
        found.append(squares.masked_fill(own, 0).sum() / (squares.numel() - len(squares) * group))
    return torch.stack(found).mean()


def _patch_distance(images: Tensor, real: Tensor, random: torch.Generator) -> Tensor:
    """The mean over sizes of patches that pictures hold."""
    found = []
    for halving in range(HALVINGS + 1):
        if halving:
            images, real = F.avg_pool2d(images, 2), F.avg_pool2d(real, 2)
        height, width = images.shape[2:]
        for side in PATCHES:
            if side <= min(height, width):
                where = _corners(height - side + 1, width - side + 1, random)
                ours, theirs = (_patches(x, where, side) for x in (images, real))
                found.append(_distance(ours, theirs, random))
        if min(height, width) < 2:
            break
    return torch.stack(found).mean() if found else images.new_zeros(())


def _distance(
    ours: Tensor, theirs: Tensor, random: torch.Generator, *, scaled: bool = False
) -> Tensor:
    """Of vectors (B, C, N) of pictures from those of real ones, sorted along random directions.

    `scaled` ones have another unit in each channel: deviations are brought to 1.
    """
    directions = torch.randn(DIRECTIONS, ours.shape[1], generator=random)
    directions = F.normalize(directions, dim=1).to(ours)  # (V, C)
    if scaled:
        deviation = theirs.std(2, correction=0, keepdim=True)
        unit = deviation + 0.05 * deviation.square().mean(1, keepdim=True).sqrt() + _FLAT
        ours, theirs = ours / unit, theirs / unit
    values, expected = ((directions @ each).sort(2).values for each in (ours, theirs))  # (B, V, N)
    spread = expected.var(2, correction=0) + _FLAT
    return ((values - expected).square().mean(2) / spread).mean()


def _some(count: int, random: torch.Generator) -> Tensor:
    """All places, or as many of them as are compared."""
    return torch.randperm(count, generator=random)[:PLACES]


def _corners(rows: int, columns: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Where patches begin, (N,) rows and columns."""
    count = min(rows * columns, PLACES)
    y = torch.randint(rows, (count,), generator=random)
    x = torch.randint(columns, (count,), generator=random)
    return y, x


def _patches(pictures: Tensor, where: tuple[Tensor, Tensor], side: int) -> Tensor:
    """Patches at the same places of pictures (B, C, H, W), as vectors (B, C * side * side, N)."""
    along = torch.arange(side)
    rows = (where[0][:, None] + along)[:, :, None].to(pictures.device)  # (N, side, 1)
    columns = (where[1][:, None] + along)[:, None, :].to(pictures.device)
    found = pictures[:, :, rows, columns]  # (B, C, N, side, side)
    return found.permute(0, 1, 3, 4, 2).flatten(1, 3)
