"""CREPS, Table 2: Frechet distances of StyleGAN2, CIPS and CREPS, also at twice the size."""

from __future__ import annotations

from dataclasses import dataclass, field

from reproduce.cips_paper.models import CHURCHES, EARTH, cips_on, rival
from reproduce.experiment import Cell, Experiment, Findings, Table
from reproduce.ingredients import Dataset, Model, Training
from reproduce.orders import order_remark
from reproduce.standard_models import CIPS, CREPS, PORTRAITS, STYLEGAN2
from reproduce.workshop import Workshop

PUBLISHED = Table(
    columns=("FFHQ-512", "FFHQ-1024", "LSUN Church-256", "MetFaces-1024", "Scenery-256"),
    rows={
        "StyleGAN2": (3.41, 2.84, 3.86, 18.22, 6.40),
        "CIPS": (6.18, 10.07, 2.92, "OOM", 8.49),
        "CREPS": (4.43, 4.09, 5.50, 20.52, 7.21),
    },
)
IMAGES = 4_800
"""Pictures shown to the small CREPS on maps: as many as to its rivals there."""
TRANSFER_IMAGES = 3_200
"""Pictures of the new set that the transferred networks see."""

PAINTINGS = Dataset(
    name="metfaces",
    paper="MetFaces at 1,024 px",
    command=("portraits", "--size", "128", "--style", "micah"),
    count=1336,
)
"""Faces drawn by another hand stand in for painted ones, as many as those are."""
SCENERY = Dataset(name="scenery", paper="Flickr-Scenery at 256 px or more")


@dataclass(frozen=True, kw_only=True)
class Column:
    """Models on one data set.

    Attributes:
        title: heads the column.
        published: the paper's column that it compares with.
        data: to train on and to compare with.
        models: by row.
        words: why other rows have none.
        factor: size they are measured at, in sizes trained.
    """

    title: str
    published: str
    data: Dataset
    models: dict[str, Model]
    words: dict[str, str] = field(default_factory=dict)
    factor: int = 1


def columns(shop: Workshop) -> tuple[Column, ...]:
    """What is measured: the paper's columns as far as there is something in place of them."""
    portraits = {"StyleGAN2": STYLEGAN2, "CIPS": CIPS, "CREPS": CREPS}
    found = [
        Column(title="portraits", published="FFHQ-512", data=PORTRAITS, models=portraits),
        Column(
            title="portraits, twice the size",
            published="FFHQ-1024",
            data=PORTRAITS,
            models={"CIPS": CIPS, "CREPS": CREPS},
            words={"StyleGAN2": "one size only"},
            factor=2,
        ),
        _on(CHURCHES if shop.paper else EARTH, "LSUN Church-256", "paper-church-256", shop),
        Column(
            title="transfer to paintings" if shop.paper else "transfer to another style",
            published="MetFaces-1024",
            data=PAINTINGS,
            models={"StyleGAN2": _moved(STYLEGAN2), "CREPS": _moved(CREPS)},
            words={"CIPS": "not trained"},
        ),
    ]
    if shop.paper:
        found.append(_on(SCENERY, "Scenery-256", "paper-scenery-256", shop))
    return tuple(found)


def run(shop: Workshop) -> Findings:
    """Train all of them equally long on each set, and measure them at the sizes trained."""
    distance = f"fd_{shop.extractor().name}"
    asked = columns(shop)
    rows: dict[str, list[Cell]] = {label: [] for label in PUBLISHED.rows}
    heads = []
    for each in asked:
        sizes = {label: each.factor * shop.ref(m).trained[0] for label, m in each.models.items()}
        heads.append(f"{each.title}, {' and '.join(f'{s}' for s in sorted({*sizes.values()}))} px")
        for label, cells in rows.items():
            if label not in each.models:
                cells.append(each.words[label])
                continue
            protocol = shop.protocol("fd", sizes=[sizes[label]])
            found = shop.measured(each.models[label], each.data, protocol)
            cells.append(found[f"{distance}@{sizes[label]}"])
    table = Table(
        columns=tuple(heads),
        rows={label: tuple(cells) for label, cells in rows.items()},
        caption=f"{distance}, lowest is best",
    )
    return Findings(
        tables=(table,), remarks=remarks(table, tuple(each.published for each in asked))
    )


def remarks(table: Table, published: tuple[str, ...]) -> tuple[str, ...]:
    """Whether each column is in the order of the paper's column that it compares with."""
    found = []
    for place, (head, name) in enumerate(zip(table.columns, published, strict=True)):
        theirs = {k: cells[PUBLISHED.columns.index(name)] for k, cells in PUBLISHED.rows.items()}
        ours = {k: cells[place] for k, cells in table.rows.items()}
        found.append(order_remark(f"{head}, beside {name}", theirs, ours))
    return tuple(found)


def _on(data: Dataset, published: str, preset: str, shop: Workshop) -> Column:
    """All three from nothing on another set."""
    creps = Model(
        name=f"creps-{data.name}",
        data=data,
        small=Training(preset="smoke", images=IMAGES, settings=("data.detail=2",)),
        paper=Training(preset=preset),
    )
    models = {"StyleGAN2": rival(data, shop), "CIPS": cips_on(data), "CREPS": creps}
    title = data.name if shop.paper else "maps of the Earth"
    return Column(title=title, published=published, data=data, models=models)


def _moved(start: Model) -> Model:
    """A model of faces that goes on with paintings (A.2)."""
    if start is CREPS:
        paper = Training(preset="paper-metfaces-1024")
    else:
        settings = ("data.mirror=true", "discriminator_warmup=100", "augment.kind=ada")
        paper = Training(
            preset=start.paper.preset, images=2_000_000, settings=(*start.paper.settings, *settings)
        )
    assert isinstance(start.small, Training)
    return Model(
        name=f"{start.name}-moved",
        data=PAINTINGS,
        small=Training(
            preset=start.small.preset, images=TRANSFER_IMAGES, settings=("discriminator_warmup=50",)
        ),
        paper=paper,
        start=start,
    )


TABLE_2 = Experiment(
    paper="creps",
    place="Table 2",
    title="quality beside StyleGAN2 and CIPS",
    claim="CREPS comes close to StyleGAN2 and draws twice its training size as well as its own; "
    "it moves to other pictures, and is ahead of CIPS but for LSUN Church.",
    minutes=60,
    differences=(
        "drawn portraits instead of FFHQ, maps of the Earth instead of LSUN Church, portraits by "
        "another hand instead of MetFaces, nothing in place of Scenery",
        "32 px networks: 0.7 to 0.8 million parameters and 8,000 pictures for portraits, 0.16 "
        "(StyleGAN2, CIPS) and 0.34 (CREPS) million and 4,800 pictures for maps, 3,200 pictures "
        "more for the transfer",
        "fd_effnet of 1,000 pictures instead of FID of 50,000",
        "StyleGAN2 has no network of twice the size here",
    ),
    published=PUBLISHED,
    run=run,
)
