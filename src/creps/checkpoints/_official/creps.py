"""Official CREPS networks as ours: their settings read off the tensors, their tensors renamed.

Differences: the official level 4 holds a layer that never runs, and so does its first decoder; they
are dropped. Its coordinates are a buffer, here they are an argument. Its pixels lie on the borders
of the plane, so converted models sample "corners".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor

from creps.checkpoints._official.family import (
    OfficialFamily,
    Rebuilt,
    Tensors,
    filled,
    level_widths,
    mapping_name,
    measured_settings,
    output_widths,
    refuse_disagreement,
    shape_of,
    whole_number,
)
from creps.networks.creps import CrepsConfig

_DEAD_LAYERS = re.compile(r"synthesis\.(b4\.tores|decoder_[48])(?=\.)")
"""Layers that the official code builds and never runs; b4.tores does run if there is no level 8."""
_COORDINATES = "synthesis.b4.input.coords"
_FREQUENCIES = "synthesis.b4.input.freqs"


def _read_config(tensors: Tensors, settings: Mapping[str, Any]) -> CrepsConfig:
    """The config of an official CREPS generator, from the shapes of its tensors.

    Where the settings lack `channel_base` and `channel_max`, they follow from the widths.
    """
    shape = partial(shape_of, tensors)
    channels = level_widths(tensors, "synthesis.b{}.fc1.weight")
    smallest_base = max(level * width for level, width in channels.items())
    measured = measured_settings(
        tensors, settings, resolution=max(channels), colors="synthesis.decoder_img.weight",
    )  # fmt: skip
    refuse_disagreement(settings, "num_layers", measured["mapping_layers"])
    return CrepsConfig(
        **measured,
        channel_base=whole_number(settings, "channel_base", smallest_base),
        channel_max=whole_number(settings, "channel_max", channels[4]),
        thickness=shape("synthesis.b4.input.weight")[-1] // 2,
        line_channels=shape("synthesis.decoder_img.weight")[-1],
        decoder_widths=tuple(output_widths(tensors, "synthesis.decoder_last.{}.weight")[:-1]),
        refinement_widths=tuple(output_widths(tensors, "synthesis.block{}.fc0.weight")),
        sampling="corners",
    )


def official_name(name: str, top: int) -> str:
    """Where an official network of `top` pixels keeps the tensor `name` of `Creps`.

    Example:
        >>> official_name("blocks.1.layers.0.affine.bias", 32)
        'synthesis.b8.fc0.affine.bias'
    """
    match name.split("."):
        case ["mapping", *rest]:
            return mapping_name(rest)
        case ["input", "frequencies"]:
            return _FREQUENCIES
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


def _reshaped(name: str, tensor: Tensor, expected: Tensor) -> Tensor:
    """An official tensor in the shape that `Creps` keeps it in."""
    if name == "input.weight":
        return tensor.squeeze(0).squeeze(1)  # (1, C, 1, 2D) to (C, 2D)
    if name == "input.frequencies" and tensor.numel() == expected.numel():
        return tensor.reshape(expected.shape)  # flat, channel by channel, to (C / 2, D)
    return tensor


def _rebuild(tensors: Tensors, settings: Mapping[str, Any]) -> Rebuilt:
    config = _read_config(tensors, settings)

    def dead(name: str) -> str | None:
        layer = _DEAD_LAYERS.match(name)
        return layer[0] if layer else None

    return filled(
        "creps",
        config,
        tensors,
        official_name=lambda name: official_name(name, config.resolution),
        reshaped=_reshaped,
        dead=dead,
        unused=frozenset({_COORDINATES}),
    )


CREPS = OfficialFamily(
    name="CREPS",
    license_note=(
        "Converted from an official CREPS pickle, which states no license of its own: check the "
        "source's license (the official repository is AGPL-3.0, and its files carry NVIDIA "
        "headers)."
    ),
    recognizes=lambda tensors: _FREQUENCIES in tensors,
    rebuild=_rebuild,
)
