"""How files are compressed: what each format offers, in words such as "deflate:9"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from creps.errors import UsageError, nearest


@dataclass(frozen=True)
class Compression:
    """A way to compress pixels without loss: its name, and its level where it has levels."""

    name: str
    level: int | None = None

    def __str__(self) -> str:
        return self.name if self.level is None else f"{self.name}:{self.level}"


@dataclass(frozen=True)
class _Levels:
    """What a way offers: levels from `fast` to `small`, and the usual one."""

    fast: int
    small: int
    usual: int


_TIFF: Mapping[str, _Levels | None] = {
    "deflate": _Levels(1, 12, 6),
    "zstd": _Levels(1, 22, 3),
    "lzw": None,
    "none": None,
}
CHOICES: Mapping[str, Mapping[str, _Levels | None]] = {
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".zarr": {"zstd": _Levels(1, 9, 5), "lz4": _Levels(1, 9, 5), "none": None},
    ".png": {"deflate": _Levels(1, 9, 6), "none": None},
}
"""By file suffix, the usual one first; formats that are missing here compress with loss."""


def parse_compression(text: str | None, path: str | Path) -> Compression | None:
    """How the pixels of a file are compressed; None for formats that lose a little.

    Args:
        text: a name and maybe a level: "deflate", "zstd:9"; None: what is usual for the format.
        path: the suffix is the format.
    Raises:
        UsageError: for what the format does not offer.
    Example:
        >>> str(parse_compression("zstd", "a.tif")), str(parse_compression(None, "a.png"))
        ('zstd:3', 'deflate:6')
    """
    suffix = Path(path).suffix.lower()
    choices = CHOICES.get(suffix)
    if choices is None:
        if text is None:
            return None
        raise UsageError(
            f"compression {text!r}: {suffix} is compressed with loss, at quality 95; "
            f"{', '.join(CHOICES)} take a choice"
        )
    words = re.fullmatch(r"\s*([a-z0-9]+)\s*(?::\s*([0-9]{1,3})\s*)?", (text or "").lower())
    name = next(iter(choices)) if text is None else words[1] if words else str(text)
    if name not in choices:
        raise UsageError(f"compression {text!r} of a {suffix}: {nearest(name, choices)}")
    levels = choices[name]
    level = words[2] if words else None
    if levels is None:
        if level is not None:
            raise UsageError(f"compression {text!r}: {name} has no levels")
        return Compression(name)
    if level is not None and not levels.fast <= int(level) <= levels.small:
        raise UsageError(
            f"compression {text!r} of a {suffix}: expected levels from {levels.fast}, fast, to "
            f"{levels.small}, small, such as {name}:{levels.usual}"
        )
    return Compression(name, levels.usual if level is None else int(level))
