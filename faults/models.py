"""Kinds of model files: ours, their config and record, styles, and those of official programs."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import torch

import creps
from creps.checkpoints import save
from creps.networks.base import Generator, build_generator
from creps.rendering._styles import METADATA_KEY, save_styles
from faults.commands import creps as command
from faults.kinds import Kind, Seed, register
from faults.mutation import damaged, twisted

_SMALL: dict[str, dict[str, Any]] = {
    "creps": {
        "resolution": 16,
        "channel_max": 8,
        "z_dim": 6,
        "w_dim": 5,
        "mapping_layers": 2,
        "thickness": 2,
        "line_channels": 4,
        "decoder_widths": (6,),
        "refinement_widths": (5, 3),
    },
    "cips": {"resolution": 16, "z_dim": 6, "w_dim": 5, "mapping_layers": 2},
}
RECORD = {
    "training": {"resolution": 16, "steps": 3, "images": 12, "data": {"name": "x", "count": 10}},
    "classes": ["a", "b"],
    "credits": "whoever",
    "license": "CC0-1.0",
}
HEADER = "__metadata__"


@cache
def small_model(family: str = "creps") -> Generator:
    """An untrained network of a family, the same at every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return build_generator(family, _SMALL[family])


def _models(place: Path) -> list[Seed]:
    seeds = []
    for family in _SMALL:
        file = place / f"{family}.safetensors"
        save(small_model(family), file, record=RECORD)
        seeds.append(Seed(file, file))
    return seeds


def _configs(place: Path) -> list[Seed]:
    seeds = []
    for family in _SMALL:
        folder = place / family
        save(small_model(family), folder, record=RECORD)
        seeds.append(Seed(folder / "config.json", folder))
        weights = folder / "model.safetensors"
        weights.write_bytes(_without_document(weights.read_bytes()))
    return seeds


def _without_document(content: bytes) -> bytes:
    """A weights file as of a program that keeps the config beside it alone."""

    def emptied(header: bytes) -> bytes:
        return json.dumps({k: v for k, v in json.loads(header).items() if k != HEADER}).encode()

    return with_header(content, emptied)


def _look_at(model: Path) -> None:
    """What a person does with a model: look at it, draw a picture of it."""
    command("info", model)
    creps.render(creps.load(model), seed=3, size=8, label=_label(model))


def _label(model: Path) -> int | None:
    return 0 if getattr(creps.load(model).config, "label_dim", 0) else None


def with_header(content: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """A safetensors file with another header."""
    (length,) = struct.unpack("<Q", content[:8])
    header = change(content[8 : 8 + length])
    return struct.pack("<Q", len(header)) + header + content[8 + length :]


def _damaged_tensors(content: bytes, random: Random) -> bytes:
    """Damage anywhere, or a header with strange values."""
    if random.random() < 0.5:
        return damaged(content, random)
    return with_header(content, lambda header: twisted(header, random))


def _twisted_document(name: str) -> Callable[[bytes, Random], bytes]:
    """Strange values in the document that a safetensors file carries under a name."""

    def change(content: bytes, random: Random) -> bytes:
        def within(header: bytes) -> bytes:
            known = json.loads(header)
            document = twisted(known[HEADER][name].encode(), random)
            known[HEADER][name] = document.decode("utf-8", "replace")
            return json.dumps(known).encode()

        return with_header(content, within)

    return change


def _styles(place: Path) -> list[Seed]:
    model, file = small_model(), place / "styles.safetensors"
    shape = 1, model.num_styles, model.mapping.average.shape[-1]
    values = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    save_styles(file, values, record={"model": "x", "picture": {"size": [3, 4], "name": "a.png"}})
    save(model, place / "model")
    return [Seed(file, file)]


def _draw_styles(file: Path) -> None:
    creps.render(small_model(), styles=str(file), size=8)


def _style_damage(content: bytes, random: Random) -> bytes:
    damage = random.choice((_damaged_tensors, _twisted_document(METADATA_KEY)))
    return damage(content, random)


register(Kind(name="safetensors", seeds=_models, use=_look_at, damage=_damaged_tensors))
register(Kind(name="config", seeds=_configs, use=_look_at, damage=twisted))
register(Kind(name="records", seeds=_models, use=_look_at, damage=_twisted_document("creps")))
register(Kind(name="styles", seeds=_styles, use=_draw_styles, damage=_style_damage))
