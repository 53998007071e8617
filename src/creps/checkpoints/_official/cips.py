"""Official CIPS state dictionaries as ours: settings read off the shapes, tensors renamed.

The names of the generator with skips are known for certain. Those inside the residual blocks of the
other are not, so layers are recognized by what they hold and taken in their natural order: a layer
with noise is modulated and activated, one with its own bias shows color, and a plain matrix is the
shortcut of a block whose width changes.

Differences: official pictures are drawn from samples on the "corners" with an embedding whose nodes
lie at the "centers"; converted models keep that. The average w, the center of truncation, is not
stored; it is measured here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from creps.checkpoints._official.family import OfficialFamily, Rebuilt, Tensors, filled, shape_of
from creps.coordinates import Sampling
from creps.errors import CheckpointError
from creps.networks._layers import MappingNetwork
from creps.networks.cips import CipsConfig

_FOURIER = "lff.ffm.conv."
_EMBEDDING = "emb.input"
_FIRST = "conv1"
_AVERAGE = "style.average"
"""Where the measured average of w is put among the official tensors."""
AVERAGED_LATENTS = 4096
_MAPPING = re.compile(r"(style\.\d+)\.(?:weight|bias)")
_MODULATED = re.compile(r"(.+)\.conv\.(?:weight|modulation\.weight|modulation\.bias)")
_ACTIVATED = ("noise.weight", "activate.bias")
"""What a modulated layer also has, if it does not show color: any of them is proof."""
_MATRIX = 4
"""Axes of a convolution's weight."""


@dataclass(frozen=True)
class _Layout:
    """Which official layers a generator has, in order.

    Attributes:
        styled: the modulated and activated ones, two a level after the first.
        shown: those that give color.
        shortcuts: names of the matrices past residual blocks, of those blocks that have one.
        mapping: those of the mapping network.
    """

    styled: tuple[str, ...]
    shown: tuple[str, ...]
    shortcuts: tuple[str, ...]
    mapping: tuple[str, ...]

    @property
    def levels(self) -> int:
        """How many levels there are after the first layer."""
        return (len(self.styled) - 1) // 2

    @property
    def residual(self) -> bool:
        """Whether only the last level shows color."""
        return len(self.shown) < self.levels or bool(self.shortcuts)


def _read_layout(tensors: Tensors) -> _Layout:
    """Which layers an official generator has; a CheckpointError if they do not make levels."""
    found = (_MODULATED.fullmatch(name) for name in tensors if not name.startswith(_FOURIER))
    modulated = _ordered({match[1] for match in found if match})
    activated = {name for name in modulated for part in _ACTIVATED if f"{name}.{part}" in tensors}
    shown = tuple(name for name in modulated if name not in activated)
    styled = [name for name in modulated if name not in shown]
    styled.sort(key=lambda name: name != _FIRST)  # the others keep their order
    shortcuts = _ordered(
        name
        for name, tensor in tensors.items()
        if name.endswith(".weight") and tensor.ndim == _MATRIX and not name.startswith(_FOURIER)
    )
    mapping = _ordered({match[1] for name in tensors if (match := _MAPPING.fullmatch(name))})
    layout = _Layout(tuple(styled), shown, shortcuts, mapping)
    whole = len(styled) == 1 + 2 * layout.levels and layout.levels > 0
    if not mapping or not whole or len(shown) not in (1, layout.levels):
        raise CheckpointError(
            f"{len(mapping)} mapping, {len(styled)} modulated and {len(shown)} color "
            "layers: a CIPS generator has one modulated layer and two a level, and one color "
            "layer for each level or for all"
        )
    return layout


def _read_config(tensors: Tensors, layout: _Layout, *, embedding_nodes: Sampling) -> CipsConfig:
    """The config of an official CIPS generator, from the shapes of its tensors."""

    shape = partial(shape_of, tensors)
    embedding, fourier = _EMBEDDING in tensors, f"{_FOURIER}weight" in tensors
    nodes = shape(_EMBEDDING, axes=4) if embedding else None
    w_dim, z_dim = shape(f"{layout.mapping[0]}.weight", axes=2)
    return CipsConfig(
        resolution=nodes[2] if nodes else 2 << layout.levels,
        img_channels=shape(f"{layout.shown[-1]}.conv.weight", axes=5)[1],
        z_dim=z_dim,
        w_dim=w_dim,
        mapping_layers=len(layout.mapping),
        features=nodes[1] if nodes else shape(f"{_FOURIER}weight", axes=4)[0],
        widths=tuple(shape(f"{name}.conv.weight", axes=5)[1] for name in layout.styled[1::2]),
        connections="residual" if layout.residual else "skip",
        fourier=fourier,
        embedding=embedding,
        embedding_nodes=embedding_nodes,
        sampling="corners",
    )


def _official_names(layout: _Layout, widths: tuple[int, ...]) -> dict[str, str]:
    """Where an official generator keeps each layer of `Cips`: our prefixes to its.

    A residual block has a shortcut where the widths of the levels change.
    """
    names = {
        "fourier.frequencies": f"{_FOURIER}weight",
        "fourier.phases": f"{_FOURIER}bias",
        "embedding.vectors": _EMBEDDING,
        "mapping.average": _AVERAGE,
    }
    for index, name in enumerate(layout.mapping):
        names |= {f"mapping.layers.{index}.{part}": f"{name}.{part}" for part in ("weight", "bias")}
    for index, name in enumerate(layout.styled):
        level, layer = divmod(index - 1, 2)
        prefix = f"levels.{level}.layers.{layer}" if index else "first"
        names |= _modulated(prefix, name)
        names[f"{prefix}.bias"] = f"{name}.activate.bias"
        names[f"{prefix}.noise_strength"] = f"{name}.noise.weight"
    first_shown = layout.levels - len(layout.shown)
    for level, name in enumerate(layout.shown, first_shown):
        prefix = f"levels.{level}.to_rgb"
        names |= _modulated(prefix, name)
        names[f"{prefix}.bias"] = f"{name}.bias"
    bends = [level for level, (i, o) in enumerate(pairwise((widths[0], *widths))) if i != o]
    shortcuts = [*layout.shortcuts, *["shortcut of a block"] * len(bends)]
    names |= {f"levels.{n}.shortcut": name for n, name in zip(bends, shortcuts, strict=False)}
    return names


def _modulated(ours: str, official: str) -> dict[str, str]:
    """The tensors that every modulated layer has."""
    return {
        f"{ours}.weight": f"{official}.conv.weight",
        f"{ours}.affine.weight": f"{official}.conv.modulation.weight",
        f"{ours}.affine.bias": f"{official}.conv.modulation.bias",
    }


def _ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Names with their numbers in order: 2 before 10."""

    def key(name: str) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]

    return tuple(sorted(names, key=key))


def _reshaped(name: str, tensor: Tensor, expected: Tensor) -> Tensor:
    """An official tensor in the shape that `Cips` keeps it in."""
    match name.split("."):
        case ["fourier", "frequencies"] if tensor.ndim == _MATRIX:
            return tensor.squeeze((2, 3)).flip(1)  # (F, 2, 1, 1) of (x, y) to (F, 2) of (y, x)
        case ["embedding", _] if tensor.ndim == _MATRIX:
            return tensor.squeeze(0).movedim(0, -1)  # (1, F, R, R) to (R, R, F)
    # Kernels of one pixel: (1, O, I, 1, 1), (O, I, 1, 1) and (1, O, 1, 1).
    same = [n for n in tensor.shape if n > 1] == [n for n in expected.shape if n > 1]
    return tensor.reshape(expected.shape) if same else tensor


def _rebuild(tensors: Tensors, settings: Mapping[str, Any]) -> Rebuilt:
    embedding_nodes: Sampling = settings.get("embedding_nodes", "centers")
    layout = _read_layout(tensors)
    config = _read_config(tensors, layout, embedding_nodes=embedding_nodes)
    names = _official_names(layout, config.level_widths)
    average = _average_style(tensors, layout, config)
    return filled(
        "cips",
        config,
        {**tensors, _AVERAGE: average},
        official_name=names.__getitem__,
        reshaped=_reshaped,
    )


def _average_style(tensors: Tensors, layout: _Layout, config: CipsConfig) -> Tensor:
    """The mean w of many latents, as the official scripts measure it: the same in every call."""
    with torch.device("meta"):
        mapping = MappingNetwork(
            z_dim=config.z_dim, label_dim=0, w_dim=config.w_dim, layers=config.mapping_layers
        )
    weights = {"average": torch.zeros(config.w_dim)}
    for index, layer in enumerate(layout.mapping):
        for part in ("weight", "bias"):
            name = f"layers.{index}.{part}"
            tensor = tensors.get(f"{layer}.{part}")
            expected = mapping.state_dict()[name].shape
            if tensor is None or tensor.shape != expected:
                raise CheckpointError(
                    f"tensor {layer}.{part} missing or of another shape than {tuple(expected)}"
                )
            weights[name] = tensor.detach().float()
    mapping.load_state_dict(weights, assign=True)
    draw = torch.Generator().manual_seed(0)
    latents = torch.randn((AVERAGED_LATENTS, config.z_dim), generator=draw)
    with torch.no_grad():
        average: Tensor = mapping(latents, None).mean(0)
    return average


CIPS = OfficialFamily(
    name="CIPS",
    license_note=(
        "Converted from a CIPS checkpoint, which states no license of its own. The official CIPS "
        "code is under the MIT license (its CUDA operations under NVIDIA's non-commercial one): "
        "check the terms of those who trained these weights."
    ),
    recognizes=lambda tensors: _EMBEDDING in tensors or f"{_FOURIER}weight" in tensors,
    rebuild=_rebuild,
)
