"""What files of large pictures cost, and the whole command beside an earlier commit.

    python benchmarks/write.py [--size 2048] [--command 16384] [--before 7bec561]
                               [--out results.jsonl]

Pictures of `portraits`, seed 7. Two kinds of rows:

- a format and compression: seconds, processor seconds and megabytes of writing one picture of
  `--size` pixels a side that is in memory already, so nothing is drawn;
- the command: `creps render --size N --out big.tif` from this source and from that of an earlier
  commit, which is checked out aside for as long as it takes; one after the other, so that other
  programs disturb both alike. Seconds and peak memory of the process, and their ratio.

`--command 0` leaves the command out, `--size 0` the formats. Some minutes on 2 cores, most of them
for the earlier commit at 16,384 px.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from record import ROOT, Record, earlier_source
from rich.console import Console
from rich.table import Table

import creps
from creps.rendering.output import _save

CHOICES = {
    ".tif": ("deflate:1", "deflate", "deflate:12", "zstd:1", "zstd", "zstd:19", "lzw", "none"),
    ".zarr": ("zstd:1", "zstd", "zstd:9", "lz4", "none"),
    ".png": ("deflate:1", "deflate", "deflate:9"),
    ".dzi": (None,),
    ".jpg": (None,),
}

MEASURED = """
import os, subprocess, sys, time
started = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
print(time.perf_counter() - started, usage.ru_maxrss * 1024 / 1e6)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A small process that runs a command, since one begins with the peak memory of what starts it."""


def main(
    size: Annotated[int, typer.Option(help="Pixels a side of the picture that is written.")] = 2048,
    command: Annotated[int, typer.Option(help="Pixels a side, for the whole command.")] = 16384,
    before: Annotated[str, typer.Option(help="The earlier commit.")] = "7bec561",
    repeats: Annotated[int, typer.Option(help="Of the whole command.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Also append the JSON lines here.")] = None,
) -> None:
    """Measure the writers; JSON lines on stdout, a table on stderr."""
    record = Record("write", out)
    table = Table("what", "compression", "seconds", "processor s", "MB", "peak MB")
    with tempfile.TemporaryDirectory() as place:
        rows = _formats(size, Path(place)) if size else iter(())
        for row in rows:
            _show(table, record.write({"model": "portraits", "size": size, **row}))
        if command:
            for row in _commands(command, before, Path(place), repeats):
                _show(table, record.write({"model": "portraits", "size": command, **row}))
    Console(stderr=True).print(table)


def _show(table: Table, row: dict[str, Any]) -> None:
    names = ("compression", "seconds", "processor_seconds", "megabytes", "peak_mb")
    table.add_row(row["kind"], *(str(row.get(name, "")) for name in names))


def _formats(size: int, place: Path) -> Iterator[dict[str, Any]]:
    """Each format and compression, of one picture in memory, through chunks on the disk."""
    picture = creps.render(creps.load("portraits"), seed=7, size=size)
    _save.SMALL = 0  # the way of large pictures, whatever the size here
    for suffix, choices in CHOICES.items():
        for compression in choices:
            path = place / f"a{suffix}"
            started, busy = time.perf_counter(), time.process_time()
            creps.save_picture(picture, path, compression=compression)
            yield {
                "kind": suffix,
                "compression": compression or "quality 95",
                "seconds": round(time.perf_counter() - started, 2),
                "processor_seconds": round(time.process_time() - busy, 2),
                "megabytes": round(_bytes_in(place) / 1e6, 3),
            }
            subprocess.run(["rm", "-r", *map(str, place.iterdir())], check=True)


def _bytes_in(place: Path) -> int:
    return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())


def _commands(size: int, before: str, place: Path, repeats: int) -> Iterator[dict[str, Any]]:
    """The whole command, before and now, in turns."""
    found: dict[str, list[tuple[float, float]]] = {before: [], "now": []}
    with earlier_source(before) as earlier:
        sources = {before: earlier, "now": ROOT / "src"}
        for source in sources.values():
            _run(source, "render", "--size", "16", "--out", str(place / "warm.tif"), "--overwrite")
        for _ in range(repeats):
            for name, source in sources.items():
                path = place / "big.tif"
                found[name].append(
                    _run(source, "render", "--size", str(size), "--out", str(path), "--overwrite")
                )
                row = {"kind": f"creps render, {name}", "megabytes": path.stat().st_size / 1e6}
                seconds, peak = found[name][-1]
                yield {**row, "seconds": round(seconds, 1), "peak_mb": round(peak, 1)}
                path.unlink()
    seconds = {name: statistics.median(run[0] for run in runs) for name, runs in found.items()}
    peaks = {name: max(run[1] for run in runs) for name, runs in found.items()}
    yield {
        "kind": f"{before} / now",
        "seconds": round(seconds[before] / seconds["now"], 2),
        "peak_mb": round(peaks[before] / peaks["now"], 2),
    }


def _run(source: Path, *words: str) -> tuple[float, float]:
    """Seconds and peak memory in MB of a `creps` command from a source."""
    environment = {**os.environ, "PYTHONPATH": str(source)}
    command = [sys.executable, "-c", MEASURED, sys.executable, "-m", "creps", *words]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[3:])} from {source} failed")
    seconds, peak = done.stdout.splitlines()[-1].split()
    return float(seconds), float(peak)


if __name__ == "__main__":
    typer.run(main)
