"""Layers shared by the families: equalized learning rate, mapping network, modulated 1x1 layers.

Shapes: B batch, I input and O output channels, P positions (pixels, or line positions times
thickness). Features are (B, channels, P); all layers act on each position alone.
Gains are folded into the small weights: leaky ReLU is positively homogeneous, so
gain * lrelu(W x + b) = lrelu(gain * W x + gain * b).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creps.coordinates import wrapped
from creps.errors import ConfigError, LabelError

SLOPE = 0.2
"""Negative slope of every leaky ReLU (StyleGAN2)."""
GAIN = math.sqrt(2)
"""Keeps the variance through a leaky ReLU."""
EPSILON = 1e-8
LARGEST_RESOLUTION = 2**16
"""Levels and filters grow with it, before any weights are compared."""


def require_power_of_two(size: int, *, name: str = "resolution", least: int) -> None:
    """Refuse a side that a network's levels cannot lead to."""
    if not least <= size <= LARGEST_RESOLUTION or size & (size - 1):
        raise ConfigError(
            f"{name} {size}: expected a power of two, at least {least}, at most "
            f"{LARGEST_RESOLUTION}"
        )


def second_moment_normalized(x: Tensor) -> Tensor:
    """`x` divided by the root mean square of its last axis (StyleGAN2's latent normalization)."""
    return x * (x.square().mean(-1, keepdim=True) + EPSILON).rsqrt()


def one_hot_labels(
    label: Tensor | None, *, batch: int, classes: int, like: Tensor
) -> Tensor | None:
    """Labels as the networks take them: (B, classes), or None for an unconditional model.

    `label` holds (B,) class indices or (B, classes) one-hot (or mixed) rows; the result has the
    device and precision of `like`. Raises a LabelError where labels do not fit the model.
    """
    if not classes:
        if label is not None:
            raise LabelError("labels given, but this model is unconditional: leave them out")
        return None
    if label is None:
        raise LabelError(f"this model has {classes} classes: give a label for each of the {batch}")
    indices = label.ndim == 1 and not label.is_floating_point()
    if label.shape != ((batch,) if indices else (batch, classes)):
        raise LabelError(
            f"labels of shape {tuple(label.shape)}: expected ({batch},) class indices "
            f"or ({batch}, {classes}) one-hot rows"
        )
    if indices:
        unknown = sorted({int(index) for index in label if not 0 <= index < classes})
        if unknown:
            raise LabelError(f"class {unknown[0]} is unknown: expected 0 to {classes - 1}")
        label = F.one_hot(label.long(), classes)
    return label.to(like.device, like.dtype)


def class_number(label: object) -> float:
    """A class as a number, where it or its text is one; NaN elsewhere."""
    try:
        return float(label)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan


@dataclass(frozen=True)
class Waves:
    """Fourier frequencies of coordinates along one axis, in float64: zooms need phases that exact.

    Attributes:
        frequencies: (...) cycles a plane unit; whole cycles a period where there is one.
        period: plane units after which they repeat; 0 where they do not.
        phases: (...) turns at 0, or none.
    """

    frequencies: Tensor
    period: float
    phases: Tensor | None = None

    @classmethod
    def of(cls, frequencies: Tensor, period: float, *, phased: bool = False) -> Waves:
        """Frequencies (...) in cycles a plane unit, or the nearest that have whole waves.

        Rounding passes no gradient: where there is a period, frequencies stay as they were drawn.
        What rounding takes from them, `phased` ones have as phases, which are then as random: if
        all waves began at 0, no place of a period would look like that one.
        """
        exact = frequencies.double()
        if not period:
            return cls(exact, period)
        whole = (exact * period).round()
        return cls(whole, period, exact * period - whole if phased else None)

    def to(self, device: torch.device) -> Waves:
        """The same elsewhere."""
        phases = None if self.phases is None else self.phases.to(device)
        return Waves(self.frequencies.to(device), self.period, phases)

    @property
    def cycles(self) -> Tensor:
        """The frequencies in cycles a plane unit."""
        return self.frequencies / self.period if self.period else self.frequencies

    def turns(self, coords: Tensor) -> Tensor:
        """Phases in turns of coordinates, which broadcast with the frequencies.

        Coordinates whole periods apart have the same phases, to the last bit.
        """
        places = coords.to(self.frequencies)
        if self.period:
            places = wrapped(places, self.period) / self.period
        turns = places * self.frequencies
        return turns if self.phases is None else turns + self.phases


class EqualizedLinear(nn.Module):
    """A fully connected layer with equalized learning rate (Progressive GAN, section 4.1).

    The stored weight has unit variance and is scaled by lr_multiplier / sqrt(I) at run time; with
    `activation` comes a leaky ReLU of gain sqrt(2). `bias_init` is the bias in effect at the start.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        activation: bool = False,
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias_init / lr_multiplier))
        gain = GAIN if activation else 1.0
        self.activation = activation
        self.weight_gain = gain * lr_multiplier / math.sqrt(inputs)
        self.bias_gain = gain * lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """(..., I) to (..., O)."""
        y = F.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)
        return F.leaky_relu_(y, SLOPE) if self.activation else y

    def per_position(self, x: Tensor) -> Tensor:
        """(B, I, P) to (B, O, P)."""
        weight = (self.weight * self.weight_gain).expand(len(x), -1, -1)
        y = torch.baddbmm((self.bias * self.bias_gain)[:, None], weight, x)
        return F.leaky_relu_(y, SLOPE) if self.activation else y


class ModulatedLinear(nn.Module):
    """StyleGAN2's modulated convolution with a 1x1 kernel and no noise (CREPS, section 3.2).

    With `demodulate` a synthesis layer: weights normalized, bias, leaky ReLU, gain sqrt(2); without
    an emitting one ("ToRGB"): style scaled by 1 / sqrt(I), linear output. Output is clipped to
    [-clamp, clamp], 0 does not clip: it matters in half precision (StyleGAN2-ADA, appendix D).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        w_dim: int,
        *,
        demodulate: bool = True,
        clamp: float = 256.0,
    ) -> None:
        super().__init__()
        self.affine = EqualizedLinear(w_dim, inputs, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.demodulate, self.clamp = demodulate, clamp
        self.style_gain = 1.0 if demodulate else 1.0 / math.sqrt(inputs)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Features (B, I, P) and style vectors (B, w_dim) to (B, O, P)."""
        weight: Tensor = self.weight * (self.affine(w) * self.style_gain)[:, None, :]  # (B, O, I)
        bias: Tensor = self.bias
        if self.demodulate:
            weight = weight * (weight.square().sum(2, keepdim=True) + EPSILON).rsqrt() * GAIN
            bias = bias * GAIN
        y = torch.baddbmm(bias[:, None], weight, x)
        if self.demodulate:
            y = F.leaky_relu_(y, SLOPE)
        return y.clamp(-self.clamp, self.clamp) if self.clamp else y

    def blended(self, x: Tensor, w: Tensor, weights: Tensor) -> Tensor:
        """Another mixture of M styles in each place (CIPS, section 4.8).

        The mixed style scales the input channels, s(p) = sum_m weights_m(p) affine(w_m), instead of
        the weights, and the norm of the scaled weights is divided out: rsqrt(W^2 s(p)^2 + eps).
        Features (1, I, P), styles (M, w_dim) and weights (M, P) of sum 1 to (1, O, P).
        """
        style = (self.affine(w) * self.style_gain).T @ weights  # (I, P)
        y = self.weight @ (x[0] * style)
        if self.demodulate:
            y *= (self.weight.square() @ style.square() + EPSILON).rsqrt_() * GAIN
            y = F.leaky_relu_(y + (self.bias * GAIN)[:, None], SLOPE)
        else:
            y = y + self.bias[:, None]
        return (y.clamp(-self.clamp, self.clamp) if self.clamp else y)[None]


def blended_map(maps: Tensor, weights: Tensor) -> Tensor:
    """Each style's map (M, N, P) and its weights (M, P) to the mixed map (1, N, P)."""
    return torch.einsum("mnp,mp->np", maps, weights)[None]


class MappingNetwork(nn.Module):
    """Latents to intermediate latents w: layers of a small learning rate (StyleGAN, section 2)."""

    average: Tensor

    def __init__(self, *, z_dim: int, label_dim: int, w_dim: int, layers: int) -> None:
        super().__init__()
        self.embed = EqualizedLinear(label_dim, w_dim) if label_dim else None
        widths = [z_dim + (w_dim if label_dim else 0)] + [w_dim] * layers
        self.layers = nn.ModuleList(
            EqualizedLinear(i, o, activation=True, lr_multiplier=0.01) for i, o in pairwise(widths)
        )
        self.register_buffer("average", torch.zeros(w_dim))

    def forward(self, z: Tensor, label: Tensor | None) -> Tensor:
        """Latents (B, Z) and one-hot labels (B, label_dim) or None to w (B, w_dim)."""
        x = second_moment_normalized(z.to(self.average.device, self.average.dtype))
        if self.embed is not None:
            x = torch.cat([x, second_moment_normalized(self.embed(label))], dim=1)
        for layer in self.layers:
            x = layer(x)
        return x

    @torch.no_grad()
    def track_average(self, w: Tensor, *, decay: float = 0.998) -> None:
        """Move the average of w, the center of truncation, towards this batch (B, w_dim)."""
        self.average.lerp_(w.mean(0), 1 - decay)
