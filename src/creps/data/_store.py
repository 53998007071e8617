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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from creps._files import cache_folder, write_atomically
from creps.pixels._opening import image_endings

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


class Store(ABC):
    """Something that lists and opens files."""

    @abstractmethod
    def listing(self) -> Listing:
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

    def labels(self) -> OwnLabels | None:
        """The classes that lie beside the images, as in shards; None: look for them elsewhere."""
        return None


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


def listing_of(entries: Iterable[Entry]) -> Listing:
    """Files as pictures and others, by their names."""
    images: list[Entry] = []
    others: list[Entry] = []
    for entry in sorted((e for e in entries if visible(e.name)), key=lambda e: e.name):
        (images if is_image_name(entry.name) else others).append(entry)
    return Listing(images, others, counted(entry.name for entry in others))


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
_RAW = frozenset([".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".dng", ".pef", ".srw"])


def counted(names: Iterable[str]) -> dict[str, int]:
    """How many files of each ending are left out, notes apart; most first."""
    found: Counter[str] = Counter()
    for name in names:
        stem, ending = posixpath.splitext(posixpath.basename(name).lower())
        if ending not in _NOTES and stem not in _PAPERS:
            found[ending or "without ending"] += 1
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
