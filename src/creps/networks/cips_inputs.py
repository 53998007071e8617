"""Where a pixel is, as CIPS sees it: Fourier features and learned embeddings (section 3.1).

Places are plane coordinates. The network's own axes run from -1 to 1 over the unit square, so a
coordinate u enters as 2u - 1. On a cylinder the plane is rolled up along x (section 4.8): x becomes
an angle, and enters as a point of a circle whose arcs are as long as the flat distances.

Shapes: H rows and W columns of a grid, P = H * W pixels, F features of each kind.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creps.coordinates import AxisGrid, Sampling
from creps.networks.base import Grid


def broadcast_axes(grid: Grid) -> tuple[Tensor, Tensor]:
    """ys and xs of a grid that broadcast to (H, W): (H, 1) and (1, W), or (H, W) each."""
    if isinstance(grid, AxisGrid):
        return grid.ys[:, None], grid.xs[None, :]
    return grid.points[..., 0], grid.points[..., 1]


class FourierFeatures(nn.Module):
    """sin(B (y', x') + phase) with learned B, eq. 3; y' and x' in [-1, 1] on the unit square.

    Args:
        features: F.
        bandwidth: B starts uniform in [-bandwidth, bandwidth], radians per half a plane unit.
        circumference: plane units after which x repeats; 0 for a flat plane.
    """

    def __init__(self, features: int, *, bandwidth: float, circumference: float) -> None:
        super().__init__()
        self.circumference = circumference
        axes = 3 if circumference else 2  # (y, x) or (y, cosine, sine)
        self.frequencies = nn.Parameter((2 * torch.rand(features, axes) - 1) * bandwidth)
        self.phases = nn.Parameter((2 * torch.rand(features) - 1) / math.sqrt(axes))

    def forward(self, grid: Grid) -> Tensor:
        """(P, F) features of the pixels of a grid."""
        ys, xs = broadcast_axes(grid)
        rows = self._phase(2 * ys.double()[..., None] - 1, slice(0, 1))
        columns = self._phase(self._across(xs.double()), slice(1, None))
        return (rows + (columns + self.phases)).sin().flatten(0, 1)

    def _across(self, xs: Tensor) -> Tensor:
        """x as the network takes it: (..., 1), or (..., 2) on a circle."""
        if not self.circumference:
            return 2 * xs[..., None] - 1
        turns = xs / self.circumference
        angle = (turns - turns.floor()) * (2 * math.pi)
        # Radius circumference / pi: an arc of one plane unit is 2 long, as on the flat plane.
        return torch.stack([angle.cos(), angle.sin()], -1) * (self.circumference / math.pi)

    def _phase(self, places: Tensor, axes: slice) -> Tensor:
        """(..., A) places times the frequencies of these axes, less whole turns: (..., F).

        In float64 beside the coordinates, as deep zooms need the phase to many digits.
        """
        frequencies = self.frequencies[:, axes].to(places.device, torch.float64)
        phase = places @ frequencies.T
        whole = (phase.detach() / (2 * math.pi)).round() * (2 * math.pi)
        return (phase - whole).to(self.phases.device, self.phases.dtype)


class PlaneEmbedding(nn.Module):
    """A learned vector for each of R x R places, bilinear between them (section 3.1).

    Beyond the outermost nodes it stays as it is there; on a cylinder the columns go round.

    Args:
        features: F.
        resolution: R nodes a plane unit.
        nodes: where they lie on the unit square: at the "centres" of R areas, or from border to
            border, the first and the last on the "corners".
        circumference: plane units after which x repeats, R * circumference nodes; 0 for a flat
            plane.
    """

    def __init__(
        self, features: int, *, resolution: int, nodes: Sampling, circumference: float
    ) -> None:
        super().__init__()
        self.nodes, self.wraps = nodes, circumference > 0
        columns = round(resolution * circumference) if circumference else resolution
        self.vectors = nn.Parameter(torch.randn(resolution, columns, features))

    def forward(self, grid: Grid) -> Tensor:
        """(P, F) embeddings of the pixels of a grid."""
        return looked_up(self.vectors, grid, nodes=self.nodes, wraps=self.wraps)


def looked_up(field: Tensor, grid: Grid, *, nodes: Sampling, wraps: bool) -> Tensor:
    """Vectors at the nodes of the plane, bilinear between them.

    Args:
        field: (R, columns, F): R nodes a plane unit on both axes.
        grid: P places.
        nodes: where the nodes lie on the unit square, see `PlaneEmbedding`.
        wraps: whether the columns go round; otherwise the outermost stay as they are beyond.
    Returns:
        (P, F) where the field lives.
    """
    resolution, columns = field.shape[:2]
    table = field.reshape(resolution * columns, -1)
    ys, xs = broadcast_axes(grid)
    scale, offset = (resolution, 0.5) if nodes == "centres" else (resolution - 1, 0.0)
    total: Tensor | None = None
    for row, row_weight in _neighbours(ys.double() * scale - offset, resolution, wraps=False):
        for column, column_weight in _neighbours(
            xs.double() * scale - offset, columns, wraps=wraps
        ):
            node = (row * columns + column).flatten().to(table.device)
            weight = (row_weight * column_weight).flatten().to(table.device, table.dtype)
            part = F.embedding(node, table) * weight[:, None]
            total = part if total is None else total.add_(part)
    assert total is not None
    return total


def _neighbours(index: Tensor, count: int, *, wraps: bool) -> list[tuple[Tensor, Tensor]]:
    """The two of `count` nodes about each fractional index, and their weights."""
    if not wraps:
        index = index.clamp(0, count - 1)
    lower = index.floor()
    share = index - lower
    first = lower.long() % count
    second = (first + 1) % count if wraps else (first + 1).clamp(max=count - 1)
    return [(first, 1 - share), (second, share)]
