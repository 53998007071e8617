"""Tiles cover a canvas exactly once, in order; what they show again is drawn once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import creps
from creps.errors import GridError
from creps.rendering import Renderer, View
from creps.rendering._tiles import Tile, TilePlan

sides = st.integers(1, 40)


@given(sides, sides, st.integers(1, 50))
def test_tiles_cover_each_pixel_exactly_once(height, width, edge) -> None:
    covered = np.zeros((height, width), dtype=int)
    for tile in TilePlan(height, width, edge):
        assert 1 <= tile.height <= edge
        assert 1 <= tile.width <= edge
        covered[tile.rows, tile.columns] += 1
        assert covered[tile.rows, tile.columns].size == tile.height * tile.width
    assert (covered == 1).all()


@given(sides, sides, st.integers(1, 50))
def test_tiles_come_row_by_row(height, width, edge) -> None:
    places = [(tile.top, tile.left) for tile in TilePlan(height, width, edge)]
    assert places == sorted(places)


def test_a_plan_is_a_sequence() -> None:
    tiles = TilePlan(5, 7, 3)
    assert len(tiles) == 6
    assert list(tiles)[-1] == tiles[-1] == tiles[5]
    assert tiles[1:3] == [tiles[1], tiles[2]]
    with pytest.raises(IndexError):
        tiles[6]


def test_the_plan_of_a_gigapixel_canvas_costs_nothing() -> None:
    tiles = TilePlan(10**9, 10**9, 64)
    assert len(tiles) == 15_625_000**2
    last = tiles[-1]
    assert (last.rows.stop, last.columns.stop) == (10**9, 10**9)


@pytest.mark.parametrize("sizes", [(0, 3, 2), (3, -1, 2), (3, 3, 0)])
def test_sizes_below_one_are_refused(sizes) -> None:
    with pytest.raises(GridError, match="at least 1 pixel"):
        TilePlan(*sizes)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.integers(1, 60))
def test_bands_hold_every_tile_once_and_are_no_wider_than_asked(height, width, edge, band) -> None:
    tiles = TilePlan(height, width, edge)
    order = list(tiles.in_bands(band))
    assert sorted(order) == list(range(len(tiles)))
    bands = [tiles[index].left // (max(band // edge, 1) * edge) for index in order]
    assert bands == sorted(bands)
    for one in set(bands):
        inside = [index for index, other in zip(order, bands, strict=True) if other == one]
        lefts = {tiles[index].left for index in inside}
        assert inside == sorted(inside)
        assert max(lefts) - min(lefts) + edge <= max(band, edge)


def test_what_chunks_show_again_is_drawn_once() -> None:
    """A picture larger than memory is asked for in parts, of which a period may need several."""
    model = creps.load("textures")
    view = View(size=(128, 192), tile=(2, 3))
    whole = Renderer(model, seed=3).painter(view).pixels()
    painter = Renderer(model, seed=3).painter(view)
    done: list[tuple[int, int]] = []
    for part in TilePlan(128, 192, 32):
        pixels = painter.pixels(part, progress=lambda *told: done.append(told))
        np.testing.assert_array_equal(pixels, whole[part.rows, part.columns])
        pixels[:] = 0  # whoever asked may do with them what they like
    assert painter.evaluations.painted == 128 * 192
    assert painter.evaluations.evaluated == 64 * 64
    assert done[-1] == (32 * 32, 32 * 32)


def test_parts_across_the_border_of_a_period_are_right() -> None:
    model = creps.load("textures")
    whole = creps.render(model, seed=3, size=(60, 90), tile=(2, 3))
    painter = Renderer(model, seed=3).painter(View(size=(60, 90), tile=(2, 3)))
    for part in [*TilePlan(60, 90, 16), *TilePlan(60, 90, 29), Tile(5, 7, 40, 70)]:
        np.testing.assert_array_equal(painter.pixels(part), whole[part.rows, part.columns])
