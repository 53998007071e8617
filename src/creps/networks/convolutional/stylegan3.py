"""StyleGAN3 (NeurIPS 2021), read top to bottom: pictures that move with their coordinates.

Latent -> styles; plane -> Fourier features that the first style moves and turns -> modulated
convolutions without aliasing, each on its own lattice -> colours. The lattices lie about the centre
of the picture, so it can be placed anywhere: any evenly spaced grid is drawn, shifted, scaled,
turned. The network was trained at one scale; for others see `anyres`.

Shapes: B batch, K styles, D width of a style, H and W pixels, L layers with the one to colours, M
styles that are mixed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from creps.errors import UsageError
from creps.networks.base import Generator, Grid, register_family
from creps.networks.convolutional.placements import Placement, Vector, placement_of
from creps.networks.convolutional.stylegan3_config import STYLEGAN3_PRESETS as STYLEGAN3_PRESETS
from creps.networks.convolutional.stylegan3_config import Band
from creps.networks.convolutional.stylegan3_config import StyleGAN3Config as StyleGAN3Config
from creps.networks.convolutional.stylegan3_layers import (
    AliasFreeLayer,
    FrameInput,
    Weights,
    lattice,
)
from creps.networks.layers import MappingNetwork

MARGIN_STRIDES = 3
"""Context of a tile, in samples of the coarsest lattice."""

MAGNITUDE_HALF_LIFE = 20_000
"""Training images after which half of a measured magnitude is forgotten."""


@register_family("stylegan3", StyleGAN3Config)
class StyleGAN3(Generator):
    """The StyleGAN3 generator, configurations T and R.

    Its lattices lie fixed on the plane, so that tiles of a picture agree; on a grid of exactly
    `resolution` x `resolution` pixels they lie about the grid's own centre, as in training.
    """

    config: StyleGAN3Config

    def __init__(self, config: StyleGAN3Config, *, turn: float = 0.0) -> None:
        super().__init__()
        self.config = config
        resolution, w_dim = config.resolution, config.w_dim
        self.num_styles = config.num_layers + 2
        self.margin = MARGIN_STRIDES * config.stride
        self.mapping = MappingNetwork(
            z_dim=config.z_dim,
            label_dim=config.label_dim,
            w_dim=w_dim,
            layers=config.mapping_layers,
        )
        self.input = FrameInput(config.bands[0], resolution=resolution, w_dim=w_dim, turn=turn)
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

    def synthesize(self, styles: Tensor, grid: Grid) -> Tensor:
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
        return self._drawn(styles, self._placed(grid))

    def synthesize_measured(self, styles: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
        """`synthesize`, and what `track_magnitudes` wants to know (for training).

        Returns:
            the picture, and the mean squares (L,) of what each layer was given, without gradients.
        """
        magnitudes: list[Tensor] = []
        image = self._drawn(styles, self._placed(grid), magnitudes)
        return image, torch.stack(magnitudes)

    @torch.no_grad()
    def track_magnitudes(self, magnitudes: Tensor, *, images: int) -> None:
        """Move the layers' magnitudes, which they divide by, towards measured ones.

        Args:
            magnitudes: (L,) from `synthesize_measured`.
            images: training images since the last call: half is forgotten after 20,000.
        """
        share = 1 - 0.5 ** (images / MAGNITUDE_HALF_LIFE)
        for layer, measured in zip(self._layers(), magnitudes, strict=True):
            layer.magnitude.lerp_(measured.to(layer.magnitude), share)

    def synthesize_flowing(
        self,
        styles: Tensor,
        grid: Grid,
        *,
        weights: Weights,
        origins: Sequence[Vector] | None = None,
    ) -> Tensor:
        """One picture in which styles flow into each other: w differs from place to place.

        Any-resolution GAN, section 6: landscapes without an end. Where one style is alone for
        some pixels around, the picture is that style's own.

        Args:
            styles: (M, K, D), one row a style.
            grid: as in `synthesize`.
            weights: points (P, 2) of (y, x) to (M, P), sum 1 at each point; asked for places
                beyond the grid too.
            origins: M of (y, x): where on the plane each style's own origin lies; (0, 0) by
                default.
        Returns:
            (1, C, H, W), nominal range [-1, 1].
        """
        self._check(styles)
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
        self._check(styles)
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

    def _check(self, styles: Tensor) -> None:
        if styles.ndim != 3 or styles.shape[1:] != (self.num_styles, self.config.w_dim):
            raise UsageError(
                f"styles of shape {tuple(styles.shape)}: expected "
                f"(B, {self.num_styles}, {self.config.w_dim}), as map gives them"
            )

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
