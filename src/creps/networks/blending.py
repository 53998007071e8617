"""Per-pixel styles: several styles' features as one, each pixel with its own mixture (CIPS, 4.8).

A pixel p mixes M styles with weights m_k(p) that sum to 1. Features that depend on one style are
mixed themselves; layers that a style modulates take the mixed style w(p) = sum_k m_k(p) w_k. Where
one weight is 1 and the others 0, both are exactly that style's own.

Shapes: M styles that are mixed, I input and O output channels, N channels of a map, P pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from creps.networks.layers import EPSILON, GAIN, SLOPE, ModulatedLinear


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
