"""CIPS, Fig. 7: spectra of real and generated pictures."""

from __future__ import annotations

import numpy as np

from creps.metrics._cache import SUM
from creps.metrics._charts import line_chart
from creps.metrics._jobs import Features
from creps.metrics._pages import shaded
from creps.metrics._pictures import ModelPictures, PictureSet, RealPictures
from creps.metrics._real_images import open_reality
from creps.metrics._spectra import radial_spectrum, spectrum_difference, whole_plane
from creps.rendering._sheets import Panel, captioned_sheet
from reproduce.cips_paper.models import BASE, NO_EMBEDDING, STYLEGAN2_BRIEF
from reproduce.experiment import Cell, Experiment, Figure, Findings, Table
from reproduce.showing import panel_picture
from reproduce.standard_models import PORTRAITS
from reproduce.workshop import Workshop

REAL = "real pictures"
MODELS = {"StyleGANv2": STYLEGAN2_BRIEF, "CIPS-base": BASE, "CIPS-NE": NO_EMBEDDING}
SIDE = 224
DECIBELS = 60


def run(shop: Workshop) -> Findings:
    """Mean spectra of all, as planes and over all directions."""
    refs = {label: shop.ref(model) for label, model in MODELS.items()}
    size = refs["CIPS-base"].size
    sets: dict[str, PictureSet] = {
        REAL: RealPictures(real=open_reality(str(shop.data(PORTRAITS))), size=size)
    }
    sets |= {label: ModelPictures(model=ref, size=size) for label, ref in refs.items()}
    extractor, count = shop.extractor(), shop.budget.pictures
    works = {
        label: Features(pictures=pictures, extractor=extractor) for label, pictures in sets.items()
    }
    columns = shop.columns(works, dict.fromkeys(works, count))
    power = {label: columns[label][f"{SUM}power"] / count for label in sets}
    radial = {label: radial_spectrum(each, size[1]) for label, each in power.items()}
    rows: dict[str, tuple[Cell, ...]] = {}
    for label in MODELS:
        apart = spectrum_difference(radial[label].average, radial[REAL].average)
        rows[label] = (apart.rms, apart.tail)
    closest = min(MODELS, key=lambda label: float(rows[label][0] or 0))
    tail = min(MODELS, key=lambda label: abs(float(rows[label][1] or 0)))
    chart = line_chart(
        radial[REAL].frequency[1:],
        {label: 10 * np.log10(np.maximum(r.integral[1:], 1e-6)) for label, r in radial.items()},
        x_name="cycles a pixel",
        y_name="power of each ring added up, dB",
        size=(400, 900),
    )
    return Findings(
        tables=(
            Table(
                columns=("rms off real pictures (dB)", "fine half off real pictures (dB)"),
                rows=rows,
            ),
        ),
        figures=(
            Figure(
                name="planes",
                caption=f"Mean power spectra, frequency 0 in the middle, {DECIBELS} dB from black "
                "to white.",
                picture=_planes(power, size[1]),
            ),
            Figure(name="rings", caption="Azimuthal integration of the spectra.", picture=chart),
        ),
        remarks=(
            f"Closest to the spectrum of real pictures: {closest}; in its fine half: {tail}. "
            "In the paper: CIPS-NE.",
        ),
    )


def _planes(power: dict[str, np.ndarray], width: int) -> np.ndarray:
    """Spectra side by side on one scale."""
    planes = {
        label: 10 * np.log10(np.maximum(whole_plane(each, width), 1e-6))
        for label, each in power.items()
    }
    high = max(float(plane.max()) for plane in planes.values())
    panels = []
    for label, plane in planes.items():
        picture = shaded(plane, low=high - DECIBELS, high=high)[:, :, None]
        panels.append(Panel(panel_picture(picture.repeat(3, axis=2), SIDE), label))
    return captioned_sheet([panels], heading="Mean power spectra")


FIGURE_7 = Experiment(
    paper="cips",
    place="Figure 7",
    title="spectral analysis of generated pictures",
    claim="StyleGAN2 leaves artifacts at the highest frequencies, CIPS does not; CIPS-NE is the "
    "closest to real pictures.",
    minutes=14,
    differences=(
        "32 px networks, 4,800 drawn portraits shown",
        "1,000 pictures of each instead of 5,000, under a Hann window, which takes away the cross "
        "that borders lay over a spectrum",
    ),
    run=run,
)
