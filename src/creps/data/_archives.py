"""Where image files lie: folders and ZIP files; and which kind of store a path is."""

from __future__ import annotations

import os
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from creps._files import expand_braces
from creps._urls import local
from creps.data._lmdb import LmdbStore
from creps.data._parquet import ParquetStore
from creps.data._shards import TarStore
from creps.data._store import (
    Entry,
    Listing,
    Store,
    archive_stamp,
    listing_of,
    plain_name,
    visible,
)
from creps.errors import DataError


def open_store(path: str | os.PathLike[str]) -> Store:
    """The store at a path, as `open_images` takes it.

    A folder of tar or parquet files is one of shards if no images lie next to them. What a URL
    names is fetched into the user's cache.
    """
    place = local(path)
    if place.is_dir():
        return _folder(place)
    if not place.exists():
        if "{" in place.name:
            shards = _shards_of(os.fspath(place))
            return ParquetStore(shards) if place.suffix == ".parquet" else TarStore(shards)
        raise DataError(f"no such file or folder: {place}")
    if zipfile.is_zipfile(place):
        return ZipStore(place)
    if place.suffix == ".tar":
        return TarStore([place])
    if place.suffix == ".parquet":
        return ParquetStore([place])
    if place.suffix in (".mdb", ".lmdb"):
        return LmdbStore(place)
    raise DataError(
        f"{place} is neither a folder nor a ZIP file, tar file, parquet file or LMDB of images"
    )


def _folder(place: Path) -> Store:
    """What a folder is: shards, a database, or image files."""
    if (place / "data.mdb").is_file():
        return LmdbStore(place)
    folder = FolderStore(place)
    listing = folder.listing()
    if listing.images:
        return folder
    shards = sorted(p for p in place.glob("*.tar") if p.is_file() and visible(p.name))
    if shards:
        return TarStore(shards)
    names = [entry.name for entry in listing.others]
    tables = [place / name for name in names if name.endswith(".parquet")]
    if tables:
        return ParquetStore(tables)
    inside = [os.path.dirname(name) for name in names if name.endswith("/data.mdb")]
    if len(inside) == 1:
        return LmdbStore(place / inside[0])
    if inside:
        raise DataError(f"{place} holds {len(inside)} LMDB sets: give one, as {place / inside[0]}")
    return folder


def _shards_of(pattern: str) -> list[Path]:
    """The shards of a pattern with braces; a DataError names the first one that is missing."""
    shards = [Path(name) for name in expand_braces(pattern)]
    missing = [shard for shard in shards if not shard.is_file()]
    if missing or not shards:
        first = f", the first {missing[0]}" if missing else ""
        raise DataError(f"{pattern}: {len(missing)} of {len(shards)} shards are missing{first}")
    return shards


@dataclass(frozen=True)
class FolderStore(Store):
    """The files of a folder and of the folders in it."""

    root: Path

    def listing(self) -> Listing:
        try:
            found = [
                Entry(path.relative_to(self.root).as_posix(), path.stat().st_size)
                for path in _files(self.root)
            ]
        except OSError as error:
            raise DataError(
                f"cannot read {error.filename or self.root}: {error.strerror}"
            ) from None
        return listing_of(found)

    def open(self, name: str) -> IO[bytes]:
        return (self.root / name).open("rb")

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()


class ZipStore(Store):
    """The files of a ZIP file, opened anew by each process and each thread that reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self._path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]

    def listing(self) -> Listing:
        found = self._infos()
        return listing_of(Entry(name, info.file_size, info.CRC) for name, info in found.items())

    def open(self, name: str) -> IO[bytes]:
        return self._archive().open(self._infos()[name])

    def read(self, name: str) -> bytes:
        return self._archive().read(self._infos()[name])

    def stamp(self) -> str | None:
        return archive_stamp([self._path])

    def _infos(self) -> dict[str, zipfile.ZipInfo]:
        """The files by their names; of several of one name the last, as appending means it."""
        archive = self._archive()
        if self._local.infos is None:
            files = (info for info in archive.infolist() if not info.filename.endswith(("/", "\\")))
            self._local.infos = {plain_name(info.filename): info for info in files}
        infos: dict[str, zipfile.ZipInfo] = self._local.infos
        return infos

    def _archive(self) -> zipfile.ZipFile:
        # A forked process inherits the handle, but shares its file position with the parent.
        if getattr(self._local, "process", None) != os.getpid():
            try:
                self._local.archive = zipfile.ZipFile(self._path)
            except (OSError, zipfile.BadZipFile) as error:
                raise DataError(f"cannot read {self._path}: {error}") from None
            self._local.process, self._local.infos = os.getpid(), None
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
