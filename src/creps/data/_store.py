"""What a set of pictures lies in, whatever it is: a store lists its files and opens them.

Names are paths below the root with forward slashes, sorted. Stores may be pickled, forked and
shared between threads.

What was read once about a large archive (the places of all samples, the sizes of its images) is
kept in the user's cache folder, under its names, lengths and times of change: so any image is one
read away, the order of a training run is the exact shuffle of other sets, and a run goes on where
it was. The cache may be deleted at any time; where it cannot be written, nothing is kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import unicodedata
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from creps._files import cache_folder, too_large, write_atomically
from creps.errors import CrepsError, DataError
from creps.pixels._opening import MOST_FILE, image_endings, reason_of

Label = int | str
"""A class as a set gives it: by number or by name."""


@dataclass(frozen=True)
class Entry:
    """A file of a store: its name, its bytes, and a checksum where the store has one."""

    name: str
    size: int
    crc: int | None = None


@dataclass(frozen=True)
class Listing:
    """What a store holds.

    Attributes:
        images: files that should be pictures, by name.
        others: all other files.
        passed_over: how many of these, by ending, are no notes about pictures: what is left out.
    """

    images: list[Entry]
    others: list[Entry] = field(default_factory=list)
    passed_over: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class OwnLabels:
    """Classes that a store itself gives.

    Attributes:
        of: the class of each image by its name; None where it has none.
        order: names of all classes in the order of their numbers; empty: in their own order.
    """

    of: Mapping[str, Label | None]
    order: Sequence[str] = ()


MOST_NOTE = 1 << 27
"""Bytes of a list of labels: 3 million pictures and more."""
_UNPACKS = 200
"""Times their size to which large files in archives may unpack."""
_SMALL = 1 << 24  # bytes of a file that may unpack to any size up to it


class Unreadable(Exception):
    """Why a store does not read one of its files; its public methods name the file."""


class Store(ABC):
    """Something that lists and opens files of strangers.

    Its public methods are the boundary: whatever a reader of damaged archives raises becomes a
    DataError of one line, and nothing is read beyond a limit. Kinds of stores have methods of the
    same names with an underscore, which may raise anything.

    Attributes:
        sized: whether the sizes of its images are those of their files.
    """

    sized = True

    def listing(self) -> Listing:
        """All files, hidden ones left out, sorted by name."""
        with told(self._place()):
            return self._listing()

    def open(self, name: str) -> IO[bytes]:
        """One file for reading, seekable; a FileNotFoundError if there is none."""
        with told(name):
            return self._open(name)

    def read(self, name: str, most: int = MOST_FILE) -> bytes:
        """The whole of one file of at most so many bytes; a FileNotFoundError if there is none.

        Its checksum is verified where the store has one.
        """
        with told(name):
            return self._read(name, most)

    def labels(self) -> OwnLabels | None:
        """The classes that lie beside the images, as in shards; None: look for them elsewhere."""
        with told(self._place()):
            return self._labels()

    def stamp(self) -> str | None:
        """What changes with the files, where that is cheap to know: of archives."""
        return None

    @abstractmethod
    def _place(self) -> str:
        """Where the store lies, for messages."""

    @abstractmethod
    def _listing(self) -> Listing: ...

    @abstractmethod
    def _open(self, name: str) -> IO[bytes]: ...

    @abstractmethod
    def _read(self, name: str, most: int) -> bytes: ...

    def _labels(self) -> OwnLabels | None:
        return None


@contextmanager
def told(what: str) -> Iterator[None]:
    """Whatever reading something of strangers raises, as a DataError of one line about it."""
    try:
        yield
    except (CrepsError, FileNotFoundError, MemoryError):
        raise
    except Exception as error:  # readers of damaged archives raise nearly anything
        raise DataError(f"cannot read {what}: {reason_of(error)}") from None


def check_size(size: int, most: int, *, packed: int | None = None) -> None:
    """Refuse a file in an archive of too many bytes, or that unpacks to too many (Unreadable).

    Args:
        size: of the file, in bytes.
        most: how many are read.
        packed: bytes that it takes in the archive; None where nothing is packed.
    """
    if size > most or size < 0:
        raise Unreadable(too_large(size, most))
    if packed is not None and size > max(_SMALL, _UNPACKS * packed):
        raise Unreadable(
            f"it unpacks to {size // max(packed, 1):,} times its size, expected at most {_UNPACKS}"
        )


_LONGEST_CLASS = 200  # characters
MOST_CLASS = 10**200
"""Numbers of classes are below; as many as there are count, whatever their numbers."""


def label_of(value: object) -> Label | None:
    """A class as a set gives it; None for what is none.

    Negative numbers are how sets say that a class is not known.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value < MOST_CLASS else None
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST_CLASS else None


def is_image_name(name: str) -> bool:
    """Whether a file's name ends like a format that Pillow reads by itself."""
    return posixpath.splitext(name)[1].lower() in image_endings()


def visible(name: str) -> bool:
    """False for hidden files and for the shadow files that macOS packs along."""
    parts = name.split("/")
    return "__MACOSX" not in parts and not any(part.startswith(".") for part in parts)


def plain_name(name: str) -> str:
    """A name in an archive with forward slashes, as `a/b.png`, whatever program packed it."""
    return posixpath.normpath(name.replace("\\", "/")).lstrip("/")


def same_name(name: str) -> str:
    """What names are compared by: slashes, and accents as one character or two, do not matter."""
    return unicodedata.normalize("NFC", plain_name(name))


def listing_of(entries: Iterable[Entry], refused: Mapping[str, int] | None = None) -> Listing:
    """Files as pictures and others, by their names; and how many were refused, by their kind."""
    images: list[Entry] = []
    others: list[Entry] = []
    for entry in sorted((e for e in entries if visible(e.name)), key=lambda e: e.name):
        (images if is_image_name(entry.name) else others).append(entry)
    return Listing(images, others, counted(entry.name for entry in others) | dict(refused or {}))


LINK_OUT, NO_FILE = "leading out of the folder", "of no content (pipe, device, dead link)"
"""Kinds of names in a folder that are never opened."""
_NOTES = frozenset(
    [
        ".txt",
        ".json",
        ".jsonl",
        ".csv",
        ".tsv",
        ".xml",
        ".md",
        ".rst",
        ".yaml",
        ".yml",
        ".toml",
        ".ini",
        ".cls",
        ".html",
        ".db",
        ".log",
    ]
)
"""Endings of files that say something about pictures, or about a set."""
_PAPERS = frozenset(["readme", "license", "licence", "copying", "notice", "authors", "attribution"])
_LONGEST_ENDING = 16  # characters that are shown
_RAW = frozenset([".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".dng", ".pef", ".srw"])


def counted(names: Iterable[str]) -> dict[str, int]:
    """How many files of each ending are left out, notes apart; most first."""
    found: Counter[str] = Counter()
    for name in names:
        stem, ending = posixpath.splitext(posixpath.basename(name).lower())
        if ending not in _NOTES and stem not in _PAPERS:
            found[ending[:_LONGEST_ENDING] or "without ending"] += 1
    return dict(found.most_common())


def passed_over_text(counts: Mapping[str, int]) -> str:
    """A sentence about files that are left out; empty where none is.

    Example:
        >>> passed_over_text({".heic": 1, ".psb": 2})
        '3 files passed over: 1 .heic, 2 .psb (HEIC: pip install pillow-heif)'
    """
    total = sum(counts.values())
    if not total:
        return ""
    each = ", ".join(f"{count:,} {ending}" for ending, count in counts.items())
    hints = []
    if not {".heic", ".heif", ".hif"}.isdisjoint(counts):
        hints.append("HEIC: pip install pillow-heif")
    if not _RAW.isdisjoint(counts):
        hints.append("camera raw: develop to TIFF or JPEG first")
    if LINK_OUT in counts:
        hints.append("CREPS_FOLLOW_LINKS=1 follows links")
    hint = f" ({'; '.join(hints)})" if hints else ""
    return f"{total:,} file{'s' * (total != 1)} passed over: {each}{hint}"


WORTH_KEEPING = 2_000
"""Files in a set from which on its index is kept: less is read again in a blink."""

_VERSION = 2


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
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
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
