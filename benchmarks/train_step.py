"""How fast a training step is, where its time goes, and against what the machine can do.

    python benchmarks/train_step.py --preset small-32 [--device cuda --precision bfloat16]

Trains on random pictures for some steps and prints one JSON line: images per second, memory, the
share of each phase in an average step (lazy penalties count by how often they happen), and
arithmetic per second beside that of a large matrix product. The plain step of `plain_step.py` runs
in turns with ours, in float32 and in the same process, where the run is one it knows; the two must
find the same losses in the first step.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from PIL import Image
from plain_step import PlainTraining
from record import Record
from torch.utils.flop_counter import FlopCounterMode

from creps._devices import peak_memory
from creps.config import replace
from creps.data import Batch
from creps.training._batches import load_training_batches, open_training_set
from creps.training._config import TrainConfig
from creps.training._engine import Engine
from creps.training._precision import tune_device
from creps.training._presets import preset as preset_named
from creps.training._state import initial_state, step_random
from creps.training._steps import (
    Drawn,
    discriminator_step,
    generator_step,
    path_length_step,
    penalty_step,
    projected_step,
    statistics_step,
    train_step,
    update_average,
)

MATRIX = 2048  # side of the reference product
PICTURES = 32
LOSS_PARITY = 2e-4  # relative, of the first step in float32


class Clock:
    """Seconds of calls, median by name; waits for the device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, list[float]] = {}

    def time(self, name: str, call: Callable[[], Any]) -> Any:
        """The result of a call, timed."""
        self._wait()
        started = time.perf_counter()
        result = call()
        self._wait()
        self.seconds.setdefault(name, []).append(time.perf_counter() - started)
        return result

    def median(self, name: str) -> float:
        """Seconds of a usual call; 0 for one that never happened."""
        return statistics.median(self.seconds.get(name, [0.0]))

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def random_pictures(folder: Path, size: int) -> Path:
    """Pictures of smooth noise, as JPEG files."""
    random = np.random.default_rng(0)
    for k in range(PICTURES):
        noise = Image.fromarray(random.integers(0, 255, (16, 16, 3), dtype=np.uint8))
        noise.resize((size, size), Image.Resampling.BICUBIC).save(folder / f"{k}.jpg")
    return folder


def phases(engine: Engine, next_batch: Callable[[], Batch], clock: Clock, steps: int) -> None:
    """Time each phase of some steps by itself."""
    state, loss = engine.state, engine.config.loss
    for _ in range(steps):
        state.step = 1  # no step in which something lazy is due
        batch = clock.time("data", next_batch)
        parts = engine.parts(batch)
        if loss.kind == "statistics":
            clock.time("generator", lambda: statistics_step(engine, parts))  # noqa: B023
            clock.time("average", lambda: update_average(state, engine.config))
            continue
        clock.time("generator", lambda: generator_step(engine, parts))  # noqa: B023
        drawn = Drawn()
        clock.time("discriminator", lambda: discriminator_step(engine, parts, drawn=drawn))  # noqa: B023
        if state.projected is not None:
            clock.time("projected", lambda: projected_step(engine, parts, drawn))  # noqa: B023
        if loss.r1_gamma or loss.r2_gamma:
            images = [part.batch.image for part in parts]
            clock.time("penalties", lambda: penalty_step(engine, parts, images))  # noqa: B023
        if loss.path_length_weight:
            clock.time("path length", lambda: path_length_step(engine, parts))  # noqa: B023
        clock.time("average", lambda: update_average(state, engine.config))


def measure(config: TrainConfig, device: str, *, steps: int, plain: bool) -> dict[str, Any]:
    """One line of results."""
    tune_device(device, config.precision)
    state = initial_state(config, device)
    notices: list[str] = []
    engine, clock = Engine(state, config, log=notices.append), Clock(state.device)
    reference = PlainTraining(state, config) if plain else None
    with tempfile.TemporaryDirectory() as folder:
        data = random_pictures(Path(folder), config.resolution * min(config.data.detail, 8))
        pictures = open_training_set(config, data)
        batches = load_training_batches(pictures, config, first_step=0, device=state.device)
        batch = next(batches)
        parity = None
        if reference is not None:
            parity = _parity(engine, reference, batch)
        for _ in range(2):  # warm
            train_step(engine, next(batches))
        for _ in range(steps):
            batch = next(batches)
            # all steps of a cycle cost what an average one does
            clock.time("step", lambda: train_step(engine, batch))  # noqa: B023
            if reference is not None:
                z = latents(engine)
                clock.time("plain step", lambda: reference.step(batch, (z, z)))  # noqa: B023
        work = _work(engine, batch)
        memory = _memory(state.device)
        phases(engine, batches.__next__, clock, max(steps // 4, 3))
    seconds = statistics.fmean(clock.seconds["step"])
    result = {
        "benchmark": "train_step",
        "family": config.family,
        "size": list(config.size),
        "batch": config.batch,
        "accumulate": config.accumulate,
        "precision": config.precision,
        "compile": config.compile,
        "loss": config.loss.kind,
        "augment": config.augment.kind,
        "steps": steps,
        "images_per_s": round(config.batch / seconds, 2),
        "seconds_per_step": round(seconds, 4),
        "peak_memory_mb": round(memory / 1e6),
        "share": _shares(config, clock),
        "gflop_per_step": round(work / 1e9, 1),
        "gflop_per_s": round(work / seconds / 1e9, 1),
    }
    limit = matrix_product_rate(state.device, config)
    result["matrix_gflop_per_s"] = round(limit / 1e9, 1)
    result["times_limit"] = round(seconds / (work / limit), 2)
    if reference is not None:
        other = statistics.fmean(clock.seconds["plain step"])
        result["plain_images_per_s"] = round(config.batch / other, 2)
        result["times_plain"] = round(other / seconds, 2)
        result["loss_difference_to_plain"] = parity
    if notices:
        result["notices"] = notices
    return result


def latents(engine: Engine, purpose: str = "generator") -> torch.Tensor:
    """The latents that a step draws for a purpose."""
    config = engine.config
    random = step_random(config.seed, engine.state.step, purpose)
    z = torch.randn(config.batch, config.generator.z_dim, generator=random)
    return z.to(engine.state.device)


def matrix_product_rate(device: torch.device, config: TrainConfig) -> float:
    """FLOP/s of a large matrix product in the run's precision, the best of a few."""
    dtype = getattr(torch, config.precision)
    a, b = (torch.randn(MATRIX, MATRIX, device=device, dtype=dtype) for _ in range(2))
    clock, result = Clock(device), torch.empty_like(a)
    for _ in range(8):
        clock.time("product", lambda: torch.mm(a, b, out=result))
    return 2 * MATRIX**3 / min(clock.seconds["product"])


def _parity(engine: Engine, plain: PlainTraining, batch: Batch) -> float:
    """Largest relative difference of the first step's losses; refuses to compare other steps."""
    drawn = latents(engine, "generator"), latents(engine, "discriminator")
    ours = train_step(engine, batch)
    theirs = plain.step(batch, drawn)
    names = ("loss/generator", "loss/discriminator")
    differences = [abs(float(ours[n]) / other - 1) for n, other in zip(names, theirs, strict=True)]
    if engine.config.precision == "float32" and max(differences) > LOSS_PARITY:
        raise SystemExit(f"the plain step finds other losses: {theirs} for {ours}")
    return float(f"{max(differences):.1e}")


class WholeStep(nullcontext[None]):
    """Stands in for the counter's tracker of modules, whose hooks refuse gradients of inputs."""

    parents = frozenset({"Global"})


def _work(engine: Engine, batch: Batch) -> float:
    """Operations of an average step, two a multiply-add, counted from what is executed."""
    loss = engine.config.loss
    counts = []
    for step in (0, 1):  # with everything lazy, without
        engine.state.step = step
        counter = FlopCounterMode(display=False)
        counter.mod_tracker = WholeStep()
        with counter:
            train_step(engine, batch)
        counts.append(counter.get_total_flops())
    due = 1 / max(loss.discriminator_interval, 1)
    return counts[1] + (counts[0] - counts[1]) * due


def _shares(config: TrainConfig, clock: Clock) -> dict[str, float]:
    loss = config.loss
    every_step = ("data", "generator", "discriminator", "projected", "average")
    cost = {name: clock.median(name) for name in every_step}
    cost["penalties"] = clock.median("penalties") / loss.discriminator_interval
    cost["path length"] = clock.median("path length") / loss.generator_interval
    return {name: round(seconds / sum(cost.values()), 3) for name, seconds in cost.items()}


def _memory(device: torch.device) -> float:
    """Bytes at the peak: of the GPU's memory, or of this process."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated())
    return float(peak_memory() or 0)


def main(
    preset: Annotated[str, typer.Option(help="Recipe to measure.")] = "small-32",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting, as in creps train.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda.")] = "cpu",
    precision: Annotated[
        str | None, typer.Option(help="float32, bfloat16, float16; the preset's by default.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Steps to time, a multiple of lazy intervals.")] = 16,
    out: Annotated[Path | None, typer.Option(help="Also append the JSON lines here.")] = None,
) -> None:
    """Measure a training step; one JSON line on stdout."""
    record = Record("train_step", out)
    changes = ["data.workers=0", *(settings or [])]
    if precision:
        changes.append(f"precision={precision}")
    config = replace(preset_named(preset), changes)
    plain = (
        config.family == "creps"
        and config.loss.kind == "relativistic"
        and config.augment.kind == "none"
        and not config.augment.blur
        and not config.projected.weight
        and config.discriminator_kind == "one"
        and config.generator.composition == "layerwise"
        and not config.generator.label_dim
    )
    measured = measure(config, device, steps=steps, plain=plain)
    record.write({"preset": preset, **measured}, device=device)


if __name__ == "__main__":
    typer.run(main)
