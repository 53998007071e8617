"""Geometric transforms of ADA, composed to one affine map for each picture (appendix B).

Maps are (B, 3, 3) float64 on the CPU, from places of the result to places of the picture, in pixels
(y, x, 1) from the centre; `creps.training.augmentation.sampling` carries them out.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from creps.training.augmentation.settings import AugmentSettings, Draws

SHIFT = 0.125
"""Largest shift by whole pixels, and standard deviation of the fractional one, of the size."""
SCALE = 0.2
"""Standard deviation of the base-2 logarithm of both scalings."""

GEOMETRY_DRAWS = (
    *("flip?", "flip", "rotate90?", "rotate90", "translate?", "translate y", "translate x"),
    *("scale?", "scale", "rotate before?", "rotate before", "aspect?", "aspect"),
    *("rotate after?", "rotate after", "fraction?", "fraction y", "fraction x"),
)
"""Random numbers of a picture; those with `?` decide whether the transform happens."""

QUARTER_TURNS = torch.tensor(
    [[[1, 0], [0, 1]], [[0, 1], [-1, 0]], [[-1, 0], [0, -1]], [[0, -1], [1, 0]]],
    dtype=torch.float64,
)
"""Where pixels (y, x) come from in turns to the left by 0, 90, 180 and 270 degrees, unrounded."""


def draw_geometry(
    draws: Draws, strength: float, settings: AugmentSettings, *, size: tuple[int, int]
) -> Tensor:
    """The composed transform of each picture of `size` (H, W), from result to picture: (B, 3, 3).

    Mirror, quarter turn and whole shift; then scale, rotation, aspect, rotation again, fractional
    shift. float64, places are (y, x, 1) in pixels from the centre; exactly the identity where none
    happens.
    """

    def happens(name: str) -> Tensor:
        return draws.happens(f"{name}?", settings.probability(name, strength))

    def drawn(name: str, values: Tensor, neutral: float) -> Tensor:
        return torch.where(happens(name), values, neutral)

    def moved(name: str) -> Tensor:
        return happens(name)[:, None]

    sides = torch.tensor(size, dtype=torch.float64)
    names = "translate y", "translate x"
    whole = torch.stack([draws.uniform(name, -SHIFT, SHIFT) for name in names], 1) * sides
    names = "fraction y", "fraction x"
    fraction = torch.stack([draws.normal(name) * SHIFT for name in names], 1) * sides
    # Two rotations, such that one at least happens with the probability of the transform.
    each = 1 - math.sqrt(1 - settings.probability("rotate", strength))
    angles = [
        torch.where(draws.happens(f"{name}?", each), draws.uniform(name, -math.pi, math.pi), 0.0)
        for name in ("rotate before", "rotate after")
    ]
    scale = drawn("scale", torch.exp2(draws.normal("scale") * SCALE), 1.0)
    aspect = drawn("aspect", torch.exp2(draws.normal("aspect") * SCALE), 1.0)
    mirror = drawn("flip", draws.sign("flip"), 1.0)
    turns = torch.where(happens("rotate90"), draws.integer("rotate90", 4), 0)
    # From result to picture, so each is the inverse, and the first to happen stands first.
    return (
        scaling(torch.ones_like(mirror), mirror)
        @ quarter_turns(turns, size=size)
        @ shifting(-torch.where(moved("translate"), whole.round(), 0.0))
        @ scaling(1 / scale, 1 / scale)
        @ rotation(-angles[0])
        @ scaling(aspect, 1 / aspect)
        @ rotation(-angles[1])
        @ shifting(-torch.where(moved("fraction"), fraction, 0.0))
    )


def scaling(y: Tensor, x: Tensor) -> Tensor:
    """(B, 3, 3) that multiply places by factors (B,) on each axis."""
    return torch.diag_embed(torch.stack([y, x, torch.ones_like(y)], dim=1))


def shifting(offset: Tensor) -> Tensor:
    """(B, 3, 3) that add (B, 2) to places (y, x)."""
    matrices = torch.eye(3, dtype=offset.dtype).repeat(len(offset), 1, 1)
    matrices[:, :2, 2] = offset
    return matrices


def rotation(angle: Tensor) -> Tensor:
    """(B, 3, 3) that rotate places by angles (B,) in radians."""
    matrices = torch.eye(3, dtype=angle.dtype).repeat(len(angle), 1, 1)
    cosine, sine = angle.cos(), angle.sin()
    matrices[:, 0, 0], matrices[:, 0, 1] = cosine, -sine
    matrices[:, 1, 0], matrices[:, 1, 1] = sine, cosine
    return matrices


def quarter_turns(turns: Tensor, *, size: tuple[int, int]) -> Tensor:
    """(B, 3, 3) that turn pictures left by 90 degrees as often as `turns` (B,) says, 0 to 3.

    On a picture with an even and an odd side a turned pixel lies between pixels: it is moved by
    half a pixel on both axes.
    """
    between = (turns % 2).double() * 0.5 * (sum(size) % 2)
    matrices = shifting(between[:, None].expand(-1, 2))
    matrices[:, :2, :2] = QUARTER_TURNS[turns]
    return matrices
