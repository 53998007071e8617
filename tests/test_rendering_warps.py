"""Warps: the text form, chains, tiles that meet exactly, and pictures of a network."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from creps.coordinates import AxisGrid, Canvas, PointGrid
from creps.errors import GridError, UsageError
from creps.networks.creps import Creps
from creps.rendering._samples import Places
from creps.rendering._tiles import Tile, TilePlan
from creps.rendering.warps import (
    Barrel,
    Chain,
    CustomWarp,
    Cylinder,
    Elastic,
    Homography,
    Identity,
    Rotate,
    Scale,
    Swirl,
    Translate,
    Warp,
    Zoom,
    as_warp,
    chain,
    parse_warp,
    split_nowhere,
    warp_kinds,
    warped_grid,
)
from creps.rendering.warps._base import angle_of, cosine_sine
from tiny_creps import random_styles, tiny_creps
from warp_samples import SAMPLES, distance, places, point, warps

CANVAS = Canvas(13, 21, (-0.25, -0.5, 1.25, 1.5))
EACH = pytest.mark.parametrize("warp", SAMPLES, ids=str)


def equal(a: Tensor, b: Tensor) -> bool:
    """Equal to the last bit, NaN included."""
    return torch.equal(a.nan_to_num(1234.5), b.nan_to_num(1234.5))


# Every kind of warp


def test_every_kind_is_among_the_samples() -> None:
    assert {type(warp) for warp in SAMPLES} == set(warp_kinds().values())


@EACH
def test_a_place_is_warped_by_itself_alone(warp: Warp) -> None:
    points = places()
    whole = warp(points)
    assert whole.shape == points.shape
    assert whole.dtype == torch.float64
    for count in (1, 7, 64):
        assert equal(torch.cat([warp(part) for part in points.split(count)]), whole)
    assert equal(warp(points.reshape(7, 29, 2)), whole.reshape(7, 29, 2))
    assert equal(warp(points[:, :, None].mT[:, 0]), whole)


@EACH
@pytest.mark.parametrize("edge", [1, 8])
def test_tiles_meet_exactly(warp: Warp, edge: int) -> None:
    whole = warped_grid(CANVAS, warp).points
    for tile in TilePlan(CANVAS.height, CANVAS.width, edge):
        points = warped_grid(CANVAS, warp, tile).points
        assert equal(points, whole[tile.rows, tile.columns])


@EACH
def test_the_coordinates_of_a_refined_picture_hold_those_of_the_coarse(warp: Warp) -> None:
    """Three times the size: every third pixel is a pixel of the small picture."""
    coarse = warped_grid(Canvas(5, 7), warp.over((0, 0, 1, 1))).points
    fine = warped_grid(Canvas(15, 21), warp.over((0, 0, 1, 1))).points
    torch.testing.assert_close(fine[1::3, 1::3], coarse, rtol=1e-9, atol=1e-9, equal_nan=True)


@EACH
def test_a_warp_works_where_its_points_live(warp: Warp) -> None:
    assert warp(places().to("meta")).device.type == "meta"


@EACH
def test_nowhere_stays_nowhere(warp: Warp) -> None:
    """What one warp of a chain does not show, the others cannot bring back."""
    assert not warp(torch.full((1, 2), math.nan, dtype=torch.float64)).isfinite().all()


# Text


@given(warps)
def test_text_is_read_back_as_an_equal_warp(warp: Warp) -> None:
    again = parse_warp(str(warp))
    assert again == warp
    assert hash(again) == hash(warp)
    assert str(again) == str(warp)


@settings(max_examples=30)
@given(st.lists(warps, min_size=2, max_size=4))
def test_text_of_chains_is_read_back(parts: list[Warp]) -> None:
    assert parse_warp(str(chain(*parts))) == chain(*parts)


@pytest.mark.parametrize(
    ("text", "warp"),
    [
        ("identity", Identity()),
        ("rotate:30", Rotate(30)),
        (" Rotate : 30 , x = 0.2 ", Rotate(30, x=0.2)),
        ("elastic:amount=0.05,seed=3", Elastic(0.05, seed=3)),
        ("translate:+0.1,-2e-1", Translate(0.1, -0.2)),
        ("zoom:1e+3", Zoom(1000)),
        ("rotate:30+barrel:0.2", Chain((Rotate(30), Barrel(0.2)))),
        ("rotate:1e+2 + identity+swirl:5", Chain((Rotate(100), Identity(), Swirl(5)))),
        ("homography:1,0,0,0,1,0,0,0,1", Homography(torch.eye(3))),
    ],
)
def test_text_means_what_it_says(text: str, warp: Warp) -> None:
    assert parse_warp(text) == warp


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rotat:30", "unknown warp 'rotat': did you mean rotate?"),
        ("", "unknown warp '': known: affine, barrel,"),
        ("rotate:30+", "warp rotate: '30+' is not a number; write rotate:DEGREES,y=0.5,x=0.5"),
        ("rotate", "warp rotate: degrees missing; write rotate:DEGREES,y=0.5,x=0.5"),
        ("rotate:1,2,3,4", "warp rotate: extra value '4'; write"),
        ("rotate:30,degrees=2", "warp rotate: degrees is given twice"),
        ("rotate:30,x=1,2", "warp rotate: '2' has no name"),
        ("rotate:angel=2", "warp rotate: no parameter 'angel'"),
        ("elastic:0.1,sead=2", "no parameter 'sead': did you mean seed?"),
        ("identity:1", "warp identity: extra value '1'; write identity"),
        ("affine:1,2,3", "warp affine: 3 numbers, expected 6 or 9; write affine:YY,YX,Y,XY,XX,X"),
        ("homography:1,2,3", "3 numbers, expected 9"),
        ("perspective:1,2,3", "3 numbers, expected 8"),
        ("homography", "warp homography: '' is not a number"),
        ("map", "warp map: no file; write map:FILE.npy"),
    ],
)
def test_wrong_text_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        parse_warp(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rotate:nan", "warp rotate, degrees nan: expected a finite number"),
        ("rotate:1e999", "warp rotate, degrees inf: expected a finite number"),
        ("elastic:0.1,seed=0.5", "warp elastic, seed 0.5: expected a whole number"),
        ("elastic:0.1,seed=-1", "warp elastic, seed -1: expected 0 to 4294967295"),
        ("elastic:-0.1", "warp elastic, amount -0.1: expected 0 or more"),
        ("elastic:0.1,0", "warp elastic, scale 0: expected plane units above 0"),
        ("zoom:0", "warp zoom, factor 0: expected a number above 0"),
        ("scale:1,0", "warp scale, width 0: expected a factor"),
        ("swirl:10,0", "warp swirl, radius 0"),
        ("polar:0.5,0.5", "warp polar, radii 0.5 to 0.5: expected 0 <= inner < outer"),
        ("cylinder:400", "warp cylinder, arc 400"),
        ("cylinder:radius=0", "warp cylinder, radius 0"),
        ("equirectangular:pitch=91", "warp equirectangular, pitch 91"),
        ("equirectangular:fov=180", "warp equirectangular, fov 180"),
        ("affine:1,2,0,2,4,0", "warp affine: its matrix is singular"),
        ("affine:1,0,0,0,1,0,0,1,1", "warp affine, its last row"),
        ("affine:1,0,0,0,1,inf", "warp affine, its numbers: expected finite numbers"),
        ("homography:1,0,0,0,1,0,1,1,0", "warp homography: its matrix is singular"),
        ("homography:1,0,0,0,1,0,2,2,-2", "warp homography, the picture's center on the horizon"),
        ("perspective:0,0,0,1,0.2,0.2,1,0", "expected a convex quadrilateral"),
        ("perspective:0,0,0,1,0,2,1,0", "expected a convex quadrilateral"),
    ],
)
def test_impossible_parameters_are_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(GridError, match=re.escape(message)) as caught:
        parse_warp(text)
    assert "\n" not in str(caught.value)


def test_numbers_of_other_types_are_checked_too() -> None:
    assert Rotate(torch.tensor(30)) == Rotate(30)  # type: ignore[arg-type]
    for wrong in ("30", True, None, [1]):
        with pytest.raises(GridError, match="expected a finite number"):
            Rotate(wrong)  # type: ignore[arg-type]


# Chains and things that become warps


def test_a_chain_changes_the_picture_from_left_to_right() -> None:
    """Moved right, then a quarter turn about the center: what was in the center is above it."""
    moved = parse_warp("translate:0,0.2+rotate:90")
    assert distance(moved(point(0.3, 0.5)), point(0.5, 0.5)) < 1e-15
    turned = parse_warp("rotate:90+translate:0,0.2")
    assert distance(turned(point(0.5, 0.7)), point(0.5, 0.5)) < 1e-15


def test_chains_are_flat_and_small_ones_are_no_chains() -> None:
    assert chain() == Identity()
    assert chain(Rotate(1)) == Rotate(1)
    nested = chain(Rotate(1), chain(Zoom(2), Swirl(3)))
    assert nested == Chain((Rotate(1), Zoom(2), Swirl(3)))


def test_what_describes_a_warp_becomes_one() -> None:
    assert as_warp(None) == Identity()
    assert as_warp("zoom:2") == Zoom(2)
    turn = Rotate(1)
    assert as_warp(turn) is turn
    shifted = as_warp(lambda points: points.float() + 0.25)
    assert shifted(point(0.5, 0.5)).tolist() == [0.75, 0.75]
    assert shifted(point(0.5, 0.5)).dtype == torch.float64
    for wrong in (3, Rotate):
        with pytest.raises(UsageError, match="expected text such as rotate:30"):
            as_warp(wrong)  # type: ignore[arg-type]


def test_functions_that_return_no_places_are_refused() -> None:
    for wrong, got in ((lambda p: p[..., 0], r"\(5,\)"), (lambda p: 3, "int")):
        with pytest.raises(GridError, match=rf"returned {got} for points of shape \(5, 2\)"):
            CustomWarp(wrong)(torch.zeros(5, 2, dtype=torch.float64))


# Helpers of many warps


@given(st.integers(-2000, 2000))
def test_quarter_turns_are_exact(quarters: int) -> None:
    cosine, sine = cosine_sine(90.0 * quarters)
    expected = [(1, 0), (0, 1), (-1, 0), (0, -1)][quarters % 4]
    assert (cosine, sine) == expected


def test_angles_are_those_of_atan2() -> None:
    y, x = places(low=-1, high=1, count=5000).unbind(-1)
    torch.testing.assert_close(angle_of(y, x), torch.atan2(y, x), rtol=1e-15, atol=1e-15)
    for y0, x0 in ((0.0, 0.0), (0.0, -1.0), (1.0, 0.0), (-1.0, 0.0), (1.0, -0.0), (0.0, 2.0)):
        got = angle_of(torch.tensor(y0), torch.tensor(x0))
        assert float(got) == pytest.approx(math.atan2(y0, x0 + 0.0))


# Grids


def axes_of(canvas: Canvas, warp: Warp) -> AxisGrid:
    """The rows and columns of a warp that keeps them aligned."""
    places = Places(canvas, 1, warp, torch.device("cpu"))
    assert places.aligned
    return places.axes(Tile(0, 0, canvas.height, canvas.width))


@pytest.mark.parametrize(
    "warp",
    [
        Identity(),
        Translate(0.1, -0.3),
        Scale(-1, 2),
        Zoom(0.7, 0.1, 0.9),
        Rotate(180),
        Rotate(360),
        chain(Rotate(-180), Zoom(3), Scale(1, -1)),
    ],
    ids=str,
)
def test_aligned_warps_keep_rows_and_columns(warp: Warp) -> None:
    axes = axes_of(CANVAS, warp)
    free = warped_grid(CANVAS, warp).points
    assert torch.equal(free[..., 0], axes.ys[:, None].expand(axes.shape))
    assert torch.equal(free[..., 1], axes.xs.expand(axes.shape))


@pytest.mark.parametrize(
    "warp", [Rotate(90), Rotate(1), Swirl(1), chain(Zoom(2), Rotate(1)), Zoom(1e-8)], ids=str
)
def test_other_warps_have_no_axes(warp: Warp) -> None:
    assert not Places(CANVAS, 1, warp, torch.device("cpu")).aligned


@pytest.mark.parametrize("degrees", [0, 360, -720, 3600])
def test_whole_turns_are_the_identity_to_the_last_bit(degrees: float) -> None:
    canvas = Canvas(31, 47, (-1e-9, 0.3, 0.7, 1.9))
    grid = warped_grid(canvas, Rotate(degrees, 0.123, 0.456))
    assert torch.equal(grid.points, warped_grid(canvas, Identity()).points)


def test_a_grid_without_a_warp_is_the_canvas() -> None:
    plain = CANVAS.grid()
    points = warped_grid(CANVAS, Identity()).points
    assert torch.equal(points[..., 0], plain.ys[:, None].expand(plain.shape))
    assert torch.equal(points[..., 1], plain.xs.expand(plain.shape))


def test_places_beyond_the_plane_are_nowhere() -> None:
    far = warped_grid(Canvas(2, 3), Zoom(1e-8)).points
    assert far.isnan().all()
    beside = warped_grid(Canvas(2, 4, (0, -0.5, 1, 1.5)), Cylinder()).points.isnan()
    assert beside.any(-1).tolist() == beside.all(-1).tolist() == [[True, False, False, True]] * 2


def test_nowhere_is_masked_for_networks() -> None:
    grid, shown = split_nowhere(warped_grid(Canvas(2, 4, (0, -0.5, 1, 1.5)), Cylinder()))
    assert shown is not None
    assert shown.tolist() == [[False, True, True, False]] * 2
    assert grid.points.isfinite().all()
    assert grid.points[0, 0].tolist() == [0.5, 0.5]
    same = warped_grid(CANVAS, Rotate(20))
    assert split_nowhere(same) == (same, None)


# Pictures of a network


@pytest.fixture(scope="module")
def generator() -> Creps:
    return tiny_creps()


@pytest.fixture(scope="module")
def styles(generator: Creps) -> Tensor:
    return random_styles(generator, 2)


def diagonal_reference(generator: Creps, styles: Tensor, grid: PointGrid) -> Tensor:
    """The way of CREPS, section 4.6: each row is the diagonal of a whole picture."""
    rows = [
        generator.synthesize(styles, AxisGrid(row[:, 0], row[:, 1])).diagonal(dim1=2, dim2=3)
        for row in grid.points
    ]
    return torch.stack(rows, dim=2)


def close(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() <= 1e-9 * b.abs().max())


@pytest.mark.parametrize("text", ["rotate:30", "elastic:0.05", "polar+rotate:20", "identity"])
def test_pictures_equal_the_papers_diagonals(generator: Creps, styles: Tensor, text: str) -> None:
    grid = warped_grid(Canvas(5, 8), parse_warp(text))
    drawn = generator.synthesize(styles, grid)
    assert drawn.shape == (2, 3, 5, 8)
    assert close(drawn, diagonal_reference(generator, styles, grid))


def test_the_identity_draws_the_plain_picture(generator: Creps, styles: Tensor) -> None:
    plain = generator.synthesize(styles, CANVAS.grid())
    assert close(generator.synthesize(styles, warped_grid(CANVAS, Identity())), plain)


@pytest.mark.parametrize("quarters", [-1, 0, 1, 2, 3, 4])
def test_quarter_turns_turn_the_picture(generator: Creps, styles: Tensor, quarters: int) -> None:
    """torch.rot90 turns counter-clockwise when rows come first and y points down."""
    canvas = Canvas(7, 7)
    plain = generator.synthesize(styles, canvas.grid())
    turned = generator.synthesize(styles, warped_grid(canvas, Rotate(90 * quarters)))
    assert close(turned, torch.rot90(plain, quarters, dims=(2, 3)))


def test_mirrors_and_shifts_are_seen_as_named(generator: Creps, styles: Tensor) -> None:
    canvas = Canvas(4, 6)
    plain = generator.synthesize(styles, canvas.grid())
    mirrored, moved = axes_of(canvas, Scale(1, -1)), axes_of(canvas, Translate(0.5, 1 / 3))
    assert close(generator.synthesize(styles, mirrored), plain.flip(3))
    assert close(generator.synthesize(styles, moved)[:, :, 2:, 2:], plain[:, :, :2, :4])


def test_zooming_in_shows_the_middle_larger(generator: Creps, styles: Tensor) -> None:
    canvas, middle = Canvas(4, 6), Canvas(4, 6, (0.25, 0.25, 0.75, 0.75))
    drawn = generator.synthesize(styles, warped_grid(canvas, Zoom(2)))
    assert close(drawn, generator.synthesize(styles, middle.grid()))


@settings(max_examples=20)
@given(st.lists(st.integers(1, 12), min_size=0, max_size=3, unique=True))
def test_any_tiling_gives_the_same_elastic_places(cuts: list[int]) -> None:
    warp, edges = Elastic(0.2, 0.1, 7), [0, *sorted(cuts), 13]
    parts = [
        warped_grid(CANVAS, warp, Tile(top, 0, bottom - top, 21)).points
        for top, bottom in pairwise(edges)
    ]
    assert torch.equal(torch.cat(parts), warped_grid(CANVAS, warp).points)
