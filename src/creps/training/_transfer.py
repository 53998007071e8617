"""Starting a run from what another one, or a model, has learnt."""

from __future__ import annotations

import json
from pathlib import Path

from torch import Tensor

from creps.checkpoints import load
from creps.errors import CheckpointError, UnsupportedError
from creps.networks.base import GeneratorConfig, read_config
from creps.training._state import TrainState, copy_tensors, read_snapshot, snapshots

OWN = frozenset({"step", "augment_strength", "augment_signs"})
"""What a new run counts for itself."""


def start_from(state: TrainState, path: Path) -> None:
    """Give a fresh state what an earlier run, or a model, has learnt.

    A generator with more levels (a larger `generator.resolution`) takes what has the same place in
    it; its new levels add nothing at first. A larger training resolution alone asks for nothing:
    the same generator gets more coordinates. An any-resolution generator goes on from one without
    its scale branch, or from a StyleGAN3.

    Args:
        state: of the new run, changed in place.
        path: a run's folder: where its networks are the same, all of its state but the counts;
            where only its generator is (a discriminator for another resolution has other outer
            blocks), generator, average and what fits of the discriminator. Or a model (see
            `creps.load`), for generator and average.
    Raises:
        CheckpointError: if the generator there is another network; the message says in what.
    """
    tensors, config = _learnt(path)
    for name, network in (("generator", state.generator), ("average", state.average)):
        try:
            network.grow_from(config, _part(tensors, name))
        except UnsupportedError as error:
            raise CheckpointError(f"{path} holds {error}") from None
    ours = {
        f"{name}.{key}": tensor.shape
        for name, network in state.networks()
        for key, tensor in network.state_dict().items()
    }
    theirs = {name: tensor.shape for name, tensor in tensors.items() if name in ours}
    if ours == theirs and "step" in tensors:
        state.allocate_moments(tensors)
        copy_tensors(state, tensors, names=set(tensors) - OWN)
    else:
        state.discriminator.grow_from(_part(tensors, "discriminator"))


def _learnt(path: Path) -> tuple[dict[str, Tensor], GeneratorConfig]:
    """Tensors of a run or model by the state's names, and its generator's config."""
    kept = snapshots(path / "snapshots")
    if not kept:
        model = load(path)
        weights = model.state_dict().items()
        names = ("generator", "average")
        return {f"{name}.{key}": t for name in names for key, t in weights}, model.config
    try:
        settings = json.loads((path / "config.json").read_text(encoding="utf-8"))["train"]
        config = read_config(settings.get("family", "creps"), settings["generator"])
        return read_snapshot(kept[-1]), config
    except (OSError, ValueError, KeyError, TypeError):
        raise CheckpointError(f"{path / 'config.json'} is missing or damaged") from None


def _part(tensors: dict[str, Tensor], network: str) -> dict[str, Tensor]:
    """The tensors of one network, by its own names."""
    prefix = f"{network}."
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
