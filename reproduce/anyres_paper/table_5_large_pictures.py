"""Any-resolution GAN, Table 5: how many large pictures it takes."""

from __future__ import annotations

from dataclasses import replace

from reproduce.anyres_paper.scoring import SMALL, distances, painters, remarks
from reproduce.anyres_paper.variants import ALL, FEW, HALF
from reproduce.experiment import Experiment, Findings, Table
from reproduce.standard_models import ANYRES
from reproduce.workshop import Workshop

PUBLISHED = Table(
    columns=("FID 256", "FID 512", "FID 1024", "pFID random"),
    rows={
        "1k (1.4%)": (3.43, 5.13, 4.38, 3.73),
        "5k (7.1%) (*)": (3.36, 4.97, 4.54, 3.48),
        "10k (14.2%)": (3.46, 4.96, 4.65, 3.54),
        "70k (100%)": (3.42, 4.88, 4.52, 3.42),
    },
)
LABELS = "60 (1.8%)", "300 (8.8%)", "600 (17.6%) (*)", "4000 (100%)"
MODELS = dict(zip(PUBLISHED.rows, (FEW, HALF, ANYRES, ALL), strict=True))


def run(shop: Workshop) -> Findings:
    """Train a second phase with each number of large pictures, and measure it."""
    labels = tuple(MODELS) if shop.paper else LABELS
    models = dict(zip(labels, MODELS.values(), strict=True))
    table = distances(shop, painters(shop, models))
    names = dict(zip(labels, PUBLISHED.rows, strict=True))
    most, column = labels[-1], table.columns[2]
    full = float(table.rows[most][2] or 0)
    far = {label: float(cells[2] or 0) / full - 1 for label, cells in table.rows.items()}
    worst = max(far, key=lambda label: abs(far[label]))
    spread = (
        f"{column}: with fewer large pictures at most {far[worst]:+.0%} ({worst}) from that with "
        "all; in the paper -3% to +3%."
    )
    return Findings(
        tables=(replace(table, caption="By the number of larger pictures"),),
        remarks=(spread, *remarks(PUBLISHED, table, stand_ins=names)),
    )


TABLE_5 = Experiment(
    paper="anyres",
    place="Table 5",
    title="how many large pictures it takes",
    claim="Distances are nearly equal with 1,000 and with 70,000 large pictures.",
    minutes=32,
    differences=(*SMALL, "shares are of the small pictures; all 4,000 are besides, not instead"),
    published=PUBLISHED,
    run=run,
)
