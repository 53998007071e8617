"""Where pixels lie: exact sharing, exact refinement, windows, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from creps.coordinates import (
    AxisGrid,
    Canvas,
    PointGrid,
    Window,
    pixel_centers,
    pixel_corners,
    undistorted_window,
)
from creps.errors import GridError

sizes = st.integers(1, 5000)
edges = st.floats(-3, 3, allow_nan=False)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    y0, x0 = draw(edges), draw(edges)
    return y0, x0, y0 + draw(st.floats(1e-6, 4)), x0 + draw(st.floats(1e-6, 4))


@given(st.data(), sizes, windows(), st.sampled_from(["centers", "corners"]))
def test_shared_pixels_have_bit_equal_coordinates(data, width, window, sampling) -> None:
    canvas = Canvas(3, width, window, sampling)
    first = data.draw(st.integers(0, width - 1))
    count = data.draw(st.integers(1, width - first))
    part = canvas.columns(first, count)
    assert torch.equal(part, canvas.columns()[first : first + count])


@given(sizes)
def test_twice_the_size_is_an_exact_refinement(size) -> None:
    fine = pixel_centers(0, 2 * size, 2 * size).unflatten(0, (size, 2))
    torch.testing.assert_close(fine.mean(1), pixel_centers(0, size, size), rtol=1e-15, atol=1e-16)


@given(st.integers(-100, 5000), st.integers(2, 50), sizes)
def test_coordinates_increase_by_one_pixel(first, count, size) -> None:
    steps = pixel_centers(first, count, size).diff()
    spacing = torch.full_like(steps, 1 / size)
    torch.testing.assert_close(steps, spacing, rtol=1e-9, atol=1e-11)


def test_centers_by_hand() -> None:
    assert pixel_centers(-1, 4, 2).tolist() == [-0.25, 0.25, 0.75, 1.25]


@given(st.integers(2, 5000), windows())
def test_corner_sampling_puts_border_pixels_on_the_borders(size, window) -> None:
    rows = Canvas(size, 1, window, "corners").rows()
    y0, _, y1, _ = window
    assert rows[0] == y0
    assert math.isclose(rows[-1], y1, rel_tol=1e-12, abs_tol=1e-12)


def test_the_only_corner_sample_is_at_the_start() -> None:
    assert pixel_corners(0, 1, 1).tolist() == [0.0]


@given(sizes, sizes, windows())
def test_a_window_is_mapped_exactly_onto_the_canvas(height, width, window) -> None:
    canvas = Canvas(height, width, window)
    y0, x0, y1, x1 = window
    for coords, start, stop, count in (
        (canvas.rows(), y0, y1, height),
        (canvas.columns(), x0, x1, width),
    ):
        half = (stop - start) / count / 2
        assert len(coords) == count
        assert math.isclose(coords[0], start + half, rel_tol=1e-9, abs_tol=1e-12)
        assert math.isclose(coords[-1], stop - half, rel_tol=1e-9, abs_tol=1e-12)


def test_the_grid_of_a_canvas_has_its_shape() -> None:
    assert Canvas(3, 5).grid().shape == (3, 5)
    assert PointGrid(torch.zeros(3, 5, 2)).shape == (3, 5)


@given(sizes, sizes)
def test_an_undistorted_window_has_square_pixels_around_the_unit_square(height, width) -> None:
    y0, x0, y1, x1 = undistorted_window(height, width)
    assert math.isclose((y1 - y0) / height, (x1 - x0) / width, rel_tol=1e-9)
    assert math.isclose(min(y1 - y0, x1 - x0), 1)
    assert math.isclose(y0 + y1, 1)
    assert math.isclose(x0 + x1, 1)


def test_a_wide_window_by_hand() -> None:
    assert undistorted_window(2, 3) == (0, -0.25, 1, 1.25)
    assert undistorted_window(4, 1) == (-1.5, 0, 2.5, 1)


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ((0, 0, math.nan, 1), "four finite numbers"),
        ((0, -math.inf, 1, 1), "four finite numbers"),
        ((0, 0, 1), "four finite numbers"),
        ((0, 1, 1, 1), "x0 < x1"),
        ((1, 0, 0, 1), "y0 < y1"),
    ],
)
def test_impossible_windows_are_refused(window, words) -> None:
    with pytest.raises(GridError, match=words):
        Canvas(2, 3, window)


def test_sizes_below_one_are_refused() -> None:
    with pytest.raises(GridError, match="size 0x3"):
        Canvas(0, 3)
    with pytest.raises(GridError, match="at least 1"):
        undistorted_window(3, -1)
    with pytest.raises(GridError, match="at least 1"):
        pixel_centers(0, 0, 4)


@pytest.mark.parametrize(
    "axis", [torch.zeros(2, 2), torch.zeros(0), torch.zeros(3, dtype=torch.int64)]
)
def test_axes_that_are_no_line_of_numbers_are_refused(axis) -> None:
    with pytest.raises(GridError, match="xs has shape"):
        AxisGrid(torch.zeros(2), axis)


@pytest.mark.parametrize("shape", [(2, 2), (2, 2, 3), (0, 2, 2)])
def test_points_of_another_shape_are_refused(shape) -> None:
    with pytest.raises(GridError, match="points have shape"):
        PointGrid(torch.zeros(shape))
