"""`creps train doctor` and `creps train report`: looking at runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from creps.training.monitoring._doctor import Diagnosis

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder given as --out.")]

MARKS = {"fine": ("✓", "green"), "note": ("•", "yellow"), "problem": ("✗", "red")}


def doctor(
    run: RunFolder,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for tools.")] = False,
) -> None:
    """Say how a run is doing and what to change, from its log; the run may still go on.

    Exit code 0: nothing is wrong, perhaps there is something to note. 1: there is a problem.
    """
    import json

    from creps.training.monitoring._doctor import diagnose_run

    found = diagnose_run(run)
    if as_json:
        typer.echo(json.dumps(found.record(), indent=1, ensure_ascii=False))
    else:
        _print(found)
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
    """Write curves, samples and the doctor's words as one HTML file; the run may still go on."""
    from creps.training.monitoring._report import write_report

    path = write_report(run, out=out)
    typer.echo(path)
    if show:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())


def _print(found: Diagnosis) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in found.findings:
        mark, colour = MARKS[finding.level]
        words = Text(finding.text)
        if finding.advice:
            words.append(f"\ntry {finding.advice}", style="italic")
        table.add_row(Text(mark, style=colour), Text(finding.topic), words)
    console = Console()
    console.print(Text(f"{found.run}: {'healthy' if found.healthy else 'ill'}", style="bold"))
    console.print(table)


COMMANDS = (doctor, report)
