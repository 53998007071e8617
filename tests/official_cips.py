"""CIPS as its authors save and draw it, written down once more in plain operations, for tests."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

Tensors = dict[str, Tensor]


def state_dict(
    *,
    residual: bool = False,
    size: int = 8,
    hidden: int = 4,
    style: int = 6,
    widths: tuple[int, ...] = (10, 10, 7),
    mapping: int = 2,
) -> Tensors:
    """Random float64 weights under the official names; residual blocks hold conv1, conv2, skip."""
    draw = torch.Generator().manual_seed(1)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw, dtype=torch.float64)

    state = {
        "lff.ffm.conv.weight": random(hidden, 2, 1, 1),
        "lff.ffm.conv.bias": random(hidden),
        "emb.input": random(1, hidden, size, size),
    }
    for k in range(1, mapping + 1):
        state |= {f"style.{k}.weight": 100 * random(style, style), f"style.{k}.bias": random(style)}

    def modulated(name: str, inputs: int, outputs: int) -> None:
        state[f"{name}.conv.weight"] = random(1, outputs, inputs, 1, 1)
        state[f"{name}.conv.modulation.weight"] = random(inputs, style)
        state[f"{name}.conv.modulation.bias"] = 1 + 0.2 * random(inputs)

    def styled(name: str, inputs: int, outputs: int) -> None:
        modulated(name, inputs, outputs)
        state[f"{name}.noise.weight"] = random(1)
        state[f"{name}.activate.bias"] = 0.2 * random(outputs)

    def shown(name: str, inputs: int) -> None:
        modulated(name, inputs, 3)
        state[f"{name}.bias"] = 0.2 * random(1, 3, 1, 1)

    styled("conv1", 2 * hidden, widths[0])
    before = widths[0]
    for level, width in enumerate(widths):
        if residual:
            styled(f"linears.{level}.conv1", before, width)
            styled(f"linears.{level}.conv2", width, width)
            if before != width:
                state[f"linears.{level}.skip.weight"] = random(width, before, 1, 1)
        else:
            styled(f"linears.{2 * level}", before, width)
            styled(f"linears.{2 * level + 1}", width, width)
            shown(f"to_rgbs.{level}", width)
        before = width
    if residual:
        shown("to_rgb_last", before)
    return state


def style_of(state: Tensors, z: Tensor) -> Tensor:
    """Latents (B, Z) to w (B, D)."""
    x = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
    for k in range(1, 1 + sum(name.startswith("style.") for name in state) // 2):
        weight, bias = state[f"style.{k}.weight"], state[f"style.{k}.bias"]
        x = F.linear(x, weight * 0.01 / math.sqrt(weight.shape[1]), bias * 0.01)
        x = F.leaky_relu(x, 0.2) * math.sqrt(2)
    return x


def picture(state: Tensors, w: Tensor, coords: Tensor) -> Tensor:
    """(B, 3, H, W) without noise, on coords (1, 2, H, W) of (x, y) in [-1, 1]."""
    waves = F.conv2d(coords, state["lff.ffm.conv.weight"], state["lff.ffm.conv.bias"]).sin()
    looked_up = F.grid_sample(
        state["emb.input"], coords.permute(0, 2, 3, 1), padding_mode="border", align_corners=False
    )
    x = torch.cat([waves, looked_up], 1).expand(len(w), -1, -1, -1)
    x = _styled(state, "conv1", x, w)
    rgb: Tensor | None = None
    level = 0
    while f"linears.{level}.conv1.conv.weight" in state:
        inner = _styled(state, f"linears.{level}.conv1", x, w)
        inner = _styled(state, f"linears.{level}.conv2", inner, w)
        skip = state.get(f"linears.{level}.skip.weight")
        past = x if skip is None else F.conv2d(x, skip / math.sqrt(skip.shape[1]))
        x = (inner + past) / math.sqrt(2)
        level += 1
    while f"linears.{2 * level}.conv.weight" in state:
        x = _styled(state, f"linears.{2 * level}", x, w)
        x = _styled(state, f"linears.{2 * level + 1}", x, w)
        shown = _shown(state, f"to_rgbs.{level}", x, w)
        rgb = shown if rgb is None else rgb + shown
        level += 1
    return _shown(state, "to_rgb_last", x, w) if rgb is None else rgb


def _scaled(state: Tensors, name: str, w: Tensor) -> Tensor:
    """(B, O, I) weights, modulated and not yet normalized."""
    affine = state[f"{name}.conv.modulation.weight"]
    style = F.linear(w, affine / math.sqrt(w.shape[1]), state[f"{name}.conv.modulation.bias"])
    weight = state[f"{name}.conv.weight"][0, :, :, 0, 0]
    return weight[None] * style[:, None] / math.sqrt(weight.shape[1])


def _styled(state: Tensors, name: str, x: Tensor, w: Tensor) -> Tensor:
    weight = _scaled(state, name, w)
    weight = weight / (weight.square().sum(2, keepdim=True) + 1e-8).sqrt()
    y = torch.einsum("boi,bihw->bohw", weight, x) + state[f"{name}.activate.bias"][:, None, None]
    return F.leaky_relu(y, 0.2) * math.sqrt(2)


def _shown(state: Tensors, name: str, x: Tensor, w: Tensor) -> Tensor:
    return torch.einsum("boi,bihw->bohw", _scaled(state, name, w), x) + state[f"{name}.bias"]
