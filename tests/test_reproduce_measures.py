"""What single experiments measure and draw, worked by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from creps.coordinates import Canvas
from creps.data import open_images
from creps.errors import UsageError
from creps.metrics._models import model_ref
from creps.metrics._pictures import ModelPictures
from creps.networks import Generator
from creps.networks.base import Grid
from creps.training._batches import draw_region
from reproduce.anyres_paper import models as anyres_models
from reproduce.anyres_paper import scoring
from reproduce.anyres_paper.figures import closing, correlation, fine_share, steps_at_borders
from reproduce.anyres_paper.tables import base_difference
from reproduce.cips_paper import models as cips_models
from reproduce.cips_paper.encodings import EMBEDDING, encodings, zeroed
from reproduce.cips_paper.samples import layer_ranges, neighbor_rows
from reproduce.cips_paper.tables import FACTORS
from reproduce.cips_paper.views import figure_8, panorama_canvas, seam
from reproduce.creps_paper import inside, sizes, thick_lines
from reproduce.models import ANYRES, CREPS, MIXED, PORTRAITS, SHIPPED, mixed_portraits
from reproduce.panels import enlarged, panel_picture, sample
from reproduce.specs import Dataset
from reproduce_stubs import Pretender, config_of, untrained
from smooth_model import SmoothModel
from tiny_creps import tiny_creps


class Restless(SmoothModel):
    """Paints other details at every size, as convolutional models do."""

    def synthesize(self, styles: Tensor, grid: Grid) -> Tensor:
        spacing = grid.ys[1] - grid.ys[0]  # type: ignore[union-attr]
        return super().synthesize(styles + 0.05 / spacing, grid)


class Edge(SmoothModel):
    """A sharp upright edge in the part that Figure 9 looks at."""

    def synthesize(self, styles: Tensor, grid: Grid) -> Tensor:
        edge = torch.sign(grid.xs - 0.4)  # type: ignore[union-attr]
        return edge.float().expand(1, 3, *grid.shape)


def one(folder: Path, generator: Generator, **data: Path) -> Pretender:
    return Pretender(folder, lambda model: generator, data=data)


def test_samples_are_in_color_and_panels_show_their_pixels() -> None:
    picture = sample(model_ref(SmoothModel()), 4, size=24)
    assert picture.shape == (24, 24, 3)
    assert panel_picture(picture, 24) is picture
    larger = panel_picture(picture, 96)
    assert np.array_equal(larger[::4, ::4], picture)
    assert np.array_equal(panel_picture(larger, 24), picture)
    assert sample(model_ref(tiny_creps(img_channels=1).float()), 0, size=8).shape == (8, 8, 3)


def test_details_that_stay_are_told_from_those_that_do_not(tmp_path: Path) -> None:
    smooth, restless = SmoothModel(), Restless()
    runner = Pretender(tmp_path, lambda m: smooth if m.name == CREPS.name else restless)
    steady, other = sizes.figure_1.run(runner).tables[0].rows.values()
    assert all(float(a or 0) > float(b or 0) + 10 for a, b in zip(steady, other, strict=True))
    rows = sizes.figure_5.run(runner).tables[0].rows
    assert max(rows, key=lambda label: float(rows[label][0] or 0)) == "CREPS"


def test_residuals_are_magnified() -> None:
    small = np.full((2, 3, 3), 100, np.uint8)
    reduced = small + np.arange(6.0).reshape(2, 3, 1) * 8 * [1, -1, 0]
    shown = sizes.residual_map(small, reduced)
    assert shown[:, :, 0].ravel().tolist() == [0, 80, 160, 240, 255, 255]
    assert np.array_equal(shown[:, :, 0], shown[:, :, 1])
    assert not shown[:, :, 2].any()


def test_a_photograph_of_ones_own_is_fitted(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(thick_lines, "SIDE", 64)
    monkeypatch.setattr(Pretender, "data", lambda self, dataset: tmp_path / "me.png")
    y, x = np.mgrid[:70, :90] / 70
    photo = np.stack([x, y, np.hypot(y - 0.5, x - 0.6) < 0.3], axis=2) * 180
    Image.fromarray(photo.astype(np.uint8)).save(tmp_path / "me.png")
    (table,) = thick_lines.figure_3.run(Pretender(tmp_path)).tables
    assert [table.rows[f"D = {d}"][1] for d in (1, 8, 32)] == [100 * 2 * d / 64 for d in (1, 8, 32)]
    assert table.rows["D = 1"][0] == 1.0


def test_there_is_a_photograph_or_it_is_said_how_to_give_one(tmp_path: Path, monkeypatch) -> None:
    out = tmp_path / "photo.zip"
    thick_lines.astronaut(Pretender(tmp_path), out)
    assert thick_lines.photograph(out).shape == (512, 512, 3)
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(UsageError, match="--data photo=FILE"):
        thick_lines.astronaut(Pretender(tmp_path), out)


def test_a_transformed_picture_is_found_again(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(inside, "TRANSFORMED", 96)
    result = inside.figure_6.run(one(tmp_path, SmoothModel()))
    assert min(float(cells[0] or 0) for cells in result.tables[0].rows.values()) > 40
    assert (np.asarray(result.figures[0].picture) == inside.RED).all(2).any()


def test_the_red_border_lies_on_both_sides_of_the_unit_square() -> None:
    mask = np.zeros((5, 7), dtype=bool)
    mask[:, :4] = True
    marked = inside.with_border(np.zeros((5, 7, 3), np.uint8), mask)
    assert [bool(column.any()) for column in marked[:, :, 0].T] == [
        False, False, False, True, True, False, False,
    ]  # fmt: skip


def test_places_are_looked_up_in_the_unit_square_alone() -> None:
    places = np.array([[0.0, 0.0], [0.49, 0.99], [1.0, 0.5], [-0.01, 0.5], [np.nan, np.nan]])
    within = inside.in_unit_square(places)
    assert within.tolist() == [True, True, False, False, False]
    picture = np.arange(2 * 3, dtype=np.uint8).reshape(2, 3, 1)
    assert inside.looked_up(picture, places[within]).ravel().tolist() == [0, 2]


def test_maps_are_those_of_each_level(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(inside, "MAPPED", 64)
    network = tiny_creps().float()
    (table,) = inside.figure_7.run(one(tmp_path, network)).tables
    assert list(table.rows) == [f"level {k}" for k in range(1, network.num_levels + 1)]
    assert table.rows["level 1"][0] == table.rows["level 1"][1]  # eq. 4
    with pytest.raises(UsageError, match="is not a CREPS"):
        inside.figure_7.run(one(tmp_path, SmoothModel()))


def test_cycles_of_a_wave_are_counted() -> None:
    x = (np.arange(96) + 0.5) / 96
    wave = np.sin(2 * np.pi * 9 * x)[None, :] + np.zeros((96, 1))
    assert inside.mean_frequency(wave) == pytest.approx(9, rel=0.05)
    levels = inside.normalized(3 * wave[:8] + 7)
    assert (levels.min(), levels.max(), levels.shape) == (0, 255, (8, 96, 3))
    assert not inside.normalized(np.ones((4, 5))).any()


def test_drawn_edges_are_steeper_than_enlarged_ones(tmp_path: Path) -> None:
    (table,) = sizes.figure_9.run(one(tmp_path, Edge())).tables
    assert all(float(ratio or 0) > 1.5 for _, _, ratio in table.rows.values())
    ramp = np.repeat(np.arange(0, 120, 6, dtype=np.uint8)[None, :, None], 15, axis=0)
    assert sizes.steepest(np.repeat(ramp, 3, axis=2)) == pytest.approx(6)
    assert enlarged(np.zeros((4, 4, 3), np.uint8), 12).shape == (12, 12, 3)


def test_no_seed_is_left_out(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sizes, "THUMBNAIL", 16)
    runner = Pretender(tmp_path, lambda model: SmoothModel(), paper=True)
    shown = np.asarray(sizes.figure_10.run(runner).figures[0].picture)
    assert shown.shape == (sizes.ROWS * 16, sizes.COLUMNS * 16, 3)
    last = sample(runner.ref(SHIPPED), 27, size=16, supersample="auto")
    assert np.array_equal(shown[-16:, -16:], last)


@pytest.mark.parametrize("factor", FACTORS[1:])
@pytest.mark.parametrize("budget", ["small", "paper"])
def test_patches_have_strides_from_one_to_all_of_the_picture(factor: int, budget: str) -> None:
    config = config_of(getattr(cips_models.patched(PORTRAITS, factor), budget))
    own = config.generator.resolution
    assert config.resolution * factor == own
    strides = []
    for step in range(200):
        y0, x0, y1, x1 = draw_region(config, step).window
        assert min(y0, x0) >= 0
        assert max(y1, x1) <= 1 + 1e-12
        strides.append((y1 - y0) / config.resolution * own)
    assert 1 <= min(strides) < 1.1
    assert factor * 0.9 < max(strides) <= factor


def test_a_zeroed_encoding_says_nothing_and_the_original_stays() -> None:
    network = untrained(cips_models.BASE)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    grid = Canvas(6, 9).grid()
    for part in ("embedding", "fourier"):
        assert not getattr(zeroed(network, (part,)), part)(grid).any()
    assert zeroed(network, ()).state_dict().keys() == before.keys()
    assert all(value.equal(before[name]) for name, value in network.state_dict().items())


def test_encodings_are_those_of_the_models_own_pixels() -> None:
    network = untrained(cips_models.BASE)
    found = encodings(model_ref(network))
    assert [maps.shape for maps in found.values()] == [(16, 16, 6)] * 2
    vectors = network.get_parameter("embedding.vectors").detach()
    np.testing.assert_allclose(found[EMBEDDING], vectors, rtol=1e-6)


def test_foveated_pictures_come_closer_with_more_pixels(tmp_path: Path) -> None:
    for cells in figure_8.run(Pretender(tmp_path)).tables[0].rows.values():
        assert list(cells) == sorted(float(cell or 0) for cell in cells)


def test_a_cylinder_is_as_wide_as_its_turn() -> None:
    canvas = panorama_canvas(model_ref(untrained(cips_models.PANORAMA)))
    assert canvas.width == 3 * canvas.height
    ramp = np.arange(8, dtype=np.uint8)[None, :, None].repeat(2, 0)
    assert seam(ramp) == 7


@pytest.mark.parametrize("count", [6, 10, 16])
def test_mixed_layers_are_all_layers_each_once(count: int) -> None:
    found: list[int] = []
    for text in layer_ranges(count).values():
        first, last = map(int, text.split("-"))
        found += range(first, last + 1)
    assert sorted(found) == list(range(count))


def test_mixed_portraits_are_of_mixed_sizes(tmp_path: Path) -> None:
    pytest.importorskip("dicebear")
    out = tmp_path / "mixed.zip"
    mixed_portraits(Pretender(tmp_path), out, low=3, high=4)
    sides = [open_images(out).image(index).shape[0] for index in range(7)]
    assert sides[:3] == [32, 32, 32]
    assert all(64 <= side <= 128 for side in sides[3:])
    assert len(set(sides)) > 2


@pytest.mark.parametrize(
    ("data", "sides"),
    [
        (anyres_models.REDUCED, [32] * 8 + [64] * 4),
        (anyres_models.ENLARGED, [32] * 8 + [128] * 4),
        (anyres_models.LARGEST, [32] * 8 + [120, 128]),
    ],
    ids=lambda given: given.name if isinstance(given, Dataset) else "",
)
def test_sets_of_one_size_keep_the_small_pictures(
    tmp_path: Path, data: Dataset, sides: list[int]
) -> None:
    runner = Pretender(tmp_path)
    found = open_images(runner.data(data))
    assert found.sizes[:, 0].tolist() == sides
    np.testing.assert_array_equal(found.image(3), open_images(runner.data(MIXED)).image(3))


def test_rivals_are_resampled_and_models_paint(tmp_path: Path) -> None:
    model = model_ref(SmoothModel())
    own = model.size[0]
    painted, resized = scoring.Rival(model=model), scoring.Rival(model=model, how="bicubic")
    drawn = ModelPictures(model=model, size=model.size).picture(1)
    np.testing.assert_array_equal(resized.whole(own).picture(1), drawn)
    large = Image.fromarray(drawn).resize((3 * own, 3 * own), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(resized.whole(3 * own).picture(1), np.asarray(large))
    difference = painted.whole(3 * own).picture(1) - np.asarray(large, np.float64)
    assert 0 < np.abs(difference).mean() < 8
    plan = scoring.patch_plan(Pretender(tmp_path))
    assert (plan.side, plan.smallest, plan.largest) == (32, 64, 128)
    sets = scoring.patch_sets({"a": painted, "b": resized}, plan)
    assert list(sets) == ["a", "b", "real"]
    assert {each.picture(0).shape for each in sets.values()} == {(32, 32, 3)}


def test_a_smooth_picture_is_its_large_one_reduced() -> None:
    model, other = model_ref(SmoothModel()), model_ref(untrained(ANYRES))
    assert base_difference(model, model, count=2) < 0.02
    assert base_difference(other, other, count=1) > 0.02  # its scales are apart


def test_shares_of_fine_detail() -> None:
    y, x = np.mgrid[:64, :64]
    coarse, fine = (np.sin(2 * np.pi * (x + y) * k / 64) * 100 for k in (2, 24))
    assert fine_share(coarse) < 1
    assert fine_share(fine) > 99
    assert fine_share(np.zeros((64, 64))) == 0


def test_a_belt_closes_where_it_comes_again() -> None:
    turn = np.cumsum(np.random.default_rng(0).integers(-3, 4, (4, 40, 3)), axis=1) + 128
    round_twice = np.concatenate([turn, turn], axis=1).astype(np.uint8)
    step, after = closing(round_twice, 40)
    assert after == 0
    assert step > 0
    assert closing(round_twice, 37)[1] > 1


def test_steps_are_told_apart_at_the_borders() -> None:
    strip = np.zeros((2, 12, 1), np.uint8)
    strip[:, 4:8] = 90
    within, borders = steps_at_borders(strip, 3)
    assert (within, borders) == (pytest.approx(180 / 11), 90)


def test_correlation_of_a_constant_is_none() -> None:
    assert correlation(np.array([[1.0, 2], [2, 4], [3, 6]])) == pytest.approx(1)
    assert correlation(np.ones((3, 2))) == 0


def test_samples_stand_beside_the_pictures_nearest_in_features() -> None:
    x, y = np.array([[0.0], [5.0]]), np.array([[5.5], [0.25], [9.0]])
    rows = neighbor_rows(Numbers(), Numbers(), x, y, count=2)
    assert [[int(panel.picture[0, 0, 0]) for panel in row] for row in rows] == [
        [0, 1, 0],
        [1, 0, 2],
    ]
    assert [panel.title for panel in rows[0]] == [
        "sample, seed 0",
        "distance 0.25",
        "distance 5.50",
    ]


class Numbers:
    """Pictures of their numbers."""

    size = (8, 8)

    def picture(self, index: int) -> np.ndarray:
        return np.full((8, 8, 3), index, np.uint8)
