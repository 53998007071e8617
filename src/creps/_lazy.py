"""Public names, imported when they are first used (PEP 562): importing a package costs nothing."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def attach(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package whose public names live in modules of their own.

    What they are, and where, is read from the imports that the package makes for type checkers:
    `if TYPE_CHECKING: from creps.coordinates import Canvas`.

    Args:
        package: its `__name__`.
        file: its `__file__`.
    Example:
        >>> import creps
        >>> find, names = attach("creps", creps.__file__)
        >>> find("Canvas").__name__
        'Canvas'
    """
    tree = ast.parse(Path(file).read_text("utf-8"))
    homes = {
        alias.name: node.module or ""
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(homes[name]), name)
        setattr(sys.modules[package], name, value)  # the next use does not come here
        return value

    def names() -> list[str]:
        return sorted({*homes, *vars(sys.modules[package])})

    return find, names
