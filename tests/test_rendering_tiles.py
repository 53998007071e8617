"""Tiles cover a canvas exactly once, in order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from creps.errors import GridError
from creps.rendering._tiles import TilePlan

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
