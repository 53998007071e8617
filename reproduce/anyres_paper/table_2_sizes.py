"""Any-resolution GAN, Table 2: models that are drawn at several sizes, trained on mixed ones."""

from __future__ import annotations

from dataclasses import replace

from reproduce.anyres_paper.scoring import SMALL, distances, painters, remarks
from reproduce.experiment import Experiment, Findings, Table
from reproduce.standard_models import ANYRES, SCALEPARTY
from reproduce.workshop import Workshop

PUBLISHED = Table(
    columns=("FID 256", "FID 512", "FID 1024", "pFID random"),
    rows={
        "MS-PE": (6.75, 30.41, None, None),
        "Anycost": (4.24, 5.94, 6.47, 18.39),
        "Ours": (3.34, 3.71, 4.06, 2.96),
    },
)
STAND_IN = "ScaleParty-like"


def run(shop: Workshop) -> Findings:
    """Measure both at three sizes and on patches."""
    table = distances(shop, painters(shop, {STAND_IN: SCALEPARTY, "Ours": ANYRES}))
    missing = ("not at hand",) * len(table.columns)
    rows = {STAND_IN: table.rows[STAND_IN], "Anycost": missing, "Ours": table.rows["Ours"]}
    return Findings(
        tables=(replace(table, rows=rows),),
        remarks=remarks(PUBLISHED, table, stand_ins={STAND_IN: "MS-PE"}),
    )


TABLE_2 = Experiment(
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
    published=PUBLISHED,
    run=run,
)
