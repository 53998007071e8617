"""Settings of StyleGAN3 and the table of layers that follows from them (appendix C)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from creps.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Band:
    """One signal of the network: how densely it is sampled, and up to which frequency it goes.

    Rates are samples per frame, frequencies cycles per frame.

    Attributes:
        cutoff: where filters pass half.
        half_width: from there to where they pass nothing, aliases of the rate included.
        rate: samples per frame, a power of two.
        margin: samples beyond each border of the picture.
        channels: of the signal.
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
        inputs, outputs: the two signals.
        kernel: samples a side of the convolution.
        to_rgb: whether it only mixes channels to colours: no filters, nothing bent.
        radial: whether its filter downwards is a radial one.
    """

    inputs: Band
    outputs: Band
    kernel: int
    to_rgb: bool
    radial: bool


@dataclass(frozen=True, kw_only=True)
class StyleGAN3Config:
    """Everything that defines a StyleGAN3 network; the defaults are those of configuration T."""

    resolution: int
    """Pixels a side of the pictures it is made for, a power of two, at least 16: what it draws
    where no size is given, and how many pixels a plane unit has in training."""
    img_channels: int = 3
    """Colour channels of the picture."""
    z_dim: int = 512
    """Width of a latent."""
    w_dim: int = 512
    """Width of an intermediate latent and of every style vector."""
    label_dim: int = 0
    """Number of classes; 0 is unconditional."""
    mapping_layers: int = 2
    """Fully connected layers of the mapping network."""
    num_layers: int = 14
    """Layers without the one to colours: their number does not depend on the resolution."""
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
    """Factor on the colours: it makes the last layer start with small steps."""
    clamp: float = 256.0
    """Activations are clipped to [-clamp, clamp]; 0 does not clip, which is a little faster."""
    sampling: Literal["centres"] = "centres"
    """Where pixels lie: at the centres of their areas, as the official networks have it."""

    def __post_init__(self) -> None:
        if self.resolution < 16 or self.resolution & (self.resolution - 1):
            raise ConfigError(f"resolution {self.resolution}: expected a power of two, at least 16")
        for name in ("img_channels", "z_dim", "w_dim", "mapping_layers", "num_layers",
                     "channel_base", "channel_max", "filter_size"):  # fmt: skip
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)}: expected at least 1")
        for name in ("label_dim", "num_critical", "margin_size", "clamp"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} {getattr(self, name)}: expected 0 or more")
        if max(self.mapping_layers, self.num_layers) > 64:
            raise ConfigError("mapping_layers and num_layers: expected at most 64")
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

    @cached_property
    def bands(self) -> tuple[Band, ...]:
        """The signals that the layers make, colours last: num_layers + 1 of them.

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
        """The layers in order, the one to colours last. The first one keeps its signal's band."""
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
