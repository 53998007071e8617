"""Kinds of official files, which are converted: network pickles, and `.pt` files of weights."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import torch

from faults.commands import creps as command
from faults.kinds import Kind, Seed, register
from faults.mutation import damaged

_SETTINGS: dict[str, Any] = {
    "z_dim": 6,
    "c_dim": 0,
    "w_dim": 10,
    "img_resolution": 16,
    "img_channels": 3,
    "channel_base": 192,
    "channel_max": 16,
    "mapping_kwargs": {"num_layers": 2},
}
_CODE = (b"cos\nsystem\n(S'true'\ntR", b"cbuiltins\neval\n(S'1'\ntR", b"cposix\nfork\n)R")
"""What pickles of attackers ask for; harmless, should it run after all."""


def _written(name: str) -> Any:
    """The tests' makers of official files, which know the format without its code."""
    return import_module(f"tests.{name}")


def _pickles(place: Path) -> list[Seed]:
    made, file = _written("official_pickles"), place / "network.pkl"
    tensors = made.official_tensors(widths={4: 16, 8: 16, 16: 12})
    file.write_bytes(made.generator_pickle(tensors, _SETTINGS))
    return [Seed(file, file)]


def _states(place: Path) -> list[Seed]:
    weights = {name: t.float() for name, t in _written("official_cips").state_dict().items()}
    seeds = []
    for zipped in (True, False):
        file = place / f"weights-{zipped}.pt"
        torch.save({"g_ema": weights}, file, _use_new_zipfile_serialization=zipped)
        seeds.append(Seed(file, file))
    return seeds


def _convert(file: Path) -> None:
    command("convert", file, "--out", file.with_suffix(""), "--overwrite")


def _hostile(content: bytes, random: Random) -> bytes:
    """Damage, at times with calls of functions among it."""
    if random.random() < 0.25:
        place = random.randrange(min(len(content), 4096))
        content = content[:place] + random.choice(_CODE) + content[place:]
        return content if random.random() < 0.7 else damaged(content, random)
    return damaged(content, random)


register(Kind(name="pickles", seeds=_pickles, use=_convert, damage=_hostile))
register(Kind(name="pt", seeds=_states, use=_convert, damage=_hostile))
