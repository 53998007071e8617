"""Precision, recall, density, coverage: against a second form written as loops, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from creps.errors import UsageError
from creps.metrics import _distances as manifolds
from creps.metrics._distances import nearest, neighbor_radii, precision_recall, squared_distances

seeds = st.integers(0, 2**31)


def by_loops(generated: np.ndarray, real: np.ndarray, k: int) -> tuple[float, ...]:
    """The four definitions written out, one pair at a time."""

    def distance(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.sqrt(((x - y) ** 2).sum()))

    def radius(x: np.ndarray, i: int) -> float:
        return sorted(distance(x[i], x[j]) for j in range(len(x)) if j != i)[k - 1]

    balls = [radius(real, i) for i in range(len(real))]
    own = [radius(generated, i) for i in range(len(generated))]
    inside = [[distance(g, r) <= b for r, b in zip(real, balls, strict=True)] for g in generated]
    precision = np.mean([any(row) for row in inside])
    recall = np.mean(
        [any(distance(r, g) <= b for g, b in zip(generated, own, strict=True)) for r in real]
    )
    density = np.sum(inside) / (k * len(generated))
    coverage = np.mean([any(row[i] for row in inside) for i in range(len(real))])
    return float(precision), float(recall), float(density), float(coverage)


@given(
    seed=seeds,
    n=st.integers(6, 20),
    m=st.integers(6, 20),
    width=st.integers(1, 6),
    k=st.integers(1, 5),
)
def test_scores_equal_their_loops(seed: int, n: int, m: int, width: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    generated, real = rng.normal(size=(n, width)) + 0.3, rng.normal(size=(m, width))
    found = precision_recall(generated, real, neighbors=k)
    np.testing.assert_allclose(found, by_loops(generated, real, k), rtol=1e-6)


def test_scores_by_hand() -> None:
    # Balls of radius 1 around 0, 1, 2: 0.5 lies in two of them, 9 in none; both reach 8.5 far.
    real = np.array([[0.0], [1.0], [2.0]])
    generated = np.array([[0.5], [9.0]])
    found = precision_recall(generated, real, neighbors=1)
    assert found.precision == 0.5
    assert found.recall == 1.0
    assert found.density == pytest.approx(1.0)
    assert found.coverage == pytest.approx(2 / 3)


@given(seed=seeds, n=st.integers(4, 30))
def test_a_set_against_itself_is_perfect(seed: int, n: int) -> None:
    a = np.random.default_rng(seed).normal(size=(n, 3))
    found = precision_recall(a, a)
    assert (found.precision, found.recall, found.coverage) == (1.0, 1.0, 1.0)


def test_dropped_modes_cost_recall_and_garbage_costs_precision() -> None:
    rng = np.random.default_rng(0)
    real = np.concatenate([rng.normal(size=(50, 4)), rng.normal(size=(50, 4)) + 30])
    half = rng.normal(size=(100, 4))
    garbage = np.concatenate([rng.normal(size=(50, 4)), rng.normal(size=(50, 4)) - 30])
    assert precision_recall(half, real).recall < 0.6
    assert precision_recall(half, real).precision > 0.8
    assert precision_recall(garbage, real).precision < 0.6


def test_scores_move_and_turn_with_the_features() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(20, 4)), rng.normal(size=(25, 4))
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    assert precision_recall(a @ turn + 1000, b @ turn + 1000) == precision_recall(a, b)


def test_scores_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(23, 3)), rng.normal(size=(18, 3))
    whole, order = precision_recall(a, b), nearest(a, b, count=4)
    monkeypatch.setattr(manifolds, "_BLOCK", 5)
    assert precision_recall(a, b) == whole
    np.testing.assert_array_equal(nearest(a, b, count=4)[0], order[0])


def test_copies_are_at_no_distance_and_do_not_hide_each_other() -> None:
    x = np.repeat(np.random.default_rng(3).normal(size=(4, 5)) + 100, 3, axis=0)
    assert (squared_distances(x, x)[:3, :3] == 0).all()
    assert (neighbor_radii(x, 2) == 0).all()
    assert (neighbor_radii(x, 3) > 0).all()


def test_neighbors_come_nearest_first() -> None:
    indices, distances = nearest(np.array([[0.2]]), np.array([[1.0], [0.0], [5.0]]), count=3)
    assert indices.tolist() == [[1, 0, 2]]
    np.testing.assert_allclose(distances, [[0.2, 0.8, 4.8]])


def test_too_few_samples_name_the_minimum() -> None:
    a = np.zeros((3, 2))
    with pytest.raises(UsageError, match=r"3 samples are too few.*at least 4"):
        precision_recall(a, np.zeros((9, 2)))
    with pytest.raises(UsageError, match="0 neighbors"):
        precision_recall(a, a, neighbors=0)
    with pytest.raises(UsageError, match="4 neighbors among 3"):
        nearest(a, a, count=4)
