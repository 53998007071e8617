"""What drawing costs: time and peak memory, each network in a process of its own."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from creps._devices import peak_memory
from creps.coordinates import Canvas
from creps.networks.base import Generator, build_generator
from creps.rendering._renderer import Renderer
from creps.rendering._styles import latents

SHORT = 5.0
"""Seconds: a drawing that takes less is made three times, and the fastest counts."""
MOST_OF_MEMORY = 0.75
"""Share of the free memory that a drawing may take before it counts as too large: a system that
runs out of memory ends programs, others' too."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """What is drawn, with random weights.

    Attributes:
        family, config: of the network, as for `build_generator`.
        size: pixels a side.
        batch: pictures.
        tiled: one picture after the other as `render` makes them, in tiles; otherwise all at once,
            by one call of `synthesize`.
        device: "cpu" or "cuda".
    """

    family: str
    config: Any
    size: int
    batch: int = 1
    tiled: bool = False
    device: str = "cpu"


class Cost(NamedTuple):
    """What it took.

    Attributes:
        parameters: of the network.
        seconds: processor time on one core of a CPU; on a GPU from start to end.
        gigabytes: 10**9 bytes at the peak, beyond those held with the network loaded.
    """

    parameters: int
    seconds: float
    gigabytes: float


def drawing_cost(drawing: Drawing) -> Cost | None:
    """Of one drawing, in a fresh process, where no memory is at hand from earlier ones.

    Processes are spawned, so a script that calls this needs the usual
    `if __name__ == "__main__":`.

    Returns:
        None if there is not enough memory.
    """
    spawn = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(1, mp_context=spawn) as alone:
            return alone.submit(_limited_cost, drawing).result()
    except BrokenProcessPool:
        return None  # ended by the system, for lack of memory


def cost_here(drawing: Drawing) -> Cost | None:
    """As `drawing_cost`, in this process: its memory is then what earlier work has not left over.

    Returns:
        None if there is not enough memory.
    """
    torch.manual_seed(0)
    generator = build_generator(drawing.family, drawing.config).to(drawing.device)
    draw = _work(generator, drawing)
    held = start_peak(drawing.device)
    try:
        seconds = [_timed(draw, drawing.device)]
        most = peak(drawing.device)
        if seconds[0] < SHORT:
            seconds += [_timed(draw, drawing.device) for _ in range(2)]
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "memory" not in str(error):
            raise
        return None
    parameters = sum(p.numel() for p in generator.parameters())
    return Cost(parameters, min(seconds), max(most - held, 0) / 1e9)


def _limited_cost(drawing: Drawing) -> Cost | None:
    """For a process of its own: one thread, and no more memory than there is."""
    torch.set_num_threads(1)
    _limit_memory()
    return cost_here(drawing)


def _work(generator: Generator, drawing: Drawing) -> Callable[[], None]:
    """One drawing."""
    size = drawing.size, drawing.size

    @torch.inference_mode()
    def at_once() -> None:
        z = latents(range(drawing.batch), generator)
        generator.synthesize(generator.map(z), Canvas(*size, sampling=generator.sampling).grid())

    def one_by_one() -> None:
        for seed in range(drawing.batch):
            Renderer(generator, seed=seed).picture(size=size)

    return one_by_one if drawing.tiled else at_once


def _timed(work: Callable[[], None], device: str) -> float:
    if device == "cpu":
        started = time.process_time()
        work()
        return time.process_time() - started
    started = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - started


def start_peak(device: str) -> int:
    """Bytes in use; the peak counts from now."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:  # not Linux, or not allowed: the peak so far, building the network, is in it
        return peak(device)
    return _status("VmRSS") or peak(device)


def peak(device: str) -> int:
    """The most bytes in use since `start_peak`."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return peak_memory() or 0


def _limit_memory() -> None:
    """Make too large a drawing fail by itself, where the system can."""
    free, held = _field("/proc/meminfo", "MemAvailable"), _status("VmData")
    if free is None or held is None:
        return
    import resource

    limit = held + round(MOST_OF_MEMORY * free)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))


def _status(field: str) -> int | None:
    """Bytes of a memory field of this process, where the system tells."""
    return _field("/proc/self/status", field)


def _field(path: str, field: str) -> int | None:
    """Bytes that a line such as `VmRSS:   1024 kB` tells."""
    try:
        for line in Path(path).read_text(encoding="ascii").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None
