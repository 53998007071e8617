"""Small jobs side by side on the cores of one machine, results in order."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from functools import cache
from typing import Literal, TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

Kind = Literal["tiles", "lines"]
"""Of jobs. Tiles may wait for lines that another thread makes, in a store or a table that they
share. So lines have threads of their own, where nothing waits for anything: else all threads could
wait for what none is left to make."""


def worker_count(device: torch.device) -> int:
    """How many jobs to run at once: torch's threads on the CPU, one on an accelerator."""
    return torch.get_num_threads() if device.type == "cpu" else 1


def map_in_order(
    job: Callable[[Item], Result], items: Iterable[Item], *, workers: int, kind: Kind = "tiles"
) -> Iterator[Result]:
    """`map(job, items)`, on `workers` threads that each run torch on one core.

    Whole jobs side by side beat one job split over the cores: no core waits for another within an
    operation, which can take ten times as long where other programs run. And the results do not
    depend on the number of cores. Items are taken a few ahead of the results consumed, so
    that results do not pile up. One worker runs the jobs in the calling thread.

    An iterator that is closed waits for the jobs that run; those that draw tiles one after another
    end after the one at hand.
    """
    if workers == 1:
        ended: threading.Event | None = getattr(_here, "ended", None)
        for item in items:
            if kind == "tiles" and ended is not None and ended.is_set():  # others wait for lines
                raise CancelledError
            yield job(item)
        return
    with _making:
        pool = _pool(os.getpid(), workers, kind)
    pending: deque[Future[Result]] = deque()
    closed = threading.Event()

    def told(item: Item) -> Result:
        _here.ended = closed
        return job(item)

    try:
        for item in items:
            pending.append(pool.submit(told, item))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        closed.set()
        for future in pending:
            future.cancel()
        if not getattr(_here, "works", False):  # an abandoned iterator may end within a job of it
            wait(pending)


_making = threading.Lock()
_here = threading.local()


@cache
def _pool(process: int, workers: int, kind: Kind) -> ThreadPoolExecutor:
    """The threads of a process, kept for the next jobs: each new one would touch fresh memory.

    All start here: the number of threads that torch uses is set for later threads too, so it is
    restored afterwards.
    """
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(workers, initializer=_use_one_core)
    begun = threading.Barrier(workers)  # no thread is idle before all have started
    wait([pool.submit(begun.wait) for _ in range(workers)])
    torch.set_num_threads(threads)
    return pool


def _use_one_core() -> None:
    """Let this thread run torch by itself."""
    _here.works = True
    torch.set_num_threads(1)
    torch.get_num_threads()  # the first question, not the choice, fixes the number of a thread
