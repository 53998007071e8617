"""CIPS, Table 2: precision and recall of StyleGAN2 and CIPS."""

from __future__ import annotations

from reproduce.cips_paper.models import rival
from reproduce.experiment import Cell, Experiment, Findings, Table
from reproduce.orders import column, order_remark
from reproduce.standard_models import CIPS, PORTRAITS
from reproduce.workshop import Workshop

PUBLISHED = Table(
    columns=("Precision", "Recall"),
    rows={"StyleGANv2": (0.609, 0.513), "CIPS": (0.613, 0.493)},
)


def run(shop: Workshop) -> Findings:
    """Measure how samples and real pictures overlap in features."""
    rows: dict[str, tuple[Cell, ...]] = {}
    for label, model in (("StyleGANv2", rival(PORTRAITS, shop)), ("CIPS", CIPS)):
        end = f"_{shop.extractor().name}@{shop.ref(model).size[0]}"
        found = shop.measured(model, PORTRAITS, shop.protocol("pr"))
        rows[label] = (found[f"precision{end}"], found[f"recall{end}"])
    table = Table(columns=PUBLISHED.columns, rows=rows)
    remarks = [
        order_remark(name, column(PUBLISHED, name), column(table, name))
        for name in PUBLISHED.columns
    ]
    return Findings(tables=(table,), remarks=tuple(remarks))


TABLE_2 = Experiment(
    paper="cips",
    place="Table 2",
    title="precision and recall",
    claim="CIPS paints slightly more plausible faces than StyleGAN2, and a little less of their "
    "variety.",
    minutes=13,
    differences=(
        "drawn portraits instead of FFHQ",
        "32 px networks of 0.7 to 0.8 million parameters, 8,000 pictures shown",
        "features of effnet instead of VGG or Inception, 1,000 pictures of each set, k = 3",
    ),
    published=PUBLISHED,
    run=run,
)
