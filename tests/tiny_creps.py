"""Small CREPS networks with random weights, and latents of their own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from creps.networks.base import build_generator
from creps.networks.creps import Creps

CONFIG: dict[str, Any] = {
    "resolution": 16,
    "channel_max": 8,
    "z_dim": 6,
    "w_dim": 5,
    "mapping_layers": 2,
    "thickness": 2,
    "line_channels": 4,
    "decoder_widths": (6,),
    "refinement_widths": (5, 3),
    "bandwidth": 1.5,
}

UNEVEN: dict[str, Any] = {
    "resolution": 16,
    "z_dim": 6,
    "w_dim": 10,
    "mapping_layers": 2,
    "channel_base": 128,
    "channel_max": 12,
    "thickness": 3,
    "line_channels": 6,
    "bandwidth": 2.0,
    "decoder_widths": (8, 7),
    "refinement_widths": (9, 5),
}
"""Settings in which no two sizes are alike, so that one taken for another shows."""


def tiny_creps(**changes: Any) -> Creps:
    """The same network in every call; `changes` are settings of its config."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = build_generator("creps", CONFIG | changes).double()
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter += 0.1 * torch.randn_like(parameter)
        network.mapping.average.normal_()
    assert isinstance(network, Creps)
    return network


def random_styles(network: Creps, count: int, *, seed: int = 0) -> Tensor:
    """(count, K, D): another vector for each place."""
    draw = torch.Generator().manual_seed(seed)
    shape = (count, network.num_styles, network.config.w_dim)
    return torch.randn(shape, dtype=torch.float64, generator=draw)
