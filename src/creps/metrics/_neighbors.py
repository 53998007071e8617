"""The real pictures most like each sample: does a model repeat what it has seen? (CIPS, app. E)"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from creps.metrics._distances import Features, checked_pair
from creps.metrics._manifolds import nearest, neighbour_radii


class Novelty(NamedTuple):
    """How far samples are from real pictures, beside how far those are from each other.

    Attributes:
        ratio: median of (distance of a sample to the nearest real picture) / (distance of that one
            to the real picture nearest to it). A little above 1 for other real pictures, towards
            0 for copies.
        copies: share of samples with a ratio below one half.
        closest: (N,) number of the real picture nearest to each sample.
    """

    ratio: float
    copies: float
    closest: NDArray[np.int64]


def novelty(generated: Features, real: Features) -> Novelty:
    """Compare distances between sets with distances within the real one.

    Args:
        generated, real: (N, D) and (M, D) features, N >= 2, M >= 2.
    Raises:
        UsageError: for too few samples, differing widths or features that are not finite.
    """
    generated, real = checked_pair(generated, real, minimum=2)
    indices, distances = nearest(generated, real)
    own = np.sqrt(neighbour_radii(real, 1))[indices[:, 0]]
    # Where the real set repeats itself no distance is left to compare with.
    ratios = distances[:, 0] / np.maximum(own, 1e-6 * np.abs(real).max() + 1e-12)
    return Novelty(float(np.median(ratios)), float((ratios < 0.5).mean()), indices[:, 0])
