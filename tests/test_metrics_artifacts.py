"""Waves, symmetry, blobs and stripes: each measure sees its own artifact in a smooth noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from creps.errors import UsageError
from creps.metrics._artifacts import ARTIFACTS, artifact_measures


def noise(height: int = 96, width: int = 128, *, seed: int = 0) -> np.ndarray:
    """A picture like a cloud: power falls as frequency^-2; mean 128, deviation 30."""
    white = np.random.default_rng(seed).normal(size=(height, width))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    frequency[0, 0] = 1
    cloud = np.fft.irfft2(np.fft.rfft2(white) / frequency, s=(height, width))
    return 128 + 30 * (cloud - cloud.mean()) / cloud.std()


def marked(name: str, picture: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(float)
    if name == "waves":
        return picture + 8 * np.sin(0.9 * y + 1.1 * x)
    if name == "symmetry":
        return (picture + picture[:, ::-1]) / 2
    if name == "blobs":
        return picture + 150 * np.exp(-((y - 40) ** 2 + (x - 70) ** 2) / (2 * 5**2))
    stripes = np.random.default_rng(9).normal(size=picture.shape[0])[:, None]
    return picture + 8 * stripes


@pytest.mark.parametrize("name", ARTIFACTS)
@pytest.mark.parametrize("seed", range(3))
def test_each_measure_sees_its_artifact(name: str, seed: int) -> None:
    others = [artifact_measures(noise(seed=100 + k))[name] for k in range(8)]
    found = artifact_measures(marked(name, noise(seed=seed)))[name]
    assert found > np.mean(others) + 3 * np.std(others)


@given(gain=st.floats(0.1, 3), offset=st.floats(-50, 50))
def test_measures_ignore_brightness_and_contrast(gain: float, offset: float) -> None:
    picture = noise(40, 48, seed=1)
    expected, found = artifact_measures(picture), artifact_measures(gain * picture + offset)
    for name in ARTIFACTS:
        assert found[name] == pytest.approx(expected[name], rel=1e-6, abs=1e-6)


def test_a_mirrored_picture_is_wholly_symmetric_and_a_flat_one_is_nothing() -> None:
    half = noise(64, 40, seed=2)
    assert artifact_measures(np.concatenate([half, half[:, ::-1]], axis=1))["symmetry"] > 0.999
    flat = artifact_measures(np.full((33, 40, 3), 7, np.uint8))
    assert (flat["symmetry"], flat["blobs"], flat["stripes"]) == (0, 0, 0)
    assert np.isfinite(flat["waves"])


def test_small_pictures_are_refused() -> None:
    with pytest.raises(UsageError, match="32 pixels or more"):
        artifact_measures(np.zeros((31, 64)))
