"""napari opens pictures: an address, `napari creps://portraits?seed=7&size=1048576`, or a sample.

Called by napari alone, as `napari.yaml` says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from creps.rendering.arrays._address import open_address
from creps.rendering.arrays._picture import CHUNK, VirtualLevel, VirtualPicture

Layer = tuple[Any, dict[str, Any], str]

PORTRAIT = "creps://portraits?seed=7&size=1048576"


def reader_of(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], list[Layer]] | None:
    """What reads addresses of pictures; None for other paths."""
    paths = [path] if isinstance(path, str) else list(path)
    if not paths or not all(str(each).startswith("creps:") for each in paths):
        return None
    return read


def read(path: str | Sequence[str]) -> list[Layer]:
    """A layer for each address: all levels, of which napari draws what is seen."""
    paths = [path] if isinstance(path, str) else list(path)
    return [_layer(*open_address(str(each), chunk=CHUNK)) for each in paths]


def portrait() -> list[Layer]:
    """The sample: a portrait of a million pixels a side."""
    return read(PORTRAIT)


def _layer(name: str, picture: VirtualPicture) -> Layer:
    color = picture.channels == 3
    levels = [VirtualLevel(picture, k, axes="yxc" if color else "yx") for k in range(len(picture))]
    many = len(levels) > 1
    about = {"name": name, "rgb": color, "multiscale": many, "metadata": picture.about()}
    if not color:
        about["contrast_limits"] = (0, 255)
    return levels if many else levels[0], about, "image"
