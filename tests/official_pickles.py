"""Pickles and state dictionaries made like the official code makes them, without that code."""

from __future__ import annotations

import pickle
import sys
from types import ModuleType
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn


def _reconstruct_persistent_obj(meta: Any) -> None:
    raise AssertionError("the official loader must not be called")


_reconstruct_persistent_obj.__module__ = "torch_utils.persistence"


class EasyDict(dict):
    """Settings, in the class official code uses."""


EasyDict.__module__ = "dnnlib.util"


class SynthesisInput:
    """The one class official pickles name instead of embedding."""


SynthesisInput.__module__ = "training.networks_creps"


class Persistent:
    """A module as official persistence pickles it."""

    def __init__(self, class_name: str, state: dict[str, Any], source: str = "") -> None:
        self.meta = {
            "type": "class",
            "version": 6,
            "module_src": source,
            "class_name": class_name,
            "state": state,
        }

    def __reduce__(self) -> Any:
        return _reconstruct_persistent_obj, (self.meta,)


def dumps(content: Any, protocol: int = 4) -> bytes:
    """A pickle with the official names in it, for as long as it is written."""
    modules = {}
    for name, value in (
        ("torch_utils.persistence", _reconstruct_persistent_obj),
        ("dnnlib.util", EasyDict),
        ("training.networks_creps", SynthesisInput),
    ):
        package = name.partition(".")[0]
        modules[package], modules[name] = ModuleType(package), ModuleType(name)
        setattr(modules[name], value.__name__, value)
    with patch.dict(sys.modules, modules):
        return pickle.dumps(content, protocol)


def module_state(
    tensors: dict[str, Tensor], modules: dict[str, Any], **extra: Any
) -> dict[str, Any]:
    """The `__dict__` of a module with these parameters and children."""
    buffers = {name: t for name, t in tensors.items() if name in ("w_avg", "freqs", "coords")}
    return {
        "training": False,
        "_parameters": {n: nn.Parameter(t) for n, t in tensors.items() if n not in buffers},
        "_buffers": buffers,
        "_non_persistent_buffers_set": set(),
        "_modules": modules,
        **extra,
    }


def module_tree(tensors: dict[str, Tensor], class_name: str, **extra: Any) -> Any:
    """Nested modules of a state dictionary, as the official classes nest."""
    own = {name: tensor for name, tensor in tensors.items() if "." not in name}
    children: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        child, dot, rest = name.partition(".")
        if dot:
            children.setdefault(child, {})[rest] = tensor
    modules = {name: module_tree(inner, _class_of(name)) for name, inner in children.items()}
    state = module_state(own, modules, **extra)
    if class_name in ("Sequential", "SynthesisInput"):
        by_reference = nn.Sequential if class_name == "Sequential" else SynthesisInput
        module = by_reference.__new__(by_reference)
        module.__dict__.update(state)
        return module
    return Persistent(class_name, state)


def _class_of(child: str) -> str:
    if child == "input":
        return "SynthesisInput"
    return "Sequential" if child.startswith("decoder_") and child != "decoder_img" else "Layer"


def generator_pickle(
    tensors: dict[str, Tensor], settings: dict[str, Any], protocol: int = 4
) -> bytes:
    """An official network pickle whose G and G_ema hold `tensors`."""
    network = module_tree(
        tensors, "Generator", _init_args=(), _init_kwargs=EasyDict(settings), num_ws=7
    )
    content = {"G": network, "G_ema": network, "training_set_kwargs": EasyDict(path="x.zip")}
    return dumps(content, protocol)


def official_tensors(
    *,
    widths: dict[int, int],
    z_dim: int = 6,
    w_dim: int = 10,
    c_dim: int = 0,
    img_channels: int = 3,
    mapping_layers: int = 2,
) -> dict[str, Tensor]:
    """A random official state dictionary, dead layers and all.

    Args:
        widths: channels of the line block of each level, 4 and up.
    """
    generator = torch.Generator().manual_seed(len(widths) * 100 + c_dim * 10 + img_channels)
    shapes: dict[str, tuple[int, ...]] = {}

    def linear(name: str, inputs: int, outputs: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (outputs, inputs), (outputs,)

    def modulated(name: str, inputs: int, outputs: int) -> None:
        linear(name, inputs, outputs)
        linear(f"{name}.affine", w_dim, inputs)

    def decoder(name: str) -> None:
        for index, (i, o) in enumerate([(32, 64), (64, 128), (128, 64), (64, 32)]):
            linear(f"synthesis.{name}.{index}", i, o)

    if c_dim:
        linear("mapping.embed", c_dim, w_dim)
    for index in range(mapping_layers):
        first = z_dim + (w_dim if c_dim else 0)
        linear(f"mapping.fc{index}", w_dim if index else first, w_dim)
    shapes["mapping.w_avg"] = (w_dim,)
    top = max(widths)
    shapes["synthesis.b4.input.weight"] = (1, widths[4], 1, 16)
    shapes["synthesis.b4.input.freqs"] = (1, widths[4] // 2 * 8)
    shapes["synthesis.b4.input.coords"] = (1, top, 2, 1)
    linear("synthesis.b4.input.affine", w_dim, widths[4] * 16)
    for level, width in widths.items():
        if level > 4:
            modulated(f"synthesis.b{level}.fc0", widths[level // 2], width)
            decoder(f"decoder_{level}")
        modulated(f"synthesis.b{level}.fc1", width, width)
        modulated(f"synthesis.b{level}.tores", width, 32)
    decoder("decoder_last")
    linear("synthesis.decoder_img", 32, img_channels)
    for block, (i, o) in enumerate([(32, 128), (128, 64)]):
        modulated(f"synthesis.block{block}.fc0", i, o)
        modulated(f"synthesis.block{block}.fc1", o, o)
        modulated(f"synthesis.block{block}.tores", o, img_channels)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
