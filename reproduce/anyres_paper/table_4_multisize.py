"""Any-resolution GAN, Table 4: pictures of many sizes against all of one size."""

from __future__ import annotations

from reproduce.anyres_paper.scoring import SMALL, distances, painters, remarks
from reproduce.anyres_paper.variants import DOWN, SUBSET, UP
from reproduce.experiment import Experiment, Findings, Table
from reproduce.standard_models import ANYRES
from reproduce.workshop import Workshop

PUBLISHED = Table(
    columns=("FID 256", "FID 512", "FID 1024", "pFID random"),
    rows={
        "Resize down to 512": (3.31, 4.11, 19.18, 26.83),
        "Resize up to 1024": (3.46, 13.43, 4.86, 6.65),
        "Train 1024 subset": (3.46, 12.41, 4.67, 5.43),
        "Multisize training (*)": (3.37, 4.41, 4.47, 4.28),
    },
)
LABELS = "Resize down to 64", "Resize up to 128", "Train 128 subset", "Multisize training (*)"
MODELS = DOWN, UP, SUBSET, ANYRES


def run(shop: Workshop) -> Findings:
    """Train a second phase on each set, and measure it."""
    labels = tuple(PUBLISHED.rows) if shop.paper else LABELS
    table = distances(shop, painters(shop, dict(zip(labels, MODELS, strict=True))))
    names = dict(zip(labels, PUBLISHED.rows, strict=True))
    return Findings(tables=(table,), remarks=remarks(PUBLISHED, table, stand_ins=names))


TABLE_4 = Experiment(
    paper="anyres",
    place="Table 4",
    title="training on pictures of many sizes",
    claim="Reducing or enlarging all larger pictures to one size, or taking the largest alone, is "
    "worse than training on all of them at their own sizes.",
    minutes=32,
    differences=(*SMALL, "the largest are those of 118 px or more, a sixth of the larger ones"),
    published=PUBLISHED,
    run=run,
)
