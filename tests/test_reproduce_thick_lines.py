"""Thick lines as pictures: rank is all that counts, and descent comes close to the best."""

from __future__ import annotations

import numpy as np
import pytest

from reproduce.creps_paper.thick_lines import fit_picture, least_error


def smooth(height: int, width: int, rank: int) -> np.ndarray:
    """(H, W, 3) colors around 127, each of rank `rank` at most."""
    draw = np.random.default_rng(rank)
    y, x = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)
    colors = [np.full((height, width), 127.0) for _ in range(3)]
    for color in colors:
        for k in range(1, rank):
            color += 60 / rank * np.cos(3 * k * y + draw.uniform(0, 6)) * np.cos(4 * k * x)
    return np.stack(colors, 2).astype(np.float32)


def test_a_picture_of_low_rank_needs_no_more() -> None:
    picture = smooth(20, 31, 3)
    assert least_error(picture, 1) > 1e-3
    assert least_error(picture, 3) < 1e-12
    fit = fit_picture(picture, 3, steps=800)
    assert fit.mse < 1e-4
    assert fit.image.shape == (20, 31, 3)
    assert fit.mse == pytest.approx(np.square((fit.image - picture) / 255).mean(), rel=1e-3)


def test_descent_comes_close_to_the_singular_vectors_and_never_below() -> None:
    noise = np.random.default_rng(0).uniform(60, 200, (24, 17, 3)).astype(np.float32)
    for thickness in (1, 4):
        least = least_error(noise, thickness)
        loss = fit_picture(noise, thickness, steps=800).losses[-1]
        assert least * 0.9999 <= loss <= 1.1 * least


def test_the_least_error_worked_by_hand() -> None:
    picture = np.zeros((2, 3, 1), np.float32)
    picture[0, 0], picture[1, 1] = 255, 127.5  # singular values 1 and 1/2
    assert least_error(picture, 1) == pytest.approx(0.25 / 6)
    assert least_error(picture, 2) == pytest.approx(0, abs=1e-12)


def test_thicker_lines_say_more_and_take_more() -> None:
    noise = np.random.default_rng(1).uniform(0, 255, (16, 21, 3)).astype(np.float32)
    thin, thick = (fit_picture(noise, d, steps=200) for d in (1, 6))
    assert thick.mse < thin.mse
    assert thick.share == pytest.approx(6 * thin.share)
    assert thin.share == pytest.approx(37 / (16 * 21))


@pytest.mark.slow
def test_the_seed_decides() -> None:
    picture = smooth(12, 9, 3)
    first, again, other = (fit_picture(picture, 2, steps=5, seed=seed) for seed in (0, 0, 1))
    assert first.losses == again.losses != other.losses
