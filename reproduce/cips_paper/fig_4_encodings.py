"""CIPS, Figs. 4, 5 and 14: spectra and main components of the two encodings of a place."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from creps.metrics._models import ModelRef
from creps.metrics._pages import shaded
from creps.metrics._spectra import whole_plane
from creps.rendering._painter import Picture
from creps.rendering._sheets import Panel, captioned_sheet
from creps.rendering._view import RenderRequest
from reproduce.cips_paper.encodings import main_components, mean_frequency, mean_spectrum
from reproduce.cips_paper.models import BASE, EARTH, cips_on
from reproduce.experiment import Cell, Experiment, Figure, Findings, Table
from reproduce.showing import panel_picture
from reproduce.workshop import Workshop

FOURIER, EMBEDDING = "Fourier features", "coordinate embeddings"
SIDE = 320
"""Pixels a side of a panel."""
DECIBELS = 60


@torch.inference_mode()
def encodings(model: ModelRef) -> dict[str, NDArray[np.float64]]:
    """(H, W, F) codes of the pixels of a model's own size, by kind."""
    generator: Any = model.generator()
    grid = RenderRequest(size=min(model.size)).canvas(generator).grid()
    parts = {FOURIER: generator.fourier, EMBEDDING: generator.embedding}
    return {
        name: part(grid).unflatten(0, grid.shape).double().numpy() for name, part in parts.items()
    }


def run_spectra(shop: Workshop) -> Findings:
    """Mean power of both encodings, on one scale."""
    found = encodings(shop.ref(BASE))
    power = {name: mean_spectrum(maps) for name, maps in found.items()}
    width = found[FOURIER].shape[1]
    planes = {
        name: 10 * np.log10(np.maximum(whole_plane(each, width), 1e-12))
        for name, each in power.items()
    }
    high = max(float(plane.max()) for plane in planes.values())
    panels = [Panel(_gray(plane, high), name) for name, plane in planes.items()]
    fine = {name: mean_frequency(each, width) for name, each in power.items()}
    rows: dict[str, tuple[Cell, ...]] = {name: (value,) for name, value in fine.items()}
    finer = max(fine, key=lambda name: fine[name])
    return Findings(
        tables=(Table(columns=("mean frequency, cycles a pixel",), rows=rows),),
        figures=(
            Figure(
                name="spectra",
                caption="Power of the two encodings, frequency 0 in the middle, "
                f"{DECIBELS} dB from black to white.",
                picture=captioned_sheet([panels], heading="Spectra of the encodings"),
            ),
        ),
        remarks=(f"The finer encoding: {finer} (white noise has 0.38 cycles a pixel).",),
    )


def run_components(shop: Workshop) -> Findings:
    """Three main components of both encodings, as red, green and blue."""
    found = encodings(shop.ref(BASE))
    panels = [Panel(_coloured(maps), name) for name, maps in found.items()]
    return Findings(
        figures=(
            Figure(
                name="components",
                caption="Three main components of the two encodings, as red, green and blue.",
                picture=captioned_sheet([panels], heading="Main components of the encodings"),
            ),
        )
    )


def run_components_elsewhere(shop: Workshop) -> Findings:
    """Components of the embeddings of another set."""
    sets = {"portraits": BASE, "maps of the Earth": cips_on(EARTH)}
    panels = [
        Panel(_coloured(encodings(shop.ref(model))[EMBEDDING]), name)
        for name, model in sets.items()
    ]
    return Findings(
        figures=(
            Figure(
                name="components",
                caption="Main components of the embeddings of networks for two sets.",
                picture=captioned_sheet([panels], heading="Coordinate embeddings of two sets"),
            ),
        )
    )


def _coloured(maps: NDArray[np.float64]) -> Picture:
    picture: Picture = np.rint(255 * main_components(maps)).astype(np.uint8)
    return panel_picture(picture, SIDE)


def _gray(plane: NDArray[np.float64], high: float) -> Picture:
    """Decibels as grays."""
    picture: Picture = shaded(plane, low=high - DECIBELS, high=high)[:, :, None].repeat(3, axis=2)
    return panel_picture(picture, SIDE)


_SMALL = (
    "CIPS-base of Table 3 here: 32 features of each kind at 32 x 32 places, 4,800 drawn portraits "
    "shown instead of 4.8 million"
)
_FRESH = "embeddings start as noise, and so short a training leaves much of it"
FIGURE_4 = Experiment(
    paper="cips",
    place="Figure 4",
    title="spectra of the two encodings of a place",
    claim="Fourier features carry low frequencies, coordinate embeddings high ones.",
    minutes=4,
    differences=(_SMALL, _FRESH),
    run=run_spectra,
)
FIGURE_5 = Experiment(
    paper="cips",
    place="Figure 5",
    title="main components of the two encodings",
    claim="Coordinate embeddings hold fine detail, and the key points of an average face.",
    minutes=4,
    differences=(_SMALL, _FRESH),
    run=run_components,
)
FIGURE_14 = Experiment(
    paper="cips",
    place="Figure 14",
    title="embeddings of pictures that are not aligned",
    claim="Sets that are less aligned than faces leave less structure in the embeddings.",
    minutes=7,
    differences=(_SMALL, "maps of the Earth instead of landscapes and churches", _FRESH),
    run=run_components_elsewhere,
)
