"""Box reduction: each pixel the mean of its block."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from creps.errors import UsageError
from creps.metrics._similarity import box_reduce


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4), st.sampled_from([(), (1,), (3,)]))
def test_box_reduction_means_each_block(
    height: int, width: int, factor: int, channels: tuple[int, ...]
) -> None:
    shape = (height * factor, width * factor, *channels)
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    reduced = box_reduce(image, factor)
    assert reduced.shape == (height, width, *channels)
    for i in range(height):
        for j in range(width):
            rows, columns = slice(i * factor, (i + 1) * factor), slice(j * factor, (j + 1) * factor)
            np.testing.assert_allclose(reduced[i, j], image[rows, columns].mean((0, 1)), rtol=1e-12)


def test_box_reduction_in_two_steps_is_one() -> None:
    image = np.random.default_rng(0).normal(size=(12, 24, 3))
    np.testing.assert_allclose(box_reduce(box_reduce(image, 2), 3), box_reduce(image, 6), rtol=1e-9)


@pytest.mark.parametrize("factor", [0, 4, 5])
def test_box_reduction_refuses_broken_blocks(factor: int) -> None:
    with pytest.raises(UsageError, match="size 8x6 cannot be divided"):
        box_reduce(np.zeros((8, 6)), factor)
