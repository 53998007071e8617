"""Coordinates without float64, for exported graphs: many runtimes have float32 alone.

A coordinate comes as float32 pieces of 12 significant bits each that add up to it; constants
are cut alike. The product of two pieces is then exact in float32, and so is what is left of
it when whole turns are taken off. Sums of such remainders lose nothing that matters: phases
are right to 2e-7 turns at any zoom, and as far out as coordinates of 1e5.

The modules here take the places of those of a network that see coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creps.coordinates import AxisGrid, Sampling
from creps.errors import UsageError
from creps.networks.base import Axis, Generator
from creps.networks.cips import FourierFeatures, PlaneEmbedding
from creps.networks.creps import FourierInput

PIECES = 5
"""Pieces of a coordinate: 60 bits, more than float64 has."""


def pieces(values: Tensor, count: int = PIECES) -> Tensor:
    """(...,) float64 numbers to (..., count) float32 pieces, the largest first."""
    cut, rest = [], values.double()
    for _ in range(count):
        mantissa, exponent = torch.frexp(rest)
        piece = torch.ldexp((mantissa * 2**12).round(), exponent - 12)
        cut.append(piece.float())
        rest = rest - piece
    return torch.stack(cut, -1)


class PieceGrid(AxisGrid):
    """An `AxisGrid` whose axes are (H, PIECES) and (W, PIECES) float32 pieces."""

    def __post_init__(self) -> None:
        pass


def use_pieces(generator: Generator) -> None:
    """Let a CREPS or CIPS network take a `PieceGrid` in place of an `AxisGrid`."""
    for name, module in list(generator.named_modules()):
        replacement = _REPLACEMENTS.get(type(module))
        if replacement is not None:
            parent, _, own = name.rpartition(".")
            setattr(generator.get_submodule(parent), own, replacement(module))


class _Turns(nn.Module):
    """Coordinates times constant frequencies, and phases, less whole turns, in [-1/2, 1/2]."""

    frequencies: Tensor
    phases: Tensor | None

    def __init__(self, frequencies: Tensor, count: int, phases: Tensor | None = None) -> None:
        super().__init__()
        own = None if phases is None else phases.reshape(frequencies.shape).float()
        self.register_buffer("phases", own)
        self.register_buffer("frequencies", pieces(frequencies, count))  # (..., count)

    def forward(self, coords: Tensor) -> Tensor:
        """(..., PIECES) to (..., *frequencies.shape)."""
        axes = self.frequencies.ndim - 1
        coords = coords[(..., *(None,) * axes, slice(None))]
        products = [
            coords[..., i] * self.frequencies[..., j]
            for i in range(PIECES)
            for j in range(self.frequencies.shape[-1])
        ]
        # The smallest first, so that what the large ones leave is added last.
        total: Tensor | None = None
        for product in reversed(products):
            rest = product - product.round()
            total = rest if total is None else total + rest
        assert total is not None
        if self.phases is not None:
            total = total + self.phases
        return total - total.round()


class _FourierInput(nn.Module):
    """`FourierInput` of a CREPS with lines."""

    def __init__(self, original: FourierInput) -> None:
        super().__init__()
        if not original.thickness:
            raise UsageError(
                'CREPS models of composition "dense" cannot be exported: expected one with lines'
            )
        self.original = original
        # float32 has 24 bits; whole waves a period that is not whole need more.
        rows, columns = (original.waves(axis) for axis in ("rows", "columns"))
        self.rows, self.columns = (
            _Turns(waves.cycles[:, 0], 4 if waves.period % 1 else 2, waves.phases)
            for waves in (rows, columns)
        )

    def lines(self, w: Tensor, coords: Tensor, axis: Axis) -> Tensor:
        """Style vectors (B, w_dim) and coordinates (S, PIECES) to line features (B, C, S * D)."""
        thickness = self.original.thickness
        half = slice(None, thickness) if axis == "rows" else slice(thickness, None)
        own = self.rows if axis == "rows" else self.columns
        turns = own(coords).transpose(0, 1)  # (C/2, S, D)
        return self.original.styled(w, turns, half).flatten(2)


class _FourierFeatures(nn.Module):
    """`FourierFeatures` of CIPS: radians over half a plane unit become turns over a unit."""

    offset: Tensor

    def __init__(self, original: FourierFeatures) -> None:
        super().__init__()
        self.phases = original.phases
        rows, columns = (original.waves(axis).cycles.detach() for axis in (0, 1))
        self.rows, self.columns = _Turns(rows, 4), _Turns(columns, 4)
        offset = (rows + columns) / 2  # y = 0 lies at -1
        self.register_buffer("offset", ((offset - offset.round()) * (2 * math.pi)).float())

    def forward(self, grid: PieceGrid) -> Tensor:
        """(P, F) features of the pixels of a grid."""
        rows = self.rows(grid.ys[:, None]) * (2 * math.pi) - self.offset  # (H, 1, F)
        columns = self.columns(grid.xs[None]) * (2 * math.pi)  # (1, W, F)
        return (rows + (columns + self.phases)).sin().flatten(0, 1)


class _PlaneEmbedding(nn.Module):
    """`PlaneEmbedding` of CIPS, between its nodes."""

    def __init__(self, original: PlaneEmbedding) -> None:
        super().__init__()
        self.original = original

    def forward(self, grid: PieceGrid) -> Tensor:
        """(P, F) embeddings of the pixels of a grid."""
        rows, columns, features = self.original.vectors.shape
        table = self.original.vectors.reshape(rows * columns, features)
        nodes, scale = self.original.nodes, self.original.resolution
        down, across = (each > 0 for each in self.original.period)
        total: Tensor | None = None
        for row, row_weight in _neighbors(grid.ys, scale, rows, nodes, wraps=down):
            for column, column_weight in _neighbors(grid.xs, scale, columns, nodes, wraps=across):
                node = (row[:, None] * columns + column[None]).flatten()
                weight = (row_weight[:, None] * column_weight[None]).flatten()
                part = F.embedding(node, table) * weight[:, None]
                total = part if total is None else total + part
        assert total is not None
        return total


def _neighbors(
    coords: Tensor, scale: int, count: int, nodes: Sampling, *, wraps: bool
) -> list[tuple[Tensor, Tensor]]:
    """The two of `count` nodes about each coordinate (S, PIECES), and their weights."""
    offset = 0.5
    if nodes == "corners":
        scale, offset = scale - 1, 0.0
    if scale >= 2**12:
        raise UsageError(
            f"an embedding of {scale} nodes cannot be exported: expected fewer than {2**12}"
        )
    whole, share = torch.zeros_like(coords[..., 0]), torch.full_like(coords[..., 0], -offset)
    for piece in reversed(coords.unbind(-1)):
        product = piece * scale
        floor = product.floor()
        share = share + (product - floor)
        whole = whole + (_modulo(floor, count) if wraps else floor)
    carry = share.floor()
    whole, share = whole + carry, share - carry
    if wraps:
        first, second = _modulo(whole, count), _modulo(whole + 1, count)
    else:
        inside = (whole >= 0) & (whole < count - 1)
        share = torch.where(inside, share, torch.zeros_like(share))
        first = whole.clamp(0, count - 1)
        second = (first + 1).clamp(max=count - 1)
    return [(first.long(), 1 - share), (second.long(), share)]


def _modulo(whole: Tensor, count: int) -> Tensor:
    """Whole float32 numbers modulo `count`; their quotient may be off by one where rounded."""
    rest = whole - (whole / count).floor() * count
    rest = torch.where(rest < 0, rest + count, rest)
    return torch.where(rest >= count, rest - count, rest)


_REPLACEMENTS: dict[type[nn.Module], Callable[..., nn.Module]] = {
    FourierInput: _FourierInput,
    FourierFeatures: _FourierFeatures,
    PlaneEmbedding: _PlaneEmbedding,
}
