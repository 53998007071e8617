"""What changes over a run, as functions of the step alone: a resumed run goes on exactly."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from creps.training._config import TrainConfig

Trained = Literal["generator", "discriminator", "projected"]
"""The networks that learn."""


class AdamRates(NamedTuple):
    """What Adam is given for one update."""

    learning_rate: float
    betas: tuple[float, float]


def cosine(start: float, end: float, share: float) -> float:
    """From `start` to `end` along half a cosine; `share` of the way, 0 to 1, is clipped.

    Example:
        >>> cosine(1.0, 0.0, 0.5), cosine(1.0, 0.25, 7.0)
        (0.5, 0.25)
    """
    return end + (start - end) * (1 + math.cos(math.pi * min(max(share, 0.0), 1.0))) / 2


def annealed_share(config: TrainConfig, step: int) -> float:
    """How much of the annealing lies behind a step, 0 to 1; 0 where nothing is annealed."""
    images = config.anneal.images
    return min(step * config.batch / images, 1.0) if images else 0.0


def adam_rates(config: TrainConfig, name: Trained, step: int) -> AdamRates:
    """The rates of a network's update in a step.

    The extra step of a lazy regularizer is made up for by rescaled rates (StyleGAN2, appendix B).
    """
    optimizer, share = config.optimizer, annealed_share(config, step)
    rate, beta2 = optimizer.learning_rate, optimizer.beta2
    if config.anneal.images:
        rate = cosine(rate, rate * config.anneal.learning_rate, share)
        beta2 = cosine(beta2, config.anneal.beta2, share)
    interval = lazy_interval(config, name)
    ratio = interval / (interval + 1) if interval else 1.0
    return AdamRates(rate * ratio, (optimizer.beta1**ratio, beta2**ratio))


def lazy_interval(config: TrainConfig, name: Trained) -> int:
    """Steps between two extra updates of a network for its regularizer; 0: there are none."""
    loss = config.loss
    if name == "generator":
        return loss.generator_interval if loss.path_length_weight else 0
    exact = name == "discriminator" and loss.penalty == "exact"
    return loss.discriminator_interval if exact else 0


def penalty_scale(config: TrainConfig, step: int) -> float:
    """What the gammas of the gradient penalties are multiplied by in a step."""
    return cosine(1.0, config.anneal.gamma, annealed_share(config, step))


def blur_sigma(config: TrainConfig, step: int) -> float:
    """Standard deviation in pixels of the blur of all that the discriminators see in a step."""
    settings = config.augment
    if not settings.blur:
        return 0.0
    return settings.blur * max(1 - step * config.batch / settings.blur_images, 0.0)


def largest_zoom(config: TrainConfig, step: int) -> float:
    """The largest magnification of windows in a step: it grows by doublings, coarse ones first."""
    data = config.data
    if not data.zoom_images:
        return data.zoom
    share = min(step * config.batch / data.zoom_images, 1.0)
    return data.zoom_from * (data.zoom / data.zoom_from) ** share
