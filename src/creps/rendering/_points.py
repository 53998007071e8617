"""Colors at free points of the plane: warped pictures at about the price of straight ones.

Tables of lines are worth building where more points than nodes lie, and a point elsewhere has its
own lines evaluated. Where the border is depends on the whole picture alone, never on the part or
tile that is painted.

Shapes: P points, C colors, L levels, N channels of a line, D thickness.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creps.networks.base import Prepared
from creps.rendering._tables import (
    COARSEST,
    TABLE_BYTES,
    UNIT,
    Cells,
    LineTables,
    Taps,
    channels_last,
)

POINTS = 2048
"""Points composed at once on a CPU: rows and columns of a level are 1 MiB each with `portraits`, 2
with the 512 preset."""
CROSSINGS = 1024
"""The same where lines cross that are not looked up."""
ACCELERATOR_POINTS = 2**16
TOLERANCE = 0.5
"""Largest error of a color, in gray levels of 255, about."""
CELL_NODES = 4
"""Nodes that a cell of the coarsest length is taken to cost, where tables are weighed against exact
lines: networks as rough as the 512 preset with random weights need as many."""


class PointColors(ABC):
    """Colors anywhere on the plane."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared

    @torch.inference_mode()
    def colors(self, points: Tensor) -> Tensor:
        """Colors (C, ...) at finite points (..., 2) of (y, x), nominally [-1, 1], unclipped."""
        device = self._prepared.device
        flat = self._prepared.on_first_period(points.reshape(-1, 2))
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
    """Colors at free points from line tables, within the `served` stretches of rows and columns.

    Other points have their own lines, and so have those in places that are too rough for a table.
    """

    def __init__(
        self, prepared: Prepared, rows: Cells, columns: Cells, *, served: tuple[Stretch, Stretch]
    ) -> None:
        super().__init__(prepared)
        self._rows, self._columns, self._served = rows, columns, served
        self._exact = ExactPoints(prepared)

    def _part(self, points: Tensor) -> Tensor:
        ys, xs = points[:, 0].contiguous(), points[:, 1].contiguous()
        down, across = self._rows.holding(ys), self._columns.holding(xs)
        near = (down >= 0) & (across >= 0)
        near &= self._served[0].contains(ys) & self._served[1].contains(xs)
        if bool(near.all()):
            return self._looked_up(self._rows.taps(ys, down), self._columns.taps(xs, across))
        exact = self._exact.colors(points[~near])
        if not bool(near.any()):
            return exact
        both = exact.new_empty(len(exact), len(points))
        there = near.to(exact.device)
        both[:, ~there] = exact
        both[:, there] = self._looked_up(
            self._rows.taps(ys[near], down[near]), self._columns.taps(xs[near], across[near])
        )
        return both

    def _looked_up(self, rows: Taps, columns: Taps) -> Tensor:
        """Colors (C, P) of few points."""

        def add_map(level: int, fused: Tensor) -> None:
            products = rows.level(level)
            products *= columns.level(level)
            _add_sums(fused, products, self._prepared.thickness)

        return self._prepared.color(add_map, len(rows))


class CrossedLines:
    """Colors where chosen rows (L, N, H, D) cross chosen columns (L, N, W, D)."""

    def __init__(self, prepared: Prepared, rows: Tensor, columns: Tensor) -> None:
        self._prepared = prepared
        self._rows, self._columns = (
            channels_last(rows),
            channels_last(columns),
        )  # in one piece, fetched often

    def colors(self, rows: Tensor, columns: Tensor) -> Tensor:
        """(C, P) colors of rows (P,) and columns (P,), by their indices."""
        size = CROSSINGS if rows.device.type == "cpu" else ACCELERATOR_POINTS
        # Fresh memory for each part would cost more than the arithmetic.
        pair = self._rows.new_empty(2, min(size, len(rows)), self._rows.shape[2])
        parts = zip(rows.split(size), columns.split(size), strict=True)
        return torch.cat([self._part(i, j, pair[:, : len(i)]) for i, j in parts], dim=1)

    def _part(self, i: Tensor, j: Tensor, pair: Tensor) -> Tensor:
        def add_map(level: int, fused: Tensor) -> None:
            products, others = pair
            torch.index_select(self._rows[level], 0, i, out=products)
            torch.index_select(self._columns[level], 0, j, out=others)
            _add_sums(fused, products.mul_(others), self._prepared.thickness)

        return self._prepared.color(add_map, len(i))


def _add_sums(fused: Tensor, products: Tensor, thickness: int) -> None:
    """Add products (P, D * N) of rows and columns to features (N, P): eq. 3 of CREPS.

    The products are lost.
    """
    while thickness % 2 == 0:  # a third of the time of one sum over all
        thickness //= 2
        size = thickness * len(fused)
        products = products[:, :size].add_(products[:, size : 2 * size])
    fused += products.unflatten(1, (thickness, -1)).sum(1).T


@dataclass(frozen=True)
class Stretch:
    """Consecutive cells of the coarsest length, the first and the last included."""

    first: int
    last: int

    def contains(self, coords: Tensor) -> Tensor:
        """Which coordinates lie in these cells."""
        place = coords * COARSEST
        return (place >= self.first) & (place < self.last + 1)

    @property
    def places(self) -> NDArray[np.int64]:
        """Where its shortest cells begin, in units of nodes."""
        cell = UNIT // COARSEST
        return np.arange(self.first * cell, (self.last + 1) * cell, 2)


class TableStore:
    """The line tables of one latent, by tolerance. Any number of threads may use it."""

    def __init__(self, prepared: Prepared, *, limit: int = TABLE_BYTES) -> None:
        self._prepared, self._limit = prepared, limit
        self._tables: dict[float, LineTables] = {}
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of the tables."""
        with self._lock:
            return sum(tables.nbytes for tables in self._tables.values())

    def of(self, tolerance: float) -> LineTables:
        """The tables of a tolerance, in gray levels of 255, above 0."""
        with self._lock:
            if tolerance not in self._tables:
                self._tables[tolerance] = LineTables(
                    self._prepared, tolerance=tolerance, limit=self._limit
                )
            return self._tables[tolerance]

    def source(self, samples: Tensor, *, points: int, tolerance: float = TOLERANCE) -> PointColors:
        """Colors at the points of a picture, by the cheapest way.

        The same in every call with the same arguments, whatever other pictures the tables serve;
        exact lines where the picture has too few `points` for tables. `samples` (S, 2) are spread
        over the whole picture as its points are.
        """
        each, samples = self._prepared, self._prepared.on_first_period(samples)
        node = each.num_levels * each.line_channels * each.thickness * each.dtype.itemsize
        longest, weight = self._limit // (node * CELL_NODES), points / max(len(samples), 1)
        down, across = (
            worthwhile_stretch(one, weight=weight, longest=longest) for one in samples.unbind(1)
        )
        if down is None or across is None:
            return ExactPoints(each)
        tables = self.of(tolerance)
        rows = tables.table("rows").covering(down.places)
        columns = tables.table("columns").covering(across.places)
        return TablePoints(each, rows, columns, served=(down, across))

    def clear(self) -> None:
        """Keep no tables."""
        with self._lock:
            self._tables.clear()


def worthwhile_stretch(coords: Tensor, *, weight: float, longest: int) -> Stretch | None:
    """The cells that have most points beyond their nodes, taken together.

    It begins and ends at cells with coordinates (S,), each of which represents `weight` points of
    the picture; None if no stretch has more points than nodes. Where it would be longer than
    `longest` cells, only those around the middle of the unit square count.
    """
    places = coords.numpy(force=True)
    reach = (longest - 2) / COARSEST / 2
    places = places[np.abs(places - 0.5) <= reach]
    if not len(places):
        return None
    cells, counts = np.unique(np.floor(places * COARSEST).astype(np.int64), return_counts=True)
    # The best of all stretches i .. j, by prefix sums (Kadane): gaps between them cost nodes too.
    before = np.concatenate([[0], np.cumsum(counts)[:-1]]) * weight - cells * CELL_NODES
    after = np.cumsum(counts) * weight - (cells + 1) * CELL_NODES
    start = np.minimum.accumulate(before)
    j = int(np.argmax(after - start))
    if after[j] - start[j] <= 0:
        return None
    return Stretch(int(cells[np.argmin(before[: j + 1])]), int(cells[j]))
