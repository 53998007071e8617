"""What describes a family of official networks for conversion, and what their readers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
        name: of the family.
        license_note: whom to ask; stored with every converted model.
        recognizes: whether these are the tensors of such a generator.
        rebuild: (tensors, settings the source states) to the generator; raises CheckpointError or
            ConfigError where names, shapes and settings disagree.
    """

    name: str
    license_note: str
    recognizes: Callable[[Tensors], bool]
    rebuild: Callable[[Tensors, Mapping[str, Any]], Rebuilt]


_SETTINGS = {
    "z_dim": "z_dim",
    "c_dim": "label_dim",
    "w_dim": "w_dim",
    "img_resolution": "resolution",
    "img_channels": "img_channels",
}
"""Settings of NVIDIA's networks and their kin that the tensors show as well, and our names."""


def shape_of(tensors: Tensors, name: str, *, axes: int | None = None) -> tuple[int, ...]:
    """The shape of a required tensor, checked for its number of axes."""
    if name not in tensors or tensors[name].ndim < 1:
        raise CheckpointError(f"tensor {name} missing")
    shape = tuple(tensors[name].shape)
    if axes not in (None, len(shape)):
        raise CheckpointError(f"tensor {name} has shape {shape}: expected {axes} axes")
    return shape


def output_widths(tensors: Tensors, pattern: str) -> list[int]:
    """Output widths of the layers "fc0", "fc1" and so on, `pattern` with a number each."""
    found: list[int] = []
    while (name := pattern.format(len(found))) in tensors:
        found.append(shape_of(tensors, name)[0])
    return found


def level_widths(tensors: Tensors, pattern: str) -> dict[int, int]:
    """Output widths of the layers of levels 4, 8, 16 and so on, `pattern` with the level each."""
    widths = {4: shape_of(tensors, pattern.format(4))[0]}
    while (name := pattern.format(max(widths) * 2)) in tensors:
        widths[max(widths) * 2] = shape_of(tensors, name)[0]
    return widths


def measured_settings(
    tensors: Tensors, settings: Mapping[str, Any], *, resolution: int, colors: str
) -> dict[str, Any]:
    """What all families with NVIDIA's mapping network show: `_SETTINGS` and `mapping_layers`.

    The `settings` that the source states must agree. The tensor `colors` has one row for each color
    channel.
    """
    (w_dim,) = shape_of(tensors, "mapping.w_avg")[:1]
    embedding = "mapping.embed.weight"
    label_dim = shape_of(tensors, embedding)[-1] if embedding in tensors else 0
    measured = {
        "resolution": resolution,
        "img_channels": shape_of(tensors, colors)[0],
        "z_dim": shape_of(tensors, "mapping.fc0.weight")[-1] - (w_dim if label_dim else 0),
        "w_dim": w_dim,
        "label_dim": label_dim,
        "mapping_layers": len(output_widths(tensors, "mapping.fc{}.weight")),
    }
    for official, field in _SETTINGS.items():
        refuse_disagreement(settings, official, measured[field])
    return measured


def mapping_name(words: list[str]) -> str:
    """Where NVIDIA's networks keep a tensor of our mapping network."""
    match words:
        case ["average"]:
            return "mapping.w_avg"
        case ["layers", index, *rest]:
            return ".".join(["mapping", f"fc{index}", *rest])
    return ".".join(["mapping", *words])


def whole_number(settings: Mapping[str, Any], name: str, default: int) -> int:
    """A setting that counts something."""
    value = settings.get(name, default)
    if type(value) is not int or not 0 <= value < 2**31:
        raise CheckpointError(f"the setting {name} is not a whole number below 2**31")
    return value


def refuse_disagreement(settings: Mapping[str, Any], official: str, measured: int) -> None:
    """Refuse a setting that is another number than the shapes of the tensors say."""
    stated = whole_number(settings, official, measured)
    if stated != measured:
        raise CheckpointError(f"{official} is {stated} in the settings, {measured} in the tensors")


def filled(
    family: str,
    config: Any,
    tensors: Tensors,
    *,
    official_name: Callable[[str], str],
    reshaped: Callable[[str, Tensor, Tensor], Tensor] = lambda name, tensor, expected: tensor,
    dead: Callable[[str], str | None] = lambda name: None,
    unused: frozenset[str] = frozenset(),
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
    Raises:
        CheckpointError: for missing, unexpected and misshapen tensors.
    """
    generator = skeleton(family, config)
    names = {name: official_name(name) for name in generator.state_dict()}
    surplus = set(tensors) - set(names.values())
    dropped = {name: layer for name in surplus if (layer := dead(name))}
    live = set(tensors) - set(dropped) - unused
    check_names(dict.fromkeys(names.values()), live)
    shaped = {}
    for name, expected in generator.state_dict().items():
        tensor = tensors[names[name]]
        if not tensor.is_floating_point():
            raise CheckpointError(f"tensor {names[name]} is {tensor.dtype}: expected floats")
        tensor = reshaped(name, tensor, expected)
        check_shape(names[name], tensor.shape, expected=expected.shape)
        shaped[name] = tensor
    fill(generator, shaped)
    return generator, sorted(set(dropped.values()))
