"""StyleGAN3 (NeurIPS 2021), read top to bottom: pictures that move with their coordinates.

Latent -> styles; plane -> Fourier features that the first style moves and turns -> modulated
convolutions without aliasing, each on its own lattice -> colors. The lattices lie about the center
of the picture, so it can be placed anywhere: any evenly spaced grid is drawn, shifted, scaled,
turned. The network was trained at one scale; for others see `anyres`.

Shapes: B batch, K styles, D width of a style, H and W pixels, L layers with the one to colors, M
styles that are mixed (in place of B), I input and O output channels, h and w samples of a lattice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creps.coordinates import Canvas
from creps.errors import ConfigError
from creps.networks._alias_free import (
    Placement,
    Resampling,
    Vector,
    filtered_leaky_relu,
    low_pass_filter,
    placement_of,
)
from creps.networks._layers import EPSILON, GAIN, EqualizedLinear, Waves, require_power_of_two
from creps.networks.base import Generator, GeneratorConfig, Grid, Weights, as_grid, register_family


@dataclass(frozen=True, kw_only=True)
class Band:
    """One signal of the network: how densely it is sampled, and up to which frequency it goes.

    Filters pass half at the `cutoff`, and nothing `half_width` above it, aliases of the rate
    included; cycles per frame. There are `rate` samples per frame, a power of two, and `margin` of
    them beyond each border of the picture.
    """

    cutoff: float
    half_width: float
    rate: int
    margin: int
    channels: int


@dataclass(frozen=True, kw_only=True)
class LayerSpec:
    """One layer: from the signal it takes to the signal it makes.

    Attributes:
        kernel: samples a side of the convolution.
        to_rgb: whether it only mixes channels to colors: no filters, no activation.
        radial: whether its filter downwards is a radial one.
    """

    inputs: Band
    outputs: Band
    kernel: int
    to_rgb: bool
    radial: bool


_LONGEST_FILTER = 2048
"""Taps; the official networks have up to 48."""


@dataclass(frozen=True, kw_only=True)
class StyleGAN3Config(GeneratorConfig):
    """Everything that defines a StyleGAN3 network; the defaults are those of configuration T."""

    resolution: int
    """Pixels a side of the pictures it is made for, a power of two, at least 16: what it draws
    where no size is given, and how many pixels a plane unit has in training."""
    mapping_layers: int = 2
    """Fully connected layers of the mapping network."""
    num_layers: int = 14
    """Layers without the one to colors: their number does not depend on the resolution."""
    num_critical: int = 2
    """The last layers that use all of the sampling rate, and so may alias a little."""
    channel_base: int = 32768
    """A layer has min(channel_base / 2 / cutoff, channel_max) channels; R takes twice as many."""
    channel_max: int = 512
    """The widest layer; R takes twice as many."""
    kernel: int = 3
    """Samples a side of a convolution: 3 (T), or 1, which knows no directions (R)."""
    radial_filters: bool = False
    """Whether layers that are not critical filter all directions alike (R)."""
    first_cutoff: float = 2.0
    """Cutoff of the first layer, cycles per frame; the last one's is resolution / 2."""
    first_stopband: float = 2**2.1
    """Stopband of the first layer, cycles per frame."""
    last_stopband_rel: float = 2**0.3
    """Stopband of the last layer, as a multiple of its cutoff."""
    filter_size: int = 6
    """Taps of a filter per sample of the slower side."""
    activation_up: int = 2
    """How much denser samples are while they are bent by leaky ReLU, at least."""
    margin_size: int = 10
    """Samples kept beyond the borders of the picture, at each layer's rate."""
    output_scale: float = 0.25
    """Factor on the colors: it makes the last layer start with small steps."""
    clamp: float = 256.0
    """Activations are clipped to [-clamp, clamp]; 0 does not clip, which is a little faster."""
    sampling: Literal["centers"] = "centers"
    """Where pixels lie: at the centers of their areas, as the official networks have it."""

    repeats: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require_power_of_two(self.resolution, least=16)
        self._require_at_least(1, "num_layers", "channel_base", "channel_max", "filter_size")
        self._require_at_least(0, "num_critical", "margin_size", "clamp")
        if self.num_layers > 64:
            raise ConfigError(f"num_layers {self.num_layers}: expected at most 64")
        if self.num_critical >= self.num_layers:
            raise ConfigError(
                f"num_critical {self.num_critical}: expected fewer than the {self.num_layers} "
                "layers"
            )
        if self.kernel not in (1, 3):
            raise ConfigError(f"kernel {self.kernel}: expected 1 or 3")
        if self.activation_up not in (2, 4):
            raise ConfigError(f"activation_up {self.activation_up}: expected 2 or 4")
        self._check_frequencies()
        self._check_filters()

    def _check_frequencies(self) -> None:
        last = self.resolution / 2
        if not 0 < self.first_cutoff < last:
            raise ConfigError(f"first_cutoff {self.first_cutoff}: expected 0 to {last:g}")
        if not self.first_cutoff < self.first_stopband < last * self.last_stopband_rel < math.inf:
            raise ConfigError(
                f"first_stopband {self.first_stopband:g}, last_stopband_rel "
                f"{self.last_stopband_rel:g}: expected stopbands above the cutoffs that rise to "
                "the last one"
            )
        if self.last_stopband_rel < 1:
            raise ConfigError(f"last_stopband_rel {self.last_stopband_rel}: expected at least 1")

    def _check_filters(self) -> None:
        """Refuse filters that no layer needs: their memory is taken before any weights are read."""
        rates = [band.rate for band in self.bands]
        steps = max(max(a, b) // min(a, b) for a, b in pairwise(rates))
        taps = self.filter_size * self.activation_up * steps
        if taps > _LONGEST_FILTER:
            raise ConfigError(
                f"filter_size {self.filter_size}, num_layers {self.num_layers}: expected filters "
                f"of at most {_LONGEST_FILTER} taps, not {taps}"
            )

    @cached_property
    def bands(self) -> tuple[Band, ...]:
        """The signals that the layers make, colors last: num_layers + 1 of them.

        Cutoffs and stopbands rise geometrically up to the critical layers.
        """
        last_cutoff = self.resolution / 2
        last_stopband = last_cutoff * self.last_stopband_rel
        bands = []
        for index in range(self.num_layers + 1):
            share = min(index / (self.num_layers - self.num_critical), 1.0)
            cutoff = self.first_cutoff * (last_cutoff / self.first_cutoff) ** share
            stopband = self.first_stopband * (last_stopband / self.first_stopband) ** share
            rate = 2 ** math.ceil(math.log2(min(stopband * 2, self.resolution)))
            band = Band(
                cutoff=cutoff,
                half_width=max(stopband, rate / 2) - cutoff,
                rate=rate,
                margin=self.margin_size if index < self.num_layers - 1 else 0,
                channels=max(round(min(self.channel_base / 2 / cutoff, self.channel_max)), 1)
                if index < self.num_layers
                else self.img_channels,
            )
            bands.append(band)
        return tuple(bands)

    @property
    def layers(self) -> list[LayerSpec]:
        """The layers in order, the one to colors last. The first one keeps its signal's band."""
        critical = self.num_layers - self.num_critical
        return [
            LayerSpec(
                inputs=self.bands[max(index - 1, 0)],
                outputs=band,
                kernel=1 if index == self.num_layers else self.kernel,
                to_rgb=index == self.num_layers,
                radial=self.radial_filters and index < critical,
            )
            for index, band in enumerate(self.bands)
        ]

    @property
    def stride(self) -> int:
        """Pixels per sample of the coarsest lattice: pictures are made of so large steps."""
        return self.resolution // self.bands[0].rate


def _preset(resolution: int, *, radial: bool = False) -> StyleGAN3Config:
    """The published networks; up to 256 px with half of the channels."""
    base = 16384 if resolution <= 256 else 32768
    if not radial:
        return StyleGAN3Config(resolution=resolution, channel_base=base)
    return StyleGAN3Config(
        resolution=resolution,
        channel_base=2 * base,
        channel_max=1024,
        kernel=1,
        radial_filters=True,
    )


_SMALL = StyleGAN3Config(
    resolution=32, z_dim=128, w_dim=128, num_layers=8, channel_base=1024, channel_max=64, clamp=0.0
)

STYLEGAN3_PRESETS = {
    **{f"stylegan3-t-{r}": _preset(r) for r in (256, 512, 1024)},
    **{f"stylegan3-r-{r}": _preset(r, radial=True) for r in (256, 512, 1024)},
    "stylegan3-small-32": _SMALL,
    "stylegan3-small-64": replace(_SMALL, resolution=64, channel_base=2048),
}
"""The published networks (T and R; half of the channels at 256 px), and small ones for a CPU."""


# A frame is what `resolution` pixels span: one plane unit at that many pixels per unit.
# Each signal lies on a lattice with its own rate about the center of the picture, with a margin of
# samples around it.

PLANE_CENTER = 0.5
"""The origin of the Fourier features, on both axes: what the learned rotation turns about."""


class FrameInput(nn.Module):
    """Fourier features of the plane, moved and turned by the style (section 3.2).

    Frequencies are drawn evenly from the disc within the band's cutoff. Along an axis with a period
    they have whole waves in it; then styles move the features without turning them.
    """

    frequencies: Tensor
    phases: Tensor

    def __init__(
        self,
        band: Band,
        *,
        resolution: int,
        w_dim: int,
        period: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        super().__init__()
        self.band, self.resolution, self.period = band, resolution, period
        radius = torch.rand(band.channels).sqrt() * band.cutoff
        angle = torch.rand(band.channels) * (2 * math.pi)
        ys, xs = radius * angle.sin(), radius * angle.cos()
        ys, xs = (
            (axis * each).round().clamp(-(most := math.floor(band.cutoff * each)), most) / each
            if each
            else axis
            for axis, each in zip((ys, xs), period, strict=True)
        )
        self.register_buffer("frequencies", torch.stack([ys, xs], dim=1))  # cycles per plane unit
        self.register_buffer("phases", torch.rand(band.channels) - 0.5)  # turns
        self.weight = nn.Parameter(torch.randn(band.channels, band.channels))
        self.affine = EqualizedLinear(w_dim, 4)
        with torch.no_grad():  # no rotation and no shift to begin with
            self.affine.weight.zero_()
            self.affine.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))

    def forward(self, w: Tensor, place: Placement) -> Tensor:
        """Style vectors (B, w_dim) and pixels of the plane to features (B, C, h, w)."""
        waves = self._waves(w, place)
        mixed: Tensor = (self.weight / math.sqrt(len(self.weight))) @ waves.flatten(2)
        return mixed.unflatten(2, waves.shape[2:])

    def _waves(self, w: Tensor, place: Placement) -> Tensor:
        """Sines (B, C, h, w). A phase is one of its row and one of its column, in float64."""
        with torch.autocast(w.device.type, enabled=False):  # half of the digits would move in steps
            moved = self.affine(w.to(self.affine.weight))
        # Not every device has float64; what needs it is small.
        exact = moved.double() if moved.device.type != "mps" else moved.cpu().double()
        steps, offset = self._moved(exact)
        center = [place.center[axis] - PLANE_CENTER for axis in (0, 1)]
        offset = offset + steps[0] * center[0] + steps[1] * center[1]
        per_row = steps[0] * place.down[0] + steps[1] * place.down[1]  # (B, C) turns per pixel
        per_column = steps[0] * place.across[0] + steps[1] * place.across[1]
        rows, columns = (
            self._lattice(pixels).to(exact.device) for pixels in (place.height, place.width)
        )
        row_turns = offset[:, :, None] + per_row[:, :, None] * rows  # (B, C, h)
        column_turns = per_column[:, :, None] * columns
        frequency = torch.hypot(per_row, per_column) * self.resolution  # cycles per frame
        (sin_r, cos_r), (sin_c, cos_c) = (
            _sine_cosine(turns, self.weight) for turns in (row_turns, column_turns)
        )
        strength = self._strength(frequency).to(self.weight)[:, :, None]
        sin_c, cos_c = sin_c * strength, cos_c * strength
        return sin_r[..., None] * cos_c[:, :, None] + cos_r[..., None] * sin_c[:, :, None]

    def _moved(self, moved: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Frequencies ((B, C), (B, C)) of (y, x) and phases (B, C), as styles turn and move them.

        `moved` (B, 4): cosine, sine, shift along x and y, up to the length of the first two.
        """
        ys, xs = self.frequencies.to(moved).unbind(1)
        cosine, sine, dx, dy = (moved / moved[:, :2].norm(dim=1, keepdim=True)).split(1, dim=1)
        if any(self.period):  # whole waves, also beyond the digits of float32
            ys, xs = (
                Waves.of(axis, each).cycles
                for axis, each in zip((ys, xs), self.period, strict=True)
            )
            steps = ys.expand(len(moved), -1), xs.expand(len(moved), -1)
        else:
            steps = ys * cosine - xs * sine, xs * cosine + ys * sine
        return steps, self.phases.to(moved) - steps[0] * dy - steps[1] * dx

    def _strength(self, frequency: Tensor) -> Tensor:
        """Fades out what is above the band, where the picture is reduced."""
        band = self.band
        above = (frequency - band.cutoff) / (band.rate / 2 - band.cutoff)
        return (1 - above).clamp(0, 1)

    def _lattice(self, pixels: int) -> Tensor:
        """(S,) places of the samples of an axis, in pixels from the center."""
        count, spacing = lattice(self.band, pixels, resolution=self.resolution)
        return (torch.arange(count, dtype=torch.float64) - (count - 1) / 2) * spacing


def lattice(band: Band, pixels: int, *, resolution: int) -> tuple[int, float]:
    """Samples of a signal along an axis of pixels, margins included, and their spacing."""
    return pixels * band.rate // resolution + 2 * band.margin, resolution / band.rate


def _sine_cosine(turns: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Of phases in turns, in the precision and on the device of `like`."""
    phase = (turns - turns.detach().round()).to(like) * (2 * math.pi)
    return phase.sin(), phase.cos()


class AliasFreeLayer(nn.Module):
    """Modulated convolution, bias, filtered leaky ReLU; or the mixing of channels to colors.

    The features are scaled instead of the weights, which is the same and serves a batch with one
    convolution. Each picture's weights are normalized by themselves: what official networks
    normalize over the batch cancels. `magnitude`, the mean square of its input averaged over
    training, is divided out.
    """

    magnitude: Tensor
    up_filter: Tensor
    down_filter: Tensor

    def __init__(
        self,
        spec: LayerSpec,
        *,
        resolution: int,
        w_dim: int,
        filter_size: int,
        activation_up: int,
        clamp: float,
    ) -> None:
        super().__init__()
        self.spec, self.resolution, self.clamp = spec, resolution, clamp
        inputs, outputs = spec.inputs, spec.outputs
        self.affine = EqualizedLinear(w_dim, inputs.channels, bias_init=1.0)
        shape = outputs.channels, inputs.channels, spec.kernel, spec.kernel
        self.weight = nn.Parameter(torch.randn(shape))
        self.bias = nn.Parameter(torch.zeros(outputs.channels))
        self.register_buffer("magnitude", torch.ones(()))
        if spec.to_rgb:
            return
        rate = max(inputs.rate, outputs.rate) * activation_up
        up, down = rate // inputs.rate, rate // outputs.rate
        self.resampling = Resampling(up=up, down=down)
        for name, band, taps, radial in (
            ("up_filter", inputs, filter_size * up, False),
            ("down_filter", outputs, filter_size * down, spec.radial),
        ):
            kernel = low_pass_filter(
                taps, cutoff=band.cutoff, width=2 * band.half_width, rate=rate, radial=radial
            )
            self.register_buffer(name, kernel)

    def forward(self, x: Tensor, style: Tensor, size: tuple[int, int]) -> Tensor:
        """Features (B, I, h, w) of one lattice to (B, O, h', w') of the next.

        `style` (B, I) is as `affine` gives it, `size` the picture's (height, width) in pixels.
        """
        y = self._convolved(x * style[:, :, None, None])
        scale = self._scale(style)[:, :, None, None]
        return self._activated(torch.addcmul(self._offset(), y, scale), size)

    def blended(self, x: Tensor, styles: Tensor, weights: Tensor, size: tuple[int, int]) -> Tensor:
        """As `forward`, with styles that differ from place to place (one picture).

        A convolution at a place scales each sample around it by that sample's style, and is
        normalized by the style of the place itself. Features (1, I, h, w) and styles (M, I) with
        weights (M, h + k - 1, w + k - 1), larger by what the convolution of k samples adds.
        """
        border = self.spec.kernel // 2
        around = torch.einsum("mi,mhw->ihw", styles, weights)[None]
        inside = around[:, :, border : around.shape[2] - border, border : around.shape[3] - border]
        y = self._convolved(x * inside)
        if self.spec.to_rgb:
            scale = self._scale(styles)[:1, :, None, None]
            return self._activated(torch.addcmul(self._offset(), y, scale), size)
        power = self.weight.square().sum((2, 3)) @ around.square().flatten(2)
        scale = (power + EPSILON).rsqrt().unflatten(2, around.shape[2:])
        return self._activated(self._offset() + y * scale * (self.magnitude.rsqrt() * GAIN), size)

    def _convolved(self, x: Tensor) -> Tensor:
        """All results that a sample has a part in: (B, O, h + k - 1, w + k - 1)."""
        return F.conv2d(x, self.weight, padding=self.spec.kernel - 1)

    def _scale(self, style: Tensor) -> Tensor:
        """(B, O) factors of the convolution's results."""
        gain = self.magnitude.rsqrt()
        if self.spec.to_rgb:
            gain = gain / math.sqrt(self.spec.inputs.channels)
            return gain.expand(len(style), len(self.weight))
        power = style.square() @ self.weight.square().sum((2, 3)).T
        return (power + EPSILON).rsqrt() * (gain * GAIN)

    def _offset(self) -> Tensor:
        return (self.bias if self.spec.to_rgb else self.bias * GAIN)[:, None, None]

    def _activated(self, y: Tensor, size: tuple[int, int]) -> Tensor:
        if self.spec.to_rgb:
            return y.clamp(-self.clamp, self.clamp) if self.clamp else y
        height, width = (lattice(self.spec.outputs, n, resolution=self.resolution)[0] for n in size)
        return filtered_leaky_relu(
            y,
            (self.up_filter, self.down_filter),
            resampling=self.resampling,
            size=(height, width),
            clamp=self.clamp,
        )


MARGIN_STRIDES = 3
"""Context of a tile, in samples of the coarsest lattice."""

MAGNITUDE_HALF_LIFE = 20_000
"""Training images after which half of a measured magnitude is forgotten."""


@register_family("stylegan3", StyleGAN3Config)
class StyleGAN3(Generator):
    """The StyleGAN3 generator, configurations T and R.

    Its lattices lie fixed on the plane, so that tiles of a picture agree; on a grid of exactly
    `resolution` x `resolution` pixels they lie about the grid's own center, as in training.
    """

    config: StyleGAN3Config
    blends = True
    tracks_magnitudes = True

    def __init__(self, config: StyleGAN3Config) -> None:
        super().__init__(config, num_styles=config.num_layers + 2)
        resolution, w_dim = config.resolution, config.w_dim
        self.margin = MARGIN_STRIDES * config.stride
        self.input = FrameInput(
            config.bands[0], resolution=resolution, w_dim=w_dim, period=config.period
        )
        self.layers = nn.ModuleList(
            AliasFreeLayer(
                spec,
                resolution=resolution,
                w_dim=w_dim,
                filter_size=config.filter_size,
                activation_up=config.activation_up,
                clamp=config.clamp,
            )
            for spec in config.layers
        )

    def synthesize(self, styles: Tensor, grid: Grid | Canvas) -> Tensor:
        """The picture of `styles` on an evenly spaced grid of any size and place.

        Args:
            styles: (B, K, D) from `map`.
            grid: an `AxisGrid` with constant steps, or a `PointGrid` that is an affine image of
                one (turned, sheared).
        Returns:
            (B, C, H, W), nominal range [-1, 1].
        Raises:
            GridError: for any other grid.
        """
        return self._drawn(styles, self._placed(as_grid(grid)))

    def synthesize_measured(self, styles: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
        magnitudes: list[Tensor] = []
        image = self._drawn(styles, self._placed(grid), magnitudes)
        return image, torch.stack(magnitudes)

    @torch.no_grad()
    def track_magnitudes(self, magnitudes: Tensor, *, images: int) -> None:
        """As the base says; half of a magnitude is forgotten after 20,000 images."""
        share = 1 - 0.5 ** (images / MAGNITUDE_HALF_LIFE)
        for layer, measured in zip(self._layers(), magnitudes, strict=True):
            layer.magnitude.lerp_(measured.to(layer.magnitude), share)

    def blend(
        self,
        styles: Tensor,
        grid: Grid,
        *,
        weights: Weights,
        origins: Sequence[Vector] | None = None,
    ) -> Tensor:
        """Any-resolution GAN, section 6: landscapes without an end; w differs in each place."""
        self._check_styles(styles)
        place = self._placed(grid)
        frame, (top, left) = self._frame(place)
        layers = list(self._layers())
        band = layers[0].spec.inputs
        # The first lattice reaches farthest: what weighs nothing on it is nowhere to be seen.
        border = max(layer.spec.kernel for layer in layers) - 1
        present = (
            self._map_on(frame, band, weights, border=border).flatten(1).any(1).nonzero()[:, 0]
        )
        styles = styles[present.to(styles.device)]
        moved = [frame if origins is None else frame.moved(origins[k]) for k in present.tolist()]
        maps = self._map_on(frame, band, weights)[present].to(styles)
        features = [
            self.input(style[None, 0], own) for style, own in zip(styles, moved, strict=True)
        ]
        x = (torch.cat(features) * maps[:, None]).sum(0, keepdim=True)
        for layer, style in zip(layers, self._layer_styles(styles, place), strict=True):
            border = layer.spec.kernel - 1
            maps = self._map_on(frame, layer.spec.inputs, weights, border=border)[present]
            x = layer.blended(x, style, maps.to(x), (frame.height, frame.width))
        return self._cropped(x, place, top, left)

    def _map_on(self, frame: Placement, band: Band, weights: Weights, *, border: int = 0) -> Tensor:
        """(M, h, w) weights on the lattice of a signal, larger by `border` samples an axis."""
        (rows, spacing), (columns, _) = (
            lattice(band, n, resolution=self.config.resolution) for n in (frame.height, frame.width)
        )
        shape = rows + border, columns + border
        return weights(frame.points(*shape, spacing=spacing)).unflatten(1, shape)

    def _placed(self, grid: Grid) -> Placement:
        return placement_of(grid, resolution=self.config.resolution)

    def _drawn(
        self, styles: Tensor, place: Placement, magnitudes: list[Tensor] | None = None
    ) -> Tensor:
        self._check_styles(styles)
        frame, (top, left) = self._frame(place)
        x = self.input(styles[:, 0], frame)
        for layer, style in zip(self._layers(), self._layer_styles(styles, place), strict=True):
            if magnitudes is not None:
                magnitudes.append(x.detach().square().mean())
            x = layer(x, style, (frame.height, frame.width))
        return self._cropped(x, place, top, left)

    def _layer_styles(self, styles: Tensor, place: Placement) -> list[Tensor]:
        """The style (B, I) of each layer; the first of the K vectors is the input's."""
        vectors = styles.unbind(1)[1:]
        return [layer.affine(w) for layer, w in zip(self._layers(), vectors, strict=True)]

    def _layers(self) -> Iterable[AliasFreeLayer]:
        return cast("Iterable[AliasFreeLayer]", self.layers)

    def _frame(self, place: Placement) -> tuple[Placement, tuple[int, int]]:
        """The pixels that are computed, and how many of them lie above and left of `place`."""
        resolution, stride = self.config.resolution, self.config.stride
        if (place.height, place.width) == (resolution, resolution):
            return place, (0, 0)
        top, left = place.on_lattice(stride)
        height, width = (-(-n // stride) * stride for n in (top + place.height, left + place.width))
        return place.part(-top, -left, height=height, width=width), (top, left)

    def _cropped(self, x: Tensor, place: Placement, top: int, left: int) -> Tensor:
        if x.shape[2:] != (place.height, place.width):
            x = x[:, :, top : top + place.height, left : left + place.width]
        return x * self.config.output_scale
