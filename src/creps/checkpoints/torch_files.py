"""Files that torch.save wrote (`.pt`), as plain trees of tensors; nothing in them is run.

Since torch 1.6 they are zip files: a pickle, and each storage as an entry beside it. Before, they
were five pickles and then the storages. Both pickles go through `opcodes`, whose machine can only
reach the functions of `KNOWN`; tensors become views of the file.
"""

from __future__ import annotations

import hashlib
import io
import mmap
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from creps.checkpoints.numpy_values import NUMPY
from creps.checkpoints.opcodes import Known, StandIn, Table, read_pickle
from creps.checkpoints.pickles import (
    STORAGE_MAGIC,
    STORAGE_PROTOCOL,
    STORAGES,
    rebuilt_parameter,
    rebuilt_tensor,
)
from creps.errors import CheckpointError

ZIP_HEAD = b"PK\x03\x04"
LEGACY_HEAD = b"\x80\x02\x8a\x0a" + STORAGE_MAGIC.to_bytes(10, "little")
"""First bytes of a torch.save file before torch 1.6: a pickle of the magic number."""
LOCAL_HEADER = 30
"""Bytes of a zip entry's header before its name."""


@dataclass(frozen=True)
class TorchFile:
    """What a torch.save file holds.

    Attributes:
        tree: dictionaries, lists, tuples, numbers, words, and tensors that are views of the file.
        sha256: of the file.
    """

    tree: Any
    sha256: str


class Ignored(StandIn):
    """Something that no converter needs, such as a command's arguments."""


def is_torch_file(path: Path) -> bool:
    """Whether a file begins as torch.save begins its files.

    Raises:
        CheckpointError: if there is no such file.
    """
    try:
        with path.open("rb") as file:
            head = file.read(len(LEGACY_HEAD))
    except (FileNotFoundError, IsADirectoryError):
        raise CheckpointError(
            f"{path}: no such file; expected an official network pickle or a .pt file"
        ) from None
    return head.startswith(ZIP_HEAD) or head == LEGACY_HEAD


def read_torch_file(path: Path) -> TorchFile:
    """Read a torch.save file without running anything in it.

    Args:
        path: a file for which `is_torch_file` is true.
    Raises:
        CheckpointError: if it is truncated, damaged, hostile or something else.
    """
    with path.open("rb") as file:
        # Copy on write: torch wants writable memory, and the file must stay as it is.
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    view = memoryview(data)
    try:
        tree = _from_zip(view) if view[:4] == ZIP_HEAD else _from_legacy(view)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    return TorchFile(tree, hashlib.sha256(view).hexdigest())


@dataclass(frozen=True)
class _Storage:
    """What a persistent id says of a storage."""

    dtype: torch.dtype
    key: str
    count: int


@dataclass
class _Storages:
    """Makes storages of persistent ids, each once.

    Attributes:
        bytes_of: the bytes of a storage's description.
        limit: bytes that all together may have: no honest file has one byte in two storages.
    """

    bytes_of: Callable[[_Storage], memoryview]
    limit: int
    made: dict[str, Tensor] = field(default_factory=dict)

    def __call__(self, persistent_id: Any) -> Tensor:
        storage = _described(persistent_id)
        if storage.key not in self.made:
            self.made[storage.key] = self._make(storage)
        values = self.made[storage.key]
        if values.dtype != storage.dtype:
            raise CheckpointError(f"tensor storage {storage.key!r} of two types")
        return values

    def _make(self, storage: _Storage) -> Tensor:
        values = self.bytes_of(storage)
        self.limit -= len(values)
        if storage.count * storage.dtype.itemsize != len(values) or self.limit < 0:
            raise CheckpointError(
                f"a tensor storage of {len(values)} bytes that claims {storage.count} values"
            )
        if not storage.count:
            return torch.empty(0, dtype=storage.dtype)
        return torch.frombuffer(values, dtype=storage.dtype)


def _described(persistent_id: Any) -> _Storage:
    match persistent_id:
        case ("storage", Known(value=torch.dtype() as dtype), str(key), str(), int(count), *rest):
            if count >= 0 and rest in ([], [None]):
                return _Storage(dtype, key, count)
    raise CheckpointError("a tensor storage with an unknown description")


def _from_zip(data: memoryview) -> Any:
    """The tree of a file since torch 1.6."""
    try:
        with zipfile.ZipFile(_Reader(data)) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise CheckpointError(
            f"damaged or truncated ({error}): copy or download it again"
        ) from None
    pickles = [name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise CheckpointError("a zip file, but not one of torch.save: expected one data.pkl in it")
    folder = pickles[0].removesuffix("data.pkl")
    order = entries.get(folder + "byteorder")
    if order is not None and bytes(_content(data, order)) != b"little":
        raise CheckpointError("tensor storages that are not little-endian")

    def bytes_of(storage: _Storage) -> memoryview:
        name = f"{folder}data/{storage.key}"
        if name not in entries:
            raise CheckpointError(f"tensor storage {storage.key!r} is missing")
        return _content(data, entries[name])

    tree, _ = read_pickle(
        _content(data, entries[pickles[0]]),
        KNOWN,
        persistent=_Storages(bytes_of, len(data)),
        state_dicts=True,
    )
    return tree


class _Reader(io.RawIOBase):
    """A file over memory, without a copy of it."""

    def __init__(self, data: memoryview) -> None:
        self._data, self._at = data, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = (0, self._at, len(self._data))[whence]
        if start + offset < 0:
            raise ValueError("a place before the file's beginning")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        stop = len(self._data) if size is None or size < 0 else self._at + size
        part = bytes(self._data[self._at : stop])
        self._at += len(part)
        return part


def _content(data: memoryview, entry: zipfile.ZipInfo) -> memoryview:
    """The bytes of an entry that is stored as it is: nothing is unpacked, so nothing can swell."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
        raise CheckpointError(f"zip entry {entry.filename[:100]!r} is packed or encrypted")
    header = data[entry.header_offset :][:LOCAL_HEADER]
    lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    content = data[entry.header_offset + LOCAL_HEADER + lengths :][: entry.file_size]
    if len(content) != entry.file_size or zlib.crc32(content) != entry.CRC:
        raise CheckpointError(
            f"zip entry {entry.filename[:100]!r} is damaged: copy or download the file again"
        )
    return content


def _from_legacy(data: memoryview) -> Any:
    """The tree of a file before torch 1.6.

    The storages follow the pickle that names them, so it is read twice: first to learn which there
    are and where it ends, then with the storages.
    """
    at, head = 0, []
    for _ in range(3):  # magic number, protocol, system
        if at == len(data):
            raise CheckpointError(f"truncated: ends after {at} bytes: copy or download it again")
        value, at = read_pickle(data, {}, start=at)
        head.append(value)
    magic, protocol, system = head
    if magic != STORAGE_MAGIC or protocol != STORAGE_PROTOCOL:
        raise CheckpointError("a torch.save file of an unknown format")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise CheckpointError("tensor storages that are not little-endian")
    begin = at
    named: dict[str, _Storage] = {}

    def learn(persistent_id: Any) -> None:
        storage = _described(persistent_id)
        named[storage.key] = storage

    blank: Table = {**KNOWN, **dict.fromkeys(TENSORS, _nothing)}
    _, at = read_pickle(data, blank, start=at, persistent=learn, state_dicts=True)
    keys, at = read_pickle(data, {}, start=at)
    contents = _legacy_contents(data, keys, named, at)

    def bytes_of(storage: _Storage) -> memoryview:
        if storage.key not in contents:
            raise CheckpointError(f"tensor storage {storage.key!r} is missing")
        return contents[storage.key]

    storages = _Storages(bytes_of, len(data))
    tree, _ = read_pickle(data, KNOWN, start=begin, persistent=storages, state_dicts=True)
    return tree


def _legacy_contents(
    data: memoryview, keys: Any, named: Mapping[str, _Storage], at: int
) -> dict[str, memoryview]:
    """The storages from byte `at` on, in the order of their keys: a count each, then the values."""
    if not isinstance(keys, list) or not all(type(key) is str and key in named for key in keys):
        raise CheckpointError("tensor storages that no tensor names")
    contents = {}
    for key in keys:
        storage = named[key]
        size = storage.count * storage.dtype.itemsize
        claimed = int.from_bytes(data[at : at + 8], "little", signed=True)
        contents[key] = data[at + 8 : at + 8 + size]
        if claimed != storage.count or len(contents[key]) != size:
            raise CheckpointError(
                f"tensor storage {key!r} is damaged or truncated: copy or download the file again"
            )
        at += 8 + size
    return contents


def _nothing(*arguments: Any) -> None:
    """Stands in for a tensor whose storage has not been read yet."""


def _ignored(*arguments: Any) -> Ignored:
    return Ignored()


def _empty_dict(*arguments: Any) -> dict[str, Any]:
    if arguments:
        raise CheckpointError("a dictionary with arguments")
    return {}


TENSORS: Table = {
    ("torch._utils", "_rebuild_tensor"): rebuilt_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): rebuilt_tensor,
    ("torch._utils", "_rebuild_parameter"): rebuilt_parameter,
}
KNOWN: Table = {
    **STORAGES,
    **TENSORS,
    **NUMPY,
    ("torch", "BoolStorage"): torch.uint8,
    ("torch", "CharStorage"): torch.int8,
    ("torch", "ShortStorage"): torch.int16,
    ("collections", "OrderedDict"): _empty_dict,
    ("argparse", "Namespace"): _ignored,
    ("torch", "Size"): _ignored,
    ("torch", "device"): _ignored,
}
"""Every global that a checkpoint of weights and optimizers names, and what stands in for it."""
