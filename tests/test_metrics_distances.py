"""Distances of feature sets, against hand-worked numbers and independent second forms."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from creps.errors import UsageError
from creps.metrics import _distances as distances
from creps.metrics._distances import frechet_distance, kernel_distance, kernel_distance_subsets


def samples(count: int, width: int, *, seed: int) -> np.ndarray:
    """Correlated samples with a mean: (count, width)."""
    rng = np.random.default_rng(seed)
    mixing, mean = rng.normal(size=(width, width)), rng.normal(size=width)
    return rng.normal(size=(count, width)) @ mixing + mean


def frechet_by_eigenvalues(a: np.ndarray, b: np.ndarray) -> float:
    """The textbook formula: tr (C_a C_b)^(1/2) sums the roots of the product's eigenvalues."""
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(cov_a @ cov_b).astype(complex)).real.sum()
    return np.square(a.mean(0) - b.mean(0)).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * roots


def kernel_by_loops(a: np.ndarray, b: np.ndarray) -> float:
    """Unbiased squared MMD written out, one pair at a time."""

    def k(x: np.ndarray, y: np.ndarray) -> float:
        return (sum(p * q for p, q in zip(x, y, strict=True)) / len(x) + 1) ** 3

    def within(x: np.ndarray) -> float:
        pairs = [k(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j]
        return sum(pairs) / len(pairs)

    across = [k(x, y) for x in a for y in b]
    return within(a) + within(b) - 2 * sum(across) / len(across)


seeds = st.integers(0, 2**31)


@given(seed=seeds, n=st.integers(2, 30), m=st.integers(2, 30), width=st.integers(2, 8))
def test_frechet_equals_the_textbook_formula(seed: int, n: int, m: int, width: int) -> None:
    a, b = samples(n, width, seed=seed), samples(m, width, seed=seed + 1)
    # Roots of round-off eigenvalues: the textbook form is good to 1e-7 of the spread only.
    scale = np.trace(np.atleast_2d(np.cov(a.T))) + np.trace(np.atleast_2d(np.cov(b.T)))
    assert frechet_distance(a, b) == pytest.approx(frechet_by_eigenvalues(a, b), abs=1e-6 * scale)


def test_frechet_of_two_gaussians_on_a_line_by_hand() -> None:
    # Means 1 and 5, standard deviations sqrt(2) and sqrt(8): 4^2 + (sqrt(8) - sqrt(2))^2 = 16 + 2.
    assert frechet_distance(np.array([[0.0], [2.0]]), np.array([[3.0], [7.0]])) == pytest.approx(18)


def test_frechet_of_independent_features_adds_up() -> None:
    corners = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]) * np.sqrt(3 / 4)
    # Covariances diag(1, 1) and diag(9, 4): (3 - 1)^2 + (2 - 1)^2; means apart by (0, 3).
    assert frechet_distance(corners, corners * [3, 2] + [0, 3]) == pytest.approx(4 + 1 + 9)


@given(seed=seeds, n=st.integers(2, 12))
def test_frechet_of_a_set_with_itself_is_zero(seed: int, n: int) -> None:
    a = samples(n, 8, seed=seed)
    shuffled = a[np.random.default_rng(seed).permutation(n)]
    assert frechet_distance(a, shuffled) <= 1e-12 * np.square(a).sum()


@given(seed=seeds)
def test_frechet_moves_and_turns_with_the_features(seed: int) -> None:
    a, b = samples(9, 4, seed=seed), samples(7, 4, seed=seed + 1)
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(4, 4)))[0]
    moved = frechet_distance(a @ turn + 100, b @ turn + 100)
    assert moved == pytest.approx(frechet_distance(a, b), rel=1e-8)
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b), rel=1e-8)


def test_frechet_grows_with_the_square_of_a_shift() -> None:
    a = samples(6, 3, seed=1)
    assert frechet_distance(a, a + np.array([3.0, 0.0, 4.0])) == pytest.approx(25, rel=1e-9)


@given(seed=seeds, n=st.integers(2, 9), m=st.integers(2, 9), width=st.integers(1, 5))
def test_kernel_equals_its_loops(seed: int, n: int, m: int, width: int) -> None:
    a, b = samples(n, width, seed=seed), samples(m, width, seed=seed + 1)
    largest = max(np.square(a).sum(1).max(), np.square(b).sum(1).max())
    scale = (largest / width + 1) ** 3
    assert kernel_distance(a, b) == pytest.approx(kernel_by_loops(a, b), abs=1e-12 * scale)


def test_kernel_does_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = samples(11, 3, seed=1), samples(8, 3, seed=2)
    whole = kernel_distance(a, b)
    monkeypatch.setattr(distances, "_BLOCK", 4)
    assert kernel_distance(a, b) == pytest.approx(whole, rel=1e-12)


def test_kernel_is_unbiased() -> None:
    # The mean over many pairs of tiny sets of one distribution is 0, within its standard error.
    rng = np.random.default_rng(0)
    values = [kernel_distance(*rng.normal(size=(2, 5, 4))) for _ in range(2000)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))
    assert np.std(values) > 0


def test_kernel_of_all_samples_is_the_only_full_subset() -> None:
    a, b = samples(10, 3, seed=1), samples(10, 3, seed=2)
    rng = np.random.default_rng(5)
    whole = kernel_distance_subsets(a, b, generator=rng, subsets=3, size=10)
    assert whole[0] == pytest.approx(kernel_distance(a, b), rel=1e-9)
    assert whole[1] <= 1e-9 * abs(whole[0])


def test_kernel_of_subsets_is_seeded_and_near_the_whole() -> None:
    # Standard normal features: estimates of correlated ones have tails too long for 50 subsets.
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(60, 3)), rng.normal(size=(50, 3)) + 1

    def drawn(seed: int) -> tuple[float, float]:
        rng = np.random.default_rng(seed)
        return kernel_distance_subsets(a, b, generator=rng, subsets=50, size=20)

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    mean, deviation = drawn(1)
    error = deviation / np.sqrt(50)
    assert mean == pytest.approx(kernel_distance(a, b), abs=4 * error)


def test_too_few_samples_name_the_minimum() -> None:
    one, many = samples(1, 3, seed=1), samples(9, 3, seed=2)
    for distance in (frechet_distance, kernel_distance):
        with pytest.raises(UsageError, match=r"1 samples are too few.*at least 2"):
            distance(many, one)
    with pytest.raises(UsageError, match=r"9 samples are too few.*at least 1000"):
        kernel_distance_subsets(many, many, generator=np.random.default_rng(0))


def test_features_that_cannot_be_compared_are_refused() -> None:
    a = samples(4, 3, seed=1)
    with pytest.raises(UsageError, match=r"3 and 2 numbers.*same extractor"):
        frechet_distance(a, a[:, :2])
    with pytest.raises(UsageError, match="NaN"):
        kernel_distance(a, np.where(a == a[2, 1], np.nan, a))
    with pytest.raises(UsageError, match=r"expected \(N, D\)"):
        frechet_distance(a[0], a)
    with pytest.raises(UsageError, match="0 subsets"):
        kernel_distance_subsets(a, a, generator=np.random.default_rng(0), subsets=0, size=2)


@given(seed=seeds, n=st.integers(20, 40), m=st.integers(20, 40), width=st.integers(2, 8))
def test_frechet_equals_scipys_matrix_root(seed: int, n: int, m: int, width: int) -> None:
    """The form of the field's tools: tr of scipy.linalg.sqrtm of the product of covariances."""
    a, b = samples(n, width, seed=seed), samples(m, width, seed=seed + 1)
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(cov_a + cov_b - 2 * root)
    scale = np.trace(cov_a + cov_b)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6, abs=1e-6 * scale)
