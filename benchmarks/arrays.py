"""What reading pictures as arrays costs: over the renderer alone, in memory, on two workers.

    python benchmarks/arrays.py [--sizes 8192,65536] [--cluster 16384] [--out results.jsonl]

chunk: seconds of a 256 px chunk through the virtual Zarr and by `Renderer.region`, alternately, and
their ratio. statistic: peak memory of examples/statistic.py at each size, in processes of its own.
cluster: seconds of one picture by one and by two local dask workers of one thread. "" leaves a
part out. With the packaged model; some minutes on a machine with nothing else to do.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer
from record import ROOT, Record

import creps
from creps.rendering import Renderer, Tile, View

SIDE, CHUNK = 2**20, 256
TRIED = 24
"""Chunks that are read in each way."""


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def chunk_cost() -> dict[str, float]:
    """Both ways alternately, so that a busy machine disturbs both."""
    renderer = Renderer("portraits", seed=7)
    level = creps.open_zarr("portraits", seed=7, size=SIDE, chunk=CHUNK)["0"]
    stored, drawn = [], []
    for k in range(TRIED + 2):
        part = Tile((1000 + k) * CHUNK, (2000 - 7 * k) * CHUNK, CHUNK, CHUNK)
        ways = [
            (drawn, lambda part=part: renderer.region(part, size=SIDE)),
            (stored, lambda part=part: level[:, part.rows, part.columns]),
        ]
        for times, work in ways[:: 1 if k % 2 else -1]:
            times.append(seconds(work))
    stored, drawn = stored[2:], drawn[2:]  # the first ones warm up
    pairs = statistics.median(a / b for a, b in zip(stored, drawn, strict=True))
    return {
        "stored_s": round(statistics.median(stored), 4),
        "region_s": round(statistics.median(drawn), 4),
        "ratio": round(pairs, 3),
    }


def statistic_memory(side: int) -> int:
    """MiB of memory that the example had in use, at most."""
    command = [sys.executable, str(ROOT / "examples" / "statistic.py"), str(side)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    match = re.search(r"at most ([\d,]+) MiB", done.stdout)
    assert match is not None, done.stdout
    return int(match[1].replace(",", ""))


def cluster_seconds(side: int, workers: int) -> float:
    """One picture by so many local workers that are ready."""
    from distributed import Client, LocalCluster

    from creps.rendering.arrays._cluster import save_on_cluster

    renderer = Renderer("portraits", seed=7)
    options = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options) as cluster, tempfile.TemporaryDirectory() as folder:
        with Client(cluster) as client:
            client.run(creps.load, "portraits")  # imports are not what is measured
        place = Path(folder) / "picture.zarr"
        address = cluster.scheduler_address
        return seconds(lambda: save_on_cluster(address, renderer, View(size=side), place))


def main(
    chunk: Annotated[bool, typer.Option(help="Measure the cost of a chunk.")] = True,
    sizes: Annotated[str, typer.Option(help="Of the statistic.")] = "8192,65536",
    cluster: Annotated[str, typer.Option(help="Pixels a side.")] = "16384",
    out: Annotated[Path | None, typer.Option(help="File of JSON lines.")] = None,
) -> None:
    """Measure, and print one JSON line a part."""
    record = Record("arrays", out)
    torch.set_num_threads(1)
    if chunk:
        record.write({"what": "chunk", "side": SIDE, "chunk": CHUNK, **chunk_cost()})
    sides = [int(side) for side in sizes.split(",") if side]
    peaks = {side: statistic_memory(side) for side in sides}
    if peaks:
        growth = round(peaks[sides[-1]] / peaks[sides[0]], 3)
        record.write({"what": "statistic", "peak_mib": peaks, "ratio": growth})
    if cluster:
        one, two = (cluster_seconds(int(cluster), workers) for workers in (1, 2))
        row = {"one_s": round(one, 1), "two_s": round(two, 1), "ratio": round(one / two, 2)}
        record.write({"what": "cluster", "side": int(cluster), **row})


if __name__ == "__main__":
    typer.run(main)
