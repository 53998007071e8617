"""Samples for figures, and pictures at the size of a figure's panels."""

from __future__ import annotations

import numpy as np
from PIL import Image
from torch import Tensor

from creps.coordinates import WHOLE_PLANE, Window
from creps.metrics._models import ModelRef
from creps.rendering import Picture, render
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
    """The square sample of a seed in color, (size, size, 3), with the class that `draw` gives it.

    Every pixel is evaluated, as in the papers. Gray pictures are made three times as deep; the rest
    is as for `render`.
    """
    picture = render(
        model.generator(),
        seed=seed,
        label=model.label(seed),
        size=size,
        window=window,
        warp=warp,
        supersample=supersample,
        tolerance=0,
    )
    return picture if picture.shape[2] == 3 else np.repeat(picture, 3, axis=2)


def painted(model: ModelRef, styles: Tensor, *, least: int) -> Picture:
    """The square picture of styles (1, K, D), at `shown_side`."""
    return render(
        model.generator(), styles=styles, size=shown_side(model, least=least), tolerance=0
    )


def shown_side(model: ModelRef, *, least: int) -> int:
    """Pixels a side to draw a model's pictures at: a multiple of its native size."""
    own = min(model.size)
    return own * -(-least // own)


def panel_picture(picture: Picture, side: int) -> Picture:
    """A picture at the size of a panel, (side, side, 3): larger pixels, or means of several.

    Nothing is smoothed, so what is seen is what was drawn.
    """
    if picture.shape[:2] == (side, side):
        return picture
    larger = min(picture.shape[:2]) < side
    how = Image.Resampling.NEAREST if larger else Image.Resampling.BOX
    return np.asarray(Image.fromarray(picture).resize((side, side), how))


def enlarged(picture: Picture, side: int) -> Picture:
    """A picture enlarged to (side, side, 3) with a Lanczos filter."""
    how = Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(picture).resize((side, side), how))


def gray(plane: Picture) -> Picture:
    """Levels (H, W) uint8 as a picture (H, W, 3)."""
    return plane[:, :, None].repeat(3, axis=2)
