"""Any-resolution GAN, Table 9: precision and recall of whole pictures and of patches."""

from __future__ import annotations

import numpy as np

from creps.metrics._cache import Columns
from creps.metrics._distances import frechet_distance
from reproduce.anyres_paper.clusters import ClusterScores, cluster_scores
from reproduce.anyres_paper.scoring import (
    REAL,
    SIZES,
    SMALL,
    Rival,
    base_size,
    largest_patches,
    patch_sets,
    random_patches,
    seen,
    whole_sets,
)
from reproduce.experiment import Cell, Experiment, Findings, Table
from reproduce.orders import column, order_remark
from reproduce.standard_models import ANYRES, ANYRES_BASE
from reproduce.workshop import Workshop

PUBLISHED = Table(
    columns=("Precision 1024", "Precision patch", "Recall 1024", "Recall patch", "pFID 1024"),
    rows={
        "Upsample": (0.68, 0.77, 0.37, 0.20, 31.70),
        "Real-ESRGAN": (0.40, 0.54, 0.51, 0.47, 20.04),
        "GFP-GAN": (0.48, 0.62, 0.34, 0.32, 20.58),
        "Ours": (0.69, 0.68, 0.47, 0.55, 8.01),
    },
)
UPSAMPLE, ESRGAN, GFPGAN, OURS = PUBLISHED.rows


def run(shop: Workshop) -> Findings:
    """Score enlarged pictures of the first phase, and those of the second."""
    rivals = {
        UPSAMPLE: Rival(model=shop.ref(ANYRES_BASE), how="lanczos"),
        OURS: Rival(model=shop.ref(ANYRES)),
    }
    size = SIZES[-1] * base_size(shop)
    whole = seen(shop, whole_sets(shop, rivals, size))
    patch = seen(shop, patch_sets(rivals, random_patches(shop)))
    large = seen(shop, patch_sets(rivals, largest_patches(shop)))
    missing: tuple[Cell, ...] = ("not at hand",) * len(PUBLISHED.columns)
    rows: dict[str, tuple[Cell, ...]] = dict.fromkeys(PUBLISHED.rows, missing)
    for label in rivals:
        wholes, patches = _scores(whole, label), _scores(patch, label)
        far = frechet_distance(large[label]["features"], large[REAL]["features"])
        rows[label] = (
            wholes.precision,
            patches.precision,
            wholes.recall,
            patches.recall,
            far,
        )
    names = (
        f"precision@{size}",
        "precision, patches",
        f"recall@{size}",
        "recall, patches",
        f"patch_fd_{shop.extractor().name}@{size}",
    )
    table = Table(columns=names, rows=rows)
    return Findings(tables=(table,), remarks=_remarks(table))


def _scores(columns: dict[str, Columns], label: str) -> ClusterScores:
    rng = np.random.default_rng(0)
    return cluster_scores(columns[label]["features"], columns[REAL]["features"], generator=rng)


def _remarks(table: Table) -> tuple[str, ...]:
    return tuple(
        order_remark(ours, column(PUBLISHED, theirs), column(table, ours))
        for theirs, ours in zip(PUBLISHED.columns, table.columns, strict=True)
    )


TABLE_9 = Experiment(
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
    published=PUBLISHED,
    run=run,
)
