"""The state of a run: networks, averages, optimisers, step; saved and restored bit for bit."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from creps.checkpoints.native import load, write_tensors
from creps.errors import CheckpointError
from creps.networks.base import Generator, build_generator
from creps.networks.discriminator import Discriminator
from creps.training.config import LossSettings, OptimizerSettings, TrainConfig

SNAPSHOTS_KEPT = 2
"""Older snapshots are removed once a newer one is complete."""


@dataclass
class TrainState:
    """All that a run must remember between two steps.

    Attributes:
        generator, discriminator: the networks being trained.
        average: the exponential moving average of the generator, the network that is shipped.
        generator_optimizer, discriminator_optimizer: Adam with its moments.
        path_length_mean: scalar running mean of the path length.
        step: steps done.
    """

    generator: Generator
    discriminator: Discriminator
    average: Generator
    generator_optimizer: torch.optim.Adam
    discriminator_optimizer: torch.optim.Adam
    path_length_mean: Tensor
    step: int = 0

    def networks(self) -> list[tuple[str, nn.Module]]:
        """The networks by their names."""
        return [
            ("generator", self.generator),
            ("discriminator", self.discriminator),
            ("average", self.average),
        ]

    @property
    def device(self) -> torch.device:
        """Where the networks live."""
        return self.generator.device


def initial_state(config: TrainConfig, device: torch.device | str = "cpu") -> TrainState:
    """Fresh networks and optimisers; the same seed gives the same weights on every machine."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        generator = build_generator("creps", config.generator)
        discriminator = Discriminator(config.discriminator)
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
    )


def step_random(seed: int, step: int, purpose: str) -> torch.Generator:
    """The CPU random generator of one purpose in one step.

    Draws depend on (seed, step, purpose) alone: nothing random has to be saved to resume exactly.
    """
    entropy = [seed, step, zlib.crc32(purpose.encode())]
    state = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0])
    return torch.Generator().manual_seed(state % 2**63)


def save_snapshot(state: TrainState, folder: Path) -> Path:
    """Write the state to `folder`, atomically, and remove all but the newest snapshots."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{state.step:09d}.safetensors"
    write_tensors(path, {name: tensor.cpu() for name, tensor in _tensors(state)})
    for old in snapshots(folder)[:-SNAPSHOTS_KEPT]:
        old.unlink(missing_ok=True)
    return path


def restore_snapshot(state: TrainState, path: Path) -> None:
    """Put the snapshot at `path` into `state`, built from the same configuration.

    Raises:
        CheckpointError: if the file is damaged or belongs to other networks.
    """
    tensors = _read(path)
    _allocate_moments(state, tensors)
    own = dict(_tensors(state))
    wrong = [n for n in {*own, *tensors} if n not in own or n not in tensors
             or own[n].shape != tensors[n].shape]  # fmt: skip
    if wrong:
        raise CheckpointError(f"snapshot {path} is of other networks: {sorted(wrong)[0]} differs")
    _copy(state, tensors, names=set(tensors))
    state.step = int(tensors["step"])


def start_from(state: TrainState, path: Path) -> None:
    """Give a fresh state what an earlier run, or a model, has learnt.

    Args:
        path: a run's folder: where its networks are the same, all of its state but the step counts;
            where only its generator is (a discriminator for another resolution has other outer
            blocks), generator, average and what fits of the discriminator. Or a model (see
            `creps.load`), for generator and average.
    Raises:
        CheckpointError: if the generator there is another network.
    """
    found = snapshots(path / "snapshots")
    if found:
        tensors = _read(found[-1])
    else:
        model = load(path)
        tensors = {
            f"{name}.{key}": tensor
            for name in ("generator", "average")
            for key, tensor in model.state_dict().items()
        }
    weights = {
        f"{name}.{key}": tensor
        for name, network in state.networks()
        for key, tensor in network.state_dict().items()
    }
    fits = {n for n, t in weights.items() if n in tensors and tensors[n].shape == t.shape}
    strange = [n for n in weights if n not in fits and not n.startswith("discriminator.")]
    if strange:
        raise CheckpointError(f"{path} holds another generator: {strange[0]} does not fit")
    if len(fits) == len(weights) and "step" in tensors:
        _allocate_moments(state, tensors)
        _copy(state, tensors, names=set(tensors) - {"step"})
    else:
        _copy(state, tensors, names=fits)


def snapshots(folder: Path) -> list[Path]:
    """Complete snapshots in a folder, oldest first."""
    return sorted(folder.glob("step-*.safetensors"))


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"snapshot {path} cannot be read ({error}): delete it") from None


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


def _allocate_moments(state: TrainState, tensors: Mapping[str, Tensor]) -> None:
    """Give the parameters that have moments in `tensors` moments to copy them to."""
    for name, network, optimizer in _optimized(state):
        for key, parameter in network.named_parameters():
            if f"{name}_optimizer.{key}.step" in tensors:
                optimizer.state[parameter] = {
                    "step": torch.zeros(()),
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }


@torch.no_grad()
def _copy(state: TrainState, tensors: Mapping[str, Tensor], *, names: Set[str]) -> None:
    """Put the named tensors into the state."""
    for name, tensor in _tensors(state):
        if name in names:
            tensor.copy_(tensors[name])


def _optimized(state: TrainState) -> Iterator[tuple[str, nn.Module, torch.optim.Adam]]:
    yield "generator", state.generator, state.generator_optimizer
    yield "discriminator", state.discriminator, state.discriminator_optimizer


def _tensors(state: TrainState) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of the state under a name of its own."""
    yield "step", torch.tensor(state.step)
    yield "path_length_mean", state.path_length_mean
    for name, network in state.networks():
        for key, tensor in network.state_dict().items():
            yield f"{name}.{key}", tensor
    for name, trained, optimizer in _optimized(state):
        for key, parameter in trained.named_parameters():
            for moment, tensor in optimizer.state.get(parameter, {}).items():
                yield f"{name}_optimizer.{key}.{moment}", tensor
