"""Pictures of several styles at once: each pixel mixes them with its own weights (CIPS, 4.8).

The lines of a picture depend on its style, so each style has its own, computed once for the whole
canvas and shared by the tiles. A tile mixes what they compose to, pixel by pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from creps.coordinates import Canvas, Window
from creps.errors import UsageError
from creps.networks.base import Generator
from creps.rendering.lines import LineSource, picture_lines
from creps.rendering.styling.style_weights import Gradient, Weights
from creps.rendering.tiles import Tile

EVERYWHERE: Window = (-math.inf, -math.inf, math.inf, math.inf)

_SUM_TOLERANCE = 1e-5  # weights that a user's own function computes in float32


class Blendable(LineSource, Protocol):
    """A generator that can mix styles pixel by pixel."""

    def compose(self, row_lines: Tensor, column_lines: Tensor, styles: Tensor) -> Tensor:
        """(B, C, H, W) picture of row lines (B, L, N, H, D) and column lines (B, L, N, W, D)."""

    def compose_blended(
        self, row_lines: Tensor, column_lines: Tensor, styles: Tensor, *, weights: Tensor
    ) -> Tensor:
        """(1, C, H, W) picture of M styles and their lines, mixed by weights (M, H, W)."""


@dataclass(frozen=True)
class Frame:
    """Where on the plane one style of a field paints.

    Attributes:
        y, x: the place of its picture's origin: the style sees the point (0, 0) there.
        reach: (y0, x0, y1, x1) beyond which its weight is 0: its lines are not computed there.
    """

    y: float = 0.0
    x: float = 0.0
    reach: Window = EVERYWHERE


@dataclass(frozen=True, eq=False)
class StyleField:
    """Styles and how they share the plane.

    Args:
        styles: (M, K, D), one row a style, from `map`.
        weights: points (P, 2) of (y, x) to (M, P), 0 or more, sum 1 at each point: a class of
            `style_weights`, or any function that gives a point the same weights in every call.
        frames: M of them, or none: all styles paint the same plane.
    Raises:
        UsageError: if there are no styles, or not as many frames as styles.
    """

    styles: Tensor
    weights: Weights
    frames: tuple[Frame, ...] = ()

    def __post_init__(self) -> None:
        if self.styles.ndim != 3 or not len(self.styles):
            raise UsageError(f"styles of shape {tuple(self.styles.shape)}: expected (M, K, D)")
        if len(self.frames) not in (0, len(self.styles)):
            raise UsageError(
                f"{len(self.frames)} frames for {len(self.styles)} styles: expected one for each"
            )

    def weights_on(self, ys: Tensor, xs: Tensor) -> Tensor:
        """(M, H, W) weights of rows (H,) and columns (W,), checked.

        Raises:
            UsageError: if the function does not give M weights, 0 or more, that sum to 1.
        """
        points = torch.cartesian_prod(ys, xs).reshape(-1, 2)
        weights = self.weights(points)
        expected = (len(self.styles), len(points))
        if weights.shape != expected:
            raise UsageError(f"weights of shape {tuple(weights.shape)}: expected {expected}")
        # Written so that NaN is refused too.
        if not bool((weights >= 0).all() and ((weights.sum(0) - 1).abs() <= _SUM_TOLERANCE).all()):
            raise UsageError("weights of styles: expected 0 or more, and the sum 1 at each point")
        return weights.unflatten(1, (len(ys), len(xs)))


def panorama(styles: Tensor, *, overlap: float = 0.5, closed: bool = False) -> StyleField:
    """Pictures side by side that flow into each other: style k fills the plane from x = k to k + 1.

    Each paints its own unit square, moved into place, and goes on a little beyond it, where it
    is mixed with its neighbour's. A canvas with the window (0, 0, 1, M) shows all of it.

    Args:
        styles: (M, K, D).
        overlap: width of the changes about x = 1, 2, ..., plane units, 0 (hard borders) to 1.
        closed: the last flows into the first: the picture's left and right borders fit together,
            as on a cylinder.
    Raises:
        UsageError: for another overlap, or no styles.
    """
    count = len(styles)
    places = range(-1, count + 1) if closed else range(count)
    ends = (places[0] + 0.5, places[-1] + 0.5) if count else (0.0, 1.0)
    weights = Gradient(len(places), start=ends[0], stop=ends[1], softness=overlap)
    frames = []
    for x in places:
        left = x - overlap / 2 if x > places[0] else -math.inf
        right = x + 1 + overlap / 2 if x < places[-1] else math.inf
        frames.append(Frame(0.0, float(x), (-math.inf, left, math.inf, right)))
    return StyleField(styles[[x % count for x in places]], weights, tuple(frames))


def field_drawer(
    generator: Blendable, field: StyleField, canvas: Canvas
) -> Callable[[Tile], Tensor]:
    """Draws the tiles of a field's picture; all its lines are computed here, once.

    Args:
        generator: a model with lines (CREPS); a "dense" one has none and raises a GridError.
        field: styles on the model's device, and their weights.
        canvas: size, window and sampling rule.
    Returns:
        a function of a tile: (1, C, tile.height, tile.width) pictures, nominal range [-1, 1]. Tiles
        may be drawn in any order, also at once. Where one style is alone, it is exactly its own
        picture.
    """
    ys, xs = canvas.rows(), canvas.columns()
    rows, columns = [], []
    for k, frame in enumerate(field.frames or [Frame()] * len(field.styles)):
        lines_at = partial(picture_lines, generator, field.styles[k : k + 1])
        y0, x0, y1, x1 = frame.reach
        rows.append(_strip(partial(lines_at, axis="rows"), ys, (y0, y1), origin=frame.y))
        columns.append(_strip(partial(lines_at, axis="columns"), xs, (x0, x1), origin=frame.x))

    @torch.inference_mode()
    def draw(tile: Tile) -> Tensor:
        weights = field.weights_on(ys[tile.rows], xs[tile.columns])
        present = [k for k, each in enumerate(weights) if each.any()]
        row_lines = torch.cat([rows[k].part(tile.rows) for k in present])
        column_lines = torch.cat([columns[k].part(tile.columns) for k in present])
        styles = field.styles[present]
        if len(present) == 1:
            return generator.compose(row_lines, column_lines, styles)
        return generator.compose_blended(row_lines, column_lines, styles, weights=weights[present])

    return draw


def is_periodic(generator: Generator, *, tolerance: float = 1e-6) -> bool:
    """Whether a model's pictures repeat along x with period 1, so that they wrap without a seam.

    They do if all its Fourier frequencies along x are whole numbers of cycles per plane.

    Args:
        generator: the model; one without Fourier frequencies is not periodic.
        tolerance: how far from whole a frequency may be.
    """
    frequencies = getattr(getattr(generator, "input", None), "frequencies", None)
    if not isinstance(frequencies, Tensor):
        return False
    if not getattr(generator, "separable", True):
        frequencies = frequencies[..., 1]  # (y, x) pairs
    return bool(((frequencies - frequencies.round()).abs() <= tolerance).all())


@dataclass(frozen=True)
class _Strip:
    """Lines of a stretch of a canvas' axis: pixels `first` and on, (1, L, N, S, D)."""

    first: int
    lines: Tensor

    def part(self, pixels: slice) -> Tensor:
        """The lines of some pixels of the canvas, zeros where they lie beyond the stretch."""
        own = slice(self.first, self.first + self.lines.shape[3])
        start, stop = max(pixels.start, own.start), min(pixels.stop, own.stop)
        inside = self.lines[..., max(start - own.start, 0) : max(stop - own.start, 0), :]
        if (start, stop) == (pixels.start, pixels.stop):
            return inside
        # Beyond its reach a style weighs nothing: any finite line will do there.
        shape = *inside.shape[:3], pixels.stop - pixels.start, inside.shape[4]
        lines = inside.new_zeros(shape)
        if start < stop:
            lines[..., start - pixels.start : stop - pixels.start, :] = inside
        return lines


def _strip(
    lines_at: Callable[[Tensor], Tensor],
    coords: Tensor,
    reach: tuple[float, float],
    *,
    origin: float,
) -> _Strip:
    """The lines of those of a canvas' coordinates, increasing, that lie within reach."""
    first = int((coords < reach[0]).sum())
    count = int((coords <= reach[1]).sum()) - first
    if count < 1:
        return _Strip(0, lines_at(coords[:1] - origin)[..., :0, :])
    return _Strip(first, lines_at(coords[first : first + count] - origin))
