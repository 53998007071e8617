"""Which augmentations a run uses, how often, and the random numbers they take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from creps.errors import ConfigError, nearest

AugmentKind = Literal["none", "ada", "diffaugment"]

MULTIPLIERS = (
    *("flip", "rotate90", "translate"),
    *("scale", "rotate", "aspect", "fraction"),
    *("brightness", "contrast", "luma_flip", "hue", "saturation"),
)
"""The transforms of ADA in the order in which they are applied: blits, geometry, color."""

_DIFFAUGMENT_PARTS = ("color", "translation", "cutout")
"""What a `policy` of DiffAugment may name (the field's spelling)."""


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """Augmentation of what the discriminator sees, real and generated alike.

    `ada` applies each transform to each picture by chance, with probability strength * multiplier;
    the strength follows a heuristic of overfitting, or is fixed. `diffaugment` is lighter: it
    applies its policy to every picture, always, and knows no strength.
    """

    kind: AugmentKind = "none"
    """"none", "ada" (Karras et al. 2020) or "diffaugment" (Zhao et al. 2020)."""
    adapt: bool = True
    """ADA: let the strength follow the discriminator's signs on real pictures."""
    p: float = 0.0
    """ADA: the strength at the start; where `adapt` is false, the strength of the whole run."""
    target: float = 0.6
    """ADA: the mean sign of real logits to hold; above it the discriminator overfits."""
    speed_kimg: float = 500.0
    """ADA: thousands of images over which the strength moves by one."""
    interval: int = 4
    """ADA: steps between two adjustments of the strength."""
    # ADA: multipliers of the probability of each transform.
    flip: float = 1.0
    rotate90: float = 1.0
    translate: float = 1.0
    """Shifts by whole pixels."""
    scale: float = 1.0
    rotate: float = 1.0
    aspect: float = 1.0
    """Other scales for height and width."""
    fraction: float = 1.0
    """Shifts by fractions of a pixel."""
    brightness: float = 1.0
    contrast: float = 1.0
    luma_flip: float = 1.0
    hue: float = 1.0
    saturation: float = 1.0
    policy: str = ",".join(_DIFFAUGMENT_PARTS)
    """DiffAugment: what it does, of color, translation and cutout, with commas."""
    blur: float = 0.0
    """Whatever the kind: standard deviation in pixels of a blur of all pictures at the start."""
    blur_images: int = 10_000
    """Images over which the blur becomes nothing."""

    def __post_init__(self) -> None:
        if self.kind not in ("none", "ada", "diffaugment"):
            raise ConfigError(f"augment.kind {self.kind!r}: expected none, ada or diffaugment")
        if not 0 <= self.p <= 1:
            raise ConfigError(f"augment.p {self.p}: expected a probability from 0 to 1")
        if self.kind == "ada" and not self.adapt and self.p == 0:
            raise ConfigError("augment.p 0 without augment.adapt does nothing: set p or adapt=true")
        if not 0 <= self.blur < math.inf or self.blur_images < 1:
            raise ConfigError(
                f"augment.blur {self.blur}, blur_images {self.blur_images}: expected at least 0 "
                "pixels and at least 1"
            )
        if not -1 < self.target < 1:
            raise ConfigError(f"augment.target {self.target}: expected a number between -1 and 1")
        if not 0 < self.speed_kimg < math.inf or self.interval < 1:
            raise ConfigError(
                f"augment.speed_kimg {self.speed_kimg}, interval {self.interval}: expected a "
                "positive number, and at least 1"
            )
        for name in MULTIPLIERS:
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ConfigError(f"augment.{name} {value}: expected a multiplier from 0 to 1")
        for part in self.policy_parts:
            if part not in _DIFFAUGMENT_PARTS:
                hint = nearest(part, _DIFFAUGMENT_PARTS)
                raise ConfigError(f"augment.policy names {part!r}: {hint}")
        if self.kind == "diffaugment" and not self.policy_parts:
            raise ConfigError("augment.policy is empty: name color, translation or cutout")

    @property
    def policy_parts(self) -> tuple[str, ...]:
        """The parts of `policy`, spaces removed."""
        return tuple(part.strip() for part in self.policy.split(",") if part.strip())

    def probability(self, name: str, strength: float) -> float:
        """How often ADA's transform `name` happens at a strength from 0 to 1."""
        return min(max(strength * float(getattr(self, name)), 0.0), 1.0)


@dataclass(frozen=True)
class Draws:
    """Random numbers (B,) in [0, 1) by name, from which the transforms of images are drawn."""

    numbers: Mapping[str, Tensor]

    @classmethod
    def take(
        cls, names: tuple[str, ...], count: int, *, generator: torch.Generator, first: int = 0
    ) -> Draws:
        """Draw numbers of these names, in this order, for `count` images.

        An image's numbers are one row: they depend neither on how many images follow,
        nor on which transforms are switched on. `first` images come before these in the batch.
        """
        # Uniform numbers only: torch fills those in order, but normal ones in blocks.
        shape = (first + count, len(names))
        rows = torch.rand(shape, generator=generator, dtype=torch.float64)[first:]
        return cls(dict(zip(names, rows.unbind(1), strict=True)))

    def happens(self, name: str, probability: float) -> Tensor:
        """(B,) bool, true with this probability: never at 0, always at 1."""
        return self.numbers[name] < probability

    def uniform(self, name: str, low: float, high: float) -> Tensor:
        """(B,) float64 in [low, high)."""
        return low + (high - low) * self.numbers[name]

    def sign(self, name: str) -> Tensor:
        """(B,) float64 of -1 and 1, equally likely."""
        return torch.where(self.numbers[name] < 0.5, -1.0, 1.0).double()

    def normal(self, name: str) -> Tensor:
        """(B,) float64, standard normal."""
        # Half of the smallest step of the uniform numbers replaces 0, which would be infinite.
        numbers: Tensor = torch.special.ndtri(self.numbers[name].clamp(min=2.0**-54))
        return numbers

    def integer(self, name: str, count: int) -> Tensor:
        """(B,) int64 of 0 .. count - 1, equally likely."""
        return (self.numbers[name] * count).long().clamp(max=count - 1)
