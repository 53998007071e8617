"""PNG, JPEG, WebP and Deep Zoom of pictures of any size, by libvips.

It reads the finished chunks from a TIFF that is made of them. Memory holds some rows of tiles,
whatever the height: Deep Zoom takes about 6 MB for a thousand columns, the flat formats less (but
WebP's encoder holds the picture whole).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pyvips

from creps.errors import DataError
from creps.rendering.output._color import profile
from creps.rendering.output._compression import Compression
from creps.rendering.output._images import (
    DEEP_ZOOM_OVERLAP,
    DEEP_ZOOM_TILE,
    QUALITY,
    exif_of,
    notes_of,
    tiles_folder,
)
from creps.rendering.output._store import Store
from creps.rendering.output._tiff import write_tiff

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""How systems say that a disk is full; libvips passes their words on, not their numbers."""

JPEG = {"Q": QUALITY, "subsample_mode": "off"}
END_OF_JPEG = b"\xff\xd9"
"""Tiles without it did not fit on the disk: of small files libvips (8.18) does not notice."""


def write_flat(store: Store, place: Path, compression: Compression | None) -> None:
    """The picture in the format that the suffix of `place` names."""
    suffix = place.suffix.lower()
    try:
        image = _image(store)
        if suffix == ".dzi":
            _write_deep_zoom(_on_white(image), store, place)
        elif suffix == ".png":
            level = 0 if compression is None else compression.level or 0
            _saved(image, partial(image.pngsave, str(place), compression=level, filter="up"))
        elif suffix == ".webp":
            image = _with_profile(image, 3)  # it has no gray pictures
            _saved(image, partial(image.webpsave, str(place), Q=QUALITY))
        else:
            image = _on_white(image)
            _saved(image, partial(image.jpegsave, str(place), **JPEG))
    except pyvips.Error as error:
        reason = " ".join(str(error).split())
        for code in FULL:
            if os.strerror(code) in reason:
                raise OSError(code, os.strerror(code), str(place)) from None
        raise DataError(f"{place}: libvips failed: {reason}") from None


def _saved(image: pyvips.Image, save: Callable[[], object]) -> None:
    """Save a picture in a thread of its own, which ends if this one is interrupted.

    Within libvips Python does not hear of Ctrl-C, or loses it in a callback.
    """
    image.set_progress(True)  # else images that are made of it on the way would not end with it
    with ThreadPoolExecutor(1) as thread:
        try:
            thread.submit(save).result()
        except KeyboardInterrupt:
            image.set_kill(True)
            raise


def _image(store: Store) -> pyvips.Image:
    """The picture for libvips, read from disk from top to bottom, with its metadata."""
    whole = store.path / "whole.tif"
    write_tiff(store, whole, [store])
    image = pyvips.Image.new_from_file(
        str(whole), access="sequential", fail_on="error", revalidate=True
    )
    # Pixels a millimetre.
    density = {f"{axis}res": dpi / 25.4 for axis in "xy" if (dpi := store.settings.get("dpi"))}
    image = image.copy(**density)
    image = _with_profile(image, store.channels)
    image.set_type(pyvips.GValue.blob_type, "exif-data", exif_of(store.settings).tobytes())
    for number, (keyword, note) in enumerate(notes_of(store.settings).items()):
        with contextlib.suppress(UnicodeEncodeError):  # what these texts cannot say is in the EXIF
            latin = note.encode("latin-1")
            image.set_type(pyvips.GValue.gstr_type, f"png-comment-{number}-{keyword}", latin)
    return image


def _with_profile(image: pyvips.Image, channels: int) -> pyvips.Image:
    """The same picture, which says that its colors are sRGB."""
    image = image.copy()
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile(channels))
    return image


def _on_white(image: pyvips.Image) -> pyvips.Image:
    """A picture without transparency, for formats that have none."""
    return image.flatten(background=255) if image.hasalpha() else image


def _write_deep_zoom(image: pyvips.Image, store: Store, place: Path) -> None:
    """NAME.dzi, and JPEG tiles of all levels in NAME_files; the settings are in a file there."""
    suffix = f".jpg[{','.join(f'{name}={value}' for name, value in JPEG.items())},keep=none]"
    tiles = {"tile_size": DEEP_ZOOM_TILE, "overlap": DEEP_ZOOM_OVERLAP}
    _saved(image, partial(image.dzsave, str(place.with_suffix("")), suffix=suffix, **tiles))
    folder, document = tiles_folder(place), json.dumps(store.settings, indent=2)
    (folder / "vips-properties.xml").unlink(missing_ok=True)  # it has the date: no two are alike
    (folder / "creps.json").write_text(document, encoding="utf-8")
    for tile in folder.rglob("*.jpg"):
        if tile.read_bytes()[-2:] != END_OF_JPEG:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tile))
