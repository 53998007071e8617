"""Measurements: numbers of items 0, 1, 2, ..., computed in chunks and kept on disk.

The results of a chunk are a file in the cache, named by everything they depend on, the code
included. So the same command resumes after a stop, a second one is quick, and metrics share what
they need: equal measurements are done once.
"""

from __future__ import annotations

import hashlib
import json
import marshal
import multiprocessing
import signal
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import FunctionType
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from creps._code import code_id
from creps._files import cache_folder, replacing
from creps.errors import CrepsError

Columns = dict[str, NDArray[Any]]
Progress = Callable[[float, float], None]

SUM = "sum_"
"""Columns whose names begin so are added up over the items; all others are (items, ...)."""

_SECONDS = 5.0
"""Of a chunk, or one item: so long an interrupted measurement works on, and a killed one loses."""

MEASURING = ("coordinates", "data", "metrics", "networks", "rendering")
"""What the numbers come from: when one of these rooms changes, nothing kept is used any more."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Numbers of items 0, 1, 2, ..., such as seeds or pictures; it travels to other processes.

    Subclasses are frozen dataclasses with `item`, or with `run` where many items go together. Equal
    fields must mean equal numbers: kept results are found by them. Draw with a random generator of
    the item's own, so that no number depends on its chunk.
    """

    chunk: ClassVar[int] = 10
    """Items computed in one go, where they take `_SECONDS` or less; otherwise fewer."""

    @property
    def seconds(self) -> float:
        """What an item takes, roughly: for the progress bar, and for how many go together."""
        return 0.1

    def item(self, index: int) -> Mapping[str, float]:
        """Numbers of one item by name, the same names for each."""
        raise NotImplementedError(f"{type(self).__name__} has neither `item` nor `run`")

    def run(self, first: int, count: int) -> Columns:
        """Columns of the items first .. first + count - 1: (count, ...) or sums; see `SUM`."""
        rows = [self.item(index) for index in range(first, first + count)]
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def identity(value: Any) -> Any:
    """All that a measurement or a set of pictures depends on, as JSON: its class and its fields."""
    if hasattr(value, "identity"):
        return value.identity()
    if is_dataclass(value):
        kind = type(value)
        # The code of creps is in the key already.
        own = "" if kind.__module__.startswith("creps.") else f" {_code_of(kind)}"
        named = {each.name: identity(getattr(value, each.name)) for each in fields(value)}
        return {"kind": kind.__qualname__ + own, **named}
    return value


def elsewhere(device: str) -> dict[str, str]:
    """What identities say of a device: nothing of the CPU, "cuda" of any such GPU."""
    kind = torch.device(device).type
    return {} if kind == "cpu" else {"device": kind}


def _code_of(kind: type) -> str:
    """A digest of the methods of a class that is not ours."""
    methods = [each.__code__ for each in vars(kind).values() if isinstance(each, FunctionType)]
    return hashlib.sha256(b"".join(marshal.dumps(each, 2) for each in methods)).hexdigest()[:16]


@dataclass(frozen=True)
class _Chunk:
    """Some items of one measurement, and the file that keeps their columns."""

    measurement: Measurement
    first: int
    count: int
    path: Path

    @property
    def seconds(self) -> float:
        return self.count * self.measurement.seconds


def default_cache() -> Path:
    """Where measurements are kept: in the user's cache folder."""
    return cache_folder("measurements")


def measure(
    counts: Mapping[Measurement, int],
    *,
    cache: str | Path | None = None,
    workers: int = 0,
    progress: Progress | None = None,
) -> dict[Measurement, Columns]:
    """Columns of all items of several measurements, in order; `counts` has the items of each.

    Only chunks that are not kept yet are computed. After an interruption, chunks at work are
    finished and kept. The rest is as for `evaluate`.

    Raises:
        CrepsError: what a measurement raised; or if a process died.
    """
    cache = default_cache() if cache is None else Path(cache)
    cache.mkdir(parents=True, exist_ok=True)
    chunks = {each: list(_chunks(each, count, cache)) for each, count in counts.items()}
    kept = {chunk.path: _read(chunk.path) for group in chunks.values() for chunk in group}
    missing = [chunk for group in chunks.values() for chunk in group if kept[chunk.path] is None]
    total = sum(chunk.seconds for group in chunks.values() for chunk in group)
    done = total - sum(chunk.seconds for chunk in missing)
    if progress is not None:
        progress(done, total)
    for chunk in _worked(missing, workers):
        kept[chunk.path] = _read(chunk.path)
        done += chunk.seconds
        if progress is not None:
            progress(done, total)
    return {each: _joined(kept[chunk.path] for chunk in group) for each, group in chunks.items()}


def _chunks(measurement: Measurement, count: int, cache: Path) -> Iterator[_Chunk]:
    settings = json.dumps([code_id(*MEASURING), identity(measurement)], sort_keys=True)
    key = hashlib.sha256(settings.encode()).hexdigest()[:24]
    kind = type(measurement).__name__.lower()
    step = min(measurement.chunk, max(round(_SECONDS / max(measurement.seconds, 1e-9)), 1))
    for first in range(0, count, step):
        size = min(step, count - first)
        yield _Chunk(measurement, first, size, cache / f"{kind}-{key}-{first:06d}-{size}.npz")


def _worked(chunks: list[_Chunk], workers: int) -> Iterator[_Chunk]:
    """The chunks as they are done."""
    if workers == 0:
        yield from map(_do, chunks)
    if workers == 0 or not chunks:
        return
    pool = ProcessPoolExecutor(
        min(workers, len(chunks)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
    )
    try:
        # No more than are worked on: what lies in the pool's queue could not be called back.
        waiting: set[Future[_Chunk]] = set()
        left = deque(chunks)
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


def _do(chunk: _Chunk) -> _Chunk:
    """Compute a chunk and keep it."""
    columns = chunk.measurement.run(chunk.first, chunk.count)
    with replacing(chunk.path) as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **columns)
    return chunk


def _start_worker() -> None:
    """One thread a process; Ctrl-C is for the parent, which lets the chunks at work finish."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _read(path: Path) -> Columns | None:
    """A kept chunk; None if there is none that can be read."""
    try:
        with path.open("rb") as file, np.load(file) as kept:
            return {name: kept[name] for name in kept.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError):
        return None  # none yet; or damaged: it is computed anew


def _joined(parts: Iterable[Columns | None]) -> Columns:
    """The columns of all chunks."""
    chunks = [part for part in parts if part is not None]
    return {
        name: np.sum([c[name] for c in chunks], axis=0)
        if name.startswith(SUM)
        else np.concatenate([c[name] for c in chunks])
        for name in chunks[0]
    }
