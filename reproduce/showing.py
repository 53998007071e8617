"""Samples for figures, and pictures at the size of a figure's panels."""

from __future__ import annotations

import numpy as np
from PIL import Image

from creps.coordinates import WHOLE_PLANE, Window
from creps.metrics._models import ModelRef
from creps.rendering._painter import Picture
from creps.rendering._renderer import render
from creps.rendering._view import Samples
from creps.rendering.warps import WarpLike


def sample(
    model: ModelRef,
    seed: int,
    *,
    size: int,
    window: Window = WHOLE_PLANE,
    warp: WarpLike = None,
    supersample: Samples = 1,
) -> Picture:
    """The square sample of a seed in colour, with the class that `draw` gives it.

    Args:
        model: any family's; gray pictures are made three times as deep.
        seed: of the latent.
        size: pixels a side.
        window, warp, supersample: as for `render`; bent pictures look their lines up.
    Returns:
        (size, size, 3) uint8.
    """
    picture = render(
        model.generator(),
        seed=seed,
        label=model.label(seed),
        size=size,
        window=window,
        warp=warp,
        supersample=supersample,
    )
    return picture if picture.shape[2] == 3 else np.repeat(picture, 3, axis=2)


def panel_picture(picture: Picture, side: int) -> Picture:
    """A picture at the size of a panel: larger pixels, or means of several.

    Nothing is smoothed, so what is seen is what was drawn.

    Args:
        picture: (H, W, 3) uint8.
        side: pixels of the panel's sides.
    Returns:
        (side, side, 3) uint8.
    """
    if picture.shape[:2] == (side, side):
        return picture
    larger = min(picture.shape[:2]) < side
    how = Image.Resampling.NEAREST if larger else Image.Resampling.BOX
    return np.asarray(Image.fromarray(picture).resize((side, side), how))
