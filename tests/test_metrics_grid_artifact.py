"""Grid artifacts: nothing in noise, a grid at its own period alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from creps.errors import UsageError
from creps.metrics._artifacts import grid_artifact


def noise(height: int, width: int, *, slope: float, seed: int) -> np.ndarray:
    """A picture with power falling as frequency^-slope, standard deviation 1."""
    white = np.random.default_rng(seed).normal(size=(height, width))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = 1
    picture = np.fft.irfft2(np.fft.rfft2(white) * frequency ** (-slope / 2), s=(height, width))
    return picture / picture.std()


def grid(height: int, width: int, period: float) -> np.ndarray:
    y, x = np.mgrid[:height, :width] * (2 * np.pi / period)
    return np.cos(y) + np.cos(x)


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("shape", [(96, 128), (97, 131)])
def test_noise_has_no_grid(slope: float, shape: tuple[int, int]) -> None:
    ratios = [grid_artifact(noise(*shape, slope=slope, seed=seed), 8) for seed in range(8)]
    assert np.mean(ratios) == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize("period", [4, 8, 6.4])
def test_a_faint_grid_is_found_at_its_period_alone(period: float) -> None:
    picture = noise(96, 128, slope=3, seed=1)
    marked = picture + 0.2 * grid(96, 128, period)
    assert grid_artifact(marked, period) > 2 * grid_artifact(picture, period)
    elsewhere = period * 1.5
    assert grid_artifact(marked, elsewhere) < 1.3 * grid_artifact(picture, elsewhere)


def test_a_stronger_grid_has_a_higher_ratio() -> None:
    picture, dots = noise(96, 128, slope=2, seed=2), grid(96, 128, 8)
    ratios = [grid_artifact(picture + strength * dots, 8) for strength in (0, 0.2, 0.4)]
    assert ratios == sorted(ratios)
    # Excess power is the square of the amplitude.
    assert (ratios[2] - ratios[0]) / (ratios[1] - ratios[0]) == pytest.approx(4, rel=0.25)


def test_a_grid_of_one_axis_or_of_narrow_lines_is_found() -> None:
    picture = noise(96, 128, slope=3, seed=3)
    bars = np.broadcast_to(grid(96, 1, 8), (96, 128))
    lines = np.zeros((96, 128))
    lines[:, ::8] = 0.5
    for pattern in (0.2 * bars, lines):
        assert grid_artifact(picture + pattern, 8) > 1.5


@given(gain=st.floats(0.01, 100), offset=st.floats(-1000, 1000))
def test_the_ratio_ignores_brightness_and_contrast(gain: float, offset: float) -> None:
    picture = noise(48, 40, slope=2, seed=4)
    expected = grid_artifact(picture, 8)
    assert grid_artifact(gain * picture + offset, 8) == pytest.approx(expected, rel=1e-6)
    assert grid_artifact(picture.T, 8) == pytest.approx(expected, rel=1e-9)


def test_a_flat_picture_has_no_grid() -> None:
    assert grid_artifact(np.full((32, 40), 7, dtype=np.uint8), 8) == 1


@pytest.mark.parametrize(
    ("shape", "period", "message"),
    [
        ((32, 32, 3, 1), 8, "expected \\(H, W\\)"),
        ((32, 64), 3, "at least 4 pixels"),
        ((32, 64), math.nan, "at least 4 pixels"),
        ((31, 64), 8, "fewer than 4 periods"),
    ],
)
def test_the_ratio_refuses_what_it_cannot_measure(
    shape: tuple[int, ...], period: float, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        grid_artifact(np.zeros(shape), period)
