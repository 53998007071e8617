"""Whether a model of portraits draws every kind of hair, eyes and clothes as often as there are.

The truth about real portraits is known: which of some drawings each part has. Samples get the
attributes of the real portrait nearest in features, and how often that is right is measured on the
real ones themselves, each with the nearest other one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from creps.data.portraits._truth import portrait_truth
from creps.metrics._distances import FeatureRows, checked_pair, nearest


class AttributeCoverage(NamedTuple):
    """How alike the shares of attributes are.

    Attributes:
        coverage: 1 - half the sum of |difference of shares|, mean over parts: 1 if every drawing
            of every part is as frequent as among real portraits, 0 if none is shared.
        accuracy: share of attributes that the nearest neighbor gets right, mean over parts: with
            a low one coverage says little.
    """

    coverage: float
    accuracy: float


def attribute_coverage(
    generated: FeatureRows, real: FeatureRows, attributes: Sequence[dict[str, str]]
) -> AttributeCoverage:
    """Shares of attributes among samples, by nearest neighbors, and among real portraits.

    Both shares are estimated the same way, a sample's or a real portrait's attributes being those
    of the nearest (other) real one, so that what features confuse counts for neither.

    Args:
        generated, real: (N, D) and (M, D) features, N and M >= 2.
        attributes: of each of the M real portraits; see `portrait_attributes`.
    Raises:
        UsageError: for too few samples, differing widths or features that are not finite.
    """
    generated, real = checked_pair(generated, real, minimum=2)
    of_samples = nearest(generated, real)[0][:, 0]
    order, _ = nearest(real, real, count=2)
    itself = order[:, 0] == np.arange(len(real))
    of_real = np.where(itself, order[:, 1], order[:, 0])
    coverages, accuracies = [], []
    for part in attributes[0]:
        values = np.array([row[part] for row in attributes])
        shares = [
            np.array([(values[found] == kind).mean() for kind in sorted(set(values))])
            for found in (of_samples, of_real)
        ]
        coverages.append(1 - np.abs(shares[0] - shares[1]).sum() / 2)
        accuracies.append((values[of_real] == values).mean())
    return AttributeCoverage(float(np.mean(coverages)), float(np.mean(accuracies)))


def portrait_attributes(count: int, *, seed: int = 0, first: int = 0) -> list[dict[str, str]]:
    """Attributes of portraits first .. first + count - 1: some 3 milliseconds each."""
    return [portrait_truth(first + index, seed).drawings for index in range(count)]
