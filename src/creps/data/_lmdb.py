"""LMDB databases of pictures, as LSUN has them (extra `sets`): every value is an image file.

Values that are none, as the length that some programs store, are passed over. Where keys are those
of one set at several sizes (`256-00012`), the largest is taken. Nothing is unpickled.
"""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import IO, Any

from creps.data._store import (
    Entry,
    Listing,
    Store,
    Unreadable,
    archive_stamp,
    check_size,
    remembered,
)
from creps.errors import DataError, MissingExtraError
from creps.pixels._opening import MOST_FILE

_SIZED = re.compile(r"(\d+)-\d+")
_SMALLEST = 8  # bytes that a value takes, its key included
_HEX = "0x"  # before the digits of a key that is no text


class LmdbStore(Store):
    """The pictures of a folder with `data.mdb`, or of one file; each is named by its key."""

    def __init__(self, path: Path) -> None:
        self._path = path
        _environment(os.fspath(path), os.getpid())

    def stamp(self) -> str | None:
        return archive_stamp([self._path / "data.mdb" if self._path.is_dir() else self._path])

    def _place(self) -> str:
        return os.fspath(self._path)

    def _listing(self) -> Listing:
        stamp = self.stamp() or ""
        images = [
            (name, size) for name, size, image in remembered("lmdb", stamp, self._scan) if image
        ]
        left_out = self._count() - len(images)
        sizes = {int(m[1]) if (m := _SIZED.fullmatch(name)) else 0 for name, _ in images}
        if len(sizes) > 1 and 0 not in sizes:
            wanted = f"{max(sizes)}-"
            smaller = sum(not name.startswith(wanted) for name, _ in images)
            images = [(name, size) for name, size in images if name.startswith(wanted)]
        else:
            smaller = 0
        counts = {"values that are no pictures": left_out, "the same at smaller sizes": smaller}
        entries = sorted((Entry(name, size) for name, size in images), key=lambda e: e.name)
        return Listing(entries, [], {what: n for what, n in counts.items() if n})

    def _open(self, name: str) -> IO[bytes]:
        return io.BytesIO(self._read(name, MOST_FILE))

    def _read(self, name: str, most: int) -> bytes:
        with self._environment().begin(buffers=True) as reader:
            content = reader.get(_key(name))
            if content is None:
                raise FileNotFoundError(name)
            check_size(len(content), min(most, self._bytes()))
            return bytes(content)

    def _environment(self) -> Any:
        return _environment(os.fspath(self._path), os.getpid())

    def _count(self) -> int:
        return int(self._environment().stat()["entries"])

    def _bytes(self) -> int:
        path = self._path / "data.mdb" if self._path.is_dir() else self._path
        return path.stat().st_size

    def _scan(self) -> list[Any]:
        """Name, bytes and whether it looks like an image file, of every value."""
        rows: list[Any] = []
        most = self._bytes() // _SMALLEST
        with self._environment().begin(buffers=True) as reader:
            for key, value in reader.cursor():
                if len(rows) > most:  # its pages lead back to one another
                    raise Unreadable("it is damaged: more values than it has room for")
                rows.append([_name(bytes(key)), len(value), _is_image(bytes(value[:32]))])
        return rows


_OPEN: dict[str, tuple[int, Any]] = {}
"""Open databases by their places, with the process that opened them: one may be open once."""


def _environment(path: str, process: int) -> Any:
    """The open database of a process; a forked one opens its own."""
    try:
        import lmdb
    except ImportError:
        raise MissingExtraError("reading LMDB", "sets") from None
    place = os.path.realpath(path)
    owner, found = _OPEN.get(place, (process, None))
    if found is not None and owner == process:
        return found
    try:
        if found is not None:
            found.close()  # the parent's stays open
        found = lmdb.open(
            path,
            subdir=os.path.isdir(path),
            readonly=True,
            lock=False,
            readahead=False,
            meminit=False,
        )
    except lmdb.Error as error:
        raise DataError(f"{path} is no LMDB, or damaged: {error}") from None
    _OPEN[place] = process, found
    return found


def _is_image(head: bytes) -> bool:
    """Whether bytes begin like a picture file."""
    return (
        head.startswith(
            (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"P5", b"P6")
        )
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or head[4:8] == b"ftyp"
    )


def _name(key: bytes) -> str:
    """A key as a name: its text, or its digits."""
    try:
        text = key.decode("ascii")
    except UnicodeDecodeError:
        text = ""
    plain = text.isprintable() and text and "/" not in text and not text.startswith((_HEX, "."))
    return text if plain else _HEX + key.hex()


def _key(name: str) -> bytes:
    return bytes.fromhex(name[2:]) if name.startswith(_HEX) else name.encode()
