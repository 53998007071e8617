"""The objects of a Zarr hierarchy (version 3) by key: documents as constants, chunks as drawn.

    zarr.json           the group: OME-Zarr 0.5, how it was made, the documents of all levels
    0/zarr.json         the array of level 0
    0/c/0/3/5           its chunk of row 3 and column 5: all channels, uncompressed, C order

No package is needed for it; `_store` shows it to zarr-python, and the server to browsers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creps.rendering._tiles import Tile, TilePlan
from creps.rendering.arrays._picture import VirtualPicture
from creps.rendering.output._images import SETTINGS_KEY
from creps.rendering.output._levels import ome

DOCUMENT = "zarr.json"
LITTLE = {"configuration": {"endian": "little"}}
HOW_LEVELS_ARE_MADE = "each level drawn at its own size"

_CHUNK = re.compile(r"(0|[1-9][0-9]{0,5})/c/0/(0|[1-9][0-9]{0,17})/(0|[1-9][0-9]{0,17})")


@dataclass(frozen=True)
class Chunk:
    """A chunk that exists: the pixels of `tile`, within the picture, of `level`."""

    level: int
    tile: Tile


@dataclass(frozen=True, kw_only=True)
class ZarrLayout:
    """What lies under which key, known without a pixel.

    Attributes:
        name: of the picture, in its description.
        sizes: (height, width) of all levels, the full size first.
        channels: 3 for color, 1 for gray.
        chunk: pixels of a chunk's side.
        dtype: uint8 or uint16.
        about: JSON values that say how the picture is made.
    """

    name: str
    sizes: Sequence[tuple[int, int]]
    channels: int
    chunk: int
    dtype: np.dtype[Any]
    about: Mapping[str, Any]

    @cached_property
    def documents(self) -> dict[str, bytes]:
        """The documents by key: of the group, and of each level."""
        count = len(self.sizes)
        arrays = {str(k): self._array(k) for k in range(count)}
        described = ome(
            self.name, count, self.channels, made=HOW_LEVELS_ARE_MADE, most=np.iinfo(self.dtype).max
        )
        group = {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": {SETTINGS_KEY: {"settings": dict(self.about)}, **described},
            "consolidated_metadata": {
                "kind": "inline",
                "must_understand": False,
                "metadata": arrays,
            },
        }
        named = {DOCUMENT: group, **{f"{k}/{DOCUMENT}": each for k, each in arrays.items()}}
        return {key: json.dumps(document).encode() for key, document in named.items()}

    @property
    def chunk_bytes(self) -> int:
        """Bytes of any chunk."""
        return self.channels * self.chunk**2 * self.dtype.itemsize

    def plan(self, level: int) -> TilePlan:
        """The chunks of a level, row by row."""
        return TilePlan(*self.sizes[level], self.chunk)

    def find(self, key: str) -> bytes | Chunk | None:
        """What is there: the bytes of a document, a chunk to be drawn, or nothing."""
        if key in self.documents:
            return self.documents[key]
        match = _CHUNK.fullmatch(key)
        if match is None:
            return None
        level, row, column = map(int, match.groups())
        if level >= len(self.sizes):
            return None
        plan = self.plan(level)
        if row >= plan.down or column >= plan.across:
            return None
        return Chunk(level, plan[row * plan.across + column])

    def _array(self, level: int) -> dict[str, Any]:
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": [self.channels, *self.sizes[level]],
            "data_type": self.dtype.name,
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": [self.channels, self.chunk, self.chunk]},
            },
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": 0,
            "codecs": [{"name": "bytes", **(LITTLE if self.dtype.itemsize > 1 else {})}],
            "attributes": {},
            "dimension_names": ["c", "y", "x"],
            "storage_transformers": [],
        }


def layout_of(picture: VirtualPicture, name: str) -> ZarrLayout:
    """The layout of a picture that is drawn here."""
    return ZarrLayout(
        name=name,
        sizes=picture.sizes,
        channels=picture.channels,
        chunk=picture.chunk,
        dtype=picture.dtype,
        about=picture.about(),
    )


def drawn_chunk(picture: VirtualPicture, chunk: Chunk) -> NDArray[np.uint8]:
    """The bytes of a chunk: (C, chunk, chunk), little-endian, 0 beyond the border."""
    edge, tile = picture.chunk, chunk.tile
    stored = picture.dtype.newbyteorder("<")
    whole = picture.planes(chunk.level, tile).astype(stored, copy=False)
    if (tile.height, tile.width) != (edge, edge):
        whole = np.pad(whole, ((0, 0), (0, edge - tile.height), (0, edge - tile.width)))
    return whole.reshape(-1).view(np.uint8)
