"""StyleGAN2 (CVPR 2020; layers as in StyleGAN2-ADA), read top to bottom: a baseline of fixed size.

Latent -> styles; a learned 4x4 map -> blocks of modulated 3x3 convolutions, each doubling the size
-> color: summed over the blocks ("skip"), or of the last block alone ("resnet", "orig").
The convolutions tie the picture to one grid of pixels: it is drawn on that grid or not at all.

Shapes: B batch, I input, O output and C color channels, H and W pixels, R the resolution.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creps.coordinates import AxisGrid, Canvas, Sampling, pixel_centers, pixel_corners
from creps.errors import ConfigError, GridError
from creps.networks._layers import (
    EPSILON,
    GAIN,
    SLOPE,
    EqualizedLinear,
    ModulatedLinear,
    require_power_of_two,
)
from creps.networks._resampling import conv2d_resample, resample_filter, upsample2d
from creps.networks.base import Generator, GeneratorConfig, Grid, as_grid, register_family

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
    """A 3x3 convolution whose weights are scaled by a style and normalized (eq. 1 to 3).

    The features are scaled instead of the weights, which is the same and serves a batch with one
    convolution. Then noise, bias, leaky ReLU of gain sqrt(2). `up` 2 doubles the size first, with
    StyleGAN2's low-pass; `noise_size` are the pixels a side of the noise map, 0 for none; the
    result is multiplied by `gain` and clipped to [-clamp * gain, clamp * gain], 0 does not clip.
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
    """The way around two layers of a residual block: a 1x1 convolution, twice the size."""

    def __init__(self, inputs: int, outputs: int, *, gain: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.weight_gain = gain / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, H / 2, W / 2) to (B, O, H, W)."""
        taps = low_pass(x.device, x.dtype)
        return conv2d_resample(x, self.weight * self.weight_gain, taps, up=2)


Architecture = Literal["skip", "resnet", "orig"]

SMALLEST = 4
"""Pixels a side of the learned map that all pictures begin with."""

GRID_TOLERANCE = 1e-3
"""Pixels by which coordinates may be off the network's own: float32 is 1000 times closer."""


@dataclass(frozen=True, kw_only=True)
class StyleGAN2Config(GeneratorConfig):
    """Everything that defines a StyleGAN2 generator."""

    resolution: int
    """Pixels a side of its pictures, the only size it draws: a power of two."""
    channel_base: int = 32768
    """At r pixels a side there are min(channel_base // r, channel_max) channels."""
    channel_max: int = 512
    """The most channels at any size."""
    architecture: Architecture = "skip"
    """Where color comes from (StyleGAN2, Fig. 7): "skip" sums the enlarged color of every block;
    "resnet" adds a shortcut to every block and colors the last; "orig" only colors the last."""
    noise_inputs: bool = True
    """Whether layers have a noise map and its strength at all."""
    noise: NoiseMode = "off"
    """The noise of `synthesize` where its caller says nothing: "off", or the fixed maps, "const".
    Either way a picture is a function of styles and grid alone. The paper trains with fresh noise:
    give `synthesize` a random generator for that."""
    clamp: float = 0.0
    """Layers clip their output to [-clamp, clamp]; 0 does not clip. Official networks of
    StyleGAN2-ADA, meant for half precision, have 256."""
    sampling: Sampling = "centers"
    """Where pixels are said to lie; either rule names the same pixels of the only grid."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_power_of_two(self.resolution, least=SMALLEST)
        self._require_at_least(1, "channel_base", "channel_max")
        self._require_at_least(0, "clamp")
        if self.noise == "const" and not self.noise_inputs:
            raise ConfigError('noise "const" needs noise_inputs')

    def channels(self, size: int) -> int:
        """Channels of the maps of `size` pixels a side."""
        return max(min(self.channel_base // size, self.channel_max), 1)

    @property
    def sizes(self) -> list[int]:
        """Pixels a side of each block: 4, 8, 16, ..., resolution."""
        return [2**k for k in range(2, self.resolution.bit_length())]


_SMALL = StyleGAN2Config(
    resolution=32, z_dim=128, w_dim=128, mapping_layers=4, channel_base=2304, channel_max=96
)

STYLEGAN2_PRESETS = {
    "stylegan2-256-half": StyleGAN2Config(resolution=256, channel_base=16384),
    "stylegan2-256": StyleGAN2Config(resolution=256),
    "stylegan2-512": StyleGAN2Config(resolution=512),
    "stylegan2-1024": StyleGAN2Config(resolution=1024),
    "stylegan2-small-32": _SMALL,
    "stylegan2-small-64": replace(_SMALL, resolution=64),
}
"""The paper's networks (config F; "half" is what StyleGAN2-ADA takes at 256 px), and small ones for
a CPU, about as large as the packaged CREPS."""


class SynthesisBlock(nn.Module):
    """One or two modulated convolutions, with the shortcut and the color that they may have.

    Its result has `size` pixels a side; the first block's input is as large, others' half.
    """

    def __init__(self, config: StyleGAN2Config, size: int) -> None:
        super().__init__()
        first, width = size == SMALLEST, config.channels(size)
        below = width if first else config.channels(size // 2)
        self.residual = config.architecture == "resnet" and not first
        self.layers = nn.ModuleList(
            ModulatedConv2d(
                below if k == 0 else width,
                width,
                config.w_dim,
                up=2 if k == 0 and not first else 1,
                noise_size=size if config.noise_inputs else 0,
                # The shortcut and the layers bring half of the variance each.
                gain=math.sqrt(0.5) if self.residual and k == 1 else 1.0,
                clamp=config.clamp,
            )
            for k in range(1 if first else 2)
        )
        self.shortcut = (
            UpsampledShortcut(below, width, gain=math.sqrt(0.5)) if self.residual else None
        )
        colored = config.architecture == "skip" or size == config.resolution
        self.to_rgb = (
            ModulatedLinear(
                width, config.img_channels, config.w_dim, demodulate=False, clamp=config.clamp
            )
            if colored
            else None
        )

    def forward(self, x: Tensor, styles: Tensor, noise: Noise) -> Tensor:
        """Features (B, I, H, W) and a style for each layer to features of the block's size."""
        y = x
        for layer, w in zip(self.layers, styles.unbind(1), strict=False):
            y = layer(y, w, noise)
        return y if self.shortcut is None else self.shortcut(x) + y

    def color(self, x: Tensor, w: Tensor) -> Tensor | None:
        """Features (B, I, H, W) to the color they add (B, C, H, W); None if they add none."""
        if self.to_rgb is None:
            return None
        rgb: Tensor = self.to_rgb(x.flatten(2), w)
        return rgb.unflatten(2, x.shape[2:])


@register_family("stylegan2", StyleGAN2Config)
class StyleGAN2(Generator):
    """The StyleGAN2 generator."""

    config: StyleGAN2Config
    tileable = False
    average_decay = 0.995
    """Decay of the average of w per batch while training (StyleGAN2-ADA)."""

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__(config, num_styles=2 * len(config.sizes))
        self.const = nn.Parameter(torch.randn(config.channels(SMALLEST), SMALLEST, SMALLEST))
        self.blocks = nn.ModuleList(SynthesisBlock(config, size) for size in config.sizes)

    def synthesize(
        self, styles: Tensor, grid: Grid | Canvas, *, noise: Noise | None = None
    ) -> Tensor:
        """The picture of `styles`, which has one size and one place.

        Args:
            styles: as in the base.
            grid: the resolution x resolution pixels of the unit square, by centers or by corners.
            noise: "off", "const" (the network's fixed maps) or a generator for fresh noise; the
                config says by default.
        Raises:
            GridError: for any other grid.
        """
        self._refuse_other_grids(as_grid(grid))
        ((_, picture),) = deque(self.stages(styles, noise=noise), maxlen=1)
        assert picture is not None
        return picture

    def stages(
        self, styles: Tensor, *, noise: Noise | None = None
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Features (B, channels, r, r) and color so far (B, C, r, r) of each block, r from 4.

        The last color is the picture. "resnet" and "orig" have none before.
        """
        self._check_styles(styles)
        noise = self.config.noise if noise is None else noise
        x = self.const.expand(len(styles), -1, -1, -1)
        taps = low_pass(x.device, x.dtype)
        picture: Tensor | None = None
        first = 0  # each block takes its layers' styles; its color shares the next block's first
        for block in cast("list[SynthesisBlock]", self.blocks):
            last = first + len(block.layers)
            x = block(x, styles[:, first:last], noise)
            rgb = block.color(x, styles[:, last])
            if rgb is not None:
                picture = rgb if picture is None else upsample2d(picture, taps) + rgb
            yield x, picture
            first = last

    def _refuse_other_grids(self, grid: Grid) -> None:
        size = self.config.resolution
        if isinstance(grid, AxisGrid) and grid.shape == (size, size):
            axes = torch.stack([grid.ys, grid.xs]).double().cpu()
            for places in (pixel_centers, pixel_corners):
                if (axes - places(0, size, size)).abs().max() <= GRID_TOLERANCE / size:
                    return
        what = "other coordinates" if grid.shape == (size, size) else "another grid"
        raise GridError(
            f"this StyleGAN2 draws {size}x{size} pixels of the whole unit square and nothing else, "
            f"got {grid.shape[0]}x{grid.shape[1]} of {what}: ask for {size}x{size} and enlarge "
            "that, or take a model of a family that draws any size, such as creps"
        )
