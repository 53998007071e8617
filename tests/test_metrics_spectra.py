"""Spectra: white noise is flat, waves are peaks, and power is neither lost nor made."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from creps.errors import UsageError
from creps.metrics._spectra import (
    power_spectrum,
    radial_spectrum,
    spectrum_difference,
    whole_plane,
)

sides = st.integers(8, 33)


@given(height=sides, width=sides, seed=st.integers(0, 2**31))
def test_power_adds_up_to_the_variance(height: int, width: int, seed: int) -> None:
    picture = np.random.default_rng(seed).normal(size=(height, width))
    whole = whole_plane(power_spectrum(picture, window=False), width)
    assert whole.mean() == pytest.approx(picture.var(), rel=1e-9)


@given(height=sides, width=sides, seed=st.integers(0, 2**31))
def test_the_whole_plane_is_the_full_transform(height: int, width: int, seed: int) -> None:
    picture = np.random.default_rng(seed).normal(size=(height, width))
    picture -= picture.mean()
    full = np.fft.fftshift(np.abs(np.fft.fft2(picture)) ** 2) / picture.size
    np.testing.assert_allclose(
        whole_plane(power_spectrum(picture, window=False), width), full, atol=1e-9
    )


@given(height=sides, width=sides, seed=st.integers(0, 2**31))
def test_rings_hold_each_frequency_once(height: int, width: int, seed: int) -> None:
    picture = np.random.default_rng(seed).normal(size=(height, width))
    power = power_spectrum(picture, window=False)
    found = radial_spectrum(power, width)
    # A second form: over the whole plane, ring by ring.
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    ring = np.rint(np.fft.fftshift(radius) * min(height, width)).astype(int)
    plane = whole_plane(power, width)
    for k in range(len(found.frequency)):
        assert found.integral[k] == pytest.approx(plane[ring == k].sum(), rel=1e-9, abs=1e-12)
        assert found.average[k] == pytest.approx(plane[ring == k].mean(), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("window", [False, True])
def test_white_noise_is_flat_at_its_variance(window: bool) -> None:
    rng = np.random.default_rng(0)
    spectra = [power_spectrum(3 * rng.normal(size=(40, 48)), window=window) for _ in range(60)]
    found = radial_spectrum(np.mean(spectra, axis=0), 48).average[2:]
    np.testing.assert_allclose(found, 9, rtol=0.15)


def test_a_wave_is_a_peak_at_its_frequency() -> None:
    y, x = np.mgrid[:48, :64]
    found = radial_spectrum(power_spectrum(np.sin(2 * np.pi * (6 * y / 48 + 8 * x / 64))), 64)
    assert found.frequency[found.average.argmax()] == pytest.approx(np.hypot(1 / 8, 1 / 8), rel=0.1)


def test_the_window_keeps_borders_from_hiding_the_faint() -> None:
    ramp = np.mgrid[:64, :64][0] * 4.0
    upper = slice(20, None)
    plain, windowed = (
        radial_spectrum(power_spectrum(ramp, window=window), 64).average[upper].mean()
        for window in (False, True)
    )
    assert windowed < 1e-3 * plain


def test_colors_are_averaged() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    np.testing.assert_allclose(power_spectrum(picture), power_spectrum(picture.mean(2)))


def test_blur_and_noise_show_in_the_tail() -> None:
    real = np.geomspace(1e4, 10, 40)
    blurred = real * np.geomspace(1, 0.1, 40)
    assert spectrum_difference(real, real) == (0, 0)
    assert spectrum_difference(blurred, real).tail == pytest.approx(-7.5, abs=0.5)
    assert spectrum_difference(2 * real, real).tail == pytest.approx(10 * np.log10(2))
    assert spectrum_difference(2 * real, real).rms == pytest.approx(10 * np.log10(2))


def test_what_has_no_spectrum_is_refused() -> None:
    with pytest.raises(UsageError, match="8 pixels or more"):
        power_spectrum(np.zeros((7, 20)))
    with pytest.raises(UsageError, match="NaN"):
        power_spectrum(np.full((9, 9), np.nan))
    with pytest.raises(UsageError, match=r"expected \(H, 6\)"):
        radial_spectrum(np.zeros((9, 5)), 10)
    with pytest.raises(UsageError, match="one size"):
        spectrum_difference(np.ones(5), np.ones(6))
