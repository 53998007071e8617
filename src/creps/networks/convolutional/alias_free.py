"""Filters and the filtered leaky ReLU of alias-free networks (StyleGAN3, section 3 and appendix C).

Rates are in samples per frame, frequencies in cycles per frame: a frame is what the network's own
`resolution` pixels span. Filters are Kaiser-windowed, so they have a cutoff and a width of
transition; a radial one treats all directions alike.

Shapes: B batch, C channels, H and W samples, T taps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from creps.networks.layers import SLOPE
from creps.networks.resampling import upfirdn2d


def kaiser_beta(taps: int, width: float) -> float:
    """The shape of the Kaiser window whose transition has a given width (Kaiser, 1974).

    Args:
        taps: length of the filter.
        width: of the transition band, as a fraction of half the sampling rate.
    """
    attenuation = 2.285 * (taps - 1) * math.pi * width + 7.95  # decibels
    if attenuation > 50:
        return 0.1102 * (attenuation - 8.7)
    if attenuation > 21:
        return 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    return 0.0


def low_pass_filter(
    taps: int, *, cutoff: float, width: float, rate: float, radial: bool = False
) -> Tensor:
    """A low-pass filter of sum one (StyleGAN3, appendix C.1).

    Args:
        taps: T; 1 is no filter.
        cutoff: frequency that is passed at half its strength.
        width: of the transition band about the cutoff.
        rate: samples per frame that the filter works at.
        radial: a windowed jinc in two dimensions instead of a windowed sinc for either axis.
    Returns:
        (T,) float32, for both axes; (T, T) where radial, and T is not 1.
    Example:
        >>> float(low_pass_filter(12, cutoff=4.0, width=9.0, rate=32.0).sum().round(decimals=5))
        1.0
    """
    if taps == 1:
        return torch.ones(1)
    places = (np.arange(taps) - (taps - 1) / 2) / rate
    window = np.kaiser(taps, kaiser_beta(taps, width / (rate / 2)))
    if radial:
        kernel = _jinc(np.hypot(*np.meshgrid(places, places)), cutoff) * np.outer(window, window)
    else:
        kernel = np.sinc(2 * cutoff * places) * window
    return torch.tensor((kernel / kernel.sum()).tolist())


def _jinc(radius: NDArray[np.float64], cutoff: float) -> NDArray[np.float64]:
    """The ideal low-pass in two dimensions, J1(2 pi cutoff r) / r, up to a factor."""
    near = np.maximum(radius, 1e-9)  # odd filters have a tap in the centre
    phase = torch.as_tensor(2 * math.pi * cutoff * near, device="cpu")
    bessel: NDArray[np.float64] = torch.special.bessel_j1(phase).numpy()
    return bessel / near


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """How one layer changes the density of its samples: up, leaky ReLU, down.

    Args:
        up: factor before the activation.
        down: factor after it.
    """

    up: int
    down: int

    def paddings(self, size: int, wanted: int, *, taps: tuple[int, int]) -> tuple[int, int]:
        """Zeros (first, last) about the upsampled samples of an axis; negative crops.

        The results lie about the same centre as the samples: the frame does not move.

        Args:
            size: samples before; wanted: after.
            taps: of the filters before and after the activation.
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

    StyleGAN3, section 3.1. Plain operations, differentiable any number of times.

    Args:
        x: (B, C, H, W), scaled by the gain of leaky ReLU already.
        filters: before and after the activation, (T,) each; the second may be (T, T).
        resampling: the factors.
        size: (H', W') of the result, about the same centre.
        clamp: activations are clipped to [-clamp, clamp]; 0 does not clip.
    Returns:
        (B, C, H', W').
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
