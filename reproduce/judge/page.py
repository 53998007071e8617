"""What the judge says of a model, as the two tables of docs/metrics.md, from a record.

    creps evaluate portraits --data portraits --extractor portraits --size 32,64,128 \\
        --metrics fd,pr,attributes,spectrum --references --n 2000 --out RECORD.json
    python -m reproduce.judge.page RECORD.json
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from creps.data.portraits._truth import DRAWINGS

NUMBERS = ("fd", "precision", "recall", "density", "coverage")


def distances(record: Mapping[str, Any]) -> str:
    """Distances of real pictures, the model, and its small samples enlarged, at each size."""
    values, model = record["values"], record["model"]["path"]
    small = min(sides(record))
    kinds = {
        "floor_": "other real portraits",
        "": f"`{Path(model).name}`",
        "enlarged_": "its own small pictures, enlarged (Lanczos)",
    }
    lines = [["pictures", "size", f"`fd_{record['extractor']['name']}`", *NUMBERS[1:]]]
    lines.append(["---", "---", *["---:"] * len(NUMBERS)])
    for side in sides(record):
        for start, what in kinds.items():
            keys = [f"{start}{name}_{record['extractor']['name']}@{side}" for name in NUMBERS]
            if start != "enlarged_" or (side > small and keys[0] in values):
                lines.append([what, f"{side} px", *(f"{values[key]:.2f}" for key in keys)])
    return _table(lines)


def attributes(record: Mapping[str, Any]) -> str:
    """Shares of readable parts at each size, and how far their kinds are from the truth."""
    values, parts = record["values"], [*DRAWINGS, "all"]
    lines = [["", *parts], ["---", *["---:"] * len(parts)]]
    for side in sides(record):
        shares = [f"{values[f'readable_{part}@{side}']:.2f}" for part in parts]
        lines.append([f"readable at {side} px", *shares])
    last = max(sides(record))
    apart = [f"{values[f'tv_{part}@{last}']:.2f}" for part in DRAWINGS]
    lines.append([f"tv at {last} px", *apart, ""])
    return _table(lines)


def sides(record: Mapping[str, Any]) -> list[int]:
    """Pixels a side that were measured."""
    return [min(size) for size in record["protocol"]["sizes"]]


def _table(lines: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main(record: Annotated[Path, typer.Argument(help="Of creps evaluate, JSON.")]) -> None:
    """Print both tables."""
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
        tables = distances(found), attributes(found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SystemExit(
            f"{record} is not a record of fd, pr and attributes with --extractor portraits and "
            f"--size: {type(error).__name__}: {error}"
        ) from None
    print(*tables, sep="\n\n")


if __name__ == "__main__":
    typer.run(main)
