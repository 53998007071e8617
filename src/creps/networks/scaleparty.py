"""A convolutional generator of many scales: the baseline in the manner of ScaleParty and MS-PE.

Sources: the papers available only mention these systems. CREPS (section 2) says that
ScaleParty extends StyleGAN2 "by replacing learned input constant with suitable positional encoding
and multi-scale training strategy"; the any-resolution GAN (section 2) that MS-PE adds positional
encodings and discriminates whole pictures at one size, and that ScaleParty trains on patches, for
cross-scale consistency. The rest is our reading, not those systems' code: StyleGAN2's layers with
color summed over the blocks and without noise; octaves of sines that fade out where a coarse grid
cannot hold them, together with the scale; layers that see no border, so that a place is known by
its encoding alone. The consistency loss is `training.consistency`. What this network measures is
the baseline's and must not stand in a table as ScaleParty's own.

The work is always done for a multiple of the pixels: a finer grid starts from a finer coarse grid,
and the layers' reach shrinks on the plane. Hence details change with the scale (CREPS, Table 3).
Scales that training never showed come out as noise: train at all scales that will be used.

Shapes: B batch, C channels, E encoding channels, w_dim width of a style vector. Pixels of a level
are counted from the origin of the plane, in integers, so that tiles share them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from creps.coordinates import AxisGrid, Canvas
from creps.errors import ConfigError, GridError
from creps.networks._layers import ModulatedLinear, require_power_of_two
from creps.networks._resampling import upsample2d
from creps.networks.base import Generator, GeneratorConfig, Grid, as_grid, register_family
from creps.networks.stylegan2 import ModulatedConv2d, low_pass

UNEVEN = 1e-3
"""Share of the spacing by which samples may be off their even places."""
PHASE_START = -0.382
"""Phases, in pixels, are in [this, this + 1): its ends are none of the usual 0, 1/2 and 1/4, whose
rounding might fall on either side in two tiles of a picture."""
REACH = 3
"""Pixels of a block's result that a border of its input can spoil: two for the enlarging layer with
its low-pass, one for the 3x3 layer after it."""
SCALE_UNIT = 4.0
"""Doublings that move the scale channels by one."""


@dataclass(frozen=True, kw_only=True)
class ScalePartyConfig(GeneratorConfig):
    """Everything that defines a generator of this family."""

    resolution: int
    """The natural size in pixels a side, a power of two: rendered where no size is given."""
    coarse: int = 8
    """Cells a side of the encoded grid at the natural size: a power of two, at most `resolution`.
    Every picture has resolution / coarse times the pixels of its coarse grid a side."""
    channel_base: int = 32768
    """A block of r pixels a side at the natural size has min(channel_base // r, channel_max)."""
    channel_max: int = 512
    """The most channels at any size."""
    octaves: int = 8
    """Frequencies of the encoding, from half a cycle per plane unit, each twice the one before."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("resolution", "coarse"):
            require_power_of_two(getattr(self, name), name=name, least=2)
        if self.coarse > self.resolution:
            raise ConfigError(f"coarse {self.coarse}: expected at most {self.resolution}")
        self._require_at_least(1, "channel_base", "channel_max", "octaves")
        if self.octaves > 64:
            raise ConfigError(f"octaves {self.octaves}: expected at most 64")

    def channels(self, size: int) -> int:
        """Channels of the block of `size` pixels a side at the natural size."""
        return max(min(self.channel_base // size, self.channel_max), 1)

    @property
    def doublings(self) -> int:
        """How often the size is doubled between the coarse grid and the picture."""
        return (self.resolution // self.coarse).bit_length() - 1

    @property
    def sizes(self) -> list[int]:
        """Pixels a side of each block at the natural size: coarse, ..., resolution."""
        return [self.coarse << level for level in range(self.doublings + 1)]


_SMALL = ScalePartyConfig(
    resolution=32, z_dim=128, w_dim=128, mapping_layers=4, channel_base=2304, channel_max=96
)

SCALEPARTY_PRESETS = {
    "scaleparty-256": ScalePartyConfig(resolution=256),
    "scaleparty-512": ScalePartyConfig(resolution=512),
    "scaleparty-small-32": _SMALL,
    "scaleparty-small-64": replace(_SMALL, resolution=64),
}
"""As wide as StyleGAN2's config F; and small ones for a CPU, near the packaged CREPS in size."""


@dataclass(frozen=True)
class Lattice:
    """Where the pixels of an evenly spaced axis lie among all pixels of its spacing.

    Pixel n has its center at (n + 0.5 + phase) * spacing plane units; `first` is the first one.
    """

    first: int
    count: int
    spacing: float
    phase: float

    def ranges(self, doublings: int) -> list[tuple[int, int]]:
        """(first, stop) of the pixels that each level must get right, the coarse one first."""
        found = [(self.first, self.first + self.count)]
        for _ in range(doublings):
            first, stop = found[-1]
            found.append(((first - REACH) // 2, -((-stop - REACH) // 2)))
        return found[::-1]

    def cells(self, first: int, stop: int, doublings: int) -> Tensor:
        """(stop - first,) float64 centers of coarse cells, each 2**doublings pixels wide."""
        cells = torch.arange(first, stop, dtype=torch.float64)
        return ((cells + 0.5) * 2**doublings + self.phase) * self.spacing


def lattices(grid: Grid, resolution: int) -> tuple[Lattice, Lattice]:
    """The lattices of rows and columns of a grid; a GridError unless they are evenly spaced.

    An axis of a single sample takes the other's spacing; two of them that of the natural size.
    """
    if not isinstance(grid, AxisGrid):
        raise GridError(
            "this ScaleParty draws rows and columns with convolutions, not free points: leave out "
            "the warp, or take a model of a family that draws them, such as creps"
        )
    spacings = [_spacing(axis, name) for name, axis in (("rows", grid.ys), ("columns", grid.xs))]
    dy, dx = spacings[0] or spacings[1], spacings[1] or spacings[0]
    return (
        _lattice(grid.ys, dy or 1 / resolution),
        _lattice(grid.xs, dx or 1 / resolution),
    )


def _spacing(axis: Tensor, name: str) -> float | None:
    if len(axis) == 1:
        return None
    places = axis.double().cpu()
    even = torch.linspace(float(places[0]), float(places[-1]), len(places), dtype=torch.float64)
    spacing = float(places[-1] - places[0]) / (len(places) - 1)
    if spacing <= 0 or float((places - even).abs().max()) > UNEVEN * spacing:
        raise GridError(
            f"the {name} of this grid are not evenly spaced and increasing, as this ScaleParty "
            "needs them: leave out the warp, or take a model of another family, such as creps"
        )
    return spacing


def _lattice(axis: Tensor, spacing: float) -> Lattice:
    place = float(axis[0]) / spacing - 0.5
    first = math.floor(place - PHASE_START)
    return Lattice(first, len(axis), spacing, place - first)


class PositionEncoding(nn.Module):
    """Places and scale as channels: octaves of sines and cosines of y and x, and two of scale."""

    def __init__(self, octaves: int) -> None:
        super().__init__()
        self.octaves = octaves
        self.channels = 4 * octaves + 2

    def forward(self, ys: Tensor, xs: Tensor, scales: tuple[float, float]) -> Tensor:
        """Coarse coordinates (H,) and (W,) in plane units to (E, H, W) float64.

        `scales` are the doublings from the natural size to the picture's, for y and x.
        """
        size = (len(ys), len(xs))
        rows = self._waves(ys)[:, :, None].expand(-1, *size)
        columns = self._waves(xs)[:, None, :].expand(-1, *size)
        scale = torch.tensor(scales, dtype=torch.float64) / SCALE_UNIT
        return torch.cat([rows, columns, scale.clamp(-2, 2)[:, None, None].expand(-1, *size)])

    def _waves(self, places: Tensor) -> Tensor:
        """(2 * octaves, S): each fades out between a half and the whole of what S can hold."""
        frequencies = 0.5 * 2.0 ** torch.arange(self.octaves, dtype=torch.float64)
        turns = frequencies[:, None] * places
        phase = (turns - turns.round()) * (2 * math.pi)
        nyquist = 0.5 / float(places[1] - places[0])
        fade = (2 - 2 * frequencies / nyquist).clamp(0, 1)[:, None]
        return torch.cat([phase.sin() * fade, phase.cos() * fade])


class ScaleBlock(nn.Module):
    """Modulated convolutions and the color they add; all but the first block double the size."""

    def __init__(self, config: ScalePartyConfig, size: int) -> None:
        super().__init__()
        width, w_dim = config.channels(size), config.w_dim
        first = size == config.coarse
        below = width if first else config.channels(size // 2)
        layers = [ModulatedConv2d(below, width, w_dim, up=1 if first else 2)]
        if not first:
            layers.append(ModulatedConv2d(width, width, w_dim))
        self.layers = nn.ModuleList(layers)
        self.to_rgb = ModulatedLinear(
            width, config.img_channels, w_dim, demodulate=False, clamp=0.0
        )


@register_family("scaleparty", ScalePartyConfig)
class ScaleParty(Generator):
    """The generator; `synthesize` adds the context that its convolutions need."""

    config: ScalePartyConfig
    margin = 1
    """Enough for a tile of one row to show how far apart rows are."""
    average_decay = 0.995
    """Decay of the average of w per batch while training (StyleGAN2-ADA)."""

    def __init__(self, config: ScalePartyConfig) -> None:
        super().__init__(config, num_styles=2 * config.doublings + 3)
        self.encoding = PositionEncoding(config.octaves)
        self.input = ModulatedLinear(
            self.encoding.channels, config.channels(config.coarse), config.w_dim, clamp=0.0
        )
        self.blocks = nn.ModuleList(ScaleBlock(config, size) for size in config.sizes)

    def synthesize(self, styles: Tensor, grid: Grid | Canvas) -> Tensor:
        """The picture of `styles` on `grid`.

        Args:
            styles: as in the base.
            grid: evenly spaced rows and evenly spaced columns; their spacing sets the scale. Parts
                of a grid give parts of its picture.
        Raises:
            GridError: for other grids.
        """
        self._check_styles(styles)
        rows, columns = lattices(as_grid(grid), self.config.resolution)
        doublings = self.config.doublings
        levels = list(zip(rows.ranges(doublings), columns.ranges(doublings), strict=True))
        x = self._encoded(rows, columns, levels[0], styles[:, 0])
        taps = low_pass(x.device, x.dtype)
        first, picture = 1, torch.zeros((), device=x.device, dtype=x.dtype)
        for level, block in enumerate(cast("list[ScaleBlock]", self.blocks)):
            for layer in block.layers:
                x = layer(x, styles[:, first])
                first += 1
            # Only the coarse level starts with one pixel of context; the others with their reach.
            below = _widened(levels[0], 1) if level == 0 else _doubled(levels[level - 1])
            x = _part(x, below, levels[level])
            rgb = block.to_rgb(x.flatten(2), styles[:, first]).unflatten(2, x.shape[2:])
            if level:
                rgb = rgb + _part(upsample2d(picture, taps), below, levels[level])
            picture = rgb
        return picture

    def _encoded(self, rows: Lattice, columns: Lattice, level: Ranges, w: Tensor) -> Tensor:
        """Features (B, channels, H, W) of the coarse cells of a level and one more on each side."""
        doublings = self.config.doublings
        (top, bottom), (left, right) = _widened(level, 1)
        encoding = self.encoding(
            rows.cells(top, bottom, doublings),
            columns.cells(left, right, doublings),
            (self._scale(rows), self._scale(columns)),
        ).to(w)
        x: Tensor = self.input(encoding.flatten(1).expand(len(w), -1, -1), w)
        return x.unflatten(2, encoding.shape[1:])

    def _scale(self, lattice: Lattice) -> float:
        """Doublings from the natural size to the picture's."""
        return -math.log2(lattice.spacing * self.config.resolution)


Ranges = tuple[tuple[int, int], tuple[int, int]]
"""(first, stop) of rows and of columns."""


def _widened(ranges: Ranges, pixels: int) -> Ranges:
    (top, bottom), (left, right) = ranges
    return (top - pixels, bottom + pixels), (left - pixels, right + pixels)


def _doubled(ranges: Ranges) -> Ranges:
    """The pixels of the next level that a level covers."""
    (top, bottom), (left, right) = ranges
    return (2 * top, 2 * bottom), (2 * left, 2 * right)


def _part(x: Tensor, has: Ranges, wanted: Ranges) -> Tensor:
    """Cut the wanted pixels out of maps (B, C, H, W)."""
    (top, _), (left, _) = has
    (first, stop), (start, end) = wanted
    return x[:, :, first - top : stop - top, start - left : end - left]
