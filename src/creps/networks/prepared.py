"""The door to fast pictures: what a family offers that can be prepared for one latent.

Shapes: L levels, N channels of a line, D thickness, S samples along an axis, H and W rows and
columns, P points, C colours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import torch
from torch import Tensor

Axis = Literal["rows", "columns"]

AddMap = Callable[[int, Tensor], object]
"""Adds the composed map F of a level (0 .. L - 1) to features (N, P), in place."""


class Prepared(Protocol):
    """A network folded for one latent: it computes pictures from row and column lines.

    What `Generator.prepare` returns. Any number of threads may use one at once.
    """

    num_levels: int
    line_channels: int
    thickness: int
    img_channels: int
    device: torch.device
    dtype: torch.dtype

    @property
    def line_flops(self) -> int:
        """Operations (two a multiply-add) for the lines of one coordinate."""

    @property
    def pixel_flops(self) -> int:
        """Operations for one pixel."""

    @property
    def nbytes(self) -> int:
        """Bytes of the weights."""

    def lines(self, coords: Tensor, axis: Axis, *, out: Tensor | None = None) -> Tensor:
        """(L, N, S, D) lines of plane coordinates (S,), in `out` if given."""

    def compose(
        self, row_lines: Tensor, column_lines: Tensor, *, out: Tensor | None = None
    ) -> Tensor:
        """(C, H, W) picture of rows (L, N, H, D) and columns (L, N, W, D), in `out` if given."""

    def compose_points(self, row_lines: Tensor, column_lines: Tensor) -> Tensor:
        """Colours (C, P) of points with a row and a column line each, both (L, N, P, D)."""

    def colour(self, add_map: AddMap, pixels: int) -> Tensor:
        """Colours (C, P) of composed maps from anywhere, added level by level."""


def coordinate_device(device: torch.device) -> torch.device:
    """Where to compute with plane coordinates for a network on a device: the nearest float64.

    Example:
        >>> coordinate_device(torch.device("mps"))
        device(type='cpu')
    """
    return torch.device("cpu") if device.type == "mps" else device
