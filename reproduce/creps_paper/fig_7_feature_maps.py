"""CREPS, Figure 7: the maps inside the generator, level by level."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creps.coordinates import Canvas
from creps.errors import UsageError
from creps.metrics._models import ModelRef
from creps.metrics._spectra import power_spectrum, radial_spectrum
from creps.networks.creps import Creps, FeatureMaps
from creps.rendering._painter import Picture
from creps.rendering._sheets import Panel, captioned_sheet
from creps.rendering._styles import Latent
from reproduce.experiment import Cell, Experiment, Figure, Findings, Table
from reproduce.showing import panel_picture, sample
from reproduce.standard_models import SHIPPED
from reproduce.workshop import Workshop

SEED = 25
SIDE = 192
"""Pixels of the maps, and of a panel where there is room."""
ROOM = 1200
"""Pixels for all panels of a row."""
MOST_SEEDS = 24
"""That the frequencies are means over."""


def run(shop: Workshop) -> Findings:
    """Show the maps of one seed, and how fine the detail of each level is over several."""
    ref = shop.ref(SHIPPED)
    maps = maps_of(ref, SEED)
    seeds = range(min(shop.budget.probes, MOST_SEEDS))
    composed, fused = _frequencies([maps_of(ref, seed) for seed in seeds])
    rows: dict[str, tuple[Cell, ...]] = {
        f"level {k}": (f, e) for k, (f, e) in enumerate(zip(composed, fused, strict=True), 1)
    }
    columns = ("composed, F (cycles a plane unit)", "fused, E (cycles a plane unit)")
    return Findings(
        tables=(Table(columns=columns, rows=rows, caption="Mean frequency of the maps' detail."),),
        figures=(
            Figure(
                name="maps",
                caption="The maps of one picture, averaged over channels, black to white: "
                "composed at each level (above), fused up to it (below), and what comes of them.",
                picture=_sheet(maps, sample(ref, SEED, size=SIDE, supersample="auto")),
            ),
        ),
        remarks=_remarks(composed, fused),
    )


@torch.inference_mode()
def maps_of(ref: ModelRef, seed: int) -> FeatureMaps:
    """The maps of a seed over the unit square, of SIDE x SIDE places.

    Raises:
        UsageError: if the model is no CREPS.
    """
    generator = ref.generator()
    if not isinstance(generator, Creps):
        raise UsageError(f"{ref.path} is no CREPS: Figure 7 looks at the maps inside one")
    styles = Latent(seed=seed, label=ref.label(seed)).styles_of(generator)
    return generator.feature_maps(styles, Canvas(SIDE, SIDE, sampling=generator.sampling).grid())


def averaged(maps: Tensor) -> NDArray[np.float64]:
    """Maps (1, N, H, W) averaged over their channels, (H, W)."""
    return maps[0].double().mean(0).numpy()


def normalised(plane: NDArray[np.float64]) -> Picture:
    """A plane (H, W) from its least (black) to its largest value (white), (H, W, 3)."""
    low, high = plane.min(), plane.max()
    levels = np.rint(255 * (plane - low) / max(high - low, 1e-12)).astype(np.uint8)
    return np.repeat(levels[:, :, None], 3, axis=2)


def mean_frequency(plane: NDArray[np.float64]) -> float:
    """The mean frequency of a plane of the unit square, by power: cycles a plane unit.

    The first two rings, which hold the shade of the whole and the window's own width, are left out.
    """
    spectrum = radial_spectrum(power_spectrum(plane), plane.shape[1])
    power, cycles = spectrum.integral[2:], spectrum.frequency[2:] * len(plane)
    return float((power * cycles).sum() / max(power.sum(), 1e-300))


def _frequencies(found: Sequence[FeatureMaps]) -> tuple[list[float], list[float]]:
    """Mean frequencies of each level's composed and fused maps, over several pictures."""
    both = (
        [[mean_frequency(averaged(level)) for level in levels] for levels in kind]
        for kind in ([each.composed for each in found], [each.fused for each in found])
    )
    composed, fused = (np.mean(values, axis=0).tolist() for values in both)
    return composed, fused


def _sheet(maps: FeatureMaps, picture: Picture) -> Picture:
    """Composed maps above fused ones, with the final map and the picture at their ends."""
    side = min(SIDE, ROOM // (len(maps.composed) + 1))
    rows = []
    for letter, levels in (("F", maps.composed), ("E", maps.fused)):
        planes = [panel_picture(normalised(averaged(level)), side) for level in levels]
        rows.append([Panel(each, f"{letter}({k})") for k, each in enumerate(planes, 1)])
    final = panel_picture(normalised(averaged(maps.final)), side)
    rows[0].append(Panel(final, "F, the final map"))
    rows[1].append(Panel(panel_picture(picture, side), "the picture"))
    return captioned_sheet(rows, heading="Composed maps F(l), fused maps E(l)")


def _remarks(composed: Sequence[float], fused: Sequence[float]) -> tuple[str, ...]:
    """Whether detail gets finer from level to level, as the paper sees it."""
    told = []
    for kind, values in (("composed", composed), ("fused", fused)):
        finer = sum(later > earlier for earlier, later in pairwise(values))
        listed = ", ".join(f"{value:.1f}" for value in values)
        told.append(f"{kind} maps have {listed} ({finer} of {len(values) - 1} steps are finer)")
    return (
        f"Cycles a plane unit from the first level to the last: {'; '.join(told)}. The paper sees "
        "early composed maps smooth and later ones sharp.",
    )


FIGURE_7 = Experiment(
    paper="creps",
    place="Figure 7",
    title="maps inside the generator",
    claim="Early composed maps are smooth and global, later ones sharp; each is simple, and their "
    "fusion is not.",
    minutes=0.5,
    differences=(
        "drawn portraits instead of photographs; the packaged model has fewer levels",
        "lines are added up from level to level, as in the official code: a later composed map "
        "holds the lines of the earlier ones",
    ),
    run=run,
)
