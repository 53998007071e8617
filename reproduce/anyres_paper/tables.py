"""Any-resolution GAN, Tables 2 to 5 and 8 to 13."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from creps.metrics._consistency import box_reduce
from creps.metrics._models import ModelRef, draw
from reproduce.anyres_paper import models
from reproduce.anyres_paper.clusters import cluster_scores
from reproduce.anyres_paper.scoring import (
    REAL,
    SIZES,
    SMALL,
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
from reproduce.experiment import Cell, Experiment, Result, Table, by_column
from reproduce.models import ANYRES, ANYRES_BASE, SCALEPARTY
from reproduce.runner import Runner
from reproduce.specs import Model

COLUMNS = ("FID 256", "FID 512", "FID 1024", "pFID random")
MISSING = "not at hand"


@Experiment(
    paper="anyres",
    place="Table 2",
    title="training and drawing at several sizes",
    claim="Training on pictures of any size gives better pictures than reducing them for the "
    "discriminator, or than layers of their own for powers of two.",
    minutes=25,
    differences=(
        *SMALL,
        "in place of MS-PE a network in the manner of ScaleParty, which is five times as large, "
        "and is shown 8,000 pictures at four sizes, of all portraits at 128 px",
        "no Anycost-GAN",
    ),
    published=Table(
        columns=COLUMNS,
        rows={
            "MS-PE": (6.75, 30.41, None, None),
            "Anycost": (4.24, 5.94, 6.47, 18.39),
            "Ours": (3.34, 3.71, 4.06, 2.96),
        },
    ),
    compare=by_column,
)
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


@Experiment(
    paper="anyres",
    place="Table 3",
    title="painting large pictures against enlarging small ones (pFID)",
    claim="Super-resolution of a small picture does not find the details that a model of any "
    "resolution paints.",
    minutes=17,
    differences=(
        *SMALL,
        "bicubic and Lanczos enlargement instead of the networks LIIF and Real-ESRGAN",
        "faces alone",
    ),
    published=Table(
        columns=("FFHQ6K", "Church", "Bird", "Mountain"),
        rows={
            "LIIF": (22.93, 83.88, 30.19, 23.10),
            "Real-ESRGAN": (16.92, 23.04, 16.10, 19.05),
            "Ours": (2.96, 9.89, 6.52, 7.99),
        },
    ),
    compare=by_column,
)
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
    return Result(tables=(Table(columns=(patch_name(runner, plan),), rows=rows),))


ORACLES = {"SGAN2 Oracle": models.ORACLE_2, "SGAN3 Oracle": models.ORACLE_3}
ORACLES_DIFFER = (
    *SMALL,
    "the oracles have 0.17 (StyleGAN2) and 0.07 (StyleGAN3) million parameters at 128 px, and were "
    "shown 8,000 pictures",
)


def with_oracles(runner: Runner) -> dict[str, Rival]:
    """The oracles paint the largest size, which is reduced for others, with a Lanczos filter."""
    rivals = {
        label: Rival(model=runner.ref(model), how="lanczos") for label, model in ORACLES.items()
    }
    return rivals | {"Patch (Ours)": Rival(model=runner.ref(ANYRES))}


@Experiment(
    paper="anyres",
    place="Table 8",
    title="patches of few large pictures against oracles that have all",
    claim="Generators trained on all pictures at the largest size are better, but not by much.",
    minutes=48,
    differences=ORACLES_DIFFER,
    published=Table(
        columns=(*COLUMNS, "pFID 1024"),
        rows={
            "SGAN2 Oracle": (3.05, 2.81, 2.69, 2.26, 4.83),
            "SGAN3 Oracle": (3.54, 3.23, 3.06, 2.44, 4.29),
            "Patch (Ours)": (3.34, 3.71, 4.06, 2.96, 8.01),
        },
    ),
    compare=by_column,
)
def table_8(runner: Runner) -> Result:
    """Measure all at every size and on patches."""
    plans = [patch_plan(runner), patch_plan(runner, smallest=SIZES[-1])]
    return Result(tables=(distances(runner, with_oracles(runner), plans),))


@Experiment(
    paper="anyres",
    place="Table 9",
    title="precision and recall, of whole pictures and of patches",
    claim="Enlarged pictures are as precise, but cover less of what real ones show.",
    minutes=18,
    differences=(
        *SMALL,
        "precision and recall (Sajjadi et al.) of as many pictures and the same features",
        "no Real-ESRGAN and GFP-GAN",
    ),
    published=Table(
        columns=("Precision 1024", "Precision patch", "Recall 1024", "Recall patch", "pFID 1024"),
        rows={
            "Upsample": (0.68, 0.77, 0.37, 0.20, 31.70),
            "Real-ESRGAN": (0.40, 0.54, 0.51, 0.47, 20.04),
            "GFP-GAN": (0.48, 0.62, 0.34, 0.32, 20.58),
            "Ours": (0.69, 0.68, 0.47, 0.55, 8.01),
        },
    ),
    compare=by_column,
)
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
    return Result(tables=(Table(columns=names, rows=rows),))


def _second_phases(
    place: str,
    title: str,
    rows: Mapping[str, tuple[float, ...]],
    phases: tuple[Model, ...],
    *,
    claim: str,
    differences: tuple[str, ...] = (),
    labels: tuple[str, ...] = (),
) -> Experiment:
    """A table of second phases, trained and measured alike.

    Args:
        place, title, claim: see `Experiment`.
        rows: the paper's, by its labels.
        phases: the models, in the order of the rows.
        differences: beyond `SMALL`.
        labels: of the rows at the small budget, where they say something else.
    """

    @Experiment(
        paper="anyres",
        place=place,
        title=title,
        claim=claim,
        minutes=6 * len(phases) + 8,
        differences=(*SMALL, *differences),
        published=Table(columns=COLUMNS, rows=rows),
        compare=by_column,
    )
    def run(runner: Runner) -> Result:
        names = tuple(rows) if runner.paper else labels or tuple(rows)
        named = dict(zip(names, phases, strict=True))
        return Result(tables=(distances(runner, painters(runner, named)),))

    return run


TABLE_4 = _second_phases(
    "Table 4",
    "training on pictures of many sizes",
    {
        "Resize down to 512": (3.31, 4.11, 19.18, 26.83),
        "Resize up to 1024": (3.46, 13.43, 4.86, 6.65),
        "Train 1024 subset": (3.46, 12.41, 4.67, 5.43),
        "Multisize training (*)": (3.37, 4.41, 4.47, 4.28),
    },
    (models.DOWN, models.UP, models.SUBSET, ANYRES),
    claim="Reducing or enlarging all larger pictures to one size, or taking the largest alone, is "
    "worse than training on all of them at their own sizes.",
    differences=("the largest are those of 118 px or more, a sixth of the larger ones",),
    labels=("Resize down to 64", "Resize up to 128", "Train 128 subset", "Multisize training (*)"),
)
TABLE_5 = _second_phases(
    "Table 5",
    "how many large pictures it takes",
    {
        "1k (1.4%)": (3.43, 5.13, 4.38, 3.73),
        "5k (7.1%) (*)": (3.36, 4.97, 4.54, 3.48),
        "10k (14.2%)": (3.46, 4.96, 4.65, 3.54),
        "70k (100%)": (3.42, 4.88, 4.52, 3.42),
    },
    (models.FEW, models.HALF, ANYRES, models.ALL),
    claim="Distances are nearly equal with 1,000 and with 70,000 large pictures.",
    differences=("shares are of the small pictures; all 4,000 are besides, not instead",),
    labels=("60 (1.8%)", "300 (8.8%)", "600 (17.6%) (*)", "4000 (100%)"),
)
_TEACHER = ("the teacher's distance is the mean absolute difference, without LPIPS",)
TABLE_10 = _second_phases(
    "Table 10",
    "kinds of teachers",
    {
        "Forward teacher": (3.23, 4.21, 5.35, 6.06),
        "Inverse teacher": (3.35, 4.18, 4.88, 4.67),
        "No teacher": (5.50, 5.93, 7.13, 3.17),
        "Inverse + scale (*)": (3.37, 4.41, 4.47, 4.28),
    },
    (models.FORWARD, models.INVERSE, models.UNTAUGHT, ANYRES),
    claim="A teacher that compares reduced patches beats one that enlarges its own picture; "
    "knowing the scale helps large pictures; without a teacher patches are best, and wholes worst.",
    differences=_TEACHER,
)
TABLE_12 = _second_phases(
    "Table 12",
    "scales of patches in training",
    {
        "(256, 512)": (5.20, 5.92, 19.01, 35.66),
        "(256, 1024)": (3.43, 4.16, 4.61, 4.19),
        "(512, 1024) (*)": (3.28, 4.04, 4.16, 3.61),
    },
    (models.NARROW, ANYRES, models.LARGE),
    claim="Patches of larger pictures make larger pictures better.",
    differences=("the default (*) here is scales from p on, as section 3.2 has it",),
    labels=("(1, 2) p", "(1, 4) p (*)", "(2, 4) p"),
)
TABLE_13 = _second_phases(
    "Table 13",
    "discriminators",
    {
        "Default Discriminator (*)": (3.28, 4.04, 4.16, 3.61),
        "No Base Resolution": (9.96, 4.23, 4.69, 2.92),
        "Two Discriminators": (3.82, 4.63, 5.34, 3.38),
        "Scale-conditioned Discriminator": (31.81, 71.33, 89.38, 120.06),
    },
    (ANYRES, models.NO_BASE, models.TWO_JUDGES, models.TOLD_JUDGE),
    claim="One discriminator that is not told the scale, and sees whole pictures as well as "
    "patches, is best at most sizes.",
    differences=("where the scale enters the discriminator is our reading",),
)


@Experiment(
    paper="anyres",
    place="Table 11",
    title="weight of the teacher",
    claim="A heavier teacher keeps pictures closer to the base size's; a lighter one gives better "
    "patches.",
    minutes=32,
    differences=(*SMALL, *_TEACHER),
    published=Table(
        columns=(*COLUMNS, "L1"),
        rows={
            "λ = 0": (5.50, 5.93, 7.13, 3.17, 0.16),
            "λ = 2": (3.42, 4.58, 5.46, 3.15, 0.10),
            "λ = 5 (*)": (3.37, 4.41, 4.47, 4.28, 0.08),
            "λ = 10": (3.46, 4.25, 4.61, 5.39, 0.07),
        },
    ),
    compare=by_column,
)
def table_11(runner: Runner) -> Result:
    """Weights of the teacher, with the difference to the first phase's picture."""
    labels = ("λ = 0", "λ = 2", "λ = 5 (*)", "λ = 10")
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
    return Result(tables=(Table(columns=(*table.columns, "L1"), rows=rows),))


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
