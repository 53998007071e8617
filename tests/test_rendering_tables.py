"""Looked-up lines make the picture of exact ones, within the bound that is measured."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from creps.coordinates import Canvas, PointGrid
from creps.errors import GridError, UsageError
from creps.networks.creps import Creps, CrepsConfig
from creps.networks.creps_inference import PreparedCreps, prepare
from creps.rendering.tables import TOLERANCE, ExactComposer, Extent, LineTable, TableComposer
from golden_names import relative_error

WHOLE: Extent = (-0.25, -0.2, 1.2, 1.25)


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
def prepared() -> PreparedCreps:
    generator = network()
    return prepare(generator, styles_of(generator))


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tables(prepared: PreparedCreps, extent: Extent = WHOLE, **settings: float) -> TableComposer:
    limits = {"tolerance": TOLERANCE} | settings
    return TableComposer.build(
        prepared,
        extent,
        generator=draws(),
        tolerance=limits["tolerance"],
        max_nodes=int(limits.get("max_nodes", 8192)),
    )


def rotated(height: int, width: int, degrees: float) -> Tensor:
    """(height, width, 2) points of the unit square, turned about its centre."""
    grid = Canvas(height, width).grid()
    y, x = torch.meshgrid(grid.ys - 0.5, grid.xs - 0.5, indexing="ij")
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.stack([0.5 + cos * y + sin * x, 0.5 - sin * y + cos * x], dim=2)


def test_a_table_holds_the_lines_of_its_nodes(prepared: PreparedCreps) -> None:
    table = LineTable.build(prepared, "columns", start=0.25, stop=0.75, spacing=1 / 64)
    nodes = 0.25 + torch.arange(33, dtype=torch.float64) / 64
    assert table.nodes == 33 + 3
    assert relative_error(table.lookup(nodes), prepared.lines(nodes, "columns")) <= 1e-12


def test_interpolation_is_cubic_convolution(prepared: PreparedCreps) -> None:
    """Half way between two nodes the weights are (-1, 9, 9, -1) / 16 (Keys, 1981)."""
    table = LineTable.build(prepared, "rows", start=0.0, stop=1.0, spacing=0.25)
    index, weights = table.taps(torch.tensor([0.375, 1.0], dtype=torch.float64))
    assert index.tolist()[0] == [1, 2, 3, 4]  # node 0 lies before the range
    assert weights.tolist()[0] == [-1 / 16, 9 / 16, 9 / 16, -1 / 16]
    assert weights.tolist()[1] == [0, 1, 0, 0]
    around = prepared.lines(torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]), "rows")
    expected = torch.einsum("lnsd,s->lnd", around[:, :, :4], weights[0])
    looked_up = table.lookup(torch.tensor([0.375], dtype=torch.float64))[:, :, 0]
    assert relative_error(looked_up, expected) <= 1e-12


def test_finer_tables_are_closer_to_exact_lines(prepared: PreparedCreps) -> None:
    coords = torch.rand(300, generator=draws(), dtype=torch.float64)
    exact = prepared.lines(coords, "rows")
    errors = [
        relative_error(
            LineTable.build(prepared, "rows", start=0, stop=1, spacing=1 / n).lookup(coords), exact
        )
        for n in (64, 256, 1024)
    ]
    assert errors[0] > 4 * errors[1] > 16 * errors[2]


def test_a_rotated_picture_is_the_exact_one_within_a_grey_level(prepared: PreparedCreps) -> None:
    points = rotated(45, 70, 30)
    composer = tables(prepared)
    assert 0 < composer.error <= TOLERANCE
    difference = composer.colours(points) - ExactComposer(prepared).colours(points)
    assert 0 < float(difference.abs().max()) * 255 / 2 <= 1


def test_a_coarse_table_is_refined_until_the_tolerance_holds(prepared: PreparedCreps) -> None:
    exact = ExactComposer(prepared).colours(points := rotated(30, 40, 50))
    coarse, fine = tables(prepared, tolerance=0.1), tables(prepared, tolerance=1e-4)
    assert fine.nodes > coarse.nodes
    assert fine.error <= 1e-4 < coarse.error <= 0.1
    errors = [(c.colours(points) - exact).square().mean().sqrt() for c in (coarse, fine)]
    assert errors[1] < errors[0] / 2


def test_the_number_of_nodes_is_bounded_and_the_error_told(prepared: PreparedCreps) -> None:
    composer = tables(prepared, tolerance=1e-9, max_nodes=100)
    assert composer.rows.nodes <= 100
    assert composer.columns.nodes <= 100
    assert composer.error > 1e-9


def test_exact_colours_are_those_of_the_generator() -> None:
    generator = network()
    styles = styles_of(generator)
    points = rotated(9, 13, 20)
    plain = generator.synthesize(styles, PointGrid(points))[0]
    exact = ExactComposer(prepare(generator, styles)).colours(points)
    assert relative_error(exact, plain) <= 1e-12


def test_the_identity_warp_is_the_plain_picture(prepared: PreparedCreps) -> None:
    grid = Canvas(40, 60).grid()
    plain = prepared.compose(prepared.lines(grid.ys, "rows"), prepared.lines(grid.xs, "columns"))
    points = rotated(40, 60, 0)
    assert relative_error(ExactComposer(prepared).colours(points), plain) <= 1e-9
    assert float((tables(prepared).colours(points) - plain).abs().max()) * 255 / 2 <= 1


def test_points_come_in_any_shape_and_number(prepared: PreparedCreps) -> None:
    composer, points = tables(prepared), rotated(35, 33, 10)  # more than one part
    image = composer.colours(points)
    assert image.shape == (3, 35, 33)
    assert relative_error(composer.colours(points.flatten(0, 1)), image.flatten(1)) <= 1e-12
    assert relative_error(composer.colours(points[20, 30]), image[:, 20, 30]) <= 1e-12


@pytest.mark.parametrize("extent", [(0.5, 0.5, 0.5, 0.5), (0.1, 0.5, 0.9, 0.5), (0, 0, 1e-9, 1e-9)])
def test_narrow_extents_are_served(prepared: PreparedCreps, extent: Extent) -> None:
    y0, x0, y1, x1 = extent
    points = torch.tensor([[y0, x0], [(y0 + y1) / 2, x1], [y1, x1]], dtype=torch.float64)
    exact = ExactComposer(prepared).colours(points)
    error = (tables(prepared, extent).colours(points) - exact).abs().max()
    assert float(error) * 255 / 2 <= 1


def test_tables_depend_on_the_seed_of_their_probes_alone(prepared: PreparedCreps) -> None:
    first, again = tables(prepared), tables(prepared)
    assert (first.error, first.nodes) == (again.error, again.nodes)


def test_half_precision_is_looked_up_too() -> None:
    generator = network()
    prepared = prepare(generator, styles_of(generator), dtype=torch.bfloat16)
    points = rotated(6, 9, 30)
    composer = tables(prepared, tolerance=0.2)
    colours = composer.colours(points)
    assert colours.dtype == torch.float32
    exact = ExactComposer(prepare(generator, styles_of(generator))).colours(points)
    assert relative_error(colours, exact) <= 0.2


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ((0.5, 1.3), "coordinates from 1.3 to 1.3: this table serves -0.2 to 1.25"),
        ((-0.3, 0.5), "this table serves -0.25 to 1.2"),
        ((math.nan, 0.5), "not finite"),
        ((0.5, math.inf), "not finite"),
    ],
)
def test_points_elsewhere_are_refused(
    prepared: PreparedCreps, point: tuple[float, float], message: str
) -> None:
    composer = tables(prepared)
    with pytest.raises(GridError, match=message):
        composer.colours(torch.tensor([point], dtype=torch.float64))


@pytest.mark.parametrize("shape", [(3,), (0, 2), (4, 5, 3)])
def test_things_that_are_no_points_are_refused(
    prepared: PreparedCreps, shape: tuple[int, ...]
) -> None:
    with pytest.raises(GridError, match=r"expected at least one, \(\.\.\., 2\) of \(y, x\)"):
        ExactComposer(prepared).colours(torch.zeros(shape))


def test_impossible_tables_are_refused(prepared: PreparedCreps) -> None:
    for extent in ((0.0, 0.0, -1.0, 1.0), (0.0, 0.0, math.inf, 1.0), (math.nan, 0.0, 1.0, 1.0)):
        with pytest.raises(GridError, match="expected finite y0 <= y1"):
            tables(prepared, extent)
    with pytest.raises(UsageError, match="expected a positive tolerance"):
        tables(prepared, tolerance=0.0)
    with pytest.raises(UsageError, match="at least 5 nodes"):
        tables(prepared, max_nodes=3)
    with pytest.raises(GridError, match="positive spacing"):
        LineTable.build(prepared, "rows", start=0, stop=1, spacing=0)
