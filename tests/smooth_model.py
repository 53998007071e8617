"""A generator whose pictures are smooth waves, on any grid: what metrics should say is known."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from creps.coordinates import AxisGrid
from creps.networks.base import Generator, Grid, build_generator

CONFIG: dict[str, Any] = {
    "resolution": 32,
    "z_dim": 4,
    "w_dim": 4,
    "channel_max": 8,
    "thickness": 2,
    "line_channels": 4,
    "mapping_layers": 2,
    "decoder_widths": (6,),
    "refinement_widths": (4,),
}


class SmoothModel(Generator):
    """Two waves across the plane, `waves` of them a plane unit, their phase from the styles."""

    pixelwise = True

    def __init__(self, *, waves: float = 1.3, height: float = 0.4, broken: bool = False) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            like = build_generator("creps", CONFIG)
            super().__init__(like.config, num_styles=like.num_styles)
        self.mapping = like.mapping
        self.height, self.broken = height, broken
        self.register_buffer("waves", torch.tensor(waves, dtype=torch.float64))
        self.eval().requires_grad_(False)

    def synthesize(self, styles: Tensor, grid: Grid) -> Tensor:
        if isinstance(grid, AxisGrid):
            y, x = grid.ys[:, None], grid.xs[None, :]
        else:
            y, x = grid.points.unbind(-1)
        turns = 2 * torch.pi * self.waves
        phase = styles[:, 0, :2].double()[..., None, None]
        image = torch.sin(turns * y + phase[:, 0]) + torch.cos(turns * x + phase[:, 1])
        if self.broken:
            image = image / 0 * 0
        return (self.height * image[:, None]).expand(-1, 3, -1, -1).float()
