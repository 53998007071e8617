"""The means and covariances of frozen features, and how far generated ones are from real ones.

A discriminator judges a picture, and sees a few others beside it. That one in a thousand winks
where one in five should, it hardly notices; moments over thousands of pictures do. Their distance
is Fréchet's (Heusel et al. 2017) of features along fixed random directions, in units in which real
ones vary alike in all of them. Its derivative by the running moments is a score of each picture,
from which the generator learns: the graph holds one batch, the moments thousands of pictures.

Shapes: B batch, C channels, D directions, S numbers of a sum.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creps.networks._prepared import coordinate_device
from creps.networks.discriminator import FEATURE_CHANNELS

_DIRECTIONS = 128
"""Of each map, at most."""
_SIDE = 4
"""Places a side that maps are averaged to: what belongs above need not be below."""
_REMEMBERED = (20_000, 2_000)
"""Pictures that running moments go back, real and generated ones; at first all there were."""
_FIRST = 4 * _DIRECTIONS
"""Pictures of each before moments count."""
_RIDGE = 0.05
"""Of the mean variance, added to all: directions that hardly vary count less."""
_LEAST = 1e-3
"""Of the mean square, the least that is added: real pictures that are all alike, as those of one
color, would set a unit of rounding. Portraits have fifteen times as much."""
_INTERVAL = 4
"""Steps from one derivative to the next."""
_REAL, _GENERATED = 0, 1


class FeatureMoments(nn.Module):
    """Running moments of the maps of a projected discriminator, of wholes and of windows apart.

    All that it knows are buffers, so that a run which goes on knows the same.

    Args:
        size: (height, width) in pixels at which pictures are seen; the finest map has a quarter.
        seed: of the directions.
        channels: of the maps, finest first.
    """

    def __init__(
        self, size: tuple[int, int], *, seed: int, channels: Sequence[int] = FEATURE_CHANNELS
    ) -> None:
        super().__init__()
        self.kinds = nn.ModuleList(
            nn.ModuleList(
                _MapMoments(width, tuple(-(-side // 2**level) for side in size), seed=seed + level)
                for level, width in enumerate(channels, 2)
            )
            for _ in ("wholes", "windows")
        )

    def score(self, maps: Sequence[Tensor], windows: Tensor) -> Tensor:
        """The mean score of generated pictures, a scalar; its gradient is that of the distances.

        Args:
            maps: (B, C_l, H_l, W_l) of each level, finest first.
            windows: (B,) which of the pictures are not whole.
        """
        total = torch.zeros((), device=windows.device)
        for of_maps, members in self._kinds(windows):
            for moments, found in zip(of_maps, maps, strict=True):
                total = total + moments.scores(moments.values(found[members])).sum()
        return total / len(windows)

    @torch.no_grad()
    def sums(self, real: Sequence[Tensor], generated: Sequence[Tensor], windows: Tensor) -> Tensor:
        """What `follow` needs of pictures, (S,): those of parts of a batch add up.

        Args:
            real, generated: (B, C_l, H_l, W_l) of each level, in the same windows.
            windows: (B,) which of the pictures are not whole.
        """
        found = [
            moments.sums(maps[level][members])
            for of_maps, members in self._kinds(windows)
            for level, moments in enumerate(of_maps)
            for maps in (real, generated)
        ]
        return torch.cat(found)

    @torch.no_grad()
    def follow(self, sums: Tensor, *, step: int) -> dict[str, Tensor]:
        """Take in the pictures of a step by their sums (S,); every few steps the `distances`."""
        every = [moments for of_maps in self._all() for moments in of_maps]
        pieces = sums.split([m.numbers for m in every for _ in (_REAL, _GENERATED)])
        for moments, real, generated in zip(every, pieces[::2], pieces[1::2], strict=True):
            moments.follow(_REAL, real)
            moments.follow(_GENERATED, generated)
            if step % _INTERVAL == 0:
                moments.derive()
        return {} if step % _INTERVAL else self.distances()

    def distances(self) -> dict[str, Tensor]:
        """The distances of wholes and of windows, means over maps and directions: scalars.

        Those alone that count already.
        """
        names = ("moments/wholes", "moments/windows")
        means = (torch.stack([m.distance for m in of_maps]).mean() for of_maps in self._all())
        return {name: mean for name, mean in zip(names, means, strict=True) if bool(mean)}

    def _all(self) -> Iterator[Sequence[_MapMoments]]:
        for of_maps in self.kinds:
            yield cast("Sequence[_MapMoments]", of_maps)

    def _kinds(self, windows: Tensor) -> Iterator[tuple[Sequence[_MapMoments], Tensor]]:
        """Moments of wholes and of windows, each with its members among pictures."""
        yield from zip(self._all(), (~windows, windows), strict=True)


class _MapMoments(nn.Module):
    """Running moments of the features of one map, of real and generated pictures.

    Args:
        channels: of the map.
        size: (height, width) of the map.
        seed: of the directions.
    """

    basis: Tensor
    seen: Tensor
    mean: Tensor
    covariance: Tensor
    distance: Tensor
    slope: Tensor
    curve: Tensor

    def __init__(self, channels: int, size: Sequence[int], *, seed: int) -> None:
        super().__init__()
        self.size = min(size[0], _SIDE), min(size[1], _SIDE)
        features = channels * math.prod(self.size)
        count = min(_DIRECTIONS, features)
        random = torch.Generator().manual_seed(seed)
        basis, _ = torch.linalg.qr(torch.randn(features, count, generator=random))
        self.register_buffer("basis", basis, persistent=False)
        self.register_buffer("seen", torch.zeros(2))
        self.register_buffer("mean", torch.zeros(2, count))
        self.register_buffer("covariance", torch.zeros(2, count, count))
        self.register_buffer("distance", torch.zeros(()))
        self.register_buffer("slope", torch.zeros(count))
        self.register_buffer("curve", torch.zeros(count, count))

    @property
    def numbers(self) -> int:
        """Numbers of a sum: of pictures, of values, of their products."""
        count = len(self.slope)
        return 1 + count + count**2

    def values(self, maps: Tensor) -> Tensor:
        """Maps (B, C, H, W) along the directions, (B, D)."""
        return F.adaptive_avg_pool2d(maps.float(), self.size).flatten(1) @ self.basis

    def scores(self, values: Tensor) -> Tensor:
        """(B,) of values (B, D); the gradient of their mean is that of the distance."""
        away = values - self.mean[_GENERATED]
        return (2 * away @ self.slope + ((away @ self.curve) * away).sum(1)) / len(self.slope)

    def sums(self, maps: Tensor) -> Tensor:
        """Number, sum and sum of products of the values of maps (B, C, H, W)."""
        values = self.values(maps)
        count = values.new_full((1,), len(values))
        return torch.cat([count, values.sum(0), (values.T @ values).flatten()])

    def follow(self, which: int, sums: Tensor) -> None:
        """Move the moments of one kind on by `sums`."""
        count = sums[0]
        if not count:
            return
        mean = sums[1 : 1 + len(self.slope)] / count
        within = sums[1 + len(self.slope) :].view_as(self.curve) / count - torch.outer(mean, mean)
        self.seen[which] = (self.seen[which] + count).clamp(max=_REMEMBERED[which])
        share = (count / self.seen[which]).clamp(max=1)  # a batch may hold more than it goes back
        away = mean - self.mean[which]
        within = within + torch.outer(away, away) * (1 - share)
        self.covariance[which].lerp_(within, share)
        self.mean[which].add_(away * share)

    def derive(self) -> None:
        """The distance of the running moments, a direction, and its derivative."""
        if bool((self.seen < _FIRST).any()):
            return
        exact = coordinate_device(self.covariance.device)  # where float64 is known
        mean, covariance = (x.to(exact).double() for x in (self.mean, self.covariance))
        if not bool(mean.isfinite().all() & covariance.isfinite().all()):
            self.distance.fill_(math.nan)  # as the log wants it; there are no eigenvalues
            return
        real, generated = covariance
        variance = real.diagonal().mean()
        least = _LEAST * (variance + mean[_REAL].square().mean())
        ridge = torch.eye(len(real)).to(real) * (_RIDGE * variance).clamp(min=least + 1e-12)
        values, vectors = torch.linalg.eigh(real + ridge)
        whiten = (vectors * values.clamp(min=1e-12).rsqrt()) @ vectors.T
        away = whiten @ (mean[_GENERATED] - mean[_REAL])
        values, vectors = torch.linalg.eigh(whiten @ (generated + ridge) @ whiten)
        deviations = values.clamp(min=1e-6).sqrt()
        curve = torch.eye(len(real)).to(real) - (vectors / deviations) @ vectors.T
        squares = away.square().sum() + (deviations - 1).square().sum()
        self.distance.copy_(squares / len(real))
        self.slope.copy_(whiten @ away)
        self.curve.copy_(whiten @ curve @ whiten)
