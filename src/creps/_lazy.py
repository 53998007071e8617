"""Public names, imported when they are first used (PEP 562): importing a package costs nothing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def attach(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package whose public names live in modules of their own.

    Args:
        package: its `__name__`.
        homes: each public name, and the module it is defined in.
    Example:
        >>> find, names = attach("creps", {"Canvas": "creps.coordinates"})
        >>> find("Canvas").__name__
        'Canvas'
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(homes[name]), name)
        setattr(sys.modules[package], name, value)  # the next use does not come here
        return value

    def names() -> list[str]:
        return sorted({*homes, *vars(sys.modules[package])})

    return find, names
