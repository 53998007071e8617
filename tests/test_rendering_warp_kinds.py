"""Each kind of warp moves the picture as its name says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from creps.errors import GridError
from creps.rendering.warps import (
    Affine,
    Barrel,
    Cylinder,
    Elastic,
    Equirectangular,
    Homography,
    Identity,
    Perspective,
    Polar,
    Rotate,
    Scale,
    Swirl,
    Translate,
    Unpolar,
    Warp,
    Zoom,
    chain,
)
from creps.rendering.warps._bent import _cubic_weights, _mix, _signed_unit
from warp_samples import distance, number, numbers, places, point, warps

UNIT_SQUARE = ((0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0))
SEEN = ((0.2, 0.3), (0.1, 0.8), (0.95, 1.0), (0.8, 0.0))
center = numbers(-1, 2)


def undoes(first: Warp, second: Warp, *, within: float = 1e-9) -> bool:
    return distance(chain(first, second)(places()), places()) <= within


def steps_of(warp: Warp, points: Tensor, step: float = 1e-6) -> Tensor:
    """(P, 2, 2) derivatives: row i is how component i changes with y and x."""
    offsets = torch.eye(2, dtype=torch.float64) * step
    return torch.stack(
        [(warp(points + o) - warp(points - o)) / (2 * step) for o in offsets], dim=-1
    )


# Straight lines


@given(number, number, number)
def test_turning_back_undoes_a_turn(degrees: float, y: float, x: float) -> None:
    scale = max(1, abs(y), abs(x))
    assert undoes(Rotate(degrees, y, x), Rotate(-degrees, y, x), within=1e-12 * scale)


@given(numbers(0.01, 100), center, center)
def test_zooming_out_undoes_zooming_in(factor: float, y: float, x: float) -> None:
    assert undoes(Zoom(factor, y, x), Zoom(1 / factor, y, x))
    assert undoes(Zoom(factor, y, x), Scale(1 / factor, 1 / factor, y, x))


@given(numbers(-9, 9), numbers(-9, 9))
def test_moving_back_undoes_a_move(down: float, right: float) -> None:
    assert undoes(Translate(down, right), Translate(-down, -right))


@given(center, center, number, st.sampled_from([Rotate, Zoom, Barrel, Swirl]))
def test_the_fixed_point_stays(y: float, x: float, value: float, kind: type[Warp]) -> None:
    warp = kind(abs(value) + 1, y=y, x=x)  # type: ignore[call-arg]
    assert distance(warp(point(y, x)), point(y, x)) < 1e-12


def test_what_is_seen_of_simple_warps() -> None:
    """Each: where to look in the output, and which place of the plane is seen there."""
    table: list[tuple[Warp, tuple[float, float], tuple[float, float]]] = [
        (Translate(0.25, 0.5), (0.5, 0.75), (0.25, 0.25)),
        (Zoom(2), (1.0, 0.0), (0.75, 0.25)),
        (Zoom(2, 0, 0), (1.0, 0.5), (0.5, 0.25)),
        (Scale(2, 1), (1.0, 0.0), (0.75, 0.0)),
        (Scale(-1, 1), (0.0, 0.25), (1.0, 0.25)),
        (Rotate(90), (0.0, 0.5), (0.5, 1.0)),  # on top is what was at the right
        (Rotate(-90), (0.0, 0.5), (0.5, 0.0)),
        (Rotate(90, 0, 0), (-1.0, 0.0), (0.0, 1.0)),
        (Affine([[1, 0, 0.25], [0, 2, 0]]), (0.25, 1.0), (0.0, 0.5)),
        (Affine([[0, 1, 0], [1, 0, 0]]), (0.25, 1.0), (1.0, 0.25)),
    ]
    for warp, place, seen in table:
        assert distance(warp(point(*place)), point(*seen)) < 1e-15, warp


def test_thirty_degrees_by_hand() -> None:
    """At 30 degrees above the middle's right is seen what was at its right."""
    place = point(0.5 - 0.4 * math.sin(math.pi / 6), 0.5 + 0.4 * math.cos(math.pi / 6))
    assert distance(Rotate(30)(place), point(0.5, 0.9)) < 1e-15


def test_matrices_are_taken_from_anything_that_is_one() -> None:
    rows = [[0.8, -0.6, 0.1], [0.6, 0.8, 0.2]]
    warp = Affine(rows)
    assert warp == Affine(torch.tensor(rows, dtype=torch.float64)) == Affine(np.array(rows))
    assert warp == Affine([*rows, [0, 0, 1]])
    assert hash(warp) == hash(Affine(np.array(rows)))
    with pytest.raises(GridError, match="numbers of shape 2x2: expected 2x3 or 3x3"):
        Affine([[1, 0], [0, 1]])
    with pytest.raises(GridError, match="numbers of shape 0: expected 3x3"):
        Homography([[1, 0], [0]])


def test_a_strong_zoom_is_no_singular_matrix() -> None:
    tiny = Affine([[1e-9, 0, 0.5], [0, 1e-9, 0.5]])
    assert distance(tiny(point(0.5, 0.5)), point(0, 0)) < 1e-6


@given(numbers(-3, 3), numbers(-1, 1))
def test_affine_matrices_do_what_rotations_do(radians: float, shift: float) -> None:
    c, s = math.cos(radians), math.sin(radians)
    forward = Affine([[c, -s, shift], [s, c, 0]])
    turn = chain(Rotate(math.degrees(radians), 0, 0), Translate(shift))
    assert distance(forward(places()), turn(places())) < 1e-12
    assert distance(Homography([*forward.rows, (0, 0, 1)])(places()), turn(places())) < 1e-12


@given(st.permutations(range(4)), numbers(0.01, 0.3), numbers(-9, 9))
def test_perspective_moves_corners_to_places(order: list[int], bend: float, shift: float) -> None:
    turns = [list(SEEN)[k:] + list(SEEN)[:k] for k in range(4)]
    corners = [(y * (1 + bend) + shift, x - shift) for y, x in turns[order[0]]]
    seen = Perspective(corners)(torch.tensor(corners, dtype=torch.float64))
    assert distance(seen, torch.tensor(UNIT_SQUARE, dtype=torch.float64)) < 1e-9


def test_a_homography_of_four_points_moves_them() -> None:
    sources = ((0.1, 0.1), (0.0, 0.9), (0.7, 0.8), (0.9, 0.2))
    warp = Homography.from_corners(SEEN, sources)
    seen = warp(torch.tensor(SEEN, dtype=torch.float64))
    assert distance(seen, torch.tensor(sources, dtype=torch.float64)) < 1e-12
    back = Homography.from_corners(sources, SEEN)
    assert distance(chain(warp, back)(places(low=0.3, high=0.6)), places(low=0.3, high=0.6)) < 1e-12


def test_straight_lines_stay_straight_under_perspective() -> None:
    a, b, c = Perspective(SEEN)(torch.stack([point(0.3, 0.2), point(0.5, 0.5), point(0.7, 0.8)]))
    (ay, ax), (by, bx) = b - a, c - a
    assert abs(float(ay * bx - ax * by)) < 1e-15


def test_behind_the_horizon_nothing_is_seen() -> None:
    """A floor that recedes upwards: y' = -1 / (y + 1) tends to 0 far away and is above 0 behind."""
    floor = Homography([[0, 0, -1], [0, 1, 0], [1, 0, 1]])
    assert distance(floor(point(-0.5, 0.5)), point(1.0, 1.0)) < 1e-15
    assert floor(torch.stack([point(0.0, 0.5), point(0.1, 0.5)])).isnan().all()
    negative = Homography(-np.array(floor.rows))
    assert distance(negative(point(-0.5, 0.5)), point(1.0, 1.0)) < 1e-15


def test_corners_that_make_no_quadrilateral_are_refused() -> None:
    crossed = (SEEN[0], SEEN[2], SEEN[1], SEEN[3])
    for corners in (
        crossed,
        SEEN[:3],
        [(0, 0)] * 4,
        [(0, 0), (0, 1), (0, 2), (1, 0)],
        [(1,), (2, 3)],
    ):
        with pytest.raises(GridError, match=r"corners .*: expected "):
            Homography.from_corners(corners)


# Distortions


@settings(max_examples=30)
@given(numbers(0, 2), numbers(0.05, 3), st.integers(0, 2**32 - 1))
def test_elastic_shifts_stay_within_their_bound(amount: float, scale: float, seed: int) -> None:
    points = places(low=-3, high=3)
    assert distance(Elastic(amount, scale, seed)(points), points) <= amount + 1e-12


def test_elastic_shifts_are_of_the_typical_size_and_unbiased() -> None:
    points = places(low=-40, high=40, count=20_000)
    shifts = Elastic(1.0)(points) - points
    assert float(shifts.square().mean().sqrt()) == pytest.approx(0.28, abs=0.01)
    assert shifts.mean(0).abs().max() < 0.01
    assert abs(float(torch.corrcoef(shifts.T)[0, 1])) < 0.03


def test_elastic_seeds_and_far_places_differ() -> None:
    points = places()
    shift = Elastic(1.0)(points) - points
    for other in (Elastic(1.0, seed=1)(points), Elastic(1.0)(points + 256.0) - 256.0):
        between = torch.corrcoef(torch.stack([shift.flatten(), (other - points).flatten()]))
        assert abs(float(between[0, 1])) < 0.3
    assert torch.equal(Elastic(1.0)(points), points + shift)


def test_elastic_fields_are_smooth_across_lattice_lines() -> None:
    """Continuous second derivatives: second differences agree just left and right of a line."""
    warp, step = Elastic(1.0, 0.25, 5), 1e-4
    for line in (0.25, -0.5):
        x = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0], dtype=torch.float64) * step + line
        shifts = warp(torch.stack([torch.full_like(x, 0.1), x], dim=-1))
        left = (shifts[2] - 2 * shifts[1] + shifts[0]) / step**2
        right = (shifts[4] - 2 * shifts[3] + shifts[2]) / step**2
        assert distance(left, right) < 0.1  # a kink in the slope would give 1 / step


def test_elastic_does_not_fold_within_its_bound() -> None:
    slopes = steps_of(Elastic(0.06, 0.25, 2), places(low=-5, high=5, count=2000))
    assert torch.linalg.det(slopes).min() > 0


def test_elastic_of_a_shifted_lattice_by_hand() -> None:
    """On a lattice node the spline is 1/6, 2/3, 1/6 of it and its neighbors along each axis."""
    weights = (1 / 6, 4 / 6, 1 / 6)
    seed = _mix(torch.tensor(9))
    down = right = 0.0
    for i, weight_y in enumerate(weights):
        for j, weight_x in enumerate(weights):
            word = _mix(_mix(seed + 3 + i) + 5 + j)
            down += weight_y * weight_x * float(_signed_unit(word))
            right += weight_y * weight_x * float(_signed_unit(_mix(word)))
    seen = Elastic(0.5, 1.0, 9)(point(3.0, 5.0))
    assert distance(seen, point(3 + 0.5 * down, 5 + 0.5 * right)) < 1e-12


@given(numbers(0, 1))
def test_spline_weights_share_out_one(t: float) -> None:
    weights = torch.stack(_cubic_weights(torch.tensor(t, dtype=torch.float64)))
    assert weights.min() >= 0
    assert float(weights.sum()) == pytest.approx(1, rel=1e-14)
    nodes = torch.tensor([-1.0, 0.0, 1.0, 2.0], dtype=torch.float64)
    assert float((weights * nodes).sum()) == pytest.approx(t, abs=1e-14)  # straight stays straight


def test_the_hash_is_what_it_was() -> None:
    """Stored fields must look alike for ever: the bits of three words."""
    assert _mix(torch.tensor([0, 1, 2**40 + 7])).tolist() == [1684164658, 1580013426, 3838393609]


def test_barrels_bow_outwards() -> None:
    """r (1 + k1 r^2 + k2 r^4) by hand, r = 1 at the middle of an edge and sqrt(2) at a corner."""
    warp = Barrel(0.25, 0.125)
    assert distance(warp(point(0.5, 1.0)), point(0.5, 0.5 + 0.5 * 1.375)) < 1e-15
    assert distance(warp(point(0.0, 0.0)), point(0.5 - 0.5 * 2, 0.5 - 0.5 * 2)) < 1e-15
    edge = warp(torch.stack([point(0.1, 0.5), point(0.1, 0.9)]))
    assert edge[1, 0] < edge[0, 0]  # the row that is seen rises to the side: its lines sink


def test_swirls_turn_the_middle_and_leave_the_outside() -> None:
    warp = Swirl(90, 0.5)
    near = warp(point(0.5 - 1e-9, 0.5)) - 0.5
    assert near.tolist() == pytest.approx([0.0, 1e-9], abs=1e-15)  # above is what was right
    outside = places()[(places() - 0.5).norm(dim=-1) > 0.5]
    assert len(outside) > 9
    assert torch.equal(warp(outside), outside)
    kept = (warp(places()) - 0.5).norm(dim=-1)
    torch.testing.assert_close(kept, (places() - 0.5).norm(dim=-1))
    half = warp(point(0.5 - 0.25, 0.5)) - 0.5  # (1 - 1/4)^2 of 90 degrees
    turn = math.radians(90 * 0.75**2)
    assert half.tolist() == pytest.approx([-0.25 * math.cos(turn), 0.25 * math.sin(turn)])


# Projections


def test_polar_wraps_the_picture_round_a_point() -> None:
    warp = Polar(0.1, 0.5)
    table = {
        (0.0, 0.5): (0.0, 0.5),  # on top the top of the middle column
        (0.4, 0.5): (1.0, 0.5),  # the inner circle is the bottom edge
        (0.5, 1.0): (0.0, 0.75),  # clockwise is to the right
        (0.5, 0.0): (0.0, 0.25),
        (0.5, 0.8): (0.5, 0.75),
    }
    for place, seen in table.items():
        assert distance(warp(point(*place)), point(*seen)) < 1e-15
    left, right = warp(torch.stack([point(0.9, 0.5 - 1e-12), point(0.9, 0.5 + 1e-12)]))
    assert float(left[1]) == pytest.approx(0.0, abs=1e-9)
    assert float(right[1]) == pytest.approx(1.0, abs=1e-9)


@given(numbers(0, 0.3), numbers(0.4, 2), center, center)
def test_unpolar_undoes_polar(inner: float, outer: float, y: float, x: float) -> None:
    inside = places(low=0.01, high=0.99)
    undone = chain(Polar(inner, outer, y, x), Unpolar(inner, outer, y, x))
    assert distance(undone(inside), inside) < 1e-9


def test_cylinders_show_longitudes() -> None:
    can = Cylinder()
    assert distance(can(point(0.3, 0.5)), point(0.3, 0.5)) < 1e-15
    assert distance(can(point(0.3, 1.0)), point(0.3, 0.75)) < 1e-15  # a quarter round
    assert distance(can(point(0.3, 0.75)), point(0.3, 0.5 + 30 / 360)) < 1e-15  # asin(1/2)
    assert distance(Cylinder(arc=180)(point(0.3, 1.0)), point(0.3, 1.0)) < 1e-15
    assert distance(Cylinder(turn=30)(point(0.3, 0.75)), point(0.3, 0.5)) < 1e-15
    assert distance(Cylinder(turn=150)(point(0, 0.25)), point(0, 0.0)) < 1e-15  # the seam
    assert can(torch.stack([point(0, -0.01), point(0, 1.01)]))[:, 1].isnan().all()


@given(numbers(-720, 720))
def test_whole_turns_of_a_can_change_nothing(turn: float) -> None:
    inside = places(low=0, high=1)
    here, there = Cylinder(turn=turn)(inside), Cylinder(turn=turn + 360)(inside)
    around = (here - there)[:, 1]
    assert (around - around.round()).abs().max() < 1e-9


def test_panoramas_show_directions() -> None:
    ahead = Equirectangular()
    assert distance(ahead(point(0.5, 0.5)), point(0.5, 0.5)) < 1e-15
    assert distance(ahead(point(0.5, 1.0)), point(0.5, 0.5 + 45 / 360)) < 1e-15
    assert distance(ahead(point(0.0, 0.5)), point(0.5 - 45 / 180, 0.5)) < 1e-15
    assert distance(Equirectangular(yaw=90)(point(0.5, 0.5)), point(0.5, 0.75)) < 1e-15
    assert distance(Equirectangular(pitch=45)(point(0.5, 0.5)), point(0.25, 0.5)) < 1e-15
    assert float(Equirectangular(pitch=90)(point(0.5, 0.5))[0]) == 0.0  # the zenith
    behind = Equirectangular(yaw=180)(places(low=0, high=1))[:, 1]
    assert behind.min() >= 0
    assert behind.max() < 1


@given(numbers(-180, 180), numbers(-80, 80), numbers(5, 120))
def test_panoramas_agree_with_rotation_matrices(yaw: float, pitch: float, fov: float) -> None:
    inside = places(low=0, high=1)
    half = math.tan(math.radians(fov / 2))
    ray = torch.stack(
        [(inside[:, 1] - 0.5) * 2 * half, (0.5 - inside[:, 0]) * 2 * half, torch.ones(len(inside))],
        dim=-1,
    ).double()  # right, up, ahead
    p, t = math.radians(pitch), math.radians(yaw)
    tilt = [[1, 0, 0], [0, math.cos(p), math.sin(p)], [0, -math.sin(p), math.cos(p)]]
    spin = [[math.cos(t), 0, math.sin(t)], [0, 1, 0], [-math.sin(t), 0, math.cos(t)]]
    ray = ray @ torch.tensor(tilt).double().T @ torch.tensor(spin).double().T
    ray = ray / ray.norm(dim=-1, keepdim=True)
    y, x = Equirectangular(yaw, pitch, fov)(inside).unbind(-1)
    longitude, latitude = (x - 0.5) * 2 * math.pi, (0.5 - y) * math.pi
    right, up, ahead = ray.unbind(-1)
    torch.testing.assert_close(latitude.sin(), up, rtol=0, atol=1e-6)
    torch.testing.assert_close(latitude.cos() * longitude.sin(), right, rtol=0, atol=1e-6)
    torch.testing.assert_close(latitude.cos() * longitude.cos(), ahead, rtol=0, atol=1e-6)


@pytest.mark.slow
@given(warps)
def test_any_parameters_give_places_or_nowhere(warp: Warp) -> None:
    """No parameter within its range raises or changes the shape."""
    assert warp(places(count=9)).shape == (9, 2)
    assert chain(Identity(), warp)(places(count=9)).shape == (9, 2)
