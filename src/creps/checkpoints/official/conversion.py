"""Official files of any known family to generators of ours; nothing in them is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from creps.checkpoints.official.creps import CREPS
from creps.checkpoints.official.family import OfficialFamily
from creps.checkpoints.pickles import OfficialModule, read_official
from creps.errors import CheckpointError, nearest
from creps.networks.base import Generator

FAMILIES: tuple[OfficialFamily, ...] = (CREPS,)
"""In the order in which they are asked whether the tensors are theirs."""


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
    family = next((known for known in FAMILIES if known.recognises(tensors)), None)
    if family is None:
        known = ", ".join(f.name for f in FAMILIES)
        raise CheckpointError(
            f"{path}: {which} is a {module.class_name} of no known family: "
            f"only generators of {known} can be converted"
        )
    generator, dropped = family.rebuild(tensors, settings, path)
    record = {
        "source": {
            "file": path.name,
            "sha256": source.sha256,
            "network": which,
            "class": module.class_name,
            "dropped": dropped,
        },
        "license": "other",
        "credits": family.licence_note,
    }
    generator.record = record
    return generator, record


def _recorded_settings(module: OfficialModule) -> dict[str, Any]:
    """The settings an official generator was built with, in one flat dictionary."""
    settings = module.init_kwargs
    for group in ("mapping_kwargs", "synthesis_kwargs"):
        nested = settings.pop(group, {})
        if isinstance(nested, dict):
            settings.update(nested)
    return settings
