"""What makes long work on a disk safe: whole files, one finisher at a time, removal at a stroke.

Imported only where the packages of the `big` extra are there.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout
from zarr.abc.buffer import Buffer
from zarr.storage import LocalStore

PARTIAL = ".partial"
"""Suffix of files that are being written; left behind only by a process that was killed."""

USUAL_RATIO, BEST_RATIO = 2, 200
"""Raw bytes for a byte on disk: a detailed picture with its result beside it; flat colours."""


class DurableFolder(LocalStore):
    """A Zarr store in a folder whose files are on the disk before they get their names.

    Zarr's own store renames too, but leaves the bytes to the system: after a power cut, a file
    could be there by name and empty, and would count as done.
    """

    async def set(self, key: str, value: Buffer) -> None:
        """Write one file; an OSError carries its path."""
        await asyncio.to_thread(self.set_sync, key, value)

    def set_sync(self, key: str, value: Buffer) -> None:
        """The same, for versions of Zarr that write without an event loop."""
        write_durably(self.root / key, value.to_bytes())


def write_durably(path: Path, content: bytes) -> None:
    """Write a file that appears whole or not at all, whatever happens to process or machine.

    Args:
        path: where to; its folder is made if missing, a file of that name is replaced.
        content: all of it.
    Raises:
        OSError: if it cannot be written, with its path.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{PARTIAL}")
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what killed processes left half written anywhere below a folder."""
    for leftover in folder.rglob(f".*{PARTIAL}"):
        leftover.unlink(missing_ok=True)


def discard(path: Path) -> None:
    """Remove a file, or a folder at a stroke: renamed first, so that no half of it is found."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    trash = path.with_name(f".{path.name}.trash")
    shutil.rmtree(trash, ignore_errors=True)  # of a process that was killed while it removed
    path.rename(trash)
    shutil.rmtree(trash, ignore_errors=True)


@contextlib.contextmanager
def aside(target: Path) -> Iterator[Path]:
    """A name beside `target` for a file or folder to be made, which then takes its place.

    If the block fails, what it made is removed; what a killed process left there is removed first.

    Args:
        target: the final name; what has it is replaced when the block is done.
    Yields:
        the name to write to.
    Raises:
        OSError: of the block, with the path of `target` if it has none.
    """
    temporary = target.with_name(f".{target.name}.part")
    discard(temporary)
    try:
        with naming(target):
            yield temporary
            _flush(temporary)
            if target.is_dir():
                discard(target)
            temporary.replace(target)
    finally:
        discard(temporary)


def _flush(path: Path) -> None:
    """Wait until a finished file or folder is on the disk: what it was made of is removed next."""
    if path.is_dir():
        if hasattr(os, "sync"):  # not on Windows
            os.sync()
        return
    with path.open("rb+") as file:
        os.fsync(file.fileno())


@contextlib.contextmanager
def exclusive(path: Path, *, wait: float) -> Iterator[bool]:
    """Hold the lock that belongs to a path; the system frees it when its process ends, however.

    Args:
        path: what is to be guarded; the lock is a file beside it.
        wait: seconds to wait for another holder.
    Yields:
        whether the lock is ours.
    """
    name = path.with_name(f".{path.name}.lock")
    lock = FileLock(name)
    try:
        lock.acquire(timeout=wait)
        ours = True
    except Timeout:
        ours = False
    try:
        yield ours
    finally:
        if ours:
            lock.release()
            with contextlib.suppress(OSError):
                name.unlink()


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give an OSError of the block (a full disk tells no file) the path it is about."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def check_disk(place: Path, raw: int) -> None:
    """Refuse what can never fit on a disk, and warn of what may not.

    Args:
        place: a folder on that disk.
        raw: bytes of pixels to come, before compression.
    Raises:
        OSError: if even flat colours would not fit; says how much is free.
    """
    free = shutil.disk_usage(place).free
    if raw > free * BEST_RATIO:
        raise OSError(
            errno.ENOSPC,
            f"{raw / 1e9:,.0f} GB of pixels cannot fit in the {free / 1e9:,.1f} GB that are free",
            str(place),
        )
    if raw > free * USUAL_RATIO:
        warnings.warn(
            f"{place.parent}: {free / 1e9:,.1f} GB are free for {raw / 1e9:,.1f} GB of pixels, "
            "before compression; if the disk fills, make room and run the same command again",
            stacklevel=2,
        )
