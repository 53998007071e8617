"""Foveated pictures: the asked pixels are exact, their number too, and the others are near."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from creps.coordinates import Canvas
from creps.errors import GridError, UsageError
from creps.networks.creps import Creps
from creps.rendering._foveated import FoveatedPainter, fill, sampling_pattern
from creps.rendering._latents import PreparedLatents
from creps.rendering._view import View
from tiny_creps import random_styles, tiny_creps

CANVAS = Canvas(30, 50, (0.0, -0.3, 1.0, 1.4))


def foveated(network: Creps, styles: Tensor, canvas: Canvas, **options: Any) -> FoveatedPainter:
    view = View(size=(canvas.height, canvas.width), window=canvas.window)
    return FoveatedPainter(PreparedLatents(network, styles), view, **options)


@pytest.fixture(scope="module", params=["layerwise", "dense"])
def network(request: pytest.FixtureRequest) -> Creps:
    return tiny_creps(composition=request.param)


@given(st.floats(1e-4, 1), st.integers(0, 99), st.floats(0.01, 10))
def test_exactly_the_share_of_the_pixels(share: float, seed: int, sigma: float) -> None:
    mask = sampling_pattern(CANVAS, share=share, seed=seed, sigma=sigma)
    assert mask.shape == (30, 50)
    assert int(mask.sum()) == max(round(share * 1500), 1)


def test_a_pattern_is_its_seeds_and_grows_with_the_share() -> None:
    a = sampling_pattern(CANVAS, share=0.2, seed=3)
    assert torch.equal(a, sampling_pattern(CANVAS, share=0.2, seed=3))
    assert not torch.equal(a, sampling_pattern(CANVAS, share=0.2, seed=4))
    assert bool((sampling_pattern(CANVAS, share=0.5, seed=3) >= a).all())


def test_pixels_are_dense_about_the_gaze() -> None:
    canvas = Canvas(90, 180, (0.0, 0.0, 1.0, 2.0))
    mask = sampling_pattern(canvas, share=0.05, gaze=(0.25, 1.5), sigma=0.2)
    y, x = (each.double() for each in mask.nonzero(as_tuple=True))
    distance = torch.hypot((y + 0.5) / 90 - 0.25, (x + 0.5) / 90 - 1.5)
    # Few samples fall as a Gaussian: of a normal distribution in 2-D, 39 % lie within sigma.
    assert float((distance < 0.2).double().mean()) == pytest.approx(0.45, abs=0.08)
    assert float((distance < 0.6).double().mean()) > 0.98
    flat = sampling_pattern(canvas, share=0.05, gaze=(0.25, 1.5), sigma=1e3)
    assert float(flat.nonzero()[:, 1].double().mean()) == pytest.approx(90, abs=6)


def test_the_gaze_lies_on_the_plane_and_the_spread_on_the_picture() -> None:
    whole = sampling_pattern(Canvas(40, 40), share=0.1, gaze=(0.25, 0.5))
    window = sampling_pattern(Canvas(40, 40, (3.0, 3.0, 5.0, 7.0)), share=0.1, gaze=(3.5, 5.0))
    assert torch.equal(whole, window)
    assert torch.equal(
        sampling_pattern(Canvas(40, 40), share=0.1),
        sampling_pattern(Canvas(40, 40), share=0.1, gaze=(0.5, 0.5)),
    )


def test_all_pixels_are_the_plain_picture(network: Creps) -> None:
    styles = random_styles(network, 2)
    result = foveated(network, styles, CANVAS, share=1.0)
    torch.testing.assert_close(result.image(), network.synthesize(styles, CANVAS.grid()))
    assert bool(result.mask.all())


def test_asked_pixels_are_exact_and_the_others_near(network: Creps) -> None:
    styles, canvas = random_styles(network, 2), Canvas(40, 60, (0.3, 0.3, 0.7, 0.9))
    plain = network.synthesize(styles, canvas.grid())
    result = foveated(network, styles, canvas, share=0.25, seed=1)
    torch.testing.assert_close(result.image()[..., result.mask], plain[..., result.mask])
    error = (result.image() - plain)[..., ~result.mask]
    assert float(error.std()) < 0.25 * float(plain.std())


def test_a_picture_does_not_depend_on_the_batch(network: Creps) -> None:
    styles = random_styles(network, 2)
    both = foveated(network, styles, CANVAS, share=0.1).image()
    alone = foveated(network, styles[1:], CANVAS, share=0.1).image()
    torch.testing.assert_close(both[1:], alone)


# The fill


def some_mask(height: int, width: int, share: float) -> Tensor:
    return sampling_pattern(Canvas(height, width), share=share, sigma=10)


def test_a_fill_keeps_what_is_known_and_nothing_else_matters() -> None:
    picture = torch.randn(1, 3, 13, 18, generator=torch.Generator().manual_seed(0))
    mask = some_mask(13, 18, 0.3)
    filled = fill(picture, mask)
    assert torch.equal(filled[..., mask], picture[..., mask])
    torch.testing.assert_close(fill(torch.where(mask, picture, 7.0), mask), filled)


@pytest.mark.slow
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 80))
def test_one_sample_fills_any_picture(height: int, width: int, place: int) -> None:
    mask = torch.zeros(height * width, dtype=torch.bool)
    mask[place % len(mask)] = True
    known = torch.full((1, 2, height, width), 3.0, dtype=torch.float64)
    torch.testing.assert_close(fill(known, mask.view(height, width)), known)


def test_smooth_pictures_are_filled_closely() -> None:
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    smooth = ((y / 9).sin() + (x / 12 + y / 15).cos())[None, None]
    errors = [float((fill(smooth, some_mask(48, 64, n)) - smooth).std()) for n in (0.1, 0.3)]
    assert errors[0] < 0.1 * float(smooth.std())
    assert errors[1] < 0.5 * errors[0]


# Mistakes


@pytest.mark.parametrize("share", [0.0, -1.0, 1.01, math.nan])
def test_impossible_shares_are_refused(share: float) -> None:
    with pytest.raises(UsageError, match="expected above 0, up to 1"):
        sampling_pattern(CANVAS, share=share)


def test_impossible_gazes_are_refused() -> None:
    with pytest.raises(UsageError, match="sigma 0"):
        sampling_pattern(CANVAS, share=0.1, sigma=0)
    with pytest.raises(GridError, match="two finite numbers"):
        sampling_pattern(CANVAS, share=0.1, gaze=(math.nan, 0.5))
