"""CIPS, Figures 9, 10, 12, 15, 16, 18 and 19: samples, enlarged, mixed and next to real ones."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from creps.data import open_images
from creps.metrics import PictureSet, diagnose
from creps.metrics._distances import FeatureRows, nearest
from creps.metrics._models import ModelRef
from creps.metrics._pictures import ModelPictures, RealPictures, resampled
from creps.rendering import Panel, SeedPath, latents, mix_styles, styles_of
from reproduce.cips_paper.encodings import fineness
from reproduce.cips_paper.models import cips_on, shown
from reproduce.cips_paper.tables import patch_models
from reproduce.creps_paper.inside import diagnosis_table
from reproduce.experiment import (
    Result,
    Table,
    experiment,
    one_table,
    sheet,
)
from reproduce.models import CIPS, EARTH, PORTRAITS
from reproduce.panels import painted, panel_picture
from reproduce.runner import Runner

FACTOR = 4
SIDE = 256
"""Pixels a side of a panel."""
EYES = (0.42, 0.22, 0.72, 0.52)
"""(y0, x0, y1, x1) of an eye, about, in plane units."""


@experiment("cips-fig-9")
def figure_9(runner: Runner) -> Result:
    """Draw and enlarge a sample of each model, and show an eye."""
    figures, rows = [], {}
    for number, (label, model) in enumerate(shown(runner), 1):
        ref = runner.ref(model)
        large = (FACTOR * ref.size[0], FACTOR * ref.size[1])
        small, drawn = (
            ModelPictures(model=ref, size=size, first=1).picture(0) for size in (ref.size, large)
        )
        lanczos, height = resampled(small, large), large[0]
        rows[label] = (fineness(lanczos), fineness(drawn))
        y0, x0, y1, x1 = (round(edge * side) for edge, side in zip(EYES, 2 * large, strict=True))
        outline = tuple(round(edge * SIDE) for edge in EYES)
        panels = [
            Panel(panel_picture(drawn, SIDE), f"{label}, {height} px", outline=outline),  # type: ignore[arg-type]
            Panel(
                panel_picture(lanczos[y0:y1, x0:x1], SIDE),
                f"{min(ref.size)} px, Lanczos to {height}",
            ),
            Panel(panel_picture(drawn[y0:y1, x0:x1], SIDE), f"drawn at {height} px"),
        ]
        figures.append(
            sheet(
                f"detail-{number}",
                f"{label}: a detail enlarged with a Lanczos filter, and drawn.",
                [panels],
                heading=f"{FACTOR} times the size",
            )
        )
    caption = "Mean frequency of the power spectrum, cycles a pixel."
    table = Table(columns=("Lanczos", "drawn"), rows=rows, caption=caption)
    return Result(tables=(table,), figures=tuple(figures))


WAYS = ((0, 1), (2, 3))
STEPS = 7


@experiment("cips-fig-10")
def figure_10(runner: Runner) -> Result:
    """Draw the steps of two ways of each model, and how much each step changes."""
    figures, rows = [], {}
    for number, (label, model) in enumerate(shown(runner), 1):
        ref = runner.ref(model)
        panels, changes = [], []
        for first, last in WAYS:
            pictures = [
                painted(ref, styles_of(step, ref.generator()), least=128)
                for step in SeedPath((first, last)).steps(STEPS)
            ]
            between = [f"{k / (STEPS - 1):.2f}" for k in range(1, STEPS - 1)]
            titles = [f"seed {first}", *between, f"seed {last}"]
            panels.append([Panel(*each) for each in zip(pictures, titles, strict=True)])
            changes += [np.abs(b - a).mean() for a, b in pairwise(map(np.float64, pictures))]
        rows[label] = (float(np.mean(changes)), float(np.max(changes)))
        figures.append(
            sheet(
                f"morph-{number}",
                f"{label}: straight ways between two styles.",
                panels,
                heading=f"{label}: linear morphing",
            )
        )
    columns = ("mean change of a step (gray levels)", "largest change")
    return one_table(columns, rows, *figures)


MOST = 100
"""Pictures of each set that are searched for artifacts."""
KINDS = {"waves": "wavy texture, repeated lines", "blobs": "glowing blobs"}
"""The paper's kinds."""


@experiment("cips-fig-12")
def figure_12(runner: Runner) -> Result:
    """Search for artifacts, and show the samples with the strongest."""
    ref = runner.ref(CIPS)
    found = diagnose(
        ref,
        runner.real(PORTRAITS),
        count=min(MOST, runner.budget.pictures),
        size=ref.size if runner.paper else None,  # photographs may have no more pixels
        cache=runner.cache,
        workers=runner.workers,
        progress=runner.progress,
    )
    pictures = ModelPictures(model=ref, size=found.size)
    panels = [
        [
            Panel(
                panel_picture(pictures.picture(seed), 224),
                f"seed {seed}" if place else KINDS[each.name],
                "" if place else each.meaning,
            )
            for place, seed in enumerate(each.worst)
        ]
        for each in found.findings
        if each.name in KINDS
    ]
    figure = sheet(
        "artifacts",
        "The samples with the strongest waves and blobs.",
        panels,
        heading=f"Artifacts: the strongest of {found.count} samples",
    )
    advice = tuple(f"{each.name}: {each.advice}" for each in found.findings if each.advice)
    return Result(tables=(diagnosis_table(found),), figures=(figure,), remarks=advice)


ACROSS = 6
THUMBNAIL = 160


@experiment("cips-fig-15")
def figure_15(runner: Runner) -> Result:
    """Samples of whole-picture and patch training, below each other."""
    figures = []
    for number, (name, (_, models)) in enumerate(patch_models(runner).items(), 1):
        rows = []
        for factor, model in models.items():
            ref = runner.ref(model)
            label = f"patches of {ref.size[0] // factor} px" if factor > 1 else "whole pictures"
            rows.append(_row(_samples(ref), label))
        figures.append(
            sheet(
                f"patches-{number}",
                f"{name}: samples of networks trained on whole pictures and on patches.",
                rows,
                heading=f"Patch-based training: {name}",
            )
        )
    return Result(figures=tuple(figures))


@experiment("cips-fig-16")
def figure_16(runner: Runner) -> Result:
    """Real pictures in the first row, samples in the others."""
    figures = []
    sets = {"portraits": PORTRAITS, "satellite pictures": EARTH}
    for number, (name, data) in enumerate(sets.items(), 1):
        samples = _samples(runner.ref(cips_on(data)))
        real = RealPictures(real=runner.real(data), size=samples.size)
        rows = [_row(real, "real pictures"), _row(samples, "samples")]
        rows += [_row(samples, "", start=k * ACROSS) for k in (1, 2)]
        figures.append(
            sheet(
                f"samples-{number}",
                f"Real pictures, and samples of CIPS below: {name}.",
                rows,
                heading=f"CIPS: {name}",
            )
        )
    return Result(figures=tuple(figures))


def _samples(model: ModelRef) -> ModelPictures:
    """Drawn at twice the model's own size: what it is made for, and a little to see."""
    return ModelPictures(model=model, size=(2 * model.size[0], 2 * model.size[1]))


def _row(pictures: PictureSet, title: str, *, start: int = 0) -> list[Panel]:
    """Pictures side by side, the first with a title."""
    return [
        Panel(panel_picture(pictures.picture(start + k), THUMBNAIL), title if k == 0 else "")
        for k in range(ACROSS)
    ]


@experiment("cips-fig-18")
def figure_18(runner: Runner) -> Result:
    """Search the training set, and say whether samples are copies."""
    ref, real = runner.ref(CIPS), runner.real(PORTRAITS)
    count = len(open_images(runner.data(PORTRAITS)))
    samples = ModelPictures(model=ref, size=ref.size)
    training = RealPictures(real=real, size=ref.size)
    x = runner.features({"samples": samples}, count=5)["samples"]["features"]
    y = runner.features({"real pictures": training}, count=count)["real pictures"]["features"]
    large = (THUMBNAIL, THUMBNAIL)
    figure = sheet(
        "neighbors",
        f"Samples, and the nearest of {count:,} training pictures.",
        neighbor_rows(replace(samples, size=large), replace(training, size=large), x, y, count=5),
        heading=f"Samples, and the nearest of {count:,} real pictures",
    )
    end = f"_{runner.extractor.name}@{ref.size[0]}"
    found = runner.evaluate(CIPS, PORTRAITS, "neighbors")
    columns = (
        "distance over that of real pictures, median",
        "share of copies: nearer than half the distance to the real picture's own neighbor",
    )
    return one_table(columns, {"CIPS": (found[f"novelty{end}"], found[f"copies{end}"])}, figure)


def neighbor_rows(
    samples: PictureSet, real: PictureSet, x: FeatureRows, y: FeatureRows, *, count: int
) -> list[list[Panel]]:
    """Samples, each with the real pictures nearest to it.

    Args:
        samples, real: pictures to show.
        x, y: their features, (N, D) and (M, D): N rows are shown.
        count: pictures next to each sample.
    """
    numbers, distances = nearest(x.astype(np.float64), y.astype(np.float64), count=count)
    return [
        [
            Panel(samples.picture(seed), f"sample, seed {seed}"),
            *(
                Panel(real.picture(int(number)), f"distance {distance:.2f}")
                for number, distance in zip(numbers[seed], distances[seed], strict=True)
            ),
        ]
        for seed in range(len(x))
    ]


PAIRS = ((0, 1), (2, 3), (4, 5))
EIGHTHS = {"fine": (5, 8), "middle": (2, 5), "coarse": (0, 2)}
"""The paper's layers 6-8, 3-5 and 1-2 of 8, in its order."""


@experiment("cips-fig-19")
def figure_19(runner: Runner) -> Result:
    """Mix three pairs of samples of each model in three ways."""
    figures = []
    for number, (label, model) in enumerate(shown(runner), 1):
        ref = runner.ref(model)
        figures.append(
            sheet(
                f"mixing-{number}",
                f"{label}: A with the style of B in some layers.",
                [_mixtures(ref, pair) for pair in PAIRS],
                heading=f"{label}: layer-wise style mixing",
            )
        )
    return Result(figures=tuple(figures))


def _mixtures(model: ModelRef, pair: tuple[int, int]) -> list[Panel]:
    """Two samples and their mixtures."""
    generator = model.generator()
    a, b = (generator.map(latents([seed], generator)) for seed in pair)
    styles = {f"A, seed {pair[0]}": a, f"B, seed {pair[1]}": b}
    for name, layers in layer_ranges(generator.num_styles).items():
        styles[f"{name}: B at {layers.replace('-', ' to ')}"] = mix_styles(a, b, layers)
    return [Panel(painted(model, each, least=192), title) for title, each in styles.items()]


def layer_ranges(count: int) -> dict[str, str]:
    """Ranges of `count` styles by the paper's groups, as `mix_styles` takes them.

    Example:
        >>> layer_ranges(16)
        {'fine': '10-15', 'middle': '4-9', 'coarse': '0-3'}
    """
    return {
        name: f"{round(first * count / 8)}-{round(last * count / 8) - 1}"
        for name, (first, last) in EIGHTHS.items()
    }
