"""Long work in chunks: over processes, kept on disk, taken up again where it stopped.

The results of a chunk are a file in the cache, named by everything they depend on. So the same
command goes on after a stop, a second one is quick, and measures share what they need.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import signal
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from creps._code import code_id
from creps._files import replacing
from creps.data._archives import cache_folder
from creps.errors import CrepsError

Columns = dict[str, NDArray[Any]]
Progress = Callable[[float, float], None]

SUM = "sum_"
"""Columns whose names begin so are added up over the items; all others are (items, ...)."""

_MEASURING = ("coordinates", "data", "metrics", "networks", "rendering")
"""What the numbers come from: when one of these rooms changes, nothing kept is used any more."""


class Work(Protocol):
    """Something to be worked out for items 0, 1, 2, ...; it travels to other processes."""

    @property
    def chunk(self) -> int:
        """Items worked out in one go: some seconds."""

    @property
    def weight(self) -> float:
        """Seconds an item takes, roughly: for the progress bar alone."""

    def identity(self) -> dict[str, Any]:
        """All that the results depend on, as JSON."""

    def run(self, first: int, count: int) -> Columns:
        """Results of items first .. first + count - 1."""


@dataclass(frozen=True)
class _Job:
    """One chunk of one work, and the file that keeps it."""

    work: Work
    first: int
    count: int
    path: Path


def default_cache() -> Path:
    """Where measurements are kept: `measures` in the user's cache folder."""
    return cache_folder() / "measures"


def collect(
    works: Mapping[str, Work],
    counts: Mapping[str, int],
    *,
    folder: Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> dict[str, Columns]:
    """Results of several works; only chunks that are not kept yet are worked out.

    After an interruption, chunks at work are finished and kept.

    Args:
        works: by name.
        counts: items of each, >= 1.
        folder: of the cache; `default_cache()` by default.
        workers: processes with one thread each. They are spawned, so a script that calls this needs
            the usual `if __name__ == "__main__":`. 0: in this process.
        progress: called with the seconds of work done and those in all, roughly.
    Returns:
        for each name the columns of all its items, in order.
    Raises:
        CrepsError: what a work raised; or if a process died.
    """
    folder = default_cache() if folder is None else folder
    folder.mkdir(parents=True, exist_ok=True)
    jobs = {name: list(_jobs(work, counts[name], folder)) for name, work in works.items()}
    kept = {job.path: _read(job.path) for group in jobs.values() for job in group}
    missing = [job for group in jobs.values() for job in group if kept[job.path] is None]
    total = sum(_seconds(job) for group in jobs.values() for job in group)
    done = total - sum(map(_seconds, missing))
    if progress is not None:
        progress(done, total)
    for job in _worked(missing, workers):
        kept[job.path] = _read(job.path)
        done += _seconds(job)
        if progress is not None:
            progress(done, total)
    return {name: _joined([kept[job.path] for job in group]) for name, group in jobs.items()}


def _jobs(work: Work, count: int, folder: Path) -> Iterator[_Job]:
    settings = json.dumps([code_id(*_MEASURING), work.identity()], sort_keys=True)
    key = hashlib.sha256(settings.encode()).hexdigest()[:24]
    kind = type(work).__name__.lower()
    for first in range(0, count, work.chunk):
        size = min(work.chunk, count - first)
        yield _Job(work, first, size, folder / f"{kind}-{key}-{first:06d}-{size}.npz")


def _seconds(job: _Job) -> float:
    return job.count * job.work.weight


def _worked(jobs: list[_Job], workers: int) -> Iterator[_Job]:
    """The jobs as they are done."""
    if workers == 0:
        for job in jobs:
            yield _do(job)
        return
    if not jobs:
        return
    pool = ProcessPoolExecutor(
        min(workers, len(jobs)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
    )
    try:
        # No more than are worked on: what lies in the pool's queue could not be called back.
        waiting: set[Future[_Job]] = set()
        left = deque(jobs)
        while left or waiting:
            while left and len(waiting) < workers:
                waiting.add(pool.submit(_do, left.popleft()))
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in finished)
    except BrokenProcessPool:
        raise CrepsError(
            "a measuring process died, perhaps for lack of memory: try fewer --workers; "
            "what is done is kept"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _do(job: _Job) -> _Job:
    """Work out a chunk and keep it."""
    columns = job.work.run(job.first, job.count)
    with replacing(job.path) as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **columns)
    return job


def _start_worker() -> None:
    """One thread a process; Ctrl-C is for the parent, which lets the chunks at work finish."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _read(path: Path) -> Columns | None:
    """A kept chunk; None if there is none that can be read."""
    try:
        with path.open("rb") as file, np.load(file) as kept:
            return {name: kept[name] for name in kept.files}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError):
        return None  # damaged: it is worked out anew


def _joined(parts: Iterable[Columns | None]) -> Columns:
    """The columns of all chunks."""
    chunks = [part for part in parts if part is not None]
    return {
        name: np.sum([c[name] for c in chunks], axis=0)
        if name.startswith(SUM)
        else np.concatenate([c[name] for c in chunks])
        for name in chunks[0]
    }
