"""What a preset is, and the settings that several of them share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from creps.networks.discriminator import DiscriminatorConfig
from creps.training.config import TrainConfig
from creps.training.settings import LossSettings

SMALL_IMAGES = 400_000
"""Pictures that small recipes show, whatever the family."""


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


def small_run(
    generator: Any,
    *,
    resolution: int,
    family: str = "creps",
    images: int = SMALL_IMAGES,
    judge_width: int = 48,
) -> TrainConfig:
    """A recipe that learns on a CPU.

    Args:
        generator: the config of a network of the family.
        resolution: of the training pictures.
        family: registered name.
        images: pictures to show.
        judge_width: channels of the discriminator: a quarter of those it has at most.
    """
    return TrainConfig(
        family=family,
        generator=generator,
        discriminator=DiscriminatorConfig(
            resolution=resolution, channel_base=32 * judge_width, channel_max=4 * judge_width
        ),
        resolution=resolution,
        batch=16,
        images=images,
        loss=relativistic(0.5, interval=4),
        ema_half_life=5_000,
    )
