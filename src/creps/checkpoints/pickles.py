"""Official network pickles as plain trees of tensors; nothing in them is imported or run.

The official code pickles each module as its source text, class name and `__dict__`. The text is
skipped unread; the modules become `OfficialModule` stand-ins; tensors become views of the file.
`KNOWN` is the complete list of globals such a pickle may name.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from creps.checkpoints.numpy_values import NUMPY, ArrayValue, unwrapped
from creps.checkpoints.opcodes import Known, StandIn, Table, read_pickle
from creps.errors import CheckpointError

MOST_MODULES = 10_000
MOST_TENSORS = 100_000
LONGEST_NAME = 300
LONGEST_LIST = 64
MOST_AXES = 8
"""More than official networks have; they keep a tree that shares its branches from growing wild."""

STORAGE_MAGIC = 0x1950A86A20F9469CFC6C
"""First number of a torch.save stream in the format before zip files."""
STORAGE_PROTOCOL = 1001

STORAGES: Table = {
    ("torch", "FloatStorage"): torch.float32,
    ("torch", "DoubleStorage"): torch.float64,
    ("torch", "HalfStorage"): torch.float16,
    ("torch", "BFloat16Storage"): torch.bfloat16,
    ("torch", "LongStorage"): torch.int64,
    ("torch", "IntStorage"): torch.int32,
    ("torch", "ByteStorage"): torch.uint8,
}


@dataclass
class OfficialModule(StandIn):
    """A module of an official network: its class name and what was in its `__dict__`."""

    class_name: str
    state: Any = None

    @property
    def init_kwargs(self) -> dict[str, Any]:
        """The keyword arguments it was built with."""
        kwargs = self._table("_init_kwargs")
        return dict(kwargs)

    def tensors(self) -> dict[str, Tensor]:
        """Parameters and persistent buffers of the whole tree, named as in a state dictionary.

        Returns:
            Views of the file; copy what is to outlive it.
        Raises:
            CheckpointError: if the tree is no tree of modules and tensors.
        """
        found: dict[str, Tensor] = {}
        for prefix, module in self._modules():
            found.update(module._own_tensors(prefix))
            if len(found) > MOST_TENSORS:
                raise CheckpointError("modules with too many tensors")
        return found

    def attributes(self) -> dict[str, Any]:
        """Plain settings of the modules inside, by dotted names such as "synthesis.b4.up".

        Returns:
            Numbers, words, None, short lists and tuples of them, and read-only NumPy arrays.
            Private attributes, and those of this module itself, are left out.
        Raises:
            CheckpointError: if the tree is no tree of modules.
        """
        found: dict[str, Any] = {}
        for prefix, module in self._modules():
            if not prefix or not isinstance(module.state, dict):
                continue
            for name, value in module.state.items():
                if not name.startswith("_") and _is_plain(value):
                    found[prefix + name] = unwrapped(value)
        return found

    def _modules(self) -> Iterator[tuple[str, OfficialModule]]:
        """Every module of the tree with its prefix: "" for this one, else "path.to.it."."""
        pending = [("", self)]
        for _ in range(MOST_MODULES):
            if not pending:
                return
            prefix, module = pending.pop()
            if len(prefix) > LONGEST_NAME:
                raise CheckpointError("modules nested too deeply")
            yield prefix, module
            for name, child in module._table("_modules").items():
                if child is None:
                    continue
                if not isinstance(child, OfficialModule):
                    raise CheckpointError(f"{prefix}{name} is a {type(child).__name__}, no module")
                pending.append((f"{prefix}{name}.", child))
        raise CheckpointError(f"more than {MOST_MODULES} modules")

    def _own_tensors(self, prefix: str) -> dict[str, Tensor]:
        values = {**self._table("_parameters"), **self._table("_buffers")}
        transient = self.state.get("_non_persistent_buffers_set")
        transient = transient if isinstance(transient, set) else set()
        own = {}
        for name, value in values.items():
            if value is None or name in transient:
                continue
            if not isinstance(value, Tensor):
                raise CheckpointError(f"{prefix}{name} is a {type(value).__name__}, no tensor")
            own[prefix + name] = value
        return own

    def _table(self, name: str) -> dict[str, Any]:
        """A dictionary of the module's state, empty if it has none of that name."""
        if not isinstance(self.state, dict):
            raise CheckpointError(f"module {self.class_name} has no state")
        table = self.state.get(name, {})
        if not isinstance(table, dict):
            raise CheckpointError(f"module {self.class_name}: {name} is no dictionary")
        if not all(key.isprintable() and len(key) <= LONGEST_NAME for key in table):
            raise CheckpointError(f"module {self.class_name}: {name} has unreadable names")
        return table


@dataclass(frozen=True)
class OfficialPickle:
    """What an official network pickle holds.

    Attributes:
        networks: the modules at its top: G, D, G_ema and perhaps others.
        sha256: of the file.
    """

    networks: Mapping[str, OfficialModule]
    sha256: str


def read_official(path: Path) -> OfficialPickle:
    """Read an official network pickle without running anything in it.

    Raises:
        CheckpointError: if the file is missing, truncated, damaged, hostile or something else.
    """
    try:
        data = bytearray(path.read_bytes())
    except (FileNotFoundError, IsADirectoryError):
        raise CheckpointError(
            f"{path}: no such file; expected an official network pickle"
        ) from None
    if data[:2] == b"PK":
        raise CheckpointError(
            f"{path}: a zip file, as torch.save writes; expected a network pickle"
        )
    try:
        tree, _ = read_pickle(memoryview(data), KNOWN)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    networks = tree if isinstance(tree, dict) else {}
    networks = {name: n for name, n in networks.items() if isinstance(n, OfficialModule)}
    if not networks:
        raise CheckpointError(f"{path}: a pickle without networks; expected G, D and G_ema")
    return OfficialPickle(networks, hashlib.sha256(data).hexdigest())


def _module_of(meta: Any) -> OfficialModule:
    """`torch_utils.persistence._reconstruct_persistent_obj`: the source text stays unread."""
    name = meta.get("class_name") if isinstance(meta, dict) else None
    if not isinstance(name, str) or not name.isidentifier() or len(name) > LONGEST_NAME:
        raise CheckpointError("a persistent object without a class name")
    return OfficialModule(name, meta.get("state"))


def _empty_dict() -> dict[str, Any]:
    return {}


def _set_of(names: Any = ()) -> set[str]:
    """`set` of pickle protocols 2 and 3, of the names of buffers."""
    if not isinstance(names, list) or not all(type(name) is str for name in names):
        raise CheckpointError("a set of something other than names")
    return set(names)


def _is_plain(value: Any) -> bool:
    """Whether a setting is a number, a word, an array, or a short list of numbers and words."""
    if isinstance(value, list | tuple):
        return len(value) <= LONGEST_LIST and all(_is_atom(item) for item in value)
    return _is_atom(value) or isinstance(value, ArrayValue)


def _is_atom(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _storage(payload: Any) -> Tensor:
    """`torch.storage._load_from_bytes`: the 1-D tensor in a torch.save stream, without a copy."""
    if not isinstance(payload, memoryview):
        raise CheckpointError("a tensor storage that is no byte string")
    at, head = 0, []
    for _ in range(5):  # magic number, protocol, system, storage, keys
        value, at = read_pickle(payload, STORAGES, start=at, persistent=_storage_type)
        head.append(value)
    magic, protocol, system, description, keys = head
    if magic != STORAGE_MAGIC or protocol != STORAGE_PROTOCOL:
        raise CheckpointError("a tensor storage of an unknown format")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise CheckpointError("a tensor storage that is not little-endian")
    if not isinstance(description, _StorageType) or keys != [description.key]:
        raise CheckpointError("a tensor storage that holds something else")
    count = int.from_bytes(payload[at : at + 8], "little", signed=True)
    values = payload[at + 8 :]
    if count != description.count or count * description.dtype.itemsize != len(values):
        raise CheckpointError(
            f"a tensor storage of {len(values)} bytes that claims {description.count} values"
        )
    if not count:
        return torch.empty(0, dtype=description.dtype)
    return torch.frombuffer(values, dtype=description.dtype)


@dataclass(frozen=True)
class _StorageType:
    """What a torch.save stream says about its storage."""

    dtype: torch.dtype
    key: str
    count: int


def _storage_type(persistent_id: Any) -> _StorageType:
    match persistent_id:
        case ("storage", Known(value=torch.dtype() as dtype), str(key), _, int(count), None):
            return _StorageType(dtype, key, count)
    raise CheckpointError("a tensor storage with an unknown description")


def rebuilt_tensor(
    storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any = False,
    hooks: Any = None, metadata: Any = None,
) -> Tensor:  # fmt: skip
    """`torch._utils._rebuild_tensor` and `_v2`, for sizes that lie within the storage."""
    numbers = (offset, *size, *stride)
    if not isinstance(storage, Tensor) or len(size) > MOST_AXES:
        raise CheckpointError("a tensor without a storage or with too many axes")
    if not all(type(n) is int and 0 <= n < 2**31 for n in numbers):
        raise CheckpointError("a tensor of impossible sizes")
    values = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if not values or values > storage.numel() or last >= storage.numel():
        raise CheckpointError(f"a tensor of shape {size} in a storage of {storage.numel()} values")
    return storage.as_strided(size, stride, offset)


def rebuilt_parameter(data: Any, requires_grad: Any = False, hooks: Any = None) -> Any:
    """`torch._utils._rebuild_parameter`: its data, checked where it is used."""
    return data


def _module_by_reference(class_name: str) -> Any:
    """A class that the pickle names instead of embedding it."""

    def new() -> OfficialModule:
        return OfficialModule(class_name)

    return new


KNOWN: Table = {
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _module_of,
    ("torch._utils", "_rebuild_parameter"): rebuilt_parameter,
    ("torch._utils", "_rebuild_tensor"): rebuilt_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): rebuilt_tensor,
    ("torch.storage", "_load_from_bytes"): _storage,
    ("torch.nn.modules.container", "Sequential"): _module_by_reference("Sequential"),
    ("torch.nn.modules.container", "ModuleList"): _module_by_reference("ModuleList"),
    ("training.networks_creps", "SynthesisInput"): _module_by_reference("SynthesisInput"),
    ("collections", "OrderedDict"): _empty_dict,
    ("dnnlib.util", "EasyDict"): _empty_dict,
    ("builtins", "set"): _set_of,
    ("__builtin__", "set"): _set_of,
    **NUMPY,
}
"""Every global an official network pickle names, and the function that stands in for it."""
