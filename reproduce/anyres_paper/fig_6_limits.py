"""Any-resolution GAN, Fig. 6: one part of a picture at ever larger scales, beyond those trained."""

from __future__ import annotations

import numpy as np

from creps.metrics._models import ModelRef
from creps.metrics._spectra import power_spectrum, radial_spectrum
from creps.rendering._sheets import Panel, captioned_sheet
from reproduce.anyres_paper.scoring import SIZES
from reproduce.experiment import Cell, Experiment, Figure, Findings, Table
from reproduce.showing import panel_picture, sample
from reproduce.standard_models import ANYRES, SHIPPED
from reproduce.workshop import Workshop

TIMES = 1, 2, 4, 8, 16
"""Scales, in units of the network's size."""
PART = 0.25, 0.25, 0.75, 0.75
"""The part of the picture that is shown."""
SIDE = 240
"""Pixels of a panel."""
ROWS = (("any-resolution GAN", ANYRES, 1), ("CREPS as packaged", SHIPPED, 7))
"""Label, model and seed."""


def run(shop: Workshop) -> Findings:
    """Draw the part at each scale; measure how much of its power is fine detail."""
    panels, rows, largest = [], {}, []
    for label, model, seed in ROWS:
        ref = shop.ref(model)
        base = ref.size[0]
        trained = SIZES[-1] * base if model is ANYRES else ref.detail
        shown = [_part(ref, seed, times * base) for times in TIMES]
        panels.append(
            [
                Panel(
                    panel_picture(picture, SIDE),
                    f"{label}, {times * base} px",
                    "trained" if times * base <= trained else "beyond training",
                )
                for picture, times in zip(shown, TIMES, strict=True)
            ]
        )
        cells: tuple[Cell, ...] = tuple(fine_share(picture) for picture in shown)
        rows[label] = cells
        largest.append(f"{label} was trained on pictures of up to {trained} px")
    columns = tuple(f"{times} p" for times in TIMES)
    table = Table(
        columns=columns,
        rows=rows,
        caption="Share of the power in the finer half of the frequencies, percent",
    )
    falls = [_falling(label, cells) for label, cells in rows.items()]
    return Findings(
        tables=(table,),
        figures=(
            Figure(
                name="limits",
                caption="The middle of a picture at ever larger scales, at last beyond those "
                "of training.",
                picture=captioned_sheet(panels, heading="Beyond the scales of training"),
            ),
        ),
        remarks=(*falls, "; ".join(largest) + "."),
    )


def _part(ref: ModelRef, seed: int, scale: int) -> np.ndarray:
    return sample(ref, seed, size=round((PART[2] - PART[0]) * scale), window=PART)


def fine_share(picture: np.ndarray) -> float:
    """Percent of a picture's power in the upper half of the frequencies."""
    spectrum = radial_spectrum(power_spectrum(picture), picture.shape[1])
    total = spectrum.integral[1:].sum()
    fine = spectrum.integral[spectrum.frequency >= 0.25].sum()
    return float(100 * fine / total) if total else 0.0


def _falling(label: str, cells: tuple[Cell, ...]) -> str:
    first, last = float(cells[0] or 0), float(cells[-1] or 0)
    return (
        f"{label}: {first:.3g}% of the power is fine detail at p, {last:.3g}% at "
        f"{TIMES[-1]} p: it adds {'less and less' if last < first else 'more'}."
    )


FIGURE_6 = Experiment(
    paper="anyres",
    place="Figure 6",
    title="how far beyond training",
    claim="Beyond the scales of training textures deteriorate first, then edges.",
    minutes=16,
    differences=(
        "drawn faces, which have edges but hardly any texture",
        "a small any-resolution GAN, and the packaged CREPS for a model that was trained long",
    ),
    run=run,
)
