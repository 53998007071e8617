"""The objects of a Zarr hierarchy (version 3) by key: documents as constants, chunks as drawn.

    zarr.json           the group: OME-Zarr 0.5, how it was made, the documents of all levels
    0/zarr.json         the array of level 0
    0/c/0/3/5           its chunk of row 3 and column 5: all channels, uncompressed, C order

No package is needed for it; `_store` shows it to zarr-python, and the server to browsers.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from creps.rendering.arrays._picture import VirtualPicture
from creps.rendering.output._images import SETTINGS_KEY
from creps.rendering.output._levels import ome

DOCUMENT = "zarr.json"
HOW_LEVELS_ARE_MADE = "each level drawn at its own size"

_CHUNK = re.compile(r"(0|[1-9][0-9]{0,5})/c/0/(0|[1-9][0-9]{0,17})/(0|[1-9][0-9]{0,17})")


@dataclass(frozen=True)
class Chunk:
    """A chunk that exists: of `level`, in `row` and `column` of its chunks."""

    level: int
    row: int
    column: int


class ZarrObjects:
    """What lies under which key of a picture.

    Args:
        picture: whose objects they are.
        name: of the picture, in its description.
    """

    def __init__(self, picture: VirtualPicture, name: str) -> None:
        self.picture, self.name = picture, name

    @cached_property
    def documents(self) -> dict[str, bytes]:
        """The documents by key: of the group, and of each level."""
        picture = self.picture
        arrays = {str(k): self._array(k) for k in range(len(picture))}
        described = ome(self.name, len(picture), picture.channels, made=HOW_LEVELS_ARE_MADE)
        group = {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": {SETTINGS_KEY: {"settings": picture.about()}, **described},
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
        return self.picture.channels * self.picture.chunk**2

    def find(self, key: str) -> bytes | Chunk | None:
        """What is there: the bytes of a document, a chunk to be drawn, or nothing."""
        if key in self.documents:
            return self.documents[key]
        match = _CHUNK.fullmatch(key)
        if match is None:
            return None
        level, row, column = map(int, match.groups())
        if level >= len(self.picture):
            return None
        plan = self.picture.plan(level)
        return Chunk(level, row, column) if row < plan.down and column < plan.across else None

    def draw(self, chunk: Chunk) -> bytes:
        """The bytes of a chunk: (C, chunk, chunk) uint8, 0 beyond the border of the picture."""
        picture, edge = self.picture, self.picture.chunk
        plan = picture.plan(chunk.level)
        tile = plan[chunk.row * plan.across + chunk.column]
        pixels = picture.pixels(chunk.level, tile).transpose(2, 0, 1)
        if (tile.height, tile.width) == (edge, edge):
            return pixels.tobytes()
        whole = np.zeros((picture.channels, edge, edge), np.uint8)
        whole[:, : tile.height, : tile.width] = pixels
        return whole.tobytes()

    def _array(self, level: int) -> dict[str, Any]:
        picture = self.picture
        edge, channels = picture.chunk, picture.channels
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": [channels, *picture.sizes[level]],
            "data_type": "uint8",
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": [channels, edge, edge]},
            },
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": 0,
            "codecs": [{"name": "bytes"}],
            "attributes": {},
            "dimension_names": ["c", "y", "x"],
            "storage_transformers": [],
        }
