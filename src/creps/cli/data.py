"""`creps data ...`: data sets that the package can make itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def portraits(
    *,
    count: Annotated[int, typer.Option(help="How many portraits.")],
    size: Annotated[int, typer.Option(help="Pixels of each side.")],
    out: Annotated[Path, typer.Option(help="ZIP file to write.")],
    seed: Annotated[int, typer.Option(help="Another seed, other portraits.")] = 0,
    workers: Annotated[
        int | None, typer.Option(help="Drawing processes; all cores by default.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that holds something else.")
    ] = False,
) -> None:
    """Draw portraits into a ZIP file: the same ones for the same seed, on every machine."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from creps.data.portraits import CREDIT, write_portraits

    columns = ("Drawing portraits", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=count)
        drawn = write_portraits(
            out,
            count=count,
            size=size,
            seed=seed,
            workers=workers,
            overwrite=overwrite,
            progress=lambda done: bar.update(task, completed=done),
        )
    state = "drawn" if drawn else "already there, nothing to do"
    megabytes = out.stat().st_size / 1e6
    typer.echo(f"{out}: {count} portraits of {size} px, {megabytes:.1f} MB, {state}. {CREDIT}")
