"""Line tables: the lines of one axis at nodes as dense as the picture's detail, looked up between.

A line costs hundreds of times what a pixel costs. But lines are continuous functions of one
coordinate, and where pixels lie closer together than the detail, or everywhere, as in a warped
picture, most of them follow from a few: the four nodes around a coordinate, by cubic interpolation.

*How dense.* Leaky ReLUs put kinks everywhere, so the error of the picture falls like spacing to the
power 1.5, whatever the order of interpolation: rms and largest, in gray levels, with the 512 preset
and random weights at spacings of 1/512, 1/1,024 and 1/2,048, cubic: 0.28 and 1.9, 0.10 and 0.57,
0.033 and 0.24; with 8 points 0.28 and 1.7, 0.10 and 0.53, 0.032 and 0.23. Trained networks are a
tenth as rough in most places, with rare places far above: `portraits` at 1/1,024 has errors of
0.03 in half of all places, 0.13 in the worst tenth, 0.5 in the worst hundredth, at most 1.7.
So each place gets the density that it needs.

*Cells.* The axis is cut into cells of a `COARSEST`-th of a plane unit, anchored to the plane. The
line in the middle of a cell is predicted from the four nodes at and beyond its ends, and compared
with the exact one: how far would colors be off (see `Roughness`)? A cell that passes, as do its
neighbors, is done: lines in it are interpolated with the exact middles as further nodes, at half
the spacing that was tested. Others are halved, and the halves tested. So no evaluation is for the
test alone, and what a table says of a coordinate depends on the latent and the tolerance, never on
what was asked before, or by whom.

*Where it pays.* For warped pictures, whose pixels have lines of their own, wherever more points
than nodes lie. For straight ones along long axes of networks with dear lines, where samples lie far
closer together than nodes. Cells that would need nodes about as close as samples are left to lines
of their own; and a few cells say how rough a latent is before it is looked up at all: noise costs
128 lines more than the exact way.

Shapes: L levels, N channels of a line, D thickness, P points, S samples along an axis.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from creps.networks.base import Axis, Prepared, coordinate_device
from creps.rendering._lines import prepared_lines

COARSEST = 512
"""Cells a plane unit that are tested first: as many pixels a side as models are trained to
resolve, and at least 14 for the shortest wave of the widest preset."""
FINEST = 2**14
"""Cells a plane unit at most; where even these fail, lines are evaluated."""
UNIT = 2 * FINEST
"""Nodes have whole numbers: their place in plane units times this."""
HALF_PRECISION = 1024
"""Cells a plane unit where the network computes in half precision, which no table is as coarse as:
they are not tested."""

CELLS, PLACES = 4, 44
"""Where it is measured how rough a latent is: cells of an axis, of five lines each, and further
single lines."""
NUDGE = 0.01
"""Share of the way to another line by which lines are moved to see what that does to colors."""
GAIN_QUANTILE = 0.998
"""Of the errors of colors over those of the maps that they are made of: nearly the largest."""
CAUTION = 1.5
"""Times what is measured. With 1.0, one cell in a hundred of `portraits` is off by more than the
tolerance somewhere; with 1.5, one in a thousand."""
EVEN, UNEVEN = 2.0, 0.6
"""Where the sampled cells are alike, within this factor, the network is as rough everywhere: so are
random weights. Then errors between nodes twice as dense as those tested are foretold by
`ERROR_ORDER`, and may be the tolerance. Elsewhere details hide between nodes, so already the
tested errors may be no more than this share of the tolerance. With `portraits`, seed 1, swirled,
colors are off by 0.5 of a gray level at most; with 1.0 by 1.2."""
ERROR_ORDER, NOISE = 1.5, 0.5
"""Errors fall with the spacing to about this power; but where they are as large, as a share of
those of a neighboring node instead of the predicted middle, there is nothing but noise."""
PAYS = 4
"""Cells at least this many samples long are worth their nodes: two a cell, and some for tests."""
PASS = 0.8
"""Share of the cells of some length that must pass before a picture is looked up at all."""
LARGE, TIMES, TYPICAL = 2048, 1.8, 2048
"""Samples of an axis from which it may be looked up; how many times as many as its nodes they must
be; and nodes a plane unit that are expected where details may hide. Sparse evaluation needs few
lines of a small picture, and three quarters of those of a large one: somewhere along each is a
detail. At 4,096 px, the 512 preset with random weights takes 2,624 lines instead of 8,416."""
DEAR = 100
"""Times the arithmetic of a pixel, from which lines of straight pictures are worth looking up:
the 512 preset has 476. With `portraits`, 42, a table of 8,192 px takes the time that it spares."""
TABLE_BYTES = 2**28
"""Bytes of the nodes of an axis, about: 37,449 of the 512 preset. Beyond, a table begins anew."""
TESTED = 256
"""Cells whose errors are computed at once."""
CHUNK = 4096
"""Samples of an axis that are looked up at once."""

Places = NDArray[np.int64]


def cubic_weights(t: Tensor) -> Tensor:
    """(P, 4) weights of four even samples at -1, 0, 1, 2 for places t (P,) from 0 to 1.

    Cubic convolution with a = -1/2 (Keys, 1981), alias Catmull-Rom.

    Example:
        >>> cubic_weights(torch.tensor([0.5])).tolist()
        [[-0.0625, 0.5625, 0.5625, -0.0625]]
    """
    weights = [
        t * (t * (2 - t) - 1),
        t * t * (3 * t - 5) + 2,
        t * (t * (4 - 3 * t) + 1),
        t * t * (t - 1),
    ]
    return torch.stack(weights, dim=1) / 2


MIDDLE = tuple(cubic_weights(torch.tensor([0.5]))[0].tolist())


def channels_last(lines: Tensor) -> Tensor:
    """Lines (L, N, S, D) as rows (L, S, D * N): sums over D run along the channels."""
    return lines.permute(0, 2, 3, 1).flatten(2)


class Taps:
    """Which rows of a table (P, 4) some coordinates are interpolated from, and their weights."""

    def __init__(self, nodes: Tensor, index: Tensor, weights: Tensor) -> None:
        self._nodes = nodes
        self._index = index.to(nodes.device)
        self._weights = weights.to(nodes.device, nodes.dtype)

    def __len__(self) -> int:
        return len(self._index)

    def level(self, level: int) -> Tensor:
        """Interpolated lines (P, D * N) of one level, channels last."""
        # `embedding_bag` sums weighted rows about as fast as the cache delivers them.
        rows = self._nodes[level]
        return F.embedding_bag(self._index, rows, per_sample_weights=self._weights, mode="sum")


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of a table that passed, as they stand at one moment; they never change.

    Attributes:
        nodes: (L, rows, D * N) lines; rows in use are never written again.
        start, length: (cells,) sorted, in units of nodes.
        rows: (cells, 5) which nodes lie half a length before a cell, at its start, middle and end,
            and half a length after.
    """

    nodes: Tensor
    start: Tensor
    length: Tensor
    rows: Tensor

    def holding(self, coords: Tensor, shortest: int = 1) -> Tensor:
        """(P,) the cell of each coordinate, of at least this length; -1 where there is none."""
        place = (coords * UNIT).nan_to_num(nan=torch.inf)
        cell = torch.searchsorted(self.start.double(), place, right=True) - 1
        if not len(self.start):
            return cell
        known = cell.clamp(min=0)
        end = self.start[known] + self.length[known]
        good = (cell >= 0) & (place < end) & (self.length[known] >= shortest)
        return cell.where(good, -1)

    def taps(self, coords: Tensor, cell: Tensor) -> Taps:
        """How coordinates (P,) in these cells (P,) are looked up."""
        half = self.length[cell] / 2
        place = (coords * UNIT - self.start[cell]) / half  # 0 to 2
        second = place >= 1
        first = self.rows[cell]
        index = first[:, 1:].where(second[:, None], first[:, :-1])
        return Taps(self.nodes, index, cubic_weights(place - second.to(place)))


class LineTable:
    """The lines of one axis of a latent, at nodes as dense as a tolerance asks for.

    It grows where it is asked. Any number of threads may use it: one at a time computes what is
    missing, the others wait only if they miss something too.

    Args:
        prepared: the network of the latent.
        axis: "rows" or "columns".
        roughness: what errors of its lines do to colors.
        tolerance: largest error of a color, in gray levels of 255.
        limit: bytes of nodes; beyond them it forgets all it knows.
    """

    def __init__(
        self,
        prepared: Prepared,
        axis: Axis,
        roughness: Roughness,
        *,
        tolerance: float,
        limit: int = TABLE_BYTES,
    ) -> None:
        self._prepared, self._axis, self._roughness = prepared, axis, roughness
        self._tolerance, self._limit = tolerance, limit
        self._lock = threading.Lock()
        self._forget()

    @property
    def nodes(self) -> int:
        """How many lines it holds."""
        return len(self._row_of)

    @property
    def nbytes(self) -> int:
        """Bytes of the lines."""
        return self._cells.nodes.nbytes

    def clear(self) -> None:
        """Forget all lines."""
        with self._lock:
            self._forget()

    @torch.inference_mode()
    def lines(self, coords: Tensor, *, shortest: int = 1) -> Tensor:
        """(L, N, S, D) lines of coordinates (S,), from cells of at least a length (units of nodes).

        Where there are none, the lines are exact.
        """
        each = self._prepared
        shape = each.num_levels, each.line_channels, len(coords), each.thickness
        result = torch.empty(shape, dtype=each.dtype, device=each.device)
        for first in range(0, len(coords), CHUNK):
            part = slice(first, first + CHUNK)
            self._fill(coords[part], result[:, :, part], shortest)
        return result

    @torch.inference_mode()
    def covering(self, places: Places, *, shortest: int = 1) -> Cells:
        """The cells that hold places (in units of nodes), and others, of at least a length.

        There are none where shorter ones would be needed.
        """
        with self._lock:
            self._grow(np.unique(places), shortest)
            return self._cells

    def _fill(self, coords: Tensor, out: Tensor, shortest: int) -> None:
        coords = coords.to(coordinate_device(self._prepared.device))
        cells = self._cells
        cell = cells.holding(coords, shortest)
        if bool((cell < 0).any()):
            places = np.floor(coords.numpy(force=True) * UNIT).astype(np.int64)
            cells = self.covering(places, shortest=shortest)
            cell = cells.holding(coords, shortest)
        served = cell >= 0
        exact = ~served
        if bool(served.any()):
            taps = cells.taps(coords[served], cell[served])
            own = served.to(out.device)
            for level, lines in enumerate(out):
                rows = taps.level(level).unflatten(1, (-1, lines.shape[0]))  # (S, D, N)
                lines[:, own] = rows.permute(2, 0, 1)
        if bool(exact.any()):
            out[:, :, exact.to(out.device)] = prepared_lines(
                self._prepared, coords[exact], self._axis
            )

    # What follows needs the lock.

    def _forget(self) -> None:
        each = self._prepared
        width = each.thickness * each.line_channels
        self._row_of: dict[int, int] = {}  # of each node
        self._errors: dict[int, dict[int, float]] = {}  # of cells, by length and start
        self._shown: dict[int, set[int]] = {}  # cells that passed, the same way
        self._leaves: list[tuple[int, int]] = []  # their starts and lengths
        device = coordinate_device(each.device)
        nothing = torch.empty(0, dtype=torch.int64, device=device)
        nodes = torch.empty(each.num_levels, 0, width, dtype=each.dtype, device=each.device)
        self._cells = Cells(nodes, nothing, nothing, nothing.view(0, 5))

    def _grow(self, places: Places, shortest: int) -> None:
        """Test cells that hold places, longest first, until each lies in one that passes."""
        halved = self._prepared.dtype.itemsize < torch.float32.itemsize
        length = UNIT // (HALF_PRECISION if halved else COARSEST)
        if self.nodes * self._line_bytes > self._limit:
            self._forget()
        known = len(self._leaves)
        while len(places) and length >= max(shortest, UNIT // FINEST):
            starts = places // length * length
            cells = np.unique(starts).tolist()
            good = set(cells if halved else self._passing(cells, length))
            fresh = good - self._shown.setdefault(length, set())
            self._shown[length] |= fresh
            self._leaves += [(start, length) for start in fresh]
            places = places[np.isin(starts, list(good), invert=True)]
            length //= 2
        if len(self._leaves) > known:
            self._publish(known)

    def _passing(self, starts: list[int], length: int) -> list[int]:
        """Which cells have middles that follow from the nodes around them, and neighbors whose do.

        A kink near a quarter of a cell shows little in its own middle.
        """
        errors = self._errors.setdefault(length, {})
        three = (-length, 0, length)
        missing = sorted({s + k for s in starts for k in three} - errors.keys())
        if missing:
            errors.update(zip(missing, self._tested(missing, length), strict=True))
        most = self._roughness.allowed(self._tolerance)
        return [s for s in starts if all(errors[s + k] <= most for k in three)]

    def _tested(self, starts: list[int], length: int) -> list[float]:
        """The errors of colors, in gray levels, of predicted middles of cells."""
        around = [[s + k * length for s in starts] for k in range(-1, 3)]
        middles = [s + length // 2 for s in starts]
        self._evaluate([*middles, *(node for nodes in around for node in nodes)])
        errors = [
            self._roughness.of(
                predicted([self._held(nodes[part]) for nodes in around])
                - self._held(middles[part]),
                self._axis,
            )
            for part in (slice(k, k + TESTED) for k in range(0, len(starts), TESTED))
        ]
        return torch.cat(errors).tolist()

    def _publish(self, known: int) -> None:
        """Show the cells that passed, with the nodes that they need."""
        fresh = self._leaves[known:]
        self._evaluate([node for leaf in fresh for node in _five(*leaf)])
        self._leaves.sort()
        device = self._cells.start.device
        start, length = torch.tensor(self._leaves, device=device).unbind(1)
        rows = [[self._row_of[node] for node in _five(*leaf)] for leaf in self._leaves]
        self._cells = Cells(
            self._cells.nodes, start.contiguous(), length, torch.tensor(rows, device=device)
        )

    def _evaluate(self, nodes: Sequence[int]) -> None:
        """Have the lines of nodes."""
        missing = sorted({node for node in nodes if node not in self._row_of})
        if not missing:
            return
        held = self._cells.nodes
        first, last = len(self._row_of), len(self._row_of) + len(missing)
        if last > held.shape[1]:
            more = held.new_empty(held.shape[0], max(last, 2 * held.shape[1]), held.shape[2])
            more[:, :first] = held[:, :first]
            held = more
            before = self._cells
            self._cells = Cells(held, before.start, before.length, before.rows)
        coords = torch.tensor(missing, dtype=torch.float64) / UNIT
        lines = prepared_lines(self._prepared, coords, self._axis)
        held[:, first:last] = channels_last(lines)
        self._row_of.update(zip(missing, range(first, last), strict=True))

    def _held(self, nodes: Sequence[int]) -> Tensor:
        """(L, N, S, D) lines of nodes."""
        index = torch.tensor([self._row_of[n] for n in nodes], device=self._cells.nodes.device)
        rows = self._cells.nodes.index_select(1, index)
        return rows.unflatten(2, (self._prepared.thickness, -1)).permute(0, 3, 1, 2)

    @property
    def _line_bytes(self) -> int:
        return (
            self._cells.nodes.shape[0] * self._cells.nodes.shape[2] * self._prepared.dtype.itemsize
        )


def _five(start: int, length: int) -> tuple[int, ...]:
    """The nodes that lines of a cell are interpolated from."""
    half = length // 2
    return tuple(start + k * half for k in range(-1, 4))


def predicted(around: Sequence[Tensor]) -> Tensor:
    """Lines in the middle of cells, from those at four nodes."""
    total = MIDDLE[0] * around[0]
    for weight, lines in zip(MIDDLE[1:], around[1:], strict=True):
        total += weight * lines
    return total


class Roughness:
    """How far the lines of a latent are from smooth, and what that does to colors.

    To judge each line by colors would cost as much as the lines. So it is judged by the composed
    maps (eq. 3): the norm, over channels and levels, of their errors where the line crosses a few
    known lines of the other axis, times what such errors cost in gray levels. That is found by
    moving known lines a little towards others, wherever they cross.

    Attributes:
        errors: in gray levels, of the middles of some cells of the coarsest length; infinite where
            nothing can be predicted.
    """

    @torch.inference_mode()
    def __init__(self, prepared: Prepared) -> None:
        draws = torch.Generator().manual_seed(0)
        lines: dict[Axis, Tensor] = {}
        for axis in _AXES:
            lines[axis] = prepared_lines(prepared, _sample(draws), axis)
        self._crossed: dict[Axis, Tensor] = {"rows": lines["columns"], "columns": lines["rows"]}
        before = prepared.compose(lines["rows"], lines["columns"])
        gains = []
        for axis, own in lines.items():
            moved = own.lerp(own.roll(own.shape[2] // 2, dims=2), NUDGE)
            both = (moved, lines["columns"]) if axis == "rows" else (lines["rows"], moved)
            changes = (prepared.compose(*both) - before).abs().amax(0) * (255 / 2)
            norms = self._norms(moved - own, axis)
            gains.append(changes / (norms if axis == "rows" else norms.T).clamp(min=1e-30))
        self._gain = float(torch.stack(gains).float().flatten().quantile(GAIN_QUANTILE))
        middles = []
        for axis, own in lines.items():
            truth, *around = own[:, :, : 5 * CELLS].split(CELLS, dim=2)
            error, step = (self.of(each - truth, axis) for each in (predicted(around), around[1]))
            middles.append(error.where(error < NOISE * step, torch.inf))
        self.errors = torch.cat(middles)

    def of(self, difference: Tensor, axis: Axis) -> Tensor:
        """(S,) gray levels by which differences of lines (L, N, S, D) change colors, about."""
        return CAUTION * self._gain * self._norms(difference, axis).square().mean(1).sqrt()

    @property
    def even(self) -> bool:
        """Whether the latent is about as rough everywhere."""
        low, high = self.errors.aminmax()
        return bool(high.isfinite() & (high <= EVEN * low))

    def allowed(self, tolerance: float) -> float:
        """What the errors of the middles of cells may be for colors within a tolerance."""
        return tolerance * (2**ERROR_ORDER if self.even else UNEVEN)

    def passing(self, length: int, tolerance: float) -> float:
        """The share of cells of a length (in units of nodes) that are expected to pass."""
        scale = (length * COARSEST / UNIT) ** ERROR_ORDER
        return float((self.errors * scale <= self.allowed(tolerance)).double().mean())

    def nodes(self, tolerance: float) -> int:
        """How many nodes a plane unit takes, about."""
        length = UNIT // COARSEST
        while length > UNIT // FINEST and self.passing(length, tolerance) < PASS:
            length //= 2
        return max(2 * UNIT // length, 0 if self.even else TYPICAL)

    def _norms(self, difference: Tensor, axis: Axis) -> Tensor:
        """(S, P) norms of what differences of lines (L, N, S, D) do to maps."""
        maps = difference @ self._crossed[axis].mT  # (L, N, S, P)
        return maps.square_().sum((0, 1)).sqrt_()


def _sample(draws: torch.Generator) -> Tensor:
    """Coordinates of middles of cells, of the nodes around them, and of single lines."""
    offsets = torch.tensor([0.5, -1.0, 0.0, 1.0, 2.0], dtype=torch.float64) / COARSEST
    count = CELLS + PLACES
    strata = torch.arange(count) + torch.rand(count, generator=draws, dtype=torch.float64)
    places = strata[torch.randperm(count, generator=draws)] / count
    return torch.cat([(offsets[:, None] + places[:CELLS]).flatten(), places[CELLS:]])


class LineTables:
    """The line tables of one latent for one tolerance, and where they pay.

    Any number of threads may use them.

    Args:
        prepared: the network of the latent.
        tolerance: largest error of a color, in gray levels of 255, above 0.
        limit: bytes of nodes of an axis, about.
    """

    def __init__(self, prepared: Prepared, *, tolerance: float, limit: int = TABLE_BYTES) -> None:
        self._prepared, self._tolerance, self._limit = prepared, tolerance, limit
        self._lock = threading.Lock()
        self._roughness: Roughness | None = None
        self._tables: dict[Axis, LineTable] = {}

    @property
    def nbytes(self) -> int:
        """Bytes of the tables."""
        return sum(table.nbytes for table in list(self._tables.values()))

    @property
    def nodes(self) -> int:
        """How many lines they hold."""
        return sum(table.nodes for table in list(self._tables.values()))

    def table(self, axis: Axis) -> LineTable:
        """The table of an axis."""
        roughness = self.roughness
        with self._lock:
            if axis not in self._tables:
                self._tables[axis] = LineTable(
                    self._prepared,
                    axis,
                    roughness,
                    tolerance=self._tolerance,
                    limit=self._limit,
                )
            return self._tables[axis]

    @property
    def roughness(self) -> Roughness:
        """How rough the latent is; found out when first needed."""
        with self._lock:
            if self._roughness is None:
                self._roughness = Roughness(self._prepared)
            return self._roughness

    def shortest(self, step: float, *, samples: int) -> int | None:
        """How short cells of an axis may be, in units of nodes, where samples lie `step` apart.

        None where an axis of so many samples has its own lines evaluated.
        """
        length = UNIT // FINEST
        while length < PAYS * step * UNIT:
            length *= 2
        cheap = self._prepared.line_flops < DEAR * self._prepared.pixel_flops
        if length > UNIT // COARSEST or samples < LARGE or cheap:
            return None
        if self._prepared.dtype.itemsize < torch.float32.itemsize:
            density, passing = 2 * HALF_PRECISION, length <= UNIT // HALF_PRECISION
        else:
            density = self.roughness.nodes(self._tolerance)
            passing = self.roughness.passing(length, self._tolerance) >= PASS
        nodes = density * step * samples + CELLS * 5 + PLACES
        return length if passing and samples >= TIMES * nodes else None


_AXES: tuple[Axis, Axis] = ("rows", "columns")
