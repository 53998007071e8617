"""Painters of given styles on a given canvas."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from creps._devices import Device
from creps.coordinates import Canvas
from creps.networks.base import Generator
from creps.rendering._blends import StyleField
from creps.rendering._latents import PreparedLatents
from creps.rendering._painter import Painter
from creps.rendering._view import Precision, View


def painter_of(
    generator: Generator,
    styles: Tensor | StyleField,
    canvas: Canvas,
    *,
    device: Device = None,
    dtype: Precision = None,
    **options: Any,
) -> Painter:
    """What paints a batch of styles (B, K, D); options as `View` takes them."""
    latents = PreparedLatents(generator, styles, device=device, dtype=dtype)
    size = canvas.height, canvas.width
    return Painter(latents, View(size=size, window=canvas.window, **options))
