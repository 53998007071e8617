"""Distances between two sets of features: pure maths in float64, no pictures and no networks.

Shapes: N and M samples, D features.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from creps.errors import UsageError

Features = NDArray[np.floating[Any]]

_BLOCK = 1024  # rows of a kernel matrix held at a time


class KernelDistance(NamedTuple):
    """Kernel distance over random subsets.

    Attributes:
        mean: of the subsets' unbiased estimates; may be slightly negative.
        deviation: standard deviation of the subsets' estimates (of one subset, not of the mean).
    """

    mean: float
    deviation: float


def frechet_distance(a: Features, b: Features) -> float:
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


def kernel_distance(a: Features, b: Features) -> float:
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
    a: Features,
    b: Features,
    *,
    generator: np.random.Generator,
    subsets: int = 100,
    size: int = 1000,
) -> KernelDistance:
    """Mean and spread of the kernel distance over random subsets; the field uses 100 of 1,000.

    Args:
        a, b: (N, D) and (M, D) features, N and M >= size.
        generator: draws the subsets, without replacement within a subset.
        subsets: how many, >= 1.
        size: samples of each set in a subset, >= 2.
    Raises:
        UsageError: for impossible subsets, and as `kernel_distance`.
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
    return KernelDistance(float(np.mean(estimates)), float(np.std(estimates)))


def checked_pair(
    a: Features, b: Features, *, minimum: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both sets in float64.

    Raises:
        UsageError: for too few samples, differing widths or features that are not finite.
    """
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


def _covariance_root(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """(min(N, D), D) matrix R whose R^T R is the unbiased covariance of the rows of x."""
    return np.linalg.qr(x - x.mean(0)).R / np.sqrt(len(x) - 1)


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
