"""Official files of any known family to generators of ours; nothing in them is run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from creps.checkpoints.numpy_values import unwrapped
from creps.checkpoints.official.cips import CIPS
from creps.checkpoints.official.creps import CREPS
from creps.checkpoints.official.family import OfficialFamily, Tensors
from creps.checkpoints.official.stylegan2 import STYLEGAN2
from creps.checkpoints.official.stylegan3 import ANYRES, STYLEGAN3
from creps.checkpoints.pickles import OfficialModule, read_official
from creps.checkpoints.torch_files import is_torch_file, read_torch_file
from creps.errors import CheckpointError, nearest
from creps.networks.base import Generator

FAMILIES: tuple[OfficialFamily, ...] = (CREPS, STYLEGAN2, STYLEGAN3, ANYRES, CIPS)
"""In the order in which they are asked whether the tensors are theirs."""


WHOLE_FILE = "file"
"""What the record calls the network of a file that is a single state dictionary."""


def convert(path: str | Path, *, which: str = "G_ema") -> tuple[Generator, dict[str, Any]]:
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
    return convert_pickle(path, which=which)


def convert_pickle(path: Path, *, which: str = "G_ema") -> tuple[Generator, dict[str, Any]]:
    """Read an official network pickle without running anything in it.

    Args:
        path: an official `network-snapshot-*.pkl`.
        which: "G_ema", the averaged generator that official scripts draw with, or "G".
    Returns:
        The generator (evaluation mode, CPU, float32) and its record: source and licence note. The
        generator carries the record too, so `save` writes it.
    Raises:
        CheckpointError: if the file is truncated or hostile, or holds no generator `which` of a
            known family.
    """
    path = Path(path)
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
    family = next((known for known in FAMILIES if known.recognises(tensors)), None)
    if family is None:
        known = ", ".join(f.name for f in FAMILIES)
        raise CheckpointError(
            f"{path}: {network} is a {kind} of no known family: "
            f"only generators of {known} can be converted"
        )
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
