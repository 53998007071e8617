"""CIPS, Figures 7, 8, 11 and 17: spectra of samples, foveated pictures, panoramas."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from creps.coordinates import Canvas
from creps.metrics import PictureSet, radial_spectrum
from creps.metrics._measurements import SUM
from creps.metrics._models import ModelRef
from creps.metrics._pages import line_chart
from creps.metrics._pictures import ModelPictures, RealPictures
from creps.metrics._spectra import spectrum_difference
from creps.rendering import (
    FoveatedPainter,
    Panel,
    Picture,
    Radial,
    StyleField,
    View,
    latents,
    render,
)
from creps.rendering._latents import PreparedLatents
from reproduce.cips_paper.encodings import DECIBELS, planes
from reproduce.cips_paper.models import (
    BASE,
    NO_EMBEDDING,
    PANORAMA,
    STYLEGAN2_BRIEF,
    shown,
)
from reproduce.experiment import Figure, Result, experiment, one_table, sheet
from reproduce.models import PORTRAITS
from reproduce.panels import gray, shown_side
from reproduce.runner import Runner

REAL = "real pictures"


@experiment("cips-fig-7")
def figure_7(runner: Runner) -> Result:
    """Mean spectra of all, as planes and over all directions."""
    models = {"StyleGANv2": STYLEGAN2_BRIEF, "CIPS-base": BASE, "CIPS-NE": NO_EMBEDDING}
    refs = {label: runner.ref(model) for label, model in models.items()}
    size = refs["CIPS-base"].size
    sets: dict[str, PictureSet] = {REAL: RealPictures(real=runner.real(PORTRAITS), size=size)}
    sets |= {label: ModelPictures(model=ref, size=size) for label, ref in refs.items()}
    power = {
        label: columns[f"{SUM}power"] / runner.budget.pictures
        for label, columns in runner.features(sets).items()
    }
    radial = {label: radial_spectrum(each, size[1]) for label, each in power.items()}
    rows = {
        label: spectrum_difference(radial[label].average, radial[REAL].average) for label in models
    }
    chart = line_chart(
        radial[REAL].frequency[1:],
        {label: 10 * np.log10(np.maximum(r.integral[1:], 1e-6)) for label, r in radial.items()},
        x_name="cycles a pixel",
        y_name="power of each ring added up, dB",
        size=(400, 900),
    )
    columns = ("rms off real pictures (dB)", "fine half off real pictures (dB)")
    return one_table(
        columns,
        {k: tuple(pair) for k, pair in rows.items()},
        sheet(
            "planes",
            f"Mean power spectra, frequency 0 in the middle, {DECIBELS} dB from black to white.",
            [planes(power, size[1], side=224)],
            heading="Mean power spectra",
        ),
        Figure(name="rings", caption="Azimuthal integration of the spectra.", picture=chart),
    )


SHARES = 0.05, 0.25, 0.5, 1.0
SIGMA = 0.4


@experiment("cips-fig-8")
def figure_8(runner: Runner) -> Result:
    """Draw one latent of each model with shares of its pixels, and measure what is filled in."""
    panels, rows = [], {}
    for label, model in shown(runner):
        found = _foveated(runner.ref(model))
        *parts, full = (picture.astype(np.float64) for picture, _ in found)
        errors = [max(float(np.square(each - full).mean()), 1e-9) for each in parts]
        rows[label] = [10 * np.log10(255**2 / error) for error in errors]
        panels.append(
            [
                Panel(picture, f"{label}: {share:.0%}" if share == SHARES[0] else f"{share:.0%}")
                for (picture, _), share in zip(found, SHARES, strict=True)
            ]
        )
    panels.append(
        [
            Panel(gray(np.where(mask.numpy(), 0, 255).astype(np.uint8)), f"pattern of {share:.0%}")
            for (_, mask), share in zip(found, SHARES, strict=True)
        ]
    )
    return one_table(
        tuple(f"{share:.0%} of the pixels, PSNR (dB)" for share in SHARES[:-1]),
        rows,
        sheet(
            "foveated",
            "Foveated pictures of 5, 25, 50 and 100 % of the pixels; the rest is filled in.",
            panels,
            heading="Foveated synthesis",
        ),
        caption="Against the picture of all its pixels.",
    )


@torch.inference_mode()
def _foveated(model: ModelRef) -> list[tuple[Picture, Tensor]]:
    """The picture of each share, and the pixels that were drawn."""
    generator, view = model.generator(), View(size=shown_side(model, least=256))
    ready = PreparedLatents(generator, generator.map(latents([1], generator)))
    found = [FoveatedPainter(ready, view, share=share, sigma=SIGMA) for share in SHARES]
    return [(each.pixels(), each.mask) for each in found]


INSIDE, OUTSIDE = 0, 1
"""Seeds of the two panoramas that are blended."""
MORE = 2, 3, 4, 5
WIDTH = 900
"""Pixels of a panorama, about."""


@experiment("cips-fig-11")
def figure_11(runner: Runner) -> Result:
    """Two panoramas, and one with the style of the first inside and of the second outside."""
    ref = runner.ref(PANORAMA)
    pictures = {
        f"(a) seed {INSIDE}": _panorama(ref, INSIDE),
        f"(b) seed {OUTSIDE}": _panorama(ref, OUTSIDE),
        "(c) the style of (a) in the middle, of (b) outside": _blended(ref),
    }
    rows = {label[:3]: (seam(picture),) for label, picture in pictures.items()}
    return one_table(
        ("difference of the two ends, over that of neighboring columns",),
        rows,
        sheet(
            "blend",
            "Two panoramas of 360 degrees, and both in one.",
            [[Panel(picture, label)] for label, picture in pictures.items()],
            heading="Panorama blending",
        ),
    )


@experiment("cips-fig-17")
def figure_17(runner: Runner) -> Result:
    """More panoramas."""
    ref = runner.ref(PANORAMA)
    return Result(
        figures=(
            sheet(
                "panoramas",
                "Panoramas of 360 degrees from a model that has seen slices alone.",
                [[Panel(_panorama(ref, seed), f"seed {seed}")] for seed in MORE],
                heading="Cylindrical panoramas",
            ),
        )
    )


def panorama_canvas(model: ModelRef) -> Canvas:
    """All of a cylinder, its pixels square."""
    turn = model.generator().period[1]
    height = round(WIDTH / turn)
    return Canvas(height, round(height * turn), (0.0, 0.0, 1.0, turn))


def _panorama(model: ModelRef, seed: int) -> Picture:
    canvas = panorama_canvas(model)
    size = (canvas.height, canvas.width)
    return render(model.generator(), seed=seed, size=size, window=canvas.window)


def _blended(model: ModelRef) -> Picture:
    """The first style in the middle of the panorama, the second all around."""
    generator, canvas = model.generator(), panorama_canvas(model)
    turn = canvas.window[3]
    weights = Radial(2, inner=turn / 12, outer=turn / 3, x=turn / 2)
    with torch.inference_mode():
        styles = generator.map(latents([INSIDE, OUTSIDE], generator))
        return field_picture(model, StyleField(styles, weights), canvas)


def field_picture(model: ModelRef, field: StyleField, canvas: Canvas) -> Picture:
    """All of a canvas, with styles that change along it."""
    size = canvas.height, canvas.width
    return render(model.generator(), styles=field, size=size, window=canvas.window)


def seam(picture: Picture) -> float:
    """Difference of the first and last column, over the mean one of neighbors."""
    columns = picture.astype(np.float64)
    inside = np.abs(np.diff(columns, axis=1)).mean()
    return float(np.abs(columns[:, 0] - columns[:, -1]).mean() / max(inside, 1e-9))
