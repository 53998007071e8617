"""Where image files lie: folders and ZIP files; and which kind of store a path is."""

from __future__ import annotations

import os
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from creps._files import NOT_REGULAR, expand_braces, open_regular, read_regular
from creps._urls import local
from creps.data._lmdb import LmdbStore
from creps.data._parquet import ParquetStore
from creps.data._shards import TarStore
from creps.data._store import (
    LINK_OUT,
    NO_FILE,
    Entry,
    Listing,
    Store,
    Unreadable,
    archive_stamp,
    check_size,
    listing_of,
    plain_name,
    told,
    visible,
)
from creps.errors import DataError
from creps.pixels._opening import MOST_FILE


def open_store(path: str | os.PathLike[str]) -> Store:
    """The store at a path, as `open_images` takes it.

    A folder of tar or parquet files is one of shards if no images lie next to them. What a URL
    names is fetched into the user's cache.
    """
    place = local(path)
    with told(os.fspath(place)):
        return _store_at(place)


def _store_at(place: Path) -> Store:
    if place.is_dir():
        return _folder(place)
    if not place.exists():
        if "{" in place.name:
            shards = _shards_of(os.fspath(place))
            return ParquetStore(shards) if place.suffix == ".parquet" else TarStore(shards)
        raise DataError(f"no such file or folder: {place}")
    if not place.is_file():
        raise DataError(f"{place} is {NOT_REGULAR}")
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
    folder = FolderStore(place)
    listing = folder.listing()
    names = [entry.name for entry in listing.others]
    if "data.mdb" in names:
        return LmdbStore(place)
    if listing.images:
        return folder
    shards = [place / name for name in names if name.endswith(".tar") and "/" not in name]
    if shards:
        return TarStore(shards)
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
    """The files of a folder and of the folders in it.

    What is no file is never opened, and a link that leads out of the folder is not followed: a set
    of strangers is not to show what else is on this machine.
    """

    root: Path

    def _place(self) -> str:
        return os.fspath(self.root)

    def _listing(self) -> Listing:
        refused: Counter[str] = Counter()
        try:
            found = list(_files(self.root, refused))
        except OSError as error:
            raise DataError(
                f"cannot read {error.filename or self.root}: {error.strerror}"
            ) from None
        return listing_of(found, refused)

    def _open(self, name: str) -> IO[bytes]:
        return open_regular(self.root / name)

    def _read(self, name: str, most: int) -> bytes:
        return read_regular(self.root / name, most)


class ZipStore(Store):
    """The files of a ZIP file, opened anew by each process and each thread that reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self._path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]

    def stamp(self) -> str | None:
        return archive_stamp([self._path])

    def _place(self) -> str:
        return os.fspath(self._path)

    def _listing(self) -> Listing:
        found = self._infos()
        return listing_of(Entry(name, info.file_size, info.CRC) for name, info in found.items())

    def _open(self, name: str) -> IO[bytes]:
        return self._entry(name, MOST_FILE)

    def _read(self, name: str, most: int) -> bytes:
        with self._entry(name, most) as file:
            return file.read()

    def _entry(self, name: str, most: int) -> IO[bytes]:
        """A file of at most so many bytes, as it says itself: more of it are never read."""
        archive, infos = self._archive(), self._infos()
        if name not in infos:
            raise FileNotFoundError(name)
        info = infos[name]
        if info.flag_bits & _ENCRYPTED:
            raise Unreadable("it is encrypted, expected an archive without a password")
        if info.compress_type not in _METHODS:
            raise Unreadable(f"packed by method {info.compress_type}, expected deflate or none")
        check_size(info.file_size, most, packed=info.compress_size)
        return archive.open(info)

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
            self._local.archive = zipfile.ZipFile(self._path)
            self._local.process, self._local.infos = os.getpid(), None
        archive: zipfile.ZipFile = self._local.archive
        return archive


_ENCRYPTED = 1  # of an entry's flags
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How files may be packed. A few bytes of bzip2 or LZMA unpack to gigabytes at once, or ask for a
dictionary of that size."""


def _files(root: Path, refused: Counter[str]) -> Iterator[Entry]:
    """All files below a folder; folders that are linked to within it are followed, each once."""
    inside = _Inside(root)
    seen = {os.path.realpath(root)}
    for folder, inner, names in os.walk(root, onerror=_raise, followlinks=True):
        fresh = []
        for name in inner:
            place = os.path.realpath(os.path.join(folder, name))
            if place in seen:
                continue
            if not inside(place):
                refused[LINK_OUT] += visible(name)
                continue
            seen.add(place)
            fresh.append(name)
        inner[:] = fresh
        for name in names:
            path = Path(folder, name)
            shown = path.relative_to(root).as_posix()
            if path.is_symlink() and not inside(os.path.realpath(path)):
                refused[LINK_OUT] += visible(shown)
            elif not path.is_file():
                refused[NO_FILE] += visible(shown)
            else:
                yield Entry(shown, path.stat().st_size)


class _Inside:
    """Whether the real path of something lies in a folder.

    So do, of a snapshot in Hugging Face's cache, the blobs beside it, which its links lead to.
    """

    def __init__(self, root: Path) -> None:
        own = Path(os.path.realpath(root))
        roots = [own]
        for above in own.parents:
            if above.name == "snapshots" and (above.parent / "blobs").is_dir():
                roots.append(above.parent / "blobs")
        self._roots = [os.path.join(each, "") for each in roots]
        self._all = os.environ.get("CREPS_FOLLOW_LINKS", "0") not in ("", "0")

    def __call__(self, place: str) -> bool:
        return self._all or os.path.join(place, "").startswith(tuple(self._roots))


def _raise(error: OSError) -> None:
    raise error
