"""CREPS: column-row entangled pixel synthesis (CVPR 2023), read top to bottom.

Latent -> styles; row and column coordinates -> Fourier features -> modulated layers that emit thick
row and column lines at every level (section 3.3); lines -> 2-D maps by dot products over the
thickness (eq. 3) -> fused by decoders (eq. 4-6) -> color and two refinement blocks (Fig. 2c).
No spatial convolution anywhere: each pixel depends on its coordinates and the styles alone.

Shapes: B batch, C channels, L levels that emit lines, N channels of a line, D thickness,
H and W row and column positions, P = H * W pixels (or S * D line samples).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from creps.coordinates import AxisGrid, Canvas
from creps.errors import ConfigError
from creps.networks._layers import (
    EqualizedLinear,
    ModulatedLinear,
    Waves,
    blended_map,
    require_power_of_two,
)
from creps.networks._prepared import Folded, FoldedBlock, affine_of
from creps.networks.base import (
    Axis,
    Generator,
    GeneratorConfig,
    Grid,
    Prepared,
    Weights,
    as_grid,
    blended_parts,
    coordinate_device,
    points_of,
    register_family,
)

Composition = Literal["layerwise", "sum", "once", "dense"]


@dataclass(frozen=True, kw_only=True)
class CrepsConfig(GeneratorConfig):
    """Everything that defines a CREPS network."""

    resolution: int
    """The natural size in pixels a side, a power of two: what is rendered where no size is given.
    It sets the number of levels; a picture of any other size has the same details."""
    channel_base: int = 65536
    """Line blocks of level r have min(channel_base // r, channel_max) channels."""
    channel_max: int = 1024
    """The widest line block."""
    thickness: int = 8
    """D: how many products of a row and a column a composed map sums (section 3.3)."""
    line_channels: int = 32
    """N: channels of a line, hence of the composed and fused maps."""
    bandwidth: float = 10.0
    """Standard deviation of the Fourier frequencies, in cycles per plane."""
    composition: Composition = "layerwise"
    """How lines become the final map (Table 4): "layerwise" composes every level and fuses with
    decoders (eq. 4-6), "sum" adds the levels without decoders, "once" composes the last level
    alone, "dense" has no lines: 2-D Fourier features through the same blocks (CREPS-NB)."""
    decoder_widths: tuple[int, ...] = (64, 128, 64)
    """Hidden widths of a decoder (supplement, Table 6)."""
    refinement_widths: tuple[int, ...] = (128, 64)
    """Width of each refinement block (supplement, Table 5)."""
    clamp: float = 256.0
    """Modulated layers clip their output to [-clamp, clamp]; 0 does not clip."""

    repeats: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require_power_of_two(self.resolution, least=4)
        self._require_at_least(1, "channel_base", "channel_max", "thickness", "line_channels")
        self._require_at_least(1, "decoder_widths", "refinement_widths")
        if not (math.isfinite(self.bandwidth) and self.bandwidth > 0):
            raise ConfigError(f"bandwidth {self.bandwidth}: expected a positive number")
        self._require_at_least(0, "clamp")
        if self.channels(4) % 2:
            raise ConfigError(f"{self.channels(4)} input channels: expected an even number")

    def channels(self, level: int) -> int:
        """Width of the line block of a level (4, 8, 16, ..., resolution)."""
        return max(min(self.channel_base // level, self.channel_max), 1)

    @property
    def levels(self) -> list[int]:
        """4, 8, 16, ..., resolution: official names; they select widths, nothing is resampled."""
        return [2**k for k in range(2, self.resolution.bit_length())]

    @property
    def num_levels(self) -> int:
        """L: how many levels of lines are composed."""
        return 1 if self.composition == "once" else max(len(self.levels) - 1, 1)

    @property
    def decoder_count(self) -> int:
        """Decoders between the levels and one at the end; "once" has only the last."""
        return self.num_levels if self.composition in ("layerwise", "once") else 0


CREPS_PRESETS = {
    f"creps-{resolution}": CrepsConfig(resolution=resolution)
    for resolution in (128, 256, 512, 1024)
}
"""The paper's networks at their official widths."""


_AXES: tuple[Axis, Axis] = ("rows", "columns")

LINE_SCALE = math.sqrt(0.5)
"""Lines are scaled by this before they meet, so a composed map is half the raw dot product."""


class FourierInput(nn.Module):
    """Coordinates to styled Fourier features (Fig. 2a); rows and columns share the frequencies.

    Half of the C channels are sines, half cosines, each of D frequencies; a thickness of 0 builds
    the dense 2-D input of CREPS-NB. Along an axis with a period each frequency is the nearest that
    has whole waves in it, and what is rounded off is its phase.
    """

    frequencies: Tensor

    def __init__(
        self,
        channels: int,
        *,
        thickness: int,
        bandwidth: float,
        w_dim: int,
        period: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        super().__init__()
        self.channels, self.thickness, self.period = channels, thickness, period
        columns = 2 * thickness if thickness else 1
        per_channel = thickness or 2  # D frequencies, or one (y, x) pair
        frequencies = torch.randn(channels // 2, per_channel) * bandwidth
        self.register_buffer("frequencies", frequencies)
        self.weight = nn.Parameter(torch.randn(channels, columns))
        self.affine = EqualizedLinear(w_dim, channels * columns, bias_init=1.0)

    def lines(self, w: Tensor, coords: Tensor, axis: Axis) -> Tensor:
        """Style vectors (B, w_dim) and coordinates (S,) to line features (B, C, S * D)."""
        turns = self.waves(axis).to(coords.device).turns(coords[:, None])  # (C/2, S, D)
        half = slice(None, self.thickness) if axis == "rows" else slice(self.thickness, None)
        return self.styled(w, turns, half).flatten(2)

    def dense(self, w: Tensor, points: Tensor) -> Tensor:
        """Style vectors (B, w_dim) and points (P, 2) to features (B, C, P)."""
        down, across = (self.waves(axis).to(points.device) for axis in _AXES)
        turns = down.turns(points[:, 0]) + across.turns(points[:, 1])  # (C/2, P)
        return self.styled(w, turns[:, :, None], slice(None)).flatten(2)

    def folded(self, w: Tensor) -> Tensor:
        """What each feature is multiplied by for one style vector: (C, 2D), rows' columns first."""
        style = affine_of(self.affine, w).view_as(self.weight)
        return style * self.weight / math.sqrt(self.channels)

    def waves(self, axis: Axis) -> Waves:
        """The frequencies along an axis, (C/2, 1, D) for S coordinates; (C/2, 1) of dense ones."""
        index = _AXES.index(axis)
        own = self.frequencies[:, None] if self.thickness else self.frequencies[:, index, None]
        own = own.to(coordinate_device(own.device))
        return Waves.of(own, self.period[index], phased=True)

    def styled(self, w: Tensor, turns: Tensor, columns: slice) -> Tensor:
        """(B, C, S, columns): sine and cosine of `turns` (C/2, S, columns), scaled by style."""
        phase = (turns - turns.round()).to(self.weight.device, self.weight.dtype) * (2 * math.pi)
        waves = torch.cat([phase.sin(), phase.cos()])
        style = self.affine(w).unflatten(1, self.weight.shape) * self.weight  # (B, C, all columns)
        return waves * (style[:, :, None, columns] / math.sqrt(self.channels))


class LineBlock(nn.Module):
    """A synthesis block of 1x1 modulated layers and the layer "ToRes" that emits its lines, if any.

    `widths` are the channels before, between and after the layers.
    """

    def __init__(self, widths: tuple[int, ...], emits: int, *, w_dim: int, clamp: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            ModulatedLinear(i, o, w_dim, clamp=clamp) for i, o in pairwise(widths)
        )
        self.emit = (
            ModulatedLinear(widths[-1], emits, w_dim, demodulate=False, clamp=clamp)
            if emits
            else None
        )


class Decoder(nn.Sequential):
    """The narrow per-pixel network between levels (section 3.4); its last layer is active too."""

    def __init__(self, channels: int, hidden: tuple[int, ...]) -> None:
        widths = (channels, *hidden, channels)
        super().__init__(*(EqualizedLinear(i, o, activation=True) for i, o in pairwise(widths)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, P) to (B, N, P)."""
        for layer in cast("Iterable[EqualizedLinear]", self):
            x = layer.per_position(x)
        return x


class RefinementBlock(nn.Module):
    """Two modulated layers on 2-D features and the color they add (supplement, Table 5)."""

    def __init__(
        self, widths: tuple[int, int], img_channels: int, *, w_dim: int, clamp: float
    ) -> None:
        super().__init__()
        inputs, width = widths
        self.layers = nn.ModuleList(
            ModulatedLinear(i, width, w_dim, clamp=clamp) for i in (inputs, width)
        )
        self.to_rgb = ModulatedLinear(width, img_channels, w_dim, demodulate=False, clamp=clamp)

    def forward(self, x: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, I, P) to features (B, width, P) and the color they add (B, C, P)."""
        for layer in self.layers:
            x = layer(x, w)
        return x, self.to_rgb(x, w)


@dataclass(frozen=True)
class FeatureMaps:
    """What happens inside one synthesis (CREPS, Fig. 7).

    Attributes:
        row_lines, column_lines: (B, L, N, H, D) and (B, L, N, W, D); None for "dense" networks.
        composed: the maps F of eq. 3, one (B, N, H, W) per level.
        fused: the maps E of eq. 4-5, one (B, N, H, W) per level.
        final: (B, N, H, W), the map F of eq. 6 that color is read from.
    """

    row_lines: Tensor | None
    column_lines: Tensor | None
    composed: list[Tensor]
    fused: list[Tensor]
    final: Tensor


@register_family("creps", CrepsConfig)
class Creps(Generator):
    """The CREPS generator; `synthesize` is `lines` of both axes, then `compose`."""

    config: CrepsConfig
    pixelwise = True

    def __init__(self, config: CrepsConfig) -> None:
        w_dim, channels, levels = config.w_dim, config.line_channels, config.levels
        super().__init__(config, num_styles=2 * len(levels) + 1)
        self.input = FourierInput(
            config.channels(4),
            thickness=config.thickness if self.separable else 0,
            bandwidth=config.bandwidth,
            w_dim=w_dim,
            period=config.period,
        )
        # The first block emits only where it is the only one: the official level 4 is silent.
        clamp = config.clamp
        silent = 0 if len(levels) > 1 else channels
        self.blocks = nn.ModuleList(
            [LineBlock((config.channels(4),) * 2, silent, w_dim=w_dim, clamp=clamp)]
        )
        for below, level in pairwise(levels):
            widths = (config.channels(below), config.channels(level), config.channels(level))
            self.blocks.append(LineBlock(widths, channels, w_dim=w_dim, clamp=clamp))
        self.decoders = nn.ModuleList(
            Decoder(channels, config.decoder_widths) for _ in range(config.decoder_count)
        )
        self.to_rgb = EqualizedLinear(channels, config.img_channels)
        self.refinement = nn.ModuleList(
            RefinementBlock(widths, config.img_channels, w_dim=w_dim, clamp=clamp)
            for widths in pairwise((channels, *config.refinement_widths))
        )

    @property
    def separable(self) -> bool:
        """Whether rows and columns are computed apart (all compositions but "dense")."""
        return bool(self.config.composition != "dense")

    @property
    def num_levels(self) -> int:
        """L: how many levels of lines are composed."""
        return self.config.num_levels

    @property
    def blends(self) -> bool:
        return self.separable

    def lines(self, styles: Tensor, coords: Tensor, axis: Axis) -> Tensor:
        self._check_styles(styles)
        if not self.separable:
            raise self._without_lines()
        return self._emitted_lines(styles, self.input.lines(styles[:, 0], coords, axis))

    def compose(self, row_lines: Tensor, column_lines: Tensor, styles: Tensor) -> Tensor:
        size = row_lines.shape[3], column_lines.shape[3]
        return self._color(self._fuse(_outer(row_lines, column_lines)), styles).unflatten(2, size)

    def compose_blended(
        self, row_lines: Tensor, column_lines: Tensor, styles: Tensor, *, weights: Tensor
    ) -> Tensor:
        mixture = weights.flatten(1).to(row_lines)  # (M, P)
        maps = _outer(row_lines, column_lines)
        return self._mixed_color(maps, styles, mixture).unflatten(2, weights.shape[1:])

    def compose_points_blended(
        self, row_lines: Tensor, column_lines: Tensor, styles: Tensor, *, weights: Tensor
    ) -> Tensor:
        maps = _inner(row_lines, column_lines)
        return self._mixed_color(maps, styles, weights.to(row_lines))

    def blend(
        self,
        styles: Tensor,
        grid: Grid,
        *,
        weights: Weights,
        origins: Sequence[tuple[float, float]] | None = None,
    ) -> Tensor:
        if not self.blends:
            raise self.unsupported("mix styles without lines", 'another composition than "dense"')
        self._check_styles(styles)
        styles, mixture, grids = blended_parts(styles, grid, weights=weights, origins=origins)
        if len(styles) == 1:
            return self.synthesize(styles, grids[0])
        each = [self._composed_maps(w[None], own) for w, own in zip(styles, grids, strict=True)]
        maps = (torch.cat(level) for level in zip(*each, strict=True))
        return self._mixed_color(maps, styles, mixture.to(styles)).unflatten(2, grid.shape)

    def grow_from(self, config: GeneratorConfig, tensors: Mapping[str, Tensor]) -> None:
        """As the base, and from fewer levels, counted from the coarse end.

        New levels emit nothing at first: lines stay what they were. The last decoder comes after
        all levels, and new levels begin with a copy of it: pictures of the packaged model, grown by
        a level, then differ by 19 dB from what they were; with fresh decoders by 13 dB.
        """
        grown = dict(tensors)
        if isinstance(config, CrepsConfig) and config.resolution < self.config.resolution:
            for n in range(len(config.levels), len(self.blocks)):
                for key, fresh in self.blocks[n].state_dict().items():
                    silent = key.startswith("emit.")
                    grown[f"blocks.{n}.{key}"] = torch.zeros_like(fresh) if silent else fresh
            for n in range(config.decoder_count, len(self.decoders)):
                for key in self.decoders[n].state_dict():
                    copied = tensors.get(f"decoders.{config.decoder_count - 1}.{key}")
                    if copied is not None:
                        grown[f"decoders.{n}.{key}"] = copied
        super().grow_from(config, grown)

    @torch.inference_mode()
    def prepare(
        self,
        styles: Tensor,
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> Prepared:
        if not self.separable:
            raise self._without_lines()
        self._check_styles(styles, batch=1)
        w = styles[0].to(self.to_rgb.weight)
        device, dtype = device or self.device, dtype or w.dtype
        blocks = [
            FoldedBlock.of(block.layers, w[first:], block.emit, w[emits], scale=LINE_SCALE)
            for first, emits, block in self._numbered_blocks()
        ]
        refinement = [
            FoldedBlock.of(block.layers, w[-1:].expand(2, -1), block.to_rgb, w[-1])
            for block in cast("Iterable[RefinementBlock]", self.refinement)
        ]
        decoders = [
            [Folded.linear(layer) for layer in cast("Iterable[EqualizedLinear]", decoder)]
            for decoder in cast("Iterable[Decoder]", self.decoders)
        ]
        rows = self.input.waves("rows")
        alike = self.period[0] == self.period[1]
        columns = rows if alike else self.input.waves("columns")
        return Prepared(
            self.num_levels,
            self.input.folded(w[0]),
            waves={"rows": rows, "columns": columns},
            blocks=blocks,
            decoders=decoders,
            to_rgb=Folded.linear(self.to_rgb),
            refinement=refinement,
            device=device,
            dtype=dtype,
        )

    def synthesize(self, styles: Tensor, grid: Grid | Canvas) -> Tensor:
        grid = as_grid(grid)
        return self._color(self._fuse(self._composed_maps(styles, grid)), styles).unflatten(
            2, grid.shape
        )

    def feature_maps(self, styles: Tensor, grid: AxisGrid) -> FeatureMaps:
        """The lines and maps inside `synthesize(styles, grid)` (Fig. 7)."""
        self._check_styles(styles)
        rows = columns = None
        if self.separable:
            rows, columns = self._both_lines(styles, grid.ys, grid.xs)
            maps: Iterable[Tensor] = _outer(rows, columns)
        else:
            maps = self._composed_maps(styles, grid)
        steps = list(self._fusion(maps))
        shaped = [(f.unflatten(2, grid.shape), e.unflatten(2, grid.shape)) for f, e in steps]
        final = self._final(steps[-1][1]).unflatten(2, grid.shape)
        return FeatureMaps(rows, columns, [f for f, _ in shaped], [e for _, e in shaped], final)

    def _mixed_color(self, maps: Iterable[Tensor], styles: Tensor, mixture: Tensor) -> Tensor:
        """Maps F (M, N, P) of each level and weights (M, P) to the color (1, C, P) of a blend."""
        features = self._fuse(blended_map(each, mixture) for each in maps)
        rgb: Tensor = self.to_rgb.per_position(features)
        for block in cast("Iterable[RefinementBlock]", self.refinement):
            for layer in cast("Iterable[ModulatedLinear]", block.layers):
                features = layer.blended(features, styles[:, -1], mixture)
            rgb = rgb + block.to_rgb.blended(features, styles[:, -1], mixture)
        return rgb

    def _both_lines(self, styles: Tensor, ys: Tensor, xs: Tensor) -> tuple[Tensor, Tensor]:
        """Row and column lines in one pass through the shared blocks."""
        w = styles[:, 0]
        x = torch.cat([self.input.lines(w, ys, "rows"), self.input.lines(w, xs, "columns")], dim=2)
        lines = self._emitted_lines(styles, x)
        return lines[..., : len(ys), :], lines[..., len(ys) :, :]

    def _emitted_lines(self, styles: Tensor, x: Tensor) -> Tensor:
        """Input features (B, C, S * D) to the lines of every composed level (B, L, N, S, D)."""
        emitted = list(self._emissions(styles, x))[-self.num_levels :]
        lines = torch.stack(emitted, dim=1) * LINE_SCALE
        return lines.unflatten(3, (-1, self.config.thickness))

    def _numbered_blocks(self) -> Iterator[tuple[int, int, LineBlock]]:
        """The first style of each block's layers and that of its lines: 2j - 1 to 2j + 1.

        Style 0 is the input's: the only layer of block 0 and its lines both take style 1.
        """
        for j, block in enumerate(cast("Iterable[LineBlock]", self.blocks)):
            yield max(2 * j - 1, 1), 2 * j + 1, block

    def _emissions(self, styles: Tensor, x: Tensor) -> Iterator[Tensor]:
        """What the blocks have emitted up to each level, (B, N, P)."""
        total: Tensor | None = None
        for first, emits, block in self._numbered_blocks():
            for k, layer in enumerate(block.layers, first):
                x = layer(x, styles[:, k])
            if block.emit is not None:
                emitted = block.emit(x, styles[:, emits])
                total = emitted if total is None else total + emitted
                yield total

    def _composed_maps(self, styles: Tensor, grid: Grid) -> Iterator[Tensor]:
        """The maps F of each level, (B, N, P), on either kind of grid."""
        self._check_styles(styles)
        if not self.separable:
            features = self.input.dense(styles[:, 0], points_of(grid))
            total = list(self._emissions(styles, features))[-1]
            return iter([total])
        if isinstance(grid, AxisGrid):
            return _outer(*self._both_lines(styles, grid.ys, grid.xs))
        points = points_of(grid)
        return _inner(*self._both_lines(styles, points[:, 0], points[:, 1]))

    def _fusion(self, maps: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """(F, E) of each level, from the maps F in order (eq. 4-5)."""
        fused: Tensor | None = None
        for level, composed in enumerate(maps):
            if fused is None:
                fused = composed
            elif self.config.composition == "layerwise":
                fused = self.decoders[level - 1](fused) + composed
            else:
                fused = fused + composed
            yield composed, fused

    def _fuse(self, maps: Iterable[Tensor]) -> Tensor:
        """The final map F of eq. 6, (B, N, P); earlier maps are freed on the way."""
        last = deque(self._fusion(maps), maxlen=1)
        return self._final(last[0][1])

    def _final(self, fused: Tensor) -> Tensor:
        result: Tensor = self.decoders[-1](fused) if len(self.decoders) else fused
        return result

    def _color(self, features: Tensor, styles: Tensor) -> Tensor:
        """Final features (B, N, P) to color (B, C, P): a linear head and the refinement blocks."""
        rgb: Tensor = self.to_rgb.per_position(features)
        for block in self.refinement:
            features, residual = block(features, styles[:, -1])
            rgb = rgb + residual
        return rgb


def _outer(row_lines: Tensor, column_lines: Tensor) -> Iterator[Tensor]:
    """Compose each level: the dot product over the thickness (eq. 3), (B, N, H * W)."""
    for rows, columns in zip(row_lines.unbind(1), column_lines.unbind(1), strict=True):
        yield torch.matmul(rows, columns.mT).flatten(2)


def _inner(row_lines: Tensor, column_lines: Tensor) -> Iterator[Tensor]:
    """Compose each level where the lines come in pairs: eq. 3 at free points, (B, N, P)."""
    for rows, columns in zip(row_lines.unbind(1), column_lines.unbind(1), strict=True):
        yield (rows * columns).sum(3)
