"""Drawn sets: ZIP files of pictures, written atomically, always with the same bytes.

A set holds its pictures as `00000/img00000000.png`, ... (sorted names are index order), a JSON file
with the settings it was drawn from, and `ATTRIBUTION.txt`, which must travel with the pictures. Its
bytes depend on the settings alone, not on the number of processes or the time of day.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import signal
import zipfile
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from creps._files import checked_workers, replacing
from creps._json import parse_json
from creps.data._archives import ZipStore
from creps.data._sources import ATTRIBUTION_NAME
from creps.data._store import MOST_NOTE
from creps.errors import DataError, UsageError

Chunk = TypeVar("Chunk")
Drawn = TypeVar("Drawn")

_CHUNK_PIXELS = 1 << 21
_CHUNK_LIMIT = 32  # pictures, which take their time however small
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of every ZIP entry, so that bytes do not depend on the clock


def picture_name(index: int) -> str:
    """Where the picture of an index lies in its set."""
    return f"{index // 1000:05d}/img{index:08d}.png"


def png(picture: NDArray[np.uint8]) -> bytes:
    """A picture (H, W, C) as the content of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "png")
    return buffer.getvalue()


def draw_set(
    out: Path,
    draw: Callable[[Chunk], Sequence[Drawn]],
    chunks: Sequence[Chunk],
    *,
    files: Callable[[Iterator[Drawn]], Iterator[tuple[str, bytes]]],
    settings: dict[str, Any],
    settings_name: str,
    unset: Sequence[str] = (),
    kind: str,
    attribution: str,
    workers: int | None,
    overwrite: bool,
    progress: Callable[[int], None] | None,
) -> bool:
    """Draw a set over several processes, unless it exists; False if it does.

    `files` makes named files of what `draw` returns for the chunks; `unset` are settings that an
    existing set must not have; `kind` is the pictures' name in messages, "portrait". Other
    arguments and errors as `write_set` and `in_order`; a DataError names the settings in which an
    existing set differs, a UsageError asks for a name that says what the file is.
    """
    count = checked_workers(workers)
    if out.suffix.lower() != ".zip":
        raise UsageError(f"{out}: expected a name that ends with .zip")
    if out.exists() and not overwrite:
        wanted = settings | dict.fromkeys(unset)
        _refuse_other(out, wanted, settings_name=settings_name, kind=kind)
        return False
    with closing(in_order(draw, chunks, workers=count)) as drawn:
        write_set(
            out,
            files(drawn),
            settings=settings,
            settings_name=settings_name,
            attribution=attribution,
            progress=progress,
        )
    return True


def write_set(
    out: Path,
    files: Iterable[tuple[str, bytes]],
    *,
    settings: dict[str, Any],
    settings_name: str,
    attribution: str,
    progress: Callable[[int], None] | None,
) -> None:
    """Write a set: credit, the JSON file of its settings, then the files as they come.

    `progress` is called with the number of files written so far. A DataError if the file cannot be
    written, or a drawing process died.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            _store(archive, ATTRIBUTION_NAME, attribution.encode())
            _store(archive, settings_name, json.dumps(settings, indent=1).encode() + b"\n")
            for done, (name, content) in enumerate(files, 1):
                _store(archive, name, content)
                if progress is not None:
                    progress(done)
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror or error}") from None
    except BrokenProcessPool:
        raise DataError(
            "a drawing process died, perhaps for lack of memory: try fewer workers"
        ) from None


def _refuse_other(out: Path, wanted: dict[str, Any], *, settings_name: str, kind: str) -> None:
    """Raise unless a file is a set of the wanted settings; others in it do not matter."""
    try:
        found = parse_json(ZipStore(out).read(settings_name, MOST_NOTE))
    except (DataError, OSError, ValueError):
        raise DataError(f"{out} exists and is not a {kind} file: choose another name") from None
    differences = ", ".join(
        f"{key} {_said(found.get(key))} instead of {_said(value)}"
        for key, value in wanted.items()
        if found.get(key) != value
    )
    if differences:
        raise DataError(
            f"{out} holds other {kind}s ({differences}): choose another name or --overwrite it"
        )


def _said(value: Any) -> str:
    return "none" if value is None else ", ".join(value) if isinstance(value, list) else str(value)


def in_order(
    draw: Callable[[Chunk], Sequence[Drawn]], chunks: Sequence[Chunk], *, workers: int
) -> Generator[Drawn, None, None]:
    """What `draw` makes of each chunk, in order, over processes; two chunks a process lie ahead.

    `draw` can be pickled. Up to two chunks are drawn here, before processes have started.
    """
    if workers == 1 or len(chunks) <= 2:
        for chunk in chunks:
            yield from draw(chunk)
        return
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=_ignore_interrupts)
    ahead: deque[Future[Sequence[Drawn]]] = deque()
    try:
        for chunk in chunks:
            ahead.append(pool.submit(draw, chunk))
            if len(ahead) > 2 * workers:
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def ranges(count: int, side: int) -> list[tuple[int, int]]:
    """0 .. count - 1 in chunks (first, stop) that a process draws at a time: a second of work.

    So long an interrupted command works on.

    Args:
        count: of pictures.
        side: of the largest of them, in pixels.
    Example:
        >>> ranges(5, 1024)
        [(0, 2), (2, 4), (4, 5)]
    """
    step = min(max(_CHUNK_PIXELS // side**2, 1), _CHUNK_LIMIT)
    return [(first, min(first + step, count)) for first in range(0, count, step)]


def named(pngs: Iterator[bytes]) -> Iterator[tuple[str, bytes]]:
    """Pictures with their names, in index order."""
    for index, png in enumerate(pngs):
        yield picture_name(index), png


def _ignore_interrupts() -> None:
    """Ctrl-C reaches every process of the group; the parent alone decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _store(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.create_system = 3  # Unix, also when written elsewhere
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, data)
