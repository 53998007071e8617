"""Looked-up lines make the picture of exact ones, within the bound that is measured."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from creps.coordinates import Canvas, PointGrid
from creps.errors import GridError
from creps.networks._prepared import Prepared
from creps.networks.base import Axis
from creps.networks.creps import Creps, CrepsConfig
from creps.rendering._points import ExactPoints, TablePoints, TableStore, worthwhile_stretch
from creps.rendering._tables import (
    BLOCK,
    TOLERANCE,
    Lattice,
    LineTable,
    Stretch,
    find_resolution,
    first_resolution,
)
from golden_names import relative_error


def network() -> Creps:
    torch.manual_seed(0)
    return Creps(
        CrepsConfig(
            resolution=16,
            z_dim=6,
            w_dim=10,
            mapping_layers=2,
            channel_base=128,
            channel_max=12,
            thickness=3,
            line_channels=6,
            bandwidth=4.0,
            decoder_widths=(8, 7),
            refinement_widths=(9, 5),
        )
    ).double()


def styles_of(generator: Creps) -> Tensor:
    z = torch.randn(1, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return generator.map(z).detach()


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    generator = network()
    return generator.prepare(styles_of(generator))


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def table(
    prepared: Prepared,
    axis: Axis = "rows",
    *,
    resolution: int = 64,
    reach: tuple[float, float] = (0.0, 1.0),
) -> LineTable:
    lattice = Lattice(resolution)
    return LineTable(prepared, axis, lattice, stretch=Stretch.around(lattice, *reach))


def lookup(held: LineTable, coords: Tensor) -> Tensor:
    """Interpolated lines (L, N, P, D) at coordinates (P,), of 2 levels with a thickness of 3."""
    taps = held.taps(coords)
    levels = torch.stack([held.level(level, *taps) for level in range(2)])
    return levels.view(2, len(coords), 3, -1).permute(0, 3, 1, 2)


def pair(prepared: Prepared, resolution: int) -> TablePoints:
    """Tables of all that the rotated pictures here need."""
    rows, columns = (
        table(prepared, axis, resolution=resolution, reach=(-0.3, 1.3))
        for axis in ("rows", "columns")
    )
    return TablePoints(prepared, rows, columns)


def rotated(height: int, width: int, degrees: float) -> Tensor:
    """(height, width, 2) points of the unit square, turned about its center."""
    grid = Canvas(height, width).grid()
    y, x = torch.meshgrid(grid.ys - 0.5, grid.xs - 0.5, indexing="ij")
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.stack([0.5 + cos * y + sin * x, 0.5 - sin * y + cos * x], dim=2)


def gray_levels(a: Tensor, b: Tensor) -> float:
    """The largest difference, in gray levels of an 8-bit picture."""
    return float((a - b).abs().max()) * 255 / 2


def test_a_table_holds_the_lines_of_its_nodes(prepared: Prepared) -> None:
    nodes = torch.arange(-5, 40, dtype=torch.float64) / 64
    held = table(prepared, "columns", reach=(-0.1, 0.7))
    assert relative_error(lookup(held, nodes), prepared.lines(nodes, "columns")) <= 1e-12
    assert held.nodes % BLOCK == 0
    assert held.nbytes == held.nodes * 2 * 6 * 3 * 8  # levels, channels, thickness, bytes


def test_interpolation_is_cubic_convolution(prepared: Prepared) -> None:
    """Half way between two nodes the weights are (-1, 9, 9, -1) / 16 (Keys, 1981)."""
    held = table(prepared, resolution=4)
    index, weights = held.taps(torch.tensor([0.375, 1.0], dtype=torch.float64))
    assert (index - index[0, 1]).tolist()[0] == [-1, 0, 1, 2]
    assert weights.tolist()[0] == [-1 / 16, 9 / 16, 9 / 16, -1 / 16]
    assert weights.tolist()[1] == [0, 1, 0, 0]
    around = prepared.lines(torch.tensor([0.0, 0.25, 0.5, 0.75]), "rows")
    expected = torch.einsum("lnsd,s->lnd", around, weights[0])
    looked_up = lookup(held, torch.tensor([0.375], dtype=torch.float64))[:, :, 0]
    assert relative_error(looked_up, expected) <= 1e-12


def test_denser_tables_are_closer_to_exact_lines(prepared: Prepared) -> None:
    coords = torch.rand(300, generator=draws(), dtype=torch.float64)
    exact = prepared.lines(coords, "rows")
    errors = [
        relative_error(lookup(table(prepared, resolution=n), coords), exact)
        for n in (64, 256, 1024)
    ]
    assert errors[0] > 4 * errors[1] > 16 * errors[2]


def test_what_a_table_says_does_not_depend_on_what_it_covers(prepared: Prepared) -> None:
    coords = 0.4 + 0.2 * torch.rand(50, generator=draws(), dtype=torch.float64)
    small = table(prepared, resolution=640, reach=(0.4, 0.6))
    large = table(prepared, resolution=640, reach=(-0.9, 2.0))
    grown = LineTable(prepared, "rows", small.lattice, stretch=large.stretch, known=small)
    assert len(small.stretch) < len(large.stretch) / 5
    for other in (large, grown):
        assert torch.equal(lookup(other, coords), lookup(small, coords))
    assert torch.equal(lookup(grown, coords - 1), lookup(large, coords - 1))


@pytest.mark.parametrize("coord", [-0.5, 2.5, math.nan, math.inf])
def test_coordinates_elsewhere_are_refused(prepared: Prepared, coord: float) -> None:
    with pytest.raises(GridError, match="this table serves blocks 0 to 1 of Lattice"):
        table(prepared, reach=(0.1, 1.2)).taps(torch.tensor([0.5, coord], dtype=torch.float64))


# How dense


def test_a_latent_has_one_resolution(prepared: Prepared) -> None:
    assert find_resolution(prepared) == find_resolution(prepared)


def test_a_coarse_table_is_refined_until_the_tolerance_holds(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("creps.rendering._tables.FINEST_START", 64)
    monkeypatch.setattr("creps.rendering._tables.COARSEST", 64)
    assert first_resolution(prepared) == 64
    coarse, fine = (find_resolution(prepared, tolerance=tolerance) for tolerance in (0.1, 1e-3))
    assert fine.nodes > coarse.nodes
    assert fine.error <= 1e-3 < coarse.error <= 0.1
    exact = ExactPoints(prepared).colors(points := rotated(30, 40, 50))
    errors = [
        (pair(prepared, each.nodes).colors(points) - exact).square().mean().sqrt()
        for each in (coarse, fine)
    ]
    assert errors[1] < errors[0] / 2


def test_the_resolution_is_bounded_and_the_error_told(prepared: Prepared) -> None:
    bounded = find_resolution(prepared, tolerance=1e-12, finest=2112)
    assert bounded.nodes == 2112
    assert bounded.error > 1e-12


# Points


@pytest.mark.parametrize("degrees", [0, 30, 50])
def test_a_rotated_picture_is_the_exact_one_within_a_gray_level(
    prepared: Prepared, degrees: float
) -> None:
    found, points = find_resolution(prepared), rotated(45, 70, degrees)
    assert 0 < found.error <= TOLERANCE
    exact = ExactPoints(prepared).colors(points)
    assert gray_levels(pair(prepared, found.nodes).colors(points), exact) <= 1
    assert gray_levels(pair(prepared, 256).colors(points), exact) > 0


def test_exact_colors_are_those_of_the_generator() -> None:
    generator = network()
    styles = styles_of(generator)
    points = rotated(9, 13, 20)
    plain = generator.synthesize(styles, PointGrid(points))[0]
    exact = ExactPoints(generator.prepare(styles)).colors(points)
    assert relative_error(exact, plain) <= 1e-12


def test_points_beyond_the_tables_have_lines_of_their_own(prepared: Prepared) -> None:
    points = rotated(30, 40, 30)
    rows = table(prepared, "rows", resolution=2048, reach=(0.2, 0.7))
    columns = table(prepared, "columns", resolution=2048, reach=(0.3, 0.5))
    exact = ExactPoints(prepared).colors(points)
    inside = TablePoints(prepared, rows, columns).colors(points)
    assert 0 < gray_levels(inside, exact) <= 1
    far = points + 20
    assert torch.equal(
        TablePoints(prepared, rows, columns).colors(far), ExactPoints(prepared).colors(far)
    )


def test_points_come_in_any_shape_and_number(prepared: Prepared) -> None:
    painter, points = pair(prepared, 512), rotated(35, 33, 10)  # more than one part
    image = painter.colors(points)
    assert image.shape == (3, 35, 33)
    assert relative_error(painter.colors(points.flatten(0, 1)), image.flatten(1)) <= 1e-12
    assert relative_error(painter.colors(points[20, 30]), image[:, 20, 30]) <= 1e-12


# Where tables pay


@pytest.mark.parametrize(
    ("coords", "weight", "expected"),
    [
        (torch.linspace(0, 1, 65), 100, (-1, 16)),  # nodes -1 to 1024 + 2
        (torch.linspace(0, 1, 65), 10, None),  # fewer points than nodes
        (torch.linspace(0.3, 0.31, 65), 10, (4, 4)),
        (torch.cat([torch.linspace(0, 1, 65), torch.tensor([7.0])]), 100, (-1, 16)),
        (torch.cat([torch.linspace(0, 1, 65), torch.full((80,), 7.0)]), 100, (111, 112)),
        (torch.cat([torch.linspace(0, 1, 65), torch.full((80,), 2.0)]), 100, (-1, 32)),
        (torch.linspace(50, 51, 65), 100, None),  # beyond the bytes of a table
        (torch.tensor([]), 100, None),
    ],
)
def test_tables_are_for_where_more_points_than_nodes_lie(
    coords: Tensor, weight: float, expected: tuple[int, int] | None
) -> None:
    stretch = worthwhile_stretch(coords.double(), Lattice(1024), weight=weight, longest=500)
    assert stretch == (None if expected is None else Stretch(*expected))


def test_few_points_need_no_tables(prepared: Prepared) -> None:
    store, samples = TableStore(prepared), rotated(40, 40, 30).flatten(0, 1)
    assert isinstance(store.source(samples, points=1000), ExactPoints)
    assert store.nbytes == 0
    assert isinstance(store.source(samples, points=10**6), TablePoints)
    assert store.nbytes > 0
    store.clear()
    assert store.nbytes == 0


def test_tables_grow_as_far_as_their_bytes_allow(prepared: Prepared) -> None:
    near = rotated(40, 40, 30).flatten(0, 1)
    store = TableStore(prepared, limit=2_500_000)  # 4 plane units
    colors = store.source(near, points=10**6).colors(near)
    first = store.nbytes
    store.source(near + 0.5, points=10**6)
    assert first < store.nbytes <= 2 * 2_500_000
    assert torch.equal(store.source(near, points=10**6).colors(near), colors)
    store.source(near - 1.0, points=10**6)
    store.source(near + 1.0, points=10**6)
    assert store.nbytes <= 2 * 2_500_000
    assert torch.equal(store.source(near, points=10**6).colors(near), colors)


def test_half_precision_is_looked_up_too() -> None:
    generator = network()
    styles = styles_of(generator)
    halved = generator.prepare(styles, dtype=torch.bfloat16)
    assert find_resolution(halved).nodes == first_resolution(halved)
    points = rotated(6, 9, 30)
    colors = pair(halved, 1024).colors(points)
    assert colors.dtype == torch.float32
    exact = ExactPoints(generator.prepare(styles)).colors(points)
    assert relative_error(colors, exact) <= 0.2
