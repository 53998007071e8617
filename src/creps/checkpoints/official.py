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

from creps.checkpoints.native import check_names, check_shape, fill, skeleton
from creps.checkpoints.pickles import OfficialModule, read_official
from creps.errors import CheckpointError, ConfigError, nearest
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


def convert_pickle(path: Path, *, which: str = "G_ema") -> tuple[Generator, dict[str, Any]]:
    """Read an official CREPS pickle without running anything in it.

    Args:
        path: an official `network-snapshot-*.pkl`.
        which: "G_ema", the averaged generator that official scripts draw with, or "G".
    Returns:
        The generator (evaluation mode, CPU, float32) and its record: source and licence note. The
        generator carries the record too, so `save` writes it.
    Raises:
        CheckpointError: if the file is truncated or hostile, or holds no CREPS generator `which`.
    """
    path = Path(path)
    source = read_official(path)
    if which not in source.networks:
        hint = nearest(which, source.networks)
        raise CheckpointError(f"{path}: no network {which!r} in it: {hint}")
    module = source.networks[which]
    try:
        tensors = module.tensors()
        settings = _recorded_settings(module)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {which}: {error}") from None
    if FREQUENCIES not in tensors:
        raise CheckpointError(
            f"{path}: {which} is a {module.class_name} without {FREQUENCIES}: "
            "only CREPS generators can be converted yet"
        )
    config = read_config(tensors, settings, where=path)
    generator, dropped = _rebuilt(tensors, config, path)
    record = {
        "source": {
            "file": path.name,
            "sha256": source.sha256,
            "network": which,
            "class": module.class_name,
            "dropped": dropped,
        },
        "license": "other",
        "credits": LICENCE_NOTE,
    }
    generator.record = record
    return generator, record


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
        stated = _whole(settings, official, measured[field], where)
        if stated != measured[field]:
            raise CheckpointError(
                f"{where}: {official} is {stated} in the settings, {measured[field]} in the tensors"
            )
    try:
        return CrepsConfig(
            **measured,
            channel_base=_whole(settings, "channel_base", smallest_base, where),
            channel_max=_whole(settings, "channel_max", channels[4], where),
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


def _recorded_settings(module: OfficialModule) -> dict[str, Any]:
    """The settings an official generator was built with, in one flat dictionary."""
    settings = module.init_kwargs
    for group in ("mapping_kwargs", "synthesis_kwargs"):
        nested = settings.pop(group, {})
        if isinstance(nested, dict):
            settings.update(nested)
    return settings


def _whole(settings: Mapping[str, Any], name: str, default: int, where: Path) -> int:
    value = settings.get(name, default)
    if type(value) is not int or not 0 <= value < 2**31:
        raise CheckpointError(f"{where}: the setting {name} is not a whole number below 2**31")
    return value


def _rebuilt(
    tensors: Mapping[str, Tensor], config: CrepsConfig, where: Path
) -> tuple[Generator, list[str]]:
    """The generator, and the official layers that have no place in it; checked strictly."""
    generator = skeleton("creps", config, where)
    names = {name: official_name(name, config.resolution) for name in generator.state_dict()}
    surplus = set(tensors) - set(names.values())
    dead = {name: layer[0] for name in surplus if (layer := DEAD_LAYERS.match(name))}
    live = set(tensors) - set(dead) - {COORDINATES}
    check_names(dict.fromkeys(names.values()), live, where)
    shaped = {}
    for name, expected in generator.state_dict().items():
        tensor = tensors[names[name]]
        if not tensor.is_floating_point():
            raise CheckpointError(
                f"{where}: tensor {names[name]} is {tensor.dtype}: expected floats"
            )
        if name == "input.weight":
            tensor = tensor.squeeze(0).squeeze(1)  # (1, C, 1, 2D) to (C, 2D)
        if name == "input.frequencies" and tensor.numel() == expected.numel():
            tensor = tensor.reshape(expected.shape)  # flat, channel by channel, to (C / 2, D)
        check_shape(names[name], tensor.shape, expected=expected.shape, where=where)
        shaped[name] = tensor
    fill(generator, shaped)
    return generator, sorted(set(dead.values()))
