"""Samples decoded ahead in processes, which fail in one line and never outlive their training."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from typing import Any

from torch.utils.data import DataLoader, Dataset, default_collate

from creps.errors import CrepsError, DataError

_AHEAD = 4
"""Batches that each process has ready."""


def load_samples(
    dataset: Dataset[Any], order: Iterator[list[Any]], *, workers: int
) -> Iterator[Any]:
    """Collated batches of a dataset in a given order, decoded ahead in `workers` processes.

    Raises:
        DataError: what a sample or its process failed of; in this process (workers=0) errors come
            as they are. The processes are gone by then.
    """
    if not workers:
        yield from DataLoader(dataset, batch_sampler=order)
        return
    gate = multiprocessing.Event()
    batches, processes = _started(
        DataLoader(
            _Guarded(dataset),
            batch_sampler=order,
            num_workers=workers,
            prefetch_factor=_AHEAD,
            collate_fn=_as_it_is,
            worker_init_fn=partial(_begin, gate),
        )
    )
    gate.set()
    try:
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except (RuntimeError, OSError, EOFError) as error:  # of a process that is gone
                raise _lost(processes, error) from None
            if isinstance(batch, _Failure):
                raise DataError(batch.message)
            yield batch
    finally:
        _end(processes)


@dataclass(frozen=True)
class _Failure:
    """Why a batch could not be made, as words: torch would send the lines of a traceback."""

    message: str


class _Guarded(Dataset[Any]):
    """A dataset whose batches are collated here, where their errors can be caught."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self.dataset = dataset

    def __getitems__(self, indices: list[Any]) -> Any:
        try:
            return default_collate([self.dataset[index] for index in indices])
        except CrepsError as error:
            return _Failure(str(error))
        except Exception as error:  # whatever a decoder or the system raises ends the run
            words = (str(error).strip() or type(error).__name__).splitlines()[0]
            return _Failure(f"a loading process failed: {words[:200]}{_advice(words)}")


def _advice(words: str) -> str:
    """What to do where the memory that processes share is full."""
    if "shared memory" not in words and "No space left" not in words:
        return ""
    return "; " + _SHARED_MEMORY


_SHARED_MEMORY = (
    "shared memory is full: give more (docker run --shm-size 1g), or load in one process "
    "(--set data.workers=0)"
)


def _as_it_is(batch: Any) -> Any:
    return batch


def _started(loader: DataLoader[Any]) -> tuple[Iterator[Any], list[BaseProcess]]:
    """The batches of a loader, and its processes.

    A lost process is reported where a batch is asked for: torch would raise from a signal handler
    in the middle of whatever is going on, when half of a step may be done. Processes load nothing
    before that handler is gone.
    """
    main = threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGCHLD")
    handler = signal.getsignal(signal.SIGCHLD) if main else None
    others = set(multiprocessing.active_children())
    batches = iter(loader)
    processes = set(multiprocessing.active_children()) - others
    if main:
        signal.signal(signal.SIGCHLD, handler)
    return batches, list(processes)


def _lost(processes: list[BaseProcess], error: Exception) -> DataError:
    """What became of a process that is gone."""
    ended = wait([process.sentinel for process in processes], timeout=20)
    for process in processes:
        if process.sentinel in ended:  # closed a moment before there is an exit code
            process.join(timeout=5)
    codes = [process.exitcode for process in processes if process.exitcode]
    if not codes:
        words = (str(error).strip() or type(error).__name__).splitlines()[0]
        return DataError(f"loading failed: {words[:200]}{_advice(words)}")
    if -codes[0] == signal.SIGBUS:
        return DataError(f"a loading process was lost: {_SHARED_MEMORY}")
    how = (
        "it was killed, perhaps for want of memory: use fewer (--set data.workers=1)"
        if -codes[0] == signal.SIGKILL
        else f"its exit code is {codes[0]}"
    )
    return DataError(f"a loading process was lost: {how}")


def _end(processes: list[BaseProcess]) -> None:
    """End processes that ignore SIGTERM: torch's way, and Python's at exit, would wait for ever."""
    for process in processes:
        if process.is_alive():
            process.kill()
    for process in processes:
        process.join()


def _begin(gate: Event, worker: int) -> None:
    """Leave Ctrl-C and SIGTERM, which reach the whole process group, to the training process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    gate.wait()


def _end_with(parent: int) -> None:
    """End this process once its parent is gone, as one that is killed cannot say so."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
