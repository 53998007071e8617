"""CREPS, Table 7 (supplement, Table 3): quality at several sizes beside other any-scale GANs."""

from __future__ import annotations

from reproduce.experiment import Cell, Experiment, Findings, Table
from reproduce.orders import column, numbers, order_remark
from reproduce.standard_models import ANYRES, CREPS, PORTRAITS, SCALEPARTY
from reproduce.workshop import Workshop

PUBLISHED = Table(
    columns=("FFHQ-512", "FFHQ-1024", "LSUN Church-256"),
    rows={
        "ScaleParty": (6.23, 10.91, "N/A"),
        "AnyresGAN": (3.71, 4.06, 3.84),
        "CREPS": (4.43, 4.09, 5.50),
    },
)
MODELS = dict(zip(PUBLISHED.rows, (SCALEPARTY, ANYRES, CREPS), strict=True))
FACTORS = (1, 2, 4)
"""Sizes as multiples of the largest of the training sizes; the paper's are 1 and 2."""


def run(shop: Workshop) -> Findings:
    """Measure every model at the same sizes, against pictures of these sizes."""
    base = max(shop.ref(model).trained[0] for model in MODELS.values())
    factors = FACTORS[:2] if shop.paper else FACTORS
    sizes = [factor * base for factor in factors]
    distance = f"fd_{shop.extractor().name}"
    rows: dict[str, tuple[Cell, ...]] = {}
    for label, model in MODELS.items():
        found = shop.measured(model, PORTRAITS, shop.protocol("fd", sizes=sizes))
        rows[label] = tuple(found[f"{distance}@{size}"] for size in sizes)
    table = Table(
        columns=tuple(f"{size} px" for size in sizes),
        rows=rows,
        caption=f"{distance}, one data set",
    )
    return Findings(tables=(table,), remarks=remarks(table))


def remarks(table: Table) -> tuple[str, ...]:
    """The order at the paper's two sizes, and which network suffers least from larger ones."""
    found = [
        order_remark(f"{ours}, lowest is best", column(PUBLISHED, theirs), column(table, ours))
        for theirs, ours in zip(PUBLISHED.columns[:2], table.columns[:2], strict=True)
    ]
    small, large = (numbers(column(table, table.columns[end])) for end in (0, -1))
    grown = {label: large[label] / small[label] for label in small}
    least = min(grown, key=grown.__getitem__)
    growth = ", ".join(f"{label} {factor:.2f}" for label, factor in grown.items())
    found.append(
        f"Distance at {table.columns[-1]} over that at {table.columns[0]}: {growth}; "
        f"least for {least}."
    )
    return tuple(found)


TABLE_7 = Experiment(
    paper="creps",
    place="Table 7",
    title="quality at several sizes beside other any-scale networks",
    claim="At twice its size CREPS reaches the any-resolution GAN, which was trained on large "
    "pictures, and surpasses ScaleParty.",
    minutes=45,
    differences=(
        "drawn portraits at 32 px instead of photographs, 8,000 pictures shown to each model, "
        "24,000 and 8,000 patches to the any-resolution GAN",
        "no stand-in for LSUN Church",
        "fd_effnet of 1,000 pictures instead of FID of 50,000",
        "CREPS saw pictures of one size; ScaleParty and the any-resolution GAN up to four times "
        "larger ones, as in the paper",
    ),
    published=PUBLISHED,
    run=run,
)
