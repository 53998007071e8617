"""Official StyleGAN3 and any-resolution networks as ours.

Widths, sizes and filters are read off the tensors; what leaves no trace in them (frequencies, the
clamp, the range of scales) off the settings. Every layer's official name holds its size and width,
so a wrong guess is noticed. Official columns of frequencies are (x, y), ours (y, x).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from creps.checkpoints._official.family import (
    OfficialFamily,
    Rebuilt,
    Tensors,
    filled,
    mapping_name,
    measured_settings,
    shape_of,
    whole_number,
)
from creps.errors import CheckpointError
from creps.networks.anyres import AnyResConfig
from creps.networks.stylegan3 import StyleGAN3Config

_NUMBERS = {
    "first_cutoff": "first_cutoff",
    "first_stopband": "first_stopband",
    "last_stopband_rel": "last_stopband_rel",
    "output_scale": "output_scale",
    "conv_clamp": "clamp",
}
"""Official settings that cannot be read off tensors, and their names in `StyleGAN3Config`."""

_COUNTS = {
    "num_critical": "num_critical",
    "margin_size": "margin_size",
    "filter_size": "filter_size",
    "lrelu_upsampling": "activation_up",
}

_LICENSE_NOTE = (
    "Converted from an official {name} pickle, which states no license of its own: check the "
    "source's license (the official repository is under the NVIDIA Source Code License, for "
    "non-commercial use)."
)

_FREQUENCIES = "synthesis.input.freqs"
_SCALE = "scale_mapping.fc0.weight"
_NO_WEIGHTS = frozenset({"synthesis.input.transform", "scale_mapping.w_avg"})
"""The placement, which is an argument here, and an average that nothing reads."""
_LAYER = re.compile(r"synthesis\.(L(\d+)_(\d+)_(\d+))\.weight")


def _read_config(tensors: Tensors, settings: Mapping[str, Any]) -> StyleGAN3Config | AnyResConfig:
    """The config of an official generator; an `AnyResConfig` where it has a scale branch."""
    layers = _layer_names(tensors)
    first = shape_of(tensors, f"{layers[0][0]}")
    filters = f"synthesis.{layers[0][1]}.down_filter"
    measured = measured_settings(
        tensors, settings, resolution=int(layers[-1][3]), colors=layers[-1][0],
    )  # fmt: skip
    widths = [int(match[4]) for match in layers[:-1]]
    measured |= {
        "num_layers": len(layers) - 1,
        "kernel": first[-1],
        "radial_filters": len(shape_of(tensors, filters)) == 2,
        "channel_max": whole_number(settings, "channel_max", max(widths)),
        # The last layers' cutoff is half of the resolution.
        "channel_base": whole_number(settings, "channel_base", widths[-1] * measured["resolution"]),
    }
    measured |= _stated(settings)
    if _SCALE in tensors:
        return AnyResConfig(**measured, **_scales(settings))
    return StyleGAN3Config(**measured)


def official_name(name: str, config: StyleGAN3Config) -> str:
    """Where an official network keeps the tensor `name` of `StyleGAN3` or `AnyRes`.

    Example:
        >>> official_name("layers.0.magnitude", StyleGAN3Config(resolution=32, channel_max=8))
        'synthesis.L0_36_8.magnitude_ema'
    """
    renamed = {"magnitude": "magnitude_ema", "frequencies": "freqs"}
    match name.split("."):
        case ["mapping", *rest]:
            return mapping_name(rest)
        case ["input", *rest]:
            return ".".join(["synthesis.input", *(renamed.get(word, word) for word in rest)])
        case ["scale", "layers", index, *rest]:
            return ".".join(["scale_mapping", f"fc{index}", *rest])
        case ["scale", "affines", index, *rest]:
            return ".".join([_layer_name(config, int(index)), "scale_affine", *rest])
        case ["layers", index, *rest]:
            words = (renamed.get(word, word) for word in rest)
            return ".".join([_layer_name(config, int(index)), *words])
    raise ValueError(f"no official StyleGAN3 has a counterpart of {name}")


def _layer_name(config: StyleGAN3Config, index: int) -> str:
    band = config.bands[index]
    return f"synthesis.L{index}_{band.rate + 2 * band.margin}_{band.channels}"


def _layer_names(tensors: Tensors) -> list[re.Match[str]]:
    """The layers in order, the one to colors last."""
    found = sorted(filter(None, map(_LAYER.fullmatch, tensors)), key=lambda match: int(match[2]))
    if [int(match[2]) for match in found] != list(range(len(found))) or len(found) < 2:
        raise CheckpointError("layers missing: not a StyleGAN3 generator")
    return found


def _stated(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Values found only in settings: of the network, else of its layers."""
    stated: dict[str, Any] = {}
    for official, field in _NUMBERS.items():
        found = _setting(settings, official)
        if official == "conv_clamp" and found is None and "conv_clamp" in settings:
            found = 0.0  # nothing is clipped
        if found is not None:
            stated[field] = _finite(found, official)
    for official, field in _COUNTS.items():
        found = _setting(settings, official)
        if found is not None:
            stated[field] = whole_number({official: found}, official, 0)
    return stated


def _setting(settings: Mapping[str, Any], name: str) -> Any:
    """A setting, or the attribute of that name of the synthesis network."""
    return settings.get(name, settings.get(f"synthesis.{name}"))


def _finite(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CheckpointError(f"{name} is {value!r}: expected a finite number")
    return float(value)


def _scales(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The scale branch as the official code computes it, and its range."""
    mode = settings.get("training_mode", "patch")
    if mode not in ("patch", "global"):
        raise CheckpointError(f"training_mode is {mode!r}: only flat pictures can be converted")
    stated = settings.get("scale_mapping_kwargs")
    if not isinstance(stated, dict):
        raise CheckpointError("scale_mapping_kwargs missing: the range of its scales is not known")
    choices: dict[str, Any] = {"scale_mapping": "official"}
    for official, field in (("scale_mapping_min", "scale_min"), ("scale_mapping_max", "scale_max")):
        choices[field] = _finite(stated.get(official), official)
    choices["scale_range"] = stated.get("scale_mapping_norm", "positive")
    if choices["scale_range"] not in ("positive", "zerocentered"):
        raise CheckpointError(
            f"scale_mapping_norm is {choices['scale_range']!r}: "
            "expected 'positive' or 'zerocentered'"
        )
    return choices


def _reshaped(name: str, tensor: Tensor, expected: Tensor) -> Tensor:
    """An official tensor in the order of ours."""
    if name == "input.frequencies" and tensor.shape == expected.shape:
        return tensor.flip(1)  # (x, y) to (y, x)
    return tensor


def _rebuild(tensors: Tensors, settings: Mapping[str, Any]) -> Rebuilt:
    config = _read_config(tensors, settings)
    return filled(
        "anyres" if isinstance(config, AnyResConfig) else "stylegan3",
        config,
        tensors,
        official_name=lambda name: official_name(name, config),
        reshaped=_reshaped,
        unused=_NO_WEIGHTS,
    )


STYLEGAN3 = OfficialFamily(
    name="StyleGAN3",
    license_note=_LICENSE_NOTE.format(name="StyleGAN3"),
    recognizes=lambda tensors: _FREQUENCIES in tensors and _SCALE not in tensors,
    rebuild=_rebuild,
)

ANYRES = OfficialFamily(
    name="any-resolution GAN",
    license_note=_LICENSE_NOTE.format(name="any-resolution GAN"),
    recognizes=lambda tensors: _FREQUENCIES in tensors and _SCALE in tensors,
    rebuild=_rebuild,
)
