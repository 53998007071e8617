"""The any-resolution paper's experiments: sets, models, tables and what is said of them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from creps.config import replace
from creps.data._sources import open_images
from creps.metrics._cache import Columns, Work
from creps.metrics._charts import scatter_chart, standalone
from creps.metrics._models import ModelRef, hold
from creps.metrics._pictures import ModelPictures
from creps.metrics._real_images import open_reality
from creps.networks.base import Generator, build_generator
from creps.training._presets import preset
from reproduce.anyres_paper import EXPERIMENTS, scoring, variants
from reproduce.anyres_paper.fig_6_limits import fine_share
from reproduce.anyres_paper.fig_9_panoramas import closing, steps_at_borders
from reproduce.anyres_paper.fig_12_metrics import correlation
from reproduce.anyres_paper.tables_10_to_13_variations import base_difference
from reproduce.budgets import Budget
from reproduce.experiment import Findings, Table
from reproduce.ingredients import Dataset, Model, Training
from reproduce.standard_models import ANYRES, ANYRES_BASE, MIXED
from reproduce.workshop import Workshop
from smooth_model import SmoothModel

BY_NAME = {each.name: each for each in EXPERIMENTS}
TABLES = [each for each in EXPERIMENTS if each.published and each.place.startswith("Table")]
MODELS = {model.name: model for model in vars(variants).values() if isinstance(model, Model)}
SMALL = Budget(name="small", about="a test", pictures=30, probes=1, extractor="effnet")


def zipped(path: Path, sides: list[int]) -> Path:
    """Pictures of noise."""
    random = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for index, side in enumerate(sides):
            buffer = io.BytesIO()
            pixels = random.integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(buffer, "PNG")
            archive.writestr(f"{index:03d}.png", buffer.getvalue())
    return path


_NETWORKS: dict[str, Generator] = {}


def network(model: Model) -> Generator:
    """The small budget's network, untrained."""
    if model.name not in _NETWORKS:
        training = model.small
        assert not isinstance(training, str) or training == "portraits"
        name, settings = ("small-32", ()) if isinstance(training, str) else _words(training)
        config = replace(preset(name), settings)
        torch.manual_seed(len(_NETWORKS))
        _NETWORKS[model.name] = build_generator(config.family, config.generator).eval()
    return _NETWORKS[model.name]


def _words(training: Training) -> tuple[str, tuple[str, ...]]:
    return training.preset, training.settings


class Shop(Workshop):
    """A workshop of untrained networks; what is worked out of pictures is made up, by label."""

    def __init__(self, folder: Path) -> None:
        given = {
            "portraits": zipped(folder / "portraits.zip", [128] * 30),
            "mixed": zipped(folder / "mixed.zip", [32] * 8 + [64, 96, 120, 128]),
            "earth-mixed": zipped(folder / "earth.zip", [64, 90, 130, 190, 256]),
        }
        super().__init__(folder, SMALL, data=given, say=lambda line: None)
        self.far: dict[str, float] = {"real": 0.0}

    def ref(self, model: Model) -> ModelRef:
        return hold(network(model))

    def columns(self, works: Mapping[str, Work], counts: Mapping[str, int]) -> dict[str, Columns]:
        made: dict[str, Columns] = {}
        for label, work in works.items():
            far = self.far.setdefault(label, float(len(self.far)))
            features = np.random.default_rng(0).normal(size=(counts[label], 3)) + far
            side = min(work.pictures.size)  # type: ignore[attr-defined]
            made[label] = {"features": features, "sum_radial": np.full(side // 2 + 1, 2.0**far)}
        return made


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_training_is_one_that_can_be_run(model: Model) -> None:
    for training in (model.small, model.paper):
        assert isinstance(training, Training)
        config = replace(preset(training.preset), training.settings)
        assert config.resolution == config.discriminator.resolution
    assert model.name != ANYRES.name or model is ANYRES


def test_variants_differ_from_the_default_in_what_they_say_alone() -> None:
    assert isinstance(ANYRES.small, Training)
    for model in variants.VARIANTS.values():
        assert isinstance(model.small, Training)
        assert (model.start, model.small.preset) == (ANYRES_BASE, ANYRES.small.preset)
        assert model.small.images == ANYRES.small.images
        assert model is ANYRES or model.small.settings or model.data is not MIXED
    assert len({model.name for model in variants.VARIANTS.values()}) == len(variants.VARIANTS)


@pytest.mark.parametrize(
    ("data", "sides"),
    [
        (variants.REDUCED, [32] * 8 + [64] * 4),
        (variants.ENLARGED, [32] * 8 + [128] * 4),
        (variants.LARGEST, [32] * 8 + [120, 128]),
    ],
    ids=lambda given: given.name if isinstance(given, Dataset) else "",
)
def test_sets_of_one_size_keep_the_small_pictures(
    shop: Shop, data: Dataset, sides: list[int]
) -> None:
    found = open_images(shop.data(data))
    assert found.sizes[:, 0].tolist() == sides
    np.testing.assert_array_equal(found.image(3), open_images(shop.data(MIXED)).image(3))


@pytest.mark.slow
@pytest.mark.parametrize("experiment", TABLES, ids=lambda each: each.name)
def test_tables_have_the_papers_shape_and_say_which_rows_swap(shop: Shop, experiment: Any) -> None:
    published = experiment.published
    found: Findings = experiment.run(shop)
    (table,) = found.tables
    assert len(table.rows) == len(published.rows)
    if experiment.place != "Table 3":  # one set of pictures
        assert len(table.columns) == len(published.columns)
        compared = [line for line in found.remarks if "paper's order" in line]
        assert len(compared) == len(published.columns)
    numbers = [c for row in table.rows.values() for c in row if isinstance(c, float)]
    assert numbers
    assert all(np.isfinite(numbers))


def test_remarks_follow_the_numbers() -> None:
    published = Table(columns=("FID",), rows={"a": (1.0,), "b": (2.0,)})
    good = Table(columns=("fd",), rows={"a": (5.0,), "x": (6.0,)})
    bad = Table(columns=("fd",), rows={"a": (7.0,), "x": (6.0,)})
    first, luck = scoring.remarks(published, good, stand_ins={"x": "b"})
    assert "the paper's order holds" in first
    assert "Lowest: a (as in the paper)." in first
    assert "luck" in luck
    first, _ = scoring.remarks(published, bad, stand_ins={"x": "b"})
    assert "a and x" in first  # by the names in the table here
    assert "Lowest: x (the paper's: a)." in first


def test_rivals_are_resampled_and_models_paint(tmp_path: Path, shop: Shop) -> None:
    model = hold(SmoothModel())
    own = model.size[0]
    painted, enlarged = scoring.Rival(model=model), scoring.Rival(model=model, how="bicubic")
    drawn = ModelPictures(model=model, size=model.size).picture(1)
    np.testing.assert_array_equal(enlarged.whole(own).picture(1), drawn)
    large = Image.fromarray(drawn).resize((3 * own, 3 * own), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(enlarged.whole(3 * own).picture(1), np.asarray(large))
    difference = painted.whole(3 * own).picture(1) - np.asarray(large, np.float64)
    assert 0 < np.abs(difference).mean() < 8
    plan = scoring.random_patches(shop)
    assert (plan.side, plan.smallest, plan.largest) == (32, 64, 128)
    assert plan.real == open_reality(str(shop.data(scoring.PORTRAITS)))
    sets = scoring.patch_sets({"a": painted, "b": enlarged}, plan)
    assert list(sets) == ["a", "b", "real"]
    assert {each.picture(0).shape for each in sets.values()} == {(32, 32, 3)}


def test_a_smooth_picture_is_its_large_one_reduced() -> None:
    model, other = hold(SmoothModel()), network(ANYRES)
    assert base_difference(model, model, count=2) < 0.02
    assert base_difference(hold(other), hold(other), count=1) > 0.02  # its scales are apart


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
    inside, borders = steps_at_borders(strip, 3)
    assert (inside, borders) == (pytest.approx(180 / 11), 90)


def test_correlation_is_numpys() -> None:
    points = np.random.default_rng(0).normal(size=(9, 2)) @ np.array([[1.0, 0.4], [0, 1]])
    assert correlation(points) == pytest.approx(np.corrcoef(points.T)[0, 1])
    assert correlation(np.ones((3, 2))) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BY_NAME if "fig" in name])
def test_figures_can_be_looked_at(shop: Shop, name: str) -> None:
    found = BY_NAME[name].run(shop)
    assert found.figures
    for figure in found.figures:
        if isinstance(figure.picture, str):
            assert figure.picture.startswith("<svg ")
        else:
            assert figure.picture.dtype == np.uint8
            assert figure.picture.shape[2] == 3
            assert 500 <= figure.picture.shape[1] <= 1400
            assert figure.picture.std() > 5


def test_a_chart_is_a_picture_file_by_itself() -> None:
    text = standalone(scatter_chart(np.array([[1.0, 2.0], [3.0, 5.0]]), x_name="x", y_name="y<"))
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    circles = [each for each in root if each.tag.endswith("circle")]
    assert [float(each.attrib["cx"]) for each in circles] == sorted(
        float(each.attrib["cx"]) for each in circles
    )
    assert float(circles[0].attrib["cy"]) > float(circles[1].attrib["cy"])
    assert root[0].attrib["fill"] == "white"


def test_sizes_are_counted_as_in_the_papers_first_table(shop: Shop) -> None:
    (table,) = BY_NAME["anyres-fig-4"].run(shop).tables
    assert table.rows["portraits"] == (8, 4, 32, 64, 108.0, 128)
    assert table.rows["earth"] == (0, 5, "none", 64, 130.0, 256)
