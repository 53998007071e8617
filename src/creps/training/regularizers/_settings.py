"""Settings of what is trained for beside the adversarial game; all of it is off by default."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from creps.errors import ConfigError

TeacherDirection = Literal["inverse", "forward"]
Perceptual = Literal["none", "effnet"]


@dataclass(frozen=True, kw_only=True)
class TeacherSettings:
    """A frozen first-phase model whose whole pictures patches stay faithful to.

    Any-resolution GAN, section 3.2. The teacher is the model or run given as `--from`.
    """

    weight: float = 0.0
    """Weight of the loss (lambda of eq. 3): 0 is no teacher; the paper takes 5 and compares 0, 2, 5
    and 10 (Table 11)."""
    direction: TeacherDirection = "inverse"
    """"inverse" compares patches, reduced, with the teacher's picture (eq. 4); "forward" compares
    them with its enlarged picture, which blurs details (Table 10)."""
    perceptual: Perceptual = "none"
    """What is added to the mean absolute difference: nothing, or a distance of the features of
    EfficientNet-Lite0 (extra `metrics`) where the paper has LPIPS. A run with it must not be judged
    by that network: `fd_effnet` would favour it."""

    def __post_init__(self) -> None:
        if not 0 <= self.weight < math.inf:
            raise ConfigError(f"teacher.weight {self.weight}: expected 0 or more")


@dataclass(frozen=True, kw_only=True)
class ConsistencySettings:
    """A loss that asks for the same picture at two sizes (as ScaleParty is said to have one)."""

    weight: float = 0.0
    """Of the mean absolute difference between a picture and the reduction of its refinement."""
    factor: int = 2
    """Times the pixels on each axis that the refinement has."""
    interval: int = 4
    """Steps between two looks at it; the loss counts so many times then."""

    def __post_init__(self) -> None:
        if not 0 <= self.weight < math.inf or self.factor < 2 or self.interval < 1:
            raise ConfigError(
                f"consistency: weight {self.weight}, factor {self.factor}, interval "
                f"{self.interval}: expected a weight of 0 or more, a factor of at least 2 and an "
                "interval of at least 1"
            )
