"""The state of a run, every tensor of it by name, and its snapshots: restored bit for bit.

Also what changes over a run, and what is drawn in a step: functions of the step alone.
"""

from __future__ import annotations

import copy
import hashlib
import math
import re
import zlib
from collections.abc import Callable, Container, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from creps._devices import available_memory
from creps._files import write_atomically
from creps.errors import CheckpointError, ConfigError, CrepsError
from creps.networks.base import Generator, build_generator
from creps.networks.discriminator import (
    AnyDiscriminator,
    ProjectedDiscriminator,
    build_discriminator,
)
from creps.training._config import TrainConfig
from creps.training._moments import FeatureMoments

_SNAPSHOTS_KEPT = 2
"""Older snapshots are removed once a newer one is complete."""
_DIGEST = "sha256"
"""Where the digest of its tensors lies in the metadata of a snapshot; those of before have none."""
_YOUNGER_NAMES = frozenset({"augment_strength", "augment_signs"})
"""Tensors that snapshots of earlier versions lack: they keep their fresh values."""


Trained = Literal["generator", "discriminator", "projected"]
"""The networks that learn."""


@dataclass
class TrainState:
    """All that a run must remember between two steps.

    Attributes:
        average: the exponential moving average of the generator, the network that is shipped.
        path_length_mean: scalar running mean of the path length.
        augment_strength: scalar strength of ADA, on the CPU.
        augment_signs: (2,) sum of the mean signs of real logits since the strength last moved, and
            how many they are.
        step: steps done.
        teacher: what patches stay faithful to; frozen, so not part of `tensors`.
        projected: the second discriminator, of features, and its optimizer; None without one.
        moments: of the features that it sees; None where they do not count.
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
    projected: ProjectedDiscriminator | None = None
    projected_optimizer: torch.optim.Adam | None = None
    moments: FeatureMoments | None = None

    def networks(self) -> list[tuple[str, nn.Module]]:
        """The networks by their names."""
        found: list[tuple[str, nn.Module]] = [
            ("generator", self.generator),
            ("discriminator", self.discriminator),
            ("average", self.average),
        ]
        if self.projected is not None:
            found.append(("projected", self.projected))
        return found + ([] if self.moments is None else [("moments", self.moments)])

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Every tensor of the state by a unique name; copying to them changes the state."""
        yield "step", torch.tensor(self.step)
        yield "path_length_mean", self.path_length_mean
        yield "augment_strength", self.augment_strength
        yield "augment_signs", self.augment_signs
        for name, network in self.networks():
            for key, tensor in network.state_dict().items():
                yield f"{name}.{key}", tensor
        for name, (trained, optimizer) in self.optimized().items():
            for key, parameter in trained.named_parameters():
                for moment, tensor in optimizer.state.get(parameter, {}).items():
                    yield f"{name}_optimizer.{key}.{moment}", tensor

    def optimized(self) -> dict[Trained, tuple[nn.Module, torch.optim.Adam]]:
        """The trained networks by their names, with their optimizers."""
        found: dict[Trained, tuple[nn.Module, torch.optim.Adam]] = {
            "generator": (self.generator, self.generator_optimizer),
            "discriminator": (self.discriminator, self.discriminator_optimizer),
        }
        if self.projected is not None and self.projected_optimizer is not None:
            found["projected"] = self.projected, self.projected_optimizer
        return found

    def allocate_moments(self, names: Container[str]) -> None:
        """Give the parameters that have moments among `names` moments to copy them to."""
        for name, (network, optimizer) in self.optimized().items():
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
    """Fresh networks and optimizers; the same seed gives the same weights on every machine.

    A ConfigError for networks beyond the memory that is free here.
    """
    _refuse_beyond_memory(config, torch.device(device))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        generator = build_generator(config.family, config.generator)
        discriminator = build_discriminator(
            config.discriminator, config.discriminator_kind, largest=config.data.zoom
        )
        projected = None
        if config.projected.weight:
            projected = ProjectedDiscriminator(
                config.projected_size,
                width=config.projected.width,
                seed=config.seed,
                placed=config.projected.placed,
            )
    average = copy.deepcopy(generator).to(device)
    generator.to(device).train().requires_grad_(True)
    discriminator.to(device).train()
    return TrainState(
        generator=generator,
        discriminator=discriminator,
        average=average,
        generator_optimizer=_adam(generator, config, "generator"),
        discriminator_optimizer=_adam(discriminator, config, "discriminator"),
        path_length_mean=torch.zeros((), device=device),
        augment_strength=torch.tensor(config.augment.p, dtype=torch.float64),
        augment_signs=torch.zeros(2, device=device),
        projected=None if projected is None else projected.to(device).train(),
        projected_optimizer=None if projected is None else _adam(projected, config, "projected"),
        moments=_moments(config, device),
    )


def _refuse_beyond_memory(config: TrainConfig, device: torch.device) -> None:
    """Raise a ConfigError before networks are built that would fill this machine's memory."""
    free = available_memory()
    with torch.device("meta"):
        generator = build_generator(config.family, config.generator)
        discriminator = build_discriminator(
            config.discriminator, config.discriminator_kind, largest=config.data.zoom
        )
    numbers = [sum(p.numel() for p in each.parameters()) for each in (generator, discriminator)]
    # On a CPU also the gradients, two moments of each, and the average of the generator; elsewhere
    # networks are built here and moved, after the average has been taken.
    copies = (5, 4) if device.type == "cpu" else (2, 1)
    needed = 4 * sum(count * each for count, each in zip(numbers, copies, strict=True))
    if free is not None and needed > free:
        raise ConfigError(
            f"networks of {sum(numbers):,} numbers take {needed / 1e9:,.1f} GB of memory, "
            f"{free / 1e9:,.1f} GB is available: set fewer channels, or fewer classes"
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


def _adam(network: nn.Module, config: TrainConfig, name: Trained) -> torch.optim.Adam:
    """Adam for a network, with the rates of the first step."""
    rates = adam_rates(config, name, 0)
    return torch.optim.Adam(
        network.parameters(),
        lr=rates.learning_rate,
        betas=rates.betas,
        eps=config.optimizer.epsilon,
        foreach=True,
    )


def _moments(config: TrainConfig, device: torch.device | str) -> FeatureMoments | None:
    """Fresh ones, of nothing yet; None where they do not count."""
    if not config.projected.weight or not config.projected.moments:
        return None
    return FeatureMoments(config.projected_size, seed=config.seed).to(device)


def save_snapshot(state: TrainState, folder: Path) -> Path:
    """Write the state to `folder`, atomically, and remove all but the newest snapshots.

    A CrepsError if it cannot be written, as on a full disk; earlier snapshots stay.
    """
    path = folder / f"step-{state.step:09d}.safetensors"
    tensors = {name: tensor.cpu() for name, tensor in state.tensors()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Not safetensors' save_file: a killed run would leave the temporary file that it writes.
        write_atomically(path, to_safetensors(tensors, {_DIGEST: _digest(tensors)}))
    except OSError as error:
        megabytes = sum(t.numel() * t.element_size() for t in tensors.values()) / 1e6
        kept = snapshots(folder)
        why = getattr(error, "strerror", None) or error  # strerror: without the two long paths
        stays = f"{kept[-1].name} stays" if kept else "nothing was saved yet"
        raise CrepsError(
            f"{path.name} ({megabytes:.0f} MB) cannot be written to {folder} ({why}); {stays}: "
            "free disk space and run the same command"
        ) from None
    for old in snapshots(folder)[:-_SNAPSHOTS_KEPT]:
        old.unlink(missing_ok=True)
    return path


class DamagedSnapshotError(CheckpointError):
    """A snapshot whose file is not as it was saved."""


def restore_newest(
    state: TrainState, found: Sequence[Path], *, log: Callable[[str], None] = print
) -> list[Path]:
    """Put the newest of the snapshots that is whole into `state`, and say which are not.

    Args:
        found: snapshots, oldest first.
        log: called with a line for each that is passed over.
    Returns:
        those that were passed over.
    Raises:
        CheckpointError: if all are damaged, or the newest whole one belongs to other networks.
    """
    for passed, path in enumerate(reversed(found)):
        try:
            restore_snapshot(state, path)
        except DamagedSnapshotError as error:
            log(f"{error}: passed over")
            continue
        return list(found[len(found) - passed :])
    raise CheckpointError(
        f"every snapshot in {found[-1].parent} is damaged, {found[-1].name} too: remove them to "
        "start again, or give another --out"
    )


def restore_snapshot(state: TrainState, path: Path) -> None:
    """Put the snapshot at `path` into `state`, built from the same configuration.

    A DamagedSnapshotError if the file is damaged, a CheckpointError if it belongs to other
    networks; the state is then as it was.
    """
    tensors = read_snapshot(path)
    state.allocate_moments(tensors)
    own = dict(state.tensors())
    wrong = [
        name
        for name in {*own, *tensors} - (_YOUNGER_NAMES - set(tensors))
        if name not in own or name not in tensors or own[name].shape != tensors[name].shape
    ]
    if wrong:
        first = sorted(wrong)[0]
        raise CheckpointError(f"snapshot {path} belongs to other networks: {first} differs")
    copy_tensors(state, tensors, names=set(tensors))
    state.step = int(tensors["step"])


def snapshots(folder: Path) -> list[Path]:
    """Complete snapshots in a folder, oldest first."""
    found = folder.glob("step-*.safetensors")
    return sorted(path for path in found if re.fullmatch(r"step-\d{9,18}", path.stem))


def step_of(snapshot: Path) -> int:
    """The step a snapshot was made after."""
    return int(snapshot.stem.removeprefix("step-"))


def read_snapshot(path: Path) -> dict[str, Tensor]:
    """The tensors of a snapshot by name; a DamagedSnapshotError for those that were not saved."""
    try:
        with safe_open(path, framework="pt") as file:
            expected = (file.metadata() or {}).get(_DIGEST)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise DamagedSnapshotError(f"snapshot {path} cannot be read ({error})") from None
    if expected not in (None, _digest(tensors)):
        raise DamagedSnapshotError(f"snapshot {path} is damaged: its checksum is another")
    step = tensors.get("step")
    if step is None or step.dtype != torch.int64 or step.ndim or int(step) != step_of(path):
        raise DamagedSnapshotError(f"snapshot {path} is damaged: it is of no step")
    return tensors


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of all tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


@torch.no_grad()
def copy_tensors(state: TrainState, tensors: Mapping[str, Tensor], *, names: Set[str]) -> None:
    """Put the named tensors into the state."""
    for name, tensor in state.tensors():
        if name in names:
            tensor.copy_(tensors[name])
