"""Portrait data sets: many portraits drawn once, over all cores, into one ZIP file.

The file holds `00000/img00000000.png`, ... (sorted names are index order), `portraits.json` with
the settings it was drawn from, and `ATTRIBUTION.txt`, which must travel with the pictures. Its
bytes depend on the settings alone, not on the number of processes or the time of day.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import signal
import zipfile
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from PIL import Image

from creps.data.portrait_art import ART_VERSION, portrait_svg
from creps.data.portrait_drawing import LONGEST_SIDE, portrait
from creps.data.sources import ATTRIBUTION_NAME
from creps.errors import DataError, GridError, MissingExtraError
from creps.files import replacing

__all__ = ["ATTRIBUTION", "CREDIT", "portrait", "portrait_svg", "write_portraits"]

SETTINGS_NAME = "portraits.json"
CREDIT = "Portraits: a remix of ToonHead by Johan Melin, CC BY 4.0, drawn with DiceBear."
ATTRIBUTION = """\
These portraits are a remix of ToonHead by Johan Melin
    https://www.figma.com/community/file/1589627891082866389
licensed under Creative Commons Attribution 4.0 International (CC BY 4.0)
    https://creativecommons.org/licenses/by/4.0/
as packaged by DiceBear (https://www.dicebear.com; its code is under the MIT licence).

What was modified: colours of skin, hair, clothes and background are drawn from continuous ranges;
eyes have coloured irises, pupils and highlights; cheeks have blush; eyes, eyebrows, mouth and hair
vary in size, place and angle; the whole figure is scaled, shifted, turned or mirrored.

Whoever passes these pictures on, or a model trained on them, passes on this credit as well.
"""

_CHUNK_PIXELS = 1 << 21  # that a process draws at a time: a second of work
_CHUNK_LIMIT = 32  # portraits in it, which take their time however small
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of every ZIP entry, so that bytes do not depend on the clock


def write_portraits(
    out: str | os.PathLike[str],
    *,
    count: int,
    size: int,
    seed: int = 0,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> bool:
    """Draw portraits 0 .. count - 1 of a seed into a ZIP of PNG files.

    A file that already holds exactly these portraits is kept. The file appears complete or not at
    all: an interruption or a full disk leaves nothing behind.

    Args:
        out: path of the ZIP file; missing folders are made.
        count: how many, 1 .. 100,000,000.
        size: pixels of each side.
        seed: which family of portraits, >= 0.
        workers: drawing processes; all cores by default. Processes are spawned, so a script that
            calls this needs the usual `if __name__ == "__main__":`.
        overwrite: replace a file that holds something else.
        progress: called with the number of portraits done so far, in order.
    Returns:
        True if the file was drawn, False if it was there already.
    Raises:
        GridError: for settings that cannot be drawn.
        DataError: if `out` holds something else, or cannot be written.
        MissingExtraError: if the packages of the `data` extra are missing.
    """
    out = Path(out)
    _check(count, size, seed, workers)
    settings = _settings(count, size, seed)
    if out.exists() and not overwrite:
        _refuse_other(out, settings)
        return False
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            _store(archive, ATTRIBUTION_NAME, ATTRIBUTION.encode())
            _store(archive, SETTINGS_NAME, json.dumps(settings, indent=1).encode() + b"\n")
            with closing(_draw_all(count, size, seed, workers or _cores())) as pngs:
                for index, png in enumerate(pngs):
                    _store(archive, _name(index), png)
                    if progress is not None:
                        progress(index + 1)
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror or error}") from None
    except BrokenProcessPool:
        raise DataError(
            "a drawing process died, perhaps for lack of memory: try fewer workers"
        ) from None
    return True


def _draw_all(count: int, size: int, seed: int, workers: int) -> Generator[bytes, None, None]:
    """PNG files in index order; at most two chunks a process are drawn ahead."""
    step = min(max(_CHUNK_PIXELS // size**2, 1), _CHUNK_LIMIT)
    chunks = [(first, min(first + step, count)) for first in range(0, count, step)]
    if workers == 1 or len(chunks) <= 2:  # drawn before processes have started
        for first, stop in chunks:
            yield from _draw_chunk(first, stop, size, seed)
        return
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=_ignore_interrupts)
    ahead: deque[Future[list[bytes]]] = deque()
    try:
        for first, stop in chunks:
            ahead.append(pool.submit(_draw_chunk, first, stop, size, seed))
            if len(ahead) > 2 * workers:
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _draw_chunk(first: int, stop: int, size: int, seed: int) -> list[bytes]:
    pngs = []
    for index in range(first, stop):
        buffer = io.BytesIO()
        Image.fromarray(portrait(index, size, seed=seed)).save(buffer, "png")
        pngs.append(buffer.getvalue())
    return pngs


def _ignore_interrupts() -> None:
    """Ctrl-C reaches every process of the group; the parent alone decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _store(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.create_system = 3  # Unix, also when written elsewhere
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, data)


def _name(index: int) -> str:
    return f"{index // 1000:05d}/img{index:08d}.png"


def _settings(count: int, size: int, seed: int) -> dict[str, Any]:
    """What the pixels depend on."""
    try:
        packages = ("dicebear-core", "dicebear-styles", "resvg-py")
        versions = {name: version(name) for name in packages}
    except PackageNotFoundError:
        raise MissingExtraError("drawing portraits", "data") from None
    return {
        "format": "creps portraits",
        "count": count,
        "size": size,
        "seed": seed,
        "art": ART_VERSION,
        "versions": versions,
        "licence": "CC BY 4.0",
        "credit": CREDIT,
    }


def _refuse_other(out: Path, wanted: dict[str, Any]) -> None:
    """Raise unless `out` is a portrait file of the wanted settings."""
    try:
        with zipfile.ZipFile(out) as archive:
            found = dict(json.loads(archive.read(SETTINGS_NAME)))
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
        raise DataError(f"{out} exists and is no portrait file: choose another name") from None
    differences = ", ".join(
        f"{key} {found.get(key)} instead of {value}"
        for key, value in wanted.items()
        if found.get(key) != value
    )
    if differences:
        raise DataError(
            f"{out} holds other portraits ({differences}): choose another name or overwrite it"
        )


def _check(count: int, size: int, seed: int, workers: int | None) -> None:
    if not 1 <= count <= 100_000_000:
        raise GridError(f"{count} portraits: expected 1 to 100,000,000")
    if not 1 <= size <= LONGEST_SIDE:
        raise GridError(f"size {size}: expected 1 to {LONGEST_SIDE} pixels")
    if seed < 0:
        raise GridError(f"seed {seed}: expected 0 or more")
    if workers is not None and workers < 1:
        raise GridError(f"{workers} workers: expected 1 or more")


def _cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
