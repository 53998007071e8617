"""Finished answers on disk, up to a limit; several servers may share a folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from pathlib import Path

from creps._files import replacing

SUFFIX = ".answer"
DIGEST = 16
"""Bytes of a checksum at the beginning of a file: what a crash has torn is not sent."""
KEPT = 0.9
"""Of the limit, when what was not used for longest is thrown away."""


class AnswerCache:
    """Bytes by key. Nothing here fails: what cannot be kept is made again.

    Args:
        folder: made if missing; a file for each answer, named by the hash of its key.
        limit: bytes of all files, about.
    """

    def __init__(self, folder: Path, *, limit: int) -> None:
        self._folder, self._limit = folder, limit
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self.nbytes = sum(size for _, size, _ in self._files())

    def get(self, key: str) -> bytes | None:
        """The bytes of a key, if they are there and whole."""
        path = self._path(key)
        try:
            content = path.read_bytes()
            os.utime(path)  # used just now
        except OSError:
            content = b""
        body = content[DIGEST:]
        if len(content) < DIGEST or content[:DIGEST] != _checksum(body):
            return None
        return body

    def put(self, key: str, body: bytes) -> None:
        """Keep the bytes of a key."""
        if len(body) > self._limit // 4:
            return
        path = self._path(key)
        with contextlib.suppress(OSError):
            path.parent.mkdir(exist_ok=True)
            with replacing(path) as temporary:  # not synced: the checksum tells
                temporary.write_bytes(_checksum(body) + body)
        with self._lock:
            self.nbytes += DIGEST + len(body)
            if self.nbytes > self._limit:
                self._sweep()

    def _sweep(self) -> None:
        """Throw away what was not used for longest, of all servers that share the folder."""
        files = sorted(self._files(), key=lambda each: each[2])
        total = sum(size for _, size, _ in files)
        for path, size, _ in files:
            if total <= KEPT * self._limit:
                break
            with contextlib.suppress(OSError):
                path.unlink()
            total -= size
        self.nbytes = total

    def _files(self) -> list[tuple[Path, int, float]]:
        """(path, bytes, time of use) of all answers."""
        found = []
        for path in self._folder.glob(f"??/*{SUFFIX}"):
            with contextlib.suppress(OSError):  # another server threw it away
                about = path.stat()
                found.append((path, about.st_size, about.st_mtime))
        return found

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self._folder / name[:2] / f"{name[2:]}{SUFFIX}"


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=DIGEST).digest()
