"""Precision and recall by shared clusters, the definition of Sajjadi et al. 2018.

The any-resolution paper reports these (its Table 9), CIPS both these and the ones of `manifolds`.
Shapes: N and M samples, D features, K clusters.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from creps.errors import UsageError
from creps.metrics._distances import FeatureRows, checked_pair

CLUSTERS = 20
REPEATS = 10
ANGLES = 1001
BETA = 8.0
"""All four as in Sajjadi et al. 2018, section 4 and its published protocol."""


class ClusterScores(NamedTuple):
    """F_(1/8) and F_8 of the precision-recall curve, 0 .. 1.

    Attributes:
        precision: F_(1/8), which weighs precision 8 times as much as recall.
        recall: F_8, the other way round.
    """

    precision: float
    recall: float


def cluster_scores(
    generated: FeatureRows,
    real: FeatureRows,
    *,
    generator: np.random.Generator,
    clusters: int = CLUSTERS,
    repeats: int = REPEATS,
) -> ClusterScores:
    """Precision and recall of histograms over clusters of both sets together.

    The union is clustered (k-means), each set becomes a histogram over the clusters, and the two
    histograms give a curve (`precision_recall_curve`); the curves of several clusterings are
    averaged (Sajjadi et al. 2018, section 3.3). Sets of unequal counts are cut to the smaller one,
    as larger sets would pull clusters towards them.

    Args:
        generated, real: (N, D) and (M, D) features, N and M >= clusters.
        generator: draws the starts of the clusterings.
        clusters: K, >= 2.
        repeats: clusterings, >= 1.
    Raises:
        UsageError: for impossible settings, too few samples, differing widths, NaN.
    """
    if clusters < 2 or repeats < 1:
        raise UsageError(f"{clusters} clusters, {repeats} repeats: expected at least 2 and 1")
    generated, real = checked_pair(generated, real, minimum=clusters)
    count = min(len(generated), len(real))
    union = np.concatenate([generated[:count], real[:count]])
    curves = []
    for _ in range(repeats):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # an empty cluster has no share
            _, labels = kmeans2(union, clusters, iter=100, minit="++", seed=generator)
        shares = [
            np.bincount(part, minlength=clusters) / count
            for part in (labels[:count], labels[count:])
        ]
        curves.append(precision_recall_curve(*shares))
    precision, recall = np.mean(curves, axis=0)
    return ClusterScores(f_score(precision, recall, 1 / BETA), f_score(precision, recall, BETA))


def precision_recall_curve(
    generated: NDArray[np.float64], real: NDArray[np.float64], *, angles: int = ANGLES
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The curve of attainable (precision, recall) of two histograms.

    For slopes l = tan(angle) between the axes: precision is the sum of min(l real, generated),
    recall that of min(real, generated / l) (Sajjadi et al. 2018, eq. 7 and 8).

    Args:
        generated, real: (K,) shares, each summing to 1.
        angles: points of the curve.
    Returns:
        (angles,) precision and (angles,) recall, in 0 .. 1.
    Example:
        >>> precision, recall = precision_recall_curve(np.array([1.0, 0.0]), np.array([0.5, 0.5]))
        >>> round(float(precision.max()), 6), round(float(recall.max()), 6)
        (1.0, 0.5)
    """
    # The ends themselves would divide by zero.
    slope = np.tan(np.linspace(1e-6, np.pi / 2 - 1e-6, angles))[:, None]
    precision = np.minimum(slope * real, generated).sum(1).clip(0, 1)
    recall = np.minimum(real, generated / slope).sum(1).clip(0, 1)
    return precision, recall


def f_score(precision: NDArray[np.float64], recall: NDArray[np.float64], beta: float) -> float:
    """The largest F_beta on a curve: (1 + b^2) p r / (b^2 p + r)."""
    square = beta**2
    return float(((1 + square) * precision * recall / (square * precision + recall + 1e-10)).max())
