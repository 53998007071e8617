"""How dense a line table must be, tried out on the very latent that it is for.

Leaky ReLUs put kinks everywhere, so the error of the picture falls like spacing to the power 1.5,
whatever the order of interpolation: with the 512 preset and random weights to 2.5, 0.9, 0.26 of 255
at 512, 1,024, 2,048 nodes a plane unit with cubic and 2.0, 0.8, 0.24 with 8-point interpolation.
The density is therefore tried out, not derived: at random probe coordinates the finished picture
from looked-up lines is compared with that from exact lines, until the largest difference is within
the tolerance. A trial needs the few nodes around the probes only.

The probes lie on the unit square and around it, the same for every picture: the density belongs to
the latent, whatever part of the plane is seen, and all its pictures can share their tables.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from creps.errors import UsageError
from creps.networks.prepared import Axis, Prepared, coordinate_device
from creps.rendering.drawing.lines import prepared_lines
from creps.rendering.drawing.tables import Lattice, weighted_rows

TOLERANCE = 0.5 / 255
"""Largest error at the probes, as a share of the range of colours (they span 2: [-1, 1]): half a
grey level of an 8-bit picture. A whole picture has more pixels than there are probes, and a few
larger errors: this keeps them below one grey level."""
COARSEST, FINEST_START = 1024, 4096
"""Nodes a plane unit in the first trial: the second number where lines are cheap. Trained models
have rare errors far above the usual ones, which probes can miss; there, more nodes cost little."""
START_FLOPS = 24e9
"""Arithmetic for a plane unit of both tables up to which lines are cheap."""
DENSEST = 8192
"""Nodes a plane unit at most: 56 MiB with the 512 preset."""
STEP = 64
"""Densities are multiples of this."""

PROBED = (-0.25, 1.25)
"""Where the probes lie, on both axes, in plane units."""
PROBE_FLOPS = 16e9
"""Arithmetic for the exact lines of the probes: 2 % of a megapixel of the 512 preset."""
FEWEST_PROBES, MOST_PROBES = 24, 256
"""Probe coordinates of an axis; every row probe meets every column probe."""
PROBES_A_PLACE = 3
"""Neighbouring probes share nodes, so that a trial evaluates about two nodes a probe."""
SEED = 0
"""Of the probes."""
ERROR_ORDER = 1.5
"""The error falls with the spacing to about this power."""

_AXES: tuple[Axis, Axis] = ("rows", "columns")


class Density(NamedTuple):
    """How dense tables are, and how good that is.

    Attributes:
        nodes: a plane unit.
        error: largest difference to exact lines at the probes, as a share of the range of colours
            (1 / 255 is a grey level of an 8-bit picture).
    """

    nodes: int
    error: float


def first_density(prepared: Prepared) -> int:
    """Nodes a plane unit of the first trial; no table is less dense."""
    affordable = START_FLOPS / (2 * prepared.line_flops)
    return STEP * round(min(max(affordable, COARSEST), FINEST_START) / STEP)


@torch.inference_mode()
def find_density(
    prepared: Prepared, *, tolerance: float = TOLERANCE, densest: int = DENSEST
) -> Density:
    """The density that a latent's pictures need; the same in every call.

    In half precision, where rounding is coarser than any table, it is the first that is tried.

    Args:
        prepared: a network for one latent.
        tolerance: largest error at the probes, as a share of the range of colours.
        densest: nodes a plane unit at most; reached before the tolerance, the error tells.
    Raises:
        UsageError: for a tolerance that is not positive.
    """
    if not tolerance > 0:
        raise UsageError(f"tolerance {tolerance}: expected a positive share of the colours' range")
    probes = _Probes(prepared)
    nodes = min(first_density(prepared), densest)
    halved = prepared.dtype.itemsize < torch.float32.itemsize
    while (error := probes.error(nodes)) > tolerance and nodes < densest and not halved:
        wanted = nodes * (error / tolerance) ** (1 / ERROR_ORDER)
        nodes = min(max(STEP * math.ceil(wanted / STEP), nodes + STEP), densest)
    return Density(nodes, error)


class _Probes:
    """A picture of probe rows and columns, from exact lines and from looked-up ones."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        affordable = int(PROBE_FLOPS / (2 * prepared.line_flops))
        places = min(max(affordable, FEWEST_PROBES), MOST_PROBES) // PROBES_A_PLACE
        draws = torch.Generator().manual_seed(SEED)
        device = coordinate_device(prepared.device)
        self._coords = {axis: _clustered(places, draws).to(device) for axis in _AXES}
        rows, columns = (prepared_lines(prepared, self._coords[axis], axis) for axis in _AXES)
        self._truth = prepared.compose(rows, columns)

    def error(self, density: int) -> float:
        """Largest difference to exact lines, as a share of the range of colours."""
        rows, columns = (self._looked_up(axis, Lattice(density)) for axis in _AXES)
        return float((self._prepared.compose(rows, columns) - self._truth).abs().max()) / 2

    def _looked_up(self, axis: Axis, lattice: Lattice) -> Tensor:
        """Lines (L, N, P, D) at the probes, from the nodes around them."""
        nodes, weights = lattice.taps(self._coords[axis])
        needed, index = nodes.unique(return_inverse=True)
        lines = prepared_lines(self._prepared, needed.double() / lattice.density, axis)
        rows = lines.permute(0, 2, 3, 1).flatten(2)  # (L, nodes, D * N)
        index, weights = index.to(rows.device), weights.to(rows.dtype).to(rows.device)
        looked_up = torch.stack([weighted_rows(level, index, weights) for level in rows])
        return looked_up.unflatten(2, (self._prepared.thickness, -1)).permute(0, 3, 1, 2)


def _clustered(places: int, draws: torch.Generator) -> Tensor:
    """Coordinates within `PROBED`, a few close ones at each of some random places."""
    low, high = PROBED
    reach = PROBES_A_PLACE / COARSEST
    first = torch.rand(places, 1, generator=draws, dtype=torch.float64)
    offset = torch.rand(places, PROBES_A_PLACE, generator=draws, dtype=torch.float64)
    return (low + first * (high - low - reach) + offset * reach).flatten()
