"""Atomic files and folders: written under a temporary name, then renamed.

Temporary names are `.NAME.XXXX.part`; only a killed process leaves them behind. Also here: files of
strangers, which are read up to a limit; the user's cache folder, the number of cores to use, and
names of numbered files.
"""

from __future__ import annotations

import errno
import itertools
import math
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from platformdirs import user_cache_path

from creps.errors import UsageError, utf8

_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{12}\.part")
_BRACES = re.compile(r"\{(\d{1,12})\.\.(\d{1,12})\}")
MOST_SHARDS = 100_000
"""Files that one pattern may name."""


def cache_folder(*parts: str) -> Path:
    """Where what can be made again is kept: CREPS_CACHE, or the system's place for caches.

    The folder may be deleted at any time; it is not made here.
    """
    chosen = os.environ.get("CREPS_CACHE")
    place = Path(chosen) if chosen else user_cache_path("creps", appauthor=False)
    return place.joinpath(*parts)


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def checked_workers(wanted: int | None) -> int:
    """How many processes or threads work: as many as are wanted, by default one a core.

    Raises:
        UsageError: below one.
    """
    if wanted is not None and wanted < 1:
        raise UsageError(f"{wanted} workers: expected 1 or more")
    return wanted or cores()


def open_regular(path: str | os.PathLike[str]) -> IO[bytes]:
    """A file for reading, and nothing that waits or never ends: pipes, devices, sockets.

    Raises:
        OSError: if it is none of a file's kind, missing or not readable.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    number = os.open(path, flags)  # which would wait for the other end of a pipe otherwise
    kind = os.fstat(number).st_mode
    if not stat.S_ISREG(kind):
        os.close(number)
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        raise OSError(errno.EINVAL, NOT_REGULAR, os.fspath(path))
    return os.fdopen(number, "rb")


NOT_REGULAR = "a pipe or a device: expected a file"


def read_regular(path: str | os.PathLike[str], most: int) -> bytes:
    """The bytes of a file, if there are no more than `most`.

    Raises:
        OSError: as `open_regular`, and for more bytes.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(most + 1) if size <= most else b""
    if size > most or len(content) > most:
        raise OSError(errno.EFBIG, too_large(max(size, len(content)), most), os.fspath(path))
    return content


def too_large(size: int, most: int) -> str:
    """Words for something of more bytes than are taken.

    Example:
        >>> too_large(5_000_000_000, 2**29)
        '5,000 MB: at most 536 are read'
    """
    return f"{math.ceil(size / 1e6):,} MB: at most {most // 1_000_000:,} are read"


def expand_braces(pattern: str) -> list[str]:
    """The names of a pattern of shards: data-{008..010}.tar for three.

    Raises:
        UsageError: for more than `MOST_SHARDS`, and for none.
    """
    parts = _BRACES.split(pattern)  # text, first, last, text, first, last, ..., text
    texts, firsts, lasts = parts[0::3], parts[1::3], parts[2::3]
    spans = [range(int(first), int(last) + 1) for first, last in zip(firsts, lasts, strict=True)]
    if not all(spans):
        raise UsageError(f"{pattern[:80]} counts down: expected the smaller number first, {{0..9}}")
    count = math.prod(map(len, spans))
    if count > MOST_SHARDS:
        raise UsageError(f"{pattern[:80]} names {count:,} files: expected at most {MOST_SHARDS:,}")
    ranges = [
        [str(number).zfill(len(first)) for number in span]
        for first, span in zip(firsts, spans, strict=True)
    ]
    return [
        "".join(itertools.chain(*zip(texts, (*numbers, ""), strict=True)))
        for numbers in itertools.product(*ranges)
    ]


def refuse_special(path: Path) -> None:
    """Refuse to put a file in place of what is none: a device would be gone for every program.

    Raises:
        UsageError: for a device, a pipe, a socket, and for names of a process's own, /dev/stdout.
    """
    with suppress(OSError):
        kind = path.stat().st_mode  # of what a link leads to
        own = path.is_symlink() and os.readlink(path).startswith("/proc/")
        if own or not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            raise UsageError(f"{path} is {NOT_REGULAR}")


def refuse_foreign_name(path: Path, library: str) -> None:
    """Refuse a place whose name is no UTF-8: `library` could not open it.

    Raises:
        UsageError: for such a name.
    """
    if utf8(str(path)) != str(path):
        raise UsageError(f"{path}: no name in UTF-8, which {library} needs: choose another")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name next to `path`: replaces it on success, is removed otherwise.

    Raises:
        OSError: with the name of `path`, also where the temporary name was the one that failed.
        UsageError: as `refuse_special`.
    """
    refuse_special(path)
    temporary = _aside(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        discard(temporary)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file by another content, or leave it as it was."""
    with replacing(path) as temporary:
        _write_synced(temporary, content)


def write_directory(path: Path, contents: Mapping[str, bytes]) -> None:
    """Make a directory with all of its files, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.mkdir()
        for name, content in contents.items():
            _write_synced(temporary / name, content)


def discard(path: Path) -> None:
    """Remove a file or folder, if it exists; a folder vanishes at once, never in part."""
    if path.is_dir() and not path.is_symlink():
        trash = _aside(path)
        path.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Wait until a file, or a folder with all that is in it, is on the disk."""
    if not path.is_dir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    elif hasattr(os, "sync"):  # not on Windows
        os.sync()


@contextmanager
def exclusive(path: Path, *, wait: float = 0) -> Iterator[bool]:
    """Try to take the lock file next to a path; yields whether this process holds it."""
    from filelock import FileLock, Timeout

    name = path.with_name(f".{path.name}.lock")
    lock = FileLock(name)
    try:
        lock.acquire(timeout=wait)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
        with suppress(OSError):
            name.unlink()


def sweep(folder: Path, name: str = "*", *, older: float = 0.0) -> None:
    """Remove what killed processes left behind in a folder: temporary files and folders.

    Args:
        name: of the files that they were to become, as a pattern.
        older: seconds since they last changed; 0 where nobody else writes.
    """
    for path in folder.glob(f".{name}.part"):
        if not _LEFTOVER.fullmatch(path.name):
            continue
        with suppress(OSError):
            if time.time() - path.lstat().st_mtime < older:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def _aside(path: Path) -> Path:
    """A unique name: threads and machines with a common disk may write one file at once."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
