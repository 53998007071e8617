"""CIPS, Fig. 3: the picture of the mean style, with and without coordinate embeddings."""

from __future__ import annotations

from creps.metrics._spectra import power_spectrum
from creps.rendering._renderer import render
from creps.rendering._sheets import Panel, captioned_sheet
from reproduce.cips_paper.drawing import shown_side
from reproduce.cips_paper.encodings import mean_frequency
from reproduce.cips_paper.models import BASE, NO_EMBEDDING
from reproduce.experiment import Cell, Experiment, Figure, Findings, Table
from reproduce.workshop import Workshop

MODELS = {"CIPS, with embeddings": BASE, "CIPS-NE, without": NO_EMBEDDING}


def run(shop: Workshop) -> Findings:
    """Draw the average picture of both, and say which is finer."""
    panels, fineness = [], {}
    for label, model in MODELS.items():
        ref = shop.ref(model)
        side = shown_side(ref, least=320)
        picture = render(ref.generator(), seed=0, truncation=0.0, size=side)
        panels.append(Panel(picture, label))
        own = render(ref.generator(), seed=0, truncation=0.0, size=min(ref.size))
        fineness[label] = mean_frequency(power_spectrum(own), own.shape[1])
    finest = max(fineness, key=lambda label: fineness[label])
    sheet = captioned_sheet([panels], heading="The picture of the mean style")
    rows: dict[str, tuple[Cell, ...]] = {label: (value,) for label, value in fineness.items()}
    return Findings(
        tables=(Table(columns=("mean frequency, cycles a pixel",), rows=rows),),
        figures=(
            Figure(
                name="mean-style",
                caption="The mean style of networks with and without embeddings.",
                picture=sheet,
            ),
        ),
        remarks=(f"The finer picture, by its power spectrum: {finest}.",),
    )


FIGURE_3 = Experiment(
    paper="cips",
    place="Figure 3",
    title="the mean style with and without coordinate embeddings",
    claim="With coordinate embeddings the average face has more plausible details.",
    minutes=6,
    differences=(
        "networks of Table 3, 32 px, 4,800 drawn portraits shown",
        "both without projections of each level, as NE is in the paper",
    ),
    run=run,
)
