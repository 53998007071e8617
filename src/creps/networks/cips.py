"""CIPS: image generators with conditionally-independent pixel synthesis (CVPR 2021).

Latent -> styles; the place of a pixel -> Fourier features and a learned embedding (section 3.1) ->
modulated layers, two a level (eq. 2) -> color, added up over the levels (Fig. 13). No pixel knows
of another, so any grid will do, and each pixel may even have its own style (section 4.8).

Shapes: B batch, C channels, I features of a place, F those of each kind, K styles, D their width, L
levels, H rows and W columns of a grid, P = H * W pixels, R nodes of the embedding a plane unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creps.coordinates import AxisGrid, Canvas, PointGrid, Sampling, wrapped
from creps.errors import ConfigError, UsageError
from creps.networks._layers import (
    EPSILON,
    GAIN,
    SLOPE,
    ModulatedLinear,
    Waves,
    blended_map,
)
from creps.networks.base import (
    Generator,
    GeneratorConfig,
    Grid,
    Weights,
    as_grid,
    blended_parts,
    coordinate_device,
    register_family,
)

Connections = Literal["skip", "residual", "base"]
Activation = Literal["lrelu", "sine"]
Spread = Literal["square", "disc"]

OFFICIAL_WIDTHS = {
    "skip": (512, 512, 512, 512, 512, 256, 128, 64, 32),
    "residual": (512, 512, 512, 512, 512, 256, 128, 128, 64),
    "base": (512,) * 9,
}
"""Widths of levels 0, 1, ... in the official code; it has no "base", which the paper makes 512."""


@dataclass(frozen=True, kw_only=True)
class CipsConfig(GeneratorConfig):
    """Everything that defines a CIPS network; the defaults are the official code's."""

    resolution: int
    """The natural size in pixels a side, and the nodes a plane unit of the embedding."""
    features: int = 512
    """F: how many Fourier features, and the width of an embedding (section 4.1)."""
    widths: tuple[int, ...] = ()
    """Channels of each level of two layers. Empty takes the official ones: log2(resolution) - 1
    levels of 512 that narrow from the sixth on. The paper has 512 in all of them (section 4.1)."""
    connections: Connections = "skip"
    """How the levels become color (section 4.3): "skip" adds a projection of each (the default),
    "residual" has residual levels and one projection, "base" is a plain perceptron."""
    fourier: bool = True
    """Whether there are Fourier features; False is CIPS "no Fourier" (Table 3)."""
    embedding: bool = True
    """Whether there are learned embeddings; False is CIPS-NE (Table 3)."""
    activation: Activation = "lrelu"
    """Of the modulated layers; "sine" is the SIREN-like ablation of Table 3."""
    bandwidth: float = math.sqrt(4.5)
    """Fourier weights start uniform within this, in radians per half a plane unit."""
    spread: Spread = "square"
    """How they start: "square" draws both axes alike (the official code); "disc" draws length and
    direction, so that coarse waves are as many as fine ones and no direction is preferred, and
    phases over a whole turn, so that no place of a period has all waves in step: for textures."""
    embedding_nodes: Sampling = "centers"
    """Where the embedding's nodes lie, see `PlaneEmbedding`. The same as `sampling`, each pixel of
    the natural size has its own node. The official code trains that way with "corners", and
    draws with "centers" between "corners" samples, so converted models do too."""

    repeats: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(1, "features")
        if not (math.isfinite(self.bandwidth) and self.bandwidth > 0):
            raise ConfigError(f"bandwidth {self.bandwidth}: expected a positive number")
        if not (self.fourier or self.embedding):
            raise ConfigError(
                "fourier and embedding are both off: a pixel would not know its place; "
                "expected at least one of them"
            )
        self._check_levels()
        self._check_nodes()

    def _check_levels(self) -> None:
        if self.widths:
            if self.resolution < 2:
                raise ConfigError(f"resolution {self.resolution}: expected at least 2")
            if min(self.widths) < 1 or len(self.widths) > 64:
                raise ConfigError(f"widths {self.widths}: expected 1 to 64 numbers from 1")
        elif self.resolution not in (4, 8, 16, 32, 64, 128, 256, 512, 1024):
            raise ConfigError(
                f"resolution {self.resolution}: expected a power of two from 4 to 1024, or widths "
                "for each level"
            )

    def _check_nodes(self) -> None:
        said = f"period {list(self.period)}"
        if any(self.resolution * each % 1 for each in self.period):
            raise ConfigError(
                f"{said}: expected whole numbers of nodes of 1/{self.resolution}, of the embedding"
            )
        if any(self.period) and self.embedding_nodes == "corners":
            raise ConfigError(
                f"{said}: nodes on the corners would show the seam twice, set embedding_nodes to "
                "centers"
            )

    @property
    def nodes(self) -> tuple[int, int]:
        """Rows and columns of the embedding's nodes: of the unit square, or of a period."""
        rows, columns = (round(self.resolution * (each or 1)) for each in self.period)
        return rows, columns

    @property
    def level_widths(self) -> tuple[int, ...]:
        """Channels of each level: `widths`, or the official ones."""
        levels = self.resolution.bit_length() - 2
        return self.widths or OFFICIAL_WIDTHS[self.connections][:levels]


PAPER_WIDTHS = (512,) * 7
"""What section 4.1 says, at 256 pixels."""

CIPS_PRESETS = {
    "cips-256": CipsConfig(resolution=256),
    "cips-256-residual": CipsConfig(resolution=256, connections="residual"),
    "cips-256-paper": CipsConfig(resolution=256, widths=PAPER_WIDTHS),
    "cips-256-base": CipsConfig(resolution=256, widths=PAPER_WIDTHS, connections="base"),
    "cips-256-ne": CipsConfig(
        resolution=256, widths=PAPER_WIDTHS, connections="base", embedding=False
    ),
    "cips-256-nf": CipsConfig(
        resolution=256, widths=PAPER_WIDTHS, connections="base", fourier=False
    ),
    "cips-256-sine": CipsConfig(
        resolution=256, widths=PAPER_WIDTHS, connections="base", fourier=False, activation="sine"
    ),
    "cips-64": CipsConfig(
        resolution=64, z_dim=128, w_dim=128, mapping_layers=4, features=128, widths=(128,) * 4,
        bandwidth=12.0,
    ),
    "cips-tiny": CipsConfig(
        resolution=32, z_dim=32, w_dim=32, mapping_layers=2, features=32, widths=(32, 32),
        bandwidth=8.0,
    ),
    "cips-64-panorama": CipsConfig(
        resolution=64, z_dim=128, w_dim=128, mapping_layers=4, features=128, widths=(128,) * 4,
        bandwidth=12.0, period=(0.0, 4.0),
    ),
}  # fmt: skip
"""Official code, the columns of the paper's Table 3 at the paper's widths, and small ones whose
Fourier features start with frequencies that a network without large embeddings needs."""


# Where a pixel is (section 3.1). The network's own axes run from -1 to 1 over the unit square, so a
# coordinate u enters as 2u - 1. Where the plane is rolled up, to a cylinder (section 4.8) or a
# texture that closes on itself, features have whole waves a period and the nodes go round.


def broadcast_axes(grid: Grid) -> tuple[Tensor, Tensor]:
    """ys and xs of a grid that broadcast to (H, W): (H, 1) and (1, W), or (H, W) each."""
    if isinstance(grid, AxisGrid):
        return grid.ys[:, None], grid.xs[None, :]
    return grid.points[..., 0], grid.points[..., 1]


class FourierFeatures(nn.Module):
    """sin(B (y', x') + phase) with learned B, eq. 3; y' and x' in [-1, 1] on the unit square.

    Along an axis with a period B has whole waves, the nearest to those drawn, and stays as it is.
    """

    def __init__(
        self,
        features: int,
        *,
        bandwidth: float,
        period: tuple[float, float],
        spread: Spread = "square",
    ) -> None:
        super().__init__()
        self.period = period
        frequencies = 2 * torch.rand(features, 2) - 1
        phases = 2 * torch.rand(features) - 1
        if spread == "disc":
            length, angle = (frequencies[:, :1] + 1) / 2, frequencies[:, 1:] * math.pi
            frequencies = length * torch.cat([angle.sin(), angle.cos()], dim=1)
        self.frequencies = nn.Parameter(frequencies * bandwidth)
        for axis, each in enumerate(period):
            if each:  # whole waves from the start, so that half precision rounds to the same ones
                whole = (self.frequencies.data[:, axis] / math.pi * each).round()
                self.frequencies.data[:, axis] = whole / each * math.pi
        self.phases = nn.Parameter(phases * (math.pi if spread == "disc" else math.sqrt(0.5)))

    def forward(self, grid: Grid) -> Tensor:
        """(P, F) features of the pixels of a grid."""
        ys, xs = broadcast_axes(grid)
        rows, columns = self._phase(ys, 0), self._phase(xs, 1)
        return (rows + (columns + self.phases)).sin().flatten(0, 1)

    def waves(self, axis: int) -> Waves:
        """The frequencies (F,) along an axis, in cycles a plane unit."""
        own = self.frequencies[:, axis]
        own = own.to(coordinate_device(own.device), torch.float64)
        return Waves.of(own / math.pi, self.period[axis])

    def _phase(self, coords: Tensor, axis: int) -> Tensor:
        """Coordinates (...) along an axis to phases less whole turns, (..., F)."""
        waves = self.waves(axis).to(coords.device)
        turns = waves.turns(coords[..., None]) - waves.cycles / 2  # u enters as 2u - 1
        phase = (turns - turns.detach().round()) * (2 * math.pi)
        return phase.to(self.phases.device, self.phases.dtype)


class PlaneEmbedding(nn.Module):
    """A learned vector for each of R x R places, bilinear between them (section 3.1).

    Beyond the outermost nodes it is constant; along an axis with a period they go round, and there
    are as many a plane unit. Nodes lie at the "centers" of R areas of the unit square, or from
    border to border, the first and the last on the "corners".
    """

    def __init__(self, config: CipsConfig) -> None:
        super().__init__()
        self.nodes, self.resolution, self.period = (
            config.embedding_nodes,
            config.resolution,
            config.period,
        )
        self.vectors = nn.Parameter(torch.randn(*config.nodes, config.features))

    def forward(self, grid: Grid) -> Tensor:
        """(P, F) embeddings of the pixels of a grid."""
        return looked_up(
            self.vectors, grid, nodes=self.nodes, resolution=self.resolution, period=self.period
        )


def looked_up(
    field: Tensor,
    grid: Grid,
    *,
    nodes: Sampling,
    resolution: int,
    period: tuple[float, float],
) -> Tensor:
    """Vectors (R, R', F) at nodes of the plane, see `PlaneEmbedding`, to (P, F) at a grid."""
    rows, columns = field.shape[:2]
    table = field.reshape(rows * columns, -1)
    scale, offset = (resolution, 0.5) if nodes == "centers" else (resolution - 1, 0.0)
    ys, xs = (
        wrapped(coords.double(), each) * scale - offset
        for coords, each in zip(broadcast_axes(grid), period, strict=True)
    )
    total: Tensor | None = None
    for row, row_weight in _neighbors(ys, rows, wraps=period[0] > 0):
        for column, column_weight in _neighbors(xs, columns, wraps=period[1] > 0):
            node = (row * columns + column).flatten().to(table.device)
            weight = (row_weight * column_weight).flatten().to(table.device, table.dtype)
            part = F.embedding(node, table) * weight[:, None]
            total = part if total is None else total.add_(part)
    assert total is not None
    return total


def _neighbors(index: Tensor, count: int, *, wraps: bool) -> list[tuple[Tensor, Tensor]]:
    """The two of `count` nodes about each fractional index, and their weights."""
    if not wraps:
        index = index.clamp(0, count - 1)
    lower = index.floor()
    share = index - lower
    first = lower.long() % count
    second = (first + 1) % count if wraps else (first + 1).clamp(max=count - 1)
    return [(first, 1 - share), (second, share)]


Apply = Callable[[ModulatedLinear, Tensor, int], Tensor]
"""A layer, its input (B, I, P) and which of the K styles it takes, to its output (B, O, P)."""

PIXELS_AT_ONCE = 2**14
"""Pixels whose features are in memory at once where no gradients are wanted: 32 MiB a buffer at 512
channels."""


class StyledLayer(ModulatedLinear):
    """ "ModFC" (Fig. 2): weights modulated and normalized, noise and bias added, activation.

    The official order of operations, which matters for the epsilon of eq. 2: weights are scaled by
    1 / sqrt(I) before they are normalized.
    """

    def __init__(self, inputs: int, outputs: int, w_dim: int, *, activation: Activation) -> None:
        super().__init__(inputs, outputs, w_dim, clamp=0)
        self.style_gain = 1 / math.sqrt(inputs)
        self.activation = activation
        self.noise_strength = nn.Parameter(torch.zeros(1))
        # A leaky ReLU's gain is taken before it, where it costs nothing; a sine's cannot be.
        self.gain = GAIN if activation == "lrelu" else 1.0

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None = None) -> Tensor:
        """Features (B or 1, I, P), style vectors (B, D), noise (B, P) or none to (B, O, P)."""
        weight = self.weight * (self.affine(w) * self.style_gain)[:, None, :]  # (B, O, I)
        weight = weight * (weight.square().sum(2, keepdim=True) + EPSILON).rsqrt() * self.gain
        added = (self.bias * self.gain)[:, None]
        y = torch.baddbmm(added, weight, x.expand(len(w), -1, -1))
        if noise is not None:
            y += noise[:, None] * self.noise_strength * self.gain
        return F.leaky_relu_(y, SLOPE) if self.activation == "lrelu" else y.sin() * GAIN

    def blended(self, x: Tensor, w: Tensor, weights: Tensor) -> Tensor:
        if self.activation == "lrelu":
            return super().blended(x, w, weights)
        style = (self.affine(w) * self.style_gain).T @ weights  # (I, P)
        y = self.weight @ (x[0] * style)
        y *= (self.weight.square() @ style.square() + EPSILON).rsqrt_()
        return ((y + self.bias[:, None]).sin() * GAIN)[None]


class CipsLevel(nn.Module):
    """Two modulated layers, their way past (residual) and their projection to color, if any."""

    shortcut: nn.Parameter | None

    def __init__(self, config: CipsConfig, inputs: int, width: int, *, shows: bool) -> None:
        super().__init__()
        self.residual = config.connections == "residual"
        self.layers = nn.ModuleList(
            StyledLayer(i, width, config.w_dim, activation=config.activation)
            for i in (inputs, width)
        )
        self.to_rgb = (
            ModulatedLinear(width, config.img_channels, config.w_dim, demodulate=False, clamp=0)
            if shows
            else None
        )
        bends = self.residual and inputs != width
        self.shortcut = nn.Parameter(torch.randn(width, inputs)) if bends else None

    def forward(self, x: Tensor, apply: Apply, first: int) -> Tensor:
        """Features (B, I, P) to (B, O, P); `first` is the style of the first layer."""
        before = x
        for k, layer in enumerate(cast("Iterable[StyledLayer]", self.layers)):
            x = apply(layer, x, first + k)
        if not self.residual:
            return x
        if self.shortcut is not None:
            before = torch.matmul(self.shortcut / math.sqrt(before.shape[1]), before)
        return (x + before) * math.sqrt(0.5)


@register_family("cips", CipsConfig)
class Cips(Generator):
    """The CIPS generator; every pixel independently, on any grid.

    Style 0 steers the first layer, styles 2j + 1 and 2j + 2 those of level j, and its projection to
    color takes the next. The official code has the same w in all of them.
    """

    config: CipsConfig
    pixelwise = blends = True

    def __init__(self, config: CipsConfig) -> None:
        widths = config.level_widths
        super().__init__(config, num_styles=2 * len(widths) + 2)
        self.fourier = self.embedding = None
        if config.fourier:
            self.fourier = FourierFeatures(
                config.features,
                bandwidth=config.bandwidth,
                period=config.period,
                spread=config.spread,
            )
        if config.embedding:
            self.embedding = PlaneEmbedding(config)
        inputs = config.features * (config.fourier + config.embedding)
        self.first = StyledLayer(inputs, widths[0], config.w_dim, activation=config.activation)
        self.levels = nn.ModuleList()
        for j, (before, width) in enumerate(zip((widths[0], *widths), widths, strict=False)):
            shows = config.connections == "skip" or j == len(widths) - 1
            self.levels.append(CipsLevel(config, before, width, shows=shows))

    def synthesize(
        self, styles: Tensor, grid: Grid | Canvas, *, noise: Tensor | None = None
    ) -> Tensor:
        """The picture of `styles` on `grid`.

        Without gradients the pixels are made a part at a time, so that memory besides the picture
        does not grow with it.

        Args:
            styles: as in the base.
            grid: any plane coordinates, shared by the batch.
            noise: of `draw_noise`; None adds none, which is the default of this family: the
                official code adds fresh noise to every picture, and no two of its tiles would
                agree.
        """
        grid = as_grid(grid)
        self._check_styles(styles)
        if noise is not None:
            self._check_noise(noise, len(styles))
        height, width = grid.shape
        # An exported graph must not depend on how many pixels it was traced with.
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            return self._painted(styles, grid, noise).unflatten(2, (height, width))
        rows = max(PIXELS_AT_ONCE // (len(styles) * width), 1)
        if height <= rows:
            return self._painted(styles, grid, noise).unflatten(2, (height, width))
        picture = styles.new_empty((len(styles), self.config.img_channels, height, width))
        for top in range(0, height, rows):
            part = _rows_of(grid, slice(top, top + rows))
            colors = self._painted(styles, part, noise)
            picture[:, :, top : top + rows] = colors.unflatten(2, part.shape)
        return picture

    def blend(
        self,
        styles: Tensor,
        grid: Grid,
        *,
        weights: Weights,
        origins: Sequence[tuple[float, float]] | None = None,
    ) -> Tensor:
        self._check_styles(styles)
        styles, mixture, grids = blended_parts(styles, grid, weights=weights, origins=origins)
        if len(styles) == 1:
            return self.synthesize(styles, grids[0])
        mixture = mixture.to(styles)  # (M, P)
        if origins is None or len(set(origins)) == 1:
            places = self._places(grids[0])
        else:
            places = blended_map(torch.cat([self._places(own) for own in grids]), mixture)

        def apply(layer: ModulatedLinear, x: Tensor, k: int) -> Tensor:
            return layer.blended(x, styles[:, k], mixture)

        return self._colors(places, apply).unflatten(2, grid.shape)

    def draw_noise(self, batch: int, *, generator: torch.Generator) -> Tensor:
        """Noise for `synthesize`: one normal value a picture, layer and node of the plane.

        It belongs to places, not to pixels: it is bilinear between the nodes, so that tiles and
        other sizes of a picture agree. At the natural size it is the official noise of each pixel.

        Args:
            batch: B.
            generator: of the model's device.
        Returns:
            (B, 2 L + 1, R, R'), R and R' the nodes of the unit square or of a period.
        """
        shape = self._noise_shape(batch)
        like = self.mapping.average
        return torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)

    def _noise_shape(self, batch: int) -> tuple[int, int, int, int]:
        return batch, self.num_styles - 1, *self.config.nodes

    def _noise_at(self, noise: Tensor, grid: Grid) -> Tensor:
        """Noise of the nodes (B, N, R, columns) to that of a grid's pixels, (B, N, P)."""
        config = self.config
        field = noise.flatten(0, 1).movedim(0, -1)  # (R, columns, B * N)
        values = looked_up(
            field,
            grid,
            nodes=config.sampling,
            resolution=config.resolution,
            period=config.period,
        )
        return values.T.unflatten(0, noise.shape[:2])

    def _painted(self, styles: Tensor, grid: Grid, noise: Tensor | None) -> Tensor:
        """(B, C, P) colors of a grid's pixels."""
        values = None if noise is None else self._noise_at(noise, grid)

        def apply(layer: ModulatedLinear, x: Tensor, k: int) -> Tensor:
            w = styles[:, k]
            if values is not None and isinstance(layer, StyledLayer):
                return layer(x, w, values[:, k])
            return cast("Tensor", layer(x, w))

        return self._colors(self._places(grid), apply)

    def _places(self, grid: Grid) -> Tensor:
        """(1, I, P): the network's input for each pixel's place, eq. 4."""
        parts = [part(grid) for part in (self.fourier, self.embedding) if part is not None]
        return (torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]).T[None]

    def _colors(self, places: Tensor, apply: Apply) -> Tensor:
        """Encoded places (1, I, P) to colors (B, C, P)."""
        x = apply(self.first, places, 0)
        colors: Tensor | None = None
        for j, level in enumerate(cast("Iterable[CipsLevel]", self.levels)):
            x = level(x, apply, 2 * j + 1)
            if level.to_rgb is not None:
                shown = apply(level.to_rgb, x, 2 * j + 3)
                colors = shown if colors is None else colors + shown
        assert colors is not None  # the last level always shows
        return colors

    def _check_noise(self, noise: Tensor, batch: int) -> None:
        if noise.shape != self._noise_shape(batch):
            raise UsageError(
                f"noise of shape {tuple(noise.shape)}: expected {self._noise_shape(batch)}, as "
                "draw_noise gives it"
            )


def _rows_of(grid: Grid, rows: slice) -> Grid:
    """Some rows of a grid."""
    if isinstance(grid, AxisGrid):
        return AxisGrid(grid.ys[rows], grid.xs)
    return PointGrid(grid.points[rows])
