"""creps: any-scale image synthesis.

One trained generator maps a latent and continuous coordinates to colour, so the same picture can be
rendered at 256 px or 16,384 px, zoomed or windowed, with the same details.

    >>> import creps
    >>> g = creps.load("portraits")
    >>> picture = creps.render(g, seed=7, size=(768, 1024))
    >>> picture.shape
    (768, 1024, 3)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from creps.checkpoints.hub import from_pretrained, push_to_hub, save_pretrained
    from creps.checkpoints.native import load, save
    from creps.coordinates import AxisGrid, Canvas, PointGrid
    from creps.errors import CrepsError
    from creps.rendering.latents import latents
    from creps.rendering.renderer import Renderer, render, render_tiles
    from creps.rendering.tiles import Tile
    from creps.serving.notebook import view

__version__ = "0.1.0"

_HOMES = {
    "AxisGrid": "creps.coordinates",
    "Canvas": "creps.coordinates",
    "CrepsError": "creps.errors",
    "PointGrid": "creps.coordinates",
    "Renderer": "creps.rendering.renderer",
    "Tile": "creps.rendering.tiles",
    "from_pretrained": "creps.checkpoints.hub",
    "latents": "creps.rendering.latents",
    "load": "creps.checkpoints.native",
    "push_to_hub": "creps.checkpoints.hub",
    "render": "creps.rendering.renderer",
    "render_tiles": "creps.rendering.renderer",
    "save": "creps.checkpoints.native",
    "save_pretrained": "creps.checkpoints.hub",
    "view": "creps.serving.notebook",
}
"""Public names and the modules they live in; a name's module is imported when it is first used,
so that `creps --help` does not wait for torch."""

__all__ = [
    "AxisGrid",
    "Canvas",
    "CrepsError",
    "PointGrid",
    "Renderer",
    "Tile",
    "from_pretrained",
    "latents",
    "load",
    "push_to_hub",
    "render",
    "render_tiles",
    "save",
    "save_pretrained",
    "view",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'creps' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
