"""Motions: the focus stays, speed is even, ends are exact, loops close."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creps.coordinates import WHOLE_PLANE
from creps.errors import GridError, UsageError
from creps.rendering._view import refuse_beyond_precision
from creps.rendering.video._motion import (
    EASINGS,
    MOST_FRAMES,
    DistortMotion,
    Frame,
    InterpolateMotion,
    Motion,
    PanMotion,
    RotateMotion,
    ZoomMotion,
    frames_of,
    linear,
    parse_easing,
    smoothstep,
    window_about,
)

START = (-0.25, 0.0, 1.25, 1.0)  # taller than wide
place = st.floats(-2, 2)
side = st.floats(1e-3, 10)
window = st.builds(lambda y, x, h, w: (y, x, y + h, x + w), place, place, side, side)
way = st.floats(0, 1)


def sides(frame: Frame) -> tuple[float, float]:
    y0, x0, y1, x1 = frame.window
    return y1 - y0, x1 - x0


def on_screen(point: tuple[float, float], frame: Frame) -> tuple[float, float]:
    """Where a point of the plane is seen: (0, 0) is top left, (1, 1) bottom right."""
    y0, x0, y1, x1 = frame.window
    return (point[0] - y0) / (y1 - y0), (point[1] - x0) / (x1 - x0)


@given(start=window, focus=st.tuples(place, place), octaves=st.floats(-12, 12), t=way)
def test_the_focus_of_a_zoom_stays_where_it_is(start, focus, octaves, t):
    zoom = ZoomMotion(start, focus, octaves)
    first, then = on_screen(focus, zoom.at(0)), on_screen(focus, zoom.at(t))
    # Far outside of a small window, as many digits are lost as the place has.
    assert then == pytest.approx(first, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("octaves", [5, -5, 0.5])
def test_a_zoom_enlarges_by_equal_factors_in_equal_times(octaves):
    frames = frames_of(ZoomMotion(START, (0.3, 0.7), octaves), count=11)
    for axis in (0, 1):
        ratios = [sides(b)[axis] / sides(a)[axis] for a, b in pairwise(frames)]
        assert ratios == pytest.approx([2 ** (-octaves / 10)] * 10, rel=1e-12)


def test_the_ends_of_a_zoom_are_exact():
    frames = frames_of(ZoomMotion(WHOLE_PLANE, (0.5, 0.25), 3), count=7)
    assert frames[0].window == WHOLE_PLANE
    assert frames[-1].window == (0.4375, 0.21875, 0.5625, 0.34375)  # an eighth, by hand


def test_thirty_octaves_keep_their_digits():
    focus, pixels = (0.3, 0.7), 512
    last = ZoomMotion(START, focus, 30).at(1)
    for axis in (0, 1):
        point = Fraction(focus[axis])
        for edge in (axis, axis + 2):
            exact = point + (Fraction(START[edge]) - point) / 2**30
            error = abs(Fraction(last.window[edge]) - exact)
            assert error / (Fraction(sides(last)[axis]) / pixels) < 1e-3  # pixels


def test_zooming_out_is_zooming_in_backwards():
    there = ZoomMotion(START, (0.3, 0.7), 6)
    back = ZoomMotion(there.at(1).window, (0.3, 0.7), -6)
    for t in (0, 0.25, 0.9, 1):
        assert back.at(1 - t).window == pytest.approx(there.at(t).window, abs=1e-12)


@given(start=window, end=window)
def test_the_ends_of_a_pan_are_exact(start, end):
    pan = PanMotion(start, end)
    assert pan.at(0).window == start
    assert pan.at(1).window == end


def test_a_pan_between_windows_of_one_size_is_a_straight_line():
    pan = PanMotion((0.0, 0.0, 0.25, 0.5), (0.5, 1.0, 0.75, 1.5))
    assert pan.at(0.5).window == pytest.approx((0.25, 0.5, 0.5, 1.0))
    assert pan.at(0.25).window == pytest.approx((0.125, 0.25, 0.375, 0.75))


@given(
    focus=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    octaves=st.floats(0.1, 30) | st.floats(-8, -0.1),
    t=way,
)
def test_a_pan_between_windows_of_two_sizes_is_the_zoom_that_links_them(focus, octaves, t):
    zoom = ZoomMotion(WHOLE_PLANE, focus, octaves)
    pan = PanMotion(WHOLE_PLANE, zoom.at(1).window)
    assert sides(pan.at(t)) == pytest.approx(sides(zoom.at(t)), rel=1e-5)
    # The last window holds its size in as many digits as its place leaves.
    tolerance = 1e-6 * min(sides(zoom.at(t)))
    assert pan.at(t).window == pytest.approx(zoom.at(t).window, rel=1e-15, abs=tolerance)


@given(difference=st.floats(-1e-6, 1e-6), t=way)
def test_a_pan_has_no_jump_where_sizes_become_equal(difference, t):
    straight = PanMotion((0, 0, 1, 1), (3, 2, 4, 3)).at(t)
    almost = PanMotion((0, 0, 1, 1), (3, 2, 4 + difference, 3)).at(t)
    assert almost.window == pytest.approx(straight.window, abs=1e-5)


@pytest.mark.parametrize("name", EASINGS)
def test_easings_go_from_start_to_end_and_never_back(name):
    easing = parse_easing(name)
    values = [easing(k / 100) for k in range(101)]
    assert values[0] == 0
    assert values[-1] == 1
    assert all(b > a for a, b in pairwise(values))
    assert [1 - v for v in reversed(values)] == pytest.approx(values, abs=1e-12)  # alike both ways
    assert max(abs(b - a) for a, b in pairwise(values)) < 0.02


@pytest.mark.parametrize("name", [name for name in EASINGS if name != "linear"])
def test_soft_easings_start_and_stop_slowly(name):
    easing = EASINGS[name]
    assert easing(0.01) < 0.001
    assert easing(0.99) > 0.999


def test_a_cruise_is_even_but_for_its_ends():
    steps = [EASINGS["cruise"]((k + 1) / 20) - EASINGS["cruise"](k / 20) for k in range(3, 17)]
    assert steps == pytest.approx([steps[0]] * len(steps))


def test_an_unknown_easing_names_the_nearest():
    with pytest.raises(UsageError, match="'smothstep': did you mean smoothstep"):
        parse_easing("smothstep")


MOTIONS = [
    ZoomMotion(START, (0.5, 0.5), 2),
    PanMotion(START, WHOLE_PLANE),
    RotateMotion(START, 90),
    InterpolateMotion(START, 3),
    DistortMotion(START),
]


@pytest.mark.parametrize("motion", MOTIONS, ids=lambda m: type(m).__name__)
def test_a_film_begins_and_ends_with_the_ends_of_the_way(motion: Motion):
    frames = frames_of(motion, count=5, easing=smoothstep)
    assert len(frames) == 5
    assert frames[0] == motion.at(0)
    assert frames[-1] == motion.at(1)


@pytest.mark.parametrize("motion", MOTIONS, ids=lambda m: type(m).__name__)
def test_a_loop_of_an_open_way_goes_there_and_back(motion: Motion):
    frames = frames_of(motion, count=8, easing=smoothstep, loop=True)
    assert frames[0] == motion.at(0)
    assert frames[4] == motion.at(1)
    assert frames[5:] == frames[3:0:-1]


@pytest.mark.parametrize(
    ("motion", "show"),
    [
        (RotateMotion(START, 720), lambda frame: frame.degrees / 720),
        (InterpolateMotion(START, 3, back=True), lambda frame: frame.position),
    ],
)
def test_a_loop_of_a_closed_way_ends_one_frame_before_its_beginning(motion, show):
    frames = frames_of(motion, count=6, loop=True)
    assert [show(frame) for frame in frames] == pytest.approx([k / 6 for k in range(6)])


def test_each_leg_between_seeds_is_eased_by_itself():
    frames = frames_of(InterpolateMotion(START, 3), count=9, easing=smoothstep)
    one = [smoothstep(k / 4) / 2 for k in range(5)]
    assert [frame.position for frame in frames] == pytest.approx(
        [*one, *(0.5 + p for p in one[1:])]
    )


@given(count=st.integers(1, 300), seeds=st.integers(2, 9), name=st.sampled_from(sorted(EASINGS)))
def test_positions_stay_on_the_way(count, seeds, name):
    frames = frames_of(InterpolateMotion(START, seeds), count=count, easing=EASINGS[name])
    positions = [frame.position for frame in frames]
    assert positions == sorted(positions)
    assert 0 <= positions[0] <= positions[-1] <= 1


def test_a_single_frame_shows_the_start():
    assert frames_of(MOTIONS[0], count=1) == [MOTIONS[0].at(0)]


@pytest.mark.parametrize("count", [0, -1, MOST_FRAMES + 1])
def test_impossible_counts_are_refused(count):
    with pytest.raises(UsageError, match=r"frames: expected 1 to 100,000"):
        frames_of(MOTIONS[0], count=count, easing=linear)


def test_a_window_about_a_point_keeps_its_size():
    moved = window_about(START, (2.0, -1.0))
    assert moved == (1.25, -1.5, 2.75, -0.5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ZoomMotion((0, 0, 0, 1), (0, 0), 1),
        lambda: ZoomMotion(START, (0, float("nan")), 1),
        lambda: ZoomMotion(START, (0, 0), float("inf")),
        lambda: ZoomMotion(START, (0, 0), 1001),
        lambda: PanMotion(START, (0, 0, 1, 0)),
        lambda: RotateMotion(START, float("inf")),
        lambda: DistortMotion((0, 0, float("nan"), 1)),
    ],
)
def test_motions_that_cannot_be_filmed_are_refused(make):
    with pytest.raises(GridError, match="expected"):
        make()


def test_a_way_through_one_seed_is_refused():
    with pytest.raises(UsageError, match="at least 2"):
        InterpolateMotion(START, 1)


@pytest.mark.parametrize(("octaves", "fits"), [(30, True), (37, True), (41, False), (400, False)])
def test_zooms_beyond_float64_are_refused(octaves, fits):
    last = ZoomMotion(WHOLE_PLANE, (0.7, 0.6), octaves).at(1)
    if fits:
        refuse_beyond_precision(last.window, 512, 768)
    else:
        with pytest.raises(GridError, match="512x768: too small for float64"):
            refuse_beyond_precision(last.window, 512, 768)
