"""Components and spectra of what a network is told of places."""

from __future__ import annotations

import numpy as np
import pytest

from creps.errors import UsageError
from creps.metrics import power_spectrum
from reproduce.cips_paper.encodings import main_components, mean_frequency, mean_spectrum

HEIGHT, WIDTH = 12, 20


def plane_wave(rows: int, columns: int) -> np.ndarray:
    """A wave of so many periods down and across (H, W)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.sin(2 * np.pi * (rows * y / HEIGHT + columns * x / WIDTH) + 0.3)


def test_components_find_the_planes_that_features_are_made_of() -> None:
    rng = np.random.default_rng(0)
    strong, weak = plane_wave(1, 2), plane_wave(3, 1)
    directions = np.linalg.qr(rng.normal(size=(7, 2)))[0].T
    maps = 5 * strong[..., None] * directions[0] + weak[..., None] * directions[1] + 9.0
    found = main_components(maps, count=2)
    assert found.shape == (HEIGHT, WIDTH, 2)
    assert found.min() == 0
    assert found.max() == 1
    for component, plane in zip(found.transpose(2, 0, 1), (strong, weak), strict=True):
        assert abs(np.corrcoef(component.ravel(), plane.ravel())[0, 1]) == pytest.approx(1)


def test_components_do_not_depend_on_the_sign_that_a_solver_finds() -> None:
    maps = np.random.default_rng(1).normal(size=(HEIGHT, WIDTH, 5))
    turned = maps[:, :, ::-1]  # another order of features, the same components
    np.testing.assert_allclose(main_components(maps), main_components(turned), rtol=1e-9, atol=1e-9)


def test_components_of_a_constant_are_gray() -> None:
    assert (main_components(np.ones((4, 5, 3))) == 0.5).all()


def test_too_few_features_are_refused() -> None:
    with pytest.raises(UsageError, match=r"maps of shape \(4, 5, 2\): expected \(H, W, F\)"):
        main_components(np.ones((4, 5, 2)))


def test_the_mean_spectrum_is_that_of_each_feature_on_average() -> None:
    maps = np.random.default_rng(2).normal(size=(HEIGHT, WIDTH, 3))
    each = [power_spectrum(maps[:, :, k], window=False) for k in range(3)]
    np.testing.assert_allclose(mean_spectrum(maps), np.mean(each, axis=0))


@pytest.mark.parametrize(("rows", "columns"), [(0, 3), (4, 0), (3, 5), (0, 10)])
def test_the_mean_frequency_of_a_wave_is_its_own(rows: int, columns: int) -> None:
    power = power_spectrum(plane_wave(rows, columns), window=False)
    expected = np.hypot(rows / HEIGHT, columns / WIDTH)
    assert mean_frequency(power, WIDTH) == pytest.approx(expected)


def test_the_mean_frequency_of_white_noise() -> None:
    noise = np.random.default_rng(3).normal(size=(64, 65))
    assert mean_frequency(power_spectrum(noise, window=False), 65) == pytest.approx(0.38, abs=0.01)


def test_a_flat_picture_has_the_frequency_0() -> None:
    assert mean_frequency(power_spectrum(np.ones((8, 9)), window=False), 9) == 0
