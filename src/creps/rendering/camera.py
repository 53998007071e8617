"""The camera: one shot of a motion to one picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from creps.coordinates import Canvas, Window
from creps.networks.base import Generator
from creps.rendering.motion import Shot
from creps.rendering.renderer import Picture, render, to_uint8
from creps.rendering.tiles import Tile, plan
from creps.rendering.warps import (
    Chain,
    Rotate,
    Swirl,
    Warp,
    chain,
    split_nowhere,
    warped_grid,
)
from creps.rendering.workers import map_in_order, worker_count

TILE = 32
"""Pixels of a tile's side where each has a row and a column line of its own: feature buffers of
64 MiB at 1024 channels and thickness 8."""

NOWHERE = -1.0
"""The colour of places that a warp does not show: black."""


@dataclass(frozen=True)
class Blend(Warp):
    """A part of another warp: every point goes straight towards where the whole would take it.

    It has no text form.

    Args:
        whole: the other warp.
        amount: 0 changes nothing, 1 is the whole, both exactly.
    """

    whole: Warp
    amount: float

    def __call__(self, points: Tensor) -> Tensor:
        return (1 - self.amount) * points + self.amount * self.whole(points)

    def over(self, window: Window) -> Warp:
        return Blend(self.whole.over(window), self.amount)


def render_shot(
    generator: Generator,
    styles: Tensor,
    shot: Shot,
    *,
    size: tuple[int, int],
    warp: Warp | None = None,
    supersample: int = 1,
) -> Picture:
    """The picture of one shot.

    Args:
        generator: the model.
        styles: (1, K, D) from `generator.map`.
        shot: what is seen.
        size: (height, width) in pixels.
        warp: what `shot.amount` is an amount of.
        supersample: pixels are means of so many by so many, >= 1: less shimmer where a frame is
            smaller than the detail the model makes.
    Returns:
        (H, W, C) uint8.
    Raises:
        GridError: for sizes or windows that cannot be rendered.
    """
    height, width = size[0] * supersample, size[1] * supersample
    bend = shot_warp(shot, warp)
    if bend is None:
        picture = render(generator, styles=styles, size=(height, width), window=shot.window)
    else:
        canvas = Canvas(height, width, shot.window, generator.sampling)
        picture = render_warped(generator, styles, canvas, warp=bend)
    return picture if supersample == 1 else _reduced(picture, supersample)


def partly(warp: Warp, amount: float) -> Warp:
    """A part of a warp, for films in which it grows.

    What turns, turns by less; of all others, a user's own map included, every point goes a part of
    the straight way (which would squeeze a turning picture). Warps that follow one another grow
    together.

    Args:
        warp: the whole.
        amount: 0 changes nothing, 1 is the whole, both exactly.
    Example:
        >>> str(partly(Rotate(90), 0.5))
        'rotate:45'
    """
    if isinstance(warp, Chain):
        return chain(*(partly(part, amount) for part in warp.warps))
    if isinstance(warp, Rotate | Swirl):
        return replace(warp, degrees=amount * warp.degrees)
    return Blend(warp, amount)


def shot_warp(shot: Shot, warp: Warp | None = None) -> Warp | None:
    """How a shot changes the picture of its window: bent first, then turned about the middle.

    Args:
        shot: its rotation, and its amount of the warp.
        warp: the whole warp.
    Returns:
        one warp; None if the picture is as it is.
    """
    changes: list[Warp] = []
    if warp is not None and shot.amount:
        changes.append(partly(warp, shot.amount))
    if shot.degrees % 360:
        y0, x0, y1, x1 = shot.window
        changes.append(Rotate(shot.degrees, (y0 + y1) / 2, (x0 + x1) / 2))
    return chain(*changes) if changes else None


def render_warped(generator: Generator, styles: Tensor, canvas: Canvas, *, warp: Warp) -> Picture:
    """A warped picture, tile by tile, each pixel from lines of its own.

    Args:
        generator: the model.
        styles: (1, K, D) from `generator.map`.
        canvas: size, window and sampling rule.
        warp: of the picture; black where it shows nothing.
    Returns:
        (H, W, C) uint8.
    """

    @torch.inference_mode()  # the mode belongs to a thread
    def job(tile: Tile) -> tuple[Tile, Tensor]:
        grid, shown = split_nowhere(warped_grid(canvas, warp, tile))
        image = generator.synthesize(styles, grid)[0]
        return tile, image if shown is None else image.where(shown.to(image.device), NOWHERE)

    channels = generator.config.img_channels
    picture = np.empty((canvas.height, canvas.width, channels), dtype=np.uint8)
    tiles = plan(canvas.height, canvas.width, TILE)
    for tile, image in map_in_order(job, tiles, workers=worker_count(generator.device)):
        picture[tile.rows, tile.columns] = to_uint8(image)
    return picture


def _reduced(picture: Picture, factor: int) -> Picture:
    """Means of blocks of `factor` by `factor` pixels, rounded to nearest."""
    height, width, channels = picture.shape
    blocks = picture.reshape(height // factor, factor, width // factor, factor, channels)
    reduced: Picture = np.rint(blocks.mean((1, 3))).astype(np.uint8)
    return reduced
