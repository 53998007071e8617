"""Snapshots: the whole state of a run in a file, restored bit for bit."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Set
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from creps.checkpoints import write_tensors
from creps.errors import CheckpointError, CrepsError
from creps.training._state import TrainState

SNAPSHOTS_KEPT = 2
"""Older snapshots are removed once a newer one is complete."""
YOUNGER_NAMES = frozenset({"augment_strength", "augment_signs"})
"""Tensors that snapshots of earlier versions lack: they keep their fresh values."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def save_snapshot(state: TrainState, folder: Path) -> Path:
    """Write the state to `folder`, atomically, and remove all but the newest snapshots.

    Raises:
        CrepsError: if the disk is full; earlier snapshots stay.
    """
    path = folder / f"step-{state.step:09d}.safetensors"
    tensors = {name: tensor.cpu() for name, tensor in state.tensors()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_tensors(path, tensors)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise CrepsError(_no_space(path, tensors)) from None
    for old in snapshots(folder)[:-SNAPSHOTS_KEPT]:
        old.unlink(missing_ok=True)
    return path


def restore_snapshot(state: TrainState, path: Path) -> None:
    """Put the snapshot at `path` into `state`, built from the same configuration.

    Raises:
        CheckpointError: if the file is damaged or belongs to other networks.
    """
    tensors = read_snapshot(path)
    state.allocate_moments(tensors)
    own = dict(state.tensors())
    wrong = [
        name
        for name in {*own, *tensors} - (YOUNGER_NAMES - set(tensors))
        if name not in own or name not in tensors or own[name].shape != tensors[name].shape
    ]
    if wrong:
        raise CheckpointError(f"snapshot {path} is of other networks: {sorted(wrong)[0]} differs")
    copy_tensors(state, tensors, names=set(tensors))
    state.step = int(tensors["step"])


def snapshots(folder: Path) -> list[Path]:
    """Complete snapshots in a folder, oldest first."""
    return sorted(folder.glob("step-*.safetensors"))


def read_snapshot(path: Path) -> dict[str, Tensor]:
    """The tensors of a snapshot by name.

    Raises:
        CheckpointError: if the file cannot be read.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"snapshot {path} cannot be read ({error}): delete it") from None


@torch.no_grad()
def copy_tensors(state: TrainState, tensors: Mapping[str, Tensor], *, names: Set[str]) -> None:
    """Put the named tensors into the state."""
    for name, tensor in state.tensors():
        if name in names:
            tensor.copy_(tensors[name])


def _no_space(path: Path, tensors: Mapping[str, Tensor]) -> str:
    megabytes = sum(t.numel() * t.element_size() for t in tensors.values()) / 1e6
    kept = snapshots(path.parent)
    stays = f"{kept[-1].name} stays" if kept else "nothing was saved yet"
    return (
        f"no space for {path.name} ({megabytes:.0f} MB) in {path.parent}; {stays}: "
        "make room and give the same command"
    )
