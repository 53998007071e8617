"""Views: square pixels, the middle where it is asked for, and the scene just fitting at zoom 1."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creps.coordinates import undistorted_window
from creps.errors import GridError
from creps.rendering._view import refuse_beyond_precision, view_window

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
