"""`creps train`: from a folder of pictures to a model; `creps train doctor`, `report`, `pack`."""

from __future__ import annotations

import json
import re
import time
from collections import deque
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from creps._urls import local
from creps.cli import _progress
from creps.errors import UsageError, printable

if TYPE_CHECKING:
    from creps.training._config import TrainConfig
    from creps.training._engine import Stats
    from creps.training._run import Run

RECIPE, RUN, MACHINE = "What is trained", "The run", "This machine"
"""Groups of options in the help text."""
TEXTURES = "texture-64"
"""The preset where textures are asked for and no preset is named."""
UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
MARKS = {"fine": ("✓", "green"), "note": ("•", "yellow"), "problem": ("✗", "red")}

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder given as --out.")]


def _option(text: str, *names: str, group: str | None = None, default: str | bool = True) -> Any:
    """An option: its help, and how its default is shown."""
    return typer.Option(*names, help=text, rich_help_panel=group, show_default=default)


PRESETS_OWN = "the preset's"
Data = Annotated[
    str | None,
    _option(
        "Pictures of any size: a folder, a zip, or tar shards, or their URL. \\[required]",
        default=False,
    ),
]
Out = Annotated[
    Path | None,
    _option("The run's folder; an unfinished run there resumes. \\[required]", default=False),
]
Preset = Annotated[
    str | None,
    _option(
        "Recipe to start from; see --list-presets. \\[required; with --tile texture-64]",
        default=False,
    ),
]
ListPresets = Annotated[
    bool, _option("Print the recipes and what to expect of them.", "--list-presets")
]
DryRun = Annotated[bool, _option("Say what would be done and how long it takes; write nothing.")]
Start = Annotated[
    str | None,
    _option(
        "Run or model that a new run starts from, or the name of a packaged one: other data, "
        "settings or resolution; a larger generator.resolution adds levels.",
        "--from",
        group=RECIPE,
    ),
]
Loss = Annotated[
    Literal["relativistic", "nonsaturating"] | None,
    _option(
        "R3GAN's loss with R1 + R2, or the paper's with R1 + path lengths.",
        group=RECIPE,
        default=PRESETS_OWN,
    ),
]
Augment = Annotated[
    Literal["ada", "diffaugment", "none"] | None,
    _option(
        "For less than about 30,000 pictures: ada adapts to them, diffaugment is lighter.",
        group=RECIPE,
        default=PRESETS_OWN,
    ),
]
Tile = Annotated[
    bool,
    _option(
        "Textures that close on themselves: windows from anywhere in the pictures, which need not "
        "tile; a folder of one to ten is enough.",
        "--tile",
        group=RECIPE,
    ),
]
Channels = Annotated[
    list[str] | None,
    _option(
        "normal=FOLDER, height=FOLDER or roughness=FOLDER: what textures have beside their colors, "
        "pictures of the same names and sizes, learnt together. May be repeated.",
        "--channels",
        group=RECIPE,
    ),
]
Mirror = Annotated[
    bool, _option("Add the mirror image of every picture.", "--mirror", group=RECIPE)
]
Labels = Annotated[
    bool, _option("Class-conditional, on the data's labels.", "--labels", group=RECIPE)
]
KeepColors = Annotated[
    bool,
    _option(
        "Take values as they are, whatever color profile a picture has; otherwise they become "
        "sRGB.",
        "--keep-colors",
        group=RECIPE,
    ),
]
Settings = Annotated[
    list[str] | None,
    _option(
        "Change any setting: --set loss.r1_gamma=2 --set height=192; RUN/config.json shows them "
        "all. May be repeated.",
        "--set",
        group=RECIPE,
    ),
]
Images = Annotated[int | None, _option("Pictures to show before it ends.", group=RUN)]
Seed = Annotated[int | None, _option("Seed of the whole run.", group=RUN)]
TimeLimit = Annotated[
    str | None, _option("Stop after so long (90s, 30m, 2h) with a snapshot.", group=RUN)
]
Loggers = Annotated[
    list[str] | None,
    _option(
        "Also log to tensorboard (RUN/tensorboard), trackio or wandb. May be repeated.",
        "--logger",
        group=RUN,
        default="RUN/log.jsonl alone",
    ),
]
Open = Annotated[
    bool,
    _option(
        "Keep RUN/report.html (curves, samples, the doctor's words) up to date at each preview, "
        "and open it in the browser.",
        "--open",
        group=RUN,
    ),
]
Device = Annotated[
    str, _option("auto (a GPU if there is one), cpu, cuda, cuda:1, mps.", group=MACHINE)
]
Precision = Annotated[
    Literal["float32", "bfloat16", "float16"] | None,
    _option(
        "bfloat16 saves up to half of time and memory on newer GPUs and some processors (--dry-run "
        "tries it); float16 is for older GPUs.",
        group=MACHINE,
        default=PRESETS_OWN,
    ),
]
Accumulate = Annotated[
    int | None,
    _option(
        "Compute a batch in this many parts, if it does not fit into memory at once.",
        group=MACHINE,
        default=PRESETS_OWN,
    ),
]


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
    tile: Tile = False,
    channels: Channels = None,
    mirror: Mirror = False,
    labels: Labels = False,
    keep_colors: KeepColors = False,
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
    """Train a generator; after a stop the same command resumes, bit for bit on a CPU.

    First look: creps train --preset smoke --data PICTURES --out RUN (a minute on a CPU).

    Several GPUs or machines: torchrun --nproc-per-node 4 -m creps train ... makes the steps that
    one would, and any number of processes can resume the run.
    """
    if context.invoked_subcommand is not None:
        return
    if list_presets:
        _print_presets()
        return
    if preset is None and tile:
        preset = TEXTURES
    if data is None or out is None or preset is None:
        given = {"--data": data, "--out": out, "--preset": preset}
        missing = next(name for name, value in given.items() if value is None)
        raise UsageError(f"missing option {missing}: creps train --help shows what is needed")
    seconds = None if time_limit is None else parse_duration(time_limit)
    from creps.config import replace
    from creps.training import _loop, _presets

    config = _presets.preset(preset)
    config = config if loss is None else _presets.with_loss(config, loss)
    config = _presets.tiling(config) if tile else config
    config = config if augment is None else _presets.with_augmentation(config, augment)
    flags = {"images": images, "seed": seed, "precision": precision, "accumulate": accumulate}
    changes = [f"{name}={value}" for name, value in flags.items() if value is not None]
    changes += ["data.mirror=true"] * mirror + ["data.keep_colors=true"] * keep_colors
    maps = parse_channels(channels or [])
    changes += _map_settings(list(maps)) if maps else []
    changes += list(settings or [])
    place = local(data)
    config = replace(config, [*changes, *(_label_settings(place) if labels else [])])
    _refuse_without_period(config, tile)
    if dry_run:
        _describe(config, place, device=device, start=start, maps=maps)
        return
    with RunProgress(Console()) as shown:
        run = _loop.train(
            place,
            out,
            config,
            start=start,
            device=device,
            seconds=seconds,
            loggers=loggers or (),
            report=open_report,
            callbacks=[shown],
            maps=maps,
            log=shown.say,
        )
    if run.group.writes:
        _print_result(run)


def _refuse_without_period(config: TrainConfig, tile: bool) -> None:
    """Raise a UsageError for a run that shall tile and does not repeat."""
    if tile and not any(config.period):
        raise UsageError(
            "--tile with generator.period=[0,0]: nothing would repeat, expected a period such as "
            "[1,1], or [0,1] along x alone; or leave --tile out"
        )


def doctor(
    run: RunFolder,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for tools.")] = False,
) -> None:
    """Say how a run is doing and what to change, from its log; the run may be active.

    Exit code 0: nothing is wrong, perhaps there is something to note. 1: there is a problem.
    """
    from creps.training.monitoring._doctor import diagnose_run

    found = diagnose_run(run)
    if as_json:
        typer.echo(json.dumps(found.record(), indent=1, ensure_ascii=False))
    else:
        table = Table(box=None, show_header=False, pad_edge=False)
        for finding in found.findings:
            mark, color = MARKS[finding.level]
            words = Text(finding.text)
            if finding.advice:
                words.append(f"\ntry {finding.advice}", style="italic")
            table.add_row(Text(mark, style=color), Text(finding.topic), words)
        console = Console()
        console.print(Text(f"{found.run}: {found.state}", style="bold"))
        console.print(table)
    if not found.healthy:
        raise typer.Exit(1)


def report(
    run: RunFolder,
    out: Annotated[
        Path | None,
        typer.Option(help="The page.", show_default="RUN/report.html"),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Write curves, samples and the doctor's report as one HTML file; the run may be active."""
    from creps.training.monitoring._report import write_report

    path = write_report(run, out=out)
    typer.echo(path)
    if show:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())


def pack(
    run: RunFolder,
    out: Annotated[Path, typer.Option(help="The model's folder.", show_default=False)],
    precision: Annotated[
        Literal["float16", "bfloat16", "float32"], typer.Option(help="Of the weights on disk.")
    ] = "float16",
) -> None:
    """Write a run's model to pass on: half as large, with the discriminators that taught it.

    Who starts from it by --from goes on with them; to draw, OUT/model.safetensors and config.json
    are enough.
    """
    import torch

    from creps.training import pack as packed

    folder = packed(run, out, dtype=getattr(torch, precision))
    for path in sorted(folder.glob("*.safetensors")):
        typer.echo(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
    typer.echo(f"go on: creps train --from {quote(str(folder))}")


RUN_COMMANDS = (doctor, report, pack)


def parse_duration(text: str) -> float:
    """Seconds of `90`, `90s`, `30m`, `2h` or `1d`; UsageError for anything else, and for zero."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d|)", text.strip())
    if not match or float(match[1]) <= 0:
        raise UsageError(f"time limit {text!r}: expected a time such as 90s, 30m or 2h")
    return float(match[1]) * UNITS[match[2]]


def parse_channels(words: list[str]) -> dict[str, Path]:
    """Folders of maps by name, of NAME=FOLDER each; UsageError for anything else."""
    from creps.networks.base import MAPS

    found: dict[str, Path] = {}
    for each in words:
        name, equals, folder = each.partition("=")
        if not equals or not folder or name not in MAPS:
            known = ", ".join(f"{name}=FOLDER" for name in MAPS)
            raise UsageError(f"channels {each!r}: expected {known}")
        if name in found:
            raise UsageError(f"channels {name} given twice: expected one folder")
        found[name] = local(folder)
    return found


def _map_settings(names: list[str]) -> list[str]:
    """Settings of networks that have maps beside three colors."""
    from creps.networks.base import MAPS

    count = 3 + sum(MAPS[name] for name in names)
    return [
        f"generator.maps={','.join(names)}",
        f"generator.img_channels={count}",
        f"discriminator.img_channels={count}",
    ]


def _label_settings(data: Path) -> list[str]:
    """Settings of a class-conditional run, with the number of classes of the data."""
    from creps.data._sources import open_images

    classes = open_images(data, labels=True).num_classes
    return [
        "data.labels=true",
        f"generator.label_dim={classes}",
        f"discriminator.label_dim={classes}",
    ]


def _print_presets() -> None:
    """Tables of presets: what it is for, its main settings, the score to expect."""
    from creps.metrics._extractors import has_effnet
    from creps.training._presets import GROUPS, PRESETS

    console = Console()
    for title, recipes in GROUPS.items():
        table = Table(box=None, pad_edge=False, title=title, title_justify="left")
        for head in ("preset", "px", "batch", "gamma"):
            table.add_column(head, no_wrap=True, justify="left" if head == "preset" else "right")
        table.add_column("what it is for; the score that its source reports")
        for name, recipe in recipes.items():
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
        console.print()
    better = [
        f"{recipe.features} for {name}" for name, recipe in PRESETS.items() if recipe.features
    ]
    state = "installed" if has_effnet() else "pip install 'creps[metrics]'"
    console.print(
        Text(f"with the extra metrics ({state}) learn more in the same time: {', '.join(better)}")
    )
    console.print("creps train --preset NAME --data PICTURES --out RUN; --dry-run says how long")


def _describe(
    config: TrainConfig, data: Path, *, device: str, start: str | None, maps: dict[str, Path]
) -> None:
    """Print what a run would be: networks, data, and the time of a measured step."""
    from creps.training._loop import try_run

    with _progress.report("opening the pictures", unit="steps", per_unit=1) as told:
        told.say(f"opening {data}, then measuring a few steps")

        def show(done: int, count: int) -> None:
            told.describe("measuring steps")
            told(done, count)

        tried = try_run(config, data, device=device, start=start, maps=maps, progress=show)
    height, width = config.size
    table = Table(show_header=False)
    table.add_row("pictures", Text(f"{tried.pictures} from {data}"))
    for remark in tried.remarks:
        table.add_row("", Text(remark))
    table.add_row("training size", f"{height}x{width} px, batch {config.batch}")
    table.add_row("generator", f"{config.family}, {tried.parameters['generator']:,} parameters")
    if config.loss.kind == "statistics":
        table.add_row("loss", "statistics of textures, no discriminator")
    else:
        table.add_row("discriminator", f"{tried.parameters['discriminator']:,} parameters")
        if "projected" in tried.parameters:
            table.add_row("of features", f"{tried.parameters['projected']:,} parameters, projected")
        table.add_row("loss", f"{config.loss.kind}, R1 gamma {config.loss.r1_gamma:g}")
        table.add_row("augmentation", config.augment.kind)
    pace, hours = config.batch / tried.seconds, config.steps * tried.seconds / 3600
    table.add_row("speed", f"{pace:.1f} images/s, {config.precision}, {tried.device}")
    if tried.half_seconds is not None and tried.half_seconds < tried.seconds / 1.1:
        half = config.batch / tried.half_seconds
        table.add_row("", f"{half:.1f} images/s with --precision bfloat16")
    table.add_row("whole run", f"{config.images:,} images, about {hours:.1f} h")
    console = Console()
    console.print(table)
    console.print("dry run: nothing was written")


def _print_result(run: Run) -> None:
    """Say where the results of a run are and how its model is used."""
    from creps.training.monitoring._doctor import length

    model, page = run.folder / "model", run.folder / "report.html"
    names = run.pictures.source.class_names
    found = length(run.images, run.config)
    advice = f"; try {found.advice}" if found is not None and found.advice else ""
    needed = run.state.generator.needs_class
    chosen = f" --class {quote(names[0])}" if names and needed else ""
    lines = [
        f"model:    {model}",
        f"previews: {run.folder / 'previews'}",
        *([f"report:   {page}"] if page.exists() else []),
        *([f"length:   {found.text}{advice}"] if found is not None else []),
        f"doctor:   creps train doctor {quote(str(run.folder))}",
        f"pictures: creps generate --model {quote(str(model))} --seeds 0-7 --out DIR{chosen}"
        + " --tile" * all(run.config.period),
    ]
    Console().print("\n".join(lines), soft_wrap=True, highlight=False, markup=False)


class RunProgress:
    """A callback: images seen, recent pace, time left, memory and losses.

    A bar on a terminal, a plain line now and then elsewhere.
    """

    RATE_SECONDS = 60.0
    """Seconds over which the pace is measured."""
    LINE_SECONDS, FIRST_LINE_SECONDS = 60.0, 15.0
    """Between two lines where the output is not a terminal; the first comes sooner."""

    def __init__(self, console: Console) -> None:
        self.bar = Progress(
            BarColumn(bar_width=20),
            TextColumn("{task.fields[words]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._moments: deque[tuple[float, int]] = deque()
        self._next_line = time.monotonic() + self.FIRST_LINE_SECONDS

    def __enter__(self) -> RunProgress:
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar.task_ids:  # started by the first step: other processes of a group have none
            self.bar.stop()

    def after_step(self, run: Run, stats: Stats) -> None:
        """Move the bar, or print a line when one is due."""
        now, step = time.monotonic(), run.state.step
        self._moments.append((now, step))
        while len(self._moments) > 2 and now - self._moments[1][0] > self.RATE_SECONDS:
            self._moments.popleft()
        if not self.bar.disable:
            if not self.bar.task_ids:
                self.bar.start()
                self.bar.add_task("train", total=run.config.steps, words="")
            task = self.bar.task_ids[0]
            self.bar.update(task, completed=step, words=self._words(run))
        elif now >= self._next_line:
            self._next_line = now + self.LINE_SECONDS
            self.say(self._words(run))

    def at_end(self, run: Run) -> None:
        """Nothing."""

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self.bar.console.print(printable(line), highlight=False, markup=False, soft_wrap=True)

    def _words(self, run: Run) -> str:
        """One line about where a run is."""
        from creps.training.monitoring._doctor import duration

        total = run.config.steps * run.config.batch
        words = [f"{run.images:,} of {total:,} images"]
        (then, before), (now, last) = self._moments[0], self._moments[-1]
        if last > before:
            pace = (last - before) * run.config.batch / max(now - then, 1e-9)
            words += [f"{pace:.1f} images/s", f"{duration((total - run.images) / pace)} left"]
        losses = ("generator", "discriminator")
        known = run.log.newest(("memory_gb", *(f"loss/{name}" for name in losses)))
        if "memory_gb" in known:
            words.append(f"{known['memory_gb']:.1f} GB")
        said = [f"{name} {known[f'loss/{name}']:.2f}" for name in losses if f"loss/{name}" in known]
        return "  ".join([*words, *(["loss " + ", ".join(said)] if said else [])])
