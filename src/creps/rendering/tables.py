"""Pictures on free grids from line tables: any warp at about the price of an axis-aligned picture.

A warped pixel has a row and a column coordinate of its own, and a line costs hundreds of times what
a pixel costs. But lines are continuous functions of one coordinate. So they are evaluated once on
two lattices, one an axis, and looked up by cubic interpolation: four neighbouring nodes a point.

*How many nodes.* Leaky ReLUs put kinks everywhere, so the error of the picture falls like spacing
to the power 1.5, whatever the order of interpolation: with the 512 preset and random weights to
2.5, 0.9, 0.26 of 255 at 512, 1,024, 2,048 nodes a plane unit with cubic and 2.0, 0.8, 0.24 with
8-point interpolation. The spacing is therefore tried out, not derived: at random probe coordinates
the finished picture from looked-up lines is compared with that from exact lines, and the spacing
shrinks until the largest difference is within the tolerance. A trial needs the few nodes around the
probes only; the whole tables are paid for once, and have those very nodes.

*How to look up.* `embedding_bag` sums four weighted rows of 256 numbers about as fast as the cache
delivers them. Lookup, product and sum over the thickness then cost a third of the per-pixel
network, need no coherence between neighbouring points, and exist for one level of a thousand
points at a time. Composing a lattice of maps around each tile and resampling those maps
was measured too: a quarter for a rotation, but much more for warps that spread a tile's points.

Shapes: L levels, N channels of a line, D thickness, S samples along an axis, P points, C colours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from creps.errors import GridError, UsageError
from creps.networks.creps import Axis
from creps.networks.creps_inference import PreparedCreps
from creps.rendering.workers import map_in_order, worker_count

Extent = tuple[float, float, float, float]
"""(y0, x0, y1, x1) in plane units that holds all points; y0 == y1 and x0 == x1 are welcome."""

TOLERANCE = 0.5 / 255
"""Largest error at the probes, as a share of the range of colours (they span 2: [-1, 1]): half a
grey level of an 8-bit picture. A whole picture has more pixels than there are probes, and a few
larger errors: this keeps them below one grey level."""
COARSEST, FINEST_START = 1024, 2048
"""Nodes a plane unit in the first trial: the second number where lines are cheap. Trained models
have rare errors far above the usual ones, which probes can miss; there, more nodes cost little."""
START_FLOPS = 20e9
"""Arithmetic for a plane unit of both tables up to which lines are cheap."""
MAX_NODES = 8192
"""Nodes of a table: 56 MiB with the 512 preset."""
MARGIN = 3
"""Nodes beyond a table's range: one before and two after, for the cubic at its ends."""

NODE_CHUNK = 128
"""Nodes whose lines are one job for a worker."""
POINTS = 1024
"""Points looked up and composed at once on a CPU: rows and columns of a level are 1 MiB each."""
ACCELERATOR_POINTS = 2**16

PROBE_FLOPS = 16e9
"""Arithmetic for the exact lines of the probes: 2 % of a megapixel of the 512 preset."""
FEWEST_PROBES, MOST_PROBES = 24, 256
"""Probe coordinates of an axis; every row probe meets every column probe."""
PROBES_A_PLACE = 3
"""Neighbouring probes share nodes, so that a trial evaluates about two nodes a probe."""
ERROR_ORDER = 1.5
"""The error falls with the spacing to about this power."""
SMALLEST_STEP = 1.1
"""A trial that fails shrinks the spacing by this factor at least."""

_AXES: tuple[Axis, Axis] = ("rows", "columns")


class Composer(Protocol):
    """Colours anywhere on the plane."""

    def colours(self, points: Tensor) -> Tensor:
        """Colours (C, ...) at points (..., 2) of (y, x)."""


class LineTable:
    """The lines of one axis on a lattice, to be looked up in between.

    Attributes:
        start, stop: the coordinates it serves.
        spacing: between nodes, in plane units.
        nodes: how many there are.
    """

    def __init__(self, prepared: PreparedCreps, axis: Axis, span: _Span) -> None:
        self.start, self.stop, self.spacing = span.start, span.stop, span.spacing
        self.nodes = span.nodes
        self._span, self._thickness = span, prepared.thickness
        self._lines = _node_lines(prepared, axis, span.coords(torch.arange(span.nodes)))

    @classmethod
    def build(
        cls, prepared: PreparedCreps, axis: Axis, *, start: float, stop: float, spacing: float
    ) -> LineTable:
        """Evaluate the lines from `start` to `stop` and the neighbours that interpolation needs.

        Args:
            prepared: a network for one latent (`creps_inference.prepare`).
            axis: "rows" or "columns".
            start, stop: plane coordinates, start <= stop.
            spacing: between nodes, > 0.
        Raises:
            GridError: for a range or spacing that makes no sense.
        """
        if not (start <= stop and spacing > 0 and stop - start < float("inf")):
            raise GridError(
                f"line table from {start} to {stop} with spacing {spacing}: "
                "expected a finite range and a positive spacing"
            )
        return cls(prepared, axis, _Span(start, stop, spacing))

    def taps(self, coords: Tensor) -> tuple[Tensor, Tensor]:
        """Which nodes a coordinate (P,) is interpolated from, (P, 4), and their weights (P, 4).

        Raises:
            GridError: for coordinates outside the table, or not finite.
        """
        low, high = (float(edge) for edge in coords.aminmax())
        if not (self.start <= low and high <= self.stop):  # also where they are not numbers
            raise GridError(
                f"coordinates from {low} to {high}: this table serves {self.start} to {self.stop}"
            )
        index, weights = self._span.taps(coords)
        return index, weights.to(self._lines.dtype)

    def level(self, level: int, index: Tensor, weights: Tensor) -> Tensor:
        """Interpolated lines (P, D * N) of one level, at `taps`."""
        return _weighted_rows(self._lines[level], index, weights)

    @torch.inference_mode()
    def lookup(self, coords: Tensor) -> Tensor:
        """Interpolated lines (L, N, P, D) at coordinates (P,), shaped as exact ones."""
        return _lookup(self._lines, *self.taps(coords), thickness=self._thickness)


class TableComposer:
    """Colours at free points from a pair of line tables.

    Attributes:
        rows, columns: the tables.
        error: largest difference to exact lines at the probes, as a share of the range of colours
            (1 / 255 is a grey level of an 8-bit picture).
    """

    def __init__(
        self, prepared: PreparedCreps, rows: LineTable, columns: LineTable, *, error: float
    ) -> None:
        self.rows, self.columns, self.error = rows, columns, error
        self._prepared = prepared

    @property
    def nodes(self) -> int:
        """Lines evaluated for both tables."""
        return self.rows.nodes + self.columns.nodes

    @classmethod
    def build(
        cls,
        prepared: PreparedCreps,
        extent: Extent,
        *,
        generator: torch.Generator,
        tolerance: float = TOLERANCE,
        max_nodes: int = MAX_NODES,
    ) -> TableComposer:
        """Tables for all points within an extent, as fine as the picture needs.

        On a CPU, as many chunks of nodes are evaluated at once as torch has threads.

        Args:
            prepared: a network for one latent.
            extent: (y0, x0, y1, x1) that holds all points to come.
            generator: draws the probes; on the CPU.
            tolerance: largest error at the probes, as a share of the range of colours.
            max_nodes: of one table, >= 5; reached before the tolerance, `error` tells.
        Raises:
            GridError: if the extent is not finite or reversed.
            UsageError: for an impossible tolerance or limit.
        """
        fewest = MARGIN + 2
        if not tolerance > 0 or max_nodes < fewest:
            raise UsageError(
                f"tolerance {tolerance} with at most {max_nodes} nodes: expected a positive "
                f"tolerance and at least {fewest} nodes"
            )
        y0, x0, y1, x1 = extent
        if not (y0 <= y1 and x0 <= x1 and y1 - y0 < float("inf") and x1 - x0 < float("inf")):
            raise GridError(f"extent {extent}: expected finite y0 <= y1 and x0 <= x1")
        trials = _Trials(prepared, extent, generator)
        finest = max(y1 - y0, x1 - x0) / (max_nodes - MARGIN - 1)
        affordable = START_FLOPS / (2 * prepared.line_flops)
        spacing = max(1 / min(max(affordable, COARSEST), FINEST_START), finest)
        while (error := trials.error(spacing)) > tolerance and spacing > finest:
            shrink = max((error / tolerance) ** (1 / ERROR_ORDER), SMALLEST_STEP)
            spacing = max(spacing / shrink, finest)
        rows = LineTable(prepared, "rows", _Span(y0, y1, spacing))
        columns = LineTable(prepared, "columns", _Span(x0, x1, spacing))
        return cls(prepared, rows, columns, error=error)

    @torch.inference_mode()
    def colours(self, points: Tensor) -> Tensor:
        """Colours at points anywhere within the tables.

        Args:
            points: (..., 2) of (y, x), for example (H, W, 2); at least one.
        Returns:
            (C, ...), for example (C, H, W), nominal range [-1, 1], not clipped.
        Raises:
            GridError: for points outside the tables, or not finite.
        """
        flat = _flat(points, self._prepared.device)
        parts = flat.split(_points_at_once(self._prepared))
        return _joined([self._part(part) for part in parts], points)

    def _part(self, points: Tensor) -> Tensor:
        """Colours (C, P) of few points (P, 2)."""
        row_taps, column_taps = self.rows.taps(points[:, 0]), self.columns.taps(points[:, 1])
        thickness = self._prepared.thickness

        def add_map(level: int, fused: Tensor) -> None:
            products = self.rows.level(level, *row_taps)
            products *= self.columns.level(level, *column_taps)
            fused += products.unflatten(1, (thickness, -1)).sum(1).T  # eq. 3, (N, P)

        return self._prepared.colour(add_map, len(points))


class ExactComposer:
    """Colours at free points from lines of their own; each distinct coordinate is evaluated once.

    Slow, as a line costs hundreds of times what a pixel costs: for checks, and for few coordinates.
    A call holds the lines of all its coordinates (7 KiB each with the 512 preset): give it a tile.
    """

    def __init__(self, prepared: PreparedCreps) -> None:
        self._prepared = prepared

    @torch.inference_mode()
    def colours(self, points: Tensor) -> Tensor:
        """Colours (C, ...) at points (..., 2), as `TableComposer.colours`.

        Raises:
            GridError: for points that are not finite.
        """
        flat = _flat(points, self._prepared.device)
        ys, row_of = flat[:, 0].unique(return_inverse=True)
        xs, column_of = flat[:, 1].unique(return_inverse=True)
        rows, columns = self._prepared.lines(ys, "rows"), self._prepared.lines(xs, "columns")
        size = _points_at_once(self._prepared)
        parts = [
            self._prepared.compose_points(rows.index_select(2, i), columns.index_select(2, j))
            for i, j in zip(row_of.split(size), column_of.split(size), strict=True)
        ]
        return _joined(parts, points)


@dataclass(frozen=True)
class _Span:
    """A lattice that serves coordinates start .. stop: node k lies at start + (k - 1) * spacing."""

    start: float
    stop: float
    spacing: float

    @property
    def nodes(self) -> int:
        return int((self.stop - self.start) / self.spacing) + 1 + MARGIN

    def coords(self, index: Tensor) -> Tensor:
        """Plane coordinates (float64) of nodes."""
        return self.start + (index.double() - 1) * self.spacing

    def taps(self, coords: Tensor) -> tuple[Tensor, Tensor]:
        """Nodes and weights (both (P, 4)) of the cubic through the slopes of its neighbours.

        Cubic convolution with a = -1/2 (Keys, 1981), alias Catmull-Rom.
        """
        place = (coords - self.start) / self.spacing
        cell = place.floor().clamp_(0, self.nodes - MARGIN - 1)
        t = place - cell
        weights = torch.stack(
            [
                t * (t * (2 - t) - 1),
                t * t * (3 * t - 5) + 2,
                t * (t * (4 - 3 * t) + 1),
                t * t * (t - 1),
            ],
            dim=1,
        )
        index = cell.long()[:, None] + torch.arange(4, device=coords.device)
        return index, weights / 2


class _Trials:
    """The error of a spacing at random probes, before the whole tables are paid for."""

    @torch.inference_mode()
    def __init__(self, prepared: PreparedCreps, extent: Extent, generator: torch.Generator) -> None:
        self._prepared = prepared
        y0, x0, y1, x1 = extent
        self._ranges = {"rows": (y0, y1), "columns": (x0, x1)}
        affordable = int(PROBE_FLOPS / (2 * prepared.line_flops))
        places = min(max(affordable, FEWEST_PROBES), MOST_PROBES) // PROBES_A_PLACE
        self._probes = {
            axis: _clustered(*self._ranges[axis], places, generator=generator).to(prepared.device)
            for axis in _AXES
        }
        self._truth = prepared.compose(
            *(_parallel_lines(prepared, axis, self._probes[axis]) for axis in _AXES)
        )

    @torch.inference_mode()
    def error(self, spacing: float) -> float:
        """Largest difference to exact lines, as a share of the range of colours."""
        picture = self._prepared.compose(*(self._looked_up(axis, spacing) for axis in _AXES))
        return float((picture - self._truth).abs().max()) / 2

    def _looked_up(self, axis: Axis, spacing: float) -> Tensor:
        """Lines (L, N, P, D) at the probes, from the nodes around them."""
        span = _Span(*self._ranges[axis], spacing)
        index, weights = span.taps(self._probes[axis])
        needed, place = index.unique(return_inverse=True)
        lines = _node_lines(self._prepared, axis, span.coords(needed))
        weights = weights.to(lines.dtype)
        return _lookup(lines, place, weights, thickness=self._prepared.thickness)


def _clustered(start: float, stop: float, places: int, *, generator: torch.Generator) -> Tensor:
    """Coordinates within start .. stop, a few close ones at each of some random places."""
    reach = min(PROBES_A_PLACE / COARSEST, stop - start)
    first = torch.rand(places, 1, generator=generator, dtype=torch.float64)
    offset = torch.rand(places, PROBES_A_PLACE, generator=generator, dtype=torch.float64)
    coords = start + first * (stop - start - reach) + offset * reach
    return coords.flatten().clamp_(start, stop)


def _parallel_lines(prepared: PreparedCreps, axis: Axis, coords: Tensor) -> Tensor:
    """`prepared.lines`, chunks side by side on the cores."""
    shape = prepared.num_levels, prepared.line_channels, len(coords), prepared.thickness
    result = torch.empty(shape, dtype=prepared.dtype, device=prepared.device)

    def job(first: int) -> None:
        part = slice(first, first + NODE_CHUNK)
        prepared.lines(coords[part], axis, out=result[:, :, part])

    for _ in map_in_order(
        job, range(0, len(coords), NODE_CHUNK), workers=worker_count(prepared.device)
    ):
        pass
    return result


def _node_lines(prepared: PreparedCreps, axis: Axis, coords: Tensor) -> Tensor:
    """Lines of nodes as rows to be summed, (L, S, D * N): channels last, so that a sum over the
    thickness runs along them."""
    lines = _parallel_lines(prepared, axis, coords)
    return lines.permute(0, 2, 3, 1).flatten(2)


def _weighted_rows(rows: Tensor, index: Tensor, weights: Tensor) -> Tensor:
    """Rows (S, M), which of them (P, 4) and weights (P, 4) to their sums (P, M)."""
    return F.embedding_bag(index, rows, per_sample_weights=weights, mode="sum")


def _lookup(lines: Tensor, index: Tensor, weights: Tensor, *, thickness: int) -> Tensor:
    """(L, N, P, D) from nodes (L, S, D * N)."""
    levels = [_weighted_rows(level, index, weights) for level in lines]
    return torch.stack(levels).unflatten(2, (thickness, -1)).permute(0, 3, 1, 2)


def _points_at_once(prepared: PreparedCreps) -> int:
    return POINTS if prepared.device.type == "cpu" else ACCELERATOR_POINTS


def _flat(points: Tensor, device: torch.device) -> Tensor:
    """(P, 2) float64 of any (..., 2)."""
    if points.ndim < 1 or points.shape[-1] != 2 or not points.numel():
        raise GridError(
            f"points of shape {tuple(points.shape)}: expected at least one, (..., 2) of (y, x)"
        )
    if not points.isfinite().all():
        raise GridError("points that are not finite: expected plane coordinates (y, x)")
    return points.reshape(-1, 2).to(device, torch.float64)


def _joined(parts: list[Tensor], points: Tensor) -> Tensor:
    """Colours (C, P) of all parts as (C, ...) of the points (..., 2)."""
    return torch.cat(parts, dim=1).view(-1, *points.shape[:-1])
