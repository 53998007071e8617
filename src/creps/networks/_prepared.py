"""A network of lines prepared for the pictures of one latent: constants folded once, then in place.

The same network as `creps.Creps`, its plain twin, with everything done once that does not depend on
coordinates: weights are modulated and demodulated, every gain is in the weights and biases (leaky
ReLU is positively homogeneous), and lines leave their layer at the scale at which they meet. What
remains runs without autograd and in place between two buffers a thread, over as many positions at a
time as a core's cache holds: fresh memory for every layer costs more than the arithmetic.

Shapes: B batch, C color channels, L levels, N channels of a line, D thickness, S samples along an
axis, H and W rows and columns, P positions (line samples times thickness, or pixels), I input and O
output channels of a layer. Features are (channels, P).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creps.coordinates import wrapped
from creps.networks._layers import (
    EPSILON,
    GAIN,
    SLOPE,
    EqualizedLinear,
    ModulatedLinear,
    Waves,
)

Axis = Literal["rows", "columns"]

AddMap = Callable[[int, Tensor], object]
"""Adds the composed map F of a level (0 .. L - 1) to features (N, P), in place."""

LINE_POSITIONS = 1024
"""Line samples times thickness computed at once on a CPU: below, reading the weights shows."""
PIXELS = 2048
"""Pixels composed at once on a CPU: 128 channels are 1 MiB. Measured with the 512 preset on a core
with 1 MiB of level 2 cache: half as many cost a twelfth more, for the calls; 4,096 are alike."""
ACCELERATOR_POSITIONS = 2**17
"""Either, on an accelerator: enough to fill it, a few hundred MiB of features."""


def coordinate_device(device: torch.device) -> torch.device:
    """Where to compute with plane coordinates for a network on a device: the nearest float64.

    Example:
        >>> coordinate_device(torch.device("mps"))
        device(type='cpu')
    """
    return torch.device("cpu") if device.type == "mps" else device


class Prepared:
    """What `Generator.prepare` returns: the two halves of a picture, also for free points.

    Any number of threads may use one: each has its own buffers. On a CPU, give each thread one
    of torch's (`torch.set_num_threads(1)`) and a share of the picture.

    Args:
        num_levels: L.
        source: what the Fourier features are multiplied by (C4, 2D).
        waves: the Fourier frequencies (C4 / 2, 1, D) along each axis.
        blocks, decoders, to_rgb, refinement: layers folded where the generator is.
        device: where it is to work. Phases are float64 in any case.
        dtype: of weights, lines and features; colors are at least float32.
    """

    @torch.inference_mode()
    def __init__(
        self,
        num_levels: int,
        source: Tensor,
        *,
        waves: Mapping[Axis, Waves],
        blocks: list[FoldedBlock],
        decoders: list[list[Folded]],
        to_rgb: Folded,
        refinement: list[FoldedBlock],
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.num_levels, self.thickness = num_levels, source.shape[1] // 2
        self.line_channels, self.img_channels = to_rgb.weight.shape[1], len(to_rgb.weight)
        self.device, self.dtype = device, dtype
        self.color_dtype = torch.promote_types(dtype, torch.float32)
        on_cpu = self.device.type == "cpu"
        self._line_positions = LINE_POSITIONS if on_cpu else ACCELERATOR_POSITIONS
        self._pixels = PIXELS if on_cpu else ACCELERATOR_POSITIONS
        self._thread = threading.local()
        # Phases are computed where there is float64.
        self.waves = {axis: own.to(coordinate_device(device)) for axis, own in waves.items()}
        self._input_style = source.to(device, dtype)  # (C4, 2D), rows' columns first
        self._blocks = [block.to(device, dtype) for block in blocks]
        self._decoders = [[layer.to(device, dtype) for layer in each] for each in decoders]
        self._to_rgb = to_rgb.to(device, dtype)
        self._refinement = [block.to(device, dtype) for block in refinement]

    @property
    def line_flops(self) -> int:
        """Operations (two a multiply-add) for the lines of one coordinate, every level's."""
        return 2 * self.thickness * _weights(self._line_layers())

    @property
    def pixel_flops(self) -> int:
        """Operations for one pixel: compositions, decoders, color and refinement."""
        composed = self.num_levels * self.line_channels * self.thickness
        return 2 * (composed + _weights(self._pixel_layers()))

    @property
    def nbytes(self) -> int:
        """Bytes of all weights, folded."""
        layers = [*self._line_layers(), *self._pixel_layers()]
        held = sum(layer.weight.nbytes + layer.bias.nbytes for layer in layers)
        # Rows and columns share theirs, unless they have other periods.
        parts = [t for w in self.waves.values() for t in (w.frequencies, w.phases)]
        held += sum({t.data_ptr(): t.nbytes for t in parts if t is not None}.values())
        return held + self._input_style.nbytes

    def on_first_period(self, points: Tensor) -> Tensor:
        """Points (P, 2) of (y, x) less whole periods, in float64 where coordinates are computed."""
        down, across = self.waves["rows"], self.waves["columns"]
        ys, xs = points.to(down.frequencies).unbind(1)
        if not (down.period or across.period):
            return points.to(down.frequencies)
        return torch.stack([wrapped(ys, down.period), wrapped(xs, across.period)], dim=1)

    @torch.inference_mode()
    def lines(self, coords: Tensor, axis: Axis, *, out: Tensor | None = None) -> Tensor:
        """(L, N, S, D) lines of plane coordinates (S,), as `Generator.lines`; in `out` if given."""
        if out is None:
            shape = self.num_levels, self.line_channels, len(coords), self.thickness
            out = torch.empty(shape, dtype=self.dtype, device=self.device)
        step = max(self._line_positions // self.thickness, 1)
        for first in range(0, len(coords), step):
            part = slice(first, first + step)
            self._fill_lines(coords[part], axis, out[:, :, part])
        return out

    @torch.inference_mode()
    def compose(
        self, row_lines: Tensor, column_lines: Tensor, *, out: Tensor | None = None
    ) -> Tensor:
        """(C, H, W) where rows (L, N, H, D) meet columns (L, N, W, D); in `out` if given (eq. 3-6).

        Lines may be parts along H and W; colors are of `color_dtype`, in [-1, 1], not clipped.
        """
        height, width = row_lines.shape[2], column_lines.shape[2]
        if out is None:
            out = self._empty_colors(height, width)
        across = min(width, self._pixels)
        down = max(self._pixels // max(across, 1), 1)
        for top in range(0, height, down):
            rows = row_lines[:, :, top : top + down]
            for left in range(0, width, across):
                columns = column_lines[:, :, left : left + across]
                part = out[:, top : top + down, left : left + across]
                part.copy_(self._outer(rows, columns).view_as(part))
        return out

    @torch.inference_mode()
    def compose_points(self, row_lines: Tensor, column_lines: Tensor) -> Tensor:
        """Colors (C, P) of free points: each has a row and a column line, both (L, N, P, D)."""
        out = self._empty_colors(row_lines.shape[2])
        for first in range(0, out.shape[1], self._pixels):
            part = slice(first, first + self._pixels)
            out[:, part] = self._inner(row_lines[:, :, part], column_lines[:, :, part])
        return out

    @torch.inference_mode()
    def color(self, add_map: AddMap, pixels: int) -> Tensor:
        """Colors (C, P) of maps from anywhere: eq. 4-6, color and refinement.

        `add_map` is called once a level, in order. All features of P pixels exist at once: on a CPU
        a thousand or so are best.
        """
        buffers = self._buffers()
        fused = buffers.other(self.line_channels, pixels).zero_()
        for level in range(self.num_levels):
            if level and self._decoders:
                fused = buffers.through(self._decoders[level - 1], fused)
            add_map(level, fused)
        if self._decoders:
            fused = buffers.through(self._decoders[-1], fused)
        rgb = self._to_rgb(fused).to(self.color_dtype)
        for block in self._refinement:
            fused = buffers.through(block.layers, fused)
            assert block.emit is not None
            rgb += block.emit(fused)
        return rgb

    def _line_layers(self) -> list[Folded]:
        return [layer for block in self._blocks for layer in block.all]

    def _pixel_layers(self) -> list[Folded]:
        decoders = [layer for decoder in self._decoders for layer in decoder]
        refinement = [layer for block in self._refinement for layer in block.all]
        return [*decoders, self._to_rgb, *refinement]

    def _outer(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Colors (C, H * W) of rows (L, N, H, D) and columns (L, N, W, D)."""
        height, width = rows.shape[2], columns.shape[2]

        def add_map(level: int, fused: Tensor) -> None:
            fused.view(-1, height, width).baddbmm_(rows[level], columns[level].mT)  # eq. 3

        return self.color(add_map, height * width)

    def _inner(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Colors (C, P) of rows and columns (L, N, P, D) that come in pairs."""

        def add_map(level: int, fused: Tensor) -> None:
            fused += (rows[level] * columns[level]).sum(2)

        return self.color(add_map, rows.shape[2])

    def _fill_lines(self, coords: Tensor, axis: Axis, out: Tensor) -> None:
        """Lines of few coordinates (S,) into `out` (L, N, S, D)."""
        buffers = self._buffers()
        x = self._waves(coords, axis, buffers)
        total: Tensor | None = None
        level = self.num_levels - sum(block.emit is not None for block in self._blocks)
        for block in self._blocks:
            x = buffers.through(block.layers, x)
            if block.emit is not None:
                emitted = block.emit(x)
                total = emitted if total is None else total.add_(emitted)
                if level >= 0:
                    out[level] = total.view(out.shape[1:])
                level += 1

    def _waves(self, coords: Tensor, axis: Axis, buffers: _Buffers) -> Tensor:
        """Styled Fourier features (C4, S * D), their phases taken in float64."""
        thickness, half = self.thickness, len(self._input_style) // 2
        turns = self.waves[axis].turns(coords[:, None])
        turns = turns.sub_(turns.round()).mul_(2 * math.pi)
        phase = turns.to(self.color_dtype).to(self.device).flatten(1)
        waves = buffers.other(2 * half, phase.shape[1])
        if phase.dtype == waves.dtype:
            torch.sin(phase, out=waves[:half])
            torch.cos(phase, out=waves[half:])
        else:  # half precision is enough for waves, not for their phases
            waves[:half], waves[half:] = phase.sin(), phase.cos()
        own = slice(None, thickness) if axis == "rows" else slice(thickness, None)
        waves.unflatten(1, (-1, thickness)).mul_(self._input_style[:, None, own])
        return waves

    def _buffers(self) -> _Buffers:
        """The calling thread's own."""
        if not hasattr(self._thread, "buffers"):
            self._thread.buffers = _Buffers(self._to_rgb.weight)
        buffers: _Buffers = self._thread.buffers
        return buffers

    def _empty_colors(self, *size: int) -> Tensor:
        shape = self.img_channels, *size
        return torch.empty(shape, dtype=self.color_dtype, device=self.device)


class Folded(NamedTuple):
    """One layer: y = clip(activation(weight x + bias)), (O, I) and (O, 1), gains included."""

    weight: Tensor
    bias: Tensor
    active: bool
    clamp: float

    @classmethod
    def linear(cls, layer: EqualizedLinear) -> Folded:
        """An unmodulated layer."""
        weight, bias = layer.weight * layer.weight_gain, layer.bias[:, None] * layer.bias_gain
        return cls(weight, bias, active=layer.activation, clamp=0.0)

    @classmethod
    def modulated(cls, layer: ModulatedLinear, w: Tensor, *, scale: float = 1.0) -> Folded:
        """A modulated layer for one style vector, its output multiplied by `scale`."""
        weight = layer.weight * (affine_of(layer.affine, w) * layer.style_gain)
        gain = scale
        if layer.demodulate:
            weight *= (weight.square().sum(1, keepdim=True) + EPSILON).rsqrt_()
            gain *= GAIN
        bias = layer.bias[:, None] * gain
        return cls(weight.mul_(gain), bias, active=layer.demodulate, clamp=layer.clamp * scale)

    def __call__(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """(I, P) to (O, P), in `out` if given."""
        y = torch.addmm(self.bias, self.weight, x, out=out)
        if self.active:
            F.leaky_relu_(y, SLOPE)
        return y.clamp_(-self.clamp, self.clamp) if self.clamp else y

    def to(self, device: torch.device, dtype: torch.dtype) -> Folded:
        """The same layer elsewhere."""
        return self._replace(weight=self.weight.to(device, dtype), bias=self.bias.to(device, dtype))


@dataclass(frozen=True)
class FoldedBlock:
    """Layers one after the other, and what the features emit at the end: lines, or color."""

    layers: list[Folded]
    emit: Folded | None

    @classmethod
    def of(
        cls,
        layers: nn.ModuleList,
        styles: Tensor,
        emit: ModulatedLinear | None,
        w: Tensor,
        *,
        scale: float = 1.0,
    ) -> FoldedBlock:
        """Layers with a style each (rows of `styles`); what they emit takes `w`."""
        modulated = cast("Iterable[ModulatedLinear]", layers)
        folded = [
            Folded.modulated(layer, own) for layer, own in zip(modulated, styles, strict=False)
        ]
        return cls(folded, None if emit is None else Folded.modulated(emit, w, scale=scale))

    @property
    def all(self) -> list[Folded]:
        """All of its layers."""
        return self.layers if self.emit is None else [*self.layers, self.emit]

    def to(self, device: torch.device, dtype: torch.dtype) -> FoldedBlock:
        """The same block elsewhere."""
        emit = None if self.emit is None else self.emit.to(device, dtype)
        return FoldedBlock([layer.to(device, dtype) for layer in self.layers], emit)


class _Buffers:
    """Two stretches of memory that features move between, layer by layer."""

    def __init__(self, like: Tensor) -> None:
        self._memory = [like.new_empty(0), like.new_empty(0)]

    def other(self, channels: int, positions: int) -> Tensor:
        """(channels, positions) of the half not returned last time; contents undefined."""
        self._memory.reverse()
        size = channels * positions
        if self._memory[0].numel() < size:
            self._memory[0] = self._memory[0].new_empty(size)
        return self._memory[0][:size].view(channels, positions)

    def through(self, layers: list[Folded], x: Tensor) -> Tensor:
        """Features after the layers, from one stretch to the other and back."""
        for layer in layers:
            x = layer(x, self.other(layer.weight.shape[0], x.shape[1]))
        return x


def _weights(layers: Iterable[Folded]) -> int:
    return sum(layer.weight.numel() for layer in layers)


def affine_of(layer: EqualizedLinear, w: Tensor) -> Tensor:
    """`layer(w)` for one vector, without a scaled copy of its weight (34 MB at the input)."""
    return torch.mv(layer.weight, w) * layer.weight_gain + layer.bias * layer.bias_gain
