"""A virtual Zarr store: a picture's chunks are drawn when zarr-python reads them.

Imported only where the package zarr is installed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray
from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype

from creps.errors import UsageError
from creps.rendering.arrays._objects import drawn_chunk, layout_of
from creps.rendering.arrays._picture import VirtualPicture

Content = TypeVar("Content", bytes, NDArray[np.uint8])


class PictureStore(Store):
    """The objects of a picture (`_objects`), for reading alone.

    Args:
        picture: whose chunks are drawn, each time they are read.
        name: of the picture, in its description.
    Raises:
        UsageError: for every attempt to write.
    """

    supports_writes = False
    supports_deletes = False
    supports_listing = True

    def __init__(self, picture: VirtualPicture, name: str) -> None:
        super().__init__(read_only=True)
        self._picture, self._layout = picture, layout_of(picture, name)

    def with_read_only(self, read_only: bool = False) -> Store:
        if not read_only:
            self._refuse()
        return self

    def __eq__(self, value: object) -> bool:
        return isinstance(value, PictureStore) and (
            self is value or self._layout.documents == value._layout.documents
        )

    def __hash__(self) -> int:
        return hash(self._layout.documents["zarr.json"])

    def __str__(self) -> str:
        return f"creps://{self._layout.name}"

    def __repr__(self) -> str:
        return f"PictureStore({str(self)!r})"

    def __reduce__(self) -> Any:
        return PictureStore, (self._picture, self._layout.name)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        found = self._layout.find(key)
        if found is None:
            return None
        if isinstance(found, bytes):
            return prototype.buffer.from_bytes(_part_of(found, byte_range))
        chunk = await asyncio.to_thread(drawn_chunk, self._picture, found)
        return prototype.buffer.from_array_like(_part_of(chunk, byte_range))

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def exists(self, key: str) -> bool:
        return self._layout.find(key) is not None

    async def getsize(self, key: str) -> int:
        found = self._layout.find(key)
        if found is None:
            raise FileNotFoundError(key)
        return len(found) if isinstance(found, bytes) else self._layout.chunk_bytes

    async def list(self) -> AsyncIterator[str]:
        for key in self._layout.documents:
            yield key
        for level in range(len(self._layout.sizes)):
            plan = self._layout.plan(level)
            for index in range(len(plan)):
                row, column = divmod(index, plan.across)
                yield f"{level}/c/0/{row}/{column}"

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        async for key in self.list():
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        words = prefix.strip("/").split("/")
        if words == [""]:
            names = ["zarr.json", *map(str, range(len(self._layout.sizes)))]
        elif f"{words[0]}/zarr.json" not in self._layout.documents:
            names = []
        else:
            plan = self._layout.plan(int(words[0]))
            inside = {1: ["zarr.json", "c"], 2: ["0"], 3: range(plan.down), 4: range(plan.across)}
            fits = words[1:3] == ["c", "0"][: len(words) - 1]
            known = fits and (len(words) < 4 or words[3] in map(str, range(plan.down)))
            names = [str(each) for each in inside.get(len(words), [])] if known else []
        for name in names:
            yield name

    async def set(self, key: str, value: Buffer) -> None:
        self._refuse()

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        self._refuse()

    async def delete(self, key: str) -> None:
        self._refuse()

    async def delete_dir(self, prefix: str) -> None:
        self._refuse()

    def _check_writable(self) -> None:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise UsageError(
            f"{self} is drawn when it is read and cannot be written: copy what you want to change, "
            "such as group['0'][:, :512, :512]"
        )


def _part_of(content: Content, wanted: ByteRequest | None) -> Content:
    """The bytes of a range."""
    if isinstance(wanted, RangeByteRequest):
        return content[wanted.start : wanted.end]
    if isinstance(wanted, OffsetByteRequest):
        return content[wanted.offset :]
    if isinstance(wanted, SuffixByteRequest):
        return content[max(len(content) - wanted.suffix, 0) :]
    return content
