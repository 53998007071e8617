"""Where image files lie: folders, ZIP files and WebDataset tar shards, listed and read alike.

Names are paths below the root with forward slashes, sorted. Stores may be pickled, forked and
shared between threads. A sample of shards is the files that share a key, the name up to the first
dot of its last part: `00012.jpg` and `00012.cls` are the image and the class of sample `00012`.

What was read once about a large archive (the places of all samples, the sizes of its images) is
kept in the user's cache folder, under its names, lengths and times of change: so any image is one
read away, the order of a training run is the exact shuffle of other sets, and a run goes on where
it was. The cache may be deleted at any time; where it cannot be written, nothing is kept.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import posixpath
import re
import tarfile
import threading
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from PIL import Image

from creps._files import cache_folder, write_atomically
from creps.errors import DataError

_FOREIGN = frozenset(
    {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
)  # formats that need other programs


@dataclass(frozen=True)
class Entry:
    """A file of a store: its name, its bytes, and a checksum where the store has one."""

    name: str
    size: int
    crc: int | None = None


def is_image_name(name: str) -> bool:
    """Whether a file's name ends like a format that Pillow reads by itself."""
    return posixpath.splitext(name)[1].lower() in _endings()


def visible(name: str) -> bool:
    """False for hidden files and for the shadow files that macOS packs along."""
    parts = name.split("/")
    return "__MACOSX" not in parts and not any(part.startswith(".") for part in parts)


@lru_cache(maxsize=1)
def _endings() -> frozenset[str]:
    """Lower-case file endings."""
    known = Image.registered_extensions()
    return frozenset(e for e, kind in known.items() if kind in Image.OPEN and kind not in _FOREIGN)


class Store(ABC):
    """Something that lists and opens files."""

    @abstractmethod
    def entries(self) -> list[Entry]:
        """All files, hidden ones left out, sorted by name."""

    @abstractmethod
    def open(self, name: str) -> IO[bytes]:
        """One file for reading, seekable."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The whole of one file, its checksum verified where the store has one."""

    def stamp(self) -> str | None:
        """What changes with the files, where that is cheap to know: of archives."""
        return None


def open_store(path: str | os.PathLike[str]) -> Store:
    """The store at a path, as `open_images` takes it.

    A folder of tar files is one of shards if no images lie next to them.
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
class FolderStore(Store):
    """The files of a folder and of the folders in it."""

    root: Path

    def entries(self) -> list[Entry]:
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

    def entries(self) -> list[Entry]:
        found = (Entry(i.filename, i.file_size, i.CRC) for i in self._archive().infolist())
        return sorted(
            (entry for entry in found if not entry.name.endswith("/") and visible(entry.name)),
            key=lambda entry: entry.name,
        )

    def open(self, name: str) -> IO[bytes]:
        return self._archive().open(name)

    def read(self, name: str) -> bytes:
        return self._archive().read(name)

    def stamp(self) -> str | None:
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


WORTH_KEEPING = 2_000
"""Files in a set from which on its index is kept: less is read again in a blink."""

_VERSION = 1


def archive_stamp(paths: Sequence[Path]) -> str:
    """What changes when one of some archives does: places, lengths, times of change."""
    facts = [[os.path.realpath(p), (s := p.stat()).st_size, s.st_mtime_ns] for p in paths]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def remembered(kind: str, stamp: str, find: Callable[[], list[Any]]) -> list[Any]:
    """The list that `find` makes (of what JSON can hold), from the cache where it is kept.

    `kind` is a part of the name of its file, `stamp` is from `archive_stamp`.
    """
    place = cache_folder() / f"{kind}-{stamp[:32]}.json"
    try:
        kept = json.loads(place.read_bytes())
        if kept["version"] == _VERSION and kept["stamp"] == stamp:
            return list(kept["rows"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    rows = find()
    if len(rows) >= WORTH_KEEPING:
        text = json.dumps({"version": _VERSION, "stamp": stamp, "rows": rows})
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(place, text.encode())
        except OSError:
            pass  # a set can be read without a cache
    return rows


CREDITS = ("ATTRIBUTION.txt",)
"""Files in the folder of the shards that belong to the set."""

_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
_LONGEST_NOTE = 1 << 20  # bytes of a .cls or .json file that is read for a label
_LABEL_FIELDS = ("label", "cls", "class")


def expand_braces(pattern: str) -> list[str]:
    """The names of a pattern of shards: data-{008..010}.tar for three."""
    parts = _BRACES.split(pattern)  # text, first, last, text, first, last, ..., text
    texts, firsts, lasts = parts[0::3], parts[1::3], parts[2::3]
    ranges = [
        [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
        for first, last in zip(firsts, lasts, strict=True)
    ]
    return [
        "".join(itertools.chain(*zip(texts, (*numbers, ""), strict=True)))
        for numbers in itertools.product(*ranges)
    ]


def shards_of(pattern: str) -> list[Path]:
    """The shards of a pattern with braces; a DataError names the first one that is missing."""
    shards = [Path(name) for name in expand_braces(pattern)]
    missing = [shard for shard in shards if not shard.is_file()]
    if missing or not shards:
        first = f", the first {missing[0]}" if missing else ""
        raise DataError(f"{pattern}: {len(missing)} of {len(shards)} shards are missing{first}")
    return shards


@dataclass(frozen=True)
class TarStore(Store):
    """The images of tar shards; each is named `shard/key.ending`. Safe to share and to pickle."""

    shards: Sequence[Path]
    _rows: dict[str, tuple[int, int, int, int | str | None]] = field(default_factory=dict)

    def stamp(self) -> str | None:
        return archive_stamp(self.shards)

    def entries(self) -> list[Entry]:
        """Of each sample its image; and the credits next to the shards."""
        beside = [
            Entry(n, self._beside(n).stat().st_size) for n in CREDITS if self._beside(n).exists()
        ]
        images = [Entry(name, size) for name, (_, _, size, _) in sorted(self._index().items())]
        return beside + images

    def open(self, name: str) -> IO[bytes]:
        return io.BytesIO(self.read(name))

    def read(self, name: str) -> bytes:
        if name in CREDITS:
            return self._beside(name).read_bytes()
        shard, offset, size, _ = self._index()[name]
        with self.shards[shard].open("rb") as file:
            file.seek(offset)
            content = file.read(size)
        if len(content) < size:
            raise DataError(f"{self.shards[shard]} ends within {posixpath.basename(name)}")
        return content

    def labels(self) -> dict[str, int | str | None]:
        """The class of each image, as `.cls` or a field of `.json` gives it; None without."""
        return {name: row[3] for name, row in self._index().items()}

    def _beside(self, name: str) -> Path:
        return self.shards[0].parent / name

    def _index(self) -> dict[str, tuple[int, int, int, int | str | None]]:
        """Place and label of every image by its name: (shard, offset, bytes, label)."""
        if not self._rows:
            rows = remembered("tar", archive_stamp(self.shards), self._scan)
            self._rows.update((name, tuple(row)) for name, *row in rows)
        return self._rows

    def _scan(self) -> list[Any]:
        stems = [shard.name.removesuffix(".tar") for shard in self.shards]
        if len(set(stems)) < len(stems):  # of several folders
            stems = [f"{number:06d}-{stem}" for number, stem in enumerate(stems)]
        return [
            [f"{stem}/{name}", number, *row]
            for number, (stem, shard) in enumerate(zip(stems, self.shards, strict=True))
            for name, *row in _samples(shard)
        ]


def _samples(shard: Path) -> Iterator[tuple[str, int, int, int | str | None]]:
    """Name, offset, bytes and label of the image of every sample of a shard."""
    images: dict[str, tuple[bool, str, int, int]] = {}
    labels: dict[str, int | str] = {}
    try:
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                name = posixpath.normpath(member.name)
                if not member.isfile() or not visible(name):
                    continue
                folder, base = posixpath.split(name)
                stem, _, ending = base.partition(".")
                key = posixpath.join(folder, stem)
                if is_image_name(name):
                    plain = "." not in ending  # photo.jpg comes before photo.depth.png
                    if key not in images or (plain and not images[key][0]):
                        images[key] = (plain, name, member.offset_data, member.size)
                elif ending in ("cls", "json") and member.size <= _LONGEST_NOTE:
                    label = _label(archive, member, ending)
                    if label is not None and (ending == "cls" or key not in labels):
                        labels[key] = label
    except tarfile.ReadError as error:
        if images:
            raise DataError(f"{shard} is damaged or cut short ({error}): fetch it again") from None
        raise DataError(
            f"{shard} is not a plain tar file: unpack a compressed one (.tar.gz) to .tar, so that "
            "images can be read in any order"
        ) from None
    except OSError as error:
        raise DataError(f"cannot read {shard}: {error.strerror or error}") from None
    for key, (_, name, offset, size) in images.items():
        yield name, offset, size, labels.get(key)


def _label(archive: tarfile.TarFile, member: tarfile.TarInfo, ending: str) -> int | str | None:
    """The class that a `.cls` or `.json` file gives: a number where it looks like one."""
    file = archive.extractfile(member)
    text = file.read().decode("utf-8", errors="replace").strip() if file else ""
    value: Any = text
    if ending == "json":
        try:
            note = json.loads(text)
        except ValueError:
            return None
        found = (
            [note[name] for name in _LABEL_FIELDS if name in note] if isinstance(note, dict) else []
        )
        value = found[0] if found else None
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        return None
    return int(value) if re.fullmatch(r"\d+", str(value)) else value
