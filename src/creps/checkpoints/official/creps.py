"""Official CREPS networks as ours: their settings read off the tensors, their tensors renamed.

Differences: the official level 4 holds a layer that never runs, and so does its first decoder; they
are dropped. Its coordinates are a buffer, here they are an argument. Its pixels lie on the borders
of the plane, so converted models sample "corners".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from creps.checkpoints.official.family import (
    OfficialFamily,
    Rebuilt,
    Tensors,
    filled,
    refuse_disagreement,
    whole_number,
)
from creps.errors import CheckpointError, ConfigError
from creps.networks.base import Generator
from creps.networks.creps import CrepsConfig

SETTINGS = {
    "z_dim": "z_dim",
    "c_dim": "label_dim",
    "w_dim": "w_dim",
    "img_resolution": "resolution",
    "img_channels": "img_channels",
    "num_layers": "mapping_layers",
}
"""Official settings that the tensors show as well, and their names in `CrepsConfig`."""

LICENCE_NOTE = (
    "Converted from an official CREPS pickle, which states no licence of its own: check the "
    "source's licence (the official repository is AGPL-3.0, and its files carry NVIDIA headers)."
)

DEAD_LAYERS = re.compile(r"synthesis\.(b4\.tores|decoder_[48])(?=\.)")
"""Layers that the official code builds and never runs; b4.tores does run if there is no level 8."""
COORDINATES = "synthesis.b4.input.coords"
FREQUENCIES = "synthesis.b4.input.freqs"


def creps_from_state_dict(
    state_dict: Mapping[str, Tensor], config: CrepsConfig | None = None
) -> Generator:
    """The generator of an official CREPS state dictionary (evaluation mode, CPU, float32).

    Args:
        state_dict: official names to tensors; dead layers may be there or not.
        config: by default what `read_config` finds.
    Raises:
        CheckpointError: if names or shapes are not those of a CREPS generator.
    """
    where = Path("state dictionary")
    if config is None:
        config = read_config(state_dict, {}, where=where)
    return _rebuilt(state_dict, config, where)[0]


def read_config(
    tensors: Mapping[str, Tensor], settings: Mapping[str, Any], *, where: Path
) -> CrepsConfig:
    """The config of an official CREPS generator, from the shapes of its tensors.

    Args:
        tensors: official names to tensors.
        settings: what the source states, by official names; must agree with the shapes. Where
            `channel_base` and `channel_max` are missing, the widths tell them as well.
        where: the file, for messages.
    Raises:
        CheckpointError: if a tensor is missing or disagrees with the settings.
    """

    def shape(name: str) -> tuple[int, ...]:
        if name not in tensors or tensors[name].ndim < 1:
            raise CheckpointError(f"{where}: tensor {name} missing: not a CREPS generator")
        return tuple(tensors[name].shape)

    def widths(pattern: str, start: int = 0) -> list[int]:
        """Output widths of the layers that `pattern` names, counted from `start`."""
        found: list[int] = []
        while (name := pattern.format(start + len(found))) in tensors:
            found.append(shape(name)[0])
        return found

    (w_dim,) = shape("mapping.w_avg")[:1]
    label_dim = shape("mapping.embed.weight")[-1] if "mapping.embed.weight" in tensors else 0
    channels = {4: shape("synthesis.b4.fc1.weight")[0]}
    while (name := f"synthesis.b{max(channels) * 2}.fc1.weight") in tensors:
        channels[max(channels) * 2] = shape(name)[0]
    top = max(channels)
    smallest_base = max(level * width for level, width in channels.items())
    measured: dict[str, Any] = {
        "resolution": top,
        "img_channels": shape("synthesis.decoder_img.weight")[0],
        "z_dim": shape("mapping.fc0.weight")[-1] - (w_dim if label_dim else 0),
        "w_dim": w_dim,
        "label_dim": label_dim,
        "mapping_layers": len(widths("mapping.fc{}.weight")),
    }
    for official, field in SETTINGS.items():
        refuse_disagreement(settings, official, measured[field], where=where)
    try:
        return CrepsConfig(
            **measured,
            channel_base=whole_number(settings, "channel_base", smallest_base, where=where),
            channel_max=whole_number(settings, "channel_max", channels[4], where=where),
            thickness=shape("synthesis.b4.input.weight")[-1] // 2,
            line_channels=shape("synthesis.decoder_img.weight")[-1],
            decoder_widths=tuple(widths("synthesis.decoder_last.{}.weight")[:-1]),
            refinement_widths=tuple(widths("synthesis.block{}.fc0.weight")),
            sampling="corners",
        )
    except ConfigError as error:
        raise CheckpointError(f"{where}: {error}") from None


def official_name(name: str, top: int) -> str:
    """Where an official network of `top` pixels keeps the tensor `name` of `Creps`.

    Example:
        >>> official_name("blocks.1.layers.0.affine.bias", 32)
        'synthesis.b8.fc0.affine.bias'
    """
    match name.split("."):
        case ["mapping", "average"]:
            return "mapping.w_avg"
        case ["mapping", "layers", index, *rest]:
            return ".".join(["mapping", f"fc{index}", *rest])
        case ["mapping", *rest]:
            return ".".join(["mapping", *rest])
        case ["input", "frequencies"]:
            return FREQUENCIES
        case ["input", *rest]:
            return ".".join(["synthesis.b4.input", *rest])
        case ["blocks", "0", "layers", "0", *rest]:
            return ".".join(["synthesis.b4.fc1", *rest])
        case ["blocks", block, "layers", index, *rest]:
            return ".".join([f"synthesis.b{4 << int(block)}.fc{index}", *rest])
        case ["blocks", block, "emit", *rest]:
            return ".".join([f"synthesis.b{4 << int(block)}.tores", *rest])
        case ["decoders", decoder, *rest]:
            level = 16 << int(decoder)
            return ".".join([f"synthesis.decoder_{level if level <= top else 'last'}", *rest])
        case ["to_rgb", *rest]:
            return ".".join(["synthesis.decoder_img", *rest])
        case ["refinement", block, "layers", index, *rest]:
            return ".".join([f"synthesis.block{block}.fc{index}", *rest])
        case ["refinement", block, "to_rgb", *rest]:
            return ".".join([f"synthesis.block{block}.tores", *rest])
    raise ValueError(f"no official CREPS has a counterpart of {name}")


def _rebuilt(tensors: Tensors, config: CrepsConfig, where: Path) -> Rebuilt:
    """The generator, and the official layers that have no place in it."""

    def dead(name: str) -> str | None:
        layer = DEAD_LAYERS.match(name)
        return layer[0] if layer else None

    def official(name: str) -> str:
        return official_name(name, config.resolution)

    return filled(
        "creps",
        config,
        tensors,
        official_name=official,
        reshaped=_reshaped,
        dead=dead,
        unused=frozenset({COORDINATES}),
        where=where,
    )


def _reshaped(name: str, tensor: Tensor, expected: Tensor) -> Tensor:
    """An official tensor in the shape that `Creps` keeps it in."""
    if name == "input.weight":
        return tensor.squeeze(0).squeeze(1)  # (1, C, 1, 2D) to (C, 2D)
    if name == "input.frequencies" and tensor.numel() == expected.numel():
        return tensor.reshape(expected.shape)  # flat, channel by channel, to (C / 2, D)
    return tensor


def _converted(tensors: Tensors, settings: Mapping[str, Any], where: Path) -> Rebuilt:
    return _rebuilt(tensors, read_config(tensors, settings, where=where), where)


CREPS = OfficialFamily(
    name="CREPS",
    licence_note=LICENCE_NOTE,
    recognises=lambda tensors: FREQUENCIES in tensors,
    rebuild=_converted,
)
