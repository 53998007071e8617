"""The papers' experiments: each runs, has the paper's shape, and trains what can be trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from benchmarks.costs import Cost, Drawing
from creps.errors import UsageError
from metric_stubs import stub
from reproduce import chance, models
from reproduce.anyres_paper import models as anyres_models
from reproduce.catalogue import EXPERIMENTS, experiments_named
from reproduce.cips_paper import models as cips_models
from reproduce.cips_paper.tables import ABLATION, FACTORS
from reproduce.creps_paper import costs, inside, sizes, tables, thick_lines
from reproduce.experiment import PAPERS, Experiment, Result
from reproduce.runner import Runner
from reproduce.specs import BUDGETS, Dataset, Model, Training
from reproduce_stubs import Pretender, config_of

BY_NAME = {each.name: each for each in EXPERIMENTS}
ROWS_ELSEWHERE = {"anyres-fig-4", "creps-fig-3"}
"""Whose rows are not the paper's: other sets, one row more."""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of figures, and costs, that take no time."""
    spec = stub(monkeypatch)
    monkeypatch.setattr(Runner, "extractor", spec)
    for module, names in {
        inside: {"TRANSFORMED": 96, "FINER": 3, "MAPPED": 64, "LEAST_SIDE": 32, "SAMPLES": 5},
        sizes: {"LARGE": 1024, "THUMBNAIL": 32, "COLUMNS": 20},
        thick_lines: {"SIDE": 64, "STEPS": 20},
    }.items():
        for name, value in names.items():
            monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(sizes, "_variety", lambda runner: sizes.Table(columns=(), rows={}))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Drawing]]:
    """What was drawn; memory and time grow with pixels, CIPS in one pass runs out at the most."""
    asked: list[Drawing] = []

    def cost(drawing: Drawing) -> Cost | None:
        asked.append(drawing)
        if drawing.family == "cips" and drawing.batch * drawing.size > 200 and not drawing.tiled:
            return None
        once = drawing.batch * drawing.size**2 / 1e6
        return Cost(1000, once, 1e-3 if drawing.tiled else once)

    monkeypatch.setattr(costs, "drawing_cost", cost)
    return asked


@pytest.mark.slow
@pytest.mark.usefixtures("small", "drawn")
@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda each: each.name)
def test_each_runs_and_has_the_papers_shape(experiment: Experiment, tmp_path: Path) -> None:
    result = experiment.run(Pretender(tmp_path))
    assert result.tables or result.figures
    assert len({figure.name for figure in result.figures}) == len(result.figures)
    for figure in result.figures:
        assert figure.caption.endswith(".")
        if isinstance(figure.picture, str):
            assert figure.picture.startswith("<svg")
            continue
        height, width, channels = figure.picture.shape
        assert figure.picture.dtype == np.uint8
        assert figure.picture.std() > 5
        assert (channels, 300 <= width <= 1500, height <= 1700) == (3, True, True), (height, width)
    if experiment.published is not None and experiment.name not in ROWS_ELSEWHERE:
        assert len(result.tables[0].rows) == len(experiment.published.rows)
    if experiment.compare is not None:
        for comparison in experiment.comparisons(result.tables):
            assert list(comparison.pairs())
            assert np.isfinite(list(comparison.found.values())).all()


def test_experiments_are_complete_and_named_apart() -> None:
    assert len(BY_NAME) == len(EXPERIMENTS) == 51
    for each in EXPERIMENTS:
        assert each.paper in PAPERS
        assert each.claim.endswith(".")
        assert each.minutes > 0
        assert each.published is not None or not each.place.startswith("Table"), each.name
        assert each.differences or each.name in ("cips-table-4", "small-repeats")


def every_model() -> Iterator[Model]:
    """All that are trained, at either budget."""
    modules: tuple[ModuleType, ...] = (models, cips_models, anyres_models)
    for module in modules:
        yield from (each for each in vars(module).values() if isinstance(each, Model))
    sets = [each for each in vars(cips_models).values() if isinstance(each, Dataset)]
    for data in (*sets, models.PORTRAITS, models.EARTH, models.CHURCHES):
        yield cips_models.cips_on(data)
        yield from (cips_models.patched(data, factor) for factor in FACTORS[1:])
    for variant in tables.VARIANTS.values():
        yield variant.model
    for budget in BUDGETS.values():
        for column in tables.quality_columns(Runner(Path(), budget)):
            yield from (each for each in column.models.values() if isinstance(each, Model))
    for model in chance.REPEATED.values():
        yield chance.seeded(model, 2)


def test_every_training_is_one_that_can_be_run() -> None:
    for model in every_model():
        for training in (model.small, model.paper):
            if isinstance(training, Training):
                config = config_of(training)
                assert config.resolution == config.discriminator.resolution, model.name
                assert config.steps > 0


def test_equal_names_are_equal_models() -> None:
    found: dict[str, Model] = {}
    for model in every_model():
        if isinstance(model.small, Training) and model.name != models.SHIPPED.name:
            assert found.setdefault(model.name, model) == model
    assert len(found) > 40


def test_the_ablations_differ_in_nothing_but_their_networks() -> None:
    configs = [config_of(m.small) for m in ABLATION.values() if isinstance(m.small, Training)]
    assert len({config.generator for config in configs}) == 6
    assert len({replace(c, generator=configs[0].generator) for c in configs}) == 1
    papers = [config_of(model.paper) for model in ABLATION.values()]
    assert {config.generator.level_widths for config in papers} == {(512,) * 7}
    assert {config.batch * 300_000 for config in papers} == {cips_models.PAPER_IMAGES}
    for variant in tables.VARIANTS.values():
        for training in (variant.model.small, variant.model.paper):
            assert isinstance(training, Training)
            generator = config_of(training).generator
            for name in ("composition", "thickness"):
                shown = getattr(variant.drawing.config, name, None)
                if not (name == "thickness" and getattr(generator, "composition", "") == "dense"):
                    assert getattr(generator, name, None) == shown


def test_second_phases_differ_from_the_default_in_what_they_say_alone() -> None:
    for model in anyres_models.VARIANTS.values():
        assert isinstance(model.small, Training)
        assert isinstance(models.ANYRES.small, Training)
        assert model.start is models.ANYRES_BASE
        assert model.small.preset == models.ANYRES.small.preset
        assert model.small.images == models.ANYRES.small.images
        assert model is models.ANYRES or model.small.settings or model.data is not models.MIXED


@pytest.mark.parametrize("name", ["creps-table-2", "cips-table-1"])
def test_the_papers_budget_has_all_of_its_columns_and_sets(tmp_path: Path, name: str) -> None:
    table = found(name, Pretender(tmp_path, paper=True)).tables[0]
    published = BY_NAME[name].published
    assert published is not None
    assert len(table.columns) == len(published.columns)
    assert "no such set" not in [cell for cells in table.rows.values() for cell in cells]


def found(name: str, runner: Runner) -> Result:
    """What an experiment finds."""
    return BY_NAME[name].run(runner)


def sentences(name: str, result: Result) -> list[str]:
    """Whether the paper's order holds."""
    return [each.sentence() for each in BY_NAME[name].comparisons(result.tables)]


def test_a_distance_is_measured_at_the_sizes_that_models_were_trained_at(tmp_path: Path) -> None:
    table = found("creps-table-2", Pretender(tmp_path)).tables[0]
    assert table.rows["StyleGAN2"][1] == "one size only"
    assert table.rows["CIPS"][3] == "not trained"
    assert table.columns[2] == "maps of the Earth, 16 and 32 and 64 px"
    sevens = found("creps-table-7", Pretender(tmp_path)).tables[0]
    assert sevens.columns == ("64 px", "128 px", "256 px")


def test_costs_have_the_papers_rows_for_passes_and_tiles(tmp_path: Path, drawn) -> None:
    result = found("creps-table-1", Pretender(tmp_path))
    passes, tiles = result.tables
    assert len(drawn) == 2 * 3 * 4
    assert passes.columns == tiles.columns == costs.PUBLISHED.columns
    assert passes.rows["512 px, batch 4"][1] == "OOM"
    assert tiles.rows["512 px, batch 4"][1] == 1e-3
    assert result.remarks[-1].startswith("OOM: more than 75%")
    assert "256 px, batch 1, memory: " in " ".join(sentences("creps-table-1", result))
    counts = {
        name: round(costs.parameters(*costs.network(name, 512)), 1) for name in costs.NETWORKS
    }
    assert counts == {"StyleGAN2": 30.3, "CIPS": 44.3, "CREPS": 30.3}


def test_the_ways_to_take_samples_share_their_weights(tmp_path: Path) -> None:
    runner = Pretender(tmp_path)
    families, ways = found("creps-table-3", runner).tables
    assert families.rows["CREPS"][0] == pytest.approx(40)
    assert [round(float(cells[0] or 0)) for cells in ways.rows.values()] == [37, 40, 50]
    ours = runner.ref(models.CREPS)
    corners = tables.with_corners(runner, ours).generator()
    assert corners.sampling == "corners"
    for name, weight in ours.generator().state_dict().items():
        assert corners.state_dict()[name].equal(weight)


def test_the_marks_of_an_ablation_are_those_of_its_networks(tmp_path: Path) -> None:
    published = BY_NAME["cips-table-3"].published
    assert published is not None
    fid = dict(zip(ABLATION, published.rows["FID"], strict=True))
    by_name = {model.name: float(fid[label] or 0) for label, model in ABLATION.items()}
    result = found("cips-table-3", Pretender(tmp_path, number=lambda name: by_name[name]))
    ours, theirs = ([list(c) for c in t.rows.values()] for t in (result.tables[0], published))
    assert ours == theirs
    assert sentences("cips-table-3", result)[0].endswith("the paper's order holds.")


def test_parameters_are_the_papers(tmp_path: Path) -> None:
    for label, (count, less) in found("cips-table-4", Pretender(tmp_path)).tables[0].rows.items():
        published = BY_NAME["cips-table-4"].published
        assert published is not None
        (paper,) = published.rows[label]
        assert count == pytest.approx(paper, rel=0.02)
        assert less == pytest.approx(float(count or 0) - float(paper or 0), abs=0.01)


def test_patches_are_compared_set_by_set(tmp_path: Path) -> None:
    worse = {"cips-main": 1.0, "cips-earth": 1.0}  # whole pictures are best, as in the paper
    runner = Pretender(tmp_path, number=lambda name: worse.get(name, float(name[-1] == "4") + 2))
    result = found("cips-table-5", runner)
    assert [cells[0] for cells in result.tables[0].rows.values()] == [16, 8, 4] * 2
    assert [line.partition(": ")[2] for line in sentences("cips-table-5", result)] == [
        "the paper's order holds."
    ] * 2


def test_sizes_are_counted_as_in_the_papers_first_table(tmp_path: Path) -> None:
    rows = found("anyres-fig-4", Pretender(tmp_path)).tables[0].rows
    assert rows["portraits"] == (8, 4, 32, 64, 108.0, 128)
    assert rows["earth"] == (0, 5, "none", 64, 130.0, 256)


def test_chance_is_the_range_of_seeds_or_the_distance_of_other_real_pictures(
    tmp_path: Path,
) -> None:
    runner = Pretender(tmp_path, number=lambda name: {"1": 3.0, "2": 17.0}.get(name[-1], 5.0))
    (table,) = found("small-repeats", runner).tables
    for paper, (*seeds, others, by_chance) in table.rows.items():
        assert others == pytest.approx(3)  # features of the second set are one further, in 3
        assert (seeds, by_chance) == (
            ([None] * 3, others) if paper.startswith("anyres ") else ([5, 3, 17], 14)
        )
    first, later = (chance.Later(Numbers(), start).picture(2)[0, 0, 0] for start in (0, 7))
    assert (first, later) == (2, 9)


class Numbers:
    """Pictures of their numbers."""

    size = (8, 8)

    def picture(self, index: int) -> np.ndarray:
        return np.full((8, 8, 3), index, np.uint8)


def test_experiments_are_found_by_name_paper_and_all() -> None:
    assert [each.name for each in experiments_named("creps-table-2")] == ["creps-table-2"]
    assert {each.paper for each in experiments_named("cips")} == {"cips"}
    assert experiments_named("all") == list(EXPERIMENTS)
    with pytest.raises(UsageError, match="creps-table-2"):
        experiments_named("creps-tabel-2")
