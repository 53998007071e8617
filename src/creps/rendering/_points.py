"""Colours at free points of the plane: warped pictures at about the price of straight ones.

Tables of lines are worth building where more points than nodes lie, and a point elsewhere has its
own lines evaluated. Where the border is depends on the whole picture alone, never on the part or
tile that is drawn.

Shapes: P points, C colours, L levels, N channels of a line, D thickness.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from creps.errors import GridError
from creps.networks.base import Axis, Prepared, coordinate_device
from creps.rendering._tables import (
    ACCELERATOR_BLOCK,
    BLOCK,
    Density,
    Lattice,
    LineTable,
    Stretch,
    find_density,
    first_density,
)

POINTS = 1024
"""Points looked up and composed at once on a CPU: rows and columns of a level are 1 MiB each."""
ACCELERATOR_POINTS = 2**16
TABLE_BYTES = 2**28
"""Of an axis' table at most: 29 plane units of the 512 preset at 1,280 nodes a unit. It lies around
the middle of the unit square; what is farther has its own lines."""


class PointColours(Protocol):
    """Colours anywhere on the plane."""

    def colours(self, points: Tensor) -> Tensor:
        """Colours (C, ...) at points (..., 2) of (y, x)."""


class ExactPoints:
    """Colours at free points from lines of their own; each distinct coordinate is evaluated once.

    Slow, as a line costs hundreds of times what a pixel costs: for checks, and for few coordinates.

    Args:
        prepared: a network for one latent (`Generator.prepare`).
    """

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared

    @torch.inference_mode()
    def colours(self, points: Tensor) -> Tensor:
        """Colours at points anywhere.

        Args:
            points: (..., 2) of (y, x), for example (H, W, 2); at least one.
        Returns:
            (C, ...), for example (C, H, W), nominal range [-1, 1], not clipped.
        Raises:
            GridError: for points that are not finite.
        """
        return _in_parts(self._part, points, self._prepared)

    def _part(self, points: Tensor) -> Tensor:
        """Colours (C, P) of few points (P, 2)."""
        ys, row_of = points[:, 0].unique(return_inverse=True)
        xs, column_of = points[:, 1].unique(return_inverse=True)
        rows, columns = self._prepared.lines(ys, "rows"), self._prepared.lines(xs, "columns")
        device = self._prepared.device
        return self._prepared.compose_points(
            rows.index_select(2, row_of.to(device)), columns.index_select(2, column_of.to(device))
        )


class TablePoints:
    """Colours at free points from a pair of line tables.

    Args:
        prepared: the network of the tables.
        rows, columns: line tables of one lattice.
        served: the stretches of rows and columns whose points are looked up, within the tables; all
            of them by default. Other points have lines of their own.
    """

    def __init__(
        self,
        prepared: Prepared,
        rows: LineTable,
        columns: LineTable,
        *,
        served: tuple[Stretch, Stretch] | None = None,
    ) -> None:
        self.rows, self.columns = rows, columns
        self._prepared, self._exact = prepared, ExactPoints(prepared)
        self._served = (rows.stretch, columns.stretch) if served is None else served

    @torch.inference_mode()
    def colours(self, points: Tensor) -> Tensor:
        """Colours (C, ...) at points (..., 2), as `ExactPoints.colours`.

        Raises:
            GridError: for points that are not finite.
        """
        return _in_parts(self._part, points, self._prepared)

    def _part(self, points: Tensor) -> Tensor:
        """Colours (C, P) of few points (P, 2)."""
        ys, xs = points[:, 0].contiguous(), points[:, 1].contiguous()
        down, across = self._served
        near = down.serves(self.rows.lattice, ys) & across.serves(self.columns.lattice, xs)
        if bool(near.all()):
            return self._looked_up(ys, xs)
        exact = self._exact.colours(points[~near])
        if not bool(near.any()):
            return exact
        both = exact.new_empty(len(exact), len(points))
        near = near.to(exact.device)
        both[:, ~near] = exact
        both[:, near] = self._looked_up(ys[near.to(ys.device)], xs[near.to(xs.device)])
        return both

    def _looked_up(self, ys: Tensor, xs: Tensor) -> Tensor:
        """Colours (C, P) of few points that the tables serve."""
        row_taps, column_taps = self.rows.taps(ys), self.columns.taps(xs)
        thickness = self._prepared.thickness

        def add_map(level: int, fused: Tensor) -> None:
            products = self.rows.level(level, *row_taps)
            products *= self.columns.level(level, *column_taps)
            fused += products.unflatten(1, (thickness, -1)).sum(1).T  # eq. 3, (N, P)

        return self._prepared.colour(add_map, len(ys))


class TableStore:
    """The line tables of one latent: as dense as it needs, grown when a picture reaches beyond.

    Any number of threads may ask; one at a time is answered.

    Args:
        prepared: a network for one latent.
        limit: bytes of an axis' table at most.
    """

    def __init__(self, prepared: Prepared, *, limit: int = TABLE_BYTES) -> None:
        self._prepared, self._limit = prepared, limit
        self._density: Density | None = None
        self._tables: dict[Axis, LineTable] = {}
        self._lock = threading.Lock()

    @property
    def density(self) -> Density:
        """How dense the tables are; found out when first needed."""
        with self._lock:
            return self._found_density()

    @property
    def nbytes(self) -> int:
        """Bytes of the tables."""
        with self._lock:
            return sum(table.nbytes for table in self._tables.values())

    def source(self, samples: Tensor, *, points: int) -> PointColours:
        """Colours at the points of a picture, by the cheapest way.

        Args:
            samples: (S, 2) places that are spread over the whole picture as its points are.
            points: how many the picture has.
        Returns:
            the same colours in every call with the same arguments, whatever other
            pictures the tables serve; exact lines where the picture has too few points for tables.
        """
        if self._worthwhile(samples, points, first_density(self._prepared)) is None:
            return ExactPoints(self._prepared)  # for which no density need be found
        with self._lock:
            density = self._found_density().nodes
            stretches = self._worthwhile(samples, points, density)
            if stretches is None:
                return ExactPoints(self._prepared)
            down, across = stretches
            rows, columns = self._covering("rows", down), self._covering("columns", across)
        return TablePoints(self._prepared, rows, columns, served=stretches)

    def clear(self) -> None:
        """Keep no tables."""
        with self._lock:
            self._tables.clear()

    def _found_density(self) -> Density:
        if self._density is None:
            self._density = find_density(self._prepared)
        return self._density

    def _lattice(self, density: int) -> Lattice:
        on_cpu = self._prepared.device.type == "cpu"
        return Lattice(density, BLOCK if on_cpu else ACCELERATOR_BLOCK)

    def _worthwhile(
        self, samples: Tensor, points: int, density: int
    ) -> tuple[Stretch, Stretch] | None:
        """Where tables pay, for rows and columns; None if nowhere."""
        lattice = self._lattice(density)
        blocks = self._limit // self._block_bytes(lattice)
        down, across = (
            worthwhile_stretch(each, lattice, weight=points / max(len(each), 1), longest=blocks)
            for each in samples.unbind(1)
        )
        return None if down is None or across is None else (down, across)

    def _covering(self, axis: Axis, stretch: Stretch) -> LineTable:
        """The table of an axis, grown if need be."""
        known = self._tables.get(axis)
        if known is not None and stretch in known.stretch:
            return known
        lattice = self._lattice(self._found_density().nodes)
        both = stretch if known is None else stretch | known.stretch
        if len(both) * self._block_bytes(lattice) > self._limit:
            both = stretch
        table = LineTable(self._prepared, axis, lattice, stretch=both, known=known)
        self._tables[axis] = table
        return table

    def _block_bytes(self, lattice: Lattice) -> int:
        """Of a block of one axis' table."""
        each = self._prepared
        node = each.num_levels * each.line_channels * each.thickness * each.dtype.itemsize
        return node * lattice.block


def worthwhile_stretch(
    coords: Tensor, lattice: Lattice, *, weight: float, longest: int
) -> Stretch | None:
    """The blocks of a lattice that have most points beyond their nodes, taken together.

    Args:
        coords: (S,) coordinates, each for `weight` points of the picture.
        lattice: of the nodes.
        weight: points a coordinate stands for.
        longest: blocks at most; then those around the middle of the unit square.
    Returns:
        a stretch of blocks that ends at blocks with coordinates; None if no stretch has more points
        than nodes.
    """
    places = coords.numpy(force=True)
    reach = (longest - 2) * lattice.block / lattice.density / 2
    places = places[np.abs(places - 0.5) <= reach]
    if not len(places):
        return None
    cells = np.floor(places * lattice.density).astype(np.int64)
    blocks, counts = np.unique(cells // lattice.block, return_counts=True)
    # The best of all stretches i .. j, by prefix sums (Kadane): gaps between them cost nodes too.
    before = np.concatenate([[0], np.cumsum(counts)[:-1]]) * weight - blocks * lattice.block
    after = np.cumsum(counts) * weight - (blocks + 1) * lattice.block
    start = np.minimum.accumulate(before)
    j = int(np.argmax(after - start))
    if after[j] - start[j] <= 0:
        return None
    i = int(np.argmin(before[: j + 1]))
    held = (places >= blocks[i] * lattice.block / lattice.density) & (
        places < (blocks[j] + 1) * lattice.block / lattice.density
    )
    return Stretch.around(lattice, float(places[held].min()), float(places[held].max()))


def _in_parts(colours: Callable[[Tensor], Tensor], points: Tensor, prepared: Prepared) -> Tensor:
    """Colours (C, ...) of any points (..., 2), a few at a time."""
    if points.ndim < 1 or points.shape[-1] != 2 or not points.numel():
        raise GridError(
            f"points of shape {tuple(points.shape)}: expected at least one, (..., 2) of (y, x)"
        )
    if not points.isfinite().all():
        raise GridError("points that are not finite: expected plane coordinates (y, x)")
    flat = points.reshape(-1, 2).to(coordinate_device(prepared.device), torch.float64)
    size = POINTS if prepared.device.type == "cpu" else ACCELERATOR_POINTS
    parts = [colours(part) for part in flat.split(size)]
    return torch.cat(parts, dim=1).view(-1, *points.shape[:-1])
