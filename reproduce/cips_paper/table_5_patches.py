"""CIPS, Table 5: training on patches, for machines with little memory."""

from __future__ import annotations

from reproduce.cips_paper.models import CHURCHES, EARTH, MAIN, cips_on, patched
from reproduce.experiment import Cell, Experiment, Findings, Table
from reproduce.ingredients import Dataset, Model
from reproduce.orders import order_remark
from reproduce.standard_models import PORTRAITS
from reproduce.workshop import Workshop

FACTORS = 1, 2, 4
"""Pixels a side of a picture, over those of a patch."""
FFHQ, LSUN = (4.38, 9.08, 11.79), (2.92, 7.08, 11.53)
PUBLISHED = Table(
    columns=("Patch size", "FID"),
    rows={
        f"{name}, {256 // factor} px": (256 // factor, fid)
        for name, fids in (("FFHQ", FFHQ), ("LSUN-Churches", LSUN))
        for factor, fid in zip(FACTORS, fids, strict=True)
    },
)


def patch_models(shop: Workshop) -> dict[str, tuple[Dataset, dict[int, Model]]]:
    """The models of each set by name, with whole pictures first."""
    sets = {"FFHQ": PORTRAITS, "LSUN-Churches": CHURCHES}
    if not shop.paper:
        sets = {"drawn portraits": PORTRAITS, "maps of the Earth": EARTH}
    found = {}
    for name, data in sets.items():
        whole = MAIN if data is PORTRAITS and not shop.paper else cips_on(data)
        found[name] = (data, {1: whole} | {f: patched(data, f) for f in FACTORS[1:]})
    return found


def run(shop: Workshop) -> Findings:
    """Train on whole pictures and on patches, equally long, and measure whole pictures."""
    metric = f"fd_{shop.extractor().name}"
    rows: dict[str, tuple[Cell, ...]] = {}
    remarks = []
    for (name, (data, models)), paper in zip(patch_models(shop).items(), (FFHQ, LSUN), strict=True):
        found = {}
        for factor, model in models.items():
            size = shop.ref(model).size[0]
            value = shop.measured(model, data, shop.protocol("fd"))[f"{metric}@{size}"]
            rows[f"{name}, {size // factor} px"] = (size // factor, value)
            found[f"{size // factor} px"] = value
        published = dict(zip(found, paper, strict=True))
        remarks.append(order_remark(f"Distance, {name}", published, found))
    table = Table(columns=("Patch size", metric), rows=rows)
    return Findings(tables=(table,), remarks=tuple(remarks))


TABLE_5 = Experiment(
    paper="cips",
    place="Table 5",
    title="training on patches",
    claim="A CIPS learns from patches alone, which takes less memory, but paints worse pictures.",
    minutes=25,
    differences=(
        "drawn portraits and maps of the Earth instead of FFHQ and churches",
        "32 px pictures with patches of 16 and 8, 4,800 pictures shown",
        "a patch of stride s takes means over s x s pixels of the real picture instead of one of "
        "them, and strides and places need not be whole pixels",
        "fd_effnet of 1,000 pictures instead of FID",
    ),
    published=PUBLISHED,
    run=run,
)
