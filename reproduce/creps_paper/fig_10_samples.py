"""CREPS, Figure 10: samples, as they come."""

from __future__ import annotations

from creps.rendering._sheets import contact_sheet
from reproduce.experiment import Experiment, Figure, Findings
from reproduce.showing import sample
from reproduce.standard_models import SHIPPED
from reproduce.workshop import Workshop

COLUMNS, ROWS = 7, 4
SIDE = 160
"""Pixels of a sample."""


def run(shop: Workshop) -> Findings:
    """Draw the first seeds, none left out."""
    ref = shop.ref(SHIPPED)
    seeds = range(COLUMNS * ROWS)
    pictures = [sample(ref, seed, size=SIDE, supersample="auto") for seed in seeds]
    return Findings(
        figures=(
            Figure(
                name="samples",
                caption=f"Seeds 0 to {seeds[-1]}, none left out, without truncation.",
                picture=contact_sheet(pictures, columns=COLUMNS),
            ),
        ),
    )


FIGURE_10 = Experiment(
    paper="creps",
    place="Figure 10",
    title="samples",
    claim="CREPS paints realistic pictures (section 4.2).",
    minutes=0.5,
    differences=("drawn portraits instead of photographs; the packaged model",),
    run=run,
)
