"""Discriminators of patches that look at scales in other ways (any-resolution GAN, Table 13).

The default, one network that is not told the scale, is `discriminator.Discriminator`. None of these
did better in the paper; they are here to compare.

Shapes: B batch, I channels of a block's input.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn

from creps.networks.discriminator import Discriminator, DiscriminatorConfig, ResidualBlock
from creps.networks.layers import EqualizedLinear, one_hot_labels

JudgeKind = Literal["one", "two", "scaled"]

WHOLE = 1 + 1e-6
"""Scales up to this are whole pictures."""
SCALE_WIDTH = 64
"""Width of the vector of a scale."""
SCALE_OFFSET = 0.1
"""Added to the normalised scale, as for generators (section 8.2)."""


class TwoDiscriminators(nn.Module):
    """One network judges whole pictures, the other one patches.

    Both look at all pictures, so that groups of the minibatch deviation stay whole; each is
    believed about its own. A group should be of one kind: `data.window_group` a multiple of
    `discriminator.minibatch_group`.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        self.whole, self.patches = Discriminator(config), Discriminator(config)

    def forward(self, images: Tensor, label: Tensor | None, scales: Tensor) -> Tensor:
        """Logits (B, 1) of pictures at scales (B,), multiples of the density of whole ones."""
        of_wholes = (scales <= WHOLE)[:, None]
        judged = torch.where(of_wholes, self.whole(images, label), self.patches(images, label))
        return judged

    def trainable(self, wanted: bool, *, frozen: int = 0) -> None:
        """As `Discriminator.trainable`, both."""
        for network in (self.whole, self.patches):
            network.trainable(wanted, frozen=frozen)


class ScaledDiscriminator(Discriminator):
    """A network that is told the scale, which modulates the weights of its blocks.

    "Following a similar method as the generator": a vector of the normalised scale (eq. 8), whose
    affine images multiply the input channels of each block; 1 to begin with, so that it goes on
    from one that was not told. The paper gives no more detail, and found it unstable.

    Args:
        config: of the network.
        largest: the scale that is normalised to 1, above 1.
    """

    def __init__(self, config: DiscriminatorConfig, *, largest: float) -> None:
        super().__init__(config)
        self.largest = largest
        self.scale = nn.Sequential(
            EqualizedLinear(1, SCALE_WIDTH, activation=True),
            EqualizedLinear(SCALE_WIDTH, SCALE_WIDTH, activation=True),
        )
        self.affines = nn.ModuleList(
            EqualizedLinear(SCALE_WIDTH, config.channels(n)) for n in config.sizes
        )
        for affine in cast("list[EqualizedLinear]", self.affines):
            nn.init.zeros_(affine.weight)

    def forward(  # type: ignore[override]  # it has to be told
        self, images: Tensor, label: Tensor | None, scales: Tensor
    ) -> Tensor:
        """Logits (B, 1) of pictures at scales (B,), multiples of the density of whole ones."""
        self._check(images)
        one_hot = one_hot_labels(
            label, batch=len(images), classes=self.config.label_dim, like=self.fc.weight
        )
        share = (scales.to(self.fc.weight) - 1) / (self.largest - 1) + SCALE_OFFSET
        vector = self.scale(share[:, None])
        x = self.from_rgb(images)
        blocks = cast("list[ResidualBlock]", self.blocks)
        for block, affine in zip(blocks, self.affines, strict=True):
            x = block(x * (1 + affine(vector))[:, :, None, None])
        with torch.autocast(images.device.type, enabled=False):
            logits: Tensor = self.out(self.features(x.to(self.fc.weight.dtype)))
            if self.projection is not None and one_hot is not None:
                logits = self.projection(logits, one_hot)
        return logits


Judge = Discriminator | TwoDiscriminators


def build_judge(
    config: DiscriminatorConfig, kind: JudgeKind = "one", *, largest: float = 1.0
) -> Judge:
    """A fresh discriminator.

    Args:
        config: of the network, or of each of two.
        kind: "one" for all scales, "two" for wholes and patches apart, "scaled" is told the scale.
        largest: scale in training; only "scaled" uses it, and takes at least 2.
    """
    if kind == "two":
        return TwoDiscriminators(config)
    if kind == "scaled":
        return ScaledDiscriminator(config, largest=max(largest, 2.0))
    return Discriminator(config)
