"""CREPS, Figure 5: what changes in a picture when it is drawn at twice the size and reduced."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from creps.metrics._consistency import box_reduce
from creps.metrics._similarity import psnr, ssim
from creps.rendering._painter import Picture
from creps.rendering._sheets import Panel, captioned_sheet
from reproduce.experiment import Experiment, Figure, Findings, Table
from reproduce.orders import order_remark
from reproduce.showing import panel_picture, sample
from reproduce.standard_models import ANYRES, CIPS, CREPS, SCALEPARTY
from reproduce.workshop import Workshop

MODELS = {"AnyresGAN": ANYRES, "ScaleParty": SCALEPARTY, "CIPS": CIPS, "CREPS": CREPS}
PUBLISHED_PSNR = {"AnyresGAN": 24.19, "ScaleParty": 24.50, "CIPS": 33.33, "CREPS": 34.65}
"""Table 3, decibels; the figure itself has no numbers."""
MAGNIFIED = 10
SEED = 7
SIDE = 256
"""Pixels of a panel."""


def run(shop: Workshop) -> Findings:
    """Draw one seed of each model at a size of training and at twice that, and subtract."""
    refs = {label: shop.ref(model) for label, model in MODELS.items()}
    base = min(ref.trained[0] for ref in refs.values())
    pictures, residuals, rows = [], [], {}
    for label, ref in refs.items():
        small = sample(ref, SEED, size=base)
        reduced = box_reduce(sample(ref, SEED, size=2 * base), 2)
        rows[label] = (psnr(small, reduced), ssim(small, reduced))
        pictures.append(Panel(panel_picture(small, SIDE), label, f"{base} px, seed {SEED}"))
        shown = residual_map(small, reduced)
        note = f"{rows[label][0]:.1f} dB"
        residuals.append(Panel(panel_picture(shown, SIDE), f"residual x {MAGNIFIED}", note))
    return Findings(
        tables=(Table(columns=("PSNR (dB)", "SSIM"), rows=dict(rows)),),
        figures=(
            Figure(
                name="residuals",
                caption=f"A picture of each model at {base} px (above), and {MAGNIFIED} times its "
                "difference from the same picture drawn at twice that and reduced (below): "
                "black is no difference.",
                picture=captioned_sheet(
                    [pictures, residuals],
                    heading="What changes when a picture is drawn at twice the size",
                ),
            ),
        ),
        remarks=_remarks({label: values[0] for label, values in rows.items()}),
    )


def residual_map(small: Picture, reduced: NDArray[np.float64]) -> Picture:
    """`MAGNIFIED` times the absolute difference of two pictures (H, W, 3), clipped to 8 bits."""
    difference = MAGNIFIED * np.abs(small - reduced)
    return np.rint(difference.clip(0, 255)).astype(np.uint8)


def _remarks(values: dict[str, float]) -> tuple[str, ...]:
    """This picture's residuals beside the paper's Table 3."""
    gap = min(values["CREPS"], values["CIPS"]) - max(values["ScaleParty"], values["AnyresGAN"])
    apart = (
        f"Both pixel-wise models are at least {gap:.1f} dB above both convolutional ones."
        if gap > 0
        else f"The worse pixel-wise model is {-gap:.1f} dB below the better convolutional one."
    )
    return (order_remark("Likeness of this picture across sizes", PUBLISHED_PSNR, values), apart)


FIGURE_5 = Experiment(
    paper="creps",
    place="Figure 5",
    title="residual maps across sizes",
    claim="Pictures of CREPS hardly change between sizes, those of convolutional any-scale models "
    "do, above all at edges.",
    minutes=40,
    differences=(
        "drawn portraits instead of photographs",
        "small networks of 32 px, the any-resolution GAN trained longer",
        "32 px against reduced 64 px, the size of training and twice that, where the paper has "
        "256 px against reduced 512 px, half of what CREPS was trained at",
        "one picture of each; means of many are in Table 3",
    ),
    run=run,
)
