"""What alias-free networks need: filters, a filtered leaky ReLU, and the place of their pixels.

Rates are in samples per frame, frequencies in cycles per frame: a frame is what the network's own
`resolution` pixels span. Filters are Kaiser-windowed, so they have a cutoff and a width of
transition; a radial one treats all directions alike (StyleGAN3, section 3 and appendix C).

Such a network draws evenly spaced grids, placed anyhow: an affine map from pixels to the plane, a
place for the first pixel, a step from row to row and one from column to column. Places and steps
are (y, x) in plane units, float64.

Shapes: B batch, C channels, H and W samples, T taps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from creps.coordinates import AxisGrid, PointGrid
from creps.errors import GridError
from creps.networks._layers import SLOPE
from creps.networks._resampling import upfirdn2d
from creps.networks.base import Grid


def kaiser_beta(taps: int, width: float) -> float:
    """The shape of the Kaiser window whose transition has a given width (Kaiser, 1974).

    The width is a fraction of half the sampling rate.
    """
    attenuation = 2.285 * (taps - 1) * math.pi * width + 7.95  # decibels
    if attenuation > 50:
        return 0.1102 * (attenuation - 8.7)
    if attenuation > 21:
        return 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    return 0.0


_NARROWEST = 500.0
"""Beta of a window of one tap, nearly: larger ones overflow."""


def low_pass_filter(
    taps: int, *, cutoff: float, width: float, rate: float, radial: bool = False
) -> Tensor:
    """A low-pass filter of sum one (StyleGAN3, appendix C.1), (T,) float32; one tap: no filtering.

    Half of what is at the cutoff passes; the transition band about it is `width` wide. A radial
    filter is a windowed jinc in two dimensions, (T, T), instead of a windowed sinc for either axis.
    """
    if taps == 1:
        return torch.ones(1)
    places = (np.arange(taps) - (taps - 1) / 2) / rate
    window = np.kaiser(taps, min(kaiser_beta(taps, width / (rate / 2)), _NARROWEST))
    if radial:
        kernel = _jinc(np.hypot(*np.meshgrid(places, places)), cutoff) * np.outer(window, window)
    else:
        kernel = np.sinc(2 * cutoff * places) * window
    return torch.tensor((kernel / kernel.sum()).tolist())


def _jinc(radius: NDArray[np.float64], cutoff: float) -> NDArray[np.float64]:
    """The ideal low-pass in two dimensions, J1(2 pi cutoff r) / r, up to a factor."""
    near = np.maximum(radius, 1e-9)  # odd filters have a tap in the center
    phase = torch.as_tensor(2 * math.pi * cutoff * near, device="cpu")
    bessel: NDArray[np.float64] = torch.special.bessel_j1(phase).numpy()
    return bessel / near


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """How one layer changes the density of its samples: up, leaky ReLU, down."""

    up: int
    down: int

    def paddings(self, size: int, wanted: int, *, taps: tuple[int, int]) -> tuple[int, int]:
        """Zeros (first, last) about the upsampled samples of an axis; negative crops.

        `size` samples before become `wanted` about the same center: the frame does not move.
        `taps` are those of the filters before and after the activation.
        """
        total = (wanted - 1) * self.down + 1 - size * self.up + sum(taps) - 2
        first = (total + self.up) // 2
        return first, total - first


def filtered_leaky_relu(
    x: Tensor,
    filters: tuple[Tensor, Tensor],
    *,
    resampling: Resampling,
    size: tuple[int, int],
    clamp: float = 0.0,
) -> Tensor:
    """Leaky ReLU between an upsampling and a downsampling: new frequencies do not fold over.

    StyleGAN3, section 3.1. Plain operations, differentiable any number of times. Features
    (B, C, H, W), scaled by the gain of leaky ReLU already, to (B, C, H', W') of `size` about the
    same center. `filters` are those before and after the activation.
    """
    before, after = filters
    up, down = resampling.up, resampling.down
    pads = [
        resampling.paddings(n, wanted, taps=(before.shape[-1], after.shape[-1]))
        for n, wanted in zip(x.shape[2:], size, strict=True)
    ]
    (top, bottom), (left, right) = pads
    x = upfirdn2d(x, before, up=up, padding=(top, bottom, left, right), gain=up * up)
    x = F.leaky_relu_(x, SLOPE)
    if clamp:
        x = x.clamp(-clamp, clamp)
    return upfirdn2d(x, after, down=down)


Vector = tuple[float, float]

EVEN = 1e-3
"""How far from even spacing a place may be, in pixels: float32 grids are at most this rough."""
LATTICE_OFFSET = 0.1234
"""Rounding of a grid's place to whole pixels breaks ties here, where no usual grid lies."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Pixels on the plane: pixel (i, j) lies at origin + i * down + j * across.

    Attributes:
        origin: place of the center of pixel (0, 0).
        down, across: steps from row to row and from column to column.
        height, width: pixels.
    """

    origin: Vector
    down: Vector
    across: Vector
    height: int
    width: int

    @property
    def density(self) -> float:
        """Pixels per plane unit, the root of pixels per area: turning a grid does not change it."""
        return 1 / math.sqrt(abs(self._determinant))

    @property
    def center(self) -> Vector:
        """The place of the middle of the pixels."""
        i, j = (self.height - 1) / 2, (self.width - 1) / 2
        return self.at(i, j)

    def at(self, i: float, j: float) -> Vector:
        """The place of the pixel (i, j), which may be a fraction or beyond the borders."""
        y, x = (
            o + i * d + j * a for o, d, a in zip(self.origin, self.down, self.across, strict=True)
        )
        return y, x

    def part(self, top: int, left: int, *, height: int, width: int) -> Placement:
        """Some of the pixels, or neighboring ones on the same lattice."""
        return replace(self, origin=self.at(top, left), height=height, width=width)

    def moved(self, origin: Vector) -> Placement:
        """The pixels as seen from another origin of the plane."""
        y, x = self.origin
        return replace(self, origin=(y - origin[0], x - origin[1]))

    def points(self, height: int, width: int, *, spacing: float) -> Tensor:
        """(height * width, 2) places of a lattice about the same center, `spacing` pixels apart."""
        i, j = (
            (torch.arange(n, dtype=torch.float64) - (n - 1) / 2) * spacing for n in (height, width)
        )
        axes = zip(self.center, self.down, self.across, strict=True)
        places = [c + i[:, None] * d + j * a for c, d, a in axes]
        return torch.stack(places, dim=2).flatten(0, 1)

    def on_lattice(self, stride: int) -> tuple[int, int]:
        """Pixels from the line of a lattice of `stride` pixels to the first row and column.

        The lattice is fixed on the plane for all grids of the same steps, so tiles of one picture
        agree about it.
        """
        (dy, dx), (ay, ax), (y, x) = self.down, self.across, self.origin
        i = (y * ax - x * ay) / self._determinant
        j = (x * dy - y * dx) / self._determinant
        return math.floor(i + LATTICE_OFFSET) % stride, math.floor(j + LATTICE_OFFSET) % stride

    @property
    def _determinant(self) -> float:
        return self.down[0] * self.across[1] - self.down[1] * self.across[0]


def placement_of(grid: Grid, *, resolution: int) -> Placement:
    """Where the pixels of an evenly spaced grid lie; others raise a GridError.

    A grid of a single pixel, which has no steps, has `resolution` pixels per plane unit.
    """
    if isinstance(grid, AxisGrid):
        placement = _of_axes(grid, resolution)
    else:
        placement = _of_points(grid, resolution)
    numbers = (*placement.origin, *placement.down, *placement.across)
    if not all(map(math.isfinite, numbers)) or not placement._determinant:
        raise GridError(
            "the pixels of this grid lie on one line or nowhere: expected finite places "
            "and steps other than 0"
        )
    return placement


def _of_axes(grid: AxisGrid, resolution: int) -> Placement:
    (y, dy), (x, ax) = _progression(grid.ys, "rows"), _progression(grid.xs, "columns")
    height, width = grid.shape
    # An axis of one pixel has square pixels.
    if height == 1:
        dy = abs(ax) if width > 1 else 1 / resolution
    if width == 1:
        ax = abs(dy)
    return Placement(origin=(y, x), down=(dy, 0.0), across=(0.0, ax), height=height, width=width)


def _progression(axis: Tensor, name: str) -> tuple[float, float]:
    """The first place of an axis and its step."""
    places = axis.detach().cpu().double()
    first = float(places[0])
    step = (float(places[-1]) - first) / max(len(places) - 1, 1)
    even = first + step * torch.arange(len(places), dtype=torch.float64)
    # Written so that NaN is refused too.
    if not bool(((places - even).abs() <= EVEN * abs(step)).all()):
        raise _uneven(name)
    return first, step


def _of_points(grid: PointGrid, resolution: int) -> Placement:
    points = grid.points.detach().cpu().double()
    height, width = grid.shape
    down = (points[-1, 0] - points[0, 0]) / max(height - 1, 1)
    across = (points[0, -1] - points[0, 0]) / max(width - 1, 1)
    i, j = torch.arange(height).double()[:, None, None], torch.arange(width).double()[:, None]
    even = points[0, 0] + i * down + j * across
    step = max(float(down.norm()), float(across.norm()))
    if not bool(((points - even).abs() <= EVEN * step).all()):
        raise _uneven("points")
    if height == 1 and width == 1:
        across = points.new_tensor([0.0, 1 / resolution])
    if height == 1:
        down = torch.stack([across[1], -across[0]])
    elif width == 1:
        across = torch.stack([-down[1], down[0]])
    return Placement(
        origin=_vector(points[0, 0]),
        down=_vector(down),
        across=_vector(across),
        height=height,
        width=width,
    )


def _vector(place: Tensor) -> Vector:
    return float(place[0]), float(place[1])


def _uneven(what: str) -> GridError:
    return GridError(
        f"the {what} of this grid are not evenly spaced: a network of convolutions draws "
        "rectangles of even pixels alone, shifted, scaled, turned or sheared; other warps need a "
        "pixel-wise family such as creps"
    )
