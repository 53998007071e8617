"""Per-pixel styles: several styles' features as one, each pixel with its own mixture (CIPS, 4.8).

A pixel p mixes M styles with weights m_k(p) that sum to 1. Features that depend on one style are
mixed themselves; layers that a style modulates take the mixed style w(p) = sum_k m_k(p) w_k. Where
one weight is 1 and the others 0, both are exactly that style's own.

Shapes: M styles that are mixed, I input and O output channels, N channels of a map, P pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creps.networks._layers import EPSILON, GAIN, SLOPE, EqualizedLinear, ModulatedLinear
from creps.networks.base import Axis

# The layers of CREPS, in the order in which a picture passes them.
#
# Shapes: B batch, C channels, N channels of a line, D thickness, S samples along an axis, P = H *
# W pixels (or S * D line samples).


LINE_SCALE = math.sqrt(0.5)
"""Lines are scaled by this before they meet, so a composed map is half the raw dot product."""


class FourierInput(nn.Module):
    """Coordinates to styled Fourier features (Fig. 2a); rows and columns share the frequencies.

    Args:
        channels: C, even: half sines, half cosines.
        thickness: D frequencies per channel; 0 builds the dense 2-D input of CREPS-NB.
        bandwidth: standard deviation of the frequencies, cycles per plane.
        w_dim: width of the style vector.
    """

    frequencies: Tensor

    def __init__(self, channels: int, *, thickness: int, bandwidth: float, w_dim: int) -> None:
        super().__init__()
        self.channels, self.thickness = channels, thickness
        columns = 2 * thickness if thickness else 1
        per_channel = thickness or 2  # D frequencies, or one (y, x) pair
        frequencies = torch.randn(channels // 2, per_channel) * bandwidth
        self.register_buffer("frequencies", frequencies)
        self.weight = nn.Parameter(torch.randn(channels, columns))
        self.affine = EqualizedLinear(w_dim, channels * columns, bias_init=1.0)

    def lines(self, w: Tensor, coords: Tensor, axis: Axis) -> Tensor:
        """Style vectors (B, w_dim) and coordinates (S,) to line features (B, C, S * D)."""
        turns = coords.double()[:, None] * self._frequencies(coords)[:, None, :]  # (C/2, S, D)
        half = slice(None, self.thickness) if axis == "rows" else slice(self.thickness, None)
        return self._styled(w, turns, half).flatten(2)

    def dense(self, w: Tensor, points: Tensor) -> Tensor:
        """Style vectors (B, w_dim) and points (P, 2) to features (B, C, P)."""
        turns = self._frequencies(points) @ points.double().T  # (C/2, P)
        return self._styled(w, turns[:, :, None], slice(None)).flatten(2)

    def _frequencies(self, coords: Tensor) -> Tensor:
        """Frequencies beside the coordinates, in float64: zooms need the phase to many digits."""
        return self.frequencies.to(coords.device, torch.float64)

    def _styled(self, w: Tensor, turns: Tensor, columns: slice) -> Tensor:
        """(B, C, S, columns): sine and cosine of `turns` (C/2, S, columns), scaled by style."""
        phase = (turns - turns.round()).to(self.weight.device, self.weight.dtype) * (2 * math.pi)
        waves = torch.cat([phase.sin(), phase.cos()])
        style = self.affine(w).unflatten(1, self.weight.shape) * self.weight  # (B, C, all columns)
        return waves * (style[:, :, None, columns] / math.sqrt(self.channels))


class LineBlock(nn.Module):
    """A synthesis block of 1x1 modulated layers and the layer "ToRes" that emits its lines.

    Args:
        widths: channels before, between and after the layers.
        emits: channels of the emitted lines; 0 emits nothing.
        w_dim: width of a style vector.
        clamp: as `ModulatedLinear`.
    """

    def __init__(self, widths: tuple[int, ...], emits: int, *, w_dim: int, clamp: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            ModulatedLinear(i, o, w_dim, clamp=clamp) for i, o in pairwise(widths)
        )
        self.emit = (
            ModulatedLinear(widths[-1], emits, w_dim, demodulate=False, clamp=clamp)
            if emits
            else None
        )


class Decoder(nn.Sequential):
    """The narrow per-pixel network between levels (section 3.4); its last layer is active too."""

    def __init__(self, channels: int, hidden: tuple[int, ...]) -> None:
        widths = (channels, *hidden, channels)
        super().__init__(*(EqualizedLinear(i, o, activation=True) for i, o in pairwise(widths)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, P) to (B, N, P)."""
        for layer in cast("Iterable[EqualizedLinear]", self):
            x = layer.per_position(x)
        return x


class RefinementBlock(nn.Module):
    """Two modulated layers on 2-D features and the colour they add (supplement, Table 5)."""

    def __init__(
        self, widths: tuple[int, int], img_channels: int, *, w_dim: int, clamp: float
    ) -> None:
        super().__init__()
        inputs, width = widths
        self.layers = nn.ModuleList(
            ModulatedLinear(i, width, w_dim, clamp=clamp) for i in (inputs, width)
        )
        self.to_rgb = ModulatedLinear(width, img_channels, w_dim, demodulate=False, clamp=clamp)

    def forward(self, x: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, I, P) to features (B, width, P) and the colour they add (B, C, P)."""
        for layer in self.layers:
            x = layer(x, w)
        return x, self.to_rgb(x, w)


def blended_map(maps: Tensor, weights: Tensor) -> Tensor:
    """Each style's map (M, N, P) and its weights (M, P) to the mixed map (1, N, P)."""
    return torch.einsum("mnp,mp->np", maps, weights)[None]


def blended_modulation(layer: ModulatedLinear, x: Tensor, w: Tensor, weights: Tensor) -> Tensor:
    """A modulated layer whose style differs from pixel to pixel.

    The style vector scales the input channels, s(p) = affine(w(p)), instead of the weights, and
    the norm of the scaled weights is divided out of the output, rsqrt(W^2 s(p)^2 + eps). The
    affine map of a mixture is the mixture of the affine maps, so it is taken M times, not P times.

    Args:
        layer: with its weights (O, I).
        x: (1, I, P) features.
        w: (M, w_dim) style vectors.
        weights: (M, P) their mixture in each pixel, sums 1.
    Returns:
        (1, O, P); `layer(x, w)` where M is 1.
    """
    style = (layer.affine(w) * layer.style_gain).T @ weights  # (I, P)
    y = layer.weight @ (x[0] * style)
    if layer.demodulate:
        y *= (layer.weight.square() @ style.square() + EPSILON).rsqrt_() * GAIN
        y = F.leaky_relu_(y + (layer.bias * GAIN)[:, None], SLOPE)
    else:
        y = y + layer.bias[:, None]
    return (y.clamp(-layer.clamp, layer.clamp) if layer.clamp else y)[None]
