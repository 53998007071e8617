"""`creps train`: from a folder of pictures to a model."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from creps.errors import CrepsError, UsageError

if TYPE_CHECKING:
    from creps.training._config import TrainConfig
    from creps.training._distributed import Team
    from creps.training._engine import Stats
    from creps.training._loop import Callback, StopRequest
    from creps.training._run import Run
    from creps.training._state import TrainState
    from creps.training.monitoring._doctor import Alarms
    from creps.training.monitoring._log import Journal
    from creps.training.monitoring._loggers import Logger

# The options of `creps train`.


RECIPE, RUN, MACHINE = "What is trained", "The run", "This machine"
"""Groups of options in the help text."""

Data = Annotated[
    Path | None,
    typer.Option(
        help="Pictures of any size: a folder, a zip, or tar shards. \\[required]",
        show_default=False,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        help="The run's folder; an unfinished run there goes on. \\[required]",
        show_default=False,
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(help="Recipe to start from; see --list-presets. \\[required]", show_default=False),
]
ListPresets = Annotated[
    bool, typer.Option("--list-presets", help="Print the recipes and what to expect of them.")
]
DryRun = Annotated[
    bool, typer.Option(help="Say what would be done and how long it takes; write nothing.")
]
Start = Annotated[
    Path | None,
    typer.Option(
        "--from",
        help="Run or model that a new run goes on from: other data, settings or resolution; "
        "a larger generator.resolution adds levels.",
        rich_help_panel=RECIPE,
    ),
]
Loss = Annotated[
    Literal["relativistic", "nonsaturating"] | None,
    typer.Option(
        help="R3GAN's loss with R1 + R2, or the paper's with R1 + path lengths.",
        show_default="the preset's",
        rich_help_panel=RECIPE,
    ),
]
Augment = Annotated[
    Literal["ada", "diffaugment", "none"] | None,
    typer.Option(
        help="For less than about 30,000 pictures: ada adapts to them, diffaugment is lighter.",
        show_default="the preset's",
        rich_help_panel=RECIPE,
    ),
]
Mirror = Annotated[
    bool,
    typer.Option("--mirror", help="Add the mirror image of every picture.", rich_help_panel=RECIPE),
]
Labels = Annotated[
    bool,
    typer.Option(
        "--labels", help="Class-conditional, on the data's labels.", rich_help_panel=RECIPE
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Change any setting: --set loss.r1_gamma=2 --set height=192; RUN/config.json "
        "shows them all. May be repeated.",
        rich_help_panel=RECIPE,
    ),
]
Images = Annotated[
    int | None,
    typer.Option(help="Pictures to show before it ends.", rich_help_panel=RUN),
]
Seed = Annotated[int | None, typer.Option(help="Seed of the whole run.", rich_help_panel=RUN)]
TimeLimit = Annotated[
    str | None,
    typer.Option(help="Stop after so long (90s, 30m, 2h) with a snapshot.", rich_help_panel=RUN),
]
Loggers = Annotated[
    list[str] | None,
    typer.Option(
        "--logger",
        help="Also log to tensorboard (RUN/tensorboard), trackio or wandb. May be repeated.",
        show_default="RUN/log.jsonl alone",
        rich_help_panel=RUN,
    ),
]
Open = Annotated[
    bool,
    typer.Option(
        "--open",
        help="Keep RUN/report.html (curves, samples, the doctor's words) up to date at each "
        "preview, and open it in the browser.",
        rich_help_panel=RUN,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        help="auto (a GPU if there is one), cpu, cuda, cuda:1, mps.", rich_help_panel=MACHINE
    ),
]
Precision = Annotated[
    Literal["float32", "bfloat16", "float16"] | None,
    typer.Option(
        help="bfloat16 halves time and memory on newer GPUs; float16 on older ones.",
        show_default="the preset's",
        rich_help_panel=MACHINE,
    ),
]
Accumulate = Annotated[
    int | None,
    typer.Option(
        help="Compute a batch in so many parts, where it does not fit into memory at once.",
        show_default="the preset's",
        rich_help_panel=MACHINE,
    ),
]


# What `creps train` shows: presets, what a run would be, what it made.


TRIED_STEPS = 6
"""Steps that a dry run takes to measure the pace."""


def print_presets(console: Console) -> None:
    """A table of every preset: what it is for, its main settings, the score to expect."""
    from creps.training._presets import RECIPES

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

    from creps.training._batches import open_training_set
    from creps.training._loop import train as train_loop
    from creps.training._state import initial_state

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


# How far a run is: a bar on a terminal, a plain line now and then elsewhere.


RATE_SECONDS = 60.0
"""The pace is that of so long."""
LINE_SECONDS = 60.0
"""Between two lines where the output is no terminal; the first comes sooner."""
FIRST_LINE_SECONDS = 15.0

SUMMARY = (
    ("generator", "loss/generator"),
    ("discriminator", "loss/discriminator"),
)
"""Numbers of the log that are shown, by what they are called."""


def progress_bar(console: Console) -> Progress:
    """The bar that `RunProgress` moves; no output where there is no terminal."""
    return Progress(
        BarColumn(bar_width=20),
        TextColumn("{task.fields[words]}"),
        console=console,
        disable=not console.is_terminal or console.quiet,
    )


class RunProgress:
    """Images seen, recent pace, time left, memory and losses.

    Args:
        progress: of `progress_bar`.
        config: the run.
        first_step: where it goes on.
        journal: whose last lines tell losses and memory.
    """

    def __init__(
        self, progress: Progress, config: TrainConfig, *, first_step: int, journal: Journal
    ) -> None:
        self.progress, self.config, self.journal = progress, config, journal
        now = time.monotonic()
        self.moments = deque([(now, first_step)])
        self.next_line = now + FIRST_LINE_SECONDS
        self.task = progress.add_task(
            "train", total=config.steps, completed=first_step, words="starting"
        )

    def after_step(self, state: TrainState, stats: Stats) -> None:
        """Move the bar, or print a line when one is due."""
        now = time.monotonic()
        self.moments.append((now, state.step))
        while len(self.moments) > 2 and now - self.moments[1][0] > RATE_SECONDS:
            self.moments.popleft()
        if not self.progress.disable:
            self.progress.update(self.task, completed=state.step, words=self.words(state.step))
        elif now >= self.next_line:
            self.next_line = now + LINE_SECONDS
            self.say(self.words(state.step))

    def at_end(self, state: TrainState) -> None:
        """Nothing."""

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self.progress.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def words(self, step: int) -> str:
        """One line about a run that has done so many steps."""
        from creps.training.monitoring._rules import duration

        batch, steps = self.config.batch, self.config.steps
        words = [f"{step * batch:,} of {steps * batch:,} images"]
        (then, before), (now, last) = self.moments[0], self.moments[-1]
        if last > before:
            pace = (last - before) * batch / max(now - then, 1e-9)
            words += [f"{pace:.1f} images/s", f"{duration((steps - step) * batch / pace)} left"]
        known = self.journal.known(("memory_gb", *(name for _, name in SUMMARY)))
        if "memory_gb" in known:
            words.append(f"{known['memory_gb']:.1f} GB")
        losses = [f"{called} {known[name]:.2f}" for called, name in SUMMARY if name in known]
        return "  ".join([*words, *(["loss " + ", ".join(losses)] if losses else [])])


# What `creps train` sets up to watch a run: progress, log, alarms, previews, report.


REFRESH_SECONDS = 30
"""After which an open report looks whether there is a newer one."""


@dataclass
class Watching:
    """A run that is watched.

    Attributes:
        callbacks: for the loop.
        say: prints a line that stays.
        alarms: None where another process of the team has them.
    """

    callbacks: list[Callback] = field(default_factory=list)
    say: Callable[[str], None] = print
    alarms: Alarms | None = None

    def raise_alarm(self) -> None:
        """Fail if an alarm stopped the run.

        Raises:
            CrepsError: what is wrong and what to change.
        """
        if self.alarms is not None and self.alarms.raised is not None:
            found = self.alarms.raised
            raise CrepsError(
                f"{found.text}: try {found.advice}; "
                "all is saved, --set watch.stop=false goes on nevertheless"
            )


@dataclass(frozen=True)
class Watched:
    """What a user wants to see of a run.

    Attributes:
        data: the training set.
        loggers: names of loggers.
        report: keep a report and open it.
    """

    data: Path
    loggers: tuple[str, ...] = ()
    report: bool = False

    @contextmanager
    def opened(
        self, console: Console, run: Run, stop: StopRequest, *, writes: bool
    ) -> Iterator[Watching]:
        """While open, a run is watched; processes that write nothing only have words.

        Raises:
            UsageError: for an unknown logger.
            MissingExtraError: if the packages of one are missing.
        """
        from creps.training._callbacks import standard_callbacks
        from creps.training.monitoring._doctor import Alarms
        from creps.training.monitoring._log import Journal
        from creps.training.monitoring._report import write_report

        if not writes:
            yield Watching(say=lambda line: None)
            return
        first = run.state.step
        journal = Journal(
            run.folder / "log.jsonl", run.config, first_step=first, loggers=self._loggers(run)
        )
        alarms = Alarms(journal, run.config, stop)
        with progress_bar(console) as bar:
            shown = RunProgress(bar, run.config, first_step=first, journal=journal)
            callbacks: list[Callback] = standard_callbacks(run, journal=journal, alarms=alarms)
            if run.config.watch.evaluate_every:
                from creps.training.monitoring._evaluation import Evaluations

                # Before the previews, at which the report is written.
                measured = Evaluations(run.folder, run.config, data=self.data, journal=journal)
                callbacks.insert(1, measured)
            if self.report:
                callbacks.append(_open_report(run, shown.say))
            try:
                yield Watching([*callbacks, shown], shown.say, alarms)
            except CrepsError:
                if self.report:  # the loop ends without its last words
                    write_report(run.folder)
                raise
            finally:
                journal.close()

    def _loggers(self, run: Run) -> list[Logger]:
        from creps.config import to_dict
        from creps.training.monitoring._loggers import open_logger

        settings = to_dict(run.config)
        names = dict.fromkeys(self.loggers)
        return [open_logger(name, run.folder, config=settings) for name in names]


def _open_report(run: Run, say: Callable[[str], None]) -> Callback:
    """Write the report as it is now and open it in the user's browser."""
    import webbrowser

    from creps.training.monitoring._report import Reports, write_report

    path = write_report(run.folder, refresh=REFRESH_SECONDS)
    if not webbrowser.open(path.resolve().as_uri()):
        say(f"no browser was found: open {path}")
    return Reports(run.folder, run.config, refresh=REFRESH_SECONDS)


T = TypeVar("T")

UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def train(
    context: typer.Context,
    data: Data = None,
    out: Out = None,
    preset: Preset = None,
    list_presets: ListPresets = False,
    dry_run: DryRun = False,
    start: Start = None,
    loss: Loss = None,
    augment: Augment = None,
    mirror: Mirror = False,
    labels: Labels = False,
    settings: Settings = None,
    images: Images = None,
    seed: Seed = None,
    time_limit: TimeLimit = None,
    loggers: Loggers = None,
    open_report: Open = False,
    device: Device = "auto",
    precision: Precision = None,
    accumulate: Accumulate = None,
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
        print_presets(console)
        return
    data, out = _required(data, "--data"), _required(out, "--out")
    seconds = None if time_limit is None else parse_duration(time_limit)
    from creps.config import replace
    from creps.training._presets import preset as preset_named
    from creps.training._presets import with_augmentation, with_loss

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
        describe(console, config, data, _device(device))
        return
    from creps.training._distributed import join_team
    from creps.training._precision import tune_device
    from creps.training._run import open_run

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
    from creps.data._sources import open_images

    classes = open_images(data, labels=True).num_classes
    return [f"generator.label_dim={classes}", f"discriminator.label_dim={classes}"]


def _train(
    console: Console, run: Run, team: Team, *, seconds: float | None, watched: Watched
) -> None:
    from creps.training._callbacks import TimeLimit
    from creps.training._loop import StopRequest, stop_on_signals
    from creps.training._loop import train as train_loop

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
