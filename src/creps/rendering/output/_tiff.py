"""TIFF: the tiles of a picture and of its smaller levels, a page each.

Levels are pages of the file itself, as all readers see them, and not sub-images of the first page,
which OpenSlide, iipsrv and OpenLayers pass over.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tifffile

from creps.rendering.output._chunks import Chunks, in_order
from creps.rendering.output._color import profile
from creps.rendering.output._images import SOFTWARE, credits_of
from creps.rendering.output._store import Store

COPYRIGHT = 33432
TEXT = 2
"""TIFF's code of a type."""

REDUCED = 1
"""Of a page that is a smaller level of another."""

CLASSIC = 2**32 - 2**24
"""Bytes of the largest file with 32-bit places, less what its directories may take."""
TILE_ENTRY = 16
"""Bytes of a tile's place and length at most."""

NAMES = {"deflate": "ADOBE_DEFLATE", "zstd": "ZSTD", "lzw": "LZW"}


def write_tiff(store: Store, place: Path, levels: Sequence[Chunks]) -> None:
    """Levels, the largest first, as the pages of one file, which is classic below 4 GB.

    The first one has the settings and the credits. A level of half the size has half the pixels an
    inch.
    """
    size = sum(level.nbytes + TILE_ENTRY * len(level.tiles) for level in levels)
    packed = NAMES.get(store.compression.name)
    dpi = store.settings.get("dpi")
    about: dict[str, Any] = {
        "description": json.dumps(store.settings),  # ASCII, as TIFF wants it
        "software": SOFTWARE,
    }
    if credits := credits_of(store.settings):
        # TIFF says ASCII; UTF-8 is what programs write and read there.
        about["extratags"] = [(COPYRIGHT, TEXT, None, credits.encode(), True)]
    with tifffile.TiffWriter(place, bigtiff=size > CLASSIC, byteorder="<") as file:
        for number, level in enumerate(levels):
            file.write(
                in_order(level),
                shape=(level.height, level.width, level.channels)[: 3 if level.channels > 1 else 2],
                dtype=level.dtype.newbyteorder("<"),
                tile=(level.tiles.edge, level.tiles.edge),
                photometric="minisblack" if level.channels < 3 else "rgb",
                planarconfig="contig" if level.channels > 1 else None,
                extrasamples=["unassalpha"] if level.channels == 4 else None,
                compression=packed,
                predictor=packed is not None,
                iccprofile=profile(level.channels),
                resolution=None if dpi is None else (dpi / 2**number, dpi / 2**number),
                resolutionunit=None if dpi is None else "INCH",
                subfiletype=REDUCED if number else 0,
                metadata=None,
                **({"software": False} if number else about),
            )
