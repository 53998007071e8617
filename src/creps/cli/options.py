"""Options that several commands take, said once."""

from __future__ import annotations

from typing import Annotated

import typer

Model = Annotated[str, typer.Option(help="A packaged model, a folder or a file.")]
Truncation = Annotated[
    float, typer.Option(help="1: as drawn; towards 0: closer to the average picture.")
]
Cutoff = Annotated[int | None, typer.Option(help="Truncate only this many leading styles.")]
Label = Annotated[
    int | None, typer.Option("--class", help="Class index, for class-conditional models.")
]
