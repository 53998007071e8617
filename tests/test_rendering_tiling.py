"""Pictures that close on themselves: repeats are alike to the last bit, in whatever way they are
drawn, and no seam is to be seen."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import creps
from creps.coordinates import Canvas
from creps.errors import GridError, UsageError
from creps.networks.base import Generator, families, family_config
from creps.rendering._painter import repeating
from creps.rendering._tiles import Repeats, Tile
from creps.rendering.arrays._picture import VirtualPicture
from creps.rendering.warps import as_warp
from painters import painter_of
from test_networks_families import network

PERIODIC = [family for family in families() if family_config(family).repeats]
PIXELWISE = [family for family in PERIODIC if network(family).pixelwise]

every_periodic = pytest.mark.parametrize("family", PERIODIC)


@cache
def single(family: str, **changes: Any) -> Generator:
    """A float32 network that repeats, whose colors are not clipped; the same in every test."""
    made = copy.deepcopy(network(family, **{"period": (1.0, 1.0), **changes})).float()
    with torch.inference_mode():
        spread = made.synthesize(made.map(creps.latents([3], made)), Canvas(16, 16)).std()
        for name, parameter in made.named_parameters():
            if "to_rgb" in name and "affine" not in name:
                parameter *= 0.4 / float(spread)
    return made


def assert_repeats(picture: np.ndarray, repeats: tuple[int, int]) -> None:
    height, width = (side // n for side, n in zip(picture.shape[:2], repeats, strict=True))
    one = picture[:height, :width]
    np.testing.assert_array_equal(picture, np.tile(one, (*repeats, 1)))


@every_periodic
@settings(max_examples=12)
@given(
    repeats=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    sides=st.tuples(st.integers(1, 41), st.integers(1, 41)),
    how=st.sampled_from(
        [{}, {"exact": True}, {"supersample": 2}, {"depth": 16}, {"dither": True}, {"tile_edge": 7}]
    ),
)
def test_a_tile_is_whole_periods_at_any_size(
    family: str, repeats: tuple[int, int], sides: tuple[int, int], how: dict[str, Any]
) -> None:
    size = sides[0] * repeats[0], sides[1] * repeats[1]
    picture = creps.render(single(family), seed=3, size=size, tile=repeats, **how)
    assert picture.shape == (*size, 3)
    assert_repeats(picture, repeats)
    alone = creps.render(single(family), seed=3, size=sides, tile=1, **how)
    np.testing.assert_array_equal(picture[: sides[0], : sides[1]], alone)


@every_periodic
def test_smooth_pictures_repeat_too(family: str) -> None:
    """Large ones are evaluated sparsely, block by block."""
    renderer = creps.Renderer(single(family), seed=3)
    for size in ((160, 208), (600, 330)):
        picture = renderer.picture(size=size, tile=2)
        assert_repeats(picture, (2, 2))
        straight = renderer.picture(size=size, window=(0, 0, 2, 2))
        assert_repeats(straight, (2, 2))
        exact = creps.render(single(family), seed=3, size=size, tile=2, exact=True)
        assert np.abs(picture.astype(int) - exact).max() <= 2
    # What is shown four times is drawn once; blocks have borders, smooth ones few samples.
    assert renderer.evaluations.share is not None
    assert renderer.evaluations.share < 0.26


@every_periodic
@settings(max_examples=10)
@given(
    top=st.integers(-200, 200),
    left=st.integers(-200, 200),
    height=st.integers(1, 150),
    width=st.integers(1, 150),
)
def test_parts_within_and_beyond_are_those_of_the_whole(
    family: str, top: int, left: int, height: int, width: int
) -> None:
    renderer = creps.Renderer(single(family), seed=3)
    cell = renderer.picture(size=(72, 90), tile=1)
    part = renderer.region(Tile(top, left, height, width), size=(144, 270), tile=(2, 3))
    rows, columns = np.arange(top, top + height) % 72, np.arange(left, left + width) % 90
    np.testing.assert_array_equal(part, cell[rows][:, columns])


places = st.tuples(st.integers(-1000, 1000), st.integers(-1000, 1000))


@pytest.mark.parametrize("family", PIXELWISE)
@settings(max_examples=10)
@given(place=places, extent=st.sampled_from([0.5, 0.75, 0.3125]), height=st.sampled_from([32, 96]))
def test_windows_whole_periods_away_are_alike(
    family: str, place: tuple[int, int], extent: float, height: int
) -> None:
    """As the tiles of an endless plane are, which are drawn one by one."""
    renderer = creps.Renderer(single(family), seed=3)
    y, x = place
    here, there = (
        renderer.picture(size=(height, 64), window=(top, left, top + extent, left + extent))
        for top, left in ((0.25, 0.125), (0.25 + y, 0.125 + x))
    )
    np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize("family", PIXELWISE)
@pytest.mark.parametrize("warp", ["rotate:30", "barrel:0.3", "swirl:40", "elastic:0.1"])
@settings(max_examples=3)
@given(place=places)
def test_warped_pictures_whole_periods_away_are_alike(
    family: str, warp: str, place: tuple[int, int]
) -> None:
    renderer, bend = creps.Renderer(single(family), seed=3), as_warp(warp)

    def here(points: torch.Tensor) -> torch.Tensor:  # with few enough digits to be moved exactly
        return (bend(points) * 2**30).round() / 2**30

    def there(points: torch.Tensor) -> torch.Tensor:
        return here(points) + torch.tensor(place, dtype=torch.float64)

    for how in ({}, {"exact": True}, {"supersample": 2}):
        once, again = (renderer.picture(size=(90, 70), warp=w, **how) for w in (here, there))
        assert np.ptp(once) > 10
        # Where a warp is sampled sparsely, its own coordinates say how.
        assert np.abs(once.astype(int) - again).max() <= (0 if how else 1)


@pytest.mark.parametrize("family", PERIODIC)
def test_no_seam_stands_out(family: str) -> None:
    """Steps over the border of two periods are no larger than those inside."""
    for made in (single(family), single(family, period=(0.0, 0.0))):
        with torch.inference_mode():
            styles = made.map(creps.latents([3, 4], made))
            picture = made.synthesize(styles, Canvas(256, 256))
        for axis in (2, 3):
            # The last is the step from the end of the unit square to its beginning.
            steps = (picture.roll(-1, axis) - picture).abs().mean((0, 1, 5 - axis))
            seam, inside = float(steps[-1]), steps[:-1]
            if made.period[0]:
                assert inside.min() <= seam <= inside.max() * 1.2
            else:
                assert seam > 3 * inside.max()


@every_periodic
def test_cylinders_repeat_along_one_axis(family: str) -> None:
    made = single(family, period=(0.0, 2.0))
    picture = creps.render(made, seed=3, size=(20, 90), tile=(1, 3))
    assert_repeats(picture, (1, 3))
    assert creps.render(made, seed=3, tile=(1, 2)).shape == (16, 64, 3)
    assert creps.render(made, seed=3, size=8, tile=(1, 2)).shape == (8, 32, 3)
    with pytest.raises(UsageError, match="do not repeat down, expected 1 there"):
        creps.render(made, seed=3, tile=2)


def test_a_size_of_one_number_is_the_height() -> None:
    made = single("creps")
    assert creps.render(made, seed=3, size=20, tile=(2, 3)).shape == (20, 30, 3)
    assert creps.render(made, seed=3, tile=(2, 3)).shape == (32, 48, 3)
    assert creps.View(size=20, tile=(2, 3)).pixels == (20, 30)


def test_what_is_shown_twice_is_drawn_once() -> None:
    renderer = creps.Renderer(single("creps"), seed=3)
    renderer.picture(size=64, tile=4, exact=True)
    assert renderer.evaluations.evaluated == 16 * 16
    assert renderer.evaluations.painted == 64 * 64


def test_several_latents_at_once_repeat() -> None:
    made = single("creps")
    styles = made.map(torch.randn(3, 6, generator=torch.Generator().manual_seed(1)))
    canvas = Canvas(18, 24, (0, 0, 2, 2))
    for tile, images in painter_of(made, styles, canvas).images():
        assert images.shape == (3, 3, tile.height, tile.width)
    pieces = [tile for tile, _ in painter_of(made, styles, canvas).images()]
    assert sum(tile.height * tile.width for tile in pieces) == 18 * 24


@given(
    period=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    part=st.builds(
        Tile, st.integers(-20, 20), st.integers(-20, 20), st.integers(1, 25), st.integers(1, 25)
    ),
)
def test_every_pixel_is_shown_once_and_from_its_own_place(
    period: tuple[int, int], part: Tile
) -> None:
    repeats = Repeats(*period)
    shown = np.zeros((part.height, part.width), int)
    for own in repeats.first(part):
        for place in repeats.copies(own, part):
            home = repeats.home(place)
            assert home.within(own) == home
            inside = place.moved(-part.top, -part.left)
            shown[inside.rows, inside.columns] += 1
            for start, first, each in (
                (place.top, home.top, period[0]),
                (place.left, home.left, period[1]),
            ):
                assert first == (start % each if each else start)
    assert (shown == 1).all()


def test_only_periods_of_whole_pixels_are_drawn_once() -> None:
    home, repeats = repeating(Canvas(20, 30, (0.5, 0, 2.5, 1.5)), (1.0, 1.0))
    assert (home.height, home.width, repeats.down, repeats.across) == (10, 20, 10, 20)
    assert home.window == (0.5, 0, 1.5, 1)
    for canvas in (Canvas(21, 31, (0, 0, 2, 1.7)), Canvas(20, 20, (0, 0, 0.5, 0.9))):
        assert repeating(canvas, (1.0, 1.0))[0] == canvas
    assert repeating(Canvas(20, 30, (0, 0, 2, 3)), (0.0, 0.0))[0] == Canvas(20, 30, (0, 0, 2, 3))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"size": (101, 50), "tile": 2}, GridError, "such as 100x50|such as 102x50"),
        ({"size": 50, "tile": (3, 2)}, GridError, "does not hold 3x2 whole periods"),
        ({"size": (131, 196), "tile": (2, 3)}, GridError, "such as 132x198"),
        ({"size": (100, 100), "tile": (2, 3)}, GridError, "such as 100x99"),
        ({"size": (1, 6), "tile": 2}, GridError, "such as 2x6"),
        ({"tile": 0}, UsageError, "expected whole periods"),
        ({"tile": (2, -1)}, UsageError, "expected whole periods"),
        ({"tile": 1.5}, UsageError, "expected whole periods"),
        ({"tile": "2x2"}, UsageError, "expected whole periods"),
        ({"tile": (1, 2, 3)}, UsageError, "expected whole periods"),
        ({"tile": 2, "window": (0, 0, 1, 1)}, UsageError, "tile given with a window"),
        ({"tile": 2, "zoom": 2.0}, UsageError, "tile given with a window, zoom"),
        ({"tile": 2, "pan": (0.5, 0.5)}, UsageError, "tile given with a window, zoom"),
    ],
)
def test_tiles_that_cannot_be_are_refused(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        creps.View(**options)


@pytest.mark.parametrize("family", families())
def test_models_without_a_period_say_what_to_do(family: str) -> None:
    made = network(family)
    with pytest.raises(UsageError, match=r"do not repeat.*creps train --tile"):
        creps.render(made, seed=0, tile=2)


def test_arrays_hold_tiles_at_every_level() -> None:
    """As `creps.open_zarr` and dask read them."""
    renderer, view = creps.Renderer(single("creps"), seed=3), creps.View(size=96, tile=2)
    whole = VirtualPicture(renderer, view, chunk=32)
    assert len(whole) > 1
    for level in range(len(whole)):
        canvas = whole.canvas(level)
        picture = whole.pixels(level, Tile(0, 0, canvas.height, canvas.width))
        assert_repeats(picture, (2, 2))
        if level == 0:
            np.testing.assert_array_equal(picture, renderer.picture(view))
