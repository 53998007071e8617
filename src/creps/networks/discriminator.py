"""The residual discriminator of StyleGAN2, conditional by projection (StyleGAN2-ADA).

Picture -> 1x1 layer -> residual blocks, each halving the size -> minibatch standard deviation ->
one convolution and two fully connected layers at 4x4 -> logit. A picture that is not square ends at
another small size, 4x8 for 32x64 pixels; everything else stays. Under autocast the residual blocks
run in half precision, everything after them in the weights' own.

After it two that use the scale of patches in other ways (any-resolution GAN, Table 13); none of
them did better in the paper, they are here to compare. At the end one that scores the features of a
frozen network.

Shapes: B batch, C channels, H and W pixels, I and O channels in and out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creps.errors import ConfigError, UsageError
from creps.networks._layers import (
    EPSILON,
    GAIN,
    SLOPE,
    EqualizedLinear,
    one_hot_labels,
    require_power_of_two,
    second_moment_normalized,
)
from creps.networks._resampling import conv2d_resample, resample_filter

SMALLEST = 4
"""Pixels a side at which the convolutions end."""


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig:
    """Everything that defines a discriminator."""

    resolution: int
    """Pixels a side of the pictures it takes: a power of two. It sets the number of blocks."""
    height: int = 0
    """Rows of pixels where pictures are not square, a multiple of resolution / 4; 0: resolution."""
    width: int = 0
    """Columns of pixels, likewise."""
    img_channels: int = 3
    """Color channels of the picture."""
    label_dim: int = 0
    """Number of classes; 0 is unconditional."""
    channel_base: int = 32768
    """At r pixels a side there are min(channel_base // r, channel_max) channels."""
    channel_max: int = 512
    """The most channels at any size."""
    minibatch_group: int = 4
    """Pictures that share a standard deviation; the batch is a multiple of it, or smaller."""
    minibatch_channels: int = 1
    """Maps of minibatch standard deviation; 0 leaves them out."""
    mapping_layers: int = 8
    """Fully connected layers of the label mapping of conditional models."""
    clamp: float = 0.0
    """Convolutions clip their output to [-clamp, clamp], times their gain; 0 does not clip. 256
    keeps half precision from overflowing (StyleGAN2-ADA, appendix D)."""

    def __post_init__(self) -> None:
        require_power_of_two(self.resolution, least=SMALLEST)
        for name in ("img_channels", "channel_base", "channel_max", "minibatch_group"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)}: expected at least 1")
        for name in ("label_dim", "minibatch_channels", "mapping_layers", "clamp"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} {getattr(self, name)}: expected at least 0")
        step = self.resolution // SMALLEST
        for name, pixels in zip(("height", "width"), self.size, strict=True):
            if pixels < step or pixels % step:
                raise ConfigError(
                    f"discriminator of {self.size[0]}x{self.size[1]} pixels: expected a {name} "
                    f"that is a multiple of resolution / 4 = {step}"
                )
        if self.minibatch_channels and self.channels(SMALLEST) % self.minibatch_channels:
            raise ConfigError(
                f"minibatch_channels {self.minibatch_channels}: expected a divisor of the "
                f"{self.channels(SMALLEST)} channels at 4x4"
            )

    def channels(self, size: int) -> int:
        """Channels of the maps of `size` pixels a side."""
        return max(min(self.channel_base // size, self.channel_max), 1)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the pictures."""
        return self.height or self.resolution, self.width or self.resolution

    @property
    def final_size(self) -> tuple[int, int]:
        """(height, width) at which the convolutions end: 4x4 for square pictures."""
        step = self.resolution // SMALLEST
        return self.size[0] // step, self.size[1] // step

    @property
    def sizes(self) -> list[int]:
        """Level of each residual block's input: resolution, resolution / 2, ..., 8."""
        return [2**k for k in range(self.resolution.bit_length() - 1, 2, -1)]


class EqualizedConv2d(nn.Module):
    """A convolution with equalized learning rate that keeps the size, or low-passes and halves it.

    With `activation` come a bias and a leaky ReLU of gain sqrt(2). The result is multiplied by
    `gain` and clipped to [-clamp, clamp] times the gain; 0 does not clip.
    """

    taps: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel: int,
        activation: bool = True,
        down: int = 1,
        gain: float = 1.0,
        clamp: float = 0.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if activation else None
        self.register_buffer("taps", resample_filter(), persistent=False)
        self.down = down
        self.clamp = clamp * gain
        self.gain = gain * (GAIN if activation else 1.0)
        self.weight_gain = self.gain / math.sqrt(inputs * kernel**2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, H, W) to (B, O, H // down, W // down)."""
        # Leaky ReLU is positively homogeneous: the gain acts on the small weights, not on the maps.
        bias = None if self.bias is None else self.bias * self.gain
        y = conv2d_resample(x, self.weight * self.weight_gain, self.taps, bias=bias, down=self.down)
        if bias is not None:
            y = F.leaky_relu_(y, SLOPE)
        return y.clamp(-self.clamp, self.clamp) if self.clamp else y


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a 1x1 shortcut; the size is halved, the variance kept."""

    def __init__(self, inputs: int, outputs: int, *, clamp: float = 0.0) -> None:
        super().__init__()
        half = math.sqrt(0.5)
        self.conv0 = EqualizedConv2d(inputs, inputs, kernel=3, clamp=clamp)
        self.conv1 = EqualizedConv2d(inputs, outputs, kernel=3, down=2, gain=half, clamp=clamp)
        self.skip = EqualizedConv2d(
            inputs, outputs, kernel=1, activation=False, down=2, gain=half, clamp=clamp
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, H, W) to (B, O, H // 2, W // 2)."""
        y: Tensor = self.skip(x) + self.conv1(self.conv0(x))
        return y


def minibatch_deviation(x: Tensor, *, group: int, channels: int = 1) -> Tensor:
    """How much pictures differ within their group (Progressive GAN, section 3).

    Pictures n, n + B / group, n + 2 B / group, ... form a group; a smaller batch is one. Features
    (B, C, H, W) to (B, channels, H, W): each map is the mean over its share of the C channels,
    constant over the pixels and the same for all of a group.
    """
    batch, _, height, width = x.shape
    group = min(group, batch)
    if batch % group:
        raise UsageError(f"batch of {batch}: expected a multiple of the minibatch group, {group}")
    groups = x.unflatten(0, (group, -1)).unflatten(
        2, (channels, -1)
    )  # (group, B / group, F, C / F, H, W)
    deviation = (groups.var(0, correction=0) + EPSILON).sqrt().mean((2, 3, 4))  # (B / group, F)
    return deviation.repeat(group, 1)[:, :, None, None].expand(-1, -1, height, width)


class LabelProjection(nn.Module):
    """Scores how features suit a class: their inner product with the mapped label."""

    def __init__(self, label_dim: int, width: int, layers: int) -> None:
        super().__init__()
        self.embed = EqualizedLinear(label_dim, width)
        self.layers = nn.Sequential(
            *(
                EqualizedLinear(width, width, activation=True, lr_multiplier=0.01)
                for _ in range(layers)
            )
        )

    def forward(self, features: Tensor, label: Tensor) -> Tensor:
        """Features (B, width) and one-hot labels (B, label_dim) to logits (B, 1)."""
        mapped = self.layers(second_moment_normalized(self.embed(label)))
        return (features * mapped).sum(1, keepdim=True) / math.sqrt(features.shape[1])


class Discriminator(nn.Module):
    """Scores pictures: high logits for real ones."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        last, clamp = config.channels(SMALLEST), config.clamp
        self.from_rgb = EqualizedConv2d(
            config.img_channels, config.channels(config.resolution), kernel=1, clamp=clamp
        )
        self.blocks = nn.Sequential(
            *(
                ResidualBlock(config.channels(n), config.channels(n // 2), clamp=clamp)
                for n in config.sizes
            )
        )
        self.conv = EqualizedConv2d(last + config.minibatch_channels, last, kernel=3, clamp=clamp)
        self.fc = EqualizedLinear(last * math.prod(config.final_size), last, activation=True)
        self.out = EqualizedLinear(last, last if config.label_dim else 1)
        self.projection = (
            LabelProjection(config.label_dim, last, config.mapping_layers)
            if config.label_dim
            else None
        )

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        """Logits of pictures.

        Args:
            images: (B, C, H, W) of the config's channels and resolution, nominal range [-1, 1]; B a
                multiple of the minibatch group, or smaller than it.
            label: (B,) class indices or (B, label_dim) one-hot rows; None for unconditional models.
        Returns:
            (B, 1), unbounded.
        Raises:
            UsageError: for pictures of another shape, or a batch that does not fall into groups.
            LabelError: if labels are missing, unexpected or do not fit the pictures.
        """
        self._check(images)
        return self._logits(self.maps(images), label)

    def trainable(self, wanted: bool, *, frozen: int = 0) -> None:
        """Switch gradients on or off; those of the `frozen` first blocks stay off (FreezeD).

        These are the blocks at the highest resolutions, and with the first the color layer.
        """
        self.requires_grad_(wanted)
        if frozen:
            self.from_rgb.requires_grad_(False)
            self.blocks[:frozen].requires_grad_(False)

    def grow_from(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what fits of another discriminator's state; blocks count from the last one."""
        numbers = {int(name.split(".")[1]) for name in tensors if name.startswith("blocks.")}
        shift = len(self.blocks) - len(numbers)
        ours, found = self.state_dict(), {}
        for name, tensor in tensors.items():
            if name.startswith("blocks."):
                _, number, rest = name.split(".", 2)
                name = f"blocks.{int(number) + shift}.{rest}"
            if name in ours and ours[name].shape == tensor.shape:
                found[name] = tensor
        self.load_state_dict(found, strict=False)

    def maps(self, images: Tensor) -> Tensor:
        """Pictures (B, C, H, W) to the small maps (B, channels, h, w) after the last block."""
        x: Tensor = self.blocks(self._first_features(images))
        return x

    def _first_features(self, images: Tensor) -> Tensor:
        """Pictures (B, C, H, W) to what the first block takes."""
        # With the channels last, convolutions need no reordering: on a CPU a training step takes a
        # tenth less time.
        if images.device.type in ("cpu", "cuda"):
            images = images.contiguous(memory_format=torch.channels_last)
        x: Tensor = self.from_rgb(images)
        return x

    def features(self, x: Tensor) -> Tensor:
        """Small maps (B, channels, h, w) to the features (B, channels) that logits come from."""
        if self.config.minibatch_channels:
            group, channels = self.config.minibatch_group, self.config.minibatch_channels
            x = torch.cat([x, minibatch_deviation(x, group=group, channels=channels)], dim=1)
        features: Tensor = self.fc(self.conv(x).flatten(1))
        return features

    def _logits(self, maps: Tensor, label: Tensor | None) -> Tensor:
        """Small maps (B, channels, h, w) to logits (B, 1)."""
        one_hot = one_hot_labels(
            label, batch=len(maps), classes=self.config.label_dim, like=self.fc.weight
        )
        # Statistics and logits need more digits than half precision has.
        with torch.autocast(maps.device.type, enabled=False):
            logits: Tensor = self.out(self.features(maps.to(self.fc.weight.dtype)))
            if self.projection is not None and one_hot is not None:
                logits = self.projection(logits, one_hot)
        return logits

    def _check(self, images: Tensor) -> None:
        expected = (self.config.img_channels, *self.config.size)
        if images.ndim != 4 or images.shape[1:] != expected:
            raise UsageError(
                f"images of shape {tuple(images.shape)}: this discriminator takes "
                f"(B, {', '.join(str(n) for n in expected)})"
            )


DiscriminatorKind = Literal["one", "two", "scaled", "placed"]

WHOLE = 1 + 1e-6
"""Scales up to this are whole pictures."""
SCALE_WIDTH = 64
"""Width of the vector of a scale."""
SCALE_OFFSET = 0.1
"""Added to the normalized scale, as for generators (section 8.2)."""


class TwoDiscriminators(nn.Module):
    """One network for whole pictures, another for patches.

    Both run on all pictures, so that groups of the minibatch deviation stay whole; each
    one's logits count for its own kind. A group should be of one kind: `data.window_group` a
    multiple of `discriminator.minibatch_group`.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        self.whole, self.patches = Discriminator(config), Discriminator(config)

    def forward(self, images: Tensor, label: Tensor | None, scales: Tensor) -> Tensor:
        """Logits (B, 1) of pictures at scales (B,), multiples of the density of whole ones."""
        of_wholes = (scales <= WHOLE)[:, None]
        logits = torch.where(of_wholes, self.whole(images, label), self.patches(images, label))
        return logits

    def trainable(self, wanted: bool, *, frozen: int = 0) -> None:
        """As `Discriminator.trainable`, both."""
        for network in (self.whole, self.patches):
            network.trainable(wanted, frozen=frozen)

    def grow_from(self, tensors: Mapping[str, Tensor]) -> None:
        """As `Discriminator.grow_from`; each of the two continues from a single one."""
        for prefix, network in (("whole.", self.whole), ("patches.", self.patches)):
            own = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
            network.grow_from(own or tensors)


class _ModulatedDiscriminator(Discriminator):
    """A network whose blocks are modulated by a few numbers that it is told of each picture.

    A vector of the numbers, whose affine images multiply the input channels of each block; 1 at
    first, so that it continues from one that is told nothing.
    """

    def __init__(self, config: DiscriminatorConfig, *, told: int) -> None:
        super().__init__(config)
        self.scale = nn.Sequential(
            EqualizedLinear(told, SCALE_WIDTH, activation=True),
            EqualizedLinear(SCALE_WIDTH, SCALE_WIDTH, activation=True),
        )
        self.affines = nn.ModuleList(
            EqualizedLinear(SCALE_WIDTH, config.channels(n)) for n in config.sizes
        )
        for affine in cast("list[EqualizedLinear]", self.affines):
            nn.init.zeros_(affine.weight)

    def _modulated(self, images: Tensor, label: Tensor | None, told: Tensor) -> Tensor:
        """Logits (B, 1) of pictures by a network whose blocks are modulated by numbers (B, N)."""
        self._check(images)
        vector = self.scale(told)
        x = self._first_features(images)
        blocks = cast("list[ResidualBlock]", self.blocks)
        for block, affine in zip(blocks, self.affines, strict=True):
            x = block(x * (1 + affine(vector))[:, :, None, None])
        return self._logits(x, label)


class ScaledDiscriminator(_ModulatedDiscriminator):
    """A network that also takes the scale, which modulates the weights of its blocks.

    "Following a similar method as the generator": it is told the normalized scale (eq. 8). The
    paper gives no more detail, and found it unstable. The scale `largest`, above 1, is normalized
    to 1: for a run with another one, the same window has another number.
    """

    def __init__(self, config: DiscriminatorConfig, *, largest: float) -> None:
        super().__init__(config, told=1)
        self.largest = largest

    def forward(  # type: ignore[override]  # it needs the scale
        self, images: Tensor, label: Tensor | None, scales: Tensor
    ) -> Tensor:
        """Logits (B, 1) of pictures at scales (B,), multiples of the density of whole ones."""
        share = (scales.to(self.fc.weight) - 1) / (self.largest - 1) + SCALE_OFFSET
        return self._modulated(images, label, share[:, None])


class PlacedDiscriminator(_ModulatedDiscriminator):
    """A network that takes scale and place of each window: what is right there need not be here.

    It is told the numbers of `place_numbers`.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__(config, told=PLACE_NUMBERS)

    def forward(  # type: ignore[override]  # it needs the places
        self, images: Tensor, label: Tensor | None, places: Tensor
    ) -> Tensor:
        """Logits (B, 1) of pictures at places (B, 3): scale, and the window's center (y, x)."""
        return self._modulated(images, label, place_numbers(places.to(self.fc.weight)))


PLACE_NUMBERS = 3
"""Of a window: its scale and its center."""


def place_numbers(places: Tensor) -> Tensor:
    """Scale and center (y, x) of windows, (B, 3), in numbers of about 1: doublings count.

    They depend on the window alone: a run that goes on with finer windows is told the same of those
    that it knows.

    Example:
        >>> place_numbers(torch.tensor([[1.0, 0.5, 0.5], [4.0, 0.0, 1.0]])).tolist()
        [[0.0, 0.0, 0.0], [1.0, -1.0, 1.0]]
    """
    return torch.cat([places[:, :1].log2() / 2, 2 * places[:, 1:] - 1], dim=1)


AnyDiscriminator = Discriminator | TwoDiscriminators


def build_discriminator(
    config: DiscriminatorConfig, kind: DiscriminatorKind = "one", *, largest: float = 1.0
) -> AnyDiscriminator:
    """A freshly initialized discriminator.

    Args:
        config: of the network, or of each of two.
        kind: "one" for all scales, "two" for wholes and patches apart, "scaled" takes the scale,
            "placed" also the place.
        largest: scale in training; "scaled" uses it, and takes at least 2.
    """
    if kind == "two":
        return TwoDiscriminators(config)
    if kind == "scaled":
        return ScaledDiscriminator(config, largest=max(largest, 2.0))
    if kind == "placed":
        return PlacedDiscriminator(config)
    return Discriminator(config)


LARGEST_SCORED = 4
"""Pixels a side of a map that is scored; larger ones are halved until they are as small."""
FEATURE_CHANNELS = (24, 40, 112, 320)
"""Of EfficientNet-Lite0's maps at a quarter, an eighth, a sixteenth and a thirty-second."""


class RandomMixing(nn.Module):
    """Feature maps, coarse ones mixed into finer ones: fixed, drawn from a seed.

    From the coarsest map on, m_l = (A_l f_l + up(B_l m_(l+1))) / sqrt(2), A_l a 1x1 and B_l a 3x3
    convolution with variance-preserving weights, `up` bilinear.
    """

    def __init__(self, channels: Sequence[int], *, seed: int) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        self.levels = len(channels)
        for level, width in enumerate(channels):
            across = torch.randn(width, width, 1, 1, generator=random) / math.sqrt(width)
            self.register_buffer(f"across_{level}", across)
            if level + 1 < self.levels:
                coarser = channels[level + 1]
                up = torch.randn(width, coarser, 3, 3, generator=random) / math.sqrt(9 * coarser)
                self.register_buffer(f"up_{level}", up)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps (B, C_l, H_l, W_l), finest first, to as many of the same shapes."""
        mixed: list[Tensor] = []
        for level in reversed(range(self.levels)):
            x = F.conv2d(maps[level], self.get_buffer(f"across_{level}"))
            if mixed:
                y = F.conv2d(mixed[-1], self.get_buffer(f"up_{level}"), padding=1)
                y = F.interpolate(y, size=x.shape[2:], mode="bilinear", align_corners=False)
                x = (x + y) * math.sqrt(0.5)
            mixed.append(x)
        return mixed[::-1]


class SpectralConv2d(nn.Module):
    """A 3x3 convolution whose weight, as a matrix, has norm 1 (Miyato et al. 2018).

    The norm is that of a power iteration that `tighten` moves on by one: passes change nothing, so
    that a step is the same in however many parts it is computed.
    """

    direction: Tensor

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.stride = stride
        self.register_buffer("direction", F.normalize(torch.randn(outputs), dim=0))
        for _ in range(10):
            self.tighten()

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, H, W) to (B, O, ceil(H / stride), ceil(W / stride))."""
        norm = (self.direction @ self.weight.flatten(1)).norm()
        return F.conv2d(x, self.weight / norm, self.bias, stride=self.stride, padding=1)

    @torch.no_grad()
    def tighten(self) -> None:
        """One step of the power iteration."""
        matrix = self.weight.flatten(1)
        self.direction.copy_(F.normalize(matrix @ (self.direction @ matrix), dim=0))


class ProjectedDiscriminator(nn.Module):
    """Scores the feature maps of a frozen network (Projected GAN, Sauer et al. 2021).

    Maps of several sizes -> fixed random mixing across channels and scales -> one small network a
    map, which scores each of its places. Mixing keeps the discriminator from resting on the few
    features it likes best (section 3.2); the norms of the layers are held at 1, no penalty is
    needed. Only the heads learn.

    Args:
        size: (height, width) in pixels at which pictures are seen; the finest map has a quarter of
            it. It sets how often heads halve their maps.
        width: channels of the heads.
        seed: of the mixing; the heads are drawn from torch's global generator.
        channels: of the maps, finest first.
        placed: whether heads are told scale and place of each window.
    """

    def __init__(
        self,
        size: tuple[int, int],
        *,
        width: int,
        seed: int,
        channels: Sequence[int] = FEATURE_CHANNELS,
        placed: bool = False,
    ) -> None:
        super().__init__()
        self.mixing = RandomMixing(channels, seed=seed)
        self.heads = nn.ModuleList(
            _head(inputs, -(-max(size) // 2**level), width)
            for level, inputs in enumerate(channels, 2)
        )
        self.place, self.shifts = None, None
        if placed:
            self.place = EqualizedLinear(PLACE_NUMBERS, SCALE_WIDTH, activation=True)
            self.shifts = nn.ModuleList(EqualizedLinear(SCALE_WIDTH, width) for _ in channels)
            for shift in cast("list[EqualizedLinear]", self.shifts):
                nn.init.zeros_(shift.weight)

    def forward(self, maps: Sequence[Tensor], places: Tensor | None = None) -> list[Tensor]:
        """Maps (B, C_l, H_l, W_l) to scores (B, 1, h_l, w_l), high where they seem real.

        `places` are scale and center (y, x) of each window, (B, 3), for heads that are told.
        """
        mixed = self.mixing(maps)
        heads = [cast(nn.Sequential, head) for head in self.heads]
        if self.place is None or self.shifts is None or places is None:
            return [head(x) for head, x in zip(heads, mixed, strict=True)]
        place = self.place(place_numbers(places.to(mixed[0])))
        scores = []
        for head, shift, x in zip(heads, self.shifts, mixed, strict=True):
            first = head[0](x) + shift(place)[:, :, None, None]
            scores.append(head[1:](first))
        return scores

    def tighten(self) -> None:
        """Follow the norms of the layers; to be called after each update."""
        for module in self.heads.modules():
            if isinstance(module, SpectralConv2d):
                module.tighten()


def _head(inputs: int, side: int, width: int) -> nn.Sequential:
    """Halve maps until they are small, at least one layer, then score each place."""
    halvings = max(math.ceil(math.log2(side / LARGEST_SCORED)), 0)
    strides = [2] * halvings or [1]
    layers: list[nn.Module] = []
    for stride in strides:
        layers += [SpectralConv2d(inputs, width, stride=stride), nn.LeakyReLU(SLOPE)]
        inputs = width
    return nn.Sequential(*layers, SpectralConv2d(inputs, 1))
