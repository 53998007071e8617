"""What a preset is, and the settings that several of them share."""

from __future__ import annotations

from dataclasses import dataclass

from creps.training.config import TrainConfig
from creps.training.settings import LossSettings


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A preset and what to know of it.

    Attributes:
        config: its settings.
        about: what it is for, in a few words.
        expects: the score that its source reports, or what was measured here.
        start: what to give as `--from`, for recipes that go on from a trained model.
    """

    config: TrainConfig
    about: str
    expects: str = ""
    start: str = ""


def relativistic(gamma: float, *, interval: int) -> LossSettings:
    """R3GAN's loss: relativistic pairing, the same penalty on real and generated pictures."""
    return LossSettings(
        kind="relativistic",
        r1_gamma=gamma,
        r2_gamma=gamma,
        path_length_weight=0.0,
        discriminator_interval=interval,
    )
