"""What a page is told there is to see, and models that pages draw by themselves."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from creps import __version__
from creps.checkpoints import save
from creps.errors import UnsupportedError
from creps.networks.base import Generator
from creps.networks.creps import CrepsConfig
from creps.serving._iiif import TURN_COST
from creps.serving._models import ServedModel
from creps.serving._picture_routes import HIGHEST_LEVEL, LOWEST_LEVEL
from creps.serving._settings import Limits

LIVE_LIMITS = Limits(pixels=2**24, side=8192, job_pixels=0)
"""Of files that a page draws by itself: they are held in the browser's memory."""


def offer(
    models: Mapping[str, ServedModel],
    *,
    size: int,
    limits: Limits,
    weights: Mapping[str, str],
    formats: tuple[str, ...] = (),
    draws: bool = True,
) -> dict[str, Any]:
    """The document that a page begins with.

    Args:
        models: by their names in addresses.
        size: declared pixels of a picture's side.
        limits: of what is drawn for it.
        weights: addresses of the models' files, of those that the page may draw by itself.
        formats: of background jobs; none: there are no jobs.
        draws: whether there is a server that draws.
    """
    described = [
        {**model.describe(size=size), "weights": weights.get(name)}
        for name, model in models.items()
    ]
    return {
        "version": __version__,
        "models": described,
        "limits": {
            "pixels": limits.pixels,
            "turned_pixels": limits.pixels // TURN_COST,
            "side": limits.side,
            "job_pixels": limits.job_pixels,
            "job_formats": list(formats),
            "plane_levels": [LOWEST_LEVEL, HIGHEST_LEVEL],
        },
        "jobs": bool(formats),
        "draws": draws,
    }


def page_weights(generator: Generator) -> bytes:
    """The file that a page draws a model from, in half precision where that loses nothing.

    Raises:
        UnsupportedError: for a model that a page cannot draw.
    """
    config = generator.config
    if not isinstance(config, CrepsConfig) or config.composition == "dense":
        raise generator.unsupported("be drawn by a page itself", "creps (not dense)")
    if config.img_channels not in (1, 3):
        raise UnsupportedError(
            f"{config.img_channels} color channels: a page draws 1 (gray) or 3 (color)"
        )
    exact = all(bool((each.half().to(each) == each).all()) for each in generator.parameters())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save(generator, path, dtype=torch.float16 if exact else torch.float32)
        return path.read_bytes()
