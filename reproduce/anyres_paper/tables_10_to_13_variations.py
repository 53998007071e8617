"""Any-resolution GAN, Tables 10 to 13: other teachers, scales and discriminators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from creps.metrics._consistency import box_reduce
from creps.metrics._models import ModelRef, draw
from reproduce.anyres_paper.scoring import SMALL, distances, painters, remarks
from reproduce.anyres_paper.variants import (
    FORWARD,
    HEAVY,
    INVERSE,
    LARGE,
    LIGHT,
    NARROW,
    NO_BASE,
    TOLD_JUDGE,
    TWO_JUDGES,
    UNTAUGHT,
)
from reproduce.experiment import Cell, Experiment, Findings, Table
from reproduce.ingredients import Model
from reproduce.orders import column, order_remark
from reproduce.standard_models import ANYRES, ANYRES_BASE
from reproduce.workshop import Workshop

COLUMNS = ("FID 256", "FID 512", "FID 1024", "pFID random")
PUBLISHED_10 = Table(
    columns=COLUMNS,
    rows={
        "Forward teacher": (3.23, 4.21, 5.35, 6.06),
        "Inverse teacher": (3.35, 4.18, 4.88, 4.67),
        "No teacher": (5.50, 5.93, 7.13, 3.17),
        "Inverse + scale (*)": (3.37, 4.41, 4.47, 4.28),
    },
)
PUBLISHED_11 = Table(
    columns=(*COLUMNS, "L1"),
    rows={
        "λ = 0": (5.50, 5.93, 7.13, 3.17, 0.16),
        "λ = 2": (3.42, 4.58, 5.46, 3.15, 0.10),
        "λ = 5 (*)": (3.37, 4.41, 4.47, 4.28, 0.08),
        "λ = 10": (3.46, 4.25, 4.61, 5.39, 0.07),
    },
)
PUBLISHED_12 = Table(
    columns=COLUMNS,
    rows={
        "(256, 512)": (5.20, 5.92, 19.01, 35.66),
        "(256, 1024)": (3.43, 4.16, 4.61, 4.19),
        "(512, 1024) (*)": (3.28, 4.04, 4.16, 3.61),
    },
)
PUBLISHED_13 = Table(
    columns=COLUMNS,
    rows={
        "Default Discriminator (*)": (3.28, 4.04, 4.16, 3.61),
        "No Base Resolution": (9.96, 4.23, 4.69, 2.92),
        "Two Discriminators": (3.82, 4.63, 5.34, 3.38),
        "Scale-conditioned Discriminator": (31.81, 71.33, 89.38, 120.06),
    },
)
SCALES = "(1, 2) p", "(1, 4) p (*)", "(2, 4) p"
"""Rows of Table 12 in units of the network's size."""


def compared(shop: Workshop, published: Table, models: Mapping[str, Model]) -> Findings:
    """Train and measure models whose labels are the paper's rows."""
    table = distances(shop, painters(shop, models))
    return Findings(tables=(table,), remarks=remarks(published, table))


def run_10(shop: Workshop) -> Findings:
    """Kinds of teachers."""
    models = FORWARD, INVERSE, UNTAUGHT, ANYRES
    return compared(shop, PUBLISHED_10, dict(zip(PUBLISHED_10.rows, models, strict=True)))


def run_11(shop: Workshop) -> Findings:
    """Weights of the teacher, with the difference to the first phase's picture."""
    models = dict(zip(PUBLISHED_11.rows, (UNTAUGHT, LIGHT, ANYRES, HEAVY), strict=True))
    found = compared(shop, without_last(PUBLISHED_11), models)
    base, table = shop.ref(ANYRES_BASE), found.tables[0]
    rows: dict[str, tuple[Cell, ...]] = {
        label: (*cells, base_difference(shop.ref(models[label]), base, count=shop.budget.probes))
        for label, cells in table.rows.items()
    }
    table = Table(columns=(*table.columns, "L1"), rows=rows)
    kept = order_remark("L1", column(PUBLISHED_11, "L1"), column(table, "L1"))
    *orders, luck = found.remarks
    return Findings(tables=(table,), remarks=(*orders, kept, luck))


def without_last(published: Table) -> Table:
    """A table without its last column."""
    rows = {label: cells[:-1] for label, cells in published.rows.items()}
    return replace(published, columns=published.columns[:-1], rows=rows)


def base_difference(model: ModelRef, base: ModelRef, *, count: int) -> float:
    """Mean absolute difference of a large picture, reduced, to the first phase's, in [-1, 1].

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


def run_12(shop: Workshop) -> Findings:
    """Ranges of scales."""
    models = dict(zip(SCALES, (NARROW, ANYRES, LARGE), strict=True))
    table = distances(shop, painters(shop, models))
    names = dict(zip(SCALES, PUBLISHED_12.rows, strict=True))
    return Findings(tables=(table,), remarks=remarks(PUBLISHED_12, table, stand_ins=names))


def run_13(shop: Workshop) -> Findings:
    """Discriminators."""
    models = ANYRES, NO_BASE, TWO_JUDGES, TOLD_JUDGE
    return compared(shop, PUBLISHED_13, dict(zip(PUBLISHED_13.rows, models, strict=True)))


TABLE_10 = Experiment(
    paper="anyres",
    place="Table 10",
    title="kinds of teachers",
    claim="A teacher that compares reduced patches beats one that enlarges its own picture; "
    "knowing the scale helps large pictures; without a teacher patches are best, and wholes worst.",
    minutes=32,
    differences=(*SMALL, "the teacher's distance is the mean absolute difference, without LPIPS"),
    published=PUBLISHED_10,
    run=run_10,
)
TABLE_11 = Experiment(
    paper="anyres",
    place="Table 11",
    title="weight of the teacher",
    claim="A heavier teacher keeps pictures closer to the base size's; a lighter one gives better "
    "patches.",
    minutes=32,
    differences=(*SMALL, "the teacher's distance is the mean absolute difference, without LPIPS"),
    published=PUBLISHED_11,
    run=run_11,
)
TABLE_12 = Experiment(
    paper="anyres",
    place="Table 12",
    title="scales of patches in training",
    claim="Patches of larger pictures make larger pictures better.",
    minutes=26,
    differences=(
        *SMALL,
        "the default (*) here is scales from p on, as section 3.2 has it",
    ),
    published=PUBLISHED_12,
    run=run_12,
)
TABLE_13 = Experiment(
    paper="anyres",
    place="Table 13",
    title="discriminators",
    claim="One discriminator that is not told the scale, and sees whole pictures as well as "
    "patches, is best at most sizes.",
    minutes=32,
    differences=(*SMALL, "where the scale enters the discriminator is our reading"),
    published=PUBLISHED_13,
    run=run_13,
)
