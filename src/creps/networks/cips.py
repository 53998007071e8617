"""CIPS: image generators with conditionally-independent pixel synthesis (CVPR 2021).

Latent -> styles; the place of a pixel -> Fourier features and a learned embedding (section 3.1) ->
modulated layers, two a level (eq. 2) -> colour, added up over the levels (Fig. 13). No pixel knows
of another, so any grid will do, and each pixel may even have a style of its own (section 4.8).

Shapes: B batch, C channels, I features of a place, K styles, D their width, L levels, H rows and W
columns of a grid, P = H * W pixels, R nodes of the embedding a plane unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creps.coordinates import AxisGrid, PointGrid
from creps.errors import GridError, UsageError
from creps.networks.base import Generator, Grid, register_family
from creps.networks.blending import blended_map, blended_modulation
from creps.networks.cips_config import Activation, CipsConfig
from creps.networks.cips_inputs import FourierFeatures, PlaneEmbedding, looked_up
from creps.networks.layers import EPSILON, GAIN, SLOPE, MappingNetwork, ModulatedLinear

Apply = Callable[[ModulatedLinear, Tensor, int], Tensor]
"""A layer, its input (B, I, P) and which of the K styles it takes, to its output (B, O, P)."""

PIXELS_AT_ONCE = 2**14
"""Pixels whose features are in memory at once where no gradients are wanted: 32 MiB a buffer at 512
channels."""


class StyledLayer(ModulatedLinear):
    """ "ModFC" (Fig. 2): weights modulated and normalised, noise and bias added, activation.

    The official order of operations, which matters beside the epsilon of eq. 2: weights are scaled
    by 1 / sqrt(I) before they are normalised.
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

    def blended(self, x: Tensor, w: Tensor, mixture: Tensor) -> Tensor:
        """Features (1, I, P) and another mixture (M, P) of styles (M, D) in each to (1, O, P)."""
        if self.activation == "lrelu":
            return blended_modulation(self, x, w, mixture)
        style = (self.affine(w) * self.style_gain).T @ mixture  # (I, P)
        y = self.weight @ (x[0] * style)
        y *= (self.weight.square() @ style.square() + EPSILON).rsqrt_()
        return ((y + self.bias[:, None]).sin() * GAIN)[None]


class CipsLevel(nn.Module):
    """Two modulated layers, their way past (residual) and their projection to colour, if any."""

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
    """The CIPS generator; every pixel by itself, on any grid.

    Style 0 steers the first layer, styles 2j + 1 and 2j + 2 those of level j, and its projection to
    colour takes the next. The official code has the same w in all of them.
    """

    def __init__(self, config: CipsConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.level_widths
        self.num_styles = 2 * len(widths) + 2
        self.mapping = MappingNetwork(
            z_dim=config.z_dim,
            label_dim=config.label_dim,
            w_dim=config.w_dim,
            layers=config.mapping_layers,
        )
        self.fourier = self.embedding = None
        if config.fourier:
            self.fourier = FourierFeatures(
                config.features, bandwidth=config.bandwidth, circumference=config.circumference
            )
        if config.embedding:
            self.embedding = PlaneEmbedding(
                config.features,
                resolution=config.resolution,
                nodes=config.embedding_nodes,
                circumference=config.circumference,
            )
        inputs = config.features * (config.fourier + config.embedding)
        self.first = StyledLayer(inputs, widths[0], config.w_dim, activation=config.activation)
        self.levels = nn.ModuleList()
        for j, (before, width) in enumerate(zip((widths[0], *widths), widths, strict=False)):
            shows = config.connections == "skip" or j == len(widths) - 1
            self.levels.append(CipsLevel(config, before, width, shows=shows))

    @property
    def period(self) -> float:
        """Plane units after which pictures repeat along x; 0 where they do not (flat planes)."""
        return float(self.config.circumference)

    def synthesize(self, styles: Tensor, grid: Grid, *, noise: Tensor | None = None) -> Tensor:
        """The picture of `styles` on `grid`.

        Without gradients the pixels are made a part at a time, so that memory beside the picture
        does not grow with it.

        Args:
            styles: (B, K, D) from `map`; each of the K vectors may differ (style mixing).
            grid: plane coordinates, any, shared by the batch.
            noise: of `draw_noise`; None adds none, which is the default of this family: the
                official code adds fresh noise to every picture, and no two of its tiles would
                agree.
        Returns:
            (B, C, H, W) in the weights' precision, nominal range [-1, 1], not clipped.
        Raises:
            UsageError: for styles or noise of another shape.
        """
        self._check(styles)
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
            colours = self._painted(styles, part, noise)
            picture[:, :, top : top + rows] = colours.unflatten(2, part.shape)
        return picture

    def synthesize_blended(
        self, styles: Tensor, grids: Sequence[Grid], *, weights: Tensor
    ) -> Tensor:
        """A picture with another mixture of M styles in each pixel (section 4.8, Fig. 11c).

        Args:
            styles: (M, K, D) from `map`.
            grids: where the pixels lie: one grid for all styles, or M of one shape, where each
                style has an origin of its own (panoramas of several pictures).
            weights: (M, H, W), 0 to 1, sum 1 in each pixel.
        Returns:
            (1, C, H, W) picture; where a weight is 1, that style's own.
        Raises:
            UsageError: for styles or weights of another shape.
            GridError: if the grids are not one or M of one shape.
        """
        self._check(styles)
        shape = grids[0].shape if grids else None
        if len(grids) not in (1, len(styles)) or any(grid.shape != shape for grid in grids):
            raise GridError(
                f"grids of shapes {[grid.shape for grid in grids]} for {len(styles)} styles: "
                "expected one, or one for each style, of one shape"
            )
        if weights.shape != (len(styles), *grids[0].shape):
            raise UsageError(
                f"weights of shape {tuple(weights.shape)}: expected "
                f"{(len(styles), *grids[0].shape)}"
            )
        mixture = weights.flatten(1).to(styles)  # (M, P)
        places = torch.cat([self._places(grid) for grid in grids])
        if len(places) > 1:
            places = blended_map(places, mixture)

        def apply(layer: ModulatedLinear, x: Tensor, k: int) -> Tensor:
            if isinstance(layer, StyledLayer):
                return layer.blended(x, styles[:, k], mixture)
            return blended_modulation(layer, x, styles[:, k], mixture)

        return self._colours(places, apply).unflatten(2, grids[0].shape)

    def draw_noise(self, batch: int, *, generator: torch.Generator) -> Tensor:
        """Noise for `synthesize`: one normal value a picture, layer and node of the plane.

        It belongs to places, not to pixels: it is bilinear between the nodes, so that tiles and
        other sizes of a picture agree. At the natural size it is the official noise of each pixel.

        Args:
            batch: B.
            generator: of the model's device.
        Returns:
            (B, 2 L + 1, R, R), with more columns on a cylinder.
        """
        shape = self._noise_shape(batch)
        like = self.mapping.average
        return torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)

    def _noise_shape(self, batch: int) -> tuple[int, int, int, int]:
        config = self.config
        columns = round(config.resolution * (config.circumference or 1))
        return batch, self.num_styles - 1, config.resolution, columns

    def _noise_at(self, noise: Tensor, grid: Grid) -> Tensor:
        """Noise of the nodes (B, N, R, columns) to that of a grid's pixels, (B, N, P)."""
        config = self.config
        field = noise.flatten(0, 1).movedim(0, -1)  # (R, columns, B * N)
        values = looked_up(field, grid, nodes=config.sampling, wraps=config.circumference > 0)
        return values.T.unflatten(0, noise.shape[:2])

    def _painted(self, styles: Tensor, grid: Grid, noise: Tensor | None) -> Tensor:
        """(B, C, P) colours of a grid's pixels."""
        values = None if noise is None else self._noise_at(noise, grid)

        def apply(layer: ModulatedLinear, x: Tensor, k: int) -> Tensor:
            w = styles[:, k]
            if values is not None and isinstance(layer, StyledLayer):
                return layer(x, w, values[:, k])
            return cast("Tensor", layer(x, w))

        return self._colours(self._places(grid), apply)

    def _places(self, grid: Grid) -> Tensor:
        """(1, I, P): what the network is told of each pixel's place, eq. 4."""
        parts = [part(grid) for part in (self.fourier, self.embedding) if part is not None]
        return (torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]).T[None]

    def _colours(self, places: Tensor, apply: Apply) -> Tensor:
        """Encoded places (1, I, P) to colours (B, C, P)."""
        x = apply(self.first, places, 0)
        colours: Tensor | None = None
        for j, level in enumerate(cast("Iterable[CipsLevel]", self.levels)):
            x = level(x, apply, 2 * j + 1)
            if level.to_rgb is not None:
                shown = apply(level.to_rgb, x, 2 * j + 3)
                colours = shown if colours is None else colours + shown
        assert colours is not None  # the last level always shows
        return colours

    def _check(self, styles: Tensor) -> None:
        if styles.ndim != 3 or styles.shape[1:] != (self.num_styles, self.config.w_dim):
            raise UsageError(
                f"styles of shape {tuple(styles.shape)}: expected "
                f"(B, {self.num_styles}, {self.config.w_dim}), as map gives them"
            )

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
