"""A discriminator of the features of a frozen network (Projected GAN, Sauer et al. 2021).

Feature maps of several sizes -> fixed random mixing across channels (1x1) and across scales (3x3,
from the smallest map upwards, added) -> one small network a map, which scores each of its places.
Mixing keeps the discriminator from resting on the few features it likes best (section 3.2); norms
of the layers are held at 1 (spectral normalization), no penalty is needed.

Shapes: B batch, C_l, H_l and W_l channels and pixels of map l.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creps.networks._layers import SLOPE

LARGEST = 4
"""Pixels a side of a map that is scored; larger ones are halved until they are as small."""


class RandomMixing(nn.Module):
    """Feature maps, coarse ones mixed into finer ones: fixed, drawn from a seed.

    From the coarsest map on, m_l = (A_l f_l + up(B_l m_(l+1))) / sqrt(2), A_l a 1x1 and B_l a 3x3
    convolution with variance-preserving weights, `up` bilinear.
    """

    def __init__(self, channels: Sequence[int], *, seed: int) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        self.levels = len(channels)
        for level, width in enumerate(channels):
            across = torch.randn(width, width, 1, 1, generator=random) / math.sqrt(width)
            self.register_buffer(f"across_{level}", across)
            if level + 1 < self.levels:
                coarser = channels[level + 1]
                up = torch.randn(width, coarser, 3, 3, generator=random) / math.sqrt(9 * coarser)
                self.register_buffer(f"up_{level}", up)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps (B, C_l, H_l, W_l), finest first, to as many of the same shapes."""
        mixed: list[Tensor] = []
        for level in reversed(range(self.levels)):
            x = F.conv2d(maps[level], self.get_buffer(f"across_{level}"))
            if mixed:
                y = F.conv2d(mixed[-1], self.get_buffer(f"up_{level}"), padding=1)
                y = F.interpolate(y, size=x.shape[2:], mode="bilinear", align_corners=False)
                x = (x + y) * math.sqrt(0.5)
            mixed.append(x)
        return mixed[::-1]


class SpectralConv2d(nn.Module):
    """A 3x3 convolution whose weight, as a matrix, has norm 1 (Miyato et al. 2018).

    The norm is that of a power iteration that `tighten` moves on by one: passes change nothing, so
    that a step is the same in however many parts it is computed.
    """

    direction: Tensor

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.stride = stride
        self.register_buffer("direction", F.normalize(torch.randn(outputs), dim=0))
        for _ in range(10):
            self.tighten()

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, H, W) to (B, O, ceil(H / stride), ceil(W / stride))."""
        norm = (self.direction @ self.weight.flatten(1)).norm()
        return F.conv2d(x, self.weight / norm, self.bias, stride=self.stride, padding=1)

    @torch.no_grad()
    def tighten(self) -> None:
        """One step of the power iteration."""
        matrix = self.weight.flatten(1)
        self.direction.copy_(F.normalize(matrix @ (self.direction @ matrix), dim=0))


class ProjectedDiscriminator(nn.Module):
    """Scores the feature maps of pictures; of the networks in it only the heads learn.

    Args:
        channels: of the maps, finest first.
        sides: pixels of the longer side of each map: it sets how often a head halves it.
        width: channels of the heads.
        seed: of the mixing; the heads are drawn from torch's global generator.
    """

    def __init__(
        self, channels: Sequence[int], sides: Sequence[int], *, width: int, seed: int
    ) -> None:
        super().__init__()
        self.mixing = RandomMixing(channels, seed=seed)
        self.heads = nn.ModuleList(
            _head(inputs, side, width) for inputs, side in zip(channels, sides, strict=True)
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps (B, C_l, H_l, W_l) to scores (B, 1, h_l, w_l), high where they seem real."""
        mixed = self.mixing(maps)
        return [head(x) for head, x in zip(self.heads, mixed, strict=True)]

    def tighten(self) -> None:
        """Follow the norms of the layers; to be called after each update."""
        for module in self.heads.modules():
            if isinstance(module, SpectralConv2d):
                module.tighten()


def _head(inputs: int, side: int, width: int) -> nn.Sequential:
    """Halve maps until they are small, at least one layer, then score each place."""
    halvings = max(math.ceil(math.log2(side / LARGEST)), 0)
    strides = [2] * halvings or [1]
    layers: list[nn.Module] = []
    for stride in strides:
        layers += [SpectralConv2d(inputs, width, stride=stride), nn.LeakyReLU(SLOPE)]
        inputs = width
    return nn.Sequential(*layers, SpectralConv2d(inputs, 1))


def halved(sides: Sequence[int], count: int) -> list[int]:
    """The longer side of each of `count` maps, of pictures (height, width), each half as large.

    Example:
        >>> halved((64, 48), 4)
        [16, 8, 4, 2]
    """
    return [-(-max(sides) // 2**level) for level in range(2, 2 + count)]
