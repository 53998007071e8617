"""A tiny run for the tests of training: pictures, settings, a few steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from creps.training._batches import load_training_batches, open_training_set
from creps.training._callbacks import standard_callbacks
from creps.training._config import TrainConfig
from creps.training._engine import Engine, Stats
from creps.training._loop import run_steps
from creps.training._presets import preset
from creps.training._run import Callback, Run, open_run
from creps.training._state import TrainState, initial_state
from creps.training._steps import train_step

SHORT = [
    "batch=4",
    "images=32",
    "log_every=2",
    "preview_every=4",
    "snapshot_every=3",
    "data.workers=0",
]
"""Eight steps, with all that comes every few of them."""

TINY = [
    "resolution=8",
    "discriminator.resolution=8",
    "generator.resolution=8",
    "generator.channel_max=8",
    "generator.z_dim=8",
    "generator.w_dim=8",
    "discriminator.channel_max=8",
    *SHORT,
]


def tiny(*changes: str) -> TrainConfig:
    """A run of 8 px, 8 steps, with a few settings changed."""
    return preset("smoke", *TINY, *changes)


def draw_pictures(folder: Path, *, classes: int = 0) -> Path:
    """Ten pictures of noise, in a folder or in one of each class."""
    random = np.random.default_rng(0)
    for k in range(10):
        place = folder / f"class{k % classes}" if classes else folder
        place.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 255, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{k}.png")
    return folder


def run_to(
    folder: Path,
    config: TrainConfig,
    data: Path,
    *,
    start: Path | None = None,
    steps: int | None = None,
) -> TrainState:
    """Train in `folder`, stopping after `steps` steps in all as a signal would."""
    run = open_run(folder, config, data, start=start)
    run_steps(run, callbacks=[*standard_callbacks(run, data=data), StopAt(steps)])
    return run.state


class StopAt(Callback):
    """Stops a run after so many steps in all; None: never."""

    def __init__(self, steps: int | None) -> None:
        self.steps = steps

    def after_step(self, run: Run, stats: Stats) -> None:
        if run.state.step == self.steps:
            run.stop = "test"


def few_steps(config: TrainConfig, data: Path, *, steps: int = 3) -> tuple[TrainState, list[Stats]]:
    """The state after a few steps without files or callbacks, and what each step would log."""
    state = initial_state(config)
    engine, pictures = Engine(state, config), open_training_set(config, data)
    batches = load_training_batches(pictures, config, first_step=0, device=state.device)
    return state, [train_step(engine, next(batches)) for _ in range(steps)]


def largest_difference(ours: TrainState, theirs: TrainState) -> float:
    """Of any two tensors of the states, relative to the tensor's largest value or to one."""
    pairs = zip(ours.tensors(), theirs.tensors(), strict=True)
    differences = []
    for (name, mine), (other, yours) in pairs:
        assert name == other
        difference = (mine.double() - yours.double()).abs().max()
        differences.append(float(difference / mine.abs().max().clamp(min=1)))
    return max(differences)
