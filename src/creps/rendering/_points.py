"""Colors at free points of the plane: warped pictures at about the price of straight ones.

Tables of lines are worth building where more points than nodes lie, and a point elsewhere has its
own lines evaluated. Where the border is depends on the whole picture alone, never on the part or
tile that is painted.

Shapes: P points, C colors, L levels, N channels of a line, D thickness.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from creps.networks.base import Axis, Prepared, coordinate_device
from creps.rendering._tables import (
    ACCELERATOR_BLOCK,
    BLOCK,
    Lattice,
    LineTable,
    Stretch,
    TableResolution,
    find_resolution,
    first_resolution,
    rows_of,
)

POINTS = 2048
"""Points composed at once on a CPU: rows and columns of a level are 1 MiB each with `portraits`, 2
with the 512 preset."""
ACCELERATOR_POINTS = 2**16
TABLE_BYTES = 2**28
"""Of an axis' table at most: 29 plane units of the 512 preset at 1,280 nodes a unit. It lies around
the middle of the unit square; what is farther has its own lines."""


class PointColors(ABC):
    """Colors anywhere on the plane."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared

    @torch.inference_mode()
    def colors(self, points: Tensor) -> Tensor:
        """Colors (C, ...) at finite points (..., 2) of (y, x), nominally [-1, 1], unclipped."""
        device = self._prepared.device
        flat = points.reshape(-1, 2).to(coordinate_device(device), torch.float64)
        size = POINTS if device.type == "cpu" else ACCELERATOR_POINTS
        parts = [self._part(part) for part in flat.split(size)]
        return torch.cat(parts, dim=1).view(-1, *points.shape[:-1])

    @abstractmethod
    def _part(self, points: Tensor) -> Tensor:
        """Colors (C, P) of few points (P, 2)."""


class ExactPoints(PointColors):
    """Colors at free points from their own lines; each distinct coordinate is evaluated once.

    Slow, as a line costs hundreds of times what a pixel costs: for checks, and for few coordinates.
    """

    def _part(self, points: Tensor) -> Tensor:
        ys, row_of = points[:, 0].unique(return_inverse=True)
        xs, column_of = points[:, 1].unique(return_inverse=True)
        rows, columns = self._prepared.lines(ys, "rows"), self._prepared.lines(xs, "columns")
        device = self._prepared.device
        return self._prepared.compose_points(
            rows.index_select(2, row_of.to(device)), columns.index_select(2, column_of.to(device))
        )


class TablePoints(PointColors):
    """Colors at free points from a pair of line tables of one lattice.

    Points within the `served` stretches of rows and columns are looked up, by default all that the
    tables cover; others have their own lines.
    """

    def __init__(
        self,
        prepared: Prepared,
        rows: LineTable,
        columns: LineTable,
        *,
        served: tuple[Stretch, Stretch] | None = None,
    ) -> None:
        super().__init__(prepared)
        self.rows, self.columns = rows, columns
        self._exact = ExactPoints(prepared)
        self._served = (rows.stretch, columns.stretch) if served is None else served

    def _part(self, points: Tensor) -> Tensor:
        ys, xs = points[:, 0].contiguous(), points[:, 1].contiguous()
        down, across = self._served
        near = down.serves(self.rows.lattice, ys) & across.serves(self.columns.lattice, xs)
        if bool(near.all()):
            return self._looked_up(ys, xs)
        exact = self._exact.colors(points[~near])
        if not bool(near.any()):
            return exact
        both = exact.new_empty(len(exact), len(points))
        near = near.to(exact.device)
        both[:, ~near] = exact
        both[:, near] = self._looked_up(ys[near.to(ys.device)], xs[near.to(xs.device)])
        return both

    def _looked_up(self, ys: Tensor, xs: Tensor) -> Tensor:
        """Colors (C, P) of few points that the tables serve."""
        row_taps, column_taps = self.rows.taps(ys), self.columns.taps(xs)

        def add_map(level: int, fused: Tensor) -> None:
            products = self.rows.level(level, *row_taps)
            products *= self.columns.level(level, *column_taps)
            _add_sums(fused, products, self._prepared.thickness)

        return self._prepared.color(add_map, len(ys))


class CrossedLines:
    """Colors where chosen rows (L, N, H, D) cross chosen columns (L, N, W, D)."""

    def __init__(self, prepared: Prepared, rows: Tensor, columns: Tensor) -> None:
        self._prepared = prepared
        self._rows, self._columns = rows_of(rows), rows_of(columns)  # in one piece, fetched often

    def colors(self, rows: Tensor, columns: Tensor) -> Tensor:
        """(C, P) colors of rows (P,) and columns (P,), by their indices."""
        parts = zip(rows.split(POINTS), columns.split(POINTS), strict=True)
        return torch.cat([self._part(i, j) for i, j in parts], dim=1)

    def _part(self, i: Tensor, j: Tensor) -> Tensor:
        def add_map(level: int, fused: Tensor) -> None:
            products = self._rows[level].index_select(0, i)
            products *= self._columns[level].index_select(0, j)
            _add_sums(fused, products, self._prepared.thickness)

        return self._prepared.color(add_map, len(i))


def _add_sums(fused: Tensor, products: Tensor, thickness: int) -> None:
    """Add products (P, D * N) of rows and columns to features (N, P): eq. 3 of CREPS."""
    fused += products.unflatten(1, (thickness, -1)).sum(1).T


class TableStore:
    """The line tables of one latent: as fine as it needs, grown when a picture reaches beyond.

    Thread-safe, one thread at a time. An axis' table takes at most `limit` bytes.
    """

    def __init__(self, prepared: Prepared, *, limit: int = TABLE_BYTES) -> None:
        self._prepared, self._limit = prepared, limit
        self._resolution: TableResolution | None = None
        self._tables: dict[Axis, LineTable] = {}
        self._lock = threading.Lock()

    @property
    def resolution(self) -> TableResolution:
        """How fine the tables are; found out when first needed."""
        with self._lock:
            return self._found()

    @property
    def nbytes(self) -> int:
        """Bytes of the tables."""
        with self._lock:
            return sum(table.nbytes for table in self._tables.values())

    def source(self, samples: Tensor, *, points: int) -> PointColors:
        """Colors at the points of a picture, by the cheapest way.

        The same in every call with the same arguments, whatever other pictures the tables serve;
        exact lines where the picture has too few `points` for tables. `samples` (S, 2) are spread
        over the whole picture as its points are.
        """
        if self._worthwhile(samples, points, first_resolution(self._prepared)) is None:
            return ExactPoints(self._prepared)  # for which no resolution need be found
        with self._lock:
            stretches = self._worthwhile(samples, points, self._found().nodes)
            if stretches is None:
                return ExactPoints(self._prepared)
            down, across = stretches
            rows, columns = self._covering("rows", down), self._covering("columns", across)
        return TablePoints(self._prepared, rows, columns, served=stretches)

    def clear(self) -> None:
        """Keep no tables."""
        with self._lock:
            self._tables.clear()

    def _found(self) -> TableResolution:
        if self._resolution is None:
            self._resolution = find_resolution(self._prepared)
        return self._resolution

    def _lattice(self, resolution: int) -> Lattice:
        on_cpu = self._prepared.device.type == "cpu"
        return Lattice(resolution, BLOCK if on_cpu else ACCELERATOR_BLOCK)

    def _worthwhile(
        self, samples: Tensor, points: int, resolution: int
    ) -> tuple[Stretch, Stretch] | None:
        """Where tables pay, for rows and columns; None if nowhere."""
        lattice, weight = self._lattice(resolution), points / max(len(samples), 1)
        longest = self._limit // self._block_bytes(lattice)
        down, across = (
            worthwhile_stretch(each, lattice, weight=weight, longest=longest)
            for each in samples.unbind(1)
        )
        return None if down is None or across is None else (down, across)

    def _covering(self, axis: Axis, stretch: Stretch) -> LineTable:
        """The table of an axis, grown if need be."""
        known = self._tables.get(axis)
        if known is not None and stretch in known.stretch:
            return known
        lattice = self._lattice(self._found().nodes)
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

    It begins and ends at blocks with coordinates (S,), each of which represents `weight` points of
    the picture; None if no stretch has more points than nodes. Where it would be longer than
    `longest` blocks, only those around the middle of the unit square count.
    """
    places = coords.numpy(force=True)
    reach = (longest - 2) * lattice.block / lattice.resolution / 2
    places = places[np.abs(places - 0.5) <= reach]
    if not len(places):
        return None
    cells = np.floor(places * lattice.resolution).astype(np.int64)
    blocks, counts = np.unique(cells // lattice.block, return_counts=True)
    # The best of all stretches i .. j, by prefix sums (Kadane): gaps between them cost nodes too.
    before = np.concatenate([[0], np.cumsum(counts)[:-1]]) * weight - blocks * lattice.block
    after = np.cumsum(counts) * weight - (blocks + 1) * lattice.block
    start = np.minimum.accumulate(before)
    j = int(np.argmax(after - start))
    if after[j] - start[j] <= 0:
        return None
    i = int(np.argmin(before[: j + 1]))
    held = (places >= blocks[i] * lattice.block / lattice.resolution) & (
        places < (blocks[j] + 1) * lattice.block / lattice.resolution
    )
    return Stretch.around(lattice, float(places[held].min()), float(places[held].max()))
