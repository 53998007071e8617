"""Results of experiments as files: NAME.json with its pictures next to it."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL import Image

from creps._files import write_atomically
from creps.errors import DataError
from creps.metrics import write_record
from creps.metrics._evaluate import finite_or_none, machine
from creps.metrics._pages import standalone
from reproduce.experiment import Experiment, Figure, Result, Table
from reproduce.runner import Runner

_FORMAT = "creps experiment"
_QUALITY = 90  # of WebP pictures: they are shown, not measured


def write_result(
    folder: Path, experiment: Experiment, result: Result, *, runner: Runner, minutes: float
) -> dict[str, Any]:
    """Write what was found, and all it takes to find it again; returns the record.

    Pictures are named NAME-FIGURE.webp, or .svg. Minutes are those of this run: what it reused, by
    name, took none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    comparisons = experiment.comparisons(result.tables)
    record = {
        "format": _FORMAT,
        "version": 1,
        "name": experiment.name,
        "command": f"python -m reproduce {experiment.name} --budget {runner.budget.name}",
        "creps": version("creps"),
        "machine": machine(),
        "minutes": round(minutes, 1),
        "pictures": runner.budget.pictures,
        "extractor": runner.budget.extractor,
        "commands": runner.commands,
        "reused": runner.reused,
        "tables": [_rounded(table) for table in result.tables],
        "figures": [
            {"file": _write_figure(folder, experiment.name, figure), "caption": figure.caption}
            for figure in result.figures
        ],
        "remarks": [*(each.sentence() for each in comparisons), *result.remarks],
    }
    write_record(folder / f"{experiment.name}.json", record)
    return record


def read_result(path: Path) -> dict[str, Any]:
    """A record of `write_result`.

    Raises:
        DataError: if it is none.
    """
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] != _FORMAT or record["version"] != 1:
            raise KeyError
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path}: not a result of python -m reproduce") from None
    # The first records name the command that made them then.
    record["command"] = record["command"].replace("creps reproduce", "python -m reproduce", 1)
    return record


def tables_of(record: dict[str, Any]) -> list[Table]:
    """The tables of a record."""
    return [
        Table(
            columns=tuple(table["columns"]),
            rows={label: tuple(cells) for label, cells in table["rows"].items()},
            caption=table["caption"],
        )
        for table in record["tables"]
    ]


def cell_text(cell: float | str | None) -> str:
    """A number with what digits it is worth, a word, or a dash."""
    if cell is None:
        return "–"
    if isinstance(cell, str):
        return cell
    if cell == int(cell) and abs(cell) < 1e6:
        return f"{cell:,.0f}"
    digits = 3 if abs(cell) < 1 else 2 if abs(cell) < 100 else 1
    return f"{cell:,.{digits}f}"


def _rounded(table: Table) -> dict[str, Any]:
    """A table as JSON, its numbers to six digits; None for those that are not finite."""
    rows = {
        label: [
            finite_or_none(float(f"{cell:.6g}")) if isinstance(cell, float) else cell
            for cell in cells
        ]
        for label, cells in table.rows.items()
    }
    return asdict(table) | {"rows": rows}


def _write_figure(folder: Path, name: str, figure: Figure) -> str:
    """Write a figure and return its file's name."""
    if isinstance(figure.picture, str):
        file = f"{name}-{figure.name}.svg"
        write_atomically(folder / file, standalone(figure.picture).encode() + b"\n")
        return file
    file = f"{name}-{figure.name}.webp"
    buffer = io.BytesIO()
    Image.fromarray(figure.picture).save(buffer, "WEBP", quality=_QUALITY)
    write_atomically(folder / file, buffer.getvalue())
    return file
