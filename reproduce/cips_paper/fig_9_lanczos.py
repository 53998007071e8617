"""CIPS, Fig. 9: pictures drawn at four times the training size, and enlarged to it."""

from __future__ import annotations

from creps.metrics._models import ModelRef
from creps.metrics._pictures import ModelPictures
from creps.metrics._resampled import resampled
from creps.metrics._spectra import power_spectrum
from creps.rendering._painter import Picture
from creps.rendering._sheets import Panel, captioned_sheet
from reproduce.cips_paper.encodings import mean_frequency
from reproduce.cips_paper.models import BRIEFLY, shown
from reproduce.experiment import Cell, Experiment, Figure, Findings, Table
from reproduce.showing import panel_picture
from reproduce.workshop import Workshop

FACTOR = 4
SEED = 1
SIDE = 256
"""Pixels a side of a panel."""
EYES = (0.42, 0.22, 0.72, 0.52)
"""(y0, x0, y1, x1) of an eye, about, in plane units."""


def run(shop: Workshop) -> Findings:
    """Draw and enlarge a sample of each model, and look at an eye."""
    panels, fine = [], {}
    for label, model in shown(shop):
        ref = shop.ref(model)
        native, enlarged = _both(ref)
        fine[label] = tuple(
            mean_frequency(power_spectrum(each), each.shape[1]) for each in (enlarged, native)
        )
        height, width = native.shape[:2]
        y0, x0, y1, x1 = EYES
        box = (round(y0 * height), round(x0 * width), round(y1 * height), round(x1 * width))
        whole = panel_picture(native, SIDE)
        outline = (round(y0 * SIDE), round(x0 * SIDE), round(y1 * SIDE), round(x1 * SIDE))
        panels.append(
            [
                Panel(whole, f"{label}, {height} px", outline=outline),
                Panel(_detail(enlarged, box), f"{min(ref.size)} px, Lanczos to {height}"),
                Panel(_detail(native, box), f"drawn at {height} px"),
            ]
        )
    rows: dict[str, tuple[Cell, ...]] = dict(fine)
    finer = [label for label, (lanczos, drawn) in fine.items() if drawn > lanczos]
    return Findings(
        tables=(
            Table(
                columns=("Lanczos", "drawn"),
                rows=rows,
                caption="Mean frequency of the power spectrum, cycles a pixel.",
            ),
        ),
        figures=tuple(
            Figure(
                name=f"detail-{k + 1}",
                caption=f"{label}: a detail enlarged with a Lanczos filter, and drawn.",
                picture=captioned_sheet([row], heading=f"{FACTOR} times the size"),
            )
            for k, (row, (label, _)) in enumerate(zip(panels, shown(shop), strict=True))
        ),
        remarks=(f"Finer when drawn than when enlarged: {', '.join(finer) or 'none'}.",),
    )


def _both(model: ModelRef) -> tuple[Picture, Picture]:
    """A sample drawn at the larger size, and at its own size and enlarged."""
    large = (FACTOR * model.size[0], FACTOR * model.size[1])
    small, native = (
        ModelPictures(model=model, size=size, first=SEED).picture(0) for size in (model.size, large)
    )
    return native, resampled(small, large)


def _detail(picture: Picture, box: tuple[int, int, int, int]) -> Picture:
    """A part of a picture, its pixels made larger."""
    top, left, bottom, right = box
    return panel_picture(picture[top:bottom, left:right], SIDE)


FIGURE_9 = Experiment(
    paper="cips",
    place="Figure 9",
    title="beyond the training size, against Lanczos enlargement",
    claim="A denser grid shows more plausible detail than an enlarged picture.",
    minutes=7,
    differences=(BRIEFLY, "it is drawn at 128 px, and the packaged CREPS at 256 px beside it"),
    run=run,
)
