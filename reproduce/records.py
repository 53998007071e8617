"""What experiments found, as files: JSON with pictures beside it, and a page of all of them."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL import Image

from creps._files import write_atomically
from creps.errors import DataError
from creps.metrics._charts import standalone
from creps.metrics._evaluate import finite_or_none, machine, write_record
from reproduce.experiment import PAPERS, Cell, Experiment, Figure, Findings, Table
from reproduce.workshop import Workshop

QUALITY = 90
"""Of WebP pictures: they are looked at, not measured."""


def write_result(
    folder: Path,
    experiment: Experiment,
    findings: Findings,
    *,
    workshop: Workshop,
    minutes: float,
) -> Path:
    """Write what was found, and all it takes to find it again, to FOLDER/NAME.json.

    Its pictures lie beside it: NAME-FIGURE.webp, or .svg. Minutes are those of this run: what it
    reused, by name, took none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = [
        {"file": _write_figure(folder, experiment.name, figure), "caption": figure.caption}
        for figure in findings.figures
    ]
    record = {
        "format": "creps experiment",
        "version": 1,
        "name": experiment.name,
        "command": f"python -m reproduce {experiment.name} --budget {workshop.budget.name}",
        "creps": version("creps"),
        "machine": machine(),
        "minutes": round(minutes, 1),
        "pictures": workshop.budget.pictures,
        "extractor": workshop.budget.extractor,
        "commands": workshop.commands,
        "reused": workshop.reused,
        "tables": [_rounded(table) for table in findings.tables],
        "figures": figures,
        "remarks": list(findings.remarks),
    }
    path = folder / f"{experiment.name}.json"
    write_record(path, record)
    return path


def read_result(path: Path) -> dict[str, Any]:
    """A record of `write_result`.

    Raises:
        DataError: if it is none.
    """
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] != "creps experiment" or record["version"] != 1:
            raise KeyError
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path}: not a result of python -m reproduce") from None
    # Records of version 0.1.0 name the command that it had.
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


def cell_text(cell: Cell) -> str:
    """A number with what digits it is worth, a word, or a dash."""
    if cell is None:
        return "–"
    if isinstance(cell, str):
        return cell
    if cell == int(cell) and abs(cell) < 1e6:
        return f"{cell:,.0f}"
    digits = 3 if abs(cell) < 1 else 2 if abs(cell) < 100 else 1
    return f"{cell:,.{digits}f}"


def section(experiment: Experiment, record: dict[str, Any], *, pictures: str) -> str:
    """One experiment in Markdown: the paper's numbers, ours, and what differs.

    Args:
        experiment: what it is.
        record: what was found.
        pictures: where its pictures lie, as links have it.
    """
    parts = [
        f"### {PAPERS[experiment.paper].partition(' (')[0]}, {experiment.place}: "
        f"{experiment.title}",
        f"{experiment.claim}",
        f"```bash\n{record['command']}\n```",
    ]
    if experiment.published is not None:
        parts += ["The paper:", _markdown(experiment.published)]
    if record["tables"]:
        parts.append(f"Here, in about {experiment.minutes:g} minutes, on {record['machine']}:")
        for table in tables_of(record):
            parts += [table.caption] * bool(table.caption) + [_markdown(table)]
    for figure in record["figures"]:
        parts.append(f"![{figure['caption']}]({pictures}/{figure['file']})")
        parts.append(f"*{figure['caption']}*")
    parts += record["remarks"]
    if experiment.differences:
        parts.append("What differs from the paper: " + "; ".join(experiment.differences) + ".")
    return "\n\n".join(parts) + "\n"


def page(experiments: Sequence[Experiment], folder: Path, *, pictures: str) -> str:
    """All experiments in Markdown, by paper: results that lie in a folder, and names of others."""
    parts = []
    for paper, title in PAPERS.items():
        paths = [
            (each, folder / f"{each.name}.json") for each in experiments if each.paper == paper
        ]
        found = [
            section(each, read_result(path), pictures=pictures)
            for each, path in paths
            if path.exists()
        ]
        missing = [f"`{each.name}`" for each, path in paths if not path.exists()]
        if paths:
            parts += [f"## {title}\n", *found]
        if missing:
            parts.append(f"Without a result here yet: {', '.join(missing)}.\n")
    return "\n".join(parts)


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


def _markdown(table: Table) -> str:
    """A table in Markdown."""
    lines = ["| | " + " | ".join(table.columns) + " |", "|---|" + "---:|" * len(table.columns)]
    for label, cells in table.rows.items():
        lines.append(f"| {label} | " + " | ".join(cell_text(cell) for cell in cells) + " |")
    return "\n".join(lines)


def _write_figure(folder: Path, name: str, figure: Figure) -> str:
    """Write a figure and return its file's name."""
    if isinstance(figure.picture, str):
        file = f"{name}-{figure.name}.svg"
        write_atomically(folder / file, standalone(figure.picture).encode() + b"\n")
        return file
    file = f"{name}-{figure.name}.webp"
    buffer = io.BytesIO()
    Image.fromarray(figure.picture).save(buffer, "WEBP", quality=QUALITY)
    write_atomically(folder / file, buffer.getvalue())
    return file
