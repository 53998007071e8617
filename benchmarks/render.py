"""How fast pictures are rendered, in how much memory, against what the machine can do.

    python benchmarks/render.py [--sizes 256,512,1024,2048] [--out results.jsonl]

Renders with the 512 preset and random weights, each size in a fresh process: seconds (the median of
a few runs, one from 1,500 px on), peak memory added by the render to what the process held with the
model loaded, and arithmetic per second beside that of a large matrix product in the same process.
Prints a table, and writes one JSON line a size. Some minutes on 2 cores; other programs disturb it.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from creps import __version__
from creps.errors import UsageError
from creps.networks.base import build_generator
from creps.networks.creps import CREPS_PRESETS, Creps, CrepsConfig
from creps.rendering.renderer import render
from creps.rendering.requests import DEFAULT_TILE

MATRIX = 2048  # side of the reference product: 17 GFLOP, operands of 16 MiB
REPEATS = 5  # of the reference product; of the render below LARGE
LARGE = 1500  # pixels a side from which one render is enough
SAMPLE_SECONDS = 0.002  # between two looks at the memory where the system keeps no peak


def line_flops(config: CrepsConfig) -> int:
    """Operations (two a multiply-add) for all lines of one row or column coordinate."""
    widths = [config.channels(level) for level in config.levels]
    per_sample = widths[0] ** 2
    for below, width in pairwise(widths):
        per_sample += below * width + width**2 + width * config.line_channels
    return 2 * config.thickness * per_sample


def pixel_flops(config: CrepsConfig) -> int:
    """Operations for one pixel: compositions, decoders, colour and refinement."""
    levels = len(config.levels) - 1
    channels = config.line_channels
    decoder = _chain(channels, *config.decoder_widths, channels)
    refinement = 0
    below = channels
    for width in config.refinement_widths:
        refinement += _chain(below, width, width, config.img_channels)
        below = width
    composed = levels * channels * config.thickness
    return 2 * (composed + levels * decoder + channels * config.img_channels + refinement)


def _chain(*widths: int) -> int:
    """Multiply-adds of fully connected layers one after the other."""
    return sum(i * o for i, o in pairwise(widths))


def matrix_product_rate() -> float:
    """FLOP/s of a large float32 matrix product into an existing buffer, the best of a few."""
    a, b = torch.randn(MATRIX, MATRIX), torch.randn(MATRIX, MATRIX)
    result = torch.empty(MATRIX, MATRIX)
    seconds = []
    for _ in range(REPEATS + 1):  # one more: the first fills the buffers
        started = time.perf_counter()
        torch.mm(a, b, out=result)
        seconds.append(time.perf_counter() - started)
    return 2 * MATRIX**3 / min(seconds)


class PeakMemory:
    """Bytes of resident memory at the peak of a block beyond those before it (Linux).

    The kernel's own peak is reset and read where that is allowed; elsewhere a thread looks at the
    memory every few milliseconds.
    """

    added: int

    def __enter__(self) -> PeakMemory:
        self._before = self._peak = _status("VmRSS")
        self._kernel = _reset_kernel_peak()
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        if not self._kernel:
            self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._watcher.is_alive():
            self._watcher.join()
        peak = _status("VmHWM") if self._kernel else self._peak
        self.added = max(peak - self._before, 0)

    def _watch(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            self._peak = max(self._peak, _status("VmRSS"))


def _status(field: str) -> int:
    """Bytes of a memory field of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise UsageError(f"this system does not tell {field}: memory is measured on Linux only")


def _reset_kernel_peak() -> bool:
    """Make VmHWM start from now; False where the system does not let us, or ignores it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return _status("VmHWM") - _status("VmRSS") < 2**20


def measure(size: int, tile: int) -> dict[str, Any]:
    """One line of results for pictures of size x size pixels."""
    config = CREPS_PRESETS["creps-512"]
    torch.manual_seed(0)
    generator = build_generator("creps", config)
    assert isinstance(generator, Creps)
    with PeakMemory() as memory:  # around the first render: nothing is warm
        seconds = [_seconds(generator, size, tile)]
    if size < LARGE:
        seconds = [_seconds(generator, size, tile) for _ in range(REPEATS)]
    median = statistics.median(seconds)
    work = 2 * size * line_flops(config) + size * size * pixel_flops(config)
    limit = matrix_product_rate()
    return {
        "benchmark": "render",
        "model": "creps-512, random weights",
        "size": size,
        "tile": tile,
        "seconds": round(median, 3),
        "runs": len(seconds),
        "peak_extra_mb": round(memory.added / 1e6, 1),
        "gflop": round(work / 1e9, 1),
        "gflop_per_s": round(work / median / 1e9, 1),
        "matrix_gflop_per_s": round(limit / 1e9, 1),
        "times_limit": round(median / (work / limit), 2),
        **_machine(),
    }


def _seconds(generator: Creps, size: int, tile: int) -> float:
    started = time.perf_counter()
    render(generator, seed=0, size=size, tile=tile)
    return time.perf_counter() - started


def _machine() -> dict[str, Any]:
    """Where and with what it was measured."""
    return {
        "version": __version__,
        "commit": _commit(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _commit() -> str:
    """The commit of the code that was measured, marked where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    folder = Path(__file__).resolve().parent
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _in_fresh_process(size: int, tile: int) -> dict[str, Any]:
    """`measure` where nothing has been rendered before."""
    command = [sys.executable, __file__, "--one", "--sizes", str(size), "--tile", str(tile)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _table(results: list[dict[str, Any]]) -> Table:
    columns = {
        "size": "size",
        "seconds": "s",
        "peak_extra_mb": "peak extra MB",
        "gflop": "GFLOP",
        "gflop_per_s": "GFLOP/s",
        "matrix_gflop_per_s": "matrix GFLOP/s",
        "times_limit": "s / limit",
    }
    table = Table(title="creps-512, random weights")
    for heading in columns.values():
        table.add_column(heading, justify="right")
    for result in results:
        table.add_row(*(str(result[key]) for key in columns))
    return table


def main(
    sizes: Annotated[str, typer.Option(help="Pixels a side.")] = "256,512,1024,2048",
    tile: Annotated[int, typer.Option(help="Pixels a side of a tile.")] = DEFAULT_TILE,
    out: Annotated[Path | None, typer.Option(help="Also append the JSON lines here.")] = None,
    one: Annotated[bool, typer.Option("--one", hidden=True)] = False,
) -> None:
    """Measure rendering; one JSON line a size on stdout, the table on stderr."""
    if one:
        print(json.dumps(measure(int(sizes), tile)))
        return
    results = []
    for size in sizes.split(","):
        results.append(_in_fresh_process(int(size), tile))
        line = json.dumps(results[-1])
        print(line, flush=True)
        if out is not None:
            with out.open("a") as file:
                file.write(line + "\n")
    Console(stderr=True).print(_table(results))


if __name__ == "__main__":
    typer.run(main)
