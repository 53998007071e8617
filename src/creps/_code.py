"""Which source computed something: keys of caches hold it, so that changed code starts anew."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from creps import __version__

_PACKAGE = Path(__file__).parent


@cache
def code_id(*rooms: str) -> str:
    """An identifier of the source of some rooms, for keys of caches and for pinned addresses.

    Args:
        rooms: packages or modules of creps, such as "networks" or "metrics._spectra".
    Returns:
        16 hexadecimal digits, equal where the sources are; the version of the package where it is
        installed without sources.
    Raises:
        ValueError: for a room that does not exist.
    Example:
        >>> code_id("networks", "rendering") == code_id("rendering", "networks")
        True
    """
    if not (_PACKAGE / "_code.py").exists():
        return __version__
    digest = hashlib.sha256()
    for room in sorted(set(rooms)):
        place = _PACKAGE.joinpath(*room.split("."))
        modules = sorted(place.rglob("*.py")) or [place.with_suffix(".py")]
        if not modules[0].exists():
            raise ValueError(f"creps.{room}: no such package or module")
        for module in modules:
            text = _read(module)
            digest.update(f"{module.relative_to(_PACKAGE).as_posix()} {len(text)}\n".encode())
            digest.update(text)
    return digest.hexdigest()[:16]


def _read(module: Path) -> bytes:
    return module.read_bytes()
