"""Any-resolution GAN, Figs. 9 and 10: panoramas and endless landscapes, learnt from slices."""

from __future__ import annotations

import numpy as np
import torch

from creps.coordinates import Canvas
from creps.metrics._models import ModelRef
from creps.rendering._blend_painter import FieldDrawer
from creps.rendering._blends import panorama
from creps.rendering._latents import latents
from creps.rendering._painter import Picture, to_uint8
from creps.rendering._renderer import render
from creps.rendering._sheets import Panel, captioned_sheet
from reproduce.anyres_paper.variants import BELT
from reproduce.experiment import Cell, Experiment, Figure, Findings, Table
from reproduce.workshop import Workshop

SEEDS = 1, 2, 3, 4
TURNS = 1.5
"""Of a panorama, so that it is seen to go on."""
DENSITY = 2
"""Pixels drawn, over those of training, along each axis."""
WIDTH = 1200
"""Pixels of the figures' panels, about."""
LINES, UNITS = 4, 8
"""Of the landscape, and plane units a line; each has its own style."""
LINE = 3
"""Pixels of the mark after a full turn."""


def run_panoramas(shop: Workshop) -> Findings:
    """Draw one and a half turns, and compare columns across the place where it closes."""
    ref = shop.ref(BELT)
    pictures = [belt(ref, seed) for seed in SEEDS]
    turn = round(pictures[0].shape[1] / TURNS)
    rows: dict[str, tuple[Cell, ...]] = {
        f"seed {seed}": closing(picture, turn)
        for seed, picture in zip(SEEDS, pictures, strict=True)
    }
    panels = [
        [Panel(_marked(_enlarged(picture), 1 / TURNS), f"seed {seed}")]
        for seed, picture in zip(SEEDS, pictures, strict=True)
    ]
    closed = all(float(row[1] or 0) < 1 for row in rows.values())
    return Findings(
        tables=(
            Table(
                columns=("step at the closing place, over the mean", "difference after a turn"),
                rows=rows,
                caption="Grey levels between neighbouring columns, and between equal places",
            ),
        ),
        figures=(
            Figure(
                name="panoramas",
                caption="One and a half turns of panoramas; the white line is a full turn.",
                picture=captioned_sheet(panels, heading="Panoramas from slices of 120 degrees"),
            ),
        ),
        remarks=(
            "All panoramas close: after a turn the same colours come again."
            if closed
            else "Not all panoramas close.",
        ),
    )


def run_landscape(shop: Workshop) -> Findings:
    """Draw a strip of many styles that flow into each other, on several lines."""
    ref = shop.ref(BELT)
    strip = landscape(ref, LINES * UNITS)
    width = strip.shape[1] // LINES
    panels = [
        [
            Panel(
                _enlarged(strip[:, k * width : (k + 1) * width]),
                f"styles {k * UNITS + 1} to {(k + 1) * UNITS}",
            )
        ]
        for k in range(LINES)
    ]
    inside, seams = steps_at_borders(strip, LINES * UNITS)
    return Findings(
        figures=(
            Figure(
                name="landscape",
                caption="One landscape on four lines: thirty-two styles that flow into each other.",
                picture=captioned_sheet(panels, heading="A landscape without an end"),
            ),
        ),
        remarks=(
            f"Neighbouring columns differ by {seams:.2f} grey levels in the middle between two "
            f"styles, and by {inside:.2f} on average.",
        ),
    )


def belt(ref: ModelRef, seed: int) -> Picture:
    """One and a half turns of a cylinder, (H, W, 3) uint8."""
    side = DENSITY * ref.size[0]
    length = TURNS * ref.generator().period[1]
    size = side, round(side * length)
    return render(ref.generator(), seed=seed, size=size, window=(0.0, 0.0, 1.0, length))


@torch.inference_mode()
def landscape(ref: ModelRef, count: int) -> Picture:
    """So many plane units, each with a style of its own, (H, W, 3) uint8."""
    generator = ref.generator()
    field = panorama(generator.map(latents(list(range(count)), generator)), overlap=1.0)
    side = DENSITY * ref.size[0]
    canvas = Canvas(side, side * count, (0.0, 0.0, 1.0, float(count)))
    image = torch.empty(generator.config.img_channels, canvas.height, canvas.width)
    for tile, pixels in FieldDrawer(generator, field, canvas).tiles():
        image[:, tile.rows, tile.columns] = pixels[0]
    return to_uint8(image)


def closing(picture: Picture, turn: int) -> tuple[float, float]:
    """(step over the mean step, mean difference after a turn) of a picture longer than a turn.

    Args:
        picture: (H, W, C) uint8.
        turn: pixels of a turn, less than W.
    """
    columns = picture.astype(np.float64)
    steps = np.abs(np.diff(columns, axis=1)).mean((0, 2))
    after = np.abs(columns[:, turn:] - columns[:, : columns.shape[1] - turn]).mean()
    return float(steps[turn - 1] / max(steps.mean(), 1e-9)), float(after)


def steps_at_borders(strip: Picture, count: int) -> tuple[float, float]:
    """Mean difference of neighbouring columns, everywhere and at the borders of plane units."""
    steps = np.abs(np.diff(strip.astype(np.float64), axis=1)).mean((0, 2))
    unit = strip.shape[1] // count
    return float(steps.mean()), float(steps[unit - 1 :: unit].mean())


def _enlarged(picture: Picture) -> Picture:
    """Larger pixels, nothing is smoothed."""
    times = max(WIDTH // picture.shape[1], 1)
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def _marked(picture: Picture, place: float) -> Picture:
    """A white line at a share of the width."""
    x = round(place * picture.shape[1])
    picture[:, x - LINE // 2 : x + LINE // 2 + 1] = 255
    return picture


_DIFFERENCES = (
    "slices of 120 degrees of satellite maps instead of photographs of mountains",
    "a network of 0.1 million parameters, 32 px, 12,800 pictures shown, drawn at twice that size",
    "the cylinder is in the Fourier features themselves instead of a sine and a cosine before them",
)
FIGURE_9 = Experiment(
    paper="anyres",
    place="Figure 9",
    title="panoramas from slices",
    claim="Slices at unknown angles are enough to learn panoramas that close without a seam.",
    minutes=15,
    differences=_DIFFERENCES,
    run=run_panoramas,
)
FIGURE_10 = Experiment(
    paper="anyres",
    place="Figure 10",
    title="landscapes without an end",
    claim="The same model draws landscapes of any length when the style changes along the plane.",
    minutes=15,
    differences=_DIFFERENCES,
    run=run_landscape,
)
