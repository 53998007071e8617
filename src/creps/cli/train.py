"""`creps train`: from a folder of pictures to a model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer
from rich.console import Console

from creps.cli import train_options as options
from creps.cli.train_watching import Watched
from creps.errors import UsageError

if TYPE_CHECKING:
    from creps.training.run import Run
    from creps.training.team import Team

T = TypeVar("T")

UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def train(
    context: typer.Context,
    data: options.Data = None,
    out: options.Out = None,
    preset: options.Preset = None,
    list_presets: options.ListPresets = False,
    dry_run: options.DryRun = False,
    start: options.Start = None,
    loss: options.Loss = None,
    augment: options.Augment = None,
    mirror: options.Mirror = False,
    labels: options.Labels = False,
    settings: options.Settings = None,
    images: options.Images = None,
    seed: options.Seed = None,
    time_limit: options.TimeLimit = None,
    loggers: options.Loggers = None,
    open_report: options.Open = False,
    device: options.Device = "auto",
    precision: options.Precision = None,
    accumulate: options.Accumulate = None,
) -> None:
    """Train a generator; the same command goes on after a stop, bit for bit on a CPU.

    First look: creps train --preset smoke --data PICTURES --out RUN (a minute on a CPU).

    Several GPUs or machines: torchrun --nproc-per-node 4 -m creps train ... makes the steps that
    one would, and any number of processes goes on with the run.
    """
    if context.invoked_subcommand is not None:
        return
    console = Console()
    if list_presets:
        from creps.cli.train_display import print_presets

        print_presets(console)
        return
    data, out = _required(data, "--data"), _required(out, "--out")
    seconds = None if time_limit is None else parse_duration(time_limit)
    from creps.config import replace
    from creps.training.presets import preset as preset_named
    from creps.training.presets import with_augmentation, with_loss

    config = preset_named(_required(preset, "--preset"))
    config = config if loss is None else with_loss(config, loss)
    config = config if augment is None else with_augmentation(config, augment)
    given = {"images": images, "seed": seed, "precision": precision, "accumulate": accumulate}
    changes = [f"{name}={value}" for name, value in given.items() if value is not None]
    changes += ["data.mirror=true"] * mirror + list(settings or [])
    if labels:
        changes += ["data.labels=true", *_label_settings(data)]
    config = replace(config, changes)
    if dry_run:
        from creps.cli.train_display import describe

        describe(console, config, data, _device(device))
        return
    from creps.training.passes import tune_device
    from creps.training.run import open_run
    from creps.training.team import join_team

    with join_team(_device(device)) as (team, place):
        tune_device(place, config.precision)
        run = open_run(out, config, data, device=place, start=start, team=team)
        seen = Watched(data, tuple(loggers or ()), report=open_report)
        _train(Console(quiet=not team.writes), run, team, seconds=seconds, watched=seen)


def parse_duration(text: str) -> float:
    """Seconds of `90`, `90s`, `30m`, `2h` or `1d`.

    Raises:
        UsageError: for anything else, and for zero.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d|)", text.strip())
    if not match or float(match[1]) <= 0:
        raise UsageError(f"time limit {text!r}: expected a time such as 90s, 30m or 2h")
    return float(match[1]) * UNITS[match[2]]


def _required(value: T | None, name: str) -> T:
    """An option that must be given, except to subcommands."""
    if value is None:
        raise UsageError(f"missing option {name}: creps train --help shows what is needed")
    return value


def _device(name: str) -> str:
    """Where to train: "auto" is a GPU if there is one."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def _label_settings(data: Path) -> list[str]:
    """Settings that give both networks the number of classes of the data."""
    from creps.data.sources import open_images

    classes = open_images(data, labels=True).num_classes
    return [f"generator.label_dim={classes}", f"discriminator.label_dim={classes}"]


def _train(
    console: Console, run: Run, team: Team, *, seconds: float | None, watched: Watched
) -> None:
    from creps.cli.train_display import print_result
    from creps.training.callbacks import TimeLimit
    from creps.training.loop import Callback, StopRequest, stop_on_signals
    from creps.training.loop import train as train_loop

    out, config, first = run.folder, run.config, run.state.step
    broken = len(run.pictures.source.broken)
    skipped = f" ({broken} broken files skipped)" if broken else ""
    console.print(f"{len(run.pictures)} training pictures from {run.data['name']}{skipped}")
    if first >= config.steps:
        console.print(f"{out} is complete: {config.steps} steps. The model is in {out / 'model'}")
        return
    if first:
        console.print(f"going on at step {first} of {config.steps}")
    stop = StopRequest()
    callbacks: list[Callback] = []
    with watched.opened(console, run, stop, writes=team.writes) as watching:
        callbacks += watching.callbacks
        if seconds is not None:
            callbacks.append(TimeLimit(seconds, stop))
        with stop_on_signals(stop):
            train_loop(
                run.state,
                run.pictures,
                config,
                callbacks=callbacks,
                stop=stop,
                on_broken=lambda name: watching.say(f"skipped: {name} is broken"),
                notice=watching.say,
                team=team,
            )
    print_result(console, run, stop.reason)
    watching.raise_alarm()
