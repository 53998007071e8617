"""Files and directories that appear whole or not at all: written aside, then renamed."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`: takes its place when all went well, vanishes otherwise.

    Raises:
        OSError: with the name of `path`, also where the temporary name was the one that failed.
    """
    temporary = _aside(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file by another content, or leave it as it was."""
    with replacing(path) as temporary:
        _write_synced(temporary, content)


def write_directory(path: Path, contents: Mapping[str, bytes]) -> None:
    """Make a directory with all of its files, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _aside(path)
    try:
        temporary.mkdir(exist_ok=True)
        for name, content in contents.items():
            _write_synced(temporary / name, content)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _aside(path: Path) -> Path:
    """A name of its own: threads and machines with a common disk may write one file at once."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
