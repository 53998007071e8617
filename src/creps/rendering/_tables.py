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
line in the middle of a cell is predicted from the four nodes at and beyond its ends, and those at
its ends from nodes and middles around them: a kink that one of the three hardly sees is seen by
another. How far would colors be off (see `Roughness`)? A cell whose three lines pass is done: lines
in it are interpolated with the exact middles as further nodes, at half the spacing that was tested.
Others are halved, and the halves tested. So no evaluation is for the test alone, and what a table
says of a coordinate depends on the latent and the tolerance, never on what was asked before, or by
whom.

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
EDGE_STEPS = 16
"""Steps in which an edge of the picture is crossed, from a known pixel to the next."""
EDGES_AT_ONCE = 1024
"""Pixels of edges that are computed at once."""
EVEN, UNEVEN = 2.0, 0.7
"""Where the sampled cells are alike, within this factor, the network is as rough everywhere: so are
random weights. Then errors between nodes twice as dense as those tested are foretold by
`ERROR_ORDER`, and may be the tolerance. Elsewhere details hide between nodes, so already the
tested errors may be no more than this share of the tolerance. Of 40 seeds of `portraits` colors
are off by 0.72 of a gray level at most, at edges; with 0.9 by 1.36."""
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
detail. At 4,096 px, the 512 preset with random weights takes 2,224 lines instead of 8,416."""
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


Rule = tuple[tuple[float, ...], tuple[float, ...]]
MIDDLES: Rule = (-1.5, -0.5, 0.5, 1.5), (-1 / 16, 9 / 16, 9 / 16, -1 / 16)
"""How the line in the middle of a cell is predicted: from how far away, in cells, and weights."""
ENDS: Rule = (-1.0, -0.5, 0.5, 1.0), (-1 / 6, 2 / 3, 2 / 3, -1 / 6)
"""And the lines at the ends of cells; both are exact for cubics."""


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
        """Which cells have middles and ends that follow from the nodes around them."""
        errors = self._errors.setdefault(length, {})
        three = (0, length // 2, length)
        missing = sorted({s + k for s in starts for k in three} - errors.keys())
        for rule, half in ((ENDS, 0), (MIDDLES, length // 2)):
            nodes = [node for node in missing if node % length == half]
            errors.update(zip(nodes, self._tested(nodes, length, rule), strict=True))
        most = self._roughness.allowed(self._tolerance)
        return [s for s in starts if all(errors[s + k] <= most for k in three)]

    def _tested(self, nodes: list[int], length: int, rule: Rule) -> list[float]:
        """The errors of colors, in gray levels, where lines of nodes are predicted from others."""
        away, weights = rule
        around = [[node + int(k * length) for node in nodes] for k in away]
        self._evaluate([*nodes, *(node for each in around for node in each)])
        errors: list[float] = []
        for first in range(0, len(nodes), TESTED):
            part = slice(first, first + TESTED)
            foretold = combined([self._held(each[part]) for each in around], weights)
            off = foretold.sub_(self._held(nodes[part]))
            errors += self._roughness.of(off, self._axis).tolist()
        return errors

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
        """(L, S, D * N) lines of nodes."""
        index = torch.tensor([self._row_of[n] for n in nodes], device=self._cells.nodes.device)
        return self._cells.nodes.index_select(1, index)

    @property
    def _line_bytes(self) -> int:
        return (
            self._cells.nodes.shape[0] * self._cells.nodes.shape[2] * self._prepared.dtype.itemsize
        )


def _five(start: int, length: int) -> tuple[int, ...]:
    """The nodes that lines of a cell are interpolated from."""
    half = length // 2
    return tuple(start + k * half for k in range(-1, 4))


def combined(lines: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """A weighted sum of lines."""
    total = weights[0] * lines[0]
    for weight, each in zip(weights[1:], lines[1:], strict=True):
        total.add_(each, alpha=weight)
    return total


class Roughness:
    """How far the lines of a latent are from smooth, and what that does to colors.

    To judge each line by colors would cost as much as the lines. Nearly all of a picture forgives
    errors, but its edges do not: there a composed map (eq. 3) decides between colors. So some of
    the hardest edges are looked for where known lines cross, and derivatives of their colors are
    taken, once. A line is as far off as its error would move one of these colors, to first order.

    Attributes:
        errors: in gray levels, of the middles of some cells of the coarsest length; infinite where
            nothing can be predicted.
    """

    @torch.inference_mode()
    def __init__(self, prepared: Prepared) -> None:
        draws = torch.Generator().manual_seed(0)
        coords = {axis: _sample(draws) for axis in _AXES}
        lines = {axis: prepared_lines(prepared, own, axis) for axis, own in coords.items()}
        rows, columns = (
            lines[axis].index_select(2, own.argsort().to(prepared.device))
            for axis, own in coords.items()
        )
        self._changes = _changes_at_edges(prepared, rows, columns)
        middles = []
        for axis, own in lines.items():
            truth, *around = channels_last(own[:, :, : 5 * CELLS]).split(CELLS, dim=1)
            error = self.of(combined(around, MIDDLES[1]) - truth, axis)
            step = self.of(around[1] - truth, axis)
            middles.append(error.where(error < NOISE * step, torch.inf))
        self.errors = torch.cat(middles)

    def of(self, difference: Tensor, axis: Axis) -> Tensor:
        """(S,) gray levels by which differences of lines (L, S, D * N) change colors at edges."""
        changes = self._changes[axis]
        return (difference.to(changes) @ changes).sum(0).abs_().amax(1)

    @property
    def even(self) -> bool:
        """Whether the latent is about as rough everywhere."""
        low, high = self.errors.aminmax()
        return bool(high.isfinite() & (high <= EVEN * low))

    def allowed(self, tolerance: float) -> float:
        """What the errors of tested lines may be for colors within a tolerance."""
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


def _changes_at_edges(prepared: Prepared, rows: Tensor, columns: Tensor) -> dict[Axis, Tensor]:
    """(L, D * N, P * C) of each axis: what to multiply lines by for changes of colors, in gray
    levels, at the hardest edges that rows (L, N, H, D) and columns (L, N, W, D) meet, in order.

    An edge is where colors differ most from one crossing of lines to the next. It is crossed in
    small steps, and derivatives are taken in the middle of the steepest.
    """
    colors = prepared.compose(rows, columns)
    down = (colors[:, 1:] - colors[:, :-1]).abs_().amax(0).argmax(0)  # of each column
    across = (colors[:, :, 1:] - colors[:, :, :-1]).abs_().amax(0).argmax(1)  # of each row
    own_rows, own_columns = (torch.arange(len(each)).to(each) for each in (across, down))
    above, below = torch.cat([down, own_rows]), torch.cat([down + 1, own_rows])
    left, right = torch.cat([own_columns, across]), torch.cat([own_columns, across + 1])
    first = (rows[:, :, above] * columns[:, :, left]).sum(3)  # (L, N, P)
    step = ((rows[:, :, below] * columns[:, :, right]).sum(3) - first) / EDGE_STEPS

    count = torch.arange(EDGE_STEPS + 1).to(first)[:, None]
    on_the_way = _levels(prepared, first[:, :, None] + count * step[:, :, None])
    size, steepest = (on_the_way[:, 1:] - on_the_way[:, :-1]).abs_().amax(0).max(0)
    edges = first + (steepest + 0.5) * step
    # Maps are moved so far that colors change by about a gray level.
    way = (step.square().sum((0, 1)).sqrt() / size.clamp(min=1e-3)).clamp(min=1e-30)  # (P,)
    maps = edges.shape[0] * edges.shape[1]
    each = torch.eye(maps, maps + 1).view(*edges.shape[:2], -1, 1).to(edges)  # none at the end
    moved = _levels(prepared, edges[:, :, None] + each * way)
    slopes = ((moved[:, :-1] - moved[:, -1:]) / way).unflatten(1, edges.shape[:2])
    crossed: dict[Axis, Tensor] = {"rows": columns[:, :, left], "columns": rows[:, :, above]}
    return {
        axis: torch.einsum("clnp,lnpd->ldnpc", slopes, lines.to(slopes)).flatten(3).flatten(1, 2)
        for axis, lines in crossed.items()
    }


def _levels(prepared: Prepared, maps: Tensor) -> Tensor:
    """Gray levels (C, K, P) of maps (L, N, K, P)."""

    def colors(part: Tensor) -> Tensor:
        return prepared.color(lambda level, fused: fused.add_(part[level]), part.shape[2])

    parts = [colors(part) for part in maps.flatten(2).split(EDGES_AT_ONCE, dim=2)]
    return torch.cat(parts, dim=1).unflatten(1, maps.shape[2:]) * (255 / 2)


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
