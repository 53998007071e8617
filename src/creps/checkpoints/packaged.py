"""Models that travel inside the package: `src/creps/models/NAME/`, found by their name."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from creps.errors import CheckpointError, nearest


def packaged_names() -> list[str]:
    """Names of the models inside the package."""
    folder = _folder()
    return sorted(path.parent.name for path in folder.glob("*/model.safetensors"))


def packaged_path(name: str) -> Path:
    """The directory of a packaged model.

    Raises:
        CheckpointError: for an unknown name, with the nearest known ones.
    """
    names = packaged_names()
    if name not in names:
        raise CheckpointError(
            f"no packaged model {name!r}, {nearest(name, names)}; "
            "a path has a slash or ends with .safetensors"
        )
    return _folder() / name


def _folder() -> Path:
    return Path(str(files("creps"))) / "models"
