"""Official files as plain trees of tensors; nothing in them is imported or run.

Network pickles (`.pkl`) go through Python's unpickler, which here finds only the names in `_KNOWN`:
functions and inert classes of this module. The official code pickles each module as its source
text, class name and `__dict__`; the text is skipped unread. Files of torch.save (`.pt`) go through
`torch.load(weights_only=True)`. Before either, the opcodes are read once, without doing what they
say, and those that plain data has no need for are refused.
"""

from __future__ import annotations

import argparse
import io
import math
import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from creps.errors import CheckpointError

_ZIP_HEAD = b"PK\x03\x04"
_LEGACY_HEAD = b"\x80\x02\x8a\x0a" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
"""First bytes of a torch.save file before torch 1.6: a pickle of the magic number."""

_OPCODES = """
    PROTO FRAME STOP MARK MEMOIZE BINPUT LONG_BINPUT BINGET LONG_BINGET
    NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT
    SHORT_BINUNICODE BINUNICODE BINUNICODE8 SHORT_BINBYTES BINBYTES BINBYTES8 BYTEARRAY8
    EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND APPENDS
    EMPTY_DICT SETITEM SETITEMS EMPTY_SET ADDITEMS
    GLOBAL STACK_GLOBAL REDUCE NEWOBJ BUILD BINPERSID
"""
"""What plain data needs."""
_MOST_TUPLES = 30_000
"""In one pickle: tuples within tuples are hashed by recursion, which has no end but the stack's."""
_MOST_OBJECTS = 2**20
"""Numbers of remembered objects; Python's unpickler makes room for the highest."""
_MOST_MODULES = 10_000
_MOST_TENSORS = 100_000
_LONGEST_NAME = 300
_LONGEST_LIST = 64
_MOST_AXES = 8
"""More than official networks have; they keep a tree that shares its branches from growing wild."""


class OfficialModule:
    """A module of an official network: its class name and what was in its `__dict__`."""

    class_name: str = "module"
    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def tensors(self) -> dict[str, Tensor]:
        """Parameters and persistent buffers of the whole tree, named as in a state dictionary."""
        found: dict[str, Tensor] = {}
        for prefix, module in self._modules():
            found.update(module._own_tensors(prefix))
            if len(found) > _MOST_TENSORS:
                raise CheckpointError("modules with too many tensors")
        return found

    def settings(self) -> dict[str, Any]:
        """What it was built with, in one flat dictionary.

        Plain attributes of the modules inside are included, by dotted names such as
        "synthesis.b4.conv1.up": numbers, words, None, and short lists of them.
        """
        kwargs = dict(self._table("_init_kwargs"))
        for group in ("mapping_kwargs", "synthesis_kwargs"):
            nested = kwargs.pop(group, {})
            if isinstance(nested, dict):
                kwargs.update(nested)
        attributes = {
            prefix + name: value
            for prefix, module in self._modules()
            if prefix and isinstance(module.state, dict)
            for name, value in module.state.items()
            if isinstance(name, str) and not name.startswith("_") and _is_plain(value)
        }
        return attributes | kwargs

    def _modules(self) -> Iterator[tuple[str, OfficialModule]]:
        """Every module of the tree with its prefix: "" for this one, else "path.to.it."."""
        pending = [("", self)]
        for _ in range(_MOST_MODULES):
            if not pending:
                return
            prefix, module = pending.pop()
            if len(prefix) > _LONGEST_NAME:
                raise CheckpointError("modules nested too deeply")
            yield prefix, module
            for name, child in module._table("_modules").items():
                if child is None:
                    continue
                if not isinstance(child, OfficialModule):
                    raise CheckpointError(f"{prefix}{name} is a {type(child).__name__}, no module")
                pending.append((f"{prefix}{name}.", child))
        raise CheckpointError(f"more than {_MOST_MODULES} modules")

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
        table = self.state.get(name, {}) if isinstance(self.state, dict) else None
        if not isinstance(table, dict):
            raise CheckpointError(f"module {self.class_name} without a dictionary {name}")
        for key in table:
            if not (isinstance(key, str) and key.isprintable() and len(key) <= _LONGEST_NAME):
                raise CheckpointError(f"module {self.class_name}: {name} has unreadable names")
        return table


def is_torch_file(head: bytes) -> bool:
    """Whether the first bytes of a file are those that torch.save begins its files with."""
    return head.startswith((_ZIP_HEAD, _LEGACY_HEAD))


def read_networks(file: IO[bytes]) -> dict[str, OfficialModule]:
    """The modules at the top of an official network pickle: G, D, G_ema and perhaps others.

    A CheckpointError if the file is truncated, damaged, hostile or something else.
    """
    tree = read_tree(file)
    networks = {
        name: network
        for name, network in (tree if isinstance(tree, dict) else {}).items()
        if isinstance(name, str) and isinstance(network, OfficialModule)
    }
    if not networks:
        raise CheckpointError("a pickle without networks; expected G, D and G_ema")
    return networks


def read_tree(file: IO[bytes]) -> Any:
    """What a pickle holds, with stand-ins for what is not plain data."""
    with _one_line():
        if file.read(1) != pickle.PROTO:
            raise CheckpointError("not a pickle of protocol 2 to 5")
        file.seek(0)
        _check_opcodes(file)
        file.seek(0)
        return _Unpickler(file).load()


def read_torch_file(file: IO[bytes]) -> Any:
    """What torch.save wrote to a file: dictionaries, lists, tuples, numbers, words and tensors.

    A CheckpointError if it is truncated, damaged, hostile or something else.
    """
    if torch.__version__ < "2.6":  # compares as versions do
        raise CheckpointError("torch 2.6 or newer is needed: older ones may run what a file holds")
    with _one_line():
        zipped = file.read(len(_ZIP_HEAD)) == _ZIP_HEAD
        file.seek(0)
        if zipped:
            with zipfile.ZipFile(file) as archive:
                _check_archive(archive)
        else:  # before torch 1.6: five pickles, then the storages
            for _ in range(5):
                _check_opcodes(file)
        file.seek(0)
        with torch.serialization.safe_globals([argparse.Namespace]):
            # Without mmap, as torch then compares the sizes of storages.
            return torch.load(file, map_location="cpu", weights_only=True)


@contextmanager
def _one_line() -> Iterator[None]:
    """Whatever a file makes of its readers is one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch says of protocols and storages
            yield
    except CheckpointError:
        raise
    except Exception as error:  # of zipfile, pickle, torch or the system
        # torch's advice is many lines, and to load the file all the same.
        refused = re.search(r"GLOBAL (\S+) w", str(error))
        raise CheckpointError(
            _refused_global(refused[1])
            if refused
            else f"damaged or truncated ({type(error).__name__}): copy or download it again"
        ) from None


def _refused_global(name: str) -> str:
    shown = name if len(name) <= 100 else name[:100] + "..."
    return (
        f"refused global {shown!r}: official networks have no use for it, so the file may be "
        "hostile; nothing in it was run"
    )


def _check_opcodes(file: IO[bytes]) -> None:
    """Read one pickle, do nothing of it, and refuse what plain data has no need for."""
    known, tuples = set(_OPCODES.split()), 0
    for opcode, argument, position in pickletools.genops(file):
        if opcode.name not in known:
            raise CheckpointError(f"refused pickle opcode {opcode.name} at byte {position}")
        tuples += opcode.name.startswith("TUPLE")
        if tuples > _MOST_TUPLES:
            raise CheckpointError(f"a pickle of more than {_MOST_TUPLES} tuples")
        if opcode.name == "LONG_BINPUT" and (argument or 0) >= _MOST_OBJECTS:
            raise CheckpointError(f"a pickle of more than {_MOST_OBJECTS} objects")


def _check_archive(archive: zipfile.ZipFile) -> None:
    """Refuse a zip file that torch.save did not write: nothing in it may unpack to more."""
    for entry in archive.infolist():
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise CheckpointError(f"zip entry {entry.filename[:100]!r} is packed or encrypted")
    damaged = archive.testzip()
    if damaged is not None:
        raise CheckpointError(f"zip entry {damaged[:100]!r} is damaged: copy or download it again")
    names = [name for name in archive.namelist() if re.fullmatch(r"[^/]+/data\.pkl", name)]
    if len(names) != 1:
        raise CheckpointError("a zip file, but not one of torch.save: expected one data.pkl in it")
    _check_opcodes(io.BytesIO(archive.read(names[0])))


class _Part(OfficialModule):
    """Stands for an object of a class that is not imported, whatever it was made with."""

    def __init__(self, *_arguments: Any) -> None:
        pass


class _Unpickler(pickle.Unpickler):
    """Python's unpickler, for which there is nothing but `_KNOWN`."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        if module.startswith("dnnlib.tflib"):
            raise CheckpointError(
                "a network of TensorFlow: turn it into one of PyTorch first, with legacy.py of "
                "the official stylegan2-ada-pytorch"
            )
        if module.startswith(_PARTS_OF_NETWORKS) and name.isidentifier():
            # Such as the frozen features of a discriminator: their place is kept, and whoever
            # asks for that network is told what it is.
            shown = f"{module}.{name}"[:_LONGEST_NAME]
            return type("_NamedPart", (_Part,), {"class_name": shown})
        raise CheckpointError(_refused_global(f"{module}.{name}"))


class _Function:
    """A function that a pickle may call, and not change."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise CheckpointError("refused state for a function")


def _module_of(meta: Any) -> OfficialModule:
    """`torch_utils.persistence._reconstruct_persistent_obj`: the source text stays unread."""
    name = meta.get("class_name") if isinstance(meta, dict) else None
    if not isinstance(name, str) or not name.isidentifier() or len(name) > _LONGEST_NAME:
        raise CheckpointError("a persistent object without a class name")
    module = OfficialModule()
    module.class_name, module.state = name, meta.get("state")
    return module


def _set_of(names: Any = ()) -> set[str]:
    """`set` of pickle protocols 2 and 3, of the names of buffers."""
    if not isinstance(names, list) or not all(type(name) is str for name in names):
        raise CheckpointError("a set of something other than names")
    return set(names)


def _is_plain(value: Any) -> bool:
    """Whether a setting is a number, a word, or a short list of numbers and words."""
    if isinstance(value, list | tuple):
        return len(value) <= _LONGEST_LIST and all(_is_atom(item) for item in value)
    return _is_atom(value)


def _is_atom(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _storage(payload: Any) -> Tensor:
    """`torch.storage._load_from_bytes`: the values in a torch.save stream, a 1-D tensor."""
    if not isinstance(payload, bytes) or not payload.startswith(_LEGACY_HEAD):
        raise CheckpointError("a tensor storage of an unknown format")
    storage = read_torch_file(io.BytesIO(payload))
    if not isinstance(storage, torch.storage.TypedStorage):
        raise CheckpointError("a tensor storage that holds something else")
    values = torch.empty(0, dtype=storage.dtype).set_(storage)
    if values.nbytes > len(payload):
        raise CheckpointError(f"a tensor storage that claims {values.numel()} values")
    return values


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_rest: Any) -> Tensor:
    """`torch._utils._rebuild_tensor` and `_v2`: sizes beyond the storage are refused by torch."""
    if not isinstance(storage, Tensor) or not isinstance(size, tuple) or len(size) > _MOST_AXES:
        raise CheckpointError("a tensor without a storage or with too many axes")
    tensor = storage.as_strided(size, stride, offset)
    if math.prod(size) > storage.numel():
        raise CheckpointError(f"a tensor of shape {size} in a storage of {storage.numel()} values")
    return tensor


class _Array:
    """A NumPy array, which no official network needs: it stays unread."""

    def __init__(self, *_arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class _Type:
    """`numpy.dtype` of a pickle: a code, whose byte order comes as its state."""

    def __init__(self, code: Any, *_arguments: Any) -> None:
        self.code, self.order = code, "|"

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "=", "|"):
            self.order = state[1]


def _scalar(kind: Any, data: Any) -> Any:
    """`numpy.core.multiarray.scalar`: a Python number."""
    if not isinstance(kind, _Type) or not re.fullmatch(r"b1|f[248]|[iu][1248]", str(kind.code)):
        raise CheckpointError("a NumPy value that is not a plain number")
    (number,) = np.frombuffer(data, np.dtype(kind.code).newbyteorder(kind.order))
    return number.item()


_PARTS_OF_NETWORKS = ("torch.nn.modules.", "torchvision.models.", "timm.", "pg_modules.")
"""Packages whose classes stand in pickles beside the generator: nothing of them is imported."""

_KNOWN: Mapping[tuple[str, str], Any] = {
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _Function(_module_of),
    ("torch._utils", "_rebuild_parameter"): _Function(lambda data, *_rest: data),
    ("torch._utils", "_rebuild_tensor"): _Function(_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): _Function(_tensor),
    ("torch.storage", "_load_from_bytes"): _Function(_storage),
    ("torch.nn.modules.container", "Sequential"): OfficialModule,
    ("torch.nn.modules.container", "ModuleList"): OfficialModule,
    ("training.networks_creps", "SynthesisInput"): OfficialModule,
    ("collections", "OrderedDict"): dict,
    ("dnnlib.util", "EasyDict"): dict,
    ("builtins", "set"): _Function(_set_of),
    ("__builtin__", "set"): _Function(_set_of),
    ("numpy", "dtype"): _Function(_Type),
    ("numpy", "ndarray"): _Array,
    **{
        (f"numpy.{core}.{module}", name): _Function(function)
        for core in ("core", "_core")  # of NumPy 1 and 2
        for module, name, function in (
            ("multiarray", "scalar", _scalar),
            ("multiarray", "_reconstruct", _Array),
            ("numeric", "_frombuffer", _Array),
        )
    },
}
"""Every global an official network pickle names, and what stands in for it.

A pickle may set attributes of whatever it has. Those of functions and of `dict` cannot be set, and
the classes have a `__setstate__`, which is what Python calls instead.
"""
