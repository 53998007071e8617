"""Pictures of several styles at once: each pixel mixes them with its own weights (CIPS, 4.8).

A field says which styles there are, how much each weighs where, and where its picture lies;
`field_drawing` draws it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from creps.coordinates import Window
from creps.errors import UsageError
from creps.networks.base import Generator
from creps.rendering.styling.style_weights import Gradient, Weights

EVERYWHERE: Window = (-math.inf, -math.inf, math.inf, math.inf)

_SUM_TOLERANCE = 1e-5  # weights that a user's own function computes in float32


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


def wrap_period(generator: Generator, *, tolerance: float = 1e-6) -> float:
    """Plane units along x after which a model's pictures repeat; 0 if they do not.

    A picture whose window is so wide wraps without a seam. Cylinders say it themselves, as their
    `period`; for other models it is 1 if all their Fourier frequencies along x are whole numbers of
    cycles per plane.

    Args:
        generator: the model.
        tolerance: how far from whole a frequency may be.
    """
    period: float = getattr(generator, "period", 0.0)
    if period:
        return period
    frequencies = getattr(getattr(generator, "input", None), "frequencies", None)
    if not isinstance(frequencies, Tensor):
        return 0.0
    if frequencies.ndim == 2:
        frequencies = frequencies[:, 1]  # (y, x) pairs
    return float(((frequencies - frequencies.round()).abs() <= tolerance).all())
