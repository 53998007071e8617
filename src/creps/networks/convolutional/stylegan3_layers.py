"""The parts of StyleGAN3: Fourier features and alias-free layers (section 3.2, appendix C).

A frame is what `resolution` pixels span: one plane unit where there are so many pixels per unit.
Each signal lies on a lattice of its own rate about the centre of the picture, with a margin of
samples around it.

Shapes: B batch, I input and O output channels, h and w samples of a lattice, M styles that are
mixed (in place of B), S samples of one axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creps.networks.convolutional.alias_free import Resampling, filtered_leaky_relu, low_pass_filter
from creps.networks.convolutional.placements import Placement
from creps.networks.convolutional.stylegan3_config import Band, LayerSpec
from creps.networks.layers import EPSILON, GAIN, EqualizedLinear

Weights = Callable[[Tensor], Tensor]
"""Points (P, 2) of (y, x) to weights (M, P) of M styles, sum 1 at each point."""

PLANE_CENTRE = 0.5
"""The origin of the Fourier features, on both axes: what the learned rotation turns about."""


class FrameInput(nn.Module):
    """Fourier features of the plane, moved and turned as the style wishes.

    Args:
        band: of the features: frequencies are drawn evenly from the disc within its cutoff.
        resolution: pixels per frame.
        w_dim: width of the style vector.
        turn: plane units around a cylinder: features repeat after it along x, exactly, and styles
            move them without turning them. 0 is a flat plane.
    """

    frequencies: Tensor
    phases: Tensor

    def __init__(self, band: Band, *, resolution: int, w_dim: int, turn: float = 0.0) -> None:
        super().__init__()
        self.band, self.resolution, self.turn = band, resolution, turn
        radius = torch.rand(band.channels).sqrt() * band.cutoff
        angle = torch.rand(band.channels) * (2 * math.pi)
        ys, xs = radius * angle.sin(), radius * angle.cos()
        if turn:
            most = math.floor(band.cutoff * turn)
            xs = (xs * turn).round().clamp(-most, most) / turn
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
        moved = self.affine(w)
        # Not every device has float64; what needs it is small.
        exact = moved.double() if moved.device.type != "mps" else moved.cpu().double()
        steps, offset = self._moved(exact)
        centre = [place.centre[axis] - PLANE_CENTRE for axis in (0, 1)]
        offset = offset + steps[0] * centre[0] + steps[1] * centre[1]
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

        Args:
            moved: (B, 4): cosine, sine, shift along x and y, up to the length of the first two.
        """
        ys, xs = self.frequencies.to(moved).unbind(1)
        cosine, sine, dx, dy = (moved / moved[:, :2].norm(dim=1, keepdim=True)).split(1, dim=1)
        if self.turn:  # whole waves per turn, also beyond the digits of float32
            xs = (xs * self.turn).round() / self.turn
            steps = ys.expand(len(moved), -1), xs.expand(len(moved), -1)
        else:
            steps = ys * cosine - xs * sine, xs * cosine + ys * sine
        return steps, self.phases.to(moved) - steps[0] * dy - steps[1] * dx

    def _strength(self, frequency: Tensor) -> Tensor:
        """Fades out what is above the band, where the picture is looked at from afar."""
        band = self.band
        above = (frequency - band.cutoff) / (band.rate / 2 - band.cutoff)
        return (1 - above).clamp(0, 1)

    def _lattice(self, pixels: int) -> Tensor:
        """(S,) places of the samples of an axis, in pixels from the centre."""
        count, spacing = lattice(self.band, pixels, resolution=self.resolution)
        return (torch.arange(count, dtype=torch.float64) - (count - 1) / 2) * spacing


def lattice(band: Band, pixels: int, *, resolution: int) -> tuple[int, float]:
    """Samples of a signal along an axis of the picture, margins included, and pixels between them.

    Args:
        band: the signal.
        pixels: of the picture: as many as whole samples.
        resolution: pixels per frame.
    """
    return pixels * band.rate // resolution + 2 * band.margin, resolution / band.rate


def _sine_cosine(turns: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Of phases in turns, in the precision and on the device of `like`."""
    phase = (turns - turns.detach().round()).to(like) * (2 * math.pi)
    return phase.sin(), phase.cos()


class AliasFreeLayer(nn.Module):
    """Modulated convolution, bias, filtered leaky ReLU; or the mixing of channels to colours.

    The features are scaled instead of the weights, which is the same and serves a batch with one
    convolution. Each picture's weights are normalised by themselves: what official networks
    normalise over the batch cancels.

    Args:
        spec: what it takes and makes.
        resolution: pixels per frame.
        w_dim: width of a style vector.
        filter_size: taps per sample of the slower side.
        activation_up: how much denser samples are while they are bent.
        clamp: activations are clipped to [-clamp, clamp]; 0 does not clip.

    Attributes:
        magnitude: mean square of its input, averaged over training; it is divided out.
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
        """Features of one lattice to those of the next.

        Args:
            x: (B, I, h, w).
            style: (B, I), as `affine` gives it.
            size: (height, width) of the picture in pixels.
        Returns:
            (B, O, h', w'); colours where the layer makes them.
        """
        y = self._convolved(x * style[:, :, None, None])
        scale = self._scale(style)[:, :, None, None]
        return self._bent(torch.addcmul(self._offset(), y, scale), size)

    def blended(self, x: Tensor, styles: Tensor, weights: Tensor, size: tuple[int, int]) -> Tensor:
        """As `forward`, with styles that differ from place to place (one picture).

        A convolution at a place scales each sample around it by that sample's style, and is
        normalised by the style of the place itself.

        Args:
            x: (1, I, h, w).
            styles: (M, I).
            weights: (M, h + k - 1, w + k - 1), on the lattice of x, larger by what the
                convolution of k samples adds.
            size: (height, width) of the picture in pixels.
        """
        border = self.spec.kernel // 2
        around = torch.einsum("mi,mhw->ihw", styles, weights)[None]
        inside = around[:, :, border : around.shape[2] - border, border : around.shape[3] - border]
        y = self._convolved(x * inside)
        if self.spec.to_rgb:
            scale = self._scale(styles)[:1, :, None, None]
            return self._bent(torch.addcmul(self._offset(), y, scale), size)
        power = self.weight.square().sum((2, 3)) @ around.square().flatten(2)
        scale = (power + EPSILON).rsqrt().unflatten(2, around.shape[2:])
        return self._bent(self._offset() + y * scale * (self.magnitude.rsqrt() * GAIN), size)

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

    def _bent(self, y: Tensor, size: tuple[int, int]) -> Tensor:
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
