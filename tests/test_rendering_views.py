"""Views: square pixels, the middle where it is asked for, and the scene just fitting at zoom 1."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creps.coordinates import Canvas, undistorted_window
from creps.errors import CrepsError, GridError, UsageError
from creps.rendering._latents import Latent
from creps.rendering._renderer import Renderer, render
from creps.rendering._view import View, refuse_beyond_precision, view_window
from creps.rendering.warps import Rotate
from tiny_creps import tiny_creps

SIDES = st.integers(1, 5000)


@given(SIDES, SIDES)
def test_without_zoom_and_pan_it_is_the_undistorted_window(height: int, width: int) -> None:
    assert view_window(height, width) == pytest.approx(undistorted_window(height, width), rel=1e-14)
    assert view_window(height, height) == (0, 0, 1, 1)


@given(
    SIDES, SIDES, st.floats(1e-3, 1e6), st.floats(-9, 9), st.floats(-9, 9), st.integers(1, 5)
)  # fmt: skip
def test_pixels_are_square_and_the_point_is_in_the_middle(
    height: int, width: int, zoom: float, y: float, x: float, across: int
) -> None:
    y0, x0, y1, x1 = view_window(height, width, zoom=zoom, pan=(y, x), across=across)
    pixel = max(1 / height, across / width) / zoom
    assert (y1 - y0) / height == pytest.approx(pixel, rel=1e-6)
    assert (x1 - x0) / width == pytest.approx(pixel, rel=1e-6)
    close = 1e-12 * max(10, x1 - x0, y1 - y0)
    assert ((y0 + y1) / 2, (x0 + x1) / 2) == pytest.approx((y, x), abs=close)


def test_a_row_of_squares_fits_too() -> None:
    assert view_window(256, 768, across=3) == (0, 0, 1, 3)
    assert view_window(100, 100, across=2) == (-0.5, 0, 1.5, 2)
    assert view_window(1, 9, across=3) == (0, -3, 1, 6)
    assert view_window(1, 3, across=3, zoom=2) == (0.25, 0.75, 0.75, 2.25)


@pytest.mark.parametrize("zoom", [0, -1, math.inf, math.nan])
def test_impossible_zooms_are_refused(zoom: float) -> None:
    with pytest.raises(GridError, match="expected a finite number above 0"):
        view_window(2, 3, zoom=zoom)


def test_impossible_sizes_and_points_are_refused() -> None:
    with pytest.raises(GridError, match="at least 1 pixel"):
        view_window(0, 3)
    with pytest.raises(GridError, match="pan nan,0: expected two finite numbers"):
        view_window(2, 3, pan=(math.nan, 0))


def test_pixels_that_float64_cannot_tell_apart_are_refused() -> None:
    refuse_beyond_precision(view_window(512, 512, zoom=2.0**37), 512, 512)
    with pytest.raises(GridError, match="too small for float64"):
        refuse_beyond_precision(view_window(512, 512, zoom=2.0**45), 512, 512)


# What is asked for, checked when it is made


def test_a_view_is_the_same_in_other_words() -> None:
    view = View(size=512, zoom=4, pan=(0.25, 0.5))
    assert view == View(size=(512, 512), window=view_window(512, 512, zoom=4, pan=(0.25, 0.5)))
    assert View(size=8, warp="rotate:30").bend == Rotate(30)
    assert replace(view, supersample=2).window == view.window


def test_a_view_knows_its_canvas_once_there_is_a_model() -> None:
    network = tiny_creps()
    assert View().canvas(network) == Canvas(16, 16)
    assert View(size=(6, 9)).canvas(network) == Canvas(6, 9, undistorted_window(6, 9))
    assert View(across=3).canvas(network) == Canvas(16, 48, (0, 0, 1, 3))
    assert View(zoom=2).canvas(network) == Canvas(16, 16, (0.25, 0.25, 0.75, 0.75))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": (0, 3)}, "at least 1 pixel"),
        ({"size": 1.5}, "expected whole pixels"),
        ({"size": (1, 2, 3)}, "expected whole pixels"),
        ({"window": (0, 0, 0, 1)}, "expected y0 < y1"),
        ({"window": (0, 0, 1, 1e7)}, "expected edges within"),
        ({"size": 512, "zoom": 2.0**45}, "too small for float64"),
        ({"window": (0, 0, 1, 1), "zoom": 2}, "window given with zoom, pan or fit"),
        ({"warp": "bend"}, "unknown warp"),
        ({"supersample": 0}, "whole number from 1"),
        ({"tile_edge": 0}, "tile_edge of 0 pixels"),
    ],
)
def test_impossible_views_are_refused_before_there_is_a_model(options, words: str) -> None:
    with pytest.raises(CrepsError, match=words):
        View(**options)


def test_one_view_is_given_not_two() -> None:
    with pytest.raises(UsageError, match="expected one of them"):
        render(tiny_creps(), seed=1, view=View(size=8), size=9)
    with pytest.raises(UsageError, match="expected one of them"):
        render(tiny_creps(), Latent(seed=1), seed=2)


@pytest.mark.parametrize("size", [(6, 10), (10, 6), (7, 7)])
def test_a_crop_has_the_shape_and_nothing_beyond_the_square(size: tuple[int, int]) -> None:
    window = View(size=size, fit="crop").window
    assert window is not None
    y0, x0, y1, x1 = window
    assert (y1 - y0) / (x1 - x0) == pytest.approx(size[0] / size[1])
    assert (y0 + y1, x0 + x1) == pytest.approx((1, 1))
    assert max(y1 - y0, x1 - x0) == pytest.approx(1)
    near = View(size=size, fit="crop", zoom=4, pan=(0.25, 0.5)).window
    assert near is not None
    assert (near[2] - near[0]) * 4 == pytest.approx(y1 - y0)
    assert (near[0] + near[2]) / 2 == pytest.approx(0.25)


def test_a_crop_of_scenes_side_by_side_fills_the_picture() -> None:
    assert View(size=(4, 6), fit="crop", across=2).window == (0.0, 0.25, 1.0, 1.75)


def test_pictures_know_what_lies_beyond_the_training() -> None:
    model = tiny_creps()
    renderer = Renderer(model, seed=1)
    beyond = {"size": (6, 10)}, {"size": (6, 10), "fit": "crop"}, {"size": 6, "zoom": 0.5}
    assert [renderer.painter(**view).beyond_training for view in beyond] == [
        pytest.approx(0.4), 0, pytest.approx(0.75),
    ]  # fmt: skip
    turned = renderer.painter(size=64, warp="rotate:45").beyond_training
    assert turned == pytest.approx(1 - 2 * (2**0.5 - 1), abs=0.01)  # an octagon stays inside
    assert renderer.painter(size=64, warp="rotate:0").beyond_training == 0
    wide = Renderer(model, Latent(styles="1/2/3", blend="panorama"))
    assert wide.painter(View(size=(4, 12), across=3)).beyond_training == 0
    model.record = {"training": {"resolution": 6, "size": [6, 10]}}
    assert renderer.painter(size=(6, 10)).beyond_training == 0
    for odd in ([6], "6x10", [0, 3], [6, 10.5], None):
        model.record = {"training": {"size": odd}}
        assert model.trained_window == (0, 0, 1, 1)
    model.record = {"training": "long ago"}
    assert model.trained_window == (0, 0, 1, 1)
