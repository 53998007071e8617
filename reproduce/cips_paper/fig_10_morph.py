"""CIPS, Fig. 10: linear ways between two latents."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from creps.rendering._sheets import Panel, captioned_sheet
from creps.rendering._styles import SeedPath, styles_of
from reproduce.cips_paper.drawing import drawn
from reproduce.cips_paper.models import BRIEFLY, shown
from reproduce.experiment import Cell, Experiment, Figure, Findings, Table
from reproduce.workshop import Workshop

WAYS = ((0, 1), (2, 3))
STEPS = 7
LEAST = 128


def run(shop: Workshop) -> Findings:
    """Draw the steps of two ways of each model, and how much each step changes."""
    figures, rows = [], {}
    for number, (label, model) in enumerate(shown(shop), 1):
        ref = shop.ref(model)
        panels, changes = [], []
        for seeds in WAYS:
            steps = SeedPath(seeds).steps(STEPS)
            pictures = [drawn(ref, styles_of(step, ref.generator()), least=LEAST) for step in steps]
            panels.append(
                [
                    Panel(picture, f"{k / (STEPS - 1):.2f}" if 0 < k < STEPS - 1 else f"seed {s}")
                    for k, (picture, s) in enumerate(
                        zip(pictures, [seeds[0]] * (STEPS - 1) + [seeds[1]], strict=True)
                    )
                ]
            )
            floats = [picture.astype(np.float64) for picture in pictures]
            changes += [float(np.abs(b - a).mean()) for a, b in pairwise(floats)]
        rows[label] = (float(np.mean(changes)), float(np.max(changes)))
        figures.append(
            Figure(
                name=f"morph-{number}",
                caption=f"{label}: straight ways between two styles.",
                picture=captioned_sheet(panels, heading=f"{label}: linear morphing"),
            )
        )
    cells: dict[str, tuple[Cell, ...]] = dict(rows)
    jump = max(rows.values(), key=lambda pair: pair[1] / pair[0])
    return Findings(
        tables=(
            Table(
                columns=("mean change of a step (grey levels)", "largest change"),
                rows=cells,
            ),
        ),
        figures=tuple(figures),
        remarks=(
            f"The largest step changes {jump[1] / jump[0]:.1f} times as much as the mean one.",
        ),
    )


FIGURE_10 = Experiment(
    paper="cips",
    place="Figure 10",
    title="morphing between latents",
    claim="Between two latents pictures change smoothly and stay meaningful.",
    minutes=7,
    differences=(BRIEFLY, "the packaged CREPS beside it"),
    run=run,
)
