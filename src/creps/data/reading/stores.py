"""Where image files lie: folders, ZIP files and tar shards, listed and read alike.

Names are paths below the root with forward slashes, sorted. Stores may be pickled, forked and
shared between threads.
"""

from __future__ import annotations

import os
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from creps.data.reading.index_cache import archive_stamp
from creps.data.reading.names import Entry, is_image_name, visible
from creps.data.reading.tar_shards import TarStore, shards_of
from creps.errors import DataError


class Store(Protocol):
    """Something that lists and opens files."""

    def entries(self) -> list[Entry]:
        """All files, hidden ones left out, sorted by name."""

    def open(self, name: str) -> IO[bytes]:
        """One file for reading, seekable."""

    def read(self, name: str) -> bytes:
        """The whole of one file, its checksum verified where the store has one."""

    def stamp(self) -> str | None:
        """What changes with the files, where that is cheap to know: of archives."""


def open_store(path: str | os.PathLike[str]) -> Store:
    """The store at a path.

    Args:
        path: a folder, a ZIP file, a tar file, a folder of tar files without images beside them, or
            tar shards as `data-{000000..000012}.tar`.
    Raises:
        DataError: if nothing is there, or something else.
    """
    place = Path(path)
    if place.is_dir():
        shards = sorted(p for p in place.glob("*.tar") if p.is_file() and visible(p.name))
        folder = FolderStore(place)
        if shards and not any(is_image_name(entry.name) for entry in folder.entries()):
            return TarStore(shards)
        return folder
    if not place.exists():
        if "{" in place.name:
            return TarStore(shards_of(os.fspath(path)))
        raise DataError(f"no such file or folder: {place}")
    if zipfile.is_zipfile(place):
        return ZipStore(place)
    if place.suffix == ".tar":
        return TarStore([place])
    raise DataError(f"{place} is neither a folder nor a ZIP file nor a tar file of images")


@dataclass(frozen=True)
class FolderStore:
    """The files of a folder and of the folders in it."""

    root: Path

    def entries(self) -> list[Entry]:
        """See `Store.entries`."""
        try:
            found = [
                Entry(path.relative_to(self.root).as_posix(), path.stat().st_size)
                for path in _files(self.root)
            ]
        except OSError as error:
            raise DataError(
                f"cannot read {error.filename or self.root}: {error.strerror}"
            ) from None
        return sorted((entry for entry in found if visible(entry.name)), key=lambda e: e.name)

    def open(self, name: str) -> IO[bytes]:
        """See `Store.open`."""
        return (self.root / name).open("rb")

    def read(self, name: str) -> bytes:
        """See `Store.read`."""
        return (self.root / name).read_bytes()

    def stamp(self) -> str | None:
        """See `Store.stamp`."""
        return None


class ZipStore:
    """The files of a ZIP file, opened anew by each process and each thread that reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self._path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]

    def entries(self) -> list[Entry]:
        """See `Store.entries`."""
        found = (Entry(i.filename, i.file_size, i.CRC) for i in self._archive().infolist())
        return sorted(
            (entry for entry in found if not entry.name.endswith("/") and visible(entry.name)),
            key=lambda entry: entry.name,
        )

    def open(self, name: str) -> IO[bytes]:
        """See `Store.open`."""
        return self._archive().open(name)

    def read(self, name: str) -> bytes:
        """See `Store.read`."""
        return self._archive().read(name)

    def stamp(self) -> str | None:
        """See `Store.stamp`."""
        return archive_stamp([self._path])

    def _archive(self) -> zipfile.ZipFile:
        # A forked process inherits the handle, but shares its file position with the parent.
        if getattr(self._local, "process", None) != os.getpid():
            try:
                self._local.archive = zipfile.ZipFile(self._path)
            except (OSError, zipfile.BadZipFile) as error:
                raise DataError(f"cannot read {self._path}: {error}") from None
            self._local.process = os.getpid()
        archive: zipfile.ZipFile = self._local.archive
        return archive


def _files(root: Path) -> Iterator[Path]:
    """All files below a folder; linked folders are followed, each folder once."""
    seen = {os.path.realpath(root)}
    for folder, inner, names in os.walk(root, onerror=_raise, followlinks=True):
        fresh = []
        for name in inner:
            place = os.path.realpath(os.path.join(folder, name))
            if place not in seen:
                seen.add(place)
                fresh.append(name)
        inner[:] = fresh
        yield from (Path(folder, name) for name in names)


def _raise(error: OSError) -> None:
    raise error
