"""Line tables: the lines of one axis on a lattice of nodes, to be looked up in between.

A warped pixel has its own row and column coordinate, and a line costs hundreds of times what
a pixel costs. But lines are continuous functions of one coordinate. So they are evaluated once on a
lattice, and looked up by cubic interpolation: four neighboring nodes a point.

*One lattice for the plane.* Node k lies at k / resolution, and nodes are evaluated in whole blocks.
So what a table says of a point does not depend on which part of the plane it covers, to the last
bit, and a table can grow.

*How to look up.* `embedding_bag` sums four weighted rows of 256 numbers about as fast as the cache
delivers them. Lookup, product and sum over the thickness then cost a third of the per-pixel
network, need no coherence between neighboring points, and exist for one level of a thousand points
at a time. Composing a lattice of maps around each tile and resampling those maps was measured too:
a quarter for a rotation, but much more for warps that spread a tile's points.

*How fine.* Leaky ReLUs put kinks everywhere, so the error of the picture falls like spacing to the
power 1.5, whatever the order of interpolation: with the 512 preset and random weights to 2.5, 0.9,
0.26 of 255 at 512, 1,024, 2,048 nodes a plane unit with cubic and 2.0, 0.8, 0.24 with 8-point
interpolation. The resolution is therefore tried out, not derived: at random probe coordinates the
finished picture from looked-up lines is compared with that from exact lines, until the largest
difference is within the tolerance. A trial needs the few nodes around the probes only. The probes
lie on the unit square and around it, the same for every picture: the resolution belongs to the
latent, whatever part of the plane is seen, and all its pictures can share their tables.

Shapes: L levels, N channels of a line, D thickness, P points.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from creps.errors import GridError
from creps.networks.base import Axis, Prepared, coordinate_device
from creps.rendering._lines import prepared_lines
from creps.rendering._workers import map_in_order, worker_count

BLOCK, ACCELERATOR_BLOCK = 64, 512
"""Nodes that are evaluated together: on a CPU no slower than more at once."""
BEFORE, AFTER = 1, 2
"""Nodes before and after a cell that the cubic in it needs, besides its first."""

TOLERANCE = 0.5 / 255
"""Largest error at the probes, as a share of the range of colors (they span 2: [-1, 1]): half a
gray level of an 8-bit picture. A whole picture has more pixels than there are probes, and a few
larger errors: this keeps them below one gray level."""
COARSEST, FINEST_START = 1024, 4096
"""Nodes a plane unit in the first trial: the second number where lines are cheap. Trained models
have rare errors far above the usual ones, which probes can miss; there, more nodes cost little."""
START_FLOPS = 24e9
"""Arithmetic for a plane unit of both tables up to which lines are cheap."""
FINEST = 8192
"""Nodes a plane unit at most: 56 MiB with the 512 preset."""
STEP = 64
"""Resolutions are multiples of this."""
ERROR_ORDER = 1.5
"""The error falls with the spacing to about this power."""

PROBED = (-0.25, 1.25)
"""Where the probes lie, on both axes, in plane units."""
PROBE_FLOPS = 16e9
"""Arithmetic for the exact lines of the probes: 2 % of a megapixel of the 512 preset."""
FEWEST_PROBES, MOST_PROBES = 24, 256
"""Probe coordinates of an axis; every row probe meets every column probe."""
PROBES_A_PLACE = 3
"""Neighboring probes share nodes, so that a trial evaluates about two nodes a probe."""

_AXES: tuple[Axis, Axis] = ("rows", "columns")


@dataclass(frozen=True)
class Lattice:
    """Nodes k / resolution, in blocks; the resolution is nodes a plane unit."""

    resolution: int
    block: int = BLOCK

    def nodes(self, block: int) -> Tensor:
        """(block,) plane coordinates (float64) of the nodes of a block."""
        first = block * self.block
        return torch.arange(first, first + self.block, dtype=torch.float64) / self.resolution

    def taps(self, coords: Tensor) -> tuple[Tensor, Tensor]:
        """Nodes and weights (both (P, 4)) of the cubic through the slopes of its neighbors.

        Cubic convolution with a = -1/2 (Keys, 1981), alias Catmull-Rom.
        """
        place = coords * self.resolution
        cell = place.floor()
        around = torch.arange(-BEFORE, AFTER + 1, device=coords.device)
        return cell.long()[:, None] + around, cubic_weights(place - cell)


def cubic_weights(t: Tensor) -> Tensor:
    """(P, 4) weights of four even samples at -1, 0, 1, 2 for places t (P,) from 0 to 1.

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


@dataclass(frozen=True)
class Stretch:
    """Consecutive blocks of a lattice, the first and the last included."""

    first: int
    last: int

    @classmethod
    def around(cls, lattice: Lattice, low: float, high: float) -> Stretch:
        """The blocks that serve all coordinates from low to high."""
        first, last = (math.floor(edge * lattice.resolution) for edge in (low, high))
        return cls((first - BEFORE) // lattice.block, (last + AFTER) // lattice.block)

    def __or__(self, other: Stretch) -> Stretch:
        return Stretch(min(self.first, other.first), max(self.last, other.last))

    def __contains__(self, other: Stretch) -> bool:
        return self.first <= other.first and other.last <= self.last

    def __len__(self) -> int:
        return self.last - self.first + 1

    def serves(self, lattice: Lattice, coords: Tensor) -> Tensor:
        """Which coordinates have all their nodes in these blocks; False for NaN."""
        cells = (coords * lattice.resolution).floor()
        first, stop = self.first * lattice.block, (self.last + 1) * lattice.block
        return (cells >= first + BEFORE) & (cells < stop - AFTER)


class LineTable:
    """The lines of one axis at the nodes of a stretch of a lattice; it never changes.

    On a CPU, as many blocks are evaluated at once as torch has threads. Blocks that a `known` table
    of the same network, axis and lattice has are copied.
    """

    def __init__(
        self,
        prepared: Prepared,
        axis: Axis,
        lattice: Lattice,
        *,
        stretch: Stretch,
        known: LineTable | None = None,
    ) -> None:
        self.lattice, self.stretch = lattice, stretch
        width = prepared.thickness * prepared.line_channels
        shape = prepared.num_levels, len(stretch) * lattice.block, width
        self._lines = torch.empty(shape, dtype=prepared.dtype, device=prepared.device)
        missing = []
        for block in range(stretch.first, stretch.last + 1):
            if known is not None and Stretch(block, block) in known.stretch:
                self._part(block).copy_(known._part(block))
            else:
                missing.append(block)

        @torch.inference_mode()
        def evaluate(block: int) -> None:
            self._part(block).copy_(rows_of(prepared.lines(lattice.nodes(block), axis)))

        for _ in map_in_order(evaluate, missing, workers=worker_count(prepared.device)):
            pass

    @property
    def nodes(self) -> int:
        """How many lines it holds."""
        return self._lines.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes of the lines."""
        return self._lines.nbytes

    def taps(self, coords: Tensor) -> tuple[Tensor, Tensor]:
        """Which rows a coordinate (P,) is interpolated from, (P, 4), and their weights (P, 4).

        A GridError for coordinates outside the table, or not finite.
        """
        if not bool(self.stretch.serves(self.lattice, coords).all()):
            low, high = coords.min(), coords.max()
            raise GridError(
                f"coordinates from {low:g} to {high:g}: this table serves blocks "
                f"{self.stretch.first} to {self.stretch.last} of {self.lattice}"
            )
        nodes, weights = self.lattice.taps(coords)
        index = nodes - self.stretch.first * self.lattice.block
        return index.to(self._lines.device), weights.to(self._lines.dtype).to(self._lines.device)

    def level(self, level: int, index: Tensor, weights: Tensor) -> Tensor:
        """Interpolated lines (P, D * N) of one level, at `taps`."""
        return _weighted(self._lines[level], index, weights)

    def _part(self, block: int) -> Tensor:
        first = (block - self.stretch.first) * self.lattice.block
        return self._lines[:, first : first + self.lattice.block]


def rows_of(lines: Tensor) -> Tensor:
    """Lines (L, N, S, D) as rows (L, S, D * N): channels last, as sums over D run along them."""
    return lines.permute(0, 2, 3, 1).flatten(2)


def _weighted(rows: Tensor, index: Tensor, weights: Tensor) -> Tensor:
    """Rows (S, M), which of them (P, 4) and weights (P, 4) to their sums (P, M)."""
    return F.embedding_bag(index, rows, per_sample_weights=weights, mode="sum")


class TableResolution(NamedTuple):
    """Nodes a plane unit, and the largest error at the probes, a share of the colors' range."""

    nodes: int
    error: float


def first_resolution(prepared: Prepared) -> int:
    """Nodes a plane unit of the first trial; no table is coarser."""
    affordable = START_FLOPS / (2 * prepared.line_flops)
    return STEP * round(min(max(affordable, COARSEST), FINEST_START) / STEP)


@torch.inference_mode()
def find_resolution(
    prepared: Prepared, *, tolerance: float = TOLERANCE, finest: int = FINEST
) -> TableResolution:
    """The resolution that a latent's pictures need; the same in every call.

    In half precision, where rounding is coarser than any table, it is the first that is tried. The
    tolerance is the largest error at the probes, as a share of the range of colors; where the
    finest resolution is reached first, the error says so.
    """
    error_at = _probe(prepared)
    nodes = min(first_resolution(prepared), finest)
    halved = prepared.dtype.itemsize < torch.float32.itemsize
    while (error := error_at(nodes)) > tolerance and nodes < finest and not halved:
        wanted = nodes * (error / tolerance) ** (1 / ERROR_ORDER)
        nodes = min(max(STEP * math.ceil(wanted / STEP), nodes + STEP), finest)
    return TableResolution(nodes, error)


def _probe(prepared: Prepared) -> Callable[[int], float]:
    """Measures the largest error of a resolution, in a picture of probe rows and columns."""
    affordable = int(PROBE_FLOPS / (2 * prepared.line_flops))
    places = min(max(affordable, FEWEST_PROBES), MOST_PROBES) // PROBES_A_PLACE
    draws = torch.Generator().manual_seed(0)
    device = coordinate_device(prepared.device)
    coords = {axis: _clustered(places, draws).to(device) for axis in _AXES}
    truth = prepared.compose(*(prepared_lines(prepared, coords[axis], axis) for axis in _AXES))

    def looked_up(axis: Axis, lattice: Lattice) -> Tensor:
        """Lines (L, N, P, D) at the probes, from the nodes around them."""
        nodes, weights = lattice.taps(coords[axis])
        needed, index = nodes.unique(return_inverse=True)
        rows = rows_of(prepared_lines(prepared, needed.double() / lattice.resolution, axis))
        index, weights = index.to(rows.device), weights.to(rows.dtype).to(rows.device)
        levels = torch.stack([_weighted(level, index, weights) for level in rows])
        return levels.view(*levels.shape[:2], prepared.thickness, -1).permute(0, 3, 1, 2)

    def error_at(resolution: int) -> float:
        rows, columns = (looked_up(axis, Lattice(resolution)) for axis in _AXES)
        return float((prepared.compose(rows, columns) - truth).abs().max()) / 2

    return error_at


def _clustered(places: int, draws: torch.Generator) -> Tensor:
    """Coordinates within `PROBED`, a few close ones at each of some random places."""
    low, high = PROBED
    reach = PROBES_A_PLACE / COARSEST
    first = torch.rand(places, 1, generator=draws, dtype=torch.float64)
    offset = torch.rand(places, PROBES_A_PLACE, generator=draws, dtype=torch.float64)
    return (low + first * (high - low - reach) + offset * reach).flatten()
