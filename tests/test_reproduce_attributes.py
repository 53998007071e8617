"""Attributes of portraits: does a model draw every kind of hair and eyes as often as there are?"""

from __future__ import annotations

import numpy as np
import pytest

from reproduce.creps_paper.attributes import attribute_coverage, portrait_attributes


def clouds(kinds: list[int], *, seed: int) -> np.ndarray:
    """Features of pictures of known kinds."""
    rng = np.random.default_rng(seed)
    return np.array([[10.0 * kind, -10.0 * kind] for kind in kinds]) + rng.normal(
        size=(len(kinds), 2)
    )


def test_coverage_is_the_overlap_of_shares() -> None:
    kinds = [0, 1, 2, 3] * 10
    names = [{"hair": f"h{kind}", "eyes": f"e{kind % 2}"} for kind in kinds]
    real = clouds(kinds, seed=0)
    same = attribute_coverage(clouds(kinds, seed=1), real, names)
    assert same.coverage == pytest.approx(1)
    assert same.accuracy == 1
    # Half of the kinds of hair: 1 - (2 * 0.25 + 2 * 0.25) / 2 = 0.5; both kinds of eyes remain.
    dropped = attribute_coverage(clouds([0, 1] * 20, seed=1), real, names)
    assert dropped.coverage == pytest.approx((0.5 + 1) / 2)


def test_an_accuracy_near_chance_gives_itself_away() -> None:
    rng = np.random.default_rng(0)
    names = [{"hair": str(k % 4)} for k in range(200)]
    found = attribute_coverage(rng.normal(size=(200, 3)), rng.normal(size=(200, 3)), names)
    assert found.accuracy == pytest.approx(0.25, abs=0.1)


def test_portraits_know_their_attributes() -> None:
    pytest.importorskip("dicebear")
    rows = portrait_attributes(12)
    assert rows == portrait_attributes(6) + portrait_attributes(6, first=6)
    assert set(rows[0]) >= {"hair", "eyes", "mouth", "clothes", "beard"}
    assert len({row["hair"] for row in rows}) > 1
