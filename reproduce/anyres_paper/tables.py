"""Any-resolution GAN, Tables 2 to 5 and 8 to 13."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from creps.metrics._models import ModelRef, draw
from creps.metrics._similarity import box_reduce
from reproduce.anyres_paper import models
from reproduce.anyres_paper.clusters import cluster_scores
from reproduce.anyres_paper.scoring import (
    REAL,
    SIZES,
    Rival,
    base_size,
    distances,
    far,
    painters,
    patch_name,
    patch_plan,
    patch_sets,
    seen,
    whole_sets,
)
from reproduce.experiment import (
    Cell,
    Experiment,
    Result,
    by_column,
    experiment,
    one_table,
    published,
)
from reproduce.models import ANYRES, ANYRES_BASE, SCALEPARTY
from reproduce.runner import Runner
from reproduce.specs import Model

MISSING = "not at hand"


@experiment("anyres-table-2", compare=by_column)
def table_2(runner: Runner) -> Result:
    """Measure both at three sizes and on patches."""
    stand_in = "ScaleParty-like"
    table = distances(runner, painters(runner, {stand_in: SCALEPARTY, "Ours": ANYRES}))
    rows = {
        stand_in: table.rows[stand_in],
        "Anycost": [MISSING] * len(table.columns),
        "Ours": table.rows["Ours"],
    }
    return Result(tables=(replace(table, rows=rows),))


@experiment("anyres-table-3", compare=by_column)
def table_3(runner: Runner) -> Result:
    """Compare patches of the model with patches of the first phase's pictures, enlarged."""
    base, plan = runner.ref(ANYRES_BASE), patch_plan(runner)
    rivals = {
        "bicubic": Rival(model=base, how="bicubic"),
        "Lanczos": Rival(model=base, how="lanczos"),
        "Ours": Rival(model=runner.ref(ANYRES)),
    }
    found = seen(runner, patch_sets(rivals, plan))
    rows = {label: (far(found, label),) for label in rivals}
    return one_table((patch_name(runner, plan),), rows)


ORACLES = {"SGAN2 Oracle": models.ORACLE_2, "SGAN3 Oracle": models.ORACLE_3}


def with_oracles(runner: Runner) -> dict[str, Rival]:
    """The oracles paint the largest size, which is reduced for others, with a Lanczos filter."""
    rivals = {
        label: Rival(model=runner.ref(model), how="lanczos") for label, model in ORACLES.items()
    }
    return rivals | {"Patch (Ours)": Rival(model=runner.ref(ANYRES))}


@experiment("anyres-table-8", compare=by_column)
def table_8(runner: Runner) -> Result:
    """Measure all at every size and on patches."""
    plans = [patch_plan(runner), patch_plan(runner, smallest=SIZES[-1])]
    return Result(tables=(distances(runner, with_oracles(runner), plans),))


@experiment("anyres-table-9", compare=by_column)
def table_9(runner: Runner) -> Result:
    """Score enlarged pictures of the first phase, and those of the second."""
    rivals = {
        "Upsample": Rival(model=runner.ref(ANYRES_BASE), how="lanczos"),
        "Ours": Rival(model=runner.ref(ANYRES)),
    }
    size, largest = SIZES[-1] * base_size(runner), patch_plan(runner, smallest=SIZES[-1])
    wholes = seen(runner, whole_sets(runner, rivals, size))
    patches = seen(runner, patch_sets(rivals, patch_plan(runner)))
    large = seen(runner, patch_sets(rivals, largest))
    missing = [MISSING] * 5
    rows: dict[str, list[Cell]] = {
        "Upsample": [], "Real-ESRGAN": [*missing], "GFP-GAN": [*missing], "Ours": [],
    }  # fmt: skip
    for label in rivals:
        whole, patch = (
            cluster_scores(
                columns[label]["features"],
                columns[REAL]["features"],
                generator=np.random.default_rng(0),
            )
            for columns in (wholes, patches)
        )
        rows[label] = [
            whole.precision,
            patch.precision,
            whole.recall,
            patch.recall,
            far(large, label),
        ]
    names = (
        f"precision@{size}",
        "precision, patches",
        f"recall@{size}",
        "recall, patches",
        f"patch_{runner.fd}@{size}",
    )
    return one_table(names, rows)


def second_phases(name: str, phases: tuple[Model, ...], labels: tuple[str, ...] = ()) -> Experiment:
    """A table of second phases, trained and measured alike.

    Args:
        name: of the experiment.
        phases: the models, in the order of the paper's rows.
        labels: of the rows at the small budget, where they say something else.
    """

    @experiment(name, compare=by_column)
    def run(runner: Runner) -> Result:
        rows = tuple(published(name).rows)
        named = dict(zip(rows if runner.paper else labels or rows, phases, strict=True))
        return Result(tables=(distances(runner, painters(runner, named)),))

    return run


TABLE_4 = second_phases(
    "anyres-table-4",
    (models.DOWN, models.UP, models.SUBSET, ANYRES),
    ("Resize down to 64", "Resize up to 128", "Train 128 subset", "Multisize training (*)"),
)
TABLE_5 = second_phases(
    "anyres-table-5",
    (models.FEW, models.HALF, ANYRES, models.ALL),
    ("60 (1.8%)", "300 (8.8%)", "600 (17.6%) (*)", "4000 (100%)"),
)
TABLE_10 = second_phases(
    "anyres-table-10", (models.FORWARD, models.INVERSE, models.UNTAUGHT, ANYRES)
)
TABLE_12 = second_phases(
    "anyres-table-12",
    (models.NARROW, ANYRES, models.LARGE),
    ("(1, 2) p", "(1, 4) p (*)", "(2, 4) p"),
)
TABLE_13 = second_phases(
    "anyres-table-13", (ANYRES, models.NO_BASE, models.TWO_JUDGES, models.TOLD_JUDGE)
)


@experiment("anyres-table-11", compare=by_column)
def table_11(runner: Runner) -> Result:
    """Weights of the teacher, with the difference to the first phase's picture."""
    labels = published("anyres-table-11").rows
    phases = (models.UNTAUGHT, models.LIGHT, ANYRES, models.HEAVY)
    rivals = painters(runner, dict(zip(labels, phases, strict=True)))
    base, table = runner.ref(ANYRES_BASE), distances(runner, rivals)
    rows = {
        label: (
            *cells,
            base_difference(rivals[label].model, base, count=runner.budget.probes),
        )
        for label, cells in table.rows.items()
    }
    return one_table((*table.columns, "L1"), rows)


def base_difference(model: ModelRef, base: ModelRef, *, count: int) -> float:
    """Mean absolute difference of large pictures, reduced, to the first phase's, in [-1, 1].

    Args:
        model: of the second phase; pictures of four times the size are reduced.
        base: of the first.
        count: pictures.
    """
    side, times = base.size[0], 4
    total = 0.0
    for seed in range(count):
        large = draw(model, seed, size=(times * side, times * side)).numpy()
        small = draw(base, seed, size=(side, side)).numpy()
        reduced = box_reduce(large.transpose(1, 2, 0), times)
        total += float(np.abs(reduced - small.transpose(1, 2, 0)).mean())
    return total / count
