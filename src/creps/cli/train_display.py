"""What `creps train` shows: presets, what a run would be, what it made."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from creps.training.config import TrainConfig
    from creps.training.engine import Stats
    from creps.training.run import Run
    from creps.training.state import TrainState

TRIED_STEPS = 6
"""Steps that a dry run takes to measure the pace."""


def print_presets(console: Console) -> None:
    """A table of every preset: what it is for, its main settings, the score to expect."""
    from creps.training.presets import RECIPES

    table = Table(box=None, pad_edge=False)
    for head in ("preset", "px", "batch", "gamma"):
        table.add_column(head, no_wrap=True, justify="left" if head == "preset" else "right")
    table.add_column("what it is for; the score that its source reports")
    for name, recipe in RECIPES.items():
        config = recipe.config
        notes = [recipe.about, recipe.expects, f"--from {recipe.start}" if recipe.start else ""]
        table.add_row(
            name,
            str(config.resolution),
            str(config.batch),
            f"{config.loss.r1_gamma:g}",
            "; ".join(note for note in notes if note),
        )
    console.print(table)
    console.print("creps train --preset NAME --data PICTURES --out RUN; --dry-run says how long")


def describe(console: Console, config: TrainConfig, data: Path, device: str) -> None:
    """Print what a run would be: networks, data, and the time of a measured step."""
    from copy import deepcopy
    from dataclasses import replace

    from creps.training.feeding import open_training_set
    from creps.training.loop import train as train_loop
    from creps.training.state import initial_state

    pictures = open_training_set(config, data)
    state = initial_state(config, device)
    if config.teacher.weight:  # one that costs as much
        state.teacher = deepcopy(state.average)
    clock = _Clock()
    short = replace(config, images=config.batch * TRIED_STEPS, data=replace(config.data, workers=0))
    train_loop(state, pictures, short, callbacks=[clock], notice=console.print)
    per_step = clock.seconds_per_step
    count = {
        name: sum(p.numel() for p in network.parameters()) for name, network in state.networks()
    }
    height, width = config.size
    table = Table(show_header=False)
    table.add_row("pictures", f"{len(pictures)} from {data}, {len(pictures.source.broken)} broken")
    table.add_row("training size", f"{height}x{width} px, batch {config.batch}")
    table.add_row("generator", f"{config.family}, {count['generator']:,} parameters")
    table.add_row("discriminator", f"{count['discriminator']:,} parameters")
    table.add_row("loss", f"{config.loss.kind}, R1 gamma {config.loss.r1_gamma:g}")
    table.add_row("augmentation", config.augment.kind)
    table.add_row("speed", f"{config.batch / per_step:.1f} images/s, {config.precision}, {device}")
    table.add_row(
        "whole run", f"{config.images:,} images, about {config.steps * per_step / 3600:.1f} h"
    )
    console.print(table)
    console.print("dry run: nothing was written")


def print_result(console: Console, run: Run, stopped: str | None) -> None:
    """Say where a run stands and how its model is used."""
    images, model = run.state.step * run.config.batch, run.folder / "model"
    if stopped:
        console.print(f"{stopped} after {images} images; the same command goes on from here")
    else:
        console.print(f"done: {images} images")
    console.print(f"model:    {model}")
    console.print(f"previews: {run.folder / 'previews'}")
    report = run.folder / "report.html"
    if report.exists():
        console.print(f"report:   {report}")
    console.print(f"doctor:   creps train doctor {run.folder}")
    console.print(f"pictures: creps generate --model {model} --seeds 0-7 --out DIR")


class _Clock:
    """Notes when steps end; the first one, which warms up, does not count."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def after_step(self, state: TrainState, stats: Stats) -> None:
        import torch

        if state.device.type == "cuda":
            torch.cuda.synchronize()
        self.times.append(time.monotonic())

    def at_end(self, state: TrainState) -> None:
        pass

    @property
    def seconds_per_step(self) -> float:
        return (self.times[-1] - self.times[0]) / (len(self.times) - 1)
