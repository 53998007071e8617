"""A `Drawer` draws the same picture for every family, however it is cut, batched or placed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from creps.coordinates import AxisGrid, Canvas
from creps.errors import GridError, UsageError
from creps.networks.base import Generator, Grid
from creps.networks.creps import Creps
from creps.rendering._latents import PreparedLatents
from creps.rendering._painter import Painter
from creps.rendering._points import ExactPoints, TablePoints
from creps.rendering._tiles import Tile, TilePlan
from creps.rendering.warps import Elastic, Rotate, as_warp, warped_grid
from golden_names import relative_error
from painters import painter_of
from tiny_creps import random_styles, tiny_creps

CANVAS = Canvas(71, 96, (0.1, -0.3, 0.8, 1.2))
WARPS = [None, "translate:0.1,0.2", "rotate:30", "elastic:amount=0.05,seed=3", "swirl:90"]


class Blurred(Generator):
    """A family with context: noise of the plane, blurred over neighboring pixels."""

    margin = 3

    def __init__(self, *, accepts_points: bool = False) -> None:
        super().__init__(tiny_creps().config, num_styles=1)
        self.accepts_points = accepts_points
        self.weight = torch.nn.Parameter(torch.ones(3, dtype=torch.float64), requires_grad=False)
        self.asked: list[tuple[int, int]] = []

    def synthesize(self, styles: Tensor, grid: Grid) -> Tensor:
        if isinstance(grid, AxisGrid):
            y, x = grid.ys[:, None], grid.xs[None, :]
        elif self.accepts_points:
            y, x = grid.points.unbind(2)
        else:
            raise GridError("this family paints rows and columns only")
        self.asked.append(grid.shape)
        waves = (30 * y * y + 20 * x).sin() * (15 * x).cos() * self.weight[:, None, None]
        image = waves.expand(len(styles), 3, *grid.shape)
        return F.avg_pool2d(image, 7, stride=1, padding=3)  # zeros beyond the borders


class Whole(Blurred):
    """A family that paints one grid."""

    margin = 0
    tileable = False

    def synthesize(self, styles: Tensor, grid: Grid) -> Tensor:
        if grid.shape != (16, 16):
            raise GridError("this family paints 16x16 pixels only")
        return super().synthesize(styles, grid)


def whole(drawer: Painter, part: Tile | None = None) -> Tensor:
    """(B, C, H, W) of a part of the canvas, NaN where no tile was drawn."""
    canvas = drawer.canvas
    picture: Tensor | None = None
    for tile, image in drawer.images(part):
        if picture is None:
            shape = (*image.shape[:2], canvas.height, canvas.width)
            picture = torch.full(shape, torch.nan, dtype=image.dtype)
        picture[..., tile.rows, tile.columns] = image
    assert picture is not None
    return picture if part is None else picture[..., part.rows, part.columns]


@pytest.fixture(scope="module")
def network() -> Creps:
    return tiny_creps()


@pytest.mark.parametrize("warp", WARPS)
@pytest.mark.parametrize("composition", ["layerwise", "dense"])
def test_pictures_are_those_of_synthesize(warp: str | None, composition: str) -> None:
    network = tiny_creps(composition=composition)
    styles = random_styles(network, 1)
    plain = network.synthesize(styles, warped_grid(CANVAS, as_warp(warp)))
    exact = whole(painter_of(network, styles, CANVAS, warp=warp, exact=True))
    assert relative_error(exact, plain) <= 1e-10
    quick = whole(painter_of(network, styles, CANVAS, warp=warp))
    assert float((quick - plain).abs().max()) <= 2 / 255


@pytest.mark.parametrize("warp", WARPS)
@pytest.mark.parametrize("supersample", [1, 2, "auto"])
def test_tiles_and_parts_are_the_whole(network: Creps, warp: str | None, supersample) -> None:
    styles = random_styles(network, 1)
    canvas = CANVAS if supersample == 1 else Canvas(9, 13, CANVAS.window)

    def drawer(tile: int) -> Painter:
        return painter_of(
            network, styles, canvas, warp=warp, supersample=supersample, tile_edge=tile
        )

    picture = whole(drawer(200))
    assert not picture.isnan().any()
    torch.testing.assert_close(whole(drawer(7)), picture, rtol=0, atol=1e-9)
    shards = drawer(64)
    for part in reversed(TilePlan(canvas.height, canvas.width, 40)):
        expected = picture[..., part.rows, part.columns]
        torch.testing.assert_close(whole(shards, part), expected, rtol=0, atol=1e-9)
        if canvas is CANVAS:  # another process, which draws this part alone
            torch.testing.assert_close(whole(drawer(64), part), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("warp", [None, "rotate:30"])
def test_a_batch_is_its_pictures(network: Creps, warp: str | None) -> None:
    styles = random_styles(network, 3)
    batch = whole(painter_of(network, styles, CANVAS, warp=warp))
    for one, image in zip(styles.split(1), batch.split(1), strict=True):
        assert torch.equal(whole(painter_of(network, one, CANVAS, warp=warp)), image)


@pytest.mark.parametrize("warp", ["identity", "rotate:360", Rotate(-720)])
def test_warps_that_change_nothing_leave_every_bit(network: Creps, warp) -> None:
    styles = random_styles(network, 1)
    plain = whole(painter_of(network, styles, CANVAS))
    assert torch.equal(whole(painter_of(network, styles, CANVAS, warp=warp)), plain)


def colors_of(drawer: Painter) -> object:
    next(drawer.images(Tile(0, 0, 1, 1)))
    return drawer._strategy._points[0]


def test_small_pictures_take_exact_lines_and_large_ones_tables(network: Creps) -> None:
    """By the whole picture: a small part of a large one is looked up too."""
    styles = random_styles(network, 1)
    for size, kind in ((20, ExactPoints), (2000, TablePoints)):
        drawer = painter_of(network, styles, Canvas(size, size), warp="rotate:30")
        assert isinstance(colors_of(drawer), kind)
    exact = painter_of(network, styles, Canvas(2000, 2000), warp="rotate:30", exact=True)
    assert isinstance(colors_of(exact), ExactPoints)


@pytest.mark.slow
def test_tables_depend_on_the_picture_not_on_the_part(network: Creps) -> None:
    styles = random_styles(network, 1)
    canvas, parts = Canvas(3000, 2000), [Tile(1000, 900, 5, 6), Tile(10, 20, 5, 6)]
    drawers = [painter_of(network, styles, canvas, warp=Elastic(0.05, 5, 3)) for _ in parts]
    alone = [whole(drawer, part) for drawer, part in zip(drawers, parts, strict=True)]
    one = painter_of(network, styles, canvas, warp=Elastic(0.05, 5, 3))
    for part, picture in reversed(list(zip(parts, alone, strict=True))):
        assert torch.equal(whole(one, part), picture)


# Families without lines


@pytest.mark.parametrize("warp", [None, "translate:0.1", "rotate:30"])
def test_families_with_a_margin_have_no_seams(warp: str | None) -> None:
    family = Blurred(accepts_points=True)
    styles = torch.zeros(2, 1, 1, dtype=torch.float64)
    pictures = [
        whole(painter_of(family, styles, CANVAS, warp=warp, tile_edge=tile))
        for tile in (200, 64, 9, None)
    ]
    assert pictures[0].std() > 0.1
    for picture in pictures[1:]:
        torch.testing.assert_close(picture, pictures[0], rtol=0, atol=1e-9)


def test_the_context_of_a_margin_is_the_plane_beyond_the_picture() -> None:
    family, styles = Blurred(), torch.zeros(1, 1, 1, dtype=torch.float64)
    picture = whole(painter_of(family, styles, Canvas(20, 30, (0, 0, 0.5, 0.5)), tile_edge=8))
    assert set(family.asked) <= {(a + 6, b + 6) for a in (8, 4) for b in (8, 6)}
    larger = whole(painter_of(family, styles, Canvas(40, 60), tile_edge=100))
    torch.testing.assert_close(picture, larger[..., :20, :30], rtol=0, atol=1e-9)


def test_margins_make_tiles_larger() -> None:
    family, styles = Blurred(), torch.zeros(1, 1, 1, dtype=torch.float64)
    family.margin = 30
    assert painter_of(family, styles, CANVAS).tile == 240
    assert painter_of(family, styles, CANVAS, tile_edge=50).tile == 50


def test_families_that_refuse_a_grid_say_so() -> None:
    drawer = painter_of(Blurred(), torch.zeros(1, 1, 1), CANVAS, warp="rotate:30")
    with pytest.raises(GridError, match="rows and columns only"):
        list(drawer.images())


def test_families_without_tiles_are_asked_for_the_whole_once() -> None:
    family, styles = Whole(), torch.zeros(1, 1, 1, dtype=torch.float64)
    drawer = painter_of(family, styles, Canvas(16, 16), tile_edge=5)
    expected = family.synthesize(styles, Canvas(16, 16).grid())
    family.asked.clear()
    assert torch.equal(whole(drawer), expected)
    assert torch.equal(whole(drawer, Tile(3, 4, 9, 5)), expected[..., 3:12, 4:9])
    assert len(family.asked) == 1
    with pytest.raises(GridError, match="16x16 pixels only"):
        list(painter_of(family, styles, Canvas(16, 17)).images())


# Devices and precision


@pytest.mark.parametrize("warp", [None, "rotate:30"])
@pytest.mark.parametrize("composition", ["layerwise", "dense"])
@pytest.mark.parametrize(
    ("dtype", "error"),
    [("float64", 1e-12), ("float32", 1e-5), ("bfloat16", 0.2), ("float16", 0.05)],
)
def test_precision_is_that_asked_for(
    composition: str, dtype: str, error: float, warp: str | None
) -> None:
    network = tiny_creps(composition=composition)
    styles = random_styles(network, 1)
    network32 = tiny_creps(composition=composition).float()
    expected = whole(painter_of(network, styles, Canvas(11, 17), warp=warp))
    for source, least in ((network, 0.0), (network32, 1e-5)):  # whose weights are rounded
        picture = whole(painter_of(source, styles, Canvas(11, 17), warp=warp, dtype=dtype))
        assert picture.dtype == (torch.float64 if dtype == "float64" else torch.float32)
        assert relative_error(picture, expected) <= max(error, least)


@pytest.mark.parametrize("make", [tiny_creps, lambda: tiny_creps(composition="dense")])
def test_the_generator_stays_as_it_is(make: Callable[[], Creps]) -> None:
    network = make().float()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    subject = PreparedLatents(network, random_styles(network, 1), dtype="float64")
    assert subject.nbytes > 0
    whole(painter_of(network, random_styles(network, 1), Canvas(5, 7), dtype=torch.float64))
    for name, value in network.state_dict().items():
        assert value.dtype == before[name].dtype
        assert torch.equal(value, before[name])


def test_nothing_is_copied_where_nothing_changes() -> None:
    dense = tiny_creps(composition="dense").float()
    for dtype in (None, "float32", "bfloat16"):
        assert PreparedLatents(dense, random_styles(dense, 1), dtype=dtype).nbytes == 0


def test_other_nonsense_is_refused(network: Creps) -> None:
    styles = random_styles(network, 1)
    with pytest.raises(GridError, match="tile_edge of 0"):
        painter_of(network, styles, CANVAS, tile_edge=0)
    with pytest.raises(UsageError, match="supersample 0"):
        painter_of(network, styles, CANVAS, supersample=0)
    with pytest.raises(UsageError, match="dtype int8"):
        painter_of(network, styles, CANVAS, dtype="int8")
