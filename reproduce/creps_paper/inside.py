"""CREPS, Figures 6, 7 and 8: transformed coordinates, the maps of each level, artifacts."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creps.coordinates import Canvas
from creps.errors import UsageError
from creps.metrics import (
    ModelDiagnosis,
    diagnose,
    power_spectrum,
    psnr,
    radial_spectrum,
    real_images,
)
from creps.metrics._artifacts import ARTIFACTS
from creps.metrics._models import ModelRef
from creps.metrics._real_images import PORTRAITS as DRAWN_PORTRAITS
from creps.networks.creps import Creps, FeatureMaps
from creps.rendering import Panel, Picture, Renderer
from creps.rendering.warps import as_warp, warped_grid
from reproduce.experiment import (
    Cell,
    Result,
    Table,
    experiment,
    one_table,
    sheet,
)
from reproduce.models import PORTRAITS, SHIPPED
from reproduce.panels import gray, panel_picture, sample
from reproduce.runner import Runner

SEED = 25
TRANSFORMS = {
    "as it is": "identity",
    "translation": "translate:0.15,0.2",
    "zooming out": "zoom:0.6",
    "zooming in": "zoom:2.5,y=0.55",
    "rotation": "rotate:30",
    "elastic distortion": "elastic:amount=0.1,scale=0.35,seed=3",
}
TRANSFORMED = 320
"""Pixels of a panel of Figure 6."""
FINER = 8
"""Times: the picture that the transformed ones are compared with."""
RED = (230, 20, 20)


@experiment("creps-fig-6")
def figure_6(runner: Runner) -> Result:
    """Draw one seed under each transformation, and look its pixels up in a large picture of it."""
    ref = runner.ref(SHIPPED)
    large = sample(ref, SEED, size=FINER * TRANSFORMED)
    panels, rows = [], {}
    for label, words in TRANSFORMS.items():
        picture = sample(ref, SEED, size=TRANSFORMED, warp=words)
        places = warped_grid(Canvas(TRANSFORMED, TRANSFORMED), as_warp(words)).points.numpy()
        inside = in_unit_square(places)
        rows[label] = (psnr(picture[inside], looked_up(large, places[inside])),)
        panels.append(Panel(with_border(picture, inside), label, words))
    del rows["as it is"]
    caption = (
        f"Inside the border: each pixel looked up in the same picture drawn {FINER} times as "
        "large, at its transformed place"
    )
    return one_table(
        ("like the picture itself (dB)",),
        rows,
        sheet(
            "transforms",
            "One picture, transformed by its coordinates alone; the border of what was "
            "trained on is red, and all beyond it is extrapolated.",
            [panels[:3], panels[3:]],
            heading="Transformations of the coordinates",
        ),
        caption=caption,
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
    """A picture with a red line around a mask (H, W)."""
    mask = torch.from_numpy(inside).float()[None, None]
    grown, left = (torch.nn.functional.max_pool2d(s * mask, 3, 1, 1) for s in (1, -1))
    line = (grown + left)[0, 0].numpy() > 0  # where a pixel inside and one outside are neighbors
    marked = picture.copy()
    marked[line] = RED
    return marked


MAPPED = 192
"""Pixels of the maps, and of a panel where there is room."""
ROOM = 1200
"""Pixels for all panels of a row."""
MOST_SEEDS = 24
"""That the frequencies are means over."""


@experiment("creps-fig-7")
def figure_7(runner: Runner) -> Result:
    """Show the maps of one seed, and how fine the detail of each level is over several."""
    ref = runner.ref(SHIPPED)
    several = [maps_of(ref, seed) for seed in range(min(runner.budget.probes, MOST_SEEDS))]
    composed, fused = (
        np.mean([[mean_frequency(averaged(level)) for level in levels] for levels in kind], axis=0)
        for kind in ([each.composed for each in several], [each.fused for each in several])
    )
    rows = {f"level {k}": pair for k, pair in enumerate(zip(composed, fused, strict=True), 1)}
    columns = ("composed, F (cycles a plane unit)", "fused, E (cycles a plane unit)")
    picture = sample(ref, SEED, size=MAPPED, supersample="auto")
    return one_table(
        columns,
        rows,
        sheet(
            "maps",
            "The maps of one picture, averaged over channels, black to white: composed at each "
            "level (above), fused up to it (below), and what comes of them.",
            _map_panels(maps_of(ref, SEED), picture),
            heading="Composed maps F(l), fused maps E(l)",
        ),
        caption="Mean frequency of the maps' detail.",
    )


@torch.inference_mode()
def maps_of(ref: ModelRef, seed: int) -> FeatureMaps:
    """The maps of a seed over the unit square, of MAPPED x MAPPED places.

    Raises:
        UsageError: if the model is not a CREPS.
    """
    generator = ref.generator()
    if not isinstance(generator, Creps):
        raise UsageError(f"{ref.path} is not a CREPS: Figure 7 needs the maps inside one")
    styles = Renderer(generator, seed=seed, label=ref.label(seed)).styles
    canvas = Canvas(MAPPED, MAPPED, sampling=generator.sampling)
    return generator.feature_maps(styles, canvas.grid())


def averaged(maps: Tensor) -> NDArray[np.float64]:
    """Maps (1, N, H, W) averaged over their channels, (H, W)."""
    return maps[0].cpu().double().mean(0).numpy()


def normalized(plane: NDArray[np.float64]) -> Picture:
    """A plane (H, W) from its least (black) to its largest value (white), (H, W, 3)."""
    low, high = plane.min(), plane.max()
    return gray(np.rint(255 * (plane - low) / max(high - low, 1e-12)).astype(np.uint8))


def mean_frequency(plane: NDArray[np.float64]) -> float:
    """The mean frequency of a plane of the unit square, by power: cycles a plane unit.

    The first two rings, which hold the shade of the whole and the window's own width, are left out.
    """
    spectrum = radial_spectrum(power_spectrum(plane), plane.shape[1])
    power, cycles = spectrum.integral[2:], spectrum.frequency[2:] * len(plane)
    return float((power * cycles).sum() / max(power.sum(), 1e-300))


def _map_panels(maps: FeatureMaps, picture: Picture) -> list[list[Panel]]:
    """Composed maps above fused ones, with the final map and the picture at their ends."""
    side = min(MAPPED, ROOM // (len(maps.composed) + 1))
    rows = []
    for letter, levels in (("F", maps.composed), ("E", maps.fused)):
        planes = [panel_picture(normalized(averaged(level)), side) for level in levels]
        rows.append([Panel(each, f"{letter}({k})") for k, each in enumerate(planes, 1)])
    final = panel_picture(normalized(averaged(maps.final)), side)
    rows[0].append(Panel(final, "F, the final map"))
    rows[1].append(Panel(panel_picture(picture, side), "the picture"))
    return rows


SAMPLES = 200
LEAST_SIDE = 256
"""Pixels that are shown, or the model's own where it has more."""
WORST = 224
"""Pixels of a panel of Figure 8."""


@experiment("creps-fig-8")
def figure_8(runner: Runner) -> Result:
    """Diagnose samples against real pictures, and show those with the most of each artifact."""
    ref = runner.ref(SHIPPED)
    side = max(ref.size[0], LEAST_SIDE)
    found = diagnose(
        ref,
        runner.real(PORTRAITS) if runner.paper else real_images(DRAWN_PORTRAITS),
        count=runner.budget.capped(SAMPLES),
        size=(side, side),
        cache=runner.cache,
        workers=runner.workers,
        progress=runner.progress,
    )
    panels = []
    for each in (finding for finding in found.findings if finding.name in ARTIFACTS):
        note = f"mean {each.model:.2f}, real {each.real:.2f}"
        pictures = {seed: sample(ref, seed, size=side) for seed in each.worst[:4]}
        panels.append(
            [
                Panel(panel_picture(picture, WORST), f"{each.name}, seed {seed}", note)
                for seed, picture in pictures.items()
            ]
        )
    return Result(
        tables=(diagnosis_table(found),),
        figures=(
            sheet(
                "gallery",
                f"Of {found.count} samples, those with the most of each artifact; the worst is on "
                "the left.",
                panels,
                heading=f"The worst of {found.count} samples",
            ),
        ),
        remarks=tuple(f"{each.name}: {each.advice}" for each in found.findings if each.advice),
    )


def diagnosis_table(found: ModelDiagnosis) -> Table:
    """What `creps diagnose` finds, as a table."""
    height, width = found.size
    rows: dict[str, tuple[Cell, ...]] = {
        each.name: (each.model, each.real if math.isfinite(each.real) else None, each.verdict)
        for each in found.findings
    }
    return Table(
        columns=("samples", "real pictures", "verdict"),
        rows=rows,
        caption=f"Means over {found.count} pictures of {height} x {width} pixels of each kind; the "
        "line of the spectrum is in decibels.",
    )
