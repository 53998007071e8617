"""Any-resolution GAN (ECCV 2022): StyleGAN3 that knows the scale it paints at, read top to bottom.

The network paints patches of a plane picture at any density of pixels. Besides the latent, the
density steers every layer: a second mapping network turns the normalized scale into a vector,
whose affine image is added to each layer's style (eq. 8 and 9). A period of 360 degrees over the
field of view of a training picture makes it a cylinder (section 6): whole waves a turn, where the
paper has sine and cosine of the angle, wrap as well and move as features of a plane do.

Shapes: B batch, K styles, D width of a style, H and W pixels, I input channels of a layer.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from creps.errors import ConfigError
from creps.networks._alias_free import Placement
from creps.networks._layers import EqualizedLinear, second_moment_normalized
from creps.networks.base import register_family
from creps.networks.stylegan3 import STYLEGAN3_PRESETS, StyleGAN3, StyleGAN3Config

ScaleMapping = Literal["paper", "official", "none"]
ScaleRange = Literal["positive", "zerocentered"]


@dataclass(frozen=True, kw_only=True)
class AnyResConfig(StyleGAN3Config):
    """Everything that defines an any-resolution generator: a StyleGAN3 and its scale branch."""

    scale_mapping: ScaleMapping = "paper"
    """How layers learn of the scale: "paper" as section 8.2 has it; "official" as the official code
    computes it, for converted models: it divides the scale by its own size, so only the sign is
    left, and all scales above the smallest are painted alike; "none" leaves the branch out
    (Table 10's ablation, and the first phase of training)."""
    scale_min: float = 1.0
    """The scale that becomes 0, in multiples of the density of training pictures (eq. 8)."""
    scale_max: float = 8.0
    """The scale that becomes 1: the largest in training (eq. 8). Larger ones are not clipped."""
    scale_range: ScaleRange = "positive"
    """"positive" maps scales to [0, 1] and adds `scale_offset`; "zerocentered" to [-1, 1]."""
    scale_offset: float = 0.1
    """What keeps the normalized scale away from zero (section 8.2)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.scale_min < self.scale_max < float("inf"):
            raise ConfigError(
                f"scale_min {self.scale_min}, scale_max {self.scale_max}: "
                "expected 0 <= scale_min < scale_max"
            )
        if not abs(self.scale_offset) < float("inf"):
            raise ConfigError(f"scale_offset {self.scale_offset}: expected a finite number")


def _anyres(preset: str, *, scale_max: float, turn: float = 0.0) -> AnyResConfig:
    settings = asdict(STYLEGAN3_PRESETS[f"stylegan3-{preset}"]) | {"period": (0.0, turn)}
    return AnyResConfig(**settings, scale_max=scale_max)


ANYRES_PRESETS = {
    "anyres-r-256": _anyres("r-256", scale_max=4),
    "anyres-t-256": _anyres("t-256", scale_max=8),
    "anyres-t-1024": _anyres("t-1024", scale_max=4),
    "anyres-panorama-256": _anyres("t-256", scale_max=8, turn=6),
    "anyres-small-32": _anyres("small-32", scale_max=8),
    "anyres-small-64": _anyres("small-64", scale_max=8),
    "anyres-small-cylinder-64": _anyres("small-64", scale_max=8, turn=2),
}
"""The networks of the paper's Table 1 (faces R; churches and birds T at 256 px; mountains at 1024)
and its panorama with a field of view of 60 degrees; and small ones for a CPU, the cylinder for
maps of the whole Earth, twice as wide as high."""


class ScaleBranch(nn.Module):
    """What a scale adds to the style (1, I) of each layer (eq. 9, second half)."""

    def __init__(self, config: AnyResConfig, widths: list[int]) -> None:
        super().__init__()
        self.config = config
        dims = [1] + [config.w_dim] * config.mapping_layers
        self.layers = nn.ModuleList(
            EqualizedLinear(i, o, activation=True, lr_multiplier=0.01) for i, o in pairwise(dims)
        )
        # Biases of zero: a network that was trained without it continues smoothly.
        self.affines = nn.ModuleList(EqualizedLinear(config.w_dim, width) for width in widths)

    def forward(self, scale: float) -> list[Tensor]:
        """A scale, in multiples of the density in training, to (1, I) for each layer."""
        vector = self.mapped(scale)
        return [affine(vector) for affine in self.affines]

    def mapped(self, scale: float) -> Tensor:
        """The vector (1, D) of a scale, M_s of eq. 9."""
        weight = next(self.parameters())
        x = weight.new_tensor([[normalized_scale(scale, self.config)]])
        if self.config.scale_mapping == "official":
            x = second_moment_normalized(x)
        for layer in self.layers:
            x = layer(x)
        return x


def normalized_scale(scale: float, config: AnyResConfig) -> float:
    """A scale s / p, pixels per plane unit over the resolution, as the network takes it (eq. 8).

    Example:
        >>> round(normalized_scale(4.5, AnyResConfig(resolution=32, scale_max=8.0)), 3)
        0.6
    """
    share = (scale - config.scale_min) / (config.scale_max - config.scale_min)
    if config.scale_range == "zerocentered":
        return 2 * share - 1
    return share + config.scale_offset


@register_family("anyres", AnyResConfig)
class AnyRes(StyleGAN3):
    """The any-resolution generator: `synthesize` paints a grid at the scale of its pixels.

    The scale is pixels per area, so it is the same for turned grids.
    """

    config: AnyResConfig
    _may_be_fresh = ("scale.",)  # the first phase of training does without

    def __init__(self, config: AnyResConfig) -> None:
        super().__init__(config)
        widths = [spec.inputs.channels for spec in config.layers]
        self.scale = ScaleBranch(config, widths) if config.scale_mapping != "none" else None

    def _layer_styles(self, styles: Tensor, place: Placement) -> list[Tensor]:
        of_latents = super()._layer_styles(styles, place)
        if self.scale is None:
            return of_latents
        of_scale = self.scale(place.density / self.config.resolution)
        return [latent + scale for latent, scale in zip(of_latents, of_scale, strict=True)]
