"""What was read once about a large set, kept in the user's cache folder.

Listing the shards of a large set, or the sizes of its images, reads a little of every file. The
result depends on the archives alone, so it is kept under their names, lengths and times of change.
The cache may be deleted at any time; where it cannot be written, nothing is kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from creps.files import write_atomically

WORTH_KEEPING = 2_000
"""Files in a set from which on its index is kept: less is read again in a blink."""

_VERSION = 1


def cache_folder() -> Path:
    """Where indices are kept: CREPS_CACHE, or `creps` in the system's place for caches."""
    chosen = os.environ.get("CREPS_CACHE")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~")).expanduser() / "creps"
    if sys.platform == "darwin":
        return Path("~/Library/Caches/creps").expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "creps"


def archive_stamp(paths: Sequence[Path]) -> str:
    """What changes when one of some archives does: places, lengths, times of change."""
    facts = [[os.path.realpath(p), (s := p.stat()).st_size, s.st_mtime_ns] for p in paths]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def remembered(kind: str, stamp: str, find: Callable[[], list[Any]]) -> list[Any]:
    """The list that `find` makes (of what JSON can hold), from the cache where it is kept.

    Args:
        kind: what the list is about; a part of its file's name.
        stamp: from `archive_stamp`.
        find: called where nothing is kept.
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
