"""`creps train`: from a folder of pictures to a model."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from creps.errors import UsageError

if TYPE_CHECKING:
    from creps.training.config import TrainConfig
    from creps.training.run import Run
    from creps.training.state import TrainState
    from creps.training.steps import Stats

UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def train(
    data: Annotated[Path, typer.Option(help="Folder or zip of pictures.")],
    out: Annotated[Path, typer.Option(help="The run's folder; an unfinished run there goes on.")],
    preset: Annotated[
        str,
        typer.Option(
            help="Recipe to start from: smoke, small-32, small-64, "
            "paper-128, paper-256, paper-512, paper-1024."
        ),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a setting: --set loss.r1_gamma=2; may be repeated."),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Run or model that a new run goes on from, with other settings or data."
        ),
    ] = None,
    images: Annotated[int | None, typer.Option(help="Pictures to show before it ends.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the whole run.")] = None,
    labels: Annotated[bool, typer.Option(help="Class-conditional, on the data's labels.")] = False,
    time_limit: Annotated[
        str | None, typer.Option(help="Stop after so long (90s, 30m, 2h) with a snapshot.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps.")] = "cpu",
    tensorboard: Annotated[bool, typer.Option(help="Also log to RUN/tensorboard.")] = False,
    dry_run: Annotated[
        bool, typer.Option(help="Say what would be done and how long it takes; write nothing.")
    ] = False,
) -> None:
    """Train a generator; the same command goes on after a stop, bit for bit on a CPU."""
    seconds = None if time_limit is None else parse_duration(time_limit)
    from creps.config import replace
    from creps.training.config import preset as preset_named

    changes = list(settings or [])
    if images is not None:
        changes.append(f"images={images}")
    if seed is not None:
        changes.append(f"seed={seed}")
    if labels:
        changes += ["data.labels=true", *_label_settings(data)]
    config = replace(preset_named(preset), changes)
    console = Console()
    if dry_run:
        _describe(console, config, data, device)
        return
    from creps.training.run import open_run

    run = open_run(out, config, data, device=device, start=start)
    _train(console, run, seconds=seconds, tensorboard=tensorboard)


def parse_duration(text: str) -> float:
    """Seconds of `90`, `90s`, `30m`, `2h` or `1d`.

    Raises:
        UsageError: for anything else, and for zero.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d|)", text.strip())
    if not match or float(match[1]) <= 0:
        raise UsageError(f"time limit {text!r}: expected a time such as 90s, 30m or 2h")
    return float(match[1]) * UNITS[match[2]]


def _label_settings(data: Path) -> list[str]:
    """Settings that give both networks the number of classes of the data."""
    from creps.data.sources import open_images

    classes = open_images(data, labels=True).num_classes
    return [f"generator.label_dim={classes}", f"discriminator.label_dim={classes}"]


def _train(console: Console, run: Run, *, seconds: float | None, tensorboard: bool) -> None:
    from creps.training.callbacks import Log, Previews, Snapshots, TimeLimit
    from creps.training.loop import Callback, StopRequest, stop_on_signals
    from creps.training.loop import train as train_loop

    out, config = run.folder, run.config
    broken = len(run.pictures.source.broken)
    skipped = f" ({broken} broken files skipped)" if broken else ""
    console.print(f"{len(run.pictures)} training pictures from {run.data['name']}{skipped}")
    if run.state.step >= config.steps:
        console.print(f"{out} is complete: {config.steps} steps. The model is in {out / 'model'}")
        return
    if run.state.step:
        console.print(f"going on at step {run.state.step} of {config.steps}")
    stop = StopRequest()
    also = _tensorboard_writer(out) if tensorboard else None
    first = run.state.step
    with Progress(
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("images  {task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
    ) as progress:
        callbacks: list[Callback] = [
            _ProgressBar(progress, config, first),
            Log(out / "log.jsonl", config, first_step=first, also=also),
            Previews(out / "previews", config),
            Snapshots(out, config, record=run.record),
        ]
        if seconds is not None:
            callbacks.append(TimeLimit(seconds, stop))
        with stop_on_signals(stop):
            train_loop(
                run.state,
                run.pictures,
                config,
                callbacks=callbacks,
                stop=stop,
                on_broken=lambda name: progress.console.print(f"skipped: {name} is broken"),
            )
    _report(console, run, stop.reason)


def _report(console: Console, run: Run, stopped: str | None) -> None:
    images = run.state.step * run.config.batch
    if stopped:
        console.print(f"{stopped} after {images} images; the same command goes on from here")
    else:
        console.print(f"done: {images} images")
    console.print(f"model:    {run.folder / 'model'}")
    console.print(f"previews: {run.folder / 'previews'}")
    console.print(f"pictures: creps generate --model {run.folder / 'model'} --seeds 0-7 --out DIR")


def _describe(console: Console, config: TrainConfig, data: Path, device: str) -> None:
    """Print what a run would be: networks, data, and the time of a measured step."""
    import torch

    from creps.training.loop import train as train_loop
    from creps.training.run import open_training_set
    from creps.training.state import initial_state

    pictures = open_training_set(config, data)
    state = initial_state(config, device)
    steps = [0.0]

    class Clock:
        def after_step(self, state: TrainState, stats: Stats) -> None:
            if state.device.type == "cuda":
                torch.cuda.synchronize()
            steps.append(time.monotonic())

        def at_end(self, state: TrainState) -> None:
            pass

    from dataclasses import replace

    short = replace(config, images=config.batch * 6, data=replace(config.data, workers=0))
    train_loop(state, pictures, short, callbacks=[Clock()])
    per_step = (steps[-1] - steps[1]) / (len(steps) - 2)
    count = {
        name: sum(p.numel() for p in network.parameters()) for name, network in state.networks()
    }
    table = Table(show_header=False)
    table.add_row("pictures", f"{len(pictures)} from {data}, {len(pictures.source.broken)} broken")
    table.add_row("training size", f"{config.resolution} px, batch {config.batch}")
    table.add_row("generator", f"{count['generator']:,} parameters")
    table.add_row("discriminator", f"{count['discriminator']:,} parameters")
    table.add_row("loss", f"{config.loss.kind}, R1 gamma {config.loss.r1_gamma}")
    table.add_row("speed", f"{config.batch / per_step:.1f} images/s on {device}")
    table.add_row(
        "whole run", f"{config.images:,} images, about {config.steps * per_step / 3600:.1f} h"
    )
    console.print(table)
    console.print("dry run: nothing was written")


class _ProgressBar:
    """Images seen and images per second, on the console."""

    def __init__(self, progress: Progress, config: TrainConfig, first_step: int) -> None:
        self.progress, self.batch = progress, config.batch
        self.first, self.started = first_step, time.monotonic()
        self.task = progress.add_task(
            "train", total=config.steps * config.batch, completed=first_step * config.batch, rate=""
        )

    def after_step(self, state: TrainState, stats: Stats) -> None:
        images = (state.step - self.first) * self.batch
        rate = images / (time.monotonic() - self.started)
        self.progress.update(
            self.task, completed=state.step * self.batch, rate=f"{rate:.1f} images/s"
        )

    def at_end(self, state: TrainState) -> None:
        pass


def _tensorboard_writer(out: Path):  # type: ignore[no-untyped-def]  # the type is an extra's
    """A function that logs (step, values) to TensorBoard."""
    from creps.errors import MissingExtraError

    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtraError("TensorBoard logging", "train") from None
    writer = SummaryWriter(str(out / "tensorboard"))

    def write(step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    return write
