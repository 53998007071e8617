"""What a family of official networks must tell to be converted, and what their readers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from creps.checkpoints._store import check_names, check_shape, fill, skeleton
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


SETTINGS = {
    "z_dim": "z_dim",
    "c_dim": "label_dim",
    "w_dim": "w_dim",
    "img_resolution": "resolution",
    "img_channels": "img_channels",
}
"""Settings of NVIDIA's networks and their kin that the tensors show as well, and our names."""


def shape_of(tensors: Tensors, name: str, *, family: str, where: Path) -> tuple[int, ...]:
    """The shape of a tensor that networks of a family must have."""
    if name not in tensors or tensors[name].ndim < 1:
        raise CheckpointError(f"{where}: tensor {name} missing: not a {family} generator")
    return tuple(tensors[name].shape)


def output_widths(tensors: Tensors, pattern: str) -> list[int]:
    """Output widths of the layers "fc0", "fc1" and so on, `pattern` with a number each."""
    found: list[int] = []
    while (name := pattern.format(len(found))) in tensors:
        found.append(_width(tensors[name]))
    return found


def level_widths(tensors: Tensors, pattern: str, *, family: str, where: Path) -> dict[int, int]:
    """Output widths of the layers of levels 4, 8, 16 and so on, `pattern` with the level each."""
    widths = {4: shape_of(tensors, pattern.format(4), family=family, where=where)[0]}
    while (name := pattern.format(max(widths) * 2)) in tensors:
        widths[max(widths) * 2] = _width(tensors[name])
    return widths


def _width(weight: Tensor) -> int:
    return weight.shape[0] if weight.ndim else 0


def measured_settings(
    tensors: Tensors, settings: Mapping[str, Any], *, resolution: int, colors: str,
    family: str, where: Path,
) -> dict[str, Any]:  # fmt: skip
    """What all families with NVIDIA's mapping network show: `SETTINGS` and `mapping_layers`.

    Args:
        tensors: official names to tensors.
        settings: what the source states; must agree.
        resolution: as the family's layers tell it.
        colors: the tensor with one row for each color channel.
        family, where: for messages.
    """
    (w_dim,) = shape_of(tensors, "mapping.w_avg", family=family, where=where)[:1]
    embedding = tensors.get("mapping.embed.weight")
    first = shape_of(tensors, "mapping.fc0.weight", family=family, where=where)
    measured = {
        "resolution": resolution,
        "img_channels": shape_of(tensors, colors, family=family, where=where)[0],
        "z_dim": first[-1] - (0 if embedding is None else w_dim),
        "w_dim": w_dim,
        "label_dim": 0 if embedding is None else (0, *embedding.shape)[-1],
        "mapping_layers": len(output_widths(tensors, "mapping.fc{}.weight")),
    }
    for official, field in SETTINGS.items():
        refuse_disagreement(settings, official, measured[field], where=where)
    return measured


def mapping_name(words: list[str]) -> str:
    """Where NVIDIA's networks keep a tensor of our mapping network."""
    match words:
        case ["average"]:
            return "mapping.w_avg"
        case ["layers", index, *rest]:
            return ".".join(["mapping", f"fc{index}", *rest])
    return ".".join(["mapping", *words])


def whole_number(settings: Mapping[str, Any], name: str, default: int, *, where: Path) -> int:
    """A setting that counts something."""
    value = settings.get(name, default)
    if type(value) is not int or not 0 <= value < 2**31:
        raise CheckpointError(f"{where}: the setting {name} is not a whole number below 2**31")
    return value


def refuse_disagreement(
    settings: Mapping[str, Any], official: str, measured: int, *, where: Path
) -> None:
    """Refuse a setting that is another number than the shapes of the tensors say."""
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
