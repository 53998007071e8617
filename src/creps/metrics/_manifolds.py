"""Precision, recall, density and coverage of two sets of features: pure maths, no networks.

Each set stands for the union of balls around its features, a ball reaching to the k-th nearest
neighbour in the same set. Shapes: N and M samples, D features.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from creps.errors import UsageError
from creps.metrics._distances import Features, checked_pair

NEIGHBOURS = 3
"""The k of the field for precision and recall (Kynkaanniemi et al. 2019, section 3.1)."""

_BLOCK = 1024  # rows of a distance matrix held at a time


class ManifoldScores(NamedTuple):
    """How two sets overlap, each number 0 .. 1 except density.

    Attributes:
        precision: share of the generated within a ball of a real one: are they plausible?
        recall: share of the real within a ball of a generated one: is anything left out?
        density: balls of real ones around a generated one, over k: like precision, but one real
            outlier with a huge ball cannot lift it far. 1 in expectation for equal sets.
        coverage: share of the real with a generated one in their own ball: like recall, measured
            by the balls of the real, so that scattered garbage cannot lift it.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def manifold_scores(
    generated: Features, real: Features, *, neighbours: int = NEIGHBOURS
) -> ManifoldScores:
    """Improved precision and recall, density and coverage.

    Precision and recall: Kynkaanniemi et al. 2019, eq. 1 and 2. Density and coverage: Naeem et al.
    2020, eq. 4 and 5. All depend on N and M: compare only values of equal counts and k.

    Args:
        generated, real: (N, D) and (M, D) features, N and M > neighbours.
        neighbours: k, >= 1; 3 is the field's for precision and recall, 5 for the other two.
    Raises:
        UsageError: for too few samples, differing widths or features that are not finite.
    Example:
        >>> line = np.arange(8.0)[:, None]
        >>> manifold_scores(line, line + 100, neighbours=1).precision
        0.0
    """
    if neighbours < 1:
        raise UsageError(f"{neighbours} neighbours: expected at least 1")
    generated, real = checked_pair(generated, real, minimum=neighbours + 1)
    radii_real = neighbour_radii(real, neighbours)
    radii_generated = neighbour_radii(generated, neighbours)
    inside_real = np.zeros(len(generated), np.int64)  # balls of real ones around each generated
    reached = np.zeros(len(real), bool)  # real ones within a ball of a generated one
    covered = np.zeros(len(real), bool)  # real ones with a generated one in their ball
    for first in range(0, len(generated), _BLOCK):
        part = slice(first, first + _BLOCK)
        distances = squared_distances(generated[part], real)
        within = distances <= radii_real[None]
        inside_real[part] = within.sum(1)
        covered |= within.any(0)
        reached |= (distances <= radii_generated[part, None]).any(0)
    return ManifoldScores(
        precision=float((inside_real > 0).mean()),
        recall=float(reached.mean()),
        density=float(inside_real.mean() / neighbours),
        coverage=float(covered.mean()),
    )


def neighbour_radii(x: NDArray[np.float64], neighbours: int) -> NDArray[np.float64]:
    """(N,) squared distance from each row of x (N, D) to its k-th nearest other row; k < N."""
    radii = np.empty(len(x))
    for first in range(0, len(x), _BLOCK):
        distances = squared_distances(x[first : first + _BLOCK], x)
        rows = np.arange(len(distances))
        distances[rows, first + rows] = -1.0  # itself comes first, duplicates of it do not
        radii[first : first + _BLOCK] = np.partition(distances, neighbours, axis=1)[:, neighbours]
    return radii


def nearest(
    x: NDArray[np.float64], others: NDArray[np.float64], *, count: int = 1
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The nearest rows of another set.

    Args:
        x: (N, D).
        others: (M, D), M >= count.
        count: how many for each row.
    Returns:
        (N, count) indices into `others`, nearest first, and their distances (not squared).
    Raises:
        UsageError: if there are fewer than `count` others.
    """
    if not 1 <= count <= len(others):
        raise UsageError(f"{count} neighbours among {len(others)} samples: expected 1 to that many")
    indices = np.empty((len(x), count), np.int64)
    distances = np.empty((len(x), count))
    for first in range(0, len(x), _BLOCK):
        part = slice(first, first + _BLOCK)
        block = squared_distances(x[part], others)
        order = np.argsort(block, axis=1, kind="stable")[:, :count]
        indices[part] = order
        distances[part] = np.sqrt(np.take_along_axis(block, order, axis=1))
    return indices, distances


def squared_distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, M) squared Euclidean distances of the rows of two sets, >= 0, exactly 0 for copies."""
    # Around a common centre: the difference of large squares would lose what matters.
    centre = b.mean(0)
    a, b = a - centre, b - centre
    sizes = np.square(a).sum(1)[:, None] + np.square(b).sum(1)
    squares: NDArray[np.float64] = sizes - 2 * a @ b.T
    squares[squares < 1e-12 * sizes] = 0.0  # rounding
    return squares
