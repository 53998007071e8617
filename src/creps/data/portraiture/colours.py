"""Colours of drawn people: ramps that are mixed continuously."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Colour = NDArray[np.float64]  # (3,) red, green, blue in 0..255, unclipped

SKIN = (
    (255, 224, 196),
    (245, 205, 170),
    (236, 185, 142),
    (214, 155, 110),
    (190, 126, 84),
    (158, 100, 66),
    (122, 76, 50),
    (92, 56, 41),
)
HAIR = (
    (28, 22, 24),
    (58, 38, 30),
    (92, 58, 38),
    (132, 82, 46),
    (165, 87, 40),
    (196, 120, 60),
    (214, 179, 112),
    (232, 216, 180),
    (190, 190, 196),
)


def between(draw: Generator, stops: Sequence[tuple[int, int, int]]) -> Colour:
    """A colour somewhere along a ramp of colours, with a little noise."""
    place = draw.uniform(0, len(stops) - 1)
    first = min(int(place), len(stops) - 2)
    part = place - first
    mixed: Colour = (1 - part) * np.array(stops[first]) + part * np.array(stops[first + 1])
    return mixed + draw.normal(0.0, 6.0, size=3)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """The colour of a hue (in turns, any number), saturation and value."""
    return 255 * np.array(colorsys.hsv_to_rgb(hue % 1, min(1.0, saturation), value))


def hexadecimal(colour: Colour) -> str:
    """A colour as SVG writes it, clipped and rounded down: "#e0a382"."""
    red, green, blue = (int(part) for part in np.clip(colour, 0, 255))
    return f"#{red:02x}{green:02x}{blue:02x}"
