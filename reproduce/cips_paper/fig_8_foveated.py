"""CIPS, Fig. 8: pictures of a share of their pixels, dense where the eye looks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from creps.metrics._models import ModelRef
from creps.rendering._foveated import foveated
from creps.rendering._latents import latents
from creps.rendering._painter import Picture, to_uint8
from creps.rendering._sheets import Panel, captioned_sheet
from creps.rendering._view import RenderRequest
from reproduce.cips_paper.drawing import shown_side
from reproduce.cips_paper.models import BRIEFLY, shown
from reproduce.experiment import Cell, Experiment, Figure, Findings, Table
from reproduce.workshop import Workshop

SHARES = 0.05, 0.25, 0.5, 1.0
SIGMA = 0.4
SEED = 1
SIDE = 256
"""Pixels a side, at least; a multiple of the sizes of the small models."""


def run(shop: Workshop) -> Findings:
    """Draw one latent of each model with shares of its pixels, and measure what is filled in."""
    panels, rows = [], {}
    pattern: list[Panel] = []
    for label, model in shown(shop):
        ref = shop.ref(model)
        pictures, masks = _pictures(ref)
        full = pictures[-1].astype(np.float64)
        errors = [np.square(each - full).mean() for each in pictures[:-1]]
        rows[label] = (*(float(10 * np.log10(255**2 / max(e, 1e-9))) for e in errors),)
        panels.append(
            [
                Panel(picture, f"{label}: {share:.0%}" if share == SHARES[0] else f"{share:.0%}")
                for picture, share in zip(pictures, SHARES, strict=True)
            ]
        )
        pattern = pattern or [
            Panel(_painted(mask), f"pattern of {share:.0%}")
            for mask, share in zip(masks, SHARES, strict=True)
        ]
    worse = [label for label, cells in rows.items() if list(cells) != sorted(cells)]
    cells: dict[str, tuple[Cell, ...]] = dict(rows)
    return Findings(
        tables=(
            Table(
                columns=tuple(f"{share:.0%} of the pixels, PSNR (dB)" for share in SHARES[:-1]),
                rows=cells,
                caption="Against the picture of all its pixels.",
            ),
        ),
        figures=(
            Figure(
                name="foveated",
                caption="Foveated pictures of 5, 25, 50 and 100 % of the pixels; the rest is "
                "filled in.",
                picture=captioned_sheet([*panels, pattern], heading="Foveated synthesis"),
            ),
        ),
        remarks=(
            "More pixels come closer to the whole picture"
            + (f", but not for {', '.join(worse)}." if worse else ", for every model."),
        ),
    )


@torch.inference_mode()
def _pictures(model: ModelRef) -> tuple[list[Picture], list[Tensor]]:
    """The picture of each share, and the pixels that were drawn."""
    generator = model.generator()
    styles = generator.map(latents([SEED], generator))
    canvas = RenderRequest(size=shown_side(model, least=SIDE)).canvas(generator)
    found = [foveated(generator, styles, canvas, share=share, sigma=SIGMA) for share in SHARES]
    return [to_uint8(each.image[0]) for each in found], [each.mask for each in found]


def _painted(mask: Tensor) -> Picture:
    picture: Picture = np.where(mask.numpy(), 0, 255).astype(np.uint8)[:, :, None]
    return picture.repeat(3, axis=2)


FIGURE_8 = Experiment(
    paper="cips",
    place="Figure 8",
    title="foveated synthesis",
    claim="Pixels by themselves can be drawn densely where the eye looks and sparsely elsewhere.",
    minutes=7,
    differences=(
        BRIEFLY,
        "it is drawn at 256 px, with the packaged CREPS beside it",
        "missing pixels are filled by the thin plate instead of bicubic interpolation",
    ),
    run=run,
)
