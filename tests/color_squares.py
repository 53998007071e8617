"""A generator that paints the picture of the IIIF validator: 10 x 10 squares of known colors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from creps.coordinates import AxisGrid
from creps.networks.base import Generator, GeneratorConfig, Grid

SQUARES = 10


def squares() -> Tensor:
    """(10, 10, 3) levels of the square in column x and row y; any that differ would do."""
    draw = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (SQUARES, SQUARES, 3), generator=draw)


@dataclass(frozen=True, kw_only=True)
class SquaresConfig(GeneratorConfig):
    """A small mapping network, of which nothing is seen."""

    resolution: int = 64
    z_dim: int = 4
    w_dim: int = 4
    mapping_layers: int = 1


class ColorSquares(Generator):
    """Paints squares, whatever the styles; black beyond the unit square.

    Args:
        config: its settings.
        colors: (10, 10, 3) levels 0 .. 255 by column and row.
    """

    def __init__(self, config: SquaresConfig, colors: Tensor | None = None) -> None:
        super().__init__(config, num_styles=1)
        colors = squares() if colors is None else colors
        self.colors = nn.Buffer(colors.float() / 127.5 - 1)

    def synthesize(self, styles: Tensor, grid: Grid) -> Tensor:
        """(B, 3, H, W)."""
        if isinstance(grid, AxisGrid):
            ys, xs = grid.ys[:, None], grid.xs[None, :]
        else:
            ys, xs = grid.points.unbind(-1)
        inside = (ys >= 0) & (ys < 1) & (xs >= 0) & (xs < 1)
        row = (ys * SQUARES).long().clamp(0, SQUARES - 1)
        column = (xs * SQUARES).long().clamp(0, SQUARES - 1)
        image = torch.where(inside[..., None], self.colors[column, row], -1.0)
        return image.permute(2, 0, 1)[None].expand(len(styles), -1, -1, -1)
