"""CIPS, Fig. 6: pictures without what one of the two encodings says."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch

from creps.metrics._spectra import power_spectrum
from creps.networks.base import Generator
from creps.rendering._renderer import render
from creps.rendering._sheets import Panel, captioned_sheet
from reproduce.cips_paper.drawing import shown_side
from reproduce.cips_paper.encodings import mean_frequency
from reproduce.cips_paper.models import BASE
from reproduce.experiment import Experiment, Figure, Findings, Table
from reproduce.workshop import Workshop

SEEDS = 0, 1
WITHOUT = {"original": (), "embeddings zeroed": ("embedding",), "Fourier zeroed": ("fourier",)}


@torch.no_grad()
def zeroed(generator: Generator, parts: tuple[str, ...]) -> Generator:
    """A copy of a CIPS whose encodings of those kinds are 0 everywhere."""
    changed: Any = deepcopy(generator)
    for part in parts:
        for parameter in getattr(changed, part).parameters():
            parameter.zero_()  # without frequencies and phases sines are 0, too
    copy: Generator = changed
    return copy


def run(shop: Workshop) -> Findings:
    """Draw the same latents with both encodings and with one of them."""
    ref = shop.ref(BASE)
    side, own = shown_side(ref), min(ref.size)
    networks = {label: zeroed(ref.generator(), parts) for label, parts in WITHOUT.items()}
    rows = [
        [Panel(render(network, seed=seed, size=side), label) for label, network in networks.items()]
        for seed in SEEDS
    ]
    fine = {
        label: sum(
            mean_frequency(power_spectrum(render(network, seed=seed, size=own)), own)
            for seed in SEEDS
        )
        / len(SEEDS)
        for label, network in networks.items()
    }
    coarser = fine["embeddings zeroed"] < fine["Fourier zeroed"]
    remark = "what is left without embeddings is {} than what is left without Fourier features."
    return Findings(
        tables=(
            Table(
                columns=("mean frequency, cycles a pixel",),
                rows={label: (value,) for label, value in fine.items()},
            ),
        ),
        figures=(
            Figure(
                name="zeroed",
                caption="Two samples, and what is left of them without one of the encodings.",
                picture=captioned_sheet(rows, heading="Without one of the encodings"),
            ),
        ),
        remarks=("Here, " + remark.format("coarser" if coarser else "finer"),),
    )


FIGURE_6 = Experiment(
    paper="cips",
    place="Figure 6",
    title="pictures without one of the encodings",
    claim="Fine detail comes from the coordinate embeddings, not from the Fourier features.",
    minutes=4,
    differences=("CIPS-base of Table 3 here: 32 px, 4,800 drawn portraits shown",),
    run=run,
)
