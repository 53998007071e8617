"""Quality over CPU hours: recipes of training, each for the same processor time.

    python benchmarks/cpu_hours.py --data portraits-64.zip --out FOLDER --minutes 15 today projected

Trains each named recipe of `RECIPES` on the same pictures until it has used so many minutes of
processor time (of all its threads and processes; measuring it is not counted), so that other work
on the machine does not matter. A few steps first tell how many pictures fit into the budget: that
number is kept in FOLDER/RECIPE-SEED/plan.json, so that what a recipe anneals ends with it. At each
of `--points` equal parts it writes a row to FOLDER/cpu-hours.jsonl, the model, and a sheet of its
seeds 0 to 23.
An interrupted benchmark goes on.

Numbers are of `--count` samples against as many real pictures of `--size` px (64): `swd` is the
sliced Wasserstein distance of 7 x 7 patches at the full and half size, `spectrum` the difference of
radial spectra in decibels; no network takes part in either. `--extractor` adds a Frechet distance,
precision and recall: not effnet where a recipe looks at its features. `--again` measures the models
that were kept once more, without training, into FOLDER/judged.jsonl; `cpu_hours_table.py` shows it.
Pictures with labels lie class by class and the first are of one class, so `half-labels`
and `half-latents` want `--real` with the same pictures without labels.

The sieve trains patches of 32 px, half of them whole pictures, half windows magnified up to twice,
and judges at 64 px: what an any-scale model is asked for, at the smallest price.
"""

from __future__ import annotations

import json
import resource
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
import typer
from numpy.typing import NDArray
from PIL import Image
from record import Record
from samples import real_pictures, samples
from torch import Tensor

from creps.checkpoints import load, save
from creps.data import open_images
from creps.metrics._distances import frechet_distance, precision_recall
from creps.metrics._extractors import FeatureExtractor, extract, extractor_spec
from creps.metrics._spectra import power_spectrum, radial_spectrum, spectrum_difference
from creps.networks.base import Generator
from creps.rendering._sheets import contact_sheet
from creps.training import Callback, Run, TrainConfig, preset, train
from creps.training._state import step_of

COMMON = (
    "data.workers=0 data.cache_megabytes=4000 data.detail=2 data.zoom=2 "
    "preview_every=0 snapshot_every=200 "
)

_PROJECTED = "projected.weight=1 projected.side=64 "
_NARROW = "discriminator.channel_base=768 discriminator.channel_max=96 "
_LIGHT = "projected.weight=0.1 "
_PLACED = "projected.placed=true discriminator_kind=placed "
_FINITE = "loss.penalty=finite loss.discriminator_interval=1 "
_ANNEAL = "anneal.images={all} optimizer.beta2=0.9 ema_half_life=20000 "

_BLUR = "augment.blur=4 augment.blur_images={fifth} "

_LABELS = "data.labels=true generator.label_dim={classes} discriminator.label_dim={classes} "

_BEST = _PROJECTED + _NARROW + _LIGHT
_HALF = _BEST + _BLUR + "precision=bfloat16 "

RECIPES: dict[str, tuple[str, str]] = {
    "today": ("small-32-zoom", ""),
    "narrow": ("small-32-zoom", _NARROW),
    "finite": ("small-32-zoom", _FINITE),
    "anneal": ("small-32-zoom", _ANNEAL),
    "projected-narrow": ("small-32-zoom", _PROJECTED + _NARROW),
    "projected-light": ("small-32-zoom", _BEST),
    "projected-lightest": ("small-32-zoom", _BEST + "projected.weight=0.03"),
    "projected-128": ("small-32-zoom", _BEST + "projected.side=128"),
    "projected-wide": ("small-32-zoom", _PROJECTED + _LIGHT),
    "projected-finite": ("small-32-zoom", _BEST + _FINITE),
    "projected-anneal": ("small-32-zoom", _BEST + _ANNEAL),
    "projected-finite-anneal": ("small-32-zoom", _BEST + _FINITE + _ANNEAL),
    "projected-placed": ("small-32-zoom", _BEST + _PLACED),
    "projected-blur": ("small-32-zoom", _BEST + _BLUR),
    "projected-blur-half": ("small-32-zoom", _HALF),
    "projected-diffaugment": ("small-32-zoom", _BEST + "augment.kind=diffaugment"),
    "half-labels": ("small-32-zoom", _HALF + _LABELS),
    "half-latents": ("small-32-zoom", _HALF + _LABELS + "generator.class_from_latent=true"),
    "blur-moments": ("small-32-zoom", _BEST + _BLUR + "projected.moments=0.3"),
    "moments-half": ("small-32-zoom", _HALF + "projected.moments=0.3"),
    "one-draw-half": ("small-32-zoom", _HALF + "projected.moments=0.3 loss.one_draw=true"),
    "blur-coarse-first": ("small-32-zoom", _BEST + _BLUR + "data.zoom_images={half}"),
    "blur-thick": ("small-32-zoom", _BEST + _BLUR + "generator.thickness=16"),
    "blur-lines": ("small-32-zoom", _BEST + _BLUR + "generator.line_channels=32"),
    "blur-flat": ("small-32-zoom", _BEST + _BLUR + "generator.z_dim=64 generator.mapping_layers=1"),
}
"""Preset and changes by name; {all} is the number of pictures of the run, {half} and {fifth} are
parts of it, {classes} is the number of classes of the data."""

TRAINED = ("recipe", "seed", "minutes", "budget_minutes", "images", "images_per_cpu_second")
"""What a row says of the training; the rest is of the judge."""

TRIED_STEPS = 33
SHEET = 24


class Meter(Callback):
    """Processor seconds of a run's steps, those of earlier sessions included."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "cpu.jsonl"
        self.before, self.started = 0.0, cpu_seconds()

    def resume(self, step: int) -> None:
        """Go on from what the steps that a snapshot holds have used."""
        if self.path.exists():
            rows = [json.loads(line) for line in self.path.read_text().splitlines()]
            self.before = max((row["cpu"] for row in rows if row["step"] <= step), default=0.0)
        self.started = cpu_seconds()

    @property
    def spent(self) -> float:
        """Processor seconds so far."""
        return self.before + cpu_seconds() - self.started

    def after_step(self, run: Run, stats: dict[str, Tensor]) -> None:
        """Note the time every few steps."""
        if run.state.step % 20 == 0 or run.complete:
            with self.path.open("a", encoding="utf-8") as file:
                row = {"step": run.state.step, "cpu": round(self.spent, 2)}
                file.write(json.dumps(row) + "\n")


class Pace(Callback):
    """Processor seconds of each step of a trial."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def after_step(self, run: Run, stats: dict[str, Tensor]) -> None:
        """Note the time."""
        self.moments.append(cpu_seconds())


def cpu_seconds() -> float:
    """Processor time of this process and of those it has waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def settings(recipe: str, images: int, seed: int, classes: int = 0) -> TrainConfig:
    """The settings of a recipe for a run of so many pictures."""
    base, changes = RECIPES[recipe]
    parts = {"all": images, "half": images // 2, "fifth": images // 5, "classes": classes}
    words = (COMMON + changes.format(**parts)).split()
    return preset(base, *words, f"images={images}", f"seed={seed}")


def classes_of(recipe: str, data: Path) -> int:
    """How many classes of pictures a recipe learns to draw."""
    return open_images(data, labels=True).num_classes if _LABELS in RECIPES[recipe][1] else 0


def planned_images(recipe: str, data: Path, folder: Path, *, seconds: float, seed: int) -> int:
    """How many pictures a recipe sees in its processor time: measured once, then kept."""
    path = folder / "plan.json"
    if not path.exists():
        config, pace = settings(recipe, 100_000, seed, classes_of(recipe, data)), Pace()
        stopped = StopAfter(TRIED_STEPS)
        trial = folder / f"trial-{time.time_ns()}"
        train(data, trial, config, device="cpu", callbacks=[pace, stopped], log=lambda line: None)
        # 32 steps between the first and the last: whole rounds of all that is due every few steps.
        per_step = (pace.moments[-1] - pace.moments[0]) / (len(pace.moments) - 1)
        images = int(seconds / per_step) * config.batch
        path.write_text(json.dumps({"images": images, "cpu_per_step": per_step}) + "\n")
    return int(json.loads(path.read_text())["images"])


class StopAfter(Callback):
    """Ends a run after a number of steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def after_step(self, run: Run, stats: dict[str, Tensor]) -> None:
        """Stop when they are done."""
        if run.state.step >= self.steps:
            run.stop = "tried"


def sliced_wasserstein(a: Tensor, b: Tensor, *, directions: int = 128) -> float:
    """Mean distance of the patches of two sets (N, 3, S, S) uint8 along random directions.

    Sets of one size; 16 patches of 7 x 7 pixels a picture, at the full and at half size, in 0 .. 1
    (Progressive GAN, section 5, without its normalization: colors count).
    """
    random = torch.Generator().manual_seed(0)
    total = 0.0
    for _ in range(2):
        side = a.shape[-1] - 7
        corners = torch.randint(0, side + 1, (16, 2), generator=random)
        rows = []
        for images in (a, b):
            cut = [images[:, :, y : y + 7, x : x + 7].flatten(1) for y, x in corners.tolist()]
            rows.append(torch.cat(cut).float() / 255)
        axes = torch.randn(rows[0].shape[1], directions, generator=random)
        axes = axes / axes.norm(dim=0)
        first, second = ((patches @ axes).sort(0).values for patches in rows)
        total += float((first - second).abs().mean())
        a, b = (F.avg_pool2d(images.float(), 2).round().to(torch.uint8) for images in (a, b))
    return total / 2


@dataclass(frozen=True)
class Reference:
    """Real pictures (N, 3, S, S) uint8, their mean power, and their features if wanted."""

    images: Tensor
    spectrum: NDArray[np.float64]
    extractor: FeatureExtractor | None
    features: NDArray[np.float64] | None

    @classmethod
    def of(cls, images: Tensor, extractor: str) -> Reference:
        """What models are compared with."""
        network = extractor_spec(extractor).load() if extractor else None
        features = None if network is None else extract([images], network)
        return cls(images, mean_spectrum(images), network, features)


def mean_spectrum(images: Tensor) -> NDArray[np.float64]:
    """Azimuthal average of the mean power of pictures (N, 3, S, S)."""
    powers = [power_spectrum(image.permute(1, 2, 0).numpy()) for image in images]
    return radial_spectrum(np.mean(powers, axis=0), images.shape[-1]).average


def judged(model: Generator, real: Reference) -> dict[str, Any]:
    """The numbers of a model."""
    made = torch.cat(list(samples(model, size=real.images.shape[-1], count=len(real.images))))
    row: dict[str, Any] = {
        "n": len(made),
        "size": real.images.shape[-1],
        "swd": round(sliced_wasserstein(made, real.images), 4),
        "spectrum": round(spectrum_difference(mean_spectrum(made), real.spectrum).rms, 2),
    }
    if real.extractor is not None and real.features is not None:
        features = extract([made], real.extractor)
        found = precision_recall(features, real.features)
        row[f"fd_{real.extractor.name}"] = round(frechet_distance(features, real.features), 2)
        row |= {name: round(getattr(found, name), 3) for name in ("precision", "recall")}
    return row


def sheet(model: Generator, size: int) -> Image.Image:
    """Seeds 0 to 23, none left out."""
    images = next(samples(model, size=size, count=SHEET)).permute(0, 2, 3, 1).numpy()
    return Image.fromarray(contact_sheet(list(images), columns=12))


def run_recipe(
    recipe: str,
    data: Path,
    out: Path,
    *,
    seconds: float,
    points: int,
    real: Reference,
    seed: int,
    record: Record,
) -> None:
    """Train and judge one recipe, or what is left of it."""
    folder, path = out / f"{recipe}-{seed}", out / "cpu-hours.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    images = planned_images(recipe, data, folder, seconds=seconds, seed=seed)
    config = settings(recipe, images, seed, classes_of(recipe, data))
    done = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    known = {row["images"] for row in done if (row["recipe"], row["seed"]) == (recipe, seed)}
    for point in range(1, points + 1):
        seen = -(-images * point // points // config.batch) * config.batch
        if seen in known:
            continue
        meter = Meter(folder)
        kept = sorted((folder / "run" / "snapshots").glob("step-*.safetensors"))
        meter.resume(step_of(kept[-1]) if kept else 0)
        part = replace(config, images=seen)  # what the recipe anneals ends with the whole run
        run = train(data, folder / "run", part, device="cpu", callbacks=[meter], log=print)
        if run.stop:
            raise SystemExit(f"{recipe}: {run.stop}")
        meter.resume(run.state.step)
        model = run.model.eval()
        row = {
            "recipe": recipe,
            "seed": seed,
            "minutes": round(meter.before / 60, 2),
            "budget_minutes": round(seconds / 60, 1),
            "images": run.images,
            "images_per_cpu_second": round(run.images / max(meter.before, 1e-9), 2),
            **judged(model, real),
        }
        sheet(model, real.images.shape[-1]).save(folder / f"{run.images:07d}.png")
        save(model, folder / f"model-{run.images:07d}", record=run.record)
        record.write(row)


def judge_again(recipe: str, out: Path, *, real: Reference, seed: int, record: Record) -> None:
    """Measure the models that were kept of a recipe; rows say which code trained them."""
    rows = [json.loads(line) for line in (out / "cpu-hours.jsonl").read_text().splitlines()]
    for row in rows:
        if (row["recipe"], row["seed"]) == (recipe, seed):
            known = {name: row[name] for name in TRAINED} | {"trained_by": row["commit"]}
            model = load(out / f"{recipe}-{seed}" / f"model-{row['images']:07d}")
            record.write(known | judged(model, real))


def main(
    recipes: Annotated[list[str], typer.Argument(help=f"Of {', '.join(RECIPES)}.")],
    data: Annotated[Path, typer.Option(help="Pictures: folder, zip, shards.")],
    out: Annotated[Path, typer.Option(help="Folder of the runs and results.")],
    minutes: Annotated[float, typer.Option(help="Processor time of each recipe.")] = 15.0,
    points: Annotated[int, typer.Option(help="Measurements of each recipe.")] = 3,
    count: Annotated[int, typer.Option(help="Pictures a set.")] = 1_000,
    size: Annotated[int, typer.Option(help="Pixels a side at which pictures are compared.")] = 64,
    seed: Annotated[int, typer.Option(help="Of weights, order and draws.")] = 0,
    extractor: Annotated[
        str, typer.Option(help="Adds fd, precision, recall by its features.")
    ] = "",
    pictures: Annotated[
        Path | None, typer.Option("--real", help="What samples are compared with: as --data.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Measure kept models, no training.")
    ] = False,
) -> None:
    """Train each recipe for the same processor time and judge it on the way."""
    unknown = [name for name in recipes if name not in RECIPES]
    if unknown:
        raise SystemExit(f"unknown recipe {unknown[0]!r}: expected of {', '.join(RECIPES)}")
    out.mkdir(parents=True, exist_ok=True)
    record = Record("cpu_hours", out / ("judged.jsonl" if again else "cpu-hours.jsonl"))
    others = real_pictures(pictures or data, size=size, count=count)
    real = Reference.of(torch.cat(list(others)), extractor)
    for recipe in recipes:
        if again:
            judge_again(recipe, out, real=real, seed=seed, record=record)
            continue
        run_recipe(
            recipe,
            data,
            out,
            seconds=60 * minutes,
            points=points,
            real=real,
            seed=seed,
            record=record,
        )


if __name__ == "__main__":
    typer.run(main)
