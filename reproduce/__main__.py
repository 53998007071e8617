"""`python -m reproduce`: the papers' tables and figures."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from creps.cli._progress import report
from creps.errors import CrepsError, UsageError
from reproduce.catalogue import EXPERIMENTS, experiments_named
from reproduce.experiment import Experiment
from reproduce.experiment import Table as Numbers
from reproduce.results import cell_text, write_result
from reproduce.runner import Runner
from reproduce.specs import SMALL, budget_named

LIST = "list"

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def reproduce(
    name: Annotated[
        str,
        typer.Argument(
            help="An experiment such as creps-table-3; creps, cips or anyres for those of a paper; "
            "all; or list."
        ),
    ] = LIST,
    budget: Annotated[str, typer.Option(help="small, paper or trial.")] = "small",
    out: Annotated[
        Path, typer.Option(help="Folder of data, models and results, shared by all experiments.")
    ] = Path("reproduced"),
    data: Annotated[
        list[str] | None,
        typer.Option(help="NAME=PATH: your pictures in place of that data set. Repeatable."),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weights file of the extractor (--budget paper).")
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            help="Where to train, draw and take features: auto (a GPU if there is one), cpu, cuda, "
            "cuda:1, mps."
        ),
    ] = "auto",
    workers: Annotated[
        int,
        typer.Option(
            min=0, help="Processes that measure; 0: this one.", show_default="one a core, 8 at most"
        ),
    ] = min(os.cpu_count() or 1, 8),
) -> None:
    """Make the papers' tables and figures here, and print them next to the published ones.

    What was trained is kept: experiments share models, and an interrupted command resumes.
    """
    console, chosen = Console(), budget_named(budget)
    if name == LIST:
        console.print(_catalogue(EXPERIMENTS))
        console.print(Text("python -m reproduce NAME; --budget paper needs the papers' data, GPUs"))
        return
    given = dict(_named_path(words) for words in data or [])
    for experiment in experiments_named(name):
        with report("measuring", unit=None) as bar:
            runner = Runner(
                out,
                chosen,
                data=given,
                weights=weights,
                device=device,
                workers=workers,
                say=lambda line: console.print(Text(line, style="dim")),
                progress=bar,
            )
            _make(console, experiment, runner)


def _make(console: Console, experiment: Experiment, runner: Runner) -> None:
    """Run one experiment, print and keep what it finds."""
    console.rule(f"{experiment.name}: {experiment.title}")
    if runner.budget is SMALL:
        console.print(Text(f"about {experiment.minutes:g} minutes on two cores", style="dim"))
    started = time.perf_counter()
    result = experiment.run(runner)
    minutes = (time.perf_counter() - started) / 60
    folder = runner.folder / "results"
    record = write_result(folder, experiment, result, runner=runner, minutes=minutes)
    if experiment.published is not None:
        console.print(_numbers(experiment.published, f"the paper, {experiment.place}"))
    for table in result.tables:
        console.print(_numbers(table, table.caption or f"here, {record['machine']}"))
    for remark in record["remarks"]:
        console.print(Text(remark))
    if experiment.differences:
        console.print(Text("differs: " + "; ".join(experiment.differences), style="dim"))
    for figure in result.figures:
        console.print(Text(f"picture: {figure.caption}"))
    more = " and its pictures" * bool(result.figures)
    console.print(Text(f"wrote {folder / experiment.name}.json{more}"), soft_wrap=True)


def _catalogue(experiments: tuple[Experiment, ...]) -> Table:
    table = Table("name", "what", "minutes")
    for experiment in experiments:
        table.add_row(experiment.name, experiment.title, f"{experiment.minutes:g}")
    return table


def _numbers(numbers: Numbers, title: str) -> Table:
    """A table for the terminal."""
    table = Table("", title=title, title_justify="left")
    for column in numbers.columns:
        table.add_column(column, justify="right")
    for label, cells in numbers.rows.items():
        table.add_row(Text(label), *(cell_text(cell) for cell in cells))
    return table


def _named_path(words: str) -> tuple[str, Path]:
    """`NAME=PATH`, taken apart."""
    name, _, path = words.partition("=")
    if not name or not path:
        raise UsageError(f"--data {words!r}: expected NAME=PATH, such as portraits=faces.zip")
    if not Path(path).exists():
        raise UsageError(f"--data {words!r}: {path} does not exist")
    return name, Path(path)


def main() -> None:
    """Run the command; a user's mistake is one line on stderr and exit code 2 or 1."""
    # Ends like Ctrl-C: a training that was started saves its state and ends too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except CrepsError as error:
        print(f"reproduce: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
