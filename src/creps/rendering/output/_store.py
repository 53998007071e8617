"""An unfinished picture on disk: its pixels in chunks, and which of them are done.

The folder NAME.part next to the picture NAME holds `picture.json`, which says what picture it is;
`pixels`, all chunks one after the other; and `RUN.done` of each process that works on it: the
numbers and checksums of the chunks whose pixels it has written to disk. No two processes write
the same bytes, so machines may share the work through any file system they have in common.
"""

from __future__ import annotations

import errno
import json
import math
import os
import secrets
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from creps._files import discard, replacing, write_atomically
from creps.errors import UsageError
from creps.rendering._painter import Picture
from creps.rendering._tiles import Tile, TilePlan
from creps.rendering.output._images import UNFINISHED, refuse_other_settings
from creps.rendering.output._shards import Shard

BAND = 2048
"""Columns of a picture that are filled from top to bottom before the next ones: the lines of so
many are kept (14 MiB with the 512 preset), and those of the rows are computed again for each band,
which costs a fifth of the pixels' time there, and a fiftieth with the packaged model."""

PIXELS, DONE = "pixels", ".done"

PATIENCE = 60.0
"""Seconds to wait for another process that clears the same store away."""


class Store:
    """A picture on disk, new or resumed; a different one is refused, or overwritten.

    `pixels` are (down, across, chunk, chunk, channels), mapped from the disk: zeros where nothing
    is done, and beyond the borders. `tiles` are the chunks, row by row.
    """

    def __init__(
        self,
        path: Path,
        *,
        height: int,
        width: int,
        channels: int,
        settings: Mapping[str, Any],
        chunk: int,
        overwrite: bool = False,
    ) -> None:
        self.path, self.settings, self.tiles = path, dict(settings), TilePlan(height, width, chunk)
        self.height, self.width, self.channels = height, width, channels
        about = {"settings": self.settings, "pixels": [height, width, channels], "chunk": chunk}
        identity = json.loads(json.dumps(about))
        shape = (self.tiles.down, self.tiles.across, chunk, chunk, channels)
        if overwrite and path.exists() and _identity(path) != identity:
            with exclusive(path, wait=PATIENCE) as ours:
                if not ours:
                    raise UsageError(f"{path} is in use by another process: wait or stop it")
                if (
                    path.exists() and _identity(path) != identity
                ):  # unless another process was faster
                    discard(path)
        if not path.exists():
            _create(path, identity, count=math.prod(shape))
        found = _identity(path)
        if found is None:
            raise UsageError(f"{path} is not an unfinished picture: remove it, or overwrite it")
        refuse_other_settings(
            path, *({**each.pop("settings"), **each} for each in (found, identity))
        )
        self.pixels: NDArray[np.uint8] = np.memmap(path / PIXELS, np.uint8, "r", shape=shape)
        self._log = path / f"{secrets.token_hex(6)}{DONE}"
        self._sound = np.zeros(len(self.tiles), bool)

    def missing(self, shard: Shard | None = None) -> Iterator[Tile]:
        """The chunks that are not done, or are damaged, in bands."""
        checksums = self._checksums()
        share = range(len(self.tiles)) if shard is None else shard.indices(len(self.tiles))
        for index in self.tiles.in_bands(BAND):
            if index in share and not self._sound[index]:
                self._sound[index] = checksums[index] == zlib.crc32(self._chunk(index).data)
                if not self._sound[index]:
                    yield self.tiles[index]

    def write(self, tile: Tile, pixels: Picture) -> None:
        """Store the pixels of one chunk; they are on the disk when this returns."""
        expected = (tile.height, tile.width, self.channels)
        if pixels.shape != expected or pixels.dtype != np.uint8:
            raise UsageError(
                f"pixels of shape {pixels.shape} and type {pixels.dtype}: expected {expected} uint8"
            )
        edge = self.tiles.edge
        index = tile.top // edge * self.tiles.across + tile.left // edge
        chunk = np.zeros((edge, edge, self.channels), np.uint8)
        chunk[: tile.height, : tile.width] = pixels
        try:
            with (self.path / PIXELS).open("rb+") as file:
                file.seek(index * chunk.nbytes)
                file.write(chunk.data)
                file.flush()
                os.fsync(file.fileno())  # on the disk before anything says so
            with self._log.open("ab") as file:
                file.write(np.array([index, zlib.crc32(chunk.data)], "<u8").tobytes())
        except OSError as error:  # a full disk names no file
            raise OSError(error.errno, error.strerror, str(self.path)) from None
        self._sound[index] = True

    def read(self, tile: Tile) -> Picture:
        """The pixels of any rectangle within the picture, (tile.height, tile.width, channels)."""
        edge = self.tiles.edge
        first, stop = tile.top // edge, -(-(tile.top + tile.height) // edge)
        left, right = tile.left // edge, -(-(tile.left + tile.width) // edge)
        part = self.pixels[first:stop, left:right].transpose(0, 2, 1, 3, 4)
        part = part.reshape((stop - first) * edge, (right - left) * edge, self.channels)
        top, side = tile.top - first * edge, tile.left - left * edge
        return part[top : top + tile.height, side : side + tile.width]

    def _chunk(self, index: int) -> NDArray[np.uint8]:
        return self.pixels[divmod(index, self.tiles.across)]

    def _checksums(self) -> NDArray[np.int64]:
        """The value of every chunk that a process has written; -1 for the others."""
        result = np.full(len(self.tiles), -1, np.int64)
        for log in self.path.glob(f"*{DONE}"):
            content = log.read_bytes()
            entries = np.frombuffer(content[: len(content) // 16 * 16], "<u8").reshape(-1, 2)
            result[entries[:, 0].astype(np.int64)] = entries[:, 1]
        return result


@contextmanager
def exclusive(path: Path, *, wait: float = 0) -> Iterator[bool]:
    """Try to take the lock file next to a path; yields whether this process holds it."""
    name = path.with_name(f".{path.name}.lock")
    lock = FileLock(name)
    try:
        lock.acquire(timeout=wait)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
        with suppress(OSError):
            name.unlink()


def _identity(path: Path) -> dict[str, Any] | None:
    """What picture a folder holds; None if it is not one of ours."""
    try:
        identity = json.loads((path / UNFINISHED).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return identity if isinstance(identity, dict) and "settings" in identity else None


def _create(path: Path, identity: dict[str, Any], *, count: int) -> None:
    """Create an empty store of `count` bytes; safe against another process doing the same."""
    free = shutil.disk_usage(path.parent).free
    if count > free:
        raise OSError(
            errno.ENOSPC,
            f"{count / 1e9:,.1f} GB of pixels do not fit in the {free / 1e9:,.1f} GB that are free",
            str(path),
        )
    try:
        with replacing(path) as temporary:
            temporary.mkdir()
            with (temporary / PIXELS).open("wb") as file:
                file.truncate(count)  # sparse: takes disk space only as it is filled
            write_atomically(temporary / UNFINISHED, json.dumps(identity).encode())
    except OSError:
        if _identity(path) is None:
            raise  # else another process was faster, with the same picture or one to refuse
