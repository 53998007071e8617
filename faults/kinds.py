"""What can be damaged: for each kind of file, valid ones of our own, and what reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from random import Random

from creps.errors import UsageError, nearest
from faults.mutation import damaged

MODULES = ("faults.models", "faults.official", "faults.runs", "faults.sets")
"""Where kinds are registered."""


@dataclass(frozen=True)
class Seed:
    """A valid file, alone or among others.

    Attributes:
        file: the one that is damaged.
        given: what the program is given: the file itself, or the folder or file that leads to it.
    """

    file: Path
    given: Path


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of file that strangers may hand over.

    Attributes:
        name: of the command line.
        seeds: makes valid ones in an empty folder.
        use: reads what is given, as the program does; a CrepsError or OSError refuses it, anything
            else that is raised is a fault.
        damage: the content and random numbers to another content.
    """

    name: str
    seeds: Callable[[Path], Sequence[Seed]]
    use: Callable[[Path], object]
    damage: Callable[[bytes, Random], bytes] = damaged


_KINDS: dict[str, Kind] = {}


def register(kind: Kind) -> Kind:
    """Add a kind to those of the command line."""
    _KINDS[kind.name] = kind
    return kind


def kinds() -> dict[str, Kind]:
    """All kinds, by name."""
    for module in MODULES:
        import_module(module)
    return dict(_KINDS)


def kind_named(name: str) -> Kind:
    """A kind; a UsageError for an unknown one."""
    known = kinds()
    if name not in known:
        raise UsageError(f"unknown kind {name!r}: {nearest(name, known)}")
    return known[name]
