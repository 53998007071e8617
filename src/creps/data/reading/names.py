"""Files of a set: what an entry is, which names are images, which are passed over."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image

_FOREIGN = frozenset(
    {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
)  # formats that need other programs


@dataclass(frozen=True)
class Entry:
    """A file of a store: its name, its bytes, and a checksum where the store has one."""

    name: str
    size: int
    crc: int | None = None


def is_image_name(name: str) -> bool:
    """Whether a file's name ends like a format that Pillow reads by itself."""
    return posixpath.splitext(name)[1].lower() in _endings()


def visible(name: str) -> bool:
    """False for hidden files and for the shadow files that macOS packs along."""
    parts = name.split("/")
    return "__MACOSX" not in parts and not any(part.startswith(".") for part in parts)


@lru_cache(maxsize=1)
def _endings() -> frozenset[str]:
    """Lower-case file endings."""
    known = Image.registered_extensions()
    return frozenset(e for e, kind in known.items() if kind in Image.OPEN and kind not in _FOREIGN)
