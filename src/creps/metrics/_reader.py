"""The portrait reader: a small network that reads drawn portraits, and a judge made of it.

It was trained here, by `reproduce/judge/training.py`, on nothing but drawn portraits: to say which
drawing each part is, colors and places, and how much the picture was blurred, reduced, bent, mixed
with another or made noisy. What training by ImageNet features can please does not please it.
Shapes: B pictures, D width of the features.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from creps.data.portraits._truth import COLORED, DRAWINGS, PLACED

SIDE = 128
"""Pixels a side that it reads: smaller pictures are enlarged to that, larger ones reduced."""
HIDDEN = 192
"""Activations before its heads."""
WIDTH = HIDDEN + 1
"""Of the features: the direction of the activations, and their length."""

# The directions of real portraits differ about seven times as much as the lengths.
_DIRECTION, _LENGTH = 10.0, 0.16

DAMAGES = ("reduced", "blurred", "noisy", "mixed", "bent")
"""How a picture was damaged in training, a number each: it must be seen in the features."""

WEIGHTS = Path(__file__).parent / "reader" / "model.safetensors"
RECORD = Path(__file__).parent / "reader" / "record.json"

_CHANNELS = (24, 48, 96, 144)
_CELLS, _CELL_CHANNELS = 4, 48


class PortraitReader(nn.Module):
    """A convolutional network of 8 layers; its features come before the linear heads."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = _CHANNELS
        self.trunk = nn.Sequential(
            nn.PixelUnshuffle(2),  # (B, 12, 64, 64)
            _layer(12, a),
            _layer(a, b, stride=2),
            _layer(b, b),
            _layer(b, c, stride=2),
            _layer(c, c),
            _layer(c, d, stride=2),
            _layer(d, d),  # (B, d, 8, 8)
            _layer(d, _CELL_CHANNELS, side=1),
            nn.AdaptiveAvgPool2d(_CELLS),
            nn.Flatten(),
            nn.Linear(_CELL_CHANNELS * _CELLS**2, HIDDEN),
            nn.SiLU(),
        )
        self.drawings = nn.ModuleDict(
            {part: nn.Linear(HIDDEN, len(names)) for part, names in DRAWINGS.items()}
        )
        self.mirrored = nn.Linear(HIDDEN, 1)
        self.colors = nn.Linear(HIDDEN, 3 * len(COLORED))
        self.places = nn.Linear(HIDDEN, 4 * len(PLACED))
        self.damages = nn.Linear(HIDDEN, len(DAMAGES))

    def hidden(self, pictures: Tensor) -> Tensor:
        """(B, HIDDEN) activations before the heads, of (B, 3, SIDE, SIDE) pictures in [-1, 1]."""
        return self.trunk(pictures)

    def chances(self, hidden: Tensor) -> dict[str, Tensor]:
        """For each part (B, number of its drawings): how probable each is; rows sum up to 1."""
        return {part: head(hidden).softmax(1) for part, head in self.drawings.items()}


def _layer(before: int, after: int, *, stride: int = 1, side: int = 3) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(before, after, side, stride, side // 2, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


def features_of(hidden: Tensor) -> Tensor:
    """(B, WIDTH) features of (B, HIDDEN) activations: their direction, and apart their length.

    Activations of what cannot be read are short: as they are, they would lie in the middle of those
    of real portraits, and pass for the most typical ones.
    """
    length = hidden.norm(dim=1, keepdim=True).clamp(min=1e-6)
    return torch.cat([_DIRECTION * hidden / length, _LENGTH * length], dim=1)


def hidden_of(features: Tensor) -> Tensor:
    """The activations of features: what `features_of` was given."""
    return features[:, :HIDDEN] / _DIRECTION * features[:, HIDDEN:] / _LENGTH


def seen(pictures: Tensor) -> Tensor:
    """(B, 1 or 3, H, W) in [0, 255] as the reader takes them: (B, 3, SIDE, SIDE) in [-1, 1]."""
    x = pictures.expand(-1, 3, -1, -1).float()
    if x.shape[2:] != (SIDE, SIDE):
        x = F.interpolate(x, size=(SIDE, SIDE), mode="bicubic", antialias=True).clamp(0, 255)
    return x / 127.5 - 1


@cache
def portrait_reader() -> PortraitReader:
    """The packaged reader on the CPU, loaded once a process."""
    reader = PortraitReader()
    reader.load_state_dict({name: value.float() for name, value in load_file(WEIGHTS).items()})
    return reader.eval().requires_grad_(False)


@cache
def reader_record() -> Mapping[str, Any]:
    """How the packaged reader was trained, how often it is right, and when it is sure."""
    record: Mapping[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return record


@cache
def reader_id() -> str:
    """SHA-256 of its weights file."""
    return hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
