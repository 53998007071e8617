"""Starting a run from what another one, or a model, has learnt."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from creps.checkpoints import load
from creps.errors import CheckpointError, UnsupportedError
from creps.networks.base import GeneratorConfig
from creps.training._config import Perceptual, stored_perceptual, stored_settings
from creps.training._state import TrainState, copy_tensors, read_snapshot, snapshots
from creps.training.augment._settings import AugmentSettings

_OWN = frozenset({"step"})
"""What a new run counts for itself."""
_ADAPTED = frozenset({"augment_strength", "augment_signs"})
"""What only a run that adapts its augmentation alike takes over."""


def start_from(state: TrainState, path: Path, *, augment: AugmentSettings) -> None:
    """Give a fresh state what an earlier run, or a model, has learnt.

    A generator with more levels (a larger `generator.resolution`) takes what has the same place in
    it; its new levels add nothing at first. A larger training resolution alone needs nothing:
    the same generator gets more coordinates. An any-resolution generator continues from one without
    its scale branch, or from a StyleGAN3.

    Of a run with the same networks it takes all of the state but the counts, the strength of ADA
    too where both runs adapt it from the same start (`augment`: the new run's); with another
    discriminator (one for another resolution has other outer blocks) generator, average, what fits
    of the discriminator, and the heads of the projected one if they fit; of a model generator and
    average.

    Raises:
        CheckpointError: if its generator is another network; the message names the difference.
    """
    tensors, config, before = _learnt(path)
    for name, network in (("generator", state.generator), ("average", state.average)):
        try:
            network.grow_from(config, _part(tensors, name))
        except UnsupportedError as error:
            raise CheckpointError(f"{path} holds {error}") from None
    ours = {
        f"{name}.{key}": tensor.shape
        for name, network in state.networks()
        if network is not state.moments  # of other pictures, perhaps
        for key, tensor in network.state_dict().items()
    }
    theirs = {name: tensor.shape for name, tensor in tensors.items() if name in ours}
    if ours == theirs and "step" in tensors:
        state.allocate_moments(tensors)
        alike = before is not None and _starts(before) == _starts(augment)
        taken = {name for name in tensors if not name.startswith("moments.")}
        copy_tensors(state, tensors, names=taken - (_OWN if alike else _OWN | _ADAPTED))
    else:
        state.discriminator.grow_from(_part(tensors, "discriminator"))
        heads = _part(tensors, "projected")
        if state.projected is not None and _fits(state.projected, heads):
            state.projected.load_state_dict(heads)


def _fits(network: nn.Module, tensors: dict[str, Tensor]) -> bool:
    """Whether tensors are a state of a network."""
    ours = network.state_dict()
    return ours.keys() == tensors.keys() and all(
        tensors[n].shape == t.shape for n, t in ours.items()
    )


def learnt_from(path: Path) -> Perceptual:
    """The network whose features an earlier run, or a model, was trained with, itself or before."""
    if snapshots(path / "snapshots"):
        return stored_perceptual(path)
    taught: Perceptual = load(path).record.get("training", {}).get("perceptual", "none")
    return taught


def _starts(augment: AugmentSettings) -> tuple[object, ...]:
    """How the strength of an augmentation begins, and whether it moves."""
    return augment.kind, augment.adapt, augment.p


def _learnt(path: Path) -> tuple[dict[str, Tensor], GeneratorConfig, AugmentSettings | None]:
    """Tensors of a run or model by the state's names, its generator's config, its augmentation."""
    kept = snapshots(path / "snapshots")
    if not kept:
        model = load(path)
        weights = model.state_dict().items()
        names = ("generator", "average")
        return {f"{name}.{key}": t for name in names for key, t in weights}, model.config, None
    settings = stored_settings(path)[0]
    return read_snapshot(kept[-1]), settings.generator, settings.augment


def _part(tensors: dict[str, Tensor], network: str) -> dict[str, Tensor]:
    """The tensors of one network, by its own names."""
    prefix = f"{network}."
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
