"""CREPS, Figures 1, 5, 9 and 10: pictures at several sizes, and many samples."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from creps.metrics import psnr, real_images, ssim
from creps.metrics._pictures import ModelPictures, RealPictures
from creps.metrics._real_images import PORTRAITS as DRAWN_PORTRAITS
from creps.metrics._similarity import box_reduce
from creps.rendering import Panel, Picture, contact_sheet
from reproduce.creps_paper.attributes import attribute_coverage, portrait_attributes
from reproduce.experiment import (
    Figure,
    Result,
    Table,
    by_column,
    experiment,
    one_table,
    sheet,
)
from reproduce.models import ANYRES, CIPS, CREPS, SCALEPARTY, SHIPPED
from reproduce.panels import enlarged, panel_picture, sample
from reproduce.runner import Runner

SEED = 7
SIDE = 256
"""Pixels of a panel."""
SCALES = (1, 2, 4)
"""Of R, the size of training; the any-resolution GAN is trained up to the last one."""


@experiment("creps-fig-1")
def figure_1(runner: Runner) -> Result:
    """Draw one seed of either model at each size; show the middle of each picture."""
    models = {"CREPS": runner.ref(CREPS), "any-resolution GAN": runner.ref(ANYRES)}
    base = min(ref.trained[0] for ref in models.values())
    quarter = SIDE // 4
    outline = (quarter, quarter, SIDE - quarter, SIDE - quarter)
    panels, rows = [], {}
    for label, ref in models.items():
        pictures = [sample(ref, SEED, size=scale * base) for scale in SCALES]
        whole = panel_picture(pictures[0], SIDE)
        row = [Panel(whole, label, f"{base} px, seed {SEED}", outline)]
        for picture in pictures:
            side = len(picture)
            middle = picture[side // 4 : 3 * side // 4, side // 4 : 3 * side // 4]
            note = f"{len(middle)} px are seen"
            row.append(Panel(panel_picture(middle, SIDE), f"{side} px", note))
        panels.append(row)
        rows[label] = [psnr(small, box_reduce(large, 2)) for small, large in pairwise(pictures)]
    return one_table(
        ("R against 2R (dB)", "2R against 4R (dB)"),
        rows,
        sheet(
            "sizes",
            "The middle of a picture drawn at the size of training, R, and at two and four "
            "times that, each pixel as it is: CREPS above, any-resolution GAN below.",
            panels,
            heading="The middle of one picture at growing sizes",
        ),
    )


MAGNIFIED = 10


@experiment("creps-fig-5", compare=by_column)
def figure_5(runner: Runner) -> Result:
    """Draw one seed of each model at a size of training and at twice that, and subtract."""
    models = {"AnyresGAN": ANYRES, "ScaleParty": SCALEPARTY, "CIPS": CIPS, "CREPS": CREPS}
    refs = {label: runner.ref(model) for label, model in models.items()}
    base = min(ref.trained[0] for ref in refs.values())
    pictures, residuals, rows = [], [], {}
    for label, ref in refs.items():
        small = sample(ref, SEED, size=base)
        reduced = box_reduce(sample(ref, SEED, size=2 * base), 2)
        rows[label] = (psnr(small, reduced), ssim(small, reduced))
        pictures.append(Panel(panel_picture(small, SIDE), label, f"{base} px, seed {SEED}"))
        shown = panel_picture(residual_map(small, reduced), SIDE)
        residuals.append(Panel(shown, f"residual x {MAGNIFIED}", f"{rows[label][0]:.1f} dB"))
    return one_table(
        ("PSNR (dB)", "SSIM"),
        rows,
        sheet(
            "residuals",
            f"A picture of each model at {base} px (above), and {MAGNIFIED} times its "
            "difference from the same picture drawn at twice that and reduced (below): "
            "black is no difference.",
            [pictures, residuals],
            heading="What changes when a picture is drawn at twice the size",
        ),
    )


def residual_map(small: Picture, reduced: NDArray[np.float64]) -> Picture:
    """`MAGNIFIED` times the absolute difference of two pictures (H, W, 3), clipped to 8 bits."""
    difference = MAGNIFIED * np.abs(small - reduced)
    return np.rint(difference.clip(0, 255)).astype(np.uint8)


DRAWN, LARGE = 512, 4096
"""Pixels of the picture that is enlarged, and of the one that is drawn."""
PART = 48
"""Pixels of DRAWN that are shown; they are LARGE / DRAWN times as many of LARGE."""
PLACES = {20: (272, 180), 14: (272, 180)}
"""Upper left corner of the part, (top, left) in pixels of DRAWN, by seed."""


@experiment("creps-fig-9")
def figure_9(runner: Runner) -> Result:
    """Draw each seed at both sizes, the larger one only where it is shown."""
    ref = runner.ref(SHIPPED)
    side = PART * LARGE // DRAWN
    panels, rows = [], {}
    for seed, (top, left) in PLACES.items():
        whole = sample(ref, seed, size=DRAWN)
        bottom, right = top + PART, left + PART
        window = (top / DRAWN, left / DRAWN, bottom / DRAWN, right / DRAWN)
        small = enlarged(whole[top:bottom, left:right], side)
        large = sample(ref, seed, size=side, window=window)
        steep = steepest(small), steepest(large)
        rows[f"seed {seed}"] = (*steep, steep[1] / steep[0])
        y0, x0, y1, x1 = (round(edge * side) for edge in window)
        times = f"{PART} px, {LARGE // DRAWN} times as large"
        panels.append(
            [
                Panel(panel_picture(whole, side), f"{DRAWN} px, seed {seed}", "", (y0, x0, y1, x1)),
                Panel(small, f"Lanczos from {DRAWN} px", times),
                Panel(large, f"drawn at {LARGE} px", f"{side} px of it"),
            ]
        )
    caption = "Steepness of the steepest hundredth of the pixels, gray levels a pixel of the part."
    return one_table(
        ("Lanczos", "drawn", "ratio"),
        rows,
        sheet(
            "parts",
            f"Pictures at {DRAWN} px, the part in the box enlarged from them by Lanczos, and "
            f"the same part of pictures drawn at {LARGE} px.",
            panels,
            heading="Enlarged, and drawn large",
        ),
        caption=caption,
    )


def steepest(picture: Picture) -> float:
    """The mean slope of the steepest hundredth of the pixels, gray levels a pixel."""
    down, across = np.gradient(picture.astype(np.float64).mean(2))
    slopes = np.sort(np.hypot(down, across).ravel())
    return float(slopes[-max(slopes.size // 100, 1) :].mean())


COLUMNS, ROWS = 7, 4
THUMBNAIL = 160
"""Pixels of a sample."""


@experiment("creps-fig-10")
def figure_10(runner: Runner) -> Result:
    """Draw the first seeds, none left out, and count kinds of hair, eyes and clothes in many."""
    ref = runner.ref(SHIPPED)
    seeds = range(COLUMNS * ROWS)
    pictures = [sample(ref, seed, size=THUMBNAIL, supersample="auto") for seed in seeds]
    figure = Figure(
        name="samples",
        caption=f"Seeds 0 to {seeds[-1]}, none left out, without truncation.",
        picture=contact_sheet(pictures, columns=COLUMNS),
    )
    if runner.paper:
        return Result(figures=(figure,))
    return Result(tables=(_variety(runner),), figures=(figure,))


def _variety(runner: Runner) -> Table:
    """Whether every kind of hair, eyes, ... is as frequent among samples as in the data set."""
    ref, real = runner.ref(SHIPPED), real_images(DRAWN_PORTRAITS)
    seen = runner.features(
        {
            "samples": ModelPictures(model=ref, size=ref.size),
            "portraits": RealPictures(real=real, size=ref.size),
        }
    )
    features = {label: columns["features"] for label, columns in seen.items()}
    known = portrait_attributes(len(features["portraits"]))
    found = attribute_coverage(features["samples"], features["portraits"], known)
    return Table(
        columns=("shares in common", "told right"),
        rows={"hair, eyes, clothes, ...": (found.coverage, found.accuracy)},
        caption="Shares of the kinds of each part, told by the nearest portrait in features",
    )
