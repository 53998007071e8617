"""CIPS, Table 1: Frechet distances of StyleGAN2 and CIPS on several sets of pictures."""

from __future__ import annotations

from reproduce.cips_paper.models import (
    BUILDINGS,
    CHURCHES,
    EARTH,
    LANDSCAPES,
    cips_on,
    rival,
)
from reproduce.experiment import Cell, Experiment, Findings, Table
from reproduce.ingredients import Dataset
from reproduce.standard_models import PORTRAITS
from reproduce.workshop import Workshop

PUBLISHED = Table(
    columns=("StyleGANv2", "CIPS (ours)"),
    rows={
        "FFHQ": (3.83, 4.38),
        "LSUN Churches": (3.86, 2.92),
        "Landscapes": (2.36, 3.61),
        "Satellite-Buildings": (73.67, 69.67),
        "Satellite-Landscapes": (51.54, 48.47),
    },
)
SETS: dict[str, tuple[Dataset, str]] = {
    "FFHQ": (PORTRAITS, "drawn portraits"),
    "LSUN Churches": (CHURCHES, ""),
    "Landscapes": (LANDSCAPES, ""),
    "Satellite-Buildings": (BUILDINGS, ""),
    "Satellite-Landscapes": (EARTH, "maps of the Earth"),
}
"""The paper's sets, and what stands in for them; "": nothing does."""


def run(shop: Workshop) -> Findings:
    """Measure both families on each set that there is."""
    rows: dict[str, tuple[Cell, ...]] = {}
    remarks = []
    metric = f"fd_{shop.extractor().name}"
    for name, (data, stand_in) in SETS.items():
        if not (shop.paper or stand_in):
            rows[name] = ("no such set", "no such set")
            continue
        label = name if shop.paper else f"{name}: {stand_in}"
        models = (rival(data, shop), cips_on(data))
        found = [
            shop.measured(model, data, shop.protocol("fd"))[f"{metric}@{shop.ref(model).size[0]}"]
            for model in models
        ]
        rows[label] = tuple(found)
        better = "StyleGAN2" if found[0] < found[1] else "CIPS"
        a, b = (float(cell or 0) for cell in PUBLISHED.rows[name])
        same = "as in the paper" if (a < b) == (found[0] < found[1]) else "unlike in the paper"
        remarks.append(f"{label}: {better} is closer to the real pictures, {same}.")
    table = Table(columns=("StyleGANv2", "CIPS"), rows=rows, caption=f"{metric}, lower is better.")
    return Findings(tables=(table,), remarks=tuple(remarks))


TABLE_1 = Experiment(
    paper="cips",
    place="Table 1",
    title="quality on several sets of pictures",
    claim="Neither CIPS nor StyleGAN2 wins everywhere: faces are better with the latter, churches "
    "and satellite pictures with CIPS.",
    minutes=25,
    differences=(
        "two sets instead of five: drawn portraits and maps of the Earth",
        "32 px networks: of 0.7 to 0.8 million parameters and 8,000 pictures shown on portraits, "
        "much smaller ones and 4,800 pictures on maps",
        "fd_effnet of 1,000 pictures instead of FID",
    ),
    published=PUBLISHED,
    run=run,
)
