"""Official StyleGAN2 networks as ours, as StyleGAN2-ADA and later repositories save them.

Their filters are constants here, checked and dropped. Their sum of colors, shortcuts and noise are
read off the tensors; what leaves no tensor (the clamp) off the settings. Converted models draw
without noise; `synthesize(styles, grid, noise="const")` adds the official maps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from creps.checkpoints._official.family import (
    OfficialFamily,
    Rebuilt,
    Tensors,
    filled,
    level_widths,
    mapping_name,
    measured_settings,
    refuse_disagreement,
    whole_number,
)
from creps.errors import CheckpointError
from creps.networks._resampling import resample_filter
from creps.networks.stylegan2 import Architecture, StyleGAN2Config

_FIXED = {"activation": "lrelu", "lr_multiplier": 0.01}
"""Official settings that every trained network leaves at these values."""

_CONST = "synthesis.b4.const"
_FIRST_LAYER = "synthesis.b4.conv1"
_FILTER = ".resample_filter"


def _read_config(tensors: Tensors, settings: Mapping[str, Any]) -> StyleGAN2Config:
    """The config of an official StyleGAN2 generator, from names and shapes of its tensors.

    Without the setting "conv_clamp", of the network or of its first layer, nothing is clipped.
    """
    channels = level_widths(tensors, "synthesis.b{}.conv1.weight")
    top = max(channels)
    measured = measured_settings(
        tensors, settings, resolution=top, colors=f"synthesis.b{top}.torgb.weight",
    )  # fmt: skip
    refuse_disagreement(settings, "num_layers", measured["mapping_layers"])
    _refuse_variants(tensors, settings)
    smallest_base = max(size * width for size, width in channels.items())
    return StyleGAN2Config(
        **measured,
        channel_base=whole_number(settings, "channel_base", smallest_base),
        channel_max=whole_number(settings, "channel_max", channels[4]),
        architecture=_architecture(tensors, settings, top),
        noise_inputs=f"{_FIRST_LAYER}.noise_const" in tensors,
        clamp=_clamp(settings),
    )


def _official_name(name: str) -> str:
    """Where official networks keep the tensor `name` of `StyleGAN2`.

    Example:
        >>> _official_name("blocks.1.layers.0.affine.bias")
        'synthesis.b8.conv0.affine.bias'
    """
    match name.split("."):
        case ["mapping", *rest]:
            return mapping_name(rest)
        case ["const"]:
            return _CONST
        case ["blocks", "0", "layers", "0", *rest]:
            return ".".join([_FIRST_LAYER, *_of_layer(rest)])
        case ["blocks", block, "layers", index, *rest]:
            return ".".join([f"synthesis.b{4 << int(block)}.conv{index}", *_of_layer(rest)])
        case ["blocks", block, "shortcut", *rest]:
            return ".".join([f"synthesis.b{4 << int(block)}.skip", *rest])
        case ["blocks", block, "to_rgb", *rest]:
            return ".".join([f"synthesis.b{4 << int(block)}.torgb", *rest])
    raise ValueError(f"no official StyleGAN2 has a counterpart of {name}")


def _of_layer(rest: list[str]) -> list[str]:
    return ["noise_const"] if rest == ["noise"] else rest


def _architecture(tensors: Tensors, settings: Mapping[str, Any], top: int) -> Architecture:
    """ "resnet" has shortcuts, "skip" colors every block; all are one where there is one block."""
    found: Architecture = "orig"
    if "synthesis.b8.skip.weight" in tensors:
        found = "resnet"
    elif "synthesis.b4.torgb.weight" in tensors:
        found = "skip"
    stated = settings.get("architecture", found)
    if top > 4 and stated != found:
        raise CheckpointError(
            f"architecture is {stated!r} in the settings, {found!r} in the tensors"
        )
    return found


def _clamp(settings: Mapping[str, Any]) -> float:
    """What layers clip to; the first layer's own attribute where the network's says nothing."""
    clamp = settings.get("conv_clamp", settings.get(f"{_FIRST_LAYER}.conv_clamp"))
    if clamp is None:
        return 0.0
    # Nothing would be left of a picture clipped to zero, and 0 means no clipping here.
    if isinstance(clamp, bool) or not isinstance(clamp, int | float) or clamp <= 0:
        raise CheckpointError(f"conv_clamp is {clamp!r}: expected a positive number")
    return float(clamp)


def _refuse_variants(tensors: Tensors, settings: Mapping[str, Any]) -> None:
    """Refuse what `StyleGAN2` does not build: other filters, activations and learning rates."""
    for name, usual in _FIXED.items():
        stated = settings.get(name, settings.get(f"{_FIRST_LAYER}.{name}", usual))
        if type(stated) is not type(usual) or stated != usual:
            raise CheckpointError(f"{name} is {stated!r}: only {usual!r} is supported")
    usual_filter = resample_filter()
    for name, tensor in tensors.items():
        if name.endswith(_FILTER) and not (
            tensor.shape == usual_filter.shape and torch.allclose(tensor.float(), usual_filter)
        ):
            raise CheckpointError(
                f"tensor {name} is another filter: only [1, 3, 3, 1] is supported"
            )


def _reshaped(name: str, tensor: Tensor, expected: Tensor) -> Tensor:
    """An official tensor in the shape that `StyleGAN2` keeps it in."""
    if name.endswith("to_rgb.weight") and tensor.ndim == 4 and tensor.shape[2:] == (1, 1):
        return tensor.flatten(1)  # (O, I, 1, 1) to (O, I)
    return tensor


def _rebuild(tensors: Tensors, settings: Mapping[str, Any]) -> Rebuilt:
    return filled(
        "stylegan2",
        _read_config(tensors, settings),
        tensors,
        official_name=_official_name,
        reshaped=_reshaped,
        unused=frozenset(name for name in tensors if name.endswith(_FILTER)),
    )


STYLEGAN2 = OfficialFamily(
    name="StyleGAN2",
    license_note=(
        "Converted from an official StyleGAN2 pickle, which states no license of its own: check "
        "the source's license (the official repositories are under the NVIDIA Source Code License, "
        "for non-commercial use)."
    ),
    recognizes=lambda tensors: _CONST in tensors,
    rebuild=_rebuild,
)
