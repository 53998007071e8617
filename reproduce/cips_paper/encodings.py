"""CIPS, Figures 3 to 6 and 14: how the network encodes places, as spectra and components.

Maps are (H, W, F): F features for each place of a grid (CIPS, 4.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from creps.errors import UsageError
from creps.metrics import power_spectrum
from creps.metrics._models import ModelRef
from creps.metrics._pages import shaded
from creps.metrics._spectra import whole_plane
from creps.networks import Generator
from creps.rendering import Panel, Picture, View, render
from reproduce.cips_paper.models import BASE, NO_EMBEDDING, cips_on
from reproduce.experiment import Result, experiment, one_table, sheet
from reproduce.models import EARTH
from reproduce.panels import gray, panel_picture, shown_side
from reproduce.runner import Runner

Array = NDArray[Any]


def main_components(maps: Array, *, count: int = 3) -> NDArray[np.float64]:
    """The first principal components over all places, as pictures of 0 to 1 each.

    A component's sign is the one that makes its largest weight positive.

    Args:
        maps: (H, W, F), F >= count.
        count: of components.
    Returns:
        (H, W, count), the most varied first; 0.5 everywhere where nothing varies.
    Raises:
        UsageError: for another layout or too few features.
    """
    if maps.ndim != 3 or not 1 <= count <= maps.shape[2]:
        raise UsageError(f"maps of shape {maps.shape}: expected (H, W, F) with F of {count} up")
    rows = maps.reshape(-1, maps.shape[2]).astype(np.float64)
    rows = rows - rows.mean(0)
    values, vectors = np.linalg.eigh(rows.T @ rows)
    chosen = vectors[:, np.argsort(-values, kind="stable")[:count]]  # (F, count)
    strongest = np.take_along_axis(chosen, np.abs(chosen).argmax(0)[None], axis=0)
    found = rows @ (chosen * np.where(strongest < 0, -1.0, 1.0))
    low, high = found.min(0), found.max(0)
    flat = high - low <= 1e-12 * max(np.abs(rows).max(), 1e-300)
    shares = np.where(flat, 0.5, (found - low) / np.where(flat, 1.0, high - low))
    return shares.reshape(*maps.shape[:2], count)


def mean_spectrum(maps: Array) -> NDArray[np.float64]:
    """(H, W // 2 + 1) power of the features of (H, W, F) maps, their mean; no window.

    Raises:
        UsageError: as `power_spectrum`.
    """
    total = sum(power_spectrum(maps[:, :, k], window=False) for k in range(maps.shape[2]))
    mean: NDArray[np.float64] = np.asarray(total) / maps.shape[2]
    return mean


def mean_frequency(power: NDArray[np.float64], width: int) -> float:
    """How fine a spectrum is: the mean distance from frequency 0 by power, cycles a pixel.

    White noise has 0.38.

    Args:
        power: (H, W // 2 + 1) from `power_spectrum` or `mean_spectrum`.
        width: W.
    """
    radius = np.hypot(np.fft.fftfreq(len(power))[:, None], np.fft.rfftfreq(width))
    twice = np.full(power.shape[1], 2.0)  # all but the outermost columns count twice
    twice[0] = 1.0
    if width % 2 == 0:
        twice[-1] = 1.0
    weight = power * twice
    total = float(weight.sum())
    return float((radius * weight).sum()) / total if total > 0 else 0.0


FOURIER, EMBEDDING = "Fourier features", "coordinate embeddings"
SIDE = 320
"""Pixels a side of a panel."""
DECIBELS = 60
FINENESS = "mean frequency, cycles a pixel"


def fineness(picture: Picture) -> float:
    """The mean frequency of a picture."""
    return mean_frequency(power_spectrum(picture), picture.shape[1])


@torch.inference_mode()
def encodings(model: ModelRef) -> dict[str, NDArray[np.float64]]:
    """(H, W, F) codes of the pixels of a model's own size, by kind."""
    generator: Any = model.generator()
    grid = View(size=min(model.size)).canvas(generator).grid()
    parts = {FOURIER: generator.fourier, EMBEDDING: generator.embedding}
    codes = {name: part(grid).unflatten(0, grid.shape).cpu() for name, part in parts.items()}
    return {name: each.double().numpy() for name, each in codes.items()}


@experiment("cips-fig-3")
def figure_3(runner: Runner) -> Result:
    """Draw the average picture of both."""
    panels, rows = [], {}
    models = {"CIPS, with embeddings": BASE, "CIPS-NE, without": NO_EMBEDDING}
    for label, model in models.items():
        ref = runner.ref(model)
        large, own = (
            render(ref.generator(), seed=0, truncation=0.0, size=size)
            for size in (shown_side(ref, least=SIDE), min(ref.size))
        )
        panels.append(Panel(large, label))
        rows[label] = (fineness(own),)
    figure = sheet(
        "mean-style",
        "The mean style of networks with and without embeddings.",
        [panels],
        heading="The picture of the mean style",
    )
    return one_table((FINENESS,), rows, figure)


@experiment("cips-fig-4")
def figure_4(runner: Runner) -> Result:
    """Mean power of both encodings, on one scale."""
    found = encodings(runner.ref(BASE))
    power = {name: mean_spectrum(maps) for name, maps in found.items()}
    width = found[FOURIER].shape[1]
    rows = {name: (mean_frequency(each, width),) for name, each in power.items()}
    figure = sheet(
        "spectra",
        f"Power of the two encodings, frequency 0 in the middle, {DECIBELS} dB from black to "
        "white.",
        [planes(power, width, side=SIDE)],
        heading="Spectra of the encodings",
    )
    remark = "White noise has 0.38 cycles a pixel."
    return one_table((FINENESS,), rows, figure, remarks=(remark,))


def planes(power: Mapping[str, NDArray[np.float64]], width: int, *, side: int) -> list[Panel]:
    """Spectra (H, W // 2 + 1) as gray pictures on one scale of `DECIBELS`."""
    decibels = {
        label: 10 * np.log10(np.maximum(whole_plane(each, width), 1e-12))
        for label, each in power.items()
    }
    high = max(float(plane.max()) for plane in decibels.values())
    return [
        Panel(panel_picture(gray(shaded(plane, low=high - DECIBELS, high=high)), side), label)
        for label, plane in decibels.items()
    ]


@experiment("cips-fig-5")
def figure_5(runner: Runner) -> Result:
    """Three main components of both encodings, as red, green and blue."""
    return _components(
        encodings(runner.ref(BASE)),
        caption="Three main components of the two encodings, as red, green and blue.",
        heading="Main components of the encodings",
    )


@experiment("cips-fig-14")
def figure_14(runner: Runner) -> Result:
    """Components of the embeddings of two sets."""
    sets = {"portraits": BASE, "maps of the Earth": cips_on(EARTH)}
    return _components(
        {name: encodings(runner.ref(model))[EMBEDDING] for name, model in sets.items()},
        caption="Main components of the embeddings of networks for two sets.",
        heading="Coordinate embeddings of two sets",
    )


def _components(found: Mapping[str, NDArray[np.float64]], *, caption: str, heading: str) -> Result:
    panels = []
    for name, maps in found.items():
        picture = np.rint(255 * main_components(maps)).astype(np.uint8)
        panels.append(Panel(panel_picture(picture, SIDE), name))
    return Result(figures=(sheet("components", caption, [panels], heading=heading),))


WITHOUT = {"original": (), "embeddings zeroed": ("embedding",), "Fourier zeroed": ("fourier",)}


@experiment("cips-fig-6")
def figure_6(runner: Runner) -> Result:
    """Draw the same latents with both encodings and with one of them."""
    ref, seeds = runner.ref(BASE), (0, 1)
    large, own = shown_side(ref, least=224), min(ref.size)
    networks = {label: zeroed(ref.generator(), parts) for label, parts in WITHOUT.items()}
    panels = [
        [Panel(render(each, seed=seed, size=large), label) for label, each in networks.items()]
        for seed in seeds
    ]
    rows = {
        label: (np.mean([fineness(render(each, seed=seed, size=own)) for seed in seeds]).item(),)
        for label, each in networks.items()
    }
    figure = sheet(
        "zeroed",
        "Two samples, and what is left of them without one of the encodings.",
        panels,
        heading="Without one of the encodings",
    )
    return one_table((FINENESS,), rows, figure)


@torch.no_grad()
def zeroed(generator: Generator, parts: tuple[str, ...]) -> Generator:
    """A copy of a CIPS whose encodings of those kinds are 0 everywhere."""
    changed: Any = deepcopy(generator)
    for part in parts:
        for parameter in getattr(changed, part).parameters():
            parameter.zero_()  # without frequencies and phases sines are 0, too
    copy: Generator = changed
    return copy
