"""Any-resolution GAN, Figures 4, 6, 9, 10, 12 and 14."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from creps.coordinates import Canvas
from creps.data import open_images
from creps.metrics import power_spectrum, radial_spectrum
from creps.metrics._measurements import SUM
from creps.metrics._models import ModelRef
from creps.metrics._pages import line_chart
from creps.metrics._spectra import spectrum_difference
from creps.rendering import Panel, Picture, latents, panorama, render
from reproduce.anyres_paper.charts import bars_picture, scatter_chart, size_bars
from reproduce.anyres_paper.models import BELT, VARIANTS
from reproduce.anyres_paper.scoring import (
    REAL,
    SIZES,
    base_size,
    distances,
    painters,
    seen,
    whole_sets,
)
from reproduce.anyres_paper.tables import with_oracles
from reproduce.cips_paper.views import field_picture
from reproduce.experiment import (
    Cell,
    Figure,
    Result,
    Table,
    experiment,
    one_table,
    sheet,
)
from reproduce.models import ANYRES, MIXED, SHIPPED
from reproduce.panels import panel_picture, sample
from reproduce.runner import Runner
from reproduce.specs import Dataset

EARTH = Dataset(
    name="earth-mixed",
    paper="photographs of churches or birds as large as they come, in one folder",
    command=("earth", "--size", "64-256"),
    count=1000,
)
LOW_SHARE = 0.25
"""Of equally small pictures: a set with this many is one of two resolutions."""
SIDES = ("# low", "# high", "low (px)", "high, min", "high, median", "high, max")


@experiment("anyres-fig-4")
def figure_4(runner: Runner) -> Result:
    """Count small and larger pictures, and draw the sizes of the larger ones."""
    figures, rows = [], dict[str, tuple[Cell, ...]]()
    for name, data in {"portraits": MIXED, "earth": EARTH}.items():
        sides = open_images(runner.data(data)).sizes.min(1)
        low = int(sides.min())
        large = sides[sides > low] if (sides == low).mean() > LOW_SHARE else sides
        few = len(sides) - len(large)
        ends = int(large.min()), float(np.median(large)), int(large.max())
        rows[name] = (few, len(large), low if few else "none", *ends)
        share = f"{few:,} of {low} px, " if few else ""
        title = f"{name}: {share}{len(large):,} {'larger' if few else 'pictures'}"
        bars = size_bars(large.tolist(), 24, step=1 / 8)  # of a doubling
        figures.append(
            Figure(
                name=name,
                caption=f"The larger pictures of the set {name} by size; a bar is an eighth of a "
                "doubling.",
                picture=np.asarray(bars_picture(bars, title=title)),
            )
        )
    table = Table(columns=SIDES, rows=rows, caption="Shorter sides, as in Table 1")
    return Result(tables=(table,), figures=tuple(figures))


TIMES = 1, 2, 4, 8, 16
"""Scales, in units of the network's size."""
PART = 0.25, 0.25, 0.75, 0.75
"""The part of the picture that is shown."""


@experiment("anyres-fig-6")
def figure_6(runner: Runner) -> Result:
    """Draw the part at each scale; measure how much of its power is fine detail."""
    panels, rows = [], {}
    rivals = ("any-resolution GAN", ANYRES, 1), ("CREPS as packaged", SHIPPED, 7)
    for label, model, seed in rivals:
        ref = runner.ref(model)
        base = ref.size[0]
        trained = SIZES[-1] * base if model is ANYRES else ref.detail
        pictures = [sample(ref, seed, size=times * base // 2, window=PART) for times in TIMES]
        panels.append(
            [
                Panel(
                    panel_picture(picture, 240),
                    f"{label}, {times * base} px",
                    "trained" if times * base <= trained else "beyond training",
                )
                for picture, times in zip(pictures, TIMES, strict=True)
            ]
        )
        rows[label] = [fine_share(picture) for picture in pictures]
    caption = "Share of the power in the finer half of the frequencies, percent"
    return one_table(
        tuple(f"{times} p" for times in TIMES),
        rows,
        sheet(
            "limits",
            "The middle of a picture at ever larger scales, at last beyond those of training.",
            panels,
            heading="Beyond the scales of training",
        ),
        caption=caption,
    )


def fine_share(picture: NDArray[Any]) -> float:
    """Percent of a picture's power in the upper half of the frequencies."""
    spectrum = radial_spectrum(power_spectrum(picture), picture.shape[1])
    total = spectrum.integral[1:].sum()
    fine = spectrum.integral[spectrum.frequency >= 0.25].sum()
    return float(100 * fine / total) if total else 0.0


TURNS = 1.5
"""Of a panorama, to show that it continues."""
DENSITY = 2
"""Pixels drawn, over those of training, along each axis."""
LINES, UNITS = 4, 8
"""Of the landscape, and plane units a line; each has its own style."""


@experiment("anyres-fig-9")
def figure_9(runner: Runner) -> Result:
    """Draw one and a half turns, and compare columns across the place where it closes."""
    ref = runner.ref(BELT)
    panels, rows = [], {}
    for seed in (1, 2, 3, 4):
        picture = belt(ref, seed)
        rows[f"seed {seed}"] = closing(picture, round(picture.shape[1] / TURNS))
        shown = _enlarged(picture)
        x = round(shown.shape[1] / TURNS)
        shown[:, x - 1 : x + 2] = 255
        panels.append([Panel(shown, f"seed {seed}")])
    columns = ("step at the closing place, over the mean", "difference after a turn")
    caption = "Gray levels between neighboring columns, and between equal places"
    return one_table(
        columns,
        rows,
        sheet(
            "panoramas",
            "One and a half turns of panoramas; the white line is a full turn.",
            panels,
            heading="Panoramas from slices of 120 degrees",
        ),
        caption=caption,
    )


@experiment("anyres-fig-10")
def figure_10(runner: Runner) -> Result:
    """Draw a strip of many styles that flow into each other, on several lines."""
    strip = landscape(runner.ref(BELT), LINES * UNITS)
    lines = np.split(strip, LINES, axis=1)
    panels = [
        [Panel(_enlarged(line), f"styles {k * UNITS + 1} to {(k + 1) * UNITS}")]
        for k, line in enumerate(lines)
    ]
    columns = ("everywhere", "in the middle between two styles")
    caption = "Gray levels that neighboring columns differ by"
    rows = {"landscape": steps_at_borders(strip, LINES * UNITS)}
    return one_table(
        columns,
        rows,
        sheet(
            "landscape",
            "One landscape on four lines: thirty-two styles that flow into each other.",
            panels,
            heading="A landscape without an end",
        ),
        caption=caption,
    )


def belt(ref: ModelRef, seed: int) -> Picture:
    """One and a half turns of a cylinder, (H, W, 3) uint8."""
    side = DENSITY * ref.size[0]
    length = TURNS * ref.generator().period[1]
    size = side, round(side * length)
    return render(ref.generator(), seed=seed, size=size, window=(0.0, 0.0, 1.0, length))


def landscape(ref: ModelRef, count: int) -> Picture:
    """A panorama of plane units, each with its own style, (H, W, 3) uint8."""
    generator, side = ref.generator(), DENSITY * ref.size[0]
    with torch.inference_mode():
        field = panorama(generator.map(latents(list(range(count)), generator)), overlap=1.0)
        canvas = Canvas(side, side * count, (0.0, 0.0, 1.0, float(count)))
        return field_picture(ref, field, canvas)


def closing(picture: Picture, turn: int) -> tuple[float, float]:
    """(step over the mean step, mean difference after a turn) of a picture longer than a turn.

    Args:
        picture: (H, W, C) uint8.
        turn: pixels of a turn, less than W.
    """
    columns = picture.astype(np.float64)
    steps = np.abs(np.diff(columns, axis=1)).mean((0, 2))
    after = np.abs(columns[:, turn:] - columns[:, : columns.shape[1] - turn]).mean()
    return float(steps[turn - 1] / max(steps.mean(), 1e-9)), float(after)


def steps_at_borders(strip: Picture, count: int) -> tuple[float, float]:
    """Mean difference of neighboring columns, everywhere and at the borders of plane units."""
    steps = np.abs(np.diff(strip.astype(np.float64), axis=1)).mean((0, 2))
    unit = strip.shape[1] // count
    return float(steps.mean()), float(steps[unit - 1 :: unit].mean())


def _enlarged(picture: Picture) -> Picture:
    """Larger pixels, about 1,200 across; nothing is smoothed."""
    times = max(1200 // picture.shape[1], 1)
    return picture.repeat(times, axis=0).repeat(times, axis=1)


@experiment("anyres-fig-12")
def figure_12(runner: Runner) -> Result:
    """Measure many second phases both ways, and correlate."""
    found = distances(runner, painters(runner, VARIANTS))
    whole, patches = found.columns[2:]
    table = Table(columns=(whole, patches), rows={k: row[2:] for k, row in found.rows.items()})
    points = np.array([[float(cell or 0) for cell in cells] for cells in table.rows.values()])
    linear, ranked = correlation(points), correlation(points.argsort(0).argsort(0))
    return Result(
        tables=(table,),
        figures=(
            Figure(
                name="metrics",
                caption="Distances of patches over distances of whole pictures of the largest "
                "size; each point is a model of Tables 4 and 10 to 13.",
                picture=scatter_chart(points, x_name=whole, y_name=patches, size=(420, 700)),
            ),
        ),
        remarks=(
            f"Of {len(points)} models the correlation is {linear:.2f}, that of ranks {ranked:.2f}.",
        ),
    )


def correlation(points: NDArray[Any]) -> float:
    """Of two columns (N, 2); 0 where one is constant."""
    return float(np.corrcoef(points.T)[0, 1]) if points.std(0).all() else 0.0


@experiment("anyres-fig-14")
def figure_14(runner: Runner) -> Result:
    """Mean power by frequency at the largest size."""
    size = SIZES[-1] * base_size(runner)
    found = seen(runner, whole_sets(runner, with_oracles(runner), size))
    power = {label: each[f"{SUM}radial"] / len(each["features"]) for label, each in found.items()}
    real = power.pop(REAL)
    lines = {
        label: 10 * np.log10(np.maximum(each[1:], 1e-4))
        for label, each in {REAL: real, **power}.items()
    }
    rows = {label: tuple(spectrum_difference(each, real)) for label, each in power.items()}
    chart = line_chart(
        np.arange(1, size // 2 + 1, dtype=np.float64) / size,
        lines,
        x_name="cycles a pixel",
        y_name="decibels",
        size=(420, 900),
    )
    caption = f"Mean power of pictures of {size} px by frequency."
    return one_table(
        ("rms, dB from real", "upper half, dB from real"),
        rows,
        Figure(name="spectra", caption=caption, picture=chart),
    )
