"""Warps to test with: one of each kind, random ones, and places of the plane."""

from __future__ import annotations

import math

import torch
from hypothesis import strategies as st
from torch import Tensor

from creps.rendering.warps import (
    Affine,
    Barrel,
    Cylinder,
    Elastic,
    Equirectangular,
    Homography,
    Identity,
    Perspective,
    PointMap,
    Polar,
    Rotate,
    Scale,
    Swirl,
    Translate,
    Unpolar,
    Warp,
    Zoom,
)

BENT = torch.tensor([[[0.1, 0.0], [0.2, 0.9]], [[0.6, 0.3], [0.5, 0.8]], [[1.0, 0.1], [0.9, 1.1]]])

SAMPLES: list[Warp] = [
    Identity(),
    Translate(0.1, -0.2),
    Scale(-1, 1.5),
    Zoom(3, y=0.2),
    Rotate(30),
    Affine([[1, 0.2, 0], [-0.3, 0.9, 0.1]]),
    Homography([[1, 0.1, 0], [0, 1, 0.05], [0.4, 0.2, 1]]),
    Perspective([[0.2, 0.3], [0.1, 0.8], [0.95, 1], [0.8, 0]]),
    Elastic(0.1, seed=3),
    Barrel(0.3, -0.1),
    Swirl(120, 0.6),
    Polar(0.1, 0.6),
    Unpolar(0.1, 0.6, x=0.4),
    Cylinder(arc=200, turn=15),
    Equirectangular(20, -40, 100),
    PointMap(BENT),
    Homography([[1, 0, 0], [0, 1, 0], [0, 1, -0.2]]),  # with its horizon in the picture
]
"""One of each kind at least, with every parameter in use somewhere."""


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


number = numbers(-1e9, 1e9)
positive = numbers(1e-9, 1e9)
small = numbers(-0.1, 0.1)

warps: st.SearchStrategy[Warp] = st.one_of(
    st.just(Identity()),
    st.builds(Translate, number, number),
    st.builds(Scale, positive | positive.map(lambda value: -value), positive, number, number),
    st.builds(Zoom, positive, number, number),
    st.builds(Rotate, number, number, number),
    st.builds(lambda a, b, c, d: Affine([[1, a, b], [c, 1, d]]), small, small, number, number),
    st.builds(lambda a, b, c: Homography([[1, a, 0], [b, 1, c], [a, b, 1]]), small, small, small),
    st.builds(lambda a, b: Perspective([[a, b], [b, 1], [1, 1], [1, a]]), small, small),
    st.builds(Elastic, positive, positive, st.integers(0, 2**32 - 1)),
    st.builds(Barrel, number, number, number, number),
    st.builds(Swirl, number, positive, number, number),
    st.builds(Polar, numbers(0, 1), numbers(1.5, 9), number, number),
    st.builds(Unpolar, numbers(0, 1), numbers(1.5, 9), number, number),
    st.builds(Cylinder, numbers(1, 360), number, positive, number),
    st.builds(Equirectangular, number, numbers(-90, 90), numbers(1, 179)),
)
"""Warps of every kind that text alone can describe."""


def places(*, low: float = -0.5, high: float = 1.5, count: int = 203) -> Tensor:
    """(count, 2) float64 places of the plane, always the same."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 2, dtype=torch.float64, generator=generator) * (high - low) + low


def point(y: float, x: float) -> Tensor:
    return torch.tensor([y, x], dtype=torch.float64)


def distance(a: Tensor, b: Tensor) -> float:
    """The largest difference of two sets of places."""
    assert a.shape == b.shape
    return float((a - b).abs().max()) if a.isfinite().all() and b.isfinite().all() else math.inf
