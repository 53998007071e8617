"""Files and directories that appear whole or not at all: written aside, then renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path


def write_directory(path: Path, contents: Mapping[str, bytes]) -> None:
    """Make a directory with all of its files, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.mkdir(exist_ok=True)
        for name, content in contents.items():
            _write_synced(temporary / name, content)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file by another content, or leave it as it was."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        _write_synced(temporary, content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
