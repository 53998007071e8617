"""How close lines, pixels and warps come to the speed of a large matrix product.

    python benchmarks/compose.py [--size 1024] [--threads 1,2] [--out results.jsonl]

With the 512 preset and random weights. For each number of threads, one after the other in the same
process: a large matrix product; the lines of a square picture; its pixels, tile by tile; all the
same rotated by 30 degrees with line tables, built and used; and the rotation again with the tables
there. `core_ratio` is processor time over arithmetic at the rate of the matrix product on one core,
`wall_ratio` the same with time on the clock at the rate on all threads: 1 is perfect. Other
programs disturb the latter. Prints a table, and writes one JSON line a row. A minute or two.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from record import Record
from rich.console import Console
from rich.table import Table
from torch import Tensor

from creps.coordinates import Canvas
from creps.networks._prepared import Prepared
from creps.networks.base import Axis
from creps.networks.creps import CREPS_PRESETS, Creps
from creps.rendering._points import TOLERANCE, PointColors, TableStore
from creps.rendering._tiles import Tile, TilePlan
from creps.rendering._workers import map_in_order

MATRIX = 2048  # side of the reference product: 17 GFLOP, operands of 16 MiB
REPEATS = 5  # of the reference product
CHUNK = 128  # coordinates whose lines are one job
TILE = 64
DEGREES = 30.0


class Seconds(NamedTuple):
    """On the clock, and of all cores together."""

    wall: float
    cpu: float


def timed(work: Callable[[], object]) -> Seconds:
    """How long one call takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def matrix_seconds(threads: int) -> Seconds:
    """The best of a few large products, one on each of `threads` threads at once."""
    left = torch.randn(MATRIX, MATRIX)
    results = [torch.empty(MATRIX, MATRIX) for _ in range(threads)]

    def products() -> None:
        for _ in map_in_order(lambda out: torch.mm(left, left, out=out), results, workers=threads):
            pass

    runs = [timed(products) for _ in range(REPEATS + 1)]  # the first fills the buffers
    return Seconds(min(run.wall for run in runs), min(run.cpu for run in runs))


def all_lines(prepared: Prepared, coords: Tensor, axis: Axis, *, threads: int) -> Tensor:
    """Lines of an axis, chunks side by side."""
    job = lambda part: prepared.lines(part, axis)  # noqa: E731
    return torch.cat(list(map_in_order(job, coords.split(CHUNK), workers=threads)), dim=2)


def draw(colors: Callable[[Tile], Tensor], size: int, *, threads: int) -> None:
    """All tiles of a square picture, side by side, each let go at once."""
    for _ in map_in_order(colors, TilePlan(size, size, TILE), workers=threads):
        pass


def rotated(canvas: Canvas, tile: Tile) -> Tensor:
    """(height, width, 2) points of a tile of the rotated unit square."""
    ys = canvas.rows(tile.top, tile.height) - 0.5
    xs = canvas.columns(tile.left, tile.width) - 0.5
    y, x = torch.meshgrid(ys, xs, indexing="ij")
    cos, sin = math.cos(math.radians(DEGREES)), math.sin(math.radians(DEGREES))
    return torch.stack([0.5 + cos * y + sin * x, 0.5 - sin * y + cos * x], dim=2)


def measure(prepared: Prepared, size: int, threads: int) -> Iterator[dict[str, Any]]:
    """One record for each part of the work."""
    canvas = Canvas(size, size)
    parts: dict[str, Tensor] = {}
    store = TableStore(prepared)
    sources: list[PointColors] = []

    def lines() -> None:
        parts["rows"] = all_lines(prepared, canvas.rows(), "rows", threads=threads)
        parts["columns"] = all_lines(prepared, canvas.columns(), "columns", threads=threads)

    def pixels() -> None:
        rows, columns = parts["rows"], parts["columns"]
        draw(
            lambda tile: prepared.compose(rows[:, :, tile.rows], columns[:, :, tile.columns]),
            size,
            threads=threads,
        )

    def build() -> None:
        coarse = rotated(Canvas(65, 65, sampling="corners"), Tile(0, 0, 65, 65))
        sources.append(store.source(coarse.flatten(0, 1), points=size * size))

    def warp() -> None:
        draw(lambda tile: sources[0].colors(rotated(canvas, tile)), size, threads=threads)

    line_work, pixel_work = 2 * size * prepared.line_flops, size * size * prepared.pixel_flops
    best = matrix_seconds(threads)
    reference = 2 * MATRIX**3 * threads
    straight = Seconds(0.0, 0.0)
    for part, work, job in (
        ("lines", line_work, lines),
        ("pixels", pixel_work, pixels),
        ("tables", 0, build),
        ("rotated pixels", pixel_work, warp),
    ):
        taken = timed(job)
        record: dict[str, Any] = {"part": part, "gflop": round(work / 1e9, 1)}
        record |= {"seconds": round(taken.wall, 3), "core_seconds": round(taken.cpu, 3)}
        if work:
            record["core_ratio"] = round(taken.cpu / (work / reference * best.cpu), 3)
            record["wall_ratio"] = round(taken.wall / (work / reference * best.wall), 3)
        if part in ("lines", "pixels"):
            straight = Seconds(straight.wall + taken.wall, straight.cpu + taken.cpu)
        else:
            record["of_axis_aligned"] = round(taken.cpu / straight.cpu, 3)
        if part == "tables":
            record["nodes"] = store.of(TOLERANCE).nodes
        yield record
    yield {
        "part": "matrix product",
        "gflop_s_a_core": round(reference / best.cpu / 1e9, 1),
        "gflop_s": round(reference / best.wall / 1e9, 1),
    }


def main(
    size: Annotated[int, typer.Option(help="Pixels a side.")] = 1024,
    threads: Annotated[str, typer.Option(help="Numbers of threads, with commas.")] = "1,2",
    out: Annotated[Path | None, typer.Option(help="Also append the JSON lines here.")] = None,
) -> None:
    """Measure lines, pixels and warps beside a large matrix product."""
    kept = Record("compose", out)
    torch.manual_seed(0)
    generator = Creps(CREPS_PRESETS["creps-512"]).eval()
    with torch.inference_mode():
        prepared = generator.prepare(generator.map(torch.randn(1, 512)))
    shown = ("part", "seconds", "core_ratio", "wall_ratio", "of_axis_aligned", "gflop_s_a_core")
    table = Table("threads", *shown)
    for count in (int(word) for word in threads.split(",")):
        torch.set_num_threads(count)
        # A fresh thread: the workers' setting reaches threads that have used torch no more.
        with ThreadPoolExecutor(1) as pool:
            records = pool.submit(lambda n: list(measure(prepared, size, n)), count).result()
        for record in records:
            table.add_row(str(count), *(str(record.get(name, "")) for name in shown))
            kept.write({"size": size} | record)
    Console(stderr=True).print(table)


if __name__ == "__main__":
    typer.run(main)
