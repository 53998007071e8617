"""Scale consistency and the lattice: one picture at every size, nothing between its samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from creps.errors import UsageError
from creps.metrics.consistency import (
    EIGHT_BIT_CEILING,
    box_reduce,
    lattice_ratio,
    psnr,
    scale_consistency,
    scale_pairs,
)
from creps.networks.base import Generator, Grid, build_generator
from creps.rendering.renderer import render


@pytest.fixture(scope="module")
def tiny() -> Generator:
    torch.manual_seed(0)
    config: dict[str, Any] = {"resolution": 8, "z_dim": 4, "w_dim": 8, "channel_base": 64}
    config |= {"channel_max": 8, "thickness": 2, "line_channels": 4, "bandwidth": 1.0}
    return build_generator("creps", config)


class Ramp(Generator):
    """Colour is linear in the coordinates, so block means are exact up to 8-bit rounding."""

    def __init__(self, like: Generator) -> None:
        super().__init__()
        self.config, self.mapping, self.num_styles = like.config, like.mapping, like.num_styles

    def synthesize(self, styles: Tensor, grid: Grid) -> Tensor:
        plane = grid.ys[:, None] * 0.7 + grid.xs[None, :] * 0.9 - 0.8
        return plane.float().expand(len(styles), 3, -1, -1)


def noise(height: int, width: int, *, slope: float, seed: int) -> np.ndarray:
    """A picture with power falling as frequency^-slope, standard deviation 1."""
    white = np.random.default_rng(seed).normal(size=(height, width))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = 1
    picture = np.fft.irfft2(np.fft.rfft2(white) * frequency ** (-slope / 2), s=(height, width))
    return picture / picture.std()


def lattice(height: int, width: int, period: float) -> np.ndarray:
    y, x = np.mgrid[:height, :width] * (2 * np.pi / period)
    return np.cos(y) + np.cos(x)


def test_psnr_by_hand() -> None:
    a = np.array([[0, 10]], dtype=np.uint8)
    b = np.array([[255, 10]], dtype=np.uint8)  # would wrap around in 8 bits
    assert psnr(a, b) == pytest.approx(10 * math.log10(2))
    assert psnr(a / 255, b / 255, peak=1.0) == pytest.approx(psnr(a, b))
    assert psnr(a, a) == math.inf


def test_psnr_refuses_pictures_that_do_not_match() -> None:
    with pytest.raises(UsageError, match=r"\(2, 3\) and \(3, 2\)"):
        psnr(np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(UsageError, match="peak 0"):
        psnr(np.zeros((2, 3)), np.zeros((2, 3)), peak=0)


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


def test_pairs_are_the_renders_at_both_sizes(tiny: Generator) -> None:
    [(small, reduced)] = scale_pairs(tiny, [3], size=(6, 10), factor=3, truncation=0.5)
    np.testing.assert_array_equal(small, render(tiny, seed=3, size=(6, 10), truncation=0.5))
    large = render(tiny, seed=3, size=(18, 30), truncation=0.5)
    np.testing.assert_allclose(reduced, box_reduce(large, 3))


def test_consistency_is_the_mean_over_seeds(tiny: Generator) -> None:
    each = [scale_consistency(tiny, [seed], size=8) for seed in (0, 1)]
    assert scale_consistency(tiny, [0, 1], size=8) == pytest.approx(sum(each) / 2)
    assert each[0] != each[1]


def test_a_linear_picture_is_consistent_up_to_rounding(tiny: Generator) -> None:
    assert scale_consistency(Ramp(tiny), [0], size=(12, 20)) > 54


def test_a_flat_picture_does_not_make_the_mean_infinite(tiny: Generator) -> None:
    class Flat(Ramp):
        def synthesize(self, styles: Tensor, grid: Grid) -> Tensor:
            return super().synthesize(styles, grid) * 0

    assert scale_consistency(Flat(tiny), [0], size=6) == EIGHT_BIT_CEILING


def test_consistency_refuses_nothing_to_compare(tiny: Generator) -> None:
    with pytest.raises(UsageError, match="no seeds"):
        scale_consistency(tiny, [], size=8)
    with pytest.raises(UsageError, match="factor 1"):
        scale_consistency(tiny, [0], size=8, factor=1)


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("shape", [(96, 128), (97, 131)])
def test_noise_has_no_lattice(slope: float, shape: tuple[int, int]) -> None:
    ratios = [lattice_ratio(noise(*shape, slope=slope, seed=seed), 8) for seed in range(8)]
    assert np.mean(ratios) == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize("period", [4, 8, 6.4])
def test_a_faint_lattice_is_found_at_its_period_alone(period: float) -> None:
    picture = noise(96, 128, slope=3, seed=1)
    marked = picture + 0.2 * lattice(96, 128, period)
    assert lattice_ratio(marked, period) > 2 * lattice_ratio(picture, period)
    elsewhere = period * 1.5
    assert lattice_ratio(marked, elsewhere) < 1.3 * lattice_ratio(picture, elsewhere)


def test_a_stronger_lattice_has_a_higher_ratio() -> None:
    picture, dots = noise(96, 128, slope=2, seed=2), lattice(96, 128, 8)
    ratios = [lattice_ratio(picture + strength * dots, 8) for strength in (0, 0.2, 0.4)]
    assert ratios == sorted(ratios)
    # Excess power is the square of the amplitude.
    assert (ratios[2] - ratios[0]) / (ratios[1] - ratios[0]) == pytest.approx(4, rel=0.25)


def test_a_lattice_of_one_axis_or_of_narrow_lines_is_found() -> None:
    picture = noise(96, 128, slope=3, seed=3)
    bars = np.broadcast_to(lattice(96, 1, 8), (96, 128))
    lines = np.zeros((96, 128))
    lines[:, ::8] = 0.5
    for pattern in (0.2 * bars, lines):
        assert lattice_ratio(picture + pattern, 8) > 1.5


@given(gain=st.floats(0.01, 100), offset=st.floats(-1000, 1000))
def test_the_ratio_ignores_brightness_and_contrast(gain: float, offset: float) -> None:
    picture = noise(48, 40, slope=2, seed=4)
    expected = lattice_ratio(picture, 8)
    assert lattice_ratio(gain * picture + offset, 8) == pytest.approx(expected, rel=1e-6)
    assert lattice_ratio(picture.T, 8) == pytest.approx(expected, rel=1e-9)


def test_a_flat_picture_has_no_lattice() -> None:
    assert lattice_ratio(np.full((32, 40), 7, dtype=np.uint8), 8) == 1


@pytest.mark.parametrize(
    ("shape", "period", "message"),
    [
        ((32, 32, 3), 8, "one channel"),
        ((32, 64), 3, "at least 4 pixels"),
        ((32, 64), math.nan, "at least 4 pixels"),
        ((31, 64), 8, "fewer than 4 periods"),
    ],
)
def test_the_ratio_refuses_what_it_cannot_measure(
    shape: tuple[int, ...], period: float, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        lattice_ratio(np.zeros(shape), period)
