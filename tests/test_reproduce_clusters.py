"""Precision and recall by clusters: curves by hand, clusters that are found, seeds that repeat."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from creps.errors import UsageError
from reproduce.anyres_paper.clusters import cluster_scores, f_score, precision_recall_curve


def groups(places: list[float], *, count: int = 40, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(size=(count, 3)) * 0.1 + place for place in places])


@given(st.integers(0, 2**31), st.integers(2, 12))
def test_equal_histograms_reach_the_corner(seed: int, kinds: int) -> None:
    share = np.random.default_rng(seed).dirichlet(np.ones(kinds))
    precision, recall = precision_recall_curve(share, share)
    assert f_score(precision, recall, 8) == pytest.approx(1, abs=1e-6)
    assert f_score(precision, recall, 1 / 8) == pytest.approx(1, abs=1e-6)


@given(st.integers(0, 2**31))
def test_swapping_the_sets_swaps_precision_and_recall(seed: int) -> None:
    a, b = np.random.default_rng(seed).dirichlet(np.ones(6), 2)
    forth, back = precision_recall_curve(a, b), precision_recall_curve(b, a)
    np.testing.assert_allclose(forth[0], back[1][::-1], atol=1e-9)


def test_a_curve_by_hand() -> None:
    # At slope 1: min(1, 0.5) + min(0, 0.5) = 0.5 both ways; disjoint sets share nothing.
    precision, recall = precision_recall_curve(np.array([1.0, 0]), np.array([0.5, 0.5]), angles=3)
    assert (precision[1], recall[1]) == (pytest.approx(0.5), pytest.approx(0.5))
    precision, recall = precision_recall_curve(np.array([1.0, 0]), np.array([0.0, 1]))
    assert precision.max() == recall.max() == 0


def test_dropped_modes_cost_recall_and_new_ones_precision() -> None:
    real, half = groups([0, 5]), groups([0, 0], seed=1)
    dropped = cluster_scores(half, real, generator=np.random.default_rng(0), clusters=4)
    invented = cluster_scores(real, half, generator=np.random.default_rng(0), clusters=4)
    assert dropped.recall < 0.6 < 0.8 < dropped.precision
    assert invented.precision < 0.6 < 0.8 < invented.recall


def test_scores_are_seeded() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(60, 4)), rng.normal(size=(50, 4)) + 0.5

    def drawn(seed: int) -> tuple[float, float]:
        return cluster_scores(a, b, generator=np.random.default_rng(seed), repeats=2)

    assert drawn(1) == drawn(1) != drawn(2)


def test_what_makes_no_sense_is_refused() -> None:
    a = np.zeros((5, 2))
    with pytest.raises(UsageError, match=r"5 samples are too few.*at least 20"):
        cluster_scores(a, a, generator=np.random.default_rng(0))
    with pytest.raises(UsageError, match="1 clusters"):
        cluster_scores(a, a, generator=np.random.default_rng(0), clusters=1)
