"""CREPS, Figure 1: one picture at growing sizes, and whether its details stay the same."""

from __future__ import annotations

from itertools import pairwise

from creps.metrics._consistency import box_reduce
from creps.metrics._models import ModelRef
from creps.metrics._similarity import psnr
from creps.rendering._sheets import Panel, captioned_sheet
from reproduce.experiment import Experiment, Figure, Findings, Table
from reproduce.showing import panel_picture, sample
from reproduce.standard_models import ANYRES, CREPS
from reproduce.workshop import Workshop

SCALES = (1, 2, 4)
"""Of R, the size of training; the any-resolution GAN is trained up to the last one."""
SEED = 7
SIDE = 256
"""Pixels of a panel."""


def run(shop: Workshop) -> Findings:
    """Draw one seed of either model at each size; look at the middle of each picture."""
    models = {"CREPS": shop.ref(CREPS), "any-resolution GAN": shop.ref(ANYRES)}
    base = min(ref.trained[0] for ref in models.values())
    panels, rows = [], {}
    for label, ref in models.items():
        row, likeness = _one_model(label, ref, base)
        panels.append(row)
        rows[label] = likeness
    columns = tuple(f"{_times(a)} against {_times(b)} (dB)" for a, b in pairwise(SCALES))
    best = [max(rows, key=lambda label: rows[label][k]) for k in range(len(columns))]
    sheet = captioned_sheet(panels, heading="The middle of one picture at growing sizes")
    return Findings(
        tables=(Table(columns=columns, rows={label: tuple(rows[label]) for label in rows}),),
        figures=(
            Figure(
                name="sizes",
                caption="The middle of a picture drawn at the size of training, R, and at two and "
                "four times that, each pixel as it is: CREPS above, any-resolution GAN below.",
                picture=sheet,
            ),
        ),
        remarks=tuple(
            f"{column.removesuffix(' (dB)')}, reduced: {label} stays more the same, "
            f"by {abs(rows['CREPS'][k] - rows['any-resolution GAN'][k]):.1f} dB."
            for k, (column, label) in enumerate(zip(columns, best, strict=True))
        ),
    )


def _one_model(label: str, ref: ModelRef, base: int) -> tuple[list[Panel], list[float]]:
    """Panels of one model, and how alike its neighbouring sizes are, in decibels."""
    pictures = [sample(ref, SEED, size=scale * base) for scale in SCALES]
    quarter = SIDE // 4
    outline = (quarter, quarter, SIDE - quarter, SIDE - quarter)
    row = [Panel(panel_picture(pictures[0], SIDE), label, f"{base} px, seed {SEED}", outline)]
    for picture in pictures:
        side = len(picture)
        middle = picture[side // 4 : 3 * side // 4, side // 4 : 3 * side // 4]
        row.append(Panel(panel_picture(middle, SIDE), f"{side} px", f"{len(middle)} px are seen"))
    likeness = [psnr(small, box_reduce(large, 2)) for small, large in pairwise(pictures)]
    return row, likeness


def _times(scale: int) -> str:
    """A multiple of R in words."""
    return "R" if scale == 1 else f"{scale}R"


FIGURE_1 = Experiment(
    paper="creps",
    place="Figure 1",
    title="the same details at every size",
    claim="An any-resolution GAN draws other details where it draws larger; CREPS draws the same "
    "ones, only sharper.",
    minutes=30,
    differences=(
        "drawn portraits instead of photographs",
        "small networks of 32 px, the any-resolution GAN trained longer, in its two phases",
        "ScaleParty is in Figure 5",
    ),
    run=run,
)
