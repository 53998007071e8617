"""CREPS, Figure 8: the samples that show most of each typical artifact."""

from __future__ import annotations

from creps.metrics._consistency import ARTIFACTS, artifact_measures
from creps.metrics._diagnosis import Diagnosis, Finding, diagnose
from creps.metrics._models import ModelRef
from creps.metrics._real_images import PORTRAITS as DRAWN
from creps.metrics._real_images import open_reality
from creps.rendering._sheets import Panel, captioned_sheet
from reproduce.experiment import Cell, Experiment, Figure, Findings, Table
from reproduce.showing import panel_picture, sample
from reproduce.standard_models import PORTRAITS, SHIPPED
from reproduce.workshop import Workshop

SAMPLES = 200
LEAST_SIDE = 256
"""Pixels that are looked at, or the model's own where it has more."""
SIDE = 224
"""Pixels of a panel."""
ACROSS = 4


def run(shop: Workshop) -> Findings:
    """Diagnose samples beside real pictures, and show those with the most of each artifact."""
    ref = shop.ref(SHIPPED)
    side = max(ref.size[0], LEAST_SIDE)
    real = open_reality(str(shop.data(PORTRAITS)) if shop.paper else DRAWN)
    found = diagnose(
        ref,
        real,
        count=shop.budget.capped(SAMPLES),
        size=(side, side),
        cache=shop.features,
        workers=shop.workers,
        progress=shop.progress,
    )
    rows: dict[str, tuple[Cell, ...]] = {
        each.name: (each.model, each.real, each.off, each.verdict) for each in found.findings
    }
    columns = ("samples", "real pictures", "off (standard deviations)", "verdict")
    shown = [each for each in found.findings if each.name in ARTIFACTS]
    return Findings(
        tables=(Table(columns=columns, rows=rows, caption=_caption(found)),),
        figures=(
            Figure(
                name="gallery",
                caption=f"Of {found.count} samples, those with the most of each artifact; the "
                "worst is on the left.",
                picture=captioned_sheet(
                    [_worst(ref, each, side) for each in shown],
                    heading=f"The worst of {found.count} samples",
                ),
            ),
        ),
        remarks=_remarks(found),
    )


def _caption(found: Diagnosis) -> str:
    height, width = found.size
    return (
        f"Means over {found.count} pictures of {height} x {width} pixels of each kind; the line "
        "of the spectrum is in decibels."
    )


def _worst(ref: ModelRef, finding: Finding, side: int) -> list[Panel]:
    """Panels of the samples that show most of an artifact."""
    panels = []
    for seed in finding.worst[:ACROSS]:
        picture = sample(ref, seed, size=side)
        value = artifact_measures(picture)[finding.name]
        note = f"{value:.2f}; mean {finding.model:.2f}, real {finding.real:.2f}"
        panels.append(Panel(panel_picture(picture, SIDE), f"{finding.name}, seed {seed}", note))
    return panels


def _remarks(found: Diagnosis) -> tuple[str, ...]:
    """What is found, and what to change."""
    by_verdict = {
        verdict: [each.name for each in found.findings if each.verdict == verdict]
        for verdict in ("clear", "slight", "none")
    }
    told = "; ".join(
        f"{verdict}: {', '.join(names)}" for verdict, names in by_verdict.items() if names
    )
    advice = [f"{each.name}: {each.advice}" for each in found.findings if each.advice]
    return (f"Beside real pictures: {told}.", *advice)


FIGURE_8 = Experiment(
    paper="creps",
    place="Figure 8",
    title="artifacts",
    claim="Pixel-wise generators have artifacts of their own: waves, upright mirror symmetry and "
    "glowing blobs.",
    minutes=3,
    differences=(
        "drawn portraits instead of photographs; the packaged model",
        "found by measures instead of by eye; stripes are a kind of our own",
    ),
    run=run,
)
