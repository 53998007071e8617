"""The experiments of the CIPS paper: their recipes, their tables, and what figures show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace as with_fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from creps.config import replace
from creps.coordinates import Canvas
from creps.metrics._models import ModelRef, hold
from creps.networks.base import Generator, build_generator
from creps.training._batches import draw_region
from creps.training._config import TrainConfig
from creps.training._presets import preset
from metric_stubs import stub
from reproduce.budgets import BUDGETS
from reproduce.cips_paper import EXPERIMENTS
from reproduce.cips_paper import models as ingredients
from reproduce.cips_paper.fig_4_encodings import encodings
from reproduce.cips_paper.fig_6_zeroed import zeroed
from reproduce.cips_paper.fig_11_panoramas import INSIDE, OUTSIDE, panorama_canvas
from reproduce.cips_paper.fig_19_mixing import layer_ranges
from reproduce.cips_paper.table_3_ablation import MODELS as ABLATION
from reproduce.cips_paper.table_5_patches import FACTORS
from reproduce.experiment import Experiment, Findings
from reproduce.ingredients import Dataset, Model, Training
from reproduce.standard_models import CIPS, PORTRAITS, SHIPPED, STYLEGAN2
from reproduce.workshop import Workshop

BY_NAME = {each.name: each for each in EXPERIMENTS}
CONFIG = {
    "resolution": 16, "z_dim": 6, "w_dim": 5, "mapping_layers": 2, "features": 6, "widths": (7, 6),
    "bandwidth": 2.0,
}  # fmt: skip
FLAT = {"cips-panorama": {"circumference": 3.0}}
"""What differs from the tiny network, by model."""
SMALL = with_fields(BUDGETS["trial"], name="small", pictures=6)


class Shelf(Workshop):
    """A workshop whose models are tiny and untrained, and whose numbers are made up."""

    def __init__(
        self,
        folder: Path,
        number: Callable[[str], float] = lambda name: 1.0,
        *,
        paper: bool = False,
    ) -> None:
        budget = BUDGETS["paper"] if paper else SMALL
        super().__init__(folder, with_fields(budget, pictures=6), workers=0, say=lambda line: None)
        self.number, self.asked = number, dict[str, Model]()

    def ref(self, model: Model) -> ModelRef:
        self.asked[model.name] = model
        return hold(tiny(model))

    def data(self, dataset: Dataset) -> Path:
        path = self.folder / dataset.name
        if not path.exists():
            path.mkdir(parents=True)
            rng = np.random.default_rng(3)
            for k in range(8):
                pixels = rng.integers(0, 256, (72, 64, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(path / f"{k}.png")
        return path

    def measured(self, model: Model | str, data: Any, protocol: Any) -> dict[str, float]:
        assert isinstance(model, Model)
        value = self.number(model.name)
        names = ("fd_means", "precision_means", "recall_means", "novelty_means", "copies_means")
        return {f"{name}@16": value for name in names}


def tiny(model: Model) -> Generator:
    """An untrained network of a model's kind; other models of CIPS get other weights."""
    changes: Mapping[str, Any] = FLAT.get(model.name, {})
    if isinstance(model.small, Training) and model.small.preset == "cips-smoke":
        config = resolved(model.small).generator
        names = ("fourier", "embedding", "connections", "activation")
        changes = {name: getattr(config, name) for name in names}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(len(model.name))
        return build_generator("cips", CONFIG | changes)


def resolved(training: Training) -> TrainConfig:
    """The settings of a run."""
    return replace(preset(training.preset), training.settings)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Shelf]:
    spec = stub(monkeypatch)
    monkeypatch.setattr(Workshop, "extractor", lambda self: spec)
    return lambda *args, **given: Shelf(tmp_path, *args, **given)


def every_model() -> list[Model]:
    """All that are trained for these experiments, at either budget."""
    found = [each for each in vars(ingredients).values() if isinstance(each, Model)]
    sets = [each for each in vars(ingredients).values() if isinstance(each, Dataset)]
    for data in sets:
        found += [ingredients.cips_on(data)]
        found += [ingredients.patched(data, factor) for factor in FACTORS[1:]]
        found += [
            ingredients.rival(data, Workshop(Path(), BUDGETS[name])) for name in ("small", "paper")
        ]
    ours = {model for model in found if model not in (CIPS, SHIPPED, STYLEGAN2)}
    return sorted(ours, key=lambda model: model.name)


@pytest.mark.parametrize("model", every_model(), ids=lambda model: model.name)
def test_every_recipe_is_one_that_can_be_trained(model: Model) -> None:
    assert isinstance(model.small, Training)
    small, paper = resolved(model.small), resolved(model.paper)
    assert small.generator.resolution == 32
    assert small.data.detail * small.resolution <= 128
    assert paper.generator.resolution == 256
    assert (model.small.images or 0) <= 8_000


def test_equal_names_are_equal_models() -> None:
    models = [*every_model(), CIPS, STYLEGAN2, SHIPPED]
    assert len({model.name for model in models}) == len(models)


def test_the_ablation_differs_in_nothing_but_the_networks_parts() -> None:
    configs = [resolved(model.small) for model in ABLATION.values()]
    assert len({config.generator for config in configs}) == 6
    assert len({with_fields(c, generator=configs[0].generator) for c in configs}) == 1
    papers = [resolved(model.paper) for model in ABLATION.values()]
    assert {config.generator.level_widths for config in papers} == {(512,) * 7}
    assert {config.batch * 300_000 for config in papers} == {ingredients.PAPER_IMAGES}


@pytest.mark.parametrize("factor", FACTORS[1:])
@pytest.mark.parametrize("budget", ["small", "paper"])
def test_patches_have_strides_from_one_to_all_of_the_picture(factor: int, budget: str) -> None:
    training = getattr(ingredients.patched(PORTRAITS, factor), budget)
    config = resolved(training)
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


def findings(experiment: str, shop: Workshop) -> Findings:
    """What an experiment finds; its pictures are fit for a page."""
    found = BY_NAME[experiment].run(shop)
    assert len({figure.name for figure in found.figures}) == len(found.figures)
    for figure in found.figures:
        if isinstance(figure.picture, str):
            assert figure.picture.startswith("<svg")
            continue
        height, width, channels = figure.picture.shape
        assert figure.picture.dtype == np.uint8
        assert channels == 3
        assert 500 <= width <= 1400
        assert height <= 1600
    for table in found.tables:
        assert all(cell is not None for cells in table.rows.values() for cell in cells)
    return found


def test_table_1_has_all_of_the_papers_sets_and_says_which_are_missing(shelf: Any) -> None:
    found = findings("cips-table-1", shelf(lambda name: 2.0 if "cips" in name else 1.0))
    rows = found.tables[0].rows
    assert [label.partition(":")[0] for label in rows] == list(published("cips-table-1").rows)
    assert [set(cells) for cells in rows.values()].count({"no such set"}) == 3
    assert found.remarks[0].endswith("StyleGAN2 is closer to the real pictures, as in the paper.")
    assert found.remarks[1].endswith(
        "StyleGAN2 is closer to the real pictures, unlike in the paper."
    )


def test_table_1_at_the_papers_budget_has_every_set(shelf: Any) -> None:
    shop = shelf(paper=True)
    found = findings("cips-table-1", shop)
    assert list(found.tables[0].rows) == list(published("cips-table-1").rows)
    assert len(shop.asked) == 10


def test_table_2_compares_precision_and_recall(shelf: Any) -> None:
    found = findings("cips-table-2", shelf(lambda name: 0.7 if name == "cips" else 0.6))
    assert found.tables[0].rows == {"StyleGANv2": (0.6, 0.6), "CIPS": (0.7, 0.7)}
    held, swapped = found.remarks
    assert held.startswith("Precision: the paper's order holds")
    assert swapped.startswith("Recall: ")
    assert "StyleGANv2 and CIPS" in swapped


def test_table_3_has_the_papers_marks_because_its_networks_have_those_parts(shelf: Any) -> None:
    fid = dict(zip(ABLATION, published("cips-table-3").rows["FID"], strict=True))
    by_name = {model.name: float(fid[label] or 0) for label, model in ABLATION.items()}
    found = findings("cips-table-3", shelf(lambda name: by_name[name]))
    assert list(found.tables[0].rows.values()) == list(published("cips-table-3").rows.values())
    best, order = found.remarks
    assert best == "The lowest distance here: Main (6.3); in the paper: Main."
    assert order.startswith("Distance: the paper's order holds")
    other = BY_NAME["cips-table-3"].run(shelf(lambda name: -by_name[name]))
    assert other.remarks[0].startswith("The lowest distance here: “No embed (NE)”")
    assert "holds" not in other.remarks[1]


@pytest.mark.slow
def test_table_4_counts_the_papers_networks(shelf: Any) -> None:
    rows = findings("cips-table-4", shelf()).tables[0].rows
    assert list(rows) == list(published("cips-table-4").rows)
    for label, (count, less) in rows.items():
        (paper,) = published("cips-table-4").rows[label]
        assert count == pytest.approx(paper, rel=0.02)
        assert less == pytest.approx(count - paper, abs=0.01)


def test_table_5_has_a_row_for_each_patch_of_each_set(shelf: Any) -> None:
    found = findings("cips-table-5", shelf(lambda name: 4.0 if name.endswith("2") else 3.0))
    assert [cells[0] for cells in found.tables[0].rows.values()] == [16, 8, 4] * 2
    assert len(found.tables[0].rows) == len(published("cips-table-5").rows)
    assert [remark.partition(":")[0] for remark in found.remarks] == [
        "Distance, drawn portraits",
        "Distance, maps of the Earth",
    ]
    assert not any("holds in all" in remark for remark in found.remarks)
    worse = {"cips-main": 1.0, "cips-earth": 1.0}  # whole pictures are best, as in the paper
    found = findings(
        "cips-table-5", shelf(lambda name: worse.get(name, float(name[-1] == "4") + 2))
    )
    assert all("holds in all" in remark for remark in found.remarks)


def published(name: str) -> Any:
    """The paper's numbers."""
    table = BY_NAME[name].published
    assert table is not None
    return table


def test_the_papers_numbers_have_no_gap() -> None:
    tables = [each for each in EXPERIMENTS if each.place.startswith("Table")]
    assert [each.place for each in tables] == [f"Table {k}" for k in (1, 2, 3, 4, 5)]
    for each in tables:
        assert all(None not in cells for cells in published(each.name).rows.values())


def test_a_zeroed_encoding_says_nothing_and_the_original_stays(shelf: Any) -> None:
    network: Any = tiny(ingredients.BASE)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    grid = Canvas(6, 9).grid()
    for part in ("embedding", "fourier"):
        changed: Any = zeroed(network, (part,))
        assert not getattr(changed, part)(grid).any()
    assert zeroed(network, ()).state_dict().keys() == before.keys()
    assert all(value.equal(before[name]) for name, value in network.state_dict().items())


def test_encodings_are_those_of_the_models_own_pixels(shelf: Any) -> None:
    network: Any = tiny(ingredients.BASE)
    found = encodings(hold(network))
    assert [maps.shape for maps in found.values()] == [(16, 16, 6)] * 2
    np.testing.assert_allclose(
        found["coordinate embeddings"], network.embedding.vectors.detach(), rtol=1e-6
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [f"cips-fig-{k}" for k in (3, 5, 6, 9, 10, 12, 14, 15, 16, 17, 19)],
)
def test_figures_are_made(name: str, shelf: Any) -> None:
    found = findings(name, shelf())
    assert found.figures
    assert all(figure.caption.endswith(".") for figure in found.figures)


def test_figure_4_finds_noise_finer_than_sines(shelf: Any) -> None:
    found = findings("cips-fig-4", shelf())  # embeddings start as noise
    rows = found.tables[0].rows
    assert rows["coordinate embeddings"][0] == pytest.approx(0.38, abs=0.03)
    assert found.remarks == (
        "The finer encoding: coordinate embeddings (white noise has 0.38 cycles a pixel).",
    )


def test_figure_7_measures_spectra_against_real_ones(shelf: Any) -> None:
    found = findings("cips-fig-7", shelf())
    assert list(found.tables[0].rows) == ["StyleGANv2", "CIPS-base", "CIPS-NE"]
    numbers = {label: float(cells[0] or 0) for label, cells in found.tables[0].rows.items()}
    closest = min(numbers, key=lambda label: numbers[label])
    assert found.remarks[0].startswith(f"Closest to the spectrum of real pictures: {closest};")
    assert [figure.name for figure in found.figures] == ["planes", "rings"]


def test_foveated_pictures_come_closer_with_more_pixels(shelf: Any) -> None:
    rows = findings("cips-fig-8", shelf()).tables[0].rows
    for cells in rows.values():
        assert list(cells) == sorted(cells)


def test_panoramas_close_and_the_blend_has_both(shelf: Any) -> None:
    shop = shelf()
    found = findings("cips-fig-11", shop)
    seams = [float(remark.split("differ by ")[1].split()[0]) for remark in found.remarks]
    assert len(seams) == 3
    assert max(seams) < 3
    canvas = panorama_canvas(hold(tiny(ingredients.PANORAMA)))
    assert canvas.width == 3 * canvas.height
    assert INSIDE != OUTSIDE


def test_the_neighbours_of_a_model_that_copies_are_copies(shelf: Any) -> None:
    copying = findings("cips-fig-18", shelf(lambda name: 0.4))
    assert copying.remarks[0].endswith("some are nearly copies.")
    assert findings("cips-fig-18", shelf(lambda name: 0.0)).remarks[0].endswith("copies are rare.")


@pytest.mark.parametrize("count", [6, 10, 16])
def test_mixed_layers_are_all_layers_each_once(count: int) -> None:
    found: list[int] = []
    for text in layer_ranges(count).values():
        first, last = map(int, text.split("-"))
        found += range(first, last + 1)
    assert sorted(found) == list(range(count))
    assert layer_ranges(16) == {"fine": "10-15", "middle": "4-9", "coarse": "0-3"}


def test_experiments_say_what_differs_and_how_long_they_take() -> None:
    for each in EXPERIMENTS:
        assert isinstance(each, Experiment)
        assert each.minutes > 0
        assert each.claim.endswith(".")
        assert each.differences or each.name == "cips-table-4"
