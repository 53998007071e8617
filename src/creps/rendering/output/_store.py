"""An unfinished picture on disk: its finished chunks, and what picture it is.

The folder NAME.part next to the picture NAME holds `picture.json`, which says what picture it is,
and the chunks (`_chunks`). Machines may share the work through any file system they have in common.
"""

from __future__ import annotations

import errno
import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from creps._files import discard, exclusive, replacing, write_atomically
from creps._json import parse_json
from creps.errors import UsageError
from creps.rendering._tiles import TilePlan
from creps.rendering.output._chunks import CHECKED, Chunks, Codec, TiffTiles, ZarrChunks
from creps.rendering.output._compression import Compression
from creps.rendering.output._images import UNFINISHED, refuse_other_settings

PATIENCE = 60.0
"""Seconds to wait for another process that clears the same store away."""

PASSING = Compression("deflate", 1)
"""Of chunks that are only kept until libvips makes a file of them: not zstd, which the libvips of
pyvips-binary 8.18.7 reads as black (findings/libvips-zstd-tiff.sh)."""

AT_BEST = 1000
"""How many times smaller pixels become: deflate's own limit, which no real picture reaches."""


class Store(Chunks):
    """A picture on disk, new or resumed; a different one is refused, or overwritten.

    Args:
        path: its folder.
        height, width, channels, dtype: of the picture.
        settings: what picture it is.
        chunk: pixels of a chunk's side.
        suffix: of the file that it becomes, whose tiles or chunks its own are.
        compression: of them; None where they only pass.
        overwrite: discard a different picture.
    """

    def __init__(
        self,
        path: Path,
        *,
        height: int,
        width: int,
        channels: int,
        settings: Mapping[str, Any],
        chunk: int,
        dtype: Any = np.uint8,
        suffix: str = ".tif",
        compression: Compression | None = None,
        overwrite: bool = False,
    ) -> None:
        self.path, self.settings, self.suffix = path, dict(settings), suffix
        self.compression = PASSING if compression is None else compression
        kind, tiles = np.dtype(dtype), TilePlan(height, width, chunk)
        about = {
            "settings": self.settings,
            "pixels": [height, width, channels],
            "chunk": chunk,
            "depth": 8 * kind.itemsize,
            "compression": str(self.compression),
            "check": CHECKED,
        }
        identity = json.loads(json.dumps(about))
        if overwrite and path.exists() and _identity(path) != identity:
            with exclusive(path, wait=PATIENCE) as ours:
                if not ours:
                    raise UsageError(f"{path} is in use by another process: wait or stop it")
                # Unless another process was faster, or it is a folder of somebody's own.
                if path.exists() and _identity(path) != identity and _is_unfinished(path):
                    discard(path)
        if not path.exists():
            count = math.prod((tiles.down, tiles.across, chunk, chunk, channels, kind.itemsize))
            certain = 1 if self.compression.name == "none" else AT_BEST
            _create(path, identity, count=count // certain)
        found = _identity(path)
        if found is None:
            raise UsageError(f"{path} is not an unfinished picture: move it away")
        refuse_other_settings(
            path, *({**each.pop("settings"), **each} for each in (found, identity))
        )
        super().__init__(
            path, tiles, channels=channels, dtype=kind, codec=self._codec_of(chunk, channels, kind)
        )

    def level(self, number: int, height: int, width: int) -> Chunks:
        """An empty level of this size, kept as the picture is."""
        folder = self.path / "levels" / str(number)
        discard(folder)
        folder.mkdir(parents=True)
        tiles = TilePlan(height, width, self.tiles.edge)
        kept = {"channels": self.channels, "dtype": self.dtype, "codec": self._codec}
        return Chunks(folder, tiles, **kept)

    def _codec_of(self, chunk: int, channels: int, dtype: np.dtype[Any]) -> Codec:
        """What makes bytes of chunks."""
        kind = ZarrChunks if self.suffix == ".zarr" else TiffTiles
        return kind((chunk, chunk, channels), dtype, self.compression)


def _identity(path: Path) -> dict[str, Any] | None:
    """What picture a folder holds; None if it is not one of ours."""
    try:
        identity = parse_json((path / UNFINISHED).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return identity if isinstance(identity.get("settings"), dict) else None


def _is_unfinished(path: Path) -> bool:
    """Whether this was the folder of a picture, however damaged; a file or an empty one too."""
    return not path.is_dir() or (path / UNFINISHED).exists() or not any(path.iterdir())


def _create(path: Path, identity: dict[str, Any], *, count: int) -> None:
    """Create an empty store, if `count` bytes are free; safe against others doing the same."""
    free = shutil.disk_usage(path.parent).free
    if count > free:
        raise OSError(
            errno.ENOSPC,
            f"{count / 1e6:,.1f} MB of pixels do not fit in the {free / 1e6:,.1f} MB that are free",
            str(path),
        )
    try:
        with replacing(path) as temporary:
            temporary.mkdir()
            write_atomically(temporary / UNFINISHED, json.dumps(identity).encode())
    except OSError:
        if _identity(path) is None:
            raise  # else another process was faster, with the same picture or one to refuse
