"""One picture on a dask cluster that is there: workers draw chunks into a Zarr that all share.

The renderer goes to every worker once. A worker that dies costs its chunks at hand, which others
draw; what is in the Zarr is not drawn again, now or in a later call. Imported only where the
package distributed is installed.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distributed import Client, Future, KilledWorker, as_completed

from creps import __version__
from creps._code import code_id
from creps._files import discard, flush
from creps._urls import is_url, shown
from creps.errors import CrepsError, UsageError
from creps.rendering._painter import Progress
from creps.rendering._renderer import Renderer
from creps.rendering._tiles import Tile, TilePlan
from creps.rendering._view import View
from creps.rendering.output._save import (
    Outcome,
    chunk_of,
    is_made,
    refuse_existing,
    refuse_target,
    settings_of,
    shared_zarr,
    unfinished,
)
from creps.rendering.output._shared import SharedZarr

PATIENCE = 10
"""Seconds to wait for a scheduler's answer, and for its first worker."""
PIXELS = ("coordinates", "networks", "rendering")
"""Rooms whose code makes pixels."""
AHEAD = 1000
"""Tasks that the scheduler knows at a time."""


def save_on_cluster(
    address: str,
    renderer: Renderer,
    view: View,
    path: str | Path,
    *,
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = True,
    compression: str | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """`save_picture` of a .zarr by the workers of a dask cluster.

    Args:
        address: of the scheduler, such as tcp://host:8786.
        renderer, view: of the picture.
        path: a folder that all workers see, or a URL.
        settings, overwrite, compression, progress: as `save_picture`.
    Raises:
        UsageError: for a scheduler that does not answer, no workers, workers with another version
            of creps or without it, and as `save_picture`.
        DataError, OSError: where workers cannot write.
    """
    painter = renderer.painter(view)
    refuse_target(path, height=painter.height, width=painter.width, compression=compression)
    if not str(path).rstrip("/").lower().endswith(".zarr"):
        raise UsageError(
            f"{shown(str(path))}: a cluster writes a .zarr, whose chunks many can write at once"
        )
    place, target, told = str(path), None, settings_of(painter, settings)
    if not is_url(path):
        target = Path(path).resolve()
        if not overwrite:
            if is_made(target, told):
                chunks = TilePlan(painter.height, painter.width, chunk_of(painter))
                return Outcome(target, 0, len(chunks), found=True)
            refuse_existing(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        place = str(unfinished(target))
    name = None if target is None else target.stem
    shared = shared_zarr(painter, place, told, compression=compression, name=name)
    with _connected(address) as client:
        _refuse_other_versions(client, address)
        begun = shared.begin(overwrite=overwrite, take=target is not None or not overwrite)
        if begun:
            _fill(client, _Work(renderer, view, shared), progress)
            shared.finish()
    if target is not None:
        flush(Path(place))
        discard(target)
        os.replace(place, target)
    found = target is None and not begun
    return Outcome(place if target is None else target, 0, len(shared.plan(0)), found=found)


class _Work:
    """What a worker needs; each that receives it prepares its own."""

    def __init__(self, renderer: Renderer, view: View, shared: SharedZarr) -> None:
        self._made_of = renderer, view, shared
        self._painter, self._shared = renderer.painter(view), shared

    def __reduce__(self) -> Any:
        return _received, (_identity(), *self._made_of)

    def draw(self, tile: Tile) -> None:
        """Draw a chunk of the full size, and put it there."""
        self._shared.write(tile, self._painter.pixels(tile))

    def reduce(self, tile: Tile, level: int) -> None:
        """Make a chunk of a smaller level."""
        self._shared.reduce(tile, level=level)


def _received(identity: str, renderer: Renderer, view: View, shared: SharedZarr) -> _Work:
    if identity != _identity():  # of a worker that came later
        raise UsageError(f"a worker has creps {_identity()}, this is {identity}: install the same")
    return _Work(renderer, view, shared)


def _identity() -> str:
    """Which creps this is: equal where pictures are."""
    return f"{__version__} ({code_id(*PIXELS)[:8]})"


def _fill(client: Client, work: _Work, progress: Progress | None) -> None:
    """Make what is missing, level by level."""
    shared = work._shared
    sent = client.submit(_kept, work, pure=False)
    total, todo = shared.height * shared.width, shared.missing(0)
    left = sum(tile.height * tile.width for tile in todo)
    if progress is not None:
        progress(total - left, total)
    for tile in _done(client, lambda tile: client.submit(_drawn, sent, tile, pure=False), todo):
        left -= tile.height * tile.width
        if progress is not None:
            progress(total - left, total)
    for level in range(1, len(shared.sizes)):

        def reduced(tile: Tile, level: int = level) -> Future[None]:
            return client.submit(_reduced, sent, tile, level, pure=False)

        for _ in _done(client, reduced, shared.missing(level)):
            pass


def _done(
    client: Client, submit: Callable[[Tile], Future[None]], tiles: list[Tile]
) -> Iterator[Tile]:
    """Each tile, once its task is done; some are with the scheduler at a time."""
    waiting = iter(tiles)
    tasks: dict[Future[None], Tile] = {}
    finished = as_completed(loop=client.loop)

    def more() -> None:
        for tile in waiting:
            future = submit(tile)
            tasks[future] = tile
            finished.add(future)
            return

    try:
        for _ in range(AHEAD):
            more()
        for future in finished:
            _raise_in_one_line(future)
            yield tasks.pop(future)
            more()
    finally:
        client.cancel(list(tasks))


def _raise_in_one_line(future: Future[None]) -> None:
    """Raise what went wrong on a worker."""
    try:
        future.result()
    except CrepsError:
        raise
    except KilledWorker as error:
        raise CrepsError(
            f"a chunk ended {error.allowed_failures + 1} workers, the last {error.last_worker}: "
            "give them more memory; what is done stays"
        ) from None
    except FileNotFoundError as error:
        raise UsageError(
            f"{error.filename or error}: not there for a worker: give a folder that all workers "
            "see, or a URL"
        ) from None


def _kept(work: _Work) -> _Work:
    """The task of the work itself: the others depend on it, so it goes to a worker once."""
    return work


def _drawn(work: _Work, tile: Tile) -> None:
    with _errors_that_travel():
        work.draw(tile)


def _reduced(work: _Work, tile: Tile, level: int) -> None:
    with _errors_that_travel():
        work.reduce(tile, level)


@contextmanager
def _errors_that_travel() -> Iterator[None]:
    """Errors of ours as plain ones, which can be pickled."""
    try:
        yield
    except UsageError as error:
        raise UsageError(str(error)) from None
    except CrepsError as error:
        raise CrepsError(str(error)) from None


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    """A client of the scheduler, closed in the end; its workers stay."""
    quiet = logging.getLogger("distributed")
    level = quiet.level
    quiet.setLevel(logging.CRITICAL)
    client = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other versions of other packages, large graphs
            try:
                client = Client(address, timeout=PATIENCE, set_as_default=False)
            except (OSError, ValueError, TypeError) as error:
                reason = " ".join(str(error).split())[:200]
                raise UsageError(
                    f"no dask scheduler answers at {shown(address)}: expected its address, such as "
                    f"tcp://host:8786 ({reason})"
                ) from None
            try:
                client.wait_for_workers(1, timeout=PATIENCE)
            except TimeoutError:
                raise UsageError(
                    f"the dask cluster at {shown(address)} has no workers: start some, dask worker "
                    f"{shown(address)}"
                ) from None
            yield client
    finally:
        if client is not None:
            client.close()
        quiet.setLevel(level)


def _refuse_other_versions(client: Client, address: str) -> None:
    """Refuse a cluster with workers whose pictures would be others."""

    def identity() -> str:  # sent by value, so that it arrives without creps too
        from creps import __version__
        from creps._code import code_id

        return f"{__version__} ({code_id(*PIXELS)[:8]})"

    ours = _identity()
    found = client.run(identity, on_error="return")
    others = {worker: each for worker, each in found.items() if each != ours}
    if others:
        worker, other = next(iter(others.items()))
        has = "no creps that draws pictures" if isinstance(other, Exception) else f"creps {other}"
        raise UsageError(
            f"{len(others)} of {len(found)} workers at {shown(address)}, the first {worker}, have "
            f"{has}; here it is {ours}: install the same there"
        )
