"""Modulated 3x3 convolutions with upsampling and noise (StyleGAN2, section 2).

Shapes: B batch, I input and O output channels, H and W pixels of the result.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creps.networks.layers import EPSILON, GAIN, SLOPE, EqualizedLinear
from creps.networks.resampling import conv2d_resample, resample_filter

NoiseMode = Literal["off", "const"]
Noise = NoiseMode | torch.Generator
"""Noise of a picture: none, the network's own fixed maps, or fresh draws from a generator."""

KERNEL = 3


@cache
def low_pass(device: torch.device, dtype: torch.dtype) -> Tensor:
    """StyleGAN2's filter where it is needed.

    No buffer of the networks: it is a constant, and files of weights should not hold it.
    """
    with torch.inference_mode(False):  # it outlives the call and may meet gradients later
        return resample_filter().to(device, dtype)


class ModulatedConv2d(nn.Module):
    """A 3x3 convolution whose weights are scaled by a style and normalised (eq. 1 to 3).

    The features are scaled instead of the weights, which is the same and serves a batch with one
    convolution. Then noise, bias, leaky ReLU.

    Args:
        inputs: I.
        outputs: O.
        w_dim: width of a style vector.
        up: 2 doubles the size first, with StyleGAN2's low-pass.
        noise_size: pixels a side of the noise map; 0 builds a layer without noise.
        gain: factor on the result beside the sqrt(2) of leaky ReLU.
        clamp: the result is clipped to [-clamp * gain, clamp * gain]; 0 does not clip.
    """

    noise: Tensor | None

    def __init__(
        self,
        inputs: int,
        outputs: int,
        w_dim: int,
        *,
        up: int = 1,
        noise_size: int = 0,
        gain: float = 1.0,
        clamp: float = 0.0,
    ) -> None:
        super().__init__()
        self.affine = EqualizedLinear(w_dim, inputs, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, KERNEL, KERNEL))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros(())) if noise_size else None
        self.register_buffer("noise", torch.randn(noise_size, noise_size) if noise_size else None)
        self.up, self.gain, self.clamp = up, GAIN * gain, clamp * gain

    def forward(self, x: Tensor, w: Tensor, noise: Noise = "off") -> Tensor:
        """Features (B, I, H / up, W / up) and style vectors (B, w_dim) to (B, O, H, W).

        Noise "const" is for pictures of the size of the map.
        """
        style = self.affine(w)  # (B, I)
        power = style.square() @ self.weight.square().sum((2, 3)).T  # (B, O)
        # Leaky ReLU is positively homogeneous: its gain acts on what is small, not on the maps.
        scale = (power + EPSILON).rsqrt() * self.gain
        taps = low_pass(x.device, x.dtype)
        y = conv2d_resample(x * style[:, :, None, None], self.weight, taps, up=self.up)
        offset = (self.bias * self.gain)[:, None, None]
        if self.noise is not None and self.noise_strength is not None and noise != "off":
            offset = offset + self._noise_map(y, noise) * (self.noise_strength * self.gain)
        y = F.leaky_relu_(torch.addcmul(offset, y, scale[:, :, None, None]), SLOPE)
        return y.clamp(-self.clamp, self.clamp) if self.clamp else y

    def _noise_map(self, y: Tensor, noise: Noise) -> Tensor:
        """(H, W) of the fixed map, or (B, 1, H, W) of a generator; the same for all channels."""
        if isinstance(noise, torch.Generator):
            shape = (len(y), 1, *y.shape[2:])
            return torch.randn(shape, generator=noise, device=noise.device).to(y)
        assert self.noise is not None
        return self.noise


class UpsampledShortcut(nn.Module):
    """The way around two layers of a residual block: a 1x1 convolution, twice the size.

    Args:
        inputs: I.
        outputs: O.
        gain: factor on the result.
    """

    def __init__(self, inputs: int, outputs: int, *, gain: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.weight_gain = gain / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, H / 2, W / 2) to (B, O, H, W)."""
        taps = low_pass(x.device, x.dtype)
        return conv2d_resample(x, self.weight * self.weight_gain, taps, up=2)
