"""CIPS, Figs. 11 and 17: panoramas on a cylinder, and two of them blended."""

from __future__ import annotations

import numpy as np
import torch

from creps.coordinates import Canvas
from creps.metrics._models import ModelRef
from creps.rendering._blend_painter import FieldDrawer
from creps.rendering._blends import Radial, StyleField
from creps.rendering._latents import latents
from creps.rendering._painter import Picture, to_uint8
from creps.rendering._renderer import render
from creps.rendering._sheets import Panel, captioned_sheet
from reproduce.cips_paper.models import PANORAMA
from reproduce.experiment import Experiment, Figure, Findings
from reproduce.workshop import Workshop

INSIDE, OUTSIDE = 0, 1
"""Seeds of the two panoramas that are blended."""
MORE = 2, 3, 4, 5
WIDTH = 900
"""Pixels of a panorama, about."""


def run_blend(shop: Workshop) -> Findings:
    """Two panoramas, and one with the style of the first inside and of the second outside."""
    ref = shop.ref(PANORAMA)
    canvas = panorama_canvas(ref)
    first, second = (_panorama(ref, seed, canvas) for seed in (INSIDE, OUTSIDE))
    mixed = _blended(ref, canvas)
    panels = [
        [Panel(first, f"(a) seed {INSIDE}")],
        [Panel(second, f"(b) seed {OUTSIDE}")],
        [Panel(mixed, "(c) the style of (a) in the middle, of (b) outside")],
    ]
    remarks = [
        f"Panorama ({name}): columns of its two ends differ by {_seam(picture):.1f} times as much "
        "as neighbouring columns do on average."
        for name, picture in zip("abc", (first, second, mixed), strict=True)
    ]
    return Findings(
        figures=(
            Figure(
                name="blend",
                caption="Two panoramas of 360 degrees, and both in one.",
                picture=captioned_sheet(panels, heading="Panorama blending"),
            ),
        ),
        remarks=tuple(remarks),
    )


def run_more(shop: Workshop) -> Findings:
    """More panoramas."""
    ref = shop.ref(PANORAMA)
    canvas = panorama_canvas(ref)
    panels = [[Panel(_panorama(ref, seed, canvas), f"seed {seed}")] for seed in MORE]
    return Findings(
        figures=(
            Figure(
                name="panoramas",
                caption="Panoramas of 360 degrees from a model that has seen slices alone.",
                picture=captioned_sheet(panels, heading="Cylindrical panoramas"),
            ),
        )
    )


def panorama_canvas(model: ModelRef) -> Canvas:
    """All of a cylinder, its pixels square."""
    turn = model.generator().period[1]
    height = round(WIDTH / turn)
    return Canvas(height, round(height * turn), (0.0, 0.0, 1.0, turn))


def _panorama(model: ModelRef, seed: int, canvas: Canvas) -> Picture:
    size = (canvas.height, canvas.width)
    return render(model.generator(), seed=seed, size=size, window=canvas.window)


@torch.inference_mode()
def _blended(model: ModelRef, canvas: Canvas) -> Picture:
    """The first style in the middle of the panorama, the second all around."""
    generator = model.generator()
    styles = generator.map(latents([INSIDE, OUTSIDE], generator))
    turn = canvas.window[3]
    weights = Radial(2, inner=turn / 12, outer=turn / 3, centre=(0.5, turn / 2))
    drawer = FieldDrawer(generator, StyleField(styles, weights), canvas)
    image = torch.empty(generator.config.img_channels, canvas.height, canvas.width)
    for tile, pixels in drawer.tiles():
        image[:, tile.rows, tile.columns] = pixels[0]
    return to_uint8(image)


def _seam(picture: Picture) -> float:
    """Difference of the first and last column, over the mean one of neighbours."""
    columns = picture.astype(np.float64)
    inside = np.abs(np.diff(columns, axis=1)).mean()
    return float(np.abs(columns[:, 0] - columns[:, -1]).mean() / max(inside, 1e-9))


_DIFFERENCES = (
    "slices of 120 degrees of satellite maps instead of photographs of landscapes",
    "three slices around the cylinder, a network of 0.8 million parameters, 32 px a slice, 8,000 "
    "pictures shown, drawn at about ten times that size",
)
FIGURE_11 = Experiment(
    paper="cips",
    place="Figure 11",
    title="panoramas on a cylinder, and two of them blended",
    claim="Coordinates on a cylinder give panoramas that close, and styles may differ from pixel "
    "to pixel.",
    minutes=8,
    differences=_DIFFERENCES,
    run=run_blend,
)
FIGURE_17 = Experiment(
    paper="cips",
    place="Figure 17",
    title="more panoramas",
    claim="Panoramas are learnt from pictures none of which is one.",
    minutes=8,
    differences=_DIFFERENCES,
    run=run_more,
)
