"""Official files of any known family to generators of ours; nothing in them is run."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from creps.checkpoints._official.cips import CIPS
from creps.checkpoints._official.creps import CREPS
from creps.checkpoints._official.family import OfficialFamily, Tensors
from creps.checkpoints._official.stylegan2 import STYLEGAN2
from creps.checkpoints._official.stylegan3 import ANYRES, STYLEGAN3
from creps.checkpoints.numpy_values import unwrapped
from creps.checkpoints.pickles import OfficialModule, read_official
from creps.checkpoints.torch_files import is_torch_file, read_torch_file
from creps.errors import CheckpointError, nearest
from creps.networks.base import Generator

FAMILIES: tuple[OfficialFamily, ...] = (CREPS, STYLEGAN2, STYLEGAN3, ANYRES, CIPS)
"""In the order in which they are asked whether the tensors are theirs."""


WHOLE_FILE = "file"
"""What the record calls the network of a file that is a single state dictionary."""


def convert(
    path: str | os.PathLike[str], *, which: str = "G_ema"
) -> tuple[Generator, dict[str, Any]]:
    """Read an official file of any kind, told by its content; nothing in it is run.

    Args:
        path: a network pickle (`network-snapshot-*.pkl`); or a torch.save file (`.pt`) of state
            dictionaries: one, or a training checkpoint with `g_ema` and `g`; or a safetensors file
            of a state dictionary with its official names.
        which: "G_ema", the averaged generator, or "G". A single state dictionary is what it is.
    Returns:
        The generator (evaluation mode, CPU, float32) and its record: source and licence note. The
        generator carries the record too, so `save` writes it.
    Raises:
        CheckpointError: if the file is truncated or hostile, or holds no generator `which` of a
            known family.
    """
    path = Path(path)
    if is_torch_file(path):
        return _convert_torch_file(path, which=which)
    if _is_safetensors(path):
        return _convert_safetensors(path)
    return _convert_pickle(path, which=which)


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
    where = Path("state dictionary")
    return _family_of(state_dict, where, "weights").rebuild(state_dict, settings or {}, where)[0]


def _convert_pickle(path: Path, *, which: str) -> tuple[Generator, dict[str, Any]]:
    """`convert` for network pickles."""
    source = read_official(path)
    if which not in source.networks:
        hint = nearest(which, source.networks)
        raise CheckpointError(f"{path}: no network {which!r} in it: {hint}")
    module = source.networks[which]
    try:
        tensors = module.tensors()
        settings = _recorded_settings(module)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {which}: {error}") from None
    return _generator_of(
        tensors, settings, path, sha256=source.sha256, network=which, kind=module.class_name
    )


def _convert_torch_file(path: Path, *, which: str) -> tuple[Generator, dict[str, Any]]:
    """`convert` for torch.save files."""
    source = read_torch_file(path)
    tree = source.tree if isinstance(source.tree, dict) else {}
    networks = {name: value for name, value in tree.items() if isinstance(value, dict)}
    network = {"G_ema": "g_ema", "G": "g"}.get(which, which)
    if any(isinstance(value, Tensor) for value in tree.values()):
        network, tensors = WHOLE_FILE, tree
    elif network in networks:
        tensors = networks[network]
    else:
        hint = nearest(network, [name for name in networks if isinstance(name, str)])
        raise CheckpointError(f"{path}: no network {network!r} in it: {hint}")
    for name, value in tensors.items():
        if not (isinstance(name, str) and isinstance(value, Tensor)):
            raise CheckpointError(
                f"{path}: {network}: {str(name)[:100]!r} is a {type(value).__name__}: expected a "
                "tensor, as state dictionaries hold"
            )
    return _generator_of(
        tensors, {}, path, sha256=source.sha256, network=network, kind="state dictionary"
    )


def _is_safetensors(path: Path) -> bool:
    """Whether a file begins like safetensors: the length of a JSON header, then the header."""
    with path.open("rb") as file:
        head = file.read(9)
    return head[8:] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size


def _convert_safetensors(path: Path) -> tuple[Generator, dict[str, Any]]:
    """`convert` for safetensors files of official state dictionaries."""
    content = path.read_bytes()
    try:
        tensors = load_safetensors(content)
    except SafetensorError as error:
        raise CheckpointError(
            f"{path}: damaged or truncated ({error}): copy or download it again"
        ) from None
    digest = hashlib.sha256(content).hexdigest()
    return _generator_of(
        tensors, {}, path, sha256=digest, network=WHOLE_FILE, kind="state dictionary"
    )


def _generator_of(
    tensors: Tensors, settings: Mapping[str, Any], path: Path,
    *, sha256: str, network: str, kind: str,
) -> tuple[Generator, dict[str, Any]]:  # fmt: skip
    """The generator of official tensors, and the record it carries."""
    family = _family_of(tensors, path, f"{network} is a {kind}")
    generator, dropped = family.rebuild(tensors, settings, path)
    record = {
        "source": {
            "file": path.name,
            "sha256": sha256,
            "network": network,
            "class": kind,
            "dropped": dropped,
        },
        "license": "other",
        "credits": family.licence_note,
    }
    generator.record = record
    return generator, record


def _family_of(tensors: Tensors, where: Path, what: str) -> OfficialFamily:
    for family in FAMILIES:
        if family.recognises(tensors):
            return family
    known = ", ".join(family.name for family in FAMILIES)
    raise CheckpointError(
        f"{where}: {what} of no known family: only generators of {known} can be converted"
    )


def _recorded_settings(module: OfficialModule) -> dict[str, Any]:
    """The settings an official generator was built with, in one flat dictionary.

    Plain attributes of its layers are there too, by dotted names such as "synthesis.b4.conv1.up".
    """
    settings = module.init_kwargs
    for group in ("mapping_kwargs", "synthesis_kwargs"):
        nested = settings.pop(group, {})
        if isinstance(nested, dict):
            settings.update(nested)
    layers = {name: value for name, value in module.attributes().items() if "." in name}
    return layers | {name: unwrapped(value) for name, value in settings.items()}
