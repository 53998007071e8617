"""Any part of the plane as pixels: turned, mirrored, cut into tiles, enlarged."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from color_squares import ColorSquares, SquaresConfig, squares
from creps.coordinates import Canvas
from creps.errors import GridError
from creps.rendering._painter import to_uint8
from creps.rendering._renderer import Renderer
from creps.rendering._tiles import Tile, TilePlan
from creps.serving._views import (
    RenderedSource,
    UpsampledSource,
    ViewSpec,
    coverage,
    rearranged,
    turning,
)
from tiny_creps import tiny_creps

GRAY_LEVEL = 1
MANY = 2**20


def at_once(parts) -> None:
    for part in parts:
        part()


def draw(drawn: RenderedSource, spec: ViewSpec) -> np.ndarray:
    return drawn.draw(spec, samples=MANY, side_by_side=at_once)[0]


@pytest.fixture(scope="module")
def drawn() -> RenderedSource:
    return RenderedSource(Renderer(tiny_creps(), seed=3, keep=0))


@pytest.fixture(scope="module")
def painted() -> RenderedSource:
    return RenderedSource(Renderer(ColorSquares(SquaresConfig()), seed=0))


def exact(spec: ViewSpec) -> np.ndarray:
    """The picture by the definition: each pixel's place, turned back, mirrored back, painted."""
    height, width = spec.size
    y0, x0, y1, x1 = spec.window
    pitch_y, pitch_x = spec.pitch
    angle = np.deg2rad(spec.turn)
    down = np.arange(height)[:, None] + 0.5 - height / 2 + np.zeros((1, width))
    across = np.arange(width)[None, :] + 0.5 - width / 2 + np.zeros((height, 1))
    # The inverse of a clockwise turn, y downwards.
    back_across = np.cos(angle) * across + np.sin(angle) * down
    back_down = np.cos(angle) * down - np.sin(angle) * across
    back_across = -back_across if spec.mirror else back_across
    ys, xs = (y0 + y1) / 2 + back_down * pitch_y, (x0 + x1) / 2 + back_across * pitch_x
    inside = (ys >= 0) & (ys < 1) & (xs >= 0) & (xs < 1)
    row, column = (np.clip((axis * 10).astype(int), 0, 9) for axis in (ys, xs))
    return np.where(inside[..., None], squares().numpy()[column, row], 0).astype(np.uint8)


@given(
    st.sampled_from([0.0, 90.0, 180.0, 270.0, 30.0, 122.5, 301.0]),
    st.booleans(),
    st.booleans(),
    st.integers(20, 40),
    st.integers(20, 40),
)
def test_turns_and_mirrors_show_what_they_should(turn, mirror, grows, height, width) -> None:
    drawn = RenderedSource(Renderer(ColorSquares(SquaresConfig(resolution=1)), seed=0))
    # Pixels that are not square, and whose middles lie on no border.
    window = (0.1003, 0.2007, 0.1003 + height * 0.0103, 0.2007 + width * 0.0127)
    spec = ViewSpec(
        window=window, height=height, width=width, turn=turn, mirror=mirror, grows=grows
    )
    picture = draw(drawn, spec)
    assert picture.shape[:2] == spec.size
    wrong = (picture != exact(spec)).any(axis=2).mean()
    assert wrong <= 0.02  # places on the border of two squares


def test_quarter_turns_are_the_same_pixels(drawn: RenderedSource) -> None:
    spec = ViewSpec(window=(0.1, 0.2, 0.6, 0.9), height=20, width=28)
    plain = draw(drawn, spec)
    turned = draw(drawn, ViewSpec(window=spec.window, height=20, width=28, turn=90.0, mirror=True))
    assert np.array_equal(turned, np.rot90(plain[:, ::-1], -1))


def test_a_turned_grid_meets_the_upright_one(drawn: RenderedSource) -> None:
    """A thousandth of a degree goes through the tables of lines; zero does not."""
    window = (0.1, 0.2, 0.35, 0.55)
    straight = draw(drawn, ViewSpec(window=window, height=20, width=28, grows=False))
    bent = draw(drawn, ViewSpec(window=window, height=20, width=28, turn=0.001, grows=False))
    assert np.abs(straight.astype(int) - bent).max() <= GRAY_LEVEL + 1


@given(st.floats(0.5, 359.5), st.integers(8, 60), st.integers(8, 60))
def test_as_much_is_opaque_as_the_window_is_large(turn: float, height: int, width: int) -> None:
    spec = ViewSpec(window=(0, 0, 1, 1), height=height, width=width, turn=turn)
    opacity = coverage(spec)
    assert opacity.shape == spec.size
    assert opacity.sum() / 255 == pytest.approx(height * width, rel=0.03)


def test_only_what_lies_beside_a_turned_window_is_transparent(painted: RenderedSource) -> None:
    spec = ViewSpec(window=(0, 0, 1, 1), height=30, width=40, turn=30)
    _, opacity, _ = painted.draw(spec, samples=MANY, side_by_side=at_once)
    assert opacity is not None
    assert opacity[0, 0] == 0
    assert opacity[spec.size[0] // 2, spec.size[1] // 2] == 255
    filled = ViewSpec(window=(0, 0, 1, 1), height=30, width=40, turn=30, grows=False)
    assert painted.draw(filled, samples=MANY, side_by_side=at_once)[1] is None


@pytest.mark.parametrize("sampling", ["centers", "corners"])
def test_tiles_of_a_level_meet_whatever_the_models_own_rule(sampling: str) -> None:
    generator = tiny_creps(sampling=sampling)
    drawn = RenderedSource(Renderer(generator, seed=3))
    whole = draw(drawn, ViewSpec(window=(0, 0, 1, 1), height=24, width=24))
    for tile in TilePlan(24, 24, 7):
        window = (
            tile.top / 24,
            tile.left / 24,
            (tile.top + tile.height) / 24,
            (tile.left + tile.width) / 24,
        )
        part = draw(drawn, ViewSpec(window=window, height=tile.height, width=tile.width))
        difference = np.abs(part.astype(int) - whole[tile.rows, tile.columns])
        assert difference.max() <= GRAY_LEVEL


def test_a_tile_is_the_picture_there(drawn: RenderedSource) -> None:
    """Against the network itself, without lines or tables."""
    window = (0.25, 0.5, 0.375, 0.75)
    picture = draw(drawn, ViewSpec(window=window, height=10, width=20))
    generator = drawn.renderer.generator
    with torch.inference_mode():
        image = generator.synthesize(drawn.renderer.styles, Canvas(10, 20, window).grid())
    assert np.abs(picture.astype(int) - to_uint8(image[0])).max() <= GRAY_LEVEL


@given(
    st.sampled_from([0.0, 90.0, 180.0, 270.0, 33.0]),
    st.booleans(),
    st.integers(0, 10),
    st.integers(0, 9),
)
def test_a_picture_can_be_made_part_by_part(turn, mirror, top, left) -> None:
    drawn = RenderedSource(Renderer(ColorSquares(SquaresConfig(resolution=1)), seed=0))
    spec = ViewSpec(
        window=(0, 0, 1.0, 1.5), height=20, width=30, turn=turn, mirror=mirror, grows=False
    )
    make = drawn.maker(spec, samples=MANY, side_by_side=at_once)
    tile = Tile(top, left, 9, 14)
    assert np.array_equal(make(tile), draw(drawn, spec)[tile.rows, tile.columns])


def test_the_warp_of_a_turn_is_exact_at_its_middle() -> None:
    spec = ViewSpec(window=(0.2, 0.3, 0.4, 0.9), height=10, width=15, turn=77.0, mirror=True)
    middle = torch.tensor([0.3, 0.6], dtype=torch.float64)
    torch.testing.assert_close(turning(spec)(middle), middle)


def test_an_enlargement_is_what_pillow_makes_of_the_native_picture() -> None:
    draw = np.random.default_rng(0)
    native = draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    enlarged = UpsampledSource(native, "nearest")
    whole, opacity, _ = enlarged.draw(
        ViewSpec(window=(0, 0, 1, 1), height=48, width=32), samples=1, side_by_side=at_once
    )
    assert opacity is None
    assert np.array_equal(whole, native.repeat(3, axis=0).repeat(2, axis=1))


@pytest.mark.parametrize("by", ["bicubic", "lanczos"])
def test_tiles_of_an_enlargement_meet(by: str) -> None:
    draw = np.random.default_rng(0)
    enlarged = UpsampledSource(draw.integers(0, 256, (16, 16, 3), dtype=np.uint8), by)
    whole, _, _ = enlarged.draw(
        ViewSpec(window=(0, 0, 1, 1), height=64, width=64), samples=1, side_by_side=at_once
    )
    part, _, _ = enlarged.draw(
        ViewSpec(window=(0.25, 0.5, 0.5, 0.75), height=16, width=16),
        samples=1,
        side_by_side=at_once,
    )
    assert np.abs(part.astype(int) - whole[16:32, 32:48]).max() <= GRAY_LEVEL


def test_there_is_nothing_beside_an_enlarged_picture() -> None:
    enlarged = UpsampledSource(np.full((8, 8, 1), 200, np.uint8), "lanczos")
    spec = ViewSpec(window=(-1, -0.5, 0.5, 1), height=6, width=6)
    picture, opacity, _ = enlarged.draw(spec, samples=1, side_by_side=at_once)
    assert picture.shape == (6, 6, 1)
    assert opacity is not None
    assert (opacity[4:, 2:] == 255).all()
    assert opacity.sum() == 255 * 8
    nothing = ViewSpec(window=(5, 5, 6, 6), height=6, width=6)
    assert not enlarged.draw(nothing, samples=1, side_by_side=at_once)[1].any()
    with pytest.raises(GridError, match="by quarters"):
        enlarged.draw(
            ViewSpec(window=(0, 0, 1, 1), height=6, width=6, turn=1.0),
            samples=1,
            side_by_side=at_once,
        )


@pytest.mark.parametrize(
    "window", [(0.5, 0.5, 1, 0.5 + 1e-15), (0, 0, 2e6, 1), (900, 0, 900 + 1e-11, 1)]
)
def test_what_float64_cannot_tell_apart_is_refused(window, drawn: RenderedSource) -> None:
    with pytest.raises(GridError):
        draw(drawn, ViewSpec(window=window, height=16, width=16))


def test_a_view_that_keeps_its_shape_is_cut_otherwise_before_a_quarter_turn() -> None:
    spec = ViewSpec(window=(0, 0, 1, 2), height=10, width=20, turn=90.0, grows=False)
    upright = spec.upright
    assert (upright.height, upright.width) == (20, 10)
    assert upright.window == (-0.5, 0.5, 1.5, 1.5)
    assert upright.pitch == pytest.approx(spec.pitch)


def test_rearranging_mirrors_first() -> None:
    picture = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    mirrored_then_turned = [[5, 2], [4, 1], [3, 0]]
    assert rearranged(picture, mirror=True, quarters=1)[..., 0].tolist() == mirrored_then_turned


@pytest.mark.parametrize(("limit", "taken"), [(2**20, 16), (2**16, 8), (2**9, 1)])
def test_few_pixels_get_the_samples_they_need_and_many_what_can_be_had(
    limit: int, taken: int, drawn: RenderedSource
) -> None:
    spec = ViewSpec(window=(0, 0, 64, 64), height=32, width=32)
    assert drawn._painter(spec, samples=limit).samples == taken
