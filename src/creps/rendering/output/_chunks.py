"""Finished chunks of a picture on disk, compressed as the file wants them, beside the drawing.

Each process appends to a file of its own, `RUN.chunks`, and notes in `RUN.done` what is there: the
number of each chunk, its place, its length and its checksum. So no two processes write the same
bytes, and a note that is too early or damaged costs a chunk and nothing else.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import google_crc32c
import imagecodecs
import numpy as np
from numcodecs import Blosc
from numpy.typing import NDArray

from creps._files import cores
from creps.errors import UsageError
from creps.rendering._painter import Picture
from creps.rendering._tiles import Tile, TilePlan
from creps.rendering.output._compression import Compression
from creps.rendering.output._shards import Shard

CHUNKS, DONE = ".chunks", ".done"

NOTE = np.dtype([("index", "<u8"), ("offset", "<u8"), ("length", "<u8"), ("check", "<u8")])
"""What `RUN.done` says of a chunk."""

CHECKED = "crc32 of place and bytes"
"""What the checksums of notes are of; unfinished work of other versions is not continued."""

WHERE = np.dtype([("run", "<i4"), ("offset", "<u8"), ("length", "<u8"), ("check", "<u8")])
"""Where a chunk lies: the file's place in a list, or -1, and what the note says."""

SECONDS = 2.0
"""Between two times that finished chunks are forced to the disk: what a crash may cost."""

AHEAD = 2
"""Chunks a thread that may wait to be compressed, before drawing waits for them."""


class Codec(Protocol):
    """What makes bytes of chunks, and chunks of these."""

    def encode(self, chunk: Picture) -> bytes:
        """The bytes of (edge, edge, channels) pixels."""

    def decode(self, data: bytes) -> Picture:
        """The (edge, edge, channels) pixels."""


class TiffTiles:
    """Chunks as tiles of a TIFF: differences of neighbors in a row, compressed (TIFF 6.0, 14)."""

    def __init__(self, shape: tuple[int, int, int], dtype: Any, compression: Compression) -> None:
        self._shape, self._dtype = shape, np.dtype(dtype).newbyteorder("<")
        self._name, self._level = compression.name, compression.level

    def encode(self, chunk: Picture) -> bytes:
        """The bytes of one tile."""
        if self._name == "none":
            return chunk.astype(self._dtype, copy=False).tobytes()
        steps: Any = imagecodecs.delta_encode(chunk.astype(self._dtype, copy=False), axis=-2)
        if self._name == "deflate":
            return bytes(imagecodecs.deflate_encode(steps, level=self._level))
        if self._name == "zstd":
            return bytes(imagecodecs.zstd_encode(steps, level=self._level))
        return bytes(imagecodecs.lzw_encode(steps))

    def decode(self, data: bytes) -> Picture:
        """The pixels of one tile."""
        if self._name == "none":
            return np.frombuffer(data, self._dtype).reshape(self._shape)
        size = int(np.prod(self._shape)) * self._dtype.itemsize
        decode = {
            "deflate": imagecodecs.deflate_decode,
            "zstd": imagecodecs.zstd_decode,
            "lzw": imagecodecs.lzw_decode,
        }[self._name]
        steps = np.frombuffer(decode(data, out=size), self._dtype).reshape(self._shape)
        pixels: Picture = imagecodecs.delta_decode(steps, axis=-2)
        return pixels


CHECK_BYTES = 4
"""At the end of a Zarr chunk: its CRC-32C, which every reader compares (codec "crc32c")."""


class ZarrChunks:
    """Chunks as those of a Zarr array of axes (c, y, x)."""

    def __init__(self, shape: tuple[int, int, int], dtype: Any, compression: Compression) -> None:
        self._shape, self._dtype = shape, np.dtype(dtype).newbyteorder("<")
        self._blosc: Blosc | None = None
        if compression.name != "none":
            shuffle = Blosc.SHUFFLE if self._dtype.itemsize > 1 else Blosc.NOSHUFFLE
            self._blosc = Blosc(compression.name, compression.level, shuffle)

    def encode(self, chunk: Picture) -> bytes:
        """The bytes of one chunk."""
        planes = np.ascontiguousarray(np.moveaxis(chunk, 2, 0), self._dtype)
        packed = planes.tobytes() if self._blosc is None else bytes(self._blosc.encode(planes))
        return packed + google_crc32c.value(packed).to_bytes(CHECK_BYTES, "little")

    def decode(self, data: bytes) -> Picture:
        """The pixels of one chunk."""
        packed = data[:-CHECK_BYTES]
        plain = packed if self._blosc is None else self._blosc.decode(packed)
        height, width, channels = self._shape
        planes = np.frombuffer(plain, self._dtype).reshape(channels, height, width)
        return np.moveaxis(planes, 0, 2)


class Chunks:
    """The chunks of one picture, or of a smaller level of it, in a folder that exists.

    Args:
        folder: of the files.
        tiles: the chunks, row by row.
        channels, dtype: of the pixels.
        codec: what makes them bytes; those at the borders are filled up with zeros.
    """

    def __init__(
        self, folder: Path, tiles: TilePlan, *, channels: int, dtype: Any, codec: Codec
    ) -> None:
        self.folder, self.tiles, self.channels = folder, tiles, channels
        self.height, self.width, self.dtype = tiles.height, tiles.width, np.dtype(dtype)
        self._codec = codec
        self._own = folder / f"{secrets.token_hex(6)}{CHUNKS}"
        self._runs = [self._own]
        self._sound = np.zeros(len(tiles), WHERE)
        self._sound["run"] = -1
        self._new: list[tuple[int, int, int, int]] = []
        self._noted = time.monotonic()

    def missing(self, shard: Shard | None = None) -> Iterator[Tile]:
        """The chunks that are not done, or are damaged, in bands."""
        notes, first = self._notes()
        share = range(len(self.tiles)) if shard is None else shard.indices(len(self.tiles))
        for index in self.tiles.in_bands():
            if index in share and self._sound["run"][index] < 0:
                start, stop = np.searchsorted(first, [index, index + 1])
                if not any(self._is_sound(index, note) for note in notes[start:stop]):
                    yield self.tiles[index]

    @contextmanager
    def writing(
        self, kept: Callable[[Tile], None] | None = None
    ) -> Iterator[Callable[[Tile, Callable[[], Picture]], None]]:
        """Gives what takes chunks: where each one lies, and what makes its pixels.

        They are made and compressed on threads, a few at a time, beside what goes on meanwhile; and
        stored in order, which `kept` is told. All that was taken is on the disk at the end, also
        where an error ends it.
        """
        pending: deque[tuple[Tile, Future[bytes]]] = deque()
        workers = cores()
        pool = ThreadPoolExecutor(workers, thread_name_prefix="creps-chunks")

        def store() -> None:
            tile, future = pending.popleft()
            self._append(tile, future.result())
            if kept is not None:
                kept(tile)

        def take(tile: Tile, make: Callable[[], Picture]) -> None:
            pending.append((tile, pool.submit(self._encoded, tile, make)))
            while len(pending) > AHEAD * workers or (pending and pending[0][1].done()):
                store()

        try:
            yield take
        finally:
            try:
                while pending:
                    store()
            finally:
                pool.shutdown(cancel_futures=True)
                self._note()

    def read(self, tile: Tile) -> Picture:
        """The pixels of any rectangle within the picture, (tile.height, tile.width, channels)."""
        edge = self.tiles.edge
        result = np.empty((tile.height, tile.width, self.channels), self.dtype)
        for row in range(tile.top // edge, -(-(tile.top + tile.height) // edge)):
            for column in range(tile.left // edge, -(-(tile.left + tile.width) // edge)):
                chunk = self._codec.decode(self.encoded(row * self.tiles.across + column))
                top, left = max(row * edge, tile.top), max(column * edge, tile.left)
                bottom = min((row + 1) * edge, tile.top + tile.height)
                right = min((column + 1) * edge, tile.left + tile.width)
                result[top - tile.top : bottom - tile.top, left - tile.left : right - tile.left] = (
                    chunk[top - row * edge : bottom - row * edge,
                          left - column * edge : right - column * edge]
                )  # fmt: skip
        return result

    def encoded(self, index: int) -> bytes:
        """The bytes of a chunk that is done."""
        run, offset, length, check = self._sound[index].tolist()
        assert run >= 0, f"chunk {index} is missing"
        data = _bytes_at(self._runs[run], offset, length)
        if check != _check(index, offset, data):
            raise OSError(
                errno.EIO, "a finished chunk was damaged: run the same command again", self.folder
            )
        return data

    @property
    def nbytes(self) -> int:
        """Of all chunks that are done."""
        return int(self._sound["length"].sum())

    def _encoded(self, tile: Tile, make: Callable[[], Picture]) -> bytes:
        pixels, edge = make(), self.tiles.edge
        expected = (tile.height, tile.width, self.channels)
        if pixels.shape != expected or pixels.dtype != self.dtype:
            raise UsageError(
                f"pixels of shape {pixels.shape} and type {pixels.dtype}: "
                f"expected {expected} {self.dtype}"
            )
        if expected[:2] != (edge, edge):
            filled = np.zeros((edge, edge, self.channels), self.dtype)
            filled[: tile.height, : tile.width] = pixels
            pixels = filled
        return self._codec.encode(np.ascontiguousarray(pixels))

    def _append(self, tile: Tile, data: bytes) -> None:
        """Store the bytes of a chunk."""
        index = tile.top // self.tiles.edge * self.tiles.across + tile.left // self.tiles.edge
        with _named(self.folder):
            with self._own.open("ab") as file:
                offset = file.seek(0, os.SEEK_END)
                file.write(data)
            self._new.append((index, offset, len(data), _check(index, offset, data)))
            if time.monotonic() - self._noted >= SECONDS:
                self._note()

    def _note(self) -> None:
        """Say which chunks are done, once they are on the disk."""
        if not self._new:
            return
        with _named(self.folder):
            with self._own.open("rb+") as file:
                os.fsync(file.fileno())
            with self._own.with_suffix(DONE).open("ab") as file:
                file.write(np.array(self._new, NOTE).tobytes())
        for index, *note in self._new:
            self._sound[index] = 0, *note
        self._new.clear()
        self._noted = time.monotonic()

    def _notes(self) -> tuple[NDArray[Any], NDArray[np.uint64]]:
        """What all processes have noted, as run, offset, length and checksum; and of which chunk.

        In the order of the chunks.
        """
        found, which = [np.empty(0, WHERE)], [np.empty(0, "<u8")]
        for log in sorted(self.folder.glob(f"*{DONE}")):
            run = log.with_suffix(CHUNKS)
            if run not in self._runs:
                self._runs.append(run)
            content = log.read_bytes()
            notes = np.frombuffer(content[: len(content) // NOTE.itemsize * NOTE.itemsize], NOTE)
            here = np.empty(len(notes), WHERE)
            here["run"] = self._runs.index(run)
            for name in ("offset", "length", "check"):
                here[name] = notes[name]
            found.append(here)
            which.append(notes["index"])
        order = np.argsort(chunks := np.concatenate(which), kind="stable")
        return np.concatenate(found)[order], chunks[order]

    def _is_sound(self, index: int, note: Any) -> bool:
        """Whether the chunk is where a note says that it is; remembers it."""
        run, offset, length, check = note.tolist()
        path = self._runs[run]
        try:
            whole = offset + length <= path.stat().st_size
            sound = whole and check == _check(index, offset, _bytes_at(path, offset, length))
        except OSError:
            sound = False
        if sound:
            self._sound[index] = run, offset, length, check
        return sound


def _check(index: int, offset: int, data: bytes) -> int:
    """The checksum of a note: of the bytes of a chunk, and of which chunk they are and where."""
    about = np.array([index, offset, len(data)], "<u8").tobytes()
    return zlib.crc32(data, zlib.crc32(about))


def _bytes_at(path: Path, offset: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


@contextmanager
def _named(folder: Path) -> Iterator[None]:
    """A full disk names no file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from None


def in_order(chunks: Chunks) -> Iterator[bytes]:
    """The bytes of all chunks, row by row."""
    return (chunks.encoded(index) for index in range(len(chunks.tiles)))
