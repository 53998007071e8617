"""`python -m faults`: damaged files, killed jobs and servers under load.

    python -m faults mutants safetensors config --count 3000
    python -m faults kills zarr png --count 12
    python -m faults load --minutes 20

They print a line for each kind and end with 1 where something happened that must not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from creps.errors import CrepsError, printable
from faults.kills import JOBS, kill_jobs
from faults.kinds import kinds
from faults.load import use
from faults.mutants import MEGABYTES, SECONDS, as_row, try_mutants, write_mutant

app = typer.Typer(
    pretty_exceptions_enable=False, add_completion=False, no_args_is_help=True, help=__doc__
)


@app.callback()
def _group() -> None:
    """The worst day on purpose."""


@app.command()
def mutants(
    names: Annotated[
        list[str] | None, typer.Argument(help="Kinds of files; all of them by default.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Damaged files of each kind.")] = 3000,
    seed: Annotated[int, typer.Option(help="Of the damages.")] = 0,
    first: Annotated[int, typer.Option(min=0, help="Number of the first damaged file.")] = 0,
    memory: Annotated[int, typer.Option(min=64, help="MiB beyond the program's own.")] = MEGABYTES,
    seconds: Annotated[int, typer.Option(min=1, help="Of the processor, a file.")] = SECONDS,
    show: Annotated[int, typer.Option(min=0, help="Faults to describe, a kind.")] = 3,
    keep: Annotated[
        Path | None, typer.Option(help="Write the damaged file --first here, and read nothing.")
    ] = None,
) -> None:
    """Damage valid files, read them under limits, and count how that ended."""
    failed = False
    for name in names or kinds():
        if keep is not None:
            typer.echo(write_mutant(name, first, seed, keep))
            continue
        tally = try_mutants(
            name, count=count, seed=seed, first=first, megabytes=memory, seconds=seconds
        )
        typer.echo(json.dumps(as_row(tally)))
        for number, verdict, text in tally.faults[:show]:
            lines = [printable(line) for line in text.strip().splitlines()]
            typer.echo(f"  {name} {number}: {verdict}\n    " + "\n    ".join(lines), err=True)
        failed = failed or bool(tally.faults)
    if failed:
        raise typer.Exit(1)


@app.command()
def kills(
    names: Annotated[
        list[str] | None, typer.Argument(help=f"{', '.join(JOBS)}; all of them by default.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Kills of each kind of job.")] = 12,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 0,
) -> None:
    """Kill jobs while they work until they end, and compare with what nobody killed."""
    failed = False
    for name in names or JOBS:
        tally = kill_jobs(name, count=count, seed=seed)
        typer.echo(json.dumps(tally.as_row()))
        for fault in tally.faults:
            typer.echo(f"  {name}: {printable(fault)}", err=True)
        failed = failed or bool(tally.faults)
    if failed:
        raise typer.Exit(1)


@app.command()
def load(
    minutes: Annotated[float, typer.Option(min=0, help="Until the server is told to end.")] = 20.0,
    clients: Annotated[int, typer.Option(min=1, help="Visitors at once.")] = 6,
    pause: Annotated[float, typer.Option(min=0.01, help="Seconds between their deeds.")] = 0.5,
    seed: Annotated[int, typer.Option(help="Of what they do.")] = 0,
    model: Annotated[str, typer.Option(help="To serve.")] = "portraits",
) -> None:
    """Use a server well and badly, tell it to end, start it again, and count what went wrong."""
    tally = use(model, minutes=minutes, clients=clients, pause=pause, seed=seed)
    typer.echo(json.dumps(tally.row()))
    if tally.faults:
        raise typer.Exit(1)


def main() -> None:
    """Run the command; a mistake is one line."""
    try:
        app()
    except CrepsError as error:
        typer.echo(f"faults: {error}", err=True)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
