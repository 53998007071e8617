"""The camera: one shot of a motion to one picture."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from creps.coordinates import Canvas, PointGrid
from creps.errors import UsageError
from creps.networks.base import Generator
from creps.rendering.motion import Shot
from creps.rendering.renderer import Picture, render, to_uint8
from creps.rendering.workers import map_in_order, worker_count

PointMap = Callable[[Tensor], Tensor]

POINTS_AT_ONCE = 1024
"""Each point has a row and a column line of its own: 64 MiB a feature buffer at 1024 channels,
thickness 8."""

MOST_SUPERSAMPLES = 16


def render_shot(
    generator: Generator,
    styles: Tensor,
    shot: Shot,
    *,
    size: tuple[int, int],
    warp: PointMap | None = None,
    supersample: int = 1,
) -> Picture:
    """The picture of one shot.

    Args:
        generator: the model.
        styles: (1, K, D) from `generator.map`.
        shot: what is seen.
        size: (height, width) in pixels.
        warp: maps (..., 2) points of the plane to those shown in their place; `shot.amount` blends
            it in.
        supersample: pixels are means of so many by so many, 1 to 16: less shimmer where a frame is
            smaller than the detail the model makes.
    Returns:
        (H, W, C) uint8.
    Raises:
        GridError: for sizes or windows that cannot be rendered.
        UsageError: for an impossible supersample.
    """
    if not 1 <= supersample <= MOST_SUPERSAMPLES:
        raise UsageError(f"supersample {supersample}: expected 1 to {MOST_SUPERSAMPLES}")
    height, width = size[0] * supersample, size[1] * supersample
    if shot.degrees % 360 == 0 and (warp is None or shot.amount == 0):
        picture = render(generator, styles=styles, size=(height, width), window=shot.window)
    else:
        canvas = Canvas(height, width, shot.window, generator.sampling)
        picture = render_points(generator, styles, shot_points(shot, canvas, warp))
    return picture if supersample == 1 else _reduced(picture, supersample)


def shot_points(shot: Shot, canvas: Canvas, warp: PointMap | None = None) -> Tensor:
    """The places of the plane that the pixels of a shot show.

    Args:
        shot: its rotation and its amount of the warp.
        canvas: its size and window.
        warp: maps (..., 2) to (..., 2); points move straight from their place to the warp's as
            `shot.amount` goes from 0 to 1, so any warp can be animated.
    Returns:
        (H, W, 2) float64 of (y, x).
    """
    y0, x0, y1, x1 = shot.window
    centre = torch.tensor([(y0 + y1) / 2, (x0 + x1) / 2], dtype=torch.float64)
    points = torch.stack(torch.meshgrid(canvas.rows(), canvas.columns(), indexing="ij"), dim=2)
    sine, cosine = _quarter_exact(shot.degrees)
    if (sine, cosine) != (0.0, 1.0):
        # Content turned anticlockwise shows what lies clockwise of each place; y runs down.
        turn = torch.tensor([[cosine, sine], [-sine, cosine]], dtype=torch.float64)
        points = (points - centre) @ turn.T + centre
    if warp is not None and shot.amount:
        points = torch.lerp(points, warp(points).to(points), shot.amount)
    return points


def render_points(generator: Generator, styles: Tensor, points: Tensor) -> Picture:
    """The picture at free places of the plane.

    Args:
        generator: the model.
        styles: (1, K, D) from `generator.map`.
        points: (H, W, 2) float64 of (y, x).
    Returns:
        (H, W, C) uint8.
    """

    @torch.inference_mode()  # the mode belongs to a thread
    def job(part: Tensor) -> Tensor:
        return generator.synthesize(styles, PointGrid(part[None]))[0]

    parts = points.flatten(0, 1).split(POINTS_AT_ONCE)
    colours = list(map_in_order(job, parts, workers=worker_count(generator.device)))
    return to_uint8(torch.cat(colours, dim=2).unflatten(2, points.shape[:2]).squeeze(1))


def _quarter_exact(degrees: float) -> tuple[float, float]:
    """(sine, cosine), exact at quarter turns."""
    turned = degrees % 360
    if turned % 90 == 0:
        return ((0.0, 1.0), (1.0, 0.0), (0.0, -1.0), (-1.0, 0.0))[int(turned // 90)]
    return math.sin(math.radians(turned)), math.cos(math.radians(turned))


def _reduced(picture: Picture, factor: int) -> Picture:
    """Means of blocks of `factor` by `factor` pixels, rounded to nearest."""
    height, width, channels = picture.shape
    blocks = picture.reshape(height // factor, factor, width // factor, factor, channels)
    reduced: Picture = np.rint(blocks.mean((1, 3))).astype(np.uint8)
    return reduced
