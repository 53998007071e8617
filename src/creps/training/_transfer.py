"""Starting a run from what another one, or a model, has learnt."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from creps.checkpoints import load
from creps.errors import CheckpointError
from creps.networks.base import describe_generator
from creps.training._snapshots import copy_tensors, read_snapshot, snapshots
from creps.training._state import TrainState

OWN = frozenset({"step", "augment_strength", "augment_signs"})
"""What a new run counts for itself."""
UNTAUGHT = ("discriminator.", "generator.scale.", "average.scale.")
"""What may begin fresh: parts of the discriminator, and the scale branch of an any-resolution
network, which its first phase of training does without."""


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
    tensors, family, config = _learnt(path)
    ours = {
        f"{name}.{key}": tensor
        for name, network in state.networks()
        for key, tensor in network.state_dict().items()
    }
    found: dict[str, Tensor] = {}
    for name, tensor in ours.items():
        source = _counterpart(name, ours, tensors)
        if source in tensors and tensors[source].shape == tensor.shape:
            found[name] = tensors[source]
    missing = [n for n in ours if n not in found and not n.startswith(UNTAUGHT)]
    ours_now = describe_generator(state.generator)[1]
    wraps = [config.get(name, 0) != ours_now.get(name, 0) for name in ("turn", "circumference")]
    if missing or any(wraps) or config.get("resolution", 0) > ours_now.get("resolution", 0):
        _refuse_another(state, path, family=family, config=config)
    if len(found) == len(ours) and "step" in tensors and found.keys() <= tensors.keys():
        state.allocate_moments(tensors)
        copy_tensors(state, tensors, names=set(tensors) - OWN)
    else:
        copy_tensors(state, found, names=set(found))
        if missing:
            for network in (state.generator, state.average):
                _silence_new_levels(network, _count(tensors, "generator.blocks"))


def _learnt(path: Path) -> tuple[dict[str, Tensor], str, dict[str, Any]]:
    """Tensors of a run or model by the state's names, and its generator's family and config."""
    kept = snapshots(path / "snapshots")
    if not kept:
        model = load(path)
        family, config = describe_generator(model)
        weights = model.state_dict().items()
        names = ("generator", "average")
        return {f"{name}.{key}": t for name in names for key, t in weights}, family, config
    try:
        settings = json.loads((path / "config.json").read_text(encoding="utf-8"))["train"]
        return read_snapshot(kept[-1]), settings.get("family", "creps"), settings["generator"]
    except (OSError, ValueError, KeyError, TypeError):
        raise CheckpointError(f"{path / 'config.json'} is missing or damaged") from None


def _counterpart(name: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """The name in the other state of the tensor with the same place in its network.

    Levels are counted from the coarse end; the discriminator's blocks begin at the fine one. A
    generator's last decoder comes after all levels, whatever their number, and new levels begin
    with a copy of it: pictures of the packaged model, grown by a level, then differ by 19 dB from
    what they were; with fresh decoders by 13 dB.
    """
    match = re.fullmatch(r"discriminator\.(?:whole|patches)\.(.+)", name)
    if match and name not in theirs:  # each of two goes on from the only one
        return f"discriminator.{match[1]}"
    match = re.fullmatch(r"(discriminator\.blocks|\w+\.decoders)\.(\d+)\.(.+)", name)
    if not match:
        return name
    group, index, rest = match[1], int(match[2]), match[3]
    mine, others = _count(ours, group), _count(theirs, group)
    if group == "discriminator.blocks":
        index += others - mine
    elif group.endswith("decoders"):
        index = min(index, others - 1)
    return f"{group}.{index}.{rest}"


def _count(names: Mapping[str, Any], group: str) -> int:
    """How many numbered modules a group has."""
    return len(
        {n.removeprefix(group + ".").split(".")[0] for n in names if n.startswith(group + ".")}
    )


def _refuse_another(
    state: TrainState, path: Path, *, family: str, config: Mapping[str, Any]
) -> None:
    """Raise unless the generator differs from the one there by having more levels alone."""
    mine, settings = describe_generator(state.generator)
    if family != mine:
        raise CheckpointError(f"{path} holds another generator: family {family}, not {mine}")
    different = list(_differences(config, settings))
    if different == ["resolution"] and config["resolution"] < settings["resolution"]:
        return
    said = [f"{n} is {config.get(n)} there, {settings[n]} here" for n in different]
    raise CheckpointError(f"{path} holds another generator: {'; '.join(said) or 'other weights'}")


def _differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Iterator[str]:
    """Settings that shape weights and have another value."""
    for name, value in ours.items():
        if name not in ("sampling", "clamp", "bandwidth") and theirs.get(name, value) != value:
            yield name


@torch.no_grad()
def _silence_new_levels(generator: nn.Module, learnt: int) -> None:
    """Let the levels beyond the learnt ones emit nothing at first: lines stay what they were."""
    for name, parameter in generator.named_parameters():
        match = re.match(r"blocks\.(\d+)\.emit\.(weight|bias)$", name)
        if match and int(match[1]) >= learnt:
            parameter.zero_()
