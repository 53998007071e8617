"""Looked-up lines make the picture of exact ones, within the tolerance, at less cost."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import creps
from creps.coordinates import Canvas, PointGrid
from creps.networks._prepared import Prepared
from creps.networks.base import Axis, build_generator
from creps.networks.creps import Creps
from creps.rendering import _tables as tables_module
from creps.rendering._painter import Painter
from creps.rendering._points import (
    CELL_NODES,
    CrossedLines,
    ExactPoints,
    Stretch,
    TablePoints,
    TableStore,
    worthwhile_stretch,
)
from creps.rendering._tables import (
    COARSEST,
    ENDS,
    MIDDLES,
    UNIT,
    LineTables,
    combined,
    cubic_weights,
)
from creps.rendering._workers import map_in_order
from golden_names import relative_error
from patience import PATIENCE
from tiny_creps import UNEVEN

AXES: tuple[Axis, Axis] = ("rows", "columns")


def network(**changes: Any) -> Creps:
    """A small float64 network with random weights, the same in every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = build_generator("creps", UNEVEN | {"bandwidth": 4.0} | changes).double()
    assert isinstance(made, Creps)
    return made


def prepare(generator: Creps, seed: int = 1) -> Prepared:
    return generator.prepare(generator.map(creps.latents([seed], generator)))


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(network())


DEAR: dict[str, Any] = {"channel_base": 2048, "channel_max": 96}
"""Settings of a network whose lines cost far more than its pixels."""


def tables_of(prepared: Prepared, tolerance: float = 0.5, **options: Any) -> LineTables:
    return LineTables(prepared, tolerance=tolerance, **options)


def counted(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many lines are asked of a network, call by call."""
    asked: list[int] = []
    lines = prepared.lines

    def count(coords: Tensor, axis: Axis, **more: Any) -> Tensor:
        asked.append(len(coords))
        return lines(coords, axis, **more)

    monkeypatch.setattr(prepared, "lines", count)
    return asked


def gray_levels(a: Tensor, b: Tensor) -> float:
    """The largest difference, in gray levels of an 8-bit picture."""
    return float((a.clamp(-1, 1) - b.clamp(-1, 1)).abs().max()) * 255 / 2


def worst_error(prepared: Prepared, tables: LineTables, ys: Tensor, xs: Tensor) -> float:
    """Of all colors where looked-up rows cross looked-up columns, in gray levels."""
    looked_up = tables.table("rows").lines(ys), tables.table("columns").lines(xs)
    exact = prepared.lines(ys, "rows"), prepared.lines(xs, "columns")
    return gray_levels(prepared.compose(*looked_up), prepared.compose(*exact))


def rotated(height: int, width: int, degrees: float) -> Tensor:
    """(height, width, 2) points of the unit square, turned about its center."""
    grid = Canvas(height, width).grid()
    y, x = torch.meshgrid(grid.ys - 0.5, grid.xs - 0.5, indexing="ij")
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.stack([0.5 + cos * y + sin * x, 0.5 - sin * y + cos * x], dim=2)


def test_the_cubic_is_cubic_convolution() -> None:
    """Half way between two nodes the weights are (-1, 9, 9, -1) / 16 (Keys, 1981)."""
    weights = cubic_weights(torch.tensor([0.5, 0.0]))
    assert weights.tolist() == [[-1 / 16, 9 / 16, 9 / 16, -1 / 16], [0, 1, 0, 0]]


def test_nodes_have_the_lines_of_the_network(prepared: Prepared) -> None:
    nodes = torch.arange(-30, 200, dtype=torch.float64) / (2 * COARSEST)
    lines = tables_of(prepared).table("columns").lines(nodes)
    assert lines.shape == (2, 6, 230, 3)
    assert relative_error(lines, prepared.lines(nodes, "columns")) <= 1e-12


def test_a_finer_tolerance_takes_more_nodes_and_is_closer(prepared: Prepared) -> None:
    ys, xs = torch.linspace(0, 0.2, 301).double(), torch.linspace(0.5, 0.8, 405).double()
    coarse, fine = tables_of(prepared, 2.0), tables_of(prepared, 0.02)
    errors = [worst_error(prepared, each, ys, xs) for each in (coarse, fine)]
    assert 0 < errors[1] < errors[0] / 2
    assert errors[0] <= 2
    assert errors[1] <= 0.04
    assert fine.nodes > 2 * coarse.nodes


MODELS: list[dict[str, Any]] = [
    {},
    {"bandwidth": 10.0},
    {"bandwidth": 10.0, "composition": "sum", "resolution": 32},
    {"bandwidth": 2.0, "composition": "once", "channel_max": 32},
    {"bandwidth": 10.0, "channel_max": 64, "thickness": 8, "line_channels": 16, "resolution": 64},
]


@pytest.mark.parametrize("changes", MODELS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_whole_axes_are_within_the_tolerance(changes: dict[str, Any], seed: int) -> None:
    each = prepare(network(**changes), seed)
    draws = torch.Generator().manual_seed(seed)
    xs = torch.rand(150, generator=draws, dtype=torch.float64)
    for far in (0.0, -0.7):
        ys = far + torch.linspace(0, 1, 2999, dtype=torch.float64)
        assert worst_error(each, tables_of(each), ys, xs) <= 1


def edges_of(picture: Tensor, *, share: float) -> tuple[Tensor, Tensor]:
    """Rows and columns of the pixels of (C, H, W) that differ most from their neighbors."""
    high, low = (F.max_pool2d(sign * picture[None], 3, 1, 1)[0] for sign in (1, -1))
    contrast = (high + low).amax(0)
    places = contrast.flatten().topk(int(share * contrast.numel())).indices
    return places // contrast.shape[1], places % contrast.shape[1]


def worst_error_at_edges(prepared: Prepared, tables: LineTables, side: int, share: float) -> float:
    """Of all pixels of a large picture in which its edges lie, in gray levels.

    Edges are found in a picture of a quarter of the side.
    """
    ys = (torch.arange(side, dtype=torch.float64) + 0.37) / side
    xs = (torch.arange(side, dtype=torch.float64) + 0.61) / side
    small = prepared.compose(prepared.lines(ys[2::4], "rows"), prepared.lines(xs[2::4], "columns"))
    i, j = (4 * each[:, None] for each in edges_of(small.clamp(-1, 1), share=share))
    each = torch.arange(16)
    i, j = (i + each // 4).flatten(), (j + each % 4).flatten()
    lines = prepared.lines(ys, "rows"), prepared.lines(xs, "columns")
    looked_up = tables.table("rows").lines(ys), tables.table("columns").lines(xs)
    return gray_levels(
        CrossedLines(prepared, *looked_up).colors(i, j),
        CrossedLines(prepared, *lines).colors(i, j),
    )


@pytest.mark.parametrize(
    ("seed", "side", "share"),
    [
        (9, 1000, 0.03),
        (18, 1000, 0.03),
        *(pytest.param(k, 2496, 0.06, marks=pytest.mark.slow) for k in range(0, 40, 3)),
    ],
)
def test_edges_of_the_packaged_model_are_within_the_tolerance(
    seed: int, side: int, share: float
) -> None:
    each = prepare(creps.load("portraits"), seed)  # type: ignore[arg-type]
    tables = tables_of(each)
    assert 0 < worst_error_at_edges(each, tables, side, share) <= 1
    assert tables.nodes < 15_000


def test_a_kink_anywhere_in_a_cell_is_seen() -> None:
    """Where it lies in a cell, the test of one of three lines shows it."""
    places = torch.linspace(0, 1, 101, dtype=torch.float64)
    seen = torch.zeros(101)
    for center, (away, weights) in ((0.0, ENDS), (0.5, MIDDLES), (1.0, ENDS)):
        around = [(center + k - places).abs() for k in away]
        seen = torch.maximum(seen, (combined(around, weights) - (center - places).abs()).abs())
    assert float(seen.min()) > 0.1


@given(st.floats(-3, 3), st.floats(0, 20), st.integers(0, 5), st.sampled_from([2.0, 4.0, 10.0]))
@settings(max_examples=20)
def test_windows_of_any_size_are_within_the_tolerance(
    corner: float, octaves: float, seed: int, bandwidth: float
) -> None:
    each = prepare(network(bandwidth=bandwidth), seed)
    span = torch.linspace(0, 2.0**-octaves, 101, dtype=torch.float64)
    tables = tables_of(each)
    assert worst_error(each, tables, corner + span, 0.3 + span[:77]) <= 1


def test_a_deep_zoom_takes_a_handful_of_lines(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = tables_of(prepared)
    asked = counted(prepared, monkeypatch)
    coords = 0.37 + torch.linspace(0, 2.0**-20, 5000, dtype=torch.float64)
    tables.table("rows").lines(coords)
    assert sum(asked) <= 128 + 32


def test_noise_costs_hardly_more_than_the_exact_way(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = prepare(network(bandwidth=1000.0, **DEAR))
    tables, asked = tables_of(noise), counted(noise, monkeypatch)
    for size in (100, 256, 1000, 4000, 2**14, 2**18):
        assert tables.shortest(1 / size, samples=size) is None
        assert sum(asked) <= 0.15 * 2 * size
    assert sum(asked) == 128


def test_long_axes_of_dear_lines_are_looked_up(prepared: Prepared) -> None:
    tables = tables_of(prepare(network(**DEAR)))
    assert tables.shortest(1 / 2048, samples=2048) is None  # nodes would be as many
    assert tables.shortest(1 / 4096, samples=4096) == 32
    assert tables.shortest(1 / 2**14, samples=1000) is None  # sparse evaluation needs few
    assert tables.shortest(1 / 2**14, samples=2**14) == 8
    assert tables.shortest(2.0**-30, samples=3000) == 2
    assert tables_of(prepared).shortest(2.0**-30, samples=3000) is None  # cheap lines


def test_what_a_table_says_does_not_depend_on_what_was_asked_before(prepared: Prepared) -> None:
    coords = 0.4 + 0.2 * torch.rand(50, generator=torch.Generator().manual_seed(0)).double()
    for shortest in (1, 32, 64):
        fresh = tables_of(prepared, 0.05).table("rows").lines(coords, shortest=shortest)
        used = tables_of(prepared, 0.05).table("rows")
        for coord in coords.flip(0)[:7]:
            used.lines(coord[None], shortest=1)
        used.lines(torch.linspace(-0.3, 1.1, 999, dtype=torch.float64), shortest=2)
        used.lines(coords - 0.31, shortest=64)
        assert torch.equal(used.lines(coords, shortest=shortest), fresh)
        parts = [used.lines(part, shortest=shortest) for part in coords.split(7)]
        assert torch.equal(torch.cat(parts, dim=2), fresh)


def test_places_too_rough_for_the_shortest_cells_have_exact_lines() -> None:
    rough = prepare(network(bandwidth=300.0))
    coords = torch.linspace(0, 0.1, 96, dtype=torch.float64)
    lines = tables_of(rough).table("rows").lines(coords, shortest=UNIT // COARSEST)
    assert relative_error(lines, rough.lines(coords, "rows")) <= 1e-12


def test_a_table_forgets_beyond_its_bytes_and_says_the_same(prepared: Prepared) -> None:
    table = tables_of(prepared, limit=200_000).table("rows")
    coords = torch.linspace(0, 0.1, 99, dtype=torch.float64)
    first = table.lines(coords)
    for far in range(1, 20):
        table.lines(coords + far)
        assert table.nbytes < 1_000_000
    assert torch.equal(table.lines(coords), first)


def test_threads_share_a_table_and_wait_only_for_its_axis(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = tables_of(prepared)
    coords = torch.linspace(0, 1, 400, dtype=torch.float64)
    expected = tables_of(prepared).table("rows").lines(coords)
    tables.table("columns").lines(coords)
    busy, free = threading.Event(), threading.Event()
    exact = tables_module.prepared_lines

    def slow(*arguments: Any) -> Tensor:
        busy.set()
        assert free.wait(60)
        return exact(*arguments)

    monkeypatch.setattr(tables_module, "prepared_lines", slow)
    results: list[Tensor] = []
    threads = [
        threading.Thread(target=lambda: results.append(tables.table("rows").lines(coords)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    assert busy.wait(60)
    tables.table("columns").lines(coords)  # while rows are computed
    free.set()
    for thread in threads:
        thread.join(60)
    assert len(results) == 3
    assert all(torch.equal(each, expected) for each in results)


def test_threads_that_draw_may_all_wait_for_a_table_that_another_fills(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines of the table are made on threads that none of them holds."""
    tables, before = tables_of(prepared), torch.get_num_threads()
    coords = torch.linspace(0, 1, 400, dtype=torch.float64)
    expected = tables_of(prepared).table("rows").lines(coords)
    busy, drawing = threading.Event(), threading.Barrier(3)
    exact = tables_module.prepared_lines

    def slow(*arguments: Any) -> Tensor:
        if not busy.is_set():
            busy.set()
            drawing.wait(PATIENCE)
        return exact(*arguments)

    def tile(_: int) -> Tensor:
        drawing.wait(PATIENCE)
        return tables.table("rows").lines(coords)

    monkeypatch.setattr(tables_module, "prepared_lines", slow)
    torch.set_num_threads(2)
    try:
        filling = threading.Thread(target=lambda: tables.table("rows").lines(coords))
        filling.start()
        assert busy.wait(PATIENCE)
        drawn = list(map_in_order(tile, range(2), workers=2))
        filling.join()
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(each, expected) for each in drawn)


def test_half_precision_is_looked_up_too() -> None:
    generator = network()
    halved = generator.prepare(generator.map(creps.latents([1], generator)), dtype=torch.bfloat16)
    tables = tables_of(halved)
    coords = torch.linspace(0, 0.5, 40, dtype=torch.float64)
    exact = prepare(generator).lines(coords, "rows")
    assert relative_error(tables.table("rows").lines(coords).double(), exact) <= 0.1


def test_a_store_has_tables_for_each_tolerance(prepared: Prepared) -> None:
    store = TableStore(prepared)
    assert store.of(0.5) is store.of(0.5) is not store.of(0.25)
    assert store.nbytes == 0
    store.of(0.5).table("rows").lines(torch.tensor([0.5], dtype=torch.float64))
    assert store.nbytes > 0
    store.clear()
    assert store.nbytes == 0


# Pictures


VIEWS: list[dict[str, Any]] = [
    {"size": (2200, 96), "window": (0.2, 0.3, 0.3, 0.3044)},
    {"size": (90, 3000), "window": (0.2, 0.3, 0.2 + 3e-7, 0.3 + 1e-5)},
    {"size": (80, 1100), "window": (-0.1, 0.3, -0.09, 0.45), "supersample": 2},
    {"size": (2100, 100), "window": (0.1, 0.5, 0.2, 0.505), "warp": "scale:-1,2"},
]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("seed", [0, 3])
def test_pictures_of_looked_up_lines_are_the_exact_ones(
    view: dict[str, Any], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = creps.Renderer(network(**DEAR).float(), seed=seed)
    picture = renderer.picture(**view)
    held = renderer._latents.each[0].tables.of(0.5)
    assert 0 < held.nodes < max(view["size"]) * view.get("supersample", 1) / 2
    exact = renderer.picture(**view, exact=True)
    assert np.abs(picture.astype(int) - exact).max() <= 1
    again = creps.Renderer(network(**DEAR).float(), seed=seed)
    for part in (creps.Tile(20, 70, 37, 10), creps.Tile(60, 0, 9, 90)):
        pixels = again.region(part, **view)
        assert np.array_equal(pixels, picture[part.rows, part.columns])


def levels(painter: Painter) -> np.ndarray[Any, Any]:
    """(C, H, W) colors in gray levels, clipped, not rounded."""
    picture = np.empty((3, painter.height, painter.width), np.float32)
    for tile, image in painter.images():
        picture[:, tile.rows, tile.columns] = image[0]
    return ((picture + 1) * 127.5).clip(0, 255)


BENT: list[tuple[int, dict[str, Any]]] = [
    (0, {"size": (90, 110), "zoom": 6, "warp": "swirl:120"}),
    (6, {"size": (110, 90), "warp": "rotate:15"}),
    (1, {"size": (64, 130), "zoom": 40, "pan": (0.45, 0.4), "warp": "rotate:30"}),
]
MORE_BENT: list[tuple[int, dict[str, Any]]] = [
    (1, {"size": 240, "zoom": 2.3, "warp": "swirl:120"}),
    (6, {"size": 240, "zoom": 2.3, "warp": "rotate:30"}),
    (2, {"size": 200, "zoom": 3, "warp": "barrel:0.3"}),
    (9, {"size": 200, "zoom": 3, "warp": "elastic:0.05"}),
]


@pytest.mark.parametrize(
    ("seed", "view"), [*BENT, *(pytest.param(*each, marks=pytest.mark.slow) for each in MORE_BENT)]
)
def test_bent_portraits_are_those_of_exact_lines(seed: int, view: dict[str, Any]) -> None:
    """Looked up and interpolated, colors are within a gray level: no 8-bit value is off by 2."""
    renderer = creps.Renderer(creps.load("portraits"), seed=seed)
    quick = levels(renderer.painter(**view))
    assert renderer._latents.each[0].tables.of(0.5).nodes > 0
    off = np.abs(quick - levels(renderer.painter(**view, exact=True)))
    assert 1e-3 < off.max() <= 1


# Points


@pytest.mark.parametrize("degrees", [0, 30, 50])
def test_a_rotated_picture_is_the_exact_one_within_the_tolerance(
    prepared: Prepared, degrees: float
) -> None:
    points = rotated(45, 70, degrees)
    source = TableStore(prepared).source(points.flatten(0, 1), points=10**6)
    assert isinstance(source, TablePoints)
    assert 0 < gray_levels(source.colors(points), ExactPoints(prepared).colors(points)) <= 1


def test_exact_colors_are_those_of_the_generator() -> None:
    generator = network()
    styles = generator.map(creps.latents([1], generator))
    points = rotated(9, 13, 20)
    plain = generator.synthesize(styles, PointGrid(points))[0]
    exact = ExactPoints(generator.prepare(styles)).colors(points)
    assert relative_error(exact, plain) <= 1e-12


def test_points_beyond_the_picture_have_lines_of_their_own(prepared: Prepared) -> None:
    points, store = rotated(30, 40, 30), TableStore(prepared)
    everywhere = torch.linspace(-30, 30, 5000, dtype=torch.float64)
    for axis in AXES:  # other pictures have been there
        store.of(0.5).table(axis).lines(everywhere)
    source = store.source(points.flatten(0, 1), points=10**6)
    far = points + 20
    assert torch.equal(source.colors(far), ExactPoints(prepared).colors(far))
    some = torch.cat([points[:5], far[:4], points[5:9]])
    exact = ExactPoints(prepared).colors(some)
    assert 0 < gray_levels(source.colors(some), exact) <= 1


def test_points_come_in_any_shape_and_number(prepared: Prepared) -> None:
    points = rotated(35, 66, 10)  # more than one part
    source = TableStore(prepared).source(points.flatten(0, 1), points=10**6)
    image = source.colors(points)
    assert image.shape == (3, 35, 66)
    assert relative_error(source.colors(points.flatten(0, 1)), image.flatten(1)) <= 1e-12
    assert relative_error(source.colors(points[20, 30]), image[:, 20, 30]) <= 1e-12


@pytest.mark.parametrize(
    ("coords", "weight", "expected"),
    [
        (torch.linspace(0, 1, 65), 100, (0, COARSEST)),
        (torch.linspace(0, 1, 65), 3, None),  # fewer points than nodes
        (torch.linspace(0.3, 0.301, 65), 10, (153, 154)),
        (torch.cat([torch.linspace(0, 1, 65), torch.tensor([7.0])]), 100, (0, COARSEST)),
        (torch.cat([torch.linspace(0, 1, 65), torch.full((80,), 2.0)]), 100, (0, 2 * COARSEST)),
        (torch.linspace(50, 51, 65), 100, None),  # beyond the bytes of a table
        (torch.tensor([]), 100, None),
    ],
)
def test_tables_are_for_where_more_points_than_nodes_lie(
    coords: Tensor, weight: float, expected: tuple[int, int] | None
) -> None:
    stretch = worthwhile_stretch(coords.double(), weight=weight, longest=10_000)
    assert stretch == (None if expected is None else Stretch(*expected))


def test_few_points_need_no_tables(prepared: Prepared) -> None:
    store, samples = TableStore(prepared), rotated(40, 40, 30).flatten(0, 1)
    assert isinstance(store.source(samples, points=CELL_NODES * 100), ExactPoints)
    assert store.nbytes == 0
