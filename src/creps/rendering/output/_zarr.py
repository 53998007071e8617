"""OME-Zarr 0.5 of pictures, finished or filled in place: https://ngff.openmicroscopy.org/0.5/

Imported only where the package zarr is installed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.abc.codec import BytesBytesCodec
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.storage import StoreLike

from creps.rendering.output._compression import Compression
from creps.rendering.output._images import SETTINGS_KEY
from creps.rendering.output._levels import ome

if TYPE_CHECKING:
    from creps.rendering.output._chunks import Chunks
    from creps.rendering.output._store import Store


def write_zarr(store: Store, place: Path, levels: Sequence[Chunks]) -> None:
    """A group with an array for each level, the largest first; chunks are stored as they are."""
    from creps.rendering.output._chunks import in_order

    group = create_group(
        str(place),
        place.stem,
        levels=len(levels),
        channels=store.channels,
        settings=store.settings,
        dtype=store.dtype,
    )
    for number, level in enumerate(levels):
        array = create_level(
            group,
            number,
            (store.channels, level.height, level.width),
            chunk=store.tiles.edge,
            dtype=level.dtype,
            compression=store.compression,
        )
        for index, data in enumerate(in_order(level)):
            key = array.metadata.encode_chunk_key((0, *divmod(index, level.tiles.across)))
            chunk = place / str(number) / key
            chunk.parent.mkdir(parents=True, exist_ok=True)
            chunk.write_bytes(data)


def create_group(
    place: StoreLike,
    name: str,
    *,
    levels: int,
    channels: int,
    settings: Mapping[str, Any],
    dtype: np.dtype[Any],
) -> zarr.Group:
    """The group of a picture: it says how the picture was made, and what its arrays are."""
    made = {SETTINGS_KEY: {"settings": dict(settings)}}
    most = np.iinfo(dtype).max
    described = ome(name, levels, channels, dpi=settings.get("dpi"), most=most)
    return zarr.create_group(place, attributes={**made, **described}, zarr_format=3)


def create_level(
    group: zarr.Group,
    number: int,
    shape: tuple[int, int, int],
    *,
    chunk: int,
    dtype: np.dtype[Any],
    compression: Compression,
) -> zarr.Array[Any]:
    """The array of a level, of axes (c, y, x); nothing is in it."""
    packed: list[BytesBytesCodec] = [Crc32cCodec()]
    if compression.name != "none":
        blosc = BloscCodec(
            cname="lz4" if compression.name == "lz4" else "zstd",
            clevel=compression.level or 0,
            shuffle="shuffle" if dtype.itemsize > 1 else "noshuffle",
            typesize=dtype.itemsize,
        )
        packed.insert(0, blosc)
    return group.create_array(
        str(number),
        shape=shape,
        chunks=(shape[0], chunk, chunk),
        dtype=dtype,
        fill_value=0,
        compressors=packed,
        chunk_key_encoding={"name": "default", "separator": "/"},
        dimension_names=("c", "y", "x"),
    )
