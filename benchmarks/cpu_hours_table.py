"""What `cpu_hours.py` found, as a table in Markdown and a chart.

    python benchmarks/cpu_hours_table.py benchmarks/results/cpu-hours.jsonl
    python benchmarks/cpu_hours_table.py RECORD --chart docs/images/cpu-hours.svg

A line of the table is a recipe and seed; numbers are those at each point of measurement, in order.
The chart has `today` and `projected-light`, or the recipes that are named. `--sheets FILE.webp`
puts the last samples of every recipe (seeds 0 to 23) below each other, in the order of `RECIPES`,
from `--runs FOLDER`, where `cpu_hours.py` trained.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from cpu_hours import RECIPES
from PIL import Image

from creps.metrics._pages import line_chart, standalone

TITLES = {"fd_portraits": "`fd_portraits`", "swd": "SWD", "spectrum": "spectrum, dB"}
"""What rows are judged by: the first two of these that they have."""

SHOWN = ("today", "projected-blur", "projected-blur-half")
"""The curves of the documents: before and after."""

STARTS = ("projected-blur-half", "projected-blur", "projected-light", "projected-narrow")
"""Recipes that others are told from, the longest first."""

GAP = 12
"""Pixels between the samples of two recipes."""

Rows = dict[tuple[str, int], list[dict[str, Any]]]
"""By recipe and seed, in the order of training."""


def read(record: Path) -> Rows:
    """The rows of a record; of equal ones the last counts."""
    found: dict[tuple[str, int, int], dict[str, Any]] = {}
    for line in record.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found[row["recipe"], row["seed"], row["images"]] = row
    groups: Rows = {}
    for (recipe, seed, _), row in sorted(found.items(), key=lambda item: item[0][2]):
        groups.setdefault((recipe, seed), []).append(row)
    return groups


def settings_of(recipe: str) -> str:
    """What a recipe changes, in the words of `--set`."""
    base, changes = RECIPES[recipe]
    starts = {name: RECIPES[name][1] for name in STARTS}
    for name, known in {**starts, base: ""}.items():
        if recipe != name and changes.startswith(known):
            words = [name, *changes.removeprefix(known).split()]
            return ", ".join(f"`{word}`" for word in words)
    raise AssertionError(recipe)  # every text starts with the empty one


def judges(groups: Rows) -> list[str]:
    """The two numbers that all rows have, the first of them decides."""
    have = [set(row) for rows in groups.values() for row in rows]
    return [name for name in TITLES if all(name in row for row in have)][:2]


def number(value: float) -> str:
    """With as many digits as two runs of a recipe may have in common."""
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}" if value >= 1 else f"{value:.3f}"


def stopped(rows: list[dict[str, Any]]) -> bool:
    """Whether a recipe has not had its time: some plans end a little early."""
    return bool(rows[-1]["minutes"] < 0.75 * rows[-1]["budget_minutes"])


def markdown(groups: Rows) -> str:
    """The table, the best last distance first; stressed: the best of a column at its last point.

    Recipes that were stopped come last, and are never the best.
    """
    names = judges(groups)
    ordered = sorted(groups.items(), key=lambda item: (stopped(item[1]), item[1][-1][names[0]]))
    whole = [rows for rows in groups.values() if not stopped(rows)]
    head = ["recipe", "seed", "what it is", "minutes", "images/s", *(TITLES[n] for n in names)]
    lines = [head, ["---"] * 3 + ["---:"] * 4]
    best = {name: min((rows[-1][name] for rows in whole), default=None) for name in names}
    for (recipe, seed), rows in ordered:
        cells = [f"`{recipe}`", str(seed), settings_of(recipe)]
        cells += [f"{rows[-1]['minutes']:.1f}", f"{rows[-1]['images_per_cpu_second']:.1f}"]
        for name in names:
            shown = [number(row[name]) for row in rows]
            if rows in whole and rows[-1][name] == best[name]:
                shown[-1] = f"**{shown[-1]}**"
            cells.append(", ".join(shown))
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def chart(groups: Rows, recipes: list[str]) -> str:
    """Distances of the named recipes over processor minutes, every seed a curve, as an SVG file."""
    shown = {key: rows for key, rows in groups.items() if key[0] in recipes}
    order = sorted(shown, key=lambda key: (recipes.index(key[0]), key[1]))
    names = {key: f"{key[0]}, seed {key[1]}" for key in order}
    judge, *_ = judges(groups)
    minutes, distances = (
        {name: np.array([float(row[what]) for row in shown[key]]) for key, name in names.items()}
        for what in ("minutes", judge)
    )
    n = next(iter(shown.values()))[0]["n"]
    y_name = f"{judge} (N = {n:,})"
    svg = line_chart(minutes, distances, x_name="minutes of one processor", y_name=y_name)
    return standalone(svg) + "\n"


def sheets(groups: Rows, runs: Path) -> Image.Image:
    """The last sheet of every recipe of seed 0 that had its time, below each other."""
    shown = [
        Image.open(runs / f"{recipe}-0" / f"{groups[recipe, 0][-1]['images']:07d}.png")
        for recipe in RECIPES
        if (recipe, 0) in groups and not stopped(groups[recipe, 0])
    ]
    width, height = shown[0].size
    whole = Image.new("RGB", (width, len(shown) * (height + GAP) - GAP), "white")
    for row, each in enumerate(shown):
        whole.paste(each, (0, row * (height + GAP)))
    return whole


def main(
    record: Annotated[Path, typer.Argument(help="Rows of cpu_hours.py --again.")],
    recipes: Annotated[list[str] | None, typer.Argument(help="Those in the chart.")] = None,
    out: Annotated[Path | None, typer.Option("--chart", help="The SVG to write.")] = None,
    runs: Annotated[Path | None, typer.Option(help="Where cpu_hours.py trained.")] = None,
    samples: Annotated[
        Path | None, typer.Option("--sheets", help="The picture of samples to write.")
    ] = None,
) -> None:
    """Print the table; write the chart."""
    groups = read(record)
    print(markdown(groups))
    if out is not None:
        out.write_text(chart(groups, recipes or list(SHOWN)), encoding="utf-8")
    if runs is not None and samples is not None:
        sheets(groups, runs).save(samples, quality=90)


if __name__ == "__main__":
    typer.run(main)
