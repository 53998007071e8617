"""Official files of any known family to generators of ours; nothing in them is run."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from creps.checkpoints._official.cips import CIPS
from creps.checkpoints._official.creps import CREPS
from creps.checkpoints._official.family import OfficialFamily, Tensors
from creps.checkpoints._official.stylegan2 import STYLEGAN2
from creps.checkpoints._official.stylegan3 import ANYRES, STYLEGAN3
from creps.checkpoints._store import naming
from creps.checkpoints._unpickle import (
    is_torch_file,
    read_networks,
    read_torch_file,
)
from creps.errors import CheckpointError, nearest
from creps.networks.base import Generator

_FAMILIES: tuple[OfficialFamily, ...] = (CREPS, STYLEGAN2, STYLEGAN3, ANYRES, CIPS)
"""In the order in which they are asked whether the tensors are theirs."""


_WHOLE_FILE = "file"
"""What the record calls the network of a file that is a single state dictionary."""


def convert(
    path: str | os.PathLike[str], *, which: str = "G_ema"
) -> tuple[Generator, dict[str, Any]]:
    """Read an official file, its kind detected by content; nothing in it is run.

    Args:
        path: a network pickle (`network-snapshot-*.pkl`); or a torch.save file (`.pt`) of state
            dictionaries: one, or a training checkpoint with `g_ema` and `g`; or a safetensors file
            of a state dictionary with its official names.
        which: "G_ema", the averaged generator, or "G". A single state dictionary is what it is.
    Returns:
        The generator (evaluation mode, CPU, float32) and its record: source and license note. The
        generator carries the record too, so `save` writes it.
    Raises:
        CheckpointError: if the file is truncated or hostile, or holds no generator `which` of a
            known family.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; expected an official pickle or a .pt file")
    with naming(path):
        network, kind, tensors, settings = _read(path, which)
        _refuse_strange(tensors, path.stat().st_size)
        family = _family_of(tensors, f"{network} is a {kind}")
        generator, dropped = family.rebuild(tensors, settings)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    record = {
        "source": {
            "file": path.name,
            "sha256": sha256,
            "network": network,
            "class": kind,
            "dropped": dropped,
        },
        "license": "other",
        "credits": family.license_note,
    }
    generator.record = record
    return generator, record


def from_state_dict(
    state_dict: Mapping[str, Tensor], settings: Mapping[str, Any] | None = None
) -> Generator:
    """The generator of an official state dictionary, of any family that `convert` knows.

    Args:
        state_dict: official names to tensors; layers that never run may be there or not.
        settings: what the official network was built with, by official names; where they are
            silent, the shapes and the official defaults count. CIPS has one of ours:
            `embedding_nodes`, "centers" to draw what the official code draws, "corners" to draw
            what it trained (pictures at the natural size then take each embedding as it is).
    Returns:
        in evaluation mode, on the CPU, float32.
    Raises:
        CheckpointError: if names, shapes or settings are not those of a known family.
    """
    with naming("state dictionary"):
        return _family_of(state_dict, "weights").rebuild(state_dict, settings or {})[0]


def _read(path: Path, which: str) -> tuple[str, str, Tensors, Mapping[str, Any]]:
    """The name of a network in a file, what it is, its tensors and its settings."""
    with path.open("rb") as file:
        head = file.read(512)
        file.seek(0)
        if is_torch_file(head):
            network, tensors = _state_dict_in(read_torch_file(file), which)
        elif head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
            network, tensors = _WHOLE_FILE, load_file(path)
        else:
            _refuse_other_kinds(head)
            networks = read_networks(file)
            network = _name_of(which, networks)
            module = networks[network]
            with naming(network):
                return network, module.class_name, module.tensors(), module.settings()
    return network, "state dictionary", _without_wrappers(tensors), {}


_OTHER_KINDS: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL | re.IGNORECASE), words)
    for pattern, words in (
        (rb"$", "an empty file: download it again"),
        (rb"\s*<(!doctype|html|head|body|\?xml)", "a web page, perhaps of a host that asks to "
         "confirm or says that its quota is used up: open the address in a browser, and download "
         "the file itself"),
        (rb"version https://git-lfs", "a Git LFS pointer, which stands for the file: fetch the "
         "file itself with git lfs pull"),
        (rb"\x1f\x8b", "packed with gzip: unpack it first with gunzip"),
        (rb"BZh|\xfd7zXZ|7z\xbc\xaf|\x28\xb5\x2f\xfd|Rar!", "packed: unpack it first"),
        (rb".{257}ustar", "a tar archive: unpack it first"),
        (rb"\x89HDF", "an HDF5 file, as Keras writes them: expected a model of PyTorch"),
    )
)  # fmt: skip
"""What people take for a model, by the first bytes of the file, and what to do about it."""


def _refuse_other_kinds(head: bytes) -> None:
    """Name a file that is no model for what it is."""
    for pattern, words in _OTHER_KINDS:
        if pattern.match(head):
            raise CheckpointError(f"it is {words}")


def _name_of(which: str, networks: Iterable[Any]) -> str:
    """What a file calls the network that is meant: upper and lower case are the same."""
    names = [name for name in networks if isinstance(name, str)]
    alike = [name for name in names if name.lower() == which.lower()]
    if not alike:
        raise CheckpointError(f"no network {which!r} in it: {nearest(which, names)}")
    return which if which in alike else alike[0]


def _without_wrappers(tensors: Tensors) -> Tensors:
    """Names without what data-parallel training and torch.compile put before all of them."""
    for prefix in ("module.", "_orig_mod.") * 2:
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def _state_dict_in(tree: Any, which: str) -> tuple[str, dict[str, Tensor]]:
    """The state dictionary in a torch.save file, and its name there."""
    tree = tree if isinstance(tree, dict) else {}
    networks = {name: value for name, value in tree.items() if isinstance(value, dict)}
    if any(isinstance(value, Tensor) for value in tree.values()):
        network, tensors = _WHOLE_FILE, tree
    else:
        network = _name_of(which, networks)
        tensors = networks[network]
    for name, value in tensors.items():
        if not (isinstance(name, str) and isinstance(value, Tensor)):
            raise CheckpointError(
                f"{network}: {str(name)[:100]!r} is a {type(value).__name__}: expected a "
                "tensor, as state dictionaries hold"
            )
    return network, tensors


def _refuse_strange(tensors: Tensors, file_bytes: int) -> None:
    """Refuse tensors that are not plain numbers, or more of them than the file can hold.

    Views may show the same bytes any number of times, and each would be copied.
    """
    for name, tensor in tensors.items():
        plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
        if not plain or tensor.is_quantized or 0 in tensor.shape:
            raise CheckpointError(f"tensor {name[:100]!r} does not hold plain numbers")
    size = sum(math.prod(tensor.shape) * tensor.element_size() for tensor in tensors.values())
    if size > file_bytes:
        raise CheckpointError(f"tensors of {size} bytes: more than the file has")


def _family_of(tensors: Tensors, what: str) -> OfficialFamily:
    for family in _FAMILIES:
        if family.recognizes(tensors):
            return family
    known = ", ".join(family.name for family in _FAMILIES)
    raise CheckpointError(f"{what} of no known family: only generators of {known} can be converted")
