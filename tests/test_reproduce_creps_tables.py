"""The CREPS paper's tables: their shape, and remarks that follow from the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.costs import Cost, Drawing
from creps.config import replace
from creps.metrics._cache import Columns, Work
from creps.metrics._jobs import Consistency
from creps.metrics._models import ModelRef, hold
from creps.metrics._protocol import Protocol
from creps.networks.base import build_generator
from creps.networks.creps import CrepsConfig
from creps.training._presets import PRESETS
from reproduce import costs as experiment_costs
from reproduce.budgets import BUDGETS
from reproduce.creps_paper import table_1_memory_and_time as table_1
from reproduce.creps_paper import table_2_quality as table_2
from reproduce.creps_paper import table_3_scale_consistency as table_3
from reproduce.creps_paper import table_4_ablation as table_4
from reproduce.creps_paper import table_7_any_scale as table_7
from reproduce.experiment import Table
from reproduce.ingredients import Dataset, Model, Training
from reproduce.orders import numbers, order_remark, swapped
from reproduce.workshop import Workshop

TINY = CrepsConfig(
    resolution=16, z_dim=8, w_dim=8, mapping_layers=1, channel_max=8, thickness=2, line_channels=4
)
EXPERIMENTS = (
    table_1.TABLE_1,
    table_2.TABLE_2,
    table_3.TABLE_3,
    table_4.TABLE_4,
    table_7.TABLE_7,
)


class Pretended(Workshop):
    """A workshop whose models are one tiny network, and whose numbers are made up."""

    def __init__(self, folder: Path, budget: str = "trial") -> None:
        super().__init__(folder, BUDGETS[budget], say=lambda line: None)
        self.asked: list[tuple[str, tuple[int, int]]] = []
        with torch.random.fork_rng():
            torch.manual_seed(0)
            generator = build_generator("creps", TINY)
        generator.record = {"training": {"resolution": 8}}
        self._tiny = hold(generator)

    def ref(self, model: Model) -> ModelRef:
        return self._tiny

    def measured(
        self, model: Model | str, data: Dataset | str | None, protocol: Protocol
    ) -> dict[str, float]:
        assert isinstance(model, Model)
        assert protocol.sizes
        found = {}
        for size in protocol.sizes:
            self.asked.append((model.name, size))
            found[f"fd_{self.budget.extractor}@{size[0]}"] = float(len(self.asked))
        return found

    def columns(self, works: Mapping[str, Work], counts: Mapping[str, int]) -> dict[str, Columns]:
        return {name: self._agreement(work, counts[name]) for name, work in works.items()}

    def _agreement(self, work: Work, count: int) -> Columns:
        assert isinstance(work, Consistency)
        base = 40.0 if work.supersample == 1 else 50.0
        if work.model.generator().sampling == "corners":
            base -= 3
        ramp = np.linspace(-1, 1, count)
        return {
            "psnr": base + ramp,
            "ssim": base / 50 + 0 * ramp,
            "perceptual": ramp**2,
            "cost": np.full(count, 1.0 if work.supersample == 1 else 1.4),
        }


@pytest.fixture
def shop(tmp_path: Path) -> Pretended:
    return Pretended(tmp_path)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Drawing]]:
    """What was drawn; memory and time grow with pixels, CIPS in one pass runs out at the most."""
    asked: list[Drawing] = []

    def cost(drawing: Drawing) -> Cost | None:
        asked.append(drawing)
        if drawing.family == "cips" and drawing.batch * drawing.size > 200 and not drawing.tiled:
            return None
        once = (
            drawing.batch
            * drawing.size**2
            * {"stylegan2": 1, "creps": 2, "cips": 4}[drawing.family]
        )
        return Cost(1000, once / 1e6, (16**2 if drawing.tiled else once) / 1e6)

    monkeypatch.setattr(experiment_costs, "drawing_cost", cost)
    return asked


def trainings() -> Iterator[Training]:
    """Every training that a table asks for, of either budget."""
    models = [*table_3.MODELS.values(), *table_7.MODELS.values()]
    models += [variant.model for variant in table_4.VARIANTS.values()]
    for budget in ("small", "paper"):
        shop = Workshop(Path("nowhere"), BUDGETS[budget])
        models += [m for column in table_2.columns(shop) for m in column.models.values()]
    for model in models:
        yield from (each for each in (model.small, model.paper) if isinstance(each, Training))


def test_every_training_is_a_recipe_that_can_be_resolved() -> None:
    for training in trainings():
        replace(PRESETS[training.preset], training.settings)


def test_table_1_has_the_papers_rows_for_passes_and_tiles(
    shop: Pretended, drawn: list[Drawing]
) -> None:
    found = table_1.run(shop)
    for table in found.tables:
        assert table.columns == table_1.PUBLISHED.columns
        assert list(table.rows) == list(table_1.PUBLISHED.rows)
    assert len(drawn) == 2 * 3 * 4
    assert found.tables[0].rows["512 px, batch 4"][1] == "OOM"
    assert found.tables[1].rows["512 px, batch 4"][1] != "OOM"
    assert any("256 px, batch 1, memory: " in remark for remark in found.remarks)
    assert found.remarks[-1].startswith("OOM: more than 75%")
    assert found.remarks[-2] == (
        "CREPS in tiles, 512 px, batch 4: 128.0 times less memory and 1.0 times less time than "
        "in one pass."
    )


def test_networks_of_table_1_are_drawn_at_sizes_they_were_made_for() -> None:
    for size in table_1.SIZES:
        assert table_1.network("StyleGAN2", size)[1].resolution == size
        assert table_1.network("CREPS", size)[1].resolution == size
    counts = {
        name: round(experiment_costs.parameters(*table_1.network(name, 512)) / 1e6, 1)
        for name in table_1.NETWORKS
    }
    assert counts == {"StyleGAN2": 30.3, "CIPS": 44.3, "CREPS": 30.3}


def test_table_2_asks_for_the_sizes_that_models_were_trained_at(shop: Pretended) -> None:
    [table] = table_2.run(shop).tables
    assert list(table.rows) == list(table_2.PUBLISHED.rows)
    assert ("creps", (8, 8)) in shop.asked
    assert ("creps", (16, 16)) in shop.asked
    assert table.rows["StyleGAN2"][1] == "one size only"
    assert table.rows["CIPS"][3] == "not trained"
    assert table.columns[1] == "portraits, twice the size, 16 px"


def test_table_2_has_every_column_of_the_paper_at_its_budget(tmp_path: Path) -> None:
    columns = table_2.columns(Pretended(tmp_path, "paper"))
    assert tuple(column.published for column in columns) == table_2.PUBLISHED.columns


def test_table_3_compares_families_and_ways_to_take_samples(shop: Pretended) -> None:
    found = table_3.run(shop)
    families, ways = found.tables
    assert list(families.rows) == list(table_3.PUBLISHED.rows)
    assert families.rows["CREPS"][0] == pytest.approx(40)
    assert ways.rows[table_3.CORNERS][0] == pytest.approx(37)
    assert ways.rows[table_3.AREAS][3] == pytest.approx(1.4)
    assert any("+3.0 dB with the same weights" in remark for remark in found.remarks)
    assert any("+10.0 dB for 1.4 times" in r and r.endswith(" reached.") for r in found.remarks)


def test_table_3_takes_corners_from_the_same_weights(shop: Pretended) -> None:
    ours = shop.ref(table_3.CREPS)
    corners = table_3.with_corners(shop, ours)
    assert corners.generator().sampling == "corners"
    assert corners.trained == ours.trained
    for name, weight in ours.generator().state_dict().items():
        assert torch.equal(corners.generator().state_dict()[name], weight)


def test_table_4_has_a_row_for_each_variant(shop: Pretended, drawn: list[Drawing]) -> None:
    [table] = table_4.run(shop).tables
    assert list(table.rows) == list(table_4.PUBLISHED.rows)
    assert [cells[0] for cells in table.rows.values()] == [1, 2, 3, 4, 5, 6, 7]
    compositions = [getattr(d.config, "composition", d.family) for d in drawn]
    assert compositions == ["dense", "once", "once", "sum", "layerwise", "layerwise", "cips"]
    assert [getattr(d.config, "thickness", 0) for d in drawn][1:-1] == [1, 8, 8, 4, 8]


def test_table_4_trains_what_it_draws() -> None:
    for variant in table_4.VARIANTS.values():
        for training in (variant.model.small, variant.model.paper):
            assert isinstance(training, Training)
            generator = replace(PRESETS[training.preset], training.settings).generator
            for name in ("composition", "thickness"):
                drawn = getattr(variant.drawing.config, name, None)
                if not (name == "thickness" and getattr(generator, "composition", "") == "dense"):
                    assert getattr(generator, name, None) == drawn


def test_table_7_measures_all_models_at_the_same_sizes(shop: Pretended) -> None:
    found = table_7.run(shop)
    [table] = found.tables
    assert table.columns == ("8 px", "16 px", "32 px")
    assert list(table.rows) == list(table_7.PUBLISHED.rows)
    # 1, 2, 3; 4, 5, 6; 7, 8, 9 in the order measured.
    assert "ScaleParty 3.00, AnyresGAN 1.50, CREPS 1.29; least for CREPS" in found.remarks[-1]


def test_an_order_is_compared_pair_by_pair() -> None:
    theirs = {"a": 1.0, "b": 2.0, "c": 3.0, "d": "OOM"}
    assert order_remark("x", theirs, {"a": 4, "b": 5, "c": 6}).endswith("holds in all 3 pairs.")
    assert "holds but for b and c" in order_remark("x", theirs, {"a": 4, "b": 6, "c": 5})
    assert "3 of 3 pairs" in order_remark("x", theirs, {"a": 6, "b": 5, "c": 4})
    assert "here c < b < a" in order_remark("x", theirs, {"a": 6, "b": 5, "c": 4})
    assert "nothing to compare" in order_remark("x", theirs, {"a": "OOM", "b": 1})
    assert swapped({"a": 1, "b": 1}, {"a": 1, "b": 2}) == ([], 0)
    assert numbers({"a": None, "b": 2}) == {"b": 2.0}


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda each: each.name)
def test_an_experiment_says_what_it_claims_and_what_differs(experiment: object) -> None:
    from reproduce.catalogue import experiments_named

    name = experiment.name  # type: ignore[attr-defined]
    [found] = experiments_named(name)
    assert found is experiment
    assert found.claim.endswith(".")
    assert found.differences
    assert isinstance(found.published, Table)
