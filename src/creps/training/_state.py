"""The state of a run: networks, averages, optimisers, step; every tensor of it by name."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Container, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from creps.networks.base import Generator, build_generator
from creps.networks.discriminator import AnyDiscriminator, build_discriminator
from creps.training._config import LossSettings, OptimizerSettings, TrainConfig


@dataclass
class TrainState:
    """All that a run must remember between two steps.

    Attributes:
        generator, discriminator: the networks being trained.
        average: the exponential moving average of the generator, the network that is shipped.
        generator_optimizer, discriminator_optimizer: Adam with its moments.
        path_length_mean: scalar running mean of the path length.
        augment_strength: scalar strength of ADA, on the CPU.
        augment_signs: (2,) sum of the mean signs of real logits since the strength last moved, and
            how many they are.
        step: steps done.
        teacher: what patches stay faithful to; frozen, so it is no part of `tensors`.
    """

    generator: Generator
    discriminator: AnyDiscriminator
    average: Generator
    generator_optimizer: torch.optim.Adam
    discriminator_optimizer: torch.optim.Adam
    path_length_mean: Tensor
    augment_strength: Tensor
    augment_signs: Tensor
    step: int = 0
    teacher: Generator | None = None

    def networks(self) -> list[tuple[str, nn.Module]]:
        """The networks by their names."""
        return [
            ("generator", self.generator),
            ("discriminator", self.discriminator),
            ("average", self.average),
        ]

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Every tensor of the state under a name of its own; copying to them changes the state."""
        yield "step", torch.tensor(self.step)
        yield "path_length_mean", self.path_length_mean
        yield "augment_strength", self.augment_strength
        yield "augment_signs", self.augment_signs
        for name, network in self.networks():
            for key, tensor in network.state_dict().items():
                yield f"{name}.{key}", tensor
        for name, trained, optimizer in self.optimized():
            for key, parameter in trained.named_parameters():
                for moment, tensor in optimizer.state.get(parameter, {}).items():
                    yield f"{name}_optimizer.{key}.{moment}", tensor

    def optimized(self) -> Iterator[tuple[str, nn.Module, torch.optim.Adam]]:
        """The trained networks by their names, with their optimisers."""
        yield "generator", self.generator, self.generator_optimizer
        yield "discriminator", self.discriminator, self.discriminator_optimizer

    def allocate_moments(self, names: Container[str]) -> None:
        """Give the parameters that have moments among `names` moments to copy them to."""
        for name, network, optimizer in self.optimized():
            for key, parameter in network.named_parameters():
                if f"{name}_optimizer.{key}.step" in names:
                    optimizer.state[parameter] = {
                        "step": torch.zeros(()),
                        "exp_avg": torch.zeros_like(parameter),
                        "exp_avg_sq": torch.zeros_like(parameter),
                    }

    @property
    def device(self) -> torch.device:
        """Where the networks live."""
        return self.generator.device


def initial_state(config: TrainConfig, device: torch.device | str = "cpu") -> TrainState:
    """Fresh networks and optimisers; the same seed gives the same weights on every machine."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        generator = build_generator(config.family, config.generator)
        discriminator = build_discriminator(
            config.discriminator, config.judge, largest=config.data.zoom
        )
    average = copy.deepcopy(generator).to(device)
    generator.to(device).train().requires_grad_(True)
    discriminator.to(device).train()
    return TrainState(
        generator=generator,
        discriminator=discriminator,
        average=average,
        generator_optimizer=_adam(generator, config.optimizer, _generator_interval(config.loss)),
        discriminator_optimizer=_adam(
            discriminator, config.optimizer, config.loss.discriminator_interval
        ),
        path_length_mean=torch.zeros((), device=device),
        augment_strength=torch.tensor(config.augment.p, dtype=torch.float64),
        augment_signs=torch.zeros(2, device=device),
    )


def step_random(
    seed: int, step: int, purpose: str, device: torch.device | str = "cpu"
) -> torch.Generator:
    """The random generator of one purpose in one step, on the CPU unless said otherwise.

    Draws depend on (seed, step, purpose) alone: nothing random has to be saved to resume exactly.
    """
    entropy = [seed, step, zlib.crc32(purpose.encode())]
    state = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0])
    return torch.Generator(device).manual_seed(state % 2**63)


def _generator_interval(loss: LossSettings) -> int:
    """Lazy regularisation's interval of the generator: none without path length penalty."""
    return loss.generator_interval if loss.path_length_weight else 0


def _adam(network: nn.Module, settings: OptimizerSettings, interval: int) -> torch.optim.Adam:
    """Adam for a network with a lazy regulariser every `interval` steps (0: none).

    The extra step is made up for by rescaled rates (StyleGAN2, appendix B).
    """
    ratio = interval / (interval + 1) if interval else 1.0
    return torch.optim.Adam(
        network.parameters(),
        lr=settings.learning_rate * ratio,
        betas=(settings.beta1**ratio, settings.beta2**ratio),
        eps=settings.epsilon,
        foreach=True,
    )
