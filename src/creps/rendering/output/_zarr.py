"""OME-Zarr 0.5 of the finished chunks: https://ngff.openmicroscopy.org/0.5/"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import zarr
from zarr.codecs import BloscCodec

from creps.rendering.output._chunks import Chunks, in_order
from creps.rendering.output._images import SETTINGS_KEY
from creps.rendering.output._levels import ome
from creps.rendering.output._store import Store


def write_zarr(store: Store, place: Path, levels: Sequence[Chunks]) -> None:
    """A group with an array for each level, the largest first; chunks are stored as they are."""
    edge, channels = store.tiles.edge, store.channels
    settings = {SETTINGS_KEY: {"settings": store.settings}}
    described = ome(
        place.stem,
        len(levels),
        channels,
        dpi=store.settings.get("dpi"),
        most=np.iinfo(store.dtype).max,
    )
    group = zarr.create_group(str(place), attributes={**settings, **described})
    packed = None
    if store.compression.name != "none":
        packed = BloscCodec(
            cname="lz4" if store.compression.name == "lz4" else "zstd",
            clevel=store.compression.level or 0,
            shuffle="shuffle" if store.dtype.itemsize > 1 else "noshuffle",
            typesize=store.dtype.itemsize,
        )
    for number, level in enumerate(levels):
        array = group.create_array(
            str(number),
            shape=(channels, level.height, level.width),
            chunks=(channels, edge, edge),
            dtype=level.dtype,
            fill_value=0,
            compressors=packed,
            chunk_key_encoding={"name": "default", "separator": "/"},
            dimension_names=("c", "y", "x"),
        )
        for index, data in enumerate(in_order(level)):
            key = array.metadata.encode_chunk_key((0, *divmod(index, level.tiles.across)))
            chunk = place / str(number) / key
            chunk.parent.mkdir(parents=True, exist_ok=True)
            chunk.write_bytes(data)
