"""CREPS, Figure 6: one picture moved, zoomed, turned and bent by its coordinates."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from creps.coordinates import Canvas
from creps.metrics._similarity import psnr
from creps.rendering._painter import Picture
from creps.rendering._sheets import Panel, captioned_sheet
from creps.rendering.warps import as_warp, warped_grid
from reproduce.experiment import Experiment, Figure, Findings, Table
from reproduce.showing import sample
from reproduce.standard_models import SHIPPED
from reproduce.workshop import Workshop

TRANSFORMS = {
    "as it is": "identity",
    "translation": "translate:0.15,0.2",
    "zooming out": "zoom:0.6",
    "zooming in": "zoom:2.5,y=0.55",
    "rotation": "rotate:30",
    "elastic distortion": "elastic:amount=0.1,scale=0.35,seed=3",
}
SEED = 25
SIDE = 320
"""Pixels of a panel."""
FINER = 8
"""Times: the picture that the transformed ones are compared with."""
RED = (230, 20, 20)


def run(shop: Workshop) -> Findings:
    """Draw one seed under each transformation, and look its pixels up in a large picture of it."""
    ref = shop.ref(SHIPPED)
    large = sample(ref, SEED, size=FINER * SIDE)
    panels, rows = [], {}
    for label, words in TRANSFORMS.items():
        picture = sample(ref, SEED, size=SIDE, warp=words)
        places = warped_grid(Canvas(SIDE, SIDE), as_warp(words)).points.numpy()
        inside = in_unit_square(places)
        rows[label] = (psnr(picture[inside], looked_up(large, places[inside])),)
        panels.append(Panel(with_border(picture, inside), label, words))
    rows.pop("as it is")
    worst = min(rows, key=lambda label: rows[label])
    return Findings(
        tables=(Table(columns=("like the picture itself (dB)",), rows=dict(rows)),),
        figures=(
            Figure(
                name="transforms",
                caption="One picture, transformed by its coordinates alone; the border of what was "
                "trained on is red, and all beyond it is extrapolated.",
                picture=captioned_sheet(
                    [panels[:3], panels[3:]], heading="Transformations of the coordinates"
                ),
            ),
        ),
        remarks=(
            f"Inside the red border each pixel was looked up in the same picture drawn {FINER} "
            f"times as large, at its transformed place: {worst} is the least alike, with "
            f"{rows[worst][0]:.1f} dB.",
        ),
    )


def in_unit_square(places: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points (..., 2) lie in what was trained on; NaN lies outside."""
    y, x = places[..., 0], places[..., 1]
    return (y >= 0) & (y < 1) & (x >= 0) & (x < 1)


def looked_up(picture: Picture, places: NDArray[np.float64]) -> Picture:
    """The pixels (P, C) of a picture of the unit square that points (P, 2) lie in."""
    y, x = (places * picture.shape[:2]).astype(np.int64).T
    found: Picture = picture[y, x]
    return found


def with_border(picture: Picture, inside: NDArray[np.bool_]) -> Picture:
    """A picture with a red line between a mask (H, W) and what lies beside it."""
    mask = torch.from_numpy(inside).float()[None, None]
    grown, left = (torch.nn.functional.max_pool2d(s * mask, 3, 1, 1) for s in (1, -1))
    line = (grown + left)[0, 0].numpy() > 0  # where a pixel inside and one outside are neighbours
    marked = picture.copy()
    marked[line] = RED
    return marked


FIGURE_6 = Experiment(
    paper="creps",
    place="Figure 6",
    title="transformations of the coordinates",
    claim="Other coordinates give the same picture moved, zoomed, turned or bent, and what lies "
    "beyond its border.",
    minutes=0.5,
    differences=(
        "drawn portraits instead of photographs; the packaged model",
        "zooms keep the middle where the paper's keep the corner",
    ),
    run=run,
)
