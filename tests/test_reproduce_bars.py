"""Sizes of a set as bars."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from reproduce.anyres_paper.bars import bars_picture, size_bars


def test_bars_count_every_picture_once() -> None:
    sides = [32, 45, 46, 64, 90, 91, 128, 4000]
    bars = size_bars(sides)
    assert sum(count for _, _, count in bars) == len(sides)
    assert all(a[1] == b[0] for a, b in pairwise(bars))
    assert len(bars) <= 16
    assert size_bars([64, 64]) == [(64, 65, 2)]


def test_bars_are_as_tall_as_their_counts() -> None:
    picture = bars_picture([(64, 91, 10), (91, 128, 5)], title="set")
    pixels = np.array(picture.convert("RGB")).astype(int)
    blue = (pixels[:, :, 2] - pixels[:, :, 0]) > 60
    assert blue[:, 70].sum() == pytest.approx(2 * blue[:, 130].sum(), rel=0.05)
