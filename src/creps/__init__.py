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

from typing import TYPE_CHECKING

from creps._lazy import attach

if TYPE_CHECKING:
    from creps.checkpoints import from_pretrained, load, push_to_hub, save, save_pretrained
    from creps.coordinates import AxisGrid, Canvas, PointGrid
    from creps.errors import CrepsError
    from creps.inversion import invert
    from creps.metrics._evaluate import evaluate
    from creps.rendering._renderer import Renderer, render, render_tiles
    from creps.rendering._styles import latents
    from creps.rendering._tiles import Tile
    from creps.rendering._view import View
    from creps.rendering.output._save import save_picture
    from creps.serving._notebook import view
    from creps.training._loop import train
else:  # `creps --help` does not wait for torch
    __getattr__, __dir__ = attach(__name__, __file__)

__version__ = "0.1.0"

__all__ = [
    "AxisGrid",
    "Canvas",
    "CrepsError",
    "PointGrid",
    "Renderer",
    "Tile",
    "View",
    "evaluate",
    "from_pretrained",
    "invert",
    "latents",
    "load",
    "push_to_hub",
    "render",
    "render_tiles",
    "save",
    "save_picture",
    "save_pretrained",
    "train",
    "view",
]
