"""Pictures for figures: samples drawn large enough to look at."""

from __future__ import annotations

from torch import Tensor

from creps.metrics._models import ModelRef
from creps.rendering._painter import Picture
from creps.rendering._renderer import render

SIDE = 224
"""Pixels a side of a picture in a row of four or five."""


def shown_side(model: ModelRef, *, least: int = SIDE) -> int:
    """Pixels a side to draw a model's pictures at: a multiple of its own size."""
    own = min(model.size)
    return own * -(-least // own)


def drawn(model: ModelRef, styles: Tensor, *, least: int = SIDE) -> Picture:
    """The square picture of styles (1, K, D), drawn at `shown_side`."""
    return render(model.generator(), styles=styles, size=shown_side(model, least=least))
