"""Nearest real pictures, and what they tell: copies and new ones."""

from __future__ import annotations

import numpy as np
import pytest

from creps.errors import UsageError
from creps.metrics._distances import novelty


def test_copies_are_told_from_new_pictures() -> None:
    rng = np.random.default_rng(0)
    real, new = rng.normal(size=(200, 6)), rng.normal(size=(100, 6))
    copies = real[:100] + 1e-3 * rng.normal(size=(100, 6))
    assert 1 < novelty(new, real).ratio < 1.4
    assert novelty(new, real).copies < 0.05
    assert novelty(copies, real).ratio < 0.02
    assert novelty(copies, real).copies == 1


def test_novelty_by_hand() -> None:
    # 0.5 from the nearest, whose own neighbor is 2 away.
    found = novelty(np.array([[0.5], [0.5]]), np.array([[0.0], [2.0], [9.0]]))
    assert found.ratio == pytest.approx(0.25)
    assert found.copies == 1


def test_too_few_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 2"):
        novelty(np.zeros((1, 2)), np.zeros((5, 2)))
