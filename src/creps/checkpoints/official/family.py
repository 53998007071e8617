"""What a family of official networks must tell to be converted, and what their readers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from creps.checkpoints.native import check_names, check_shape, fill, skeleton
from creps.errors import CheckpointError
from creps.networks.base import Generator

Tensors = Mapping[str, Tensor]
"""Official names to tensors."""
Rebuilt = tuple[Generator, list[str]]
"""A generator (evaluation mode, CPU, float32) and the official layers that have no place in it."""


@dataclass(frozen=True, kw_only=True)
class OfficialFamily:
    """How official networks of one kind become generators of ours.

    Attributes:
        name: as people call it.
        licence_note: whom to ask; stored with every converted model.
        recognises: whether these are the tensors of such a generator.
        rebuild: (tensors, settings the source states, file for messages) to the generator; raises
            CheckpointError where names, shapes and settings disagree.
    """

    name: str
    licence_note: str
    recognises: Callable[[Tensors], bool]
    rebuild: Callable[[Tensors, Mapping[str, Any], Path], Rebuilt]


def whole_number(settings: Mapping[str, Any], name: str, default: int, *, where: Path) -> int:
    """A setting that counts something.

    Raises:
        CheckpointError: if it is no whole number of at least 0.
    """
    value = settings.get(name, default)
    if type(value) is not int or not 0 <= value < 2**31:
        raise CheckpointError(f"{where}: the setting {name} is not a whole number below 2**31")
    return value


def refuse_disagreement(
    settings: Mapping[str, Any], official: str, measured: int, *, where: Path
) -> None:
    """Raise where a setting says another number than the shapes of the tensors.

    Raises:
        CheckpointError: naming both.
    """
    stated = whole_number(settings, official, measured, where=where)
    if stated != measured:
        raise CheckpointError(
            f"{where}: {official} is {stated} in the settings, {measured} in the tensors"
        )


def filled(
    family: str,
    config: Any,
    tensors: Tensors,
    *,
    official_name: Callable[[str], str],
    reshaped: Callable[[str, Tensor, Tensor], Tensor] = lambda name, tensor, expected: tensor,
    dead: Callable[[str], str | None] = lambda name: None,
    unused: frozenset[str] = frozenset(),
    where: Path,
) -> Rebuilt:
    """Build the generator of `config` and give it the official tensors, checked strictly.

    Args:
        family: ours, in the registry.
        config: of the family.
        tensors: official names to tensors.
        official_name: where official networks keep one of our tensors.
        reshaped: (our name, official tensor, our empty tensor) to the tensor in our shape.
        dead: the layer of an official tensor that never runs; None for those that must have a
            place here.
        unused: official tensors that are dropped without a word, as they hold no weights.
        where: the file, for messages.
    Raises:
        CheckpointError: for missing, unexpected and misshapen tensors.
    """
    generator = skeleton(family, config, where)
    names = {name: official_name(name) for name in generator.state_dict()}
    surplus = set(tensors) - set(names.values())
    dropped = {name: layer for name in surplus if (layer := dead(name))}
    live = set(tensors) - set(dropped) - unused
    check_names(dict.fromkeys(names.values()), live, where)
    shaped = {}
    for name, expected in generator.state_dict().items():
        tensor = tensors[names[name]]
        if not tensor.is_floating_point():
            raise CheckpointError(
                f"{where}: tensor {names[name]} is {tensor.dtype}: expected floats"
            )
        tensor = reshaped(name, tensor, expected)
        check_shape(names[name], tensor.shape, expected=expected.shape, where=where)
        shaped[name] = tensor
    fill(generator, shaped)
    return generator, sorted(set(dropped.values()))
