"""How far two sets of features are apart: distances, overlap, copies. Float64, no networks.

Shapes: N and M samples, D features.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from creps.errors import UsageError

FeatureRows = NDArray[np.floating[Any]]

NEIGHBORS = 3
"""The k of the field for precision and recall (Kynkaanniemi et al. 2019, section 3.1)."""

_BLOCK = 1024  # rows of a kernel or distance matrix held at a time


def frechet_distance(a: FeatureRows, b: FeatureRows) -> float:
    """Frechet distance of two Gaussians with the sets' means and unbiased covariances.

    |mean_a - mean_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) (Heusel et al. 2017, eq. 6). The last
    trace is the nuclear norm of A B^T for any A, B with C_a = A^T A and C_b = B^T B, so it needs no
    matrix square root and stays exact for singular covariances (fewer samples than features).
    The estimate is biased upwards for small sets: compare only values of equal N.

    Args:
        a, b: (N, D) and (M, D) features, N and M >= 2.
    Returns:
        the squared distance, >= 0.
    Raises:
        UsageError: for too few samples, differing widths or features that are not finite.
    Example:
        >>> round(frechet_distance(np.array([[0.0], [2.0]]), np.array([[3.0], [7.0]])), 12)
        18.0
    """
    a, b = checked_pair(a, b, minimum=2)
    shift = a.mean(0) - b.mean(0)
    root_a, root_b = _covariance_root(a), _covariance_root(b)
    overlap = np.linalg.norm(root_a @ root_b.T, "nuc")
    spread = np.square(root_a).sum() + np.square(root_b).sum()  # tr(C_a + C_b)
    return max(float(shift @ shift + spread - 2 * overlap), 0.0)


def _covariance_root(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """(min(N, D), D) matrix R whose R^T R is the unbiased covariance of the rows of x."""
    root: NDArray[np.float64] = np.linalg.qr(x - x.mean(0)).R / np.sqrt(len(x) - 1)
    return root


def kernel_distance(a: FeatureRows, b: FeatureRows) -> float:
    """Kernel distance (KID): unbiased squared MMD with the kernel (x.y / D + 1)^3.

    Unlike the Frechet distance its expectation does not depend on N (Binkowski et al. 2018,
    section 4).

    Args:
        a, b: (N, D) and (M, D) features, N and M >= 2.
    Returns:
        the estimate from all samples; 0 in expectation for equal distributions, so it may be
        slightly negative.
    Raises:
        UsageError: for too few samples, differing widths or features that are not finite.
    Example:
        >>> kernel_distance(np.array([[0.0], [0.0]]), np.array([[1.0], [1.0]]))
        7.0
    """
    return _unbiased_mmd(*checked_pair(a, b, minimum=2))


def kernel_distance_subsets(
    a: FeatureRows,
    b: FeatureRows,
    *,
    generator: np.random.Generator,
    subsets: int = 100,
    size: int = 1000,
) -> tuple[float, float]:
    """Mean and standard deviation of the kernel distance over random subsets of both sets.

    The field uses 100 subsets of 1,000; `generator` draws them, without replacement within each.
    """
    if subsets < 1 or size < 2:
        raise UsageError(
            f"{subsets} subsets of {size} samples: expected at least 1 subset of at least 2"
        )
    a, b = checked_pair(a, b, minimum=size)
    estimates = [
        _unbiased_mmd(
            a[generator.choice(len(a), size, replace=False)],
            b[generator.choice(len(b), size, replace=False)],
        )
        for _ in range(subsets)
    ]
    return float(np.mean(estimates)), float(np.std(estimates))


def _unbiased_mmd(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Binkowski et al. 2018, eq. 4: pairs of a sample with itself are left out."""
    n, m = len(a), len(b)
    within_a = (_kernel_sum(a, a) - _self_sum(a)) / (n * (n - 1))
    within_b = (_kernel_sum(b, b) - _self_sum(b)) / (m * (m - 1))
    return within_a + within_b - 2 * _kernel_sum(a, b) / (n * m)


def _kernel_sum(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Sum of the kernel over all pairs of rows; the whole matrix is never held."""
    blocks = (x[first : first + _BLOCK] for first in range(0, len(x), _BLOCK))
    return float(sum(_cubic(block @ y.T, x.shape[1]).sum() for block in blocks))


def _self_sum(x: NDArray[np.float64]) -> float:
    """Sum of the kernel of each row with itself."""
    return float(_cubic(np.square(x).sum(1), x.shape[1]).sum())


def _cubic(products: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    return (products / width + 1) ** 3


class PrecisionRecall(NamedTuple):
    """How two sets overlap, each number 0 .. 1 except density.

    A set is the union of balls around its features, a ball reaching to the k-th nearest
    neighbor in the same set.

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


def precision_recall(
    generated: FeatureRows, real: FeatureRows, *, neighbors: int = NEIGHBORS
) -> PrecisionRecall:
    """Improved precision and recall, density and coverage.

    Precision and recall: Kynkaanniemi et al. 2019, eq. 1 and 2. Density and coverage: Naeem et al.
    2020, eq. 4 and 5. All depend on N and M: compare only values of equal counts and k.

    Args:
        generated, real: (N, D) and (M, D) features, N and M > neighbors.
        neighbors: k, >= 1; 3 is the field's for precision and recall, 5 for the other two.
    Raises:
        UsageError: for too few samples, differing widths or features that are not finite.
    Example:
        >>> line = np.arange(8.0)[:, None]
        >>> precision_recall(line, line + 100, neighbors=1).precision
        0.0
    """
    if neighbors < 1:
        raise UsageError(f"{neighbors} neighbors: expected at least 1")
    generated, real = checked_pair(generated, real, minimum=neighbors + 1)
    radii_real = neighbor_radii(real, neighbors)
    radii_generated = neighbor_radii(generated, neighbors)
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
    return PrecisionRecall(
        precision=float((inside_real > 0).mean()),
        recall=float(reached.mean()),
        density=float(inside_real.mean() / neighbors),
        coverage=float(covered.mean()),
    )


class Novelty(NamedTuple):
    """How far samples are from real pictures, relative to how far those are from each other.

    Attributes:
        ratio: median of (distance of a sample to the nearest real picture) / (distance of that one
            to the real picture nearest to it). A little above 1 for other real pictures, towards
            0 for copies.
        copies: share of samples with a ratio below one half.
    """

    ratio: float
    copies: float


def novelty(generated: FeatureRows, real: FeatureRows) -> Novelty:
    """Does a model repeat what it has seen? Distances to real pictures over those among them.

    CIPS, appendix E.

    Args:
        generated, real: (N, D) and (M, D) features, N >= 2, M >= 2.
    Raises:
        UsageError: for too few samples, differing widths or features that are not finite.
    """
    generated, real = checked_pair(generated, real, minimum=2)
    indices, distances = nearest(generated, real)
    own = np.sqrt(neighbor_radii(real, 1))[indices[:, 0]]
    # Where the real set repeats itself no distance is left to compare with.
    ratios = distances[:, 0] / np.maximum(own, 1e-6 * np.abs(real).max() + 1e-12)
    return Novelty(float(np.median(ratios)), float((ratios < 0.5).mean()))


def checked_pair(
    a: FeatureRows, b: FeatureRows, *, minimum: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both sets in float64; a UsageError for too few, differing widths or values not finite."""
    for features in (a, b):
        if features.ndim != 2:
            raise UsageError(f"features of shape {features.shape}: expected (N, D)")
        if len(features) < minimum:
            raise UsageError(
                f"{len(features)} samples are too few for this distance: give at least {minimum}"
            )
        if not np.isfinite(features).all():
            raise UsageError("features hold NaN or infinite values: check the pictures")
    if a.shape[1] != b.shape[1]:
        raise UsageError(
            f"features of {a.shape[1]} and {b.shape[1]} numbers: take both with the same extractor"
        )
    return a.astype(np.float64), b.astype(np.float64)


def neighbor_radii(x: NDArray[np.float64], neighbors: int) -> NDArray[np.float64]:
    """(N,) squared distance from each row of x (N, D) to its k-th nearest other row; k < N."""
    radii = np.empty(len(x))
    for first in range(0, len(x), _BLOCK):
        distances = squared_distances(x[first : first + _BLOCK], x)
        rows = np.arange(len(distances))
        distances[rows, first + rows] = -1.0  # itself comes first, duplicates of it do not
        radii[first : first + _BLOCK] = np.partition(distances, neighbors, axis=1)[:, neighbors]
    return radii


def nearest(
    x: NDArray[np.float64], others: NDArray[np.float64], *, count: int = 1
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The `count` nearest of `others` (M, D) for each row of x (N, D), nearest first.

    Returns:
        (N, count) indices and distances (not squared).
    Raises:
        UsageError: if there are fewer than `count` others.
    """
    if not 1 <= count <= len(others):
        raise UsageError(f"{count} neighbors among {len(others)} samples: expected 1 to that many")
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
    # Around a common center: the difference of large squares would lose what matters.
    center = b.mean(0)
    a, b = a - center, b - center
    sizes = np.square(a).sum(1)[:, None] + np.square(b).sum(1)
    squares: NDArray[np.float64] = sizes - 2 * a @ b.T
    squares[squares < 1e-12 * sizes] = 0.0  # rounding
    return squares
