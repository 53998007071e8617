"""Warps as text, chains of warps, and the grids they make of a canvas."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from creps.coordinates import FARTHEST, Canvas, PointGrid, Window
from creps.errors import GridError, UsageError, nearest
from creps.rendering._tiles import Tile
from creps.rendering.warps._base import Axes, Warp, warp_kinds
from creps.rendering.warps._straight import Identity

WarpLike = str | Warp | Callable[[Tensor], Tensor] | None

JOINT = re.compile(r"\+(?=\s*[a-z_]+\s*(?::|\+|$))", re.IGNORECASE)
"""A "+" before a name joins warps; one in a number (1e+3) or in most file names does not."""


@dataclass(frozen=True)
class Chain(Warp):
    """Warps one after the other: the first changes the picture first. Made by `chain`."""

    warps: tuple[Warp, ...]

    def __call__(self, points: Tensor) -> Tensor:
        for warp in reversed(self.warps):  # the last change is the first to be undone
            points = warp(points)
        return points

    def axes(self, ys: Tensor, xs: Tensor) -> Axes | None:
        for warp in reversed(self.warps):
            warped = warp.axes(ys, xs)
            if warped is None:
                return None
            ys, xs = warped
        return ys, xs

    def over(self, window: Window) -> Warp:
        return Chain(tuple(warp.over(window) for warp in self.warps))

    def __str__(self) -> str:
        return "+".join(map(str, self.warps))


@dataclass(frozen=True)
class CustomWarp(Warp):
    """A Python function as a warp. It has no text form that could be parsed.

    Args:
        function: (..., 2) float64 places (y, x) of the output to (..., 2) places to sample, each
            depending on its place alone; NaN shows nothing there.
    """

    function: Callable[[Tensor], Tensor]

    def __call__(self, points: Tensor) -> Tensor:
        result = self.function(points)
        if (
            not isinstance(result, Tensor)
            or result.shape != points.shape
            or not result.is_floating_point()
        ):
            got = f"{tuple(result.shape)}" if isinstance(result, Tensor) else type(result).__name__
            raise GridError(
                f"{self} returned {got} for points of shape {tuple(points.shape)}: "
                "expected a floating-point tensor of the same shape"
            )
        return result.to(points.device, torch.float64)

    def __str__(self) -> str:
        return f"<function {getattr(self.function, '__qualname__', type(self.function).__name__)}>"


def chain(*warps: Warp) -> Warp:
    """One warp that applies the given ones in order, the first to the picture first.

    Example:
        >>> str(chain(parse_warp("rotate:30"), parse_warp("barrel:0.2")))
        'rotate:30+barrel:0.2'
    """
    flat = [
        inner for warp in warps for inner in (warp.warps if isinstance(warp, Chain) else [warp])
    ]
    if len(flat) > 1:
        return Chain(tuple(flat))
    return flat[0] if flat else Identity()


def parse_warp(text: str) -> Warp:
    """A warp of its text: a name, then a colon and parameters, in order or by name.

    Several are joined by "+" and change the picture from left to right.

    Args:
        text: such as `rotate:30`, `elastic:amount=0.05,seed=3`, `map:flow.npy` or
            `rotate:30+barrel:0.2`; docs/warps.md lists all names and parameters.
    Raises:
        UsageError: for an unknown name, or missing, unknown or repeated parameters.
        GridError: for parameters out of their ranges, and for maps that cannot be used.
    Example:
        >>> parse_warp("rotate:30")
        Rotate(degrees=30.0, y=0.5, x=0.5)
    """
    warps = []
    for part in JOINT.split(text):
        name, _, parameters = part.partition(":")
        kinds, name = warp_kinds(), name.strip().lower()
        if name not in kinds:
            raise UsageError(f"unknown warp {name!r}: {nearest(name, kinds)}")
        warps.append(kinds[name].from_text(parameters.strip()))
    return chain(*warps)


def as_warp(value: WarpLike) -> Warp:
    """A warp of whatever describes one: text, a warp, a function of points, or None for none.

    Raises:
        UsageError: for anything else, and as `parse_warp`.
    """
    if value is None:
        return Identity()
    if isinstance(value, Warp):
        return value
    if isinstance(value, str):
        return parse_warp(value)
    if callable(value) and not isinstance(value, type):
        return CustomWarp(value)
    raise UsageError(
        f"warp {value!r}: expected text such as rotate:30, a warp, or a function of points"
    )


def warped_grid(
    canvas: Canvas, warp: Warp, tile: Tile | None = None, *, device: torch.device | str = "cpu"
) -> PointGrid:
    """The places to sample for a tile of a canvas, bit-equal for pixels that tiles share.

    Args:
        canvas: the output: its window shows a part of the warped plane.
        warp: from `as_warp`.
        tile: which pixels; all by default.
        device: where to compute, in float64.
    Returns:
        a grid of (H, W, 2) float64 points of the tile. Places where nothing is to be seen, or
        farther than a million plane units, are NaN in both coordinates: see `split_nowhere`.
    """
    tile = Tile(0, 0, canvas.height, canvas.width) if tile is None else tile
    ys = canvas.rows(tile.top, tile.height).to(device)
    xs = canvas.columns(tile.left, tile.width).to(device)
    return warped_places(canvas, warp, torch.stack(torch.meshgrid(ys, xs, indexing="ij"), dim=-1))


def warped_places(canvas: Canvas, warp: Warp, places: Tensor) -> PointGrid:
    """`warped_grid` at any places (H, W, 2) of a canvas."""
    points = warp.over(canvas.window)(places)
    seen = (points.abs() <= FARTHEST).all(dim=-1, keepdim=True)  # False for NaN
    return PointGrid(torch.where(seen, points, math.nan))


def split_nowhere(grid: PointGrid) -> tuple[PointGrid, Tensor | None]:
    """A grid that networks can paint, and which of its pixels are to be shown.

    Args:
        grid: from `warped_grid`.
    Returns:
        the grid, with NaN points put at the center of the unit square, and an (H, W) mask that is
        False there; None where the whole picture is to be shown.
    """
    shown = ~grid.points[..., 0].isnan()
    if bool(shown.all()):
        return grid, None
    return PointGrid(torch.where(shown[..., None], grid.points, 0.5)), shown
