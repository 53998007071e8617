"""CIPS, Fig. 12: the typical artifacts."""

from __future__ import annotations

import math

from creps.metrics._diagnosis import diagnose
from creps.metrics._pictures import ModelPictures
from creps.metrics._real_images import open_reality
from creps.rendering._sheets import Panel, captioned_sheet
from reproduce.cips_paper.models import BRIEFLY
from reproduce.experiment import Cell, Experiment, Figure, Findings, Table
from reproduce.showing import panel_picture
from reproduce.standard_models import CIPS, PORTRAITS
from reproduce.workshop import Workshop

MOST = 100
"""Pictures of each set."""
SHOWN = {"waves": "wavy texture, repeated lines", "blobs": "glowing blobs"}
"""The paper's kinds."""
SIDE = 224


def run(shop: Workshop) -> Findings:
    """Look for artifacts, and show the samples with the strongest."""
    ref = shop.ref(CIPS)
    found = diagnose(
        ref,
        open_reality(str(shop.data(PORTRAITS))),
        count=min(MOST, shop.budget.pictures),
        size=ref.size if shop.paper else None,  # photographs may have no more pixels
        cache=shop.features,
        workers=shop.workers,
        progress=shop.progress,
    )
    rows: dict[str, tuple[Cell, ...]] = {
        each.name: (
            each.model,
            each.real if math.isfinite(each.real) else None,
            each.verdict,
        )
        for each in found.findings
    }
    pictures = ModelPictures(model=ref, size=found.size)
    panels = [
        [
            Panel(
                panel_picture(pictures.picture(seed), SIDE),
                f"seed {seed}" if place else SHOWN[each.name],
                each.meaning if place == 0 else "",
            )
            for place, seed in enumerate(each.worst)
        ]
        for each in found.findings
        if each.name in SHOWN
    ]
    worst = [each.name for each in found.findings if each.verdict == "clear"]
    advice = [f"{each.name}: {each.advice}" for each in found.findings if each.advice]
    return Findings(
        tables=(Table(columns=("model", "real", "verdict"), rows=rows),),
        figures=(
            Figure(
                name="artifacts",
                caption="The samples with the strongest waves and blobs.",
                picture=captioned_sheet(
                    panels, heading=f"Artifacts: the strongest of {found.count} samples"
                ),
            ),
        ),
        remarks=(f"Clearly more than in real pictures: {', '.join(worst) or 'none'}.", *advice),
    )


FIGURE_12 = Experiment(
    paper="cips",
    place="Figure 12",
    title="typical artifacts",
    claim="Sines leave wavy textures and repeated lines, leaky ReLUs parts out of the domain.",
    minutes=9,
    differences=(
        BRIEFLY,
        "it is drawn at 128 px",
        "samples are chosen by measures (creps diagnose), not by eye",
    ),
    run=run,
)
