"""CREPS, Figure 9: a part of a picture drawn large, beside the same part enlarged by Lanczos."""

from __future__ import annotations

import numpy as np
from PIL import Image

from creps.rendering._painter import Picture
from creps.rendering._sheets import Panel, captioned_sheet
from reproduce.experiment import Cell, Experiment, Figure, Findings, Table
from reproduce.showing import panel_picture, sample
from reproduce.standard_models import SHIPPED
from reproduce.workshop import Workshop

BASE, LARGE = 512, 4096
"""Pixels of the picture that is enlarged, and of the one that is drawn."""
PART = 48
"""Pixels of BASE that are looked at; they are LARGE / BASE times as many of LARGE."""
PLACES = {20: (272, 180), 14: (272, 180)}
"""Upper left corner of the part, (top, left) in pixels of BASE, by seed."""


def run(shop: Workshop) -> Findings:
    """Draw each seed at both sizes, the larger one only where it is looked at."""
    ref = shop.ref(SHIPPED)
    rows: dict[str, tuple[Cell, ...]] = {}
    panels = []
    side = PART * LARGE // BASE
    for seed, (top, left) in PLACES.items():
        whole = sample(ref, seed, size=BASE)
        bottom, right = top + PART, left + PART
        window = (top / BASE, left / BASE, bottom / BASE, right / BASE)
        enlarged, drawn = (
            lanczos(whole[top:bottom, left:right], side),
            sample(ref, seed, size=side, window=window),
        )
        steep = steepest(enlarged), steepest(drawn)
        rows[f"seed {seed}"] = (*steep, steep[1] / steep[0])
        y0, x0, y1, x1 = (round(edge * side) for edge in window)
        panels.append(
            [
                Panel(panel_picture(whole, side), f"{BASE} px, seed {seed}", "", (y0, x0, y1, x1)),
                Panel(
                    enlarged,
                    f"Lanczos from {BASE} px",
                    f"{PART} px, {LARGE // BASE} times as large",
                ),
                Panel(drawn, f"drawn at {LARGE} px", f"{side} px of it"),
            ]
        )
    return Findings(
        tables=(Table(columns=("Lanczos", "drawn", "ratio"), rows=rows, caption=_CAPTION),),
        figures=(
            Figure(
                name="parts",
                caption=f"Pictures at {BASE} px, the part in the box enlarged from them by "
                f"Lanczos, and the same part of pictures drawn at {LARGE} px.",
                picture=captioned_sheet(panels, heading="Enlarged, and drawn large"),
            ),
        ),
        remarks=(_remark([float(row[2] or 0) for row in rows.values()]),),
    )


_CAPTION = "Steepness of the steepest hundredth of the pixels, grey levels a pixel of the part."


def lanczos(picture: Picture, side: int) -> Picture:
    """A picture enlarged to (side, side, 3) by Lanczos."""
    how = Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(picture).resize((side, side), how))


def steepest(picture: Picture) -> float:
    """The mean slope of the steepest hundredth of the pixels, grey levels a pixel."""
    down, across = np.gradient(picture.astype(np.float64).mean(2))
    slopes = np.sort(np.hypot(down, across).ravel())
    return float(slopes[-max(slopes.size // 100, 1) :].mean())


def _remark(ratios: list[float]) -> str:
    """How much steeper edges are than enlarged ones."""
    listed = " and ".join(f"{ratio:.1f}" for ratio in ratios)
    sharper = "sharper" if min(ratios) > 1 else "not always sharper"
    return f"Edges drawn at {LARGE} px are {listed} times as steep as enlarged ones: {sharper}."


FIGURE_9 = Experiment(
    paper="creps",
    place="Figure 9",
    title="drawn large beside Lanczos",
    claim="A picture drawn at a larger size has more detail than a small one that is enlarged.",
    minutes=0.5,
    differences=(
        "drawn portraits instead of photographs; the packaged model",
        f"drawn at {LARGE:,} px where the paper has 2,048 px",
    ),
    run=run,
)
