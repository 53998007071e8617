"""Figures of the CREPS paper: what they show, and that their remarks follow from their numbers."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from creps.errors import UsageError
from creps.metrics._consistency import ARTIFACTS
from creps.metrics._models import ModelRef, hold
from creps.networks.base import Generator, Grid
from reproduce import creps_paper
from reproduce.budgets import budget_named
from reproduce.creps_paper import (
    fig_1_same_details,
    fig_3_thick_lines,
    fig_5_residuals,
    fig_6_transforms,
    fig_7_feature_maps,
    fig_8_artifacts,
    fig_9_lanczos,
    fig_10_samples,
)
from reproduce.ingredients import Model
from reproduce.showing import panel_picture, sample
from reproduce.standard_models import ANYRES, CREPS, SHIPPED
from reproduce.workshop import Workshop
from smooth_model import SmoothModel
from tiny_creps import tiny_creps

FIGURES = [each for each in creps_paper.EXPERIMENTS if each.place.startswith("Figure")]


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


class Shop(Workshop):
    """A workshop whose models are at hand."""

    def __init__(self, folder: Path, models: Mapping[str, Generator], **data: Path) -> None:
        super().__init__(folder, budget_named("trial"), data=data, workers=0, say=lambda _: None)
        self.models = models

    def ref(self, model: Model) -> ModelRef:
        found = self.models.get(model.name, self.models.get("any"))
        assert found is not None, model.name
        return hold(found)


def one(folder: Path, generator: Generator) -> Shop:
    return Shop(folder, {"any": generator})


def picture_of(findings: fig_1_same_details.Findings) -> np.ndarray:
    [figure] = findings.figures
    assert isinstance(figure.picture, np.ndarray)
    assert figure.picture.dtype == np.uint8
    return figure.picture


def test_every_figure_says_what_it_differs_in_and_can_be_named() -> None:
    names = [f"creps-fig-{number}" for number in (1, 3, 5, 6, 7, 8, 9, 10)]
    assert [each.name for each in FIGURES] == names
    assert all(each.differences and each.claim.endswith(".") for each in FIGURES)


def test_samples_are_in_colour_and_panels_show_their_pixels() -> None:
    picture = sample(hold(SmoothModel()), 4, size=24)
    assert picture.shape == (24, 24, 3)
    assert panel_picture(picture, 24) is picture
    larger = panel_picture(picture, 96)
    assert np.array_equal(larger[::4, ::4], picture)
    assert np.array_equal(panel_picture(larger, 24), picture)


def test_gray_models_are_shown_in_colour() -> None:
    assert sample(hold(tiny_creps(img_channels=1).float()), 0, size=8).shape == (8, 8, 3)


@pytest.mark.parametrize("steady", ["CREPS", "any-resolution GAN"])
def test_figure_1_names_the_model_whose_details_stay(tmp_path: Path, steady: str) -> None:
    name = CREPS.name if steady == "CREPS" else ANYRES.name
    shop = Shop(tmp_path, {"any": Restless(), name: SmoothModel()})
    findings = fig_1_same_details.run(shop)
    [table] = findings.tables
    assert table.columns == ("R against 2R (dB)", "2R against 4R (dB)")
    other = next(label for label in table.rows if label != steady)
    assert all(a > b + 10 for a, b in zip(table.rows[steady], table.rows[other], strict=True))
    assert all(f"{steady} stays" in remark for remark in findings.remarks)
    assert 800 <= picture_of(findings).shape[1] <= 1400


def test_figure_3_fits_a_photograph_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fig_3_thick_lines, "SIDE", 64)
    y, x = np.mgrid[:70, :90] / 70
    photo = np.stack([x, y, np.hypot(y - 0.5, x - 0.6) < 0.3], axis=2) * 180
    Image.fromarray(photo.astype(np.uint8)).save(tmp_path / "me.png")
    findings = fig_3_thick_lines.run(Shop(tmp_path, {}, photo=tmp_path / "me.png"))
    [table] = findings.tables
    assert tuple(table.rows) == tuple(fig_3_thick_lines.PUBLISHED.rows)
    assert table.columns[:2] == fig_3_thick_lines.PUBLISHED.columns
    assert [row[1] for row in table.rows.values()] == [100 * 2 * d / 64 for d in (1, 8, 32)]
    assert table.rows["D = 1"][0] == 1.0
    by = table.rows["D = 8"][0]
    assert isinstance(by, float)
    assert f"by {by:.1f} times" in findings.remarks[0]
    assert 800 <= picture_of(findings).shape[1] <= 1400


def test_figure_3_has_a_photograph_or_says_how_to_give_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path, {})
    made = fig_3_thick_lines._photograph(shop.data(fig_3_thick_lines.PHOTO))
    assert made.shape == (512, 512, 3)
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(UsageError, match="--data photo=FILE"):
        fig_3_thick_lines.astronaut(shop, tmp_path / "photo.zip")


def test_figure_5_magnifies_what_changes() -> None:
    small = np.full((2, 3, 3), 100, np.uint8)
    reduced = small + np.arange(6.0).reshape(2, 3, 1) * 8 * [1, -1, 0]
    shown = fig_5_residuals.residual_map(small, reduced)
    assert shown[:, :, 0].ravel().tolist() == [0, 80, 160, 240, 255, 255]
    assert np.array_equal(shown[:, :, 0], shown[:, :, 1])
    assert not shown[:, :, 2].any()


def test_figure_5_compares_with_the_papers_order(tmp_path: Path) -> None:
    restless, smooth = Restless(), SmoothModel()
    shop = Shop(tmp_path, {"creps": smooth, "cips": smooth, "any": restless})
    findings = fig_5_residuals.run(shop)
    [table] = findings.tables
    assert tuple(table.rows) == tuple(fig_5_residuals.PUBLISHED_PSNR)
    decibels = {label: cells[0] for label, cells in table.rows.items()}
    assert decibels["CREPS"] == decibels["CIPS"]
    gap = float(decibels["CIPS"] or 0) - float(decibels["AnyresGAN"] or 0)
    assert gap > 10
    assert "2 of 6 pairs are not" in findings.remarks[0]  # either two are alike here
    assert f"at least {gap:.1f} dB above" in findings.remarks[1]
    assert 800 <= picture_of(findings).shape[1] <= 1400
    worse = fig_5_residuals._remarks(fig_5_residuals.PUBLISHED_PSNR | {"CIPS": 20.0})
    assert "4.5 dB below" in worse[1]


def test_figure_6_marks_the_border_and_finds_the_picture_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fig_6_transforms, "SIDE", 96)
    findings = fig_6_transforms.run(one(tmp_path, SmoothModel()))
    [table] = findings.tables
    assert list(table.rows) == list(fig_6_transforms.TRANSFORMS)[1:]
    values = {label: float(cells[0] or 0) for label, cells in table.rows.items()}
    assert min(values.values()) > 40
    worst = min(values, key=values.__getitem__)
    assert f"{worst} is the least alike, with {values[worst]:.1f} dB" in findings.remarks[0]
    red = (picture_of(findings) == fig_6_transforms.RED).all(2)
    assert red.any()


def test_the_red_border_lies_on_both_sides_of_the_unit_square() -> None:
    inside = np.zeros((5, 7), dtype=bool)
    inside[:, :4] = True
    marked = fig_6_transforms.with_border(np.zeros((5, 7, 3), np.uint8), inside)
    assert [bool(column.any()) for column in marked[:, :, 0].T] == [
        False, False, False, True, True, False, False,
    ]  # fmt: skip


def test_places_are_looked_up_in_the_unit_square_alone() -> None:
    places = np.array([[0.0, 0.0], [0.49, 0.99], [1.0, 0.5], [-0.01, 0.5], [np.nan, np.nan]])
    inside = fig_6_transforms.in_unit_square(places)
    assert inside.tolist() == [True, True, False, False, False]
    picture = np.arange(2 * 3, dtype=np.uint8).reshape(2, 3, 1)
    assert fig_6_transforms.looked_up(picture, places[inside]).ravel().tolist() == [0, 2]


def test_figure_7_shows_each_level(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fig_7_feature_maps, "SIDE", 64)
    network = tiny_creps().float()
    findings = fig_7_feature_maps.run(one(tmp_path, network))
    [table] = findings.tables
    assert list(table.rows) == [f"level {k}" for k in range(1, network.num_levels + 1)]
    assert table.rows["level 1"][0] == table.rows["level 1"][1]  # eq. 4
    shown = picture_of(findings)
    assert shown.shape[1] > (network.num_levels + 1) * 64
    with pytest.raises(UsageError, match="is no CREPS"):
        fig_7_feature_maps.run(one(tmp_path, SmoothModel()))


def test_figure_7_counts_cycles_and_steps() -> None:
    x = (np.arange(96) + 0.5) / 96
    wave = np.sin(2 * np.pi * 9 * x)[None, :] + np.zeros((96, 1))
    assert fig_7_feature_maps.mean_frequency(wave) == pytest.approx(9, rel=0.05)
    levels = fig_7_feature_maps.normalised(3 * wave[:8] + 7)
    assert (levels.min(), levels.max(), levels.shape) == (0, 255, (8, 96, 3))
    assert not fig_7_feature_maps.normalised(np.ones((4, 5))).any()
    [remark] = fig_7_feature_maps._remarks([4.0, 5.0, 6.0], [4.0, 3.0, 2.0])
    assert "composed maps have 4.0, 5.0, 6.0 (2 of 2 steps are finer)" in remark
    assert "fused maps have 4.0, 3.0, 2.0 (0 of 2 steps are finer)" in remark


def test_figure_8_shows_the_worst_of_each_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fig_8_artifacts, "SAMPLES", 5)
    monkeypatch.setattr(fig_8_artifacts, "LEAST_SIDE", 64)
    monkeypatch.setattr(fig_8_artifacts, "SIDE", 48)
    findings = fig_8_artifacts.run(one(tmp_path, SmoothModel()))
    [table] = findings.tables
    assert set(ARTIFACTS) <= set(table.rows)
    for label, cells in table.rows.items():
        assert cells[3] in ("none", "slight", "clear")
        assert label in findings.remarks[0]
    assert len(findings.remarks) == 1 + sum(c[3] != "none" for c in table.rows.values())
    height, width = picture_of(findings).shape[:2]
    assert width > fig_8_artifacts.ACROSS * 48
    assert height > len(ARTIFACTS) * 48


def test_figure_9_finds_drawn_edges_sharper(tmp_path: Path) -> None:
    findings = fig_9_lanczos.run(one(tmp_path, Edge()))
    [table] = findings.tables
    assert len(table.rows) == len(fig_9_lanczos.PLACES)
    for enlarged, drawn, ratio in table.rows.values():
        assert ratio == float(drawn or 0) / float(enlarged or 1)
        assert float(ratio) > 1.5
    assert findings.remarks[0].endswith("sharper.")
    assert "not always" in fig_9_lanczos._remark([1.2, 0.9])
    assert 800 <= picture_of(findings).shape[1] <= 1400


def test_the_steepest_slope_is_in_grey_levels_a_pixel() -> None:
    ramp = np.repeat(np.arange(0, 120, 6, dtype=np.uint8)[None, :, None], 15, axis=0)
    assert fig_9_lanczos.steepest(np.repeat(ramp, 3, axis=2)) == pytest.approx(6)
    assert fig_9_lanczos.lanczos(np.zeros((4, 4, 3), np.uint8), 12).shape == (12, 12, 3)


def test_figure_10_leaves_no_seed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fig_10_samples, "SIDE", 16)
    shop = one(tmp_path, SmoothModel())
    shown = picture_of(fig_10_samples.run(shop))
    assert shown.shape == (fig_10_samples.ROWS * 16, fig_10_samples.COLUMNS * 16, 3)
    last = sample(shop.ref(SHIPPED), 27, size=16, supersample="auto")
    assert np.array_equal(shown[-16:, -16:], last)
