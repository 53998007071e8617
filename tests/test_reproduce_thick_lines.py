"""Thick lines as pictures: rank is all that counts, and descent comes close to the best."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from creps.errors import ConfigError, UsageError
from reproduce.creps_paper import thick_lines
from reproduce.creps_paper.thick_lines import FitSettings, fit_picture, least_error


def smooth(height: int, width: int, rank: int) -> np.ndarray:
    """(H, W, 3) colours around 127, each of rank `rank` at most."""
    draw = np.random.default_rng(rank)
    y, x = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)
    colours = [np.full((height, width), 127.0) for _ in range(3)]
    for colour in colours:
        for k in range(1, rank):
            colour += 60 / rank * np.cos(3 * k * y + draw.uniform(0, 6)) * np.cos(4 * k * x)
    return np.stack(colours, 2).astype(np.float32)


def test_a_picture_of_low_rank_needs_no_more() -> None:
    picture = smooth(20, 31, 3)
    assert least_error(picture, 1) > 1e-3
    assert least_error(picture, 3) < 1e-12
    fit = fit_picture(picture, FitSettings(thickness=3, steps=800))
    assert fit.mse < 1e-4
    assert fit.image.shape == (20, 31, 3)
    assert fit.mse == pytest.approx(np.square((fit.image - picture) / 255).mean(), rel=1e-3)


def test_descent_comes_close_to_the_singular_vectors_and_never_below() -> None:
    noise = np.random.default_rng(0).uniform(60, 200, (24, 17, 3)).astype(np.float32)
    for thickness in (1, 4):
        least = least_error(noise, thickness)
        loss = fit_picture(noise, FitSettings(thickness=thickness, steps=800)).losses[-1]
        assert least * 0.9999 <= loss <= 1.1 * least


def test_the_least_error_worked_by_hand() -> None:
    picture = np.zeros((2, 3, 1), np.float32)
    picture[0, 0], picture[1, 1] = 255, 127.5  # singular values 1 and 1/2
    assert least_error(picture, 1) == pytest.approx(0.25 / 6)
    assert least_error(picture, 2) == pytest.approx(0, abs=1e-12)


def test_thicker_lines_say_more_and_take_more() -> None:
    noise = np.random.default_rng(1).uniform(0, 255, (16, 21, 3)).astype(np.float32)
    thin, thick = (fit_picture(noise, FitSettings(thickness=d, steps=200)) for d in (1, 6))
    assert thick.mse < thin.mse
    assert (thin.values, thick.values) == (3 * (16 + 21), 6 * 3 * (16 + 21))
    assert thin.share == pytest.approx(37 / (16 * 21))


@pytest.mark.slow
def test_decoders_reach_beyond_the_rank_of_their_lines() -> None:
    """A disc is no product of few rows and columns; a decoder can cut it out of one."""
    y, x = np.mgrid[-1:1:30j, -1:1:40j]
    disc = np.where(x**2 + y**2 < 0.5, 230.0, 20.0)[:, :, None].astype(np.float32)
    settings = FitSettings(thickness=2, composition="decoders", levels=2, steps=500)
    decoded = fit_picture(disc, settings)
    assert decoded.mse < least_error(disc, 2)
    assert decoded.image.shape == (30, 40, 1)


def test_blocks_of_a_large_picture_see_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thick_lines, "BLOCK", 8)
    picture = np.full((30, 21, 1), 40.0, np.float32)
    picture[-12:] = 220
    settings = FitSettings(thickness=1, composition="decoders", levels=1, channels=2, steps=300)
    image = fit_picture(picture, settings).image
    assert image[:-12].mean() < 90 < 170 < image[-12:].mean()


@pytest.mark.parametrize("composition", ["lines", "decoders"])
def test_the_seed_decides(composition) -> None:
    picture = smooth(12, 9, 3)
    settings = FitSettings(thickness=2, composition=composition, steps=5)
    first, again = fit_picture(picture, settings), fit_picture(picture, settings)
    assert first.losses == again.losses
    assert fit_picture(picture, replace(settings, seed=1)).losses != first.losses


def test_what_cannot_be_fitted() -> None:
    with pytest.raises(UsageError, match=r"expected \(H, W, C\) with sides of at most 4096"):
        fit_picture(np.zeros((4097, 2, 3), np.uint8))
    with pytest.raises(ConfigError, match="thickness 0: expected at least 1"):
        FitSettings(thickness=0)
    with pytest.raises(ConfigError, match="composition 'sum': expected lines or decoders"):
        FitSettings(composition="sum")
