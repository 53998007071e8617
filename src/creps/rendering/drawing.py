"""Drawing: any part of a picture, warped or not, tile by tile, from lines where there are lines.

One way for pictures in memory, for films and for pictures larger than memory.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from creps.coordinates import AxisGrid, Canvas
from creps.errors import GridError, UsageError
from creps.networks.base import Generator
from creps.rendering.antialias import antialiased, automatic_supersample, supersampled
from creps.rendering.lines import Axis, KeptLines
from creps.rendering.requests import DEFAULT_TILE
from creps.rendering.tiles import Tile, plan
from creps.rendering.warps import WarpLike, as_warp, split_nowhere, warped_axes, warped_grid
from creps.rendering.workers import map_in_order, worker_count

Draw = Callable[[Tile], Tensor]
Samples = int | Literal["auto"]

POINT_TILE = 32
"""Pixels of a tile's side where each has a row and a column line of its own: feature buffers of
64 MiB at 1024 channels and thickness 8."""

NOWHERE = -1.0
"""The colour of places that a warp does not show: black."""


@runtime_checkable
class Separable(Protocol):
    """A generator whose pictures are made of row and column lines."""

    @property
    def separable(self) -> bool:
        """Whether this very network has lines: a "dense" one has none."""

    def lines(self, styles: Tensor, coords: Tensor, axis: Axis) -> Tensor:
        """(B, L, N, S, D) lines of styles (B, K, D) at coordinates (S,)."""

    def compose(self, row_lines: Tensor, column_lines: Tensor, styles: Tensor) -> Tensor:
        """(B, C, H, W) picture of row lines (B, L, N, H, D) and column lines (B, L, N, W, D)."""


class Drawer:
    """Draws parts of one picture.

    Where the warp keeps rows and columns aligned, lines serve all tiles of a part, and are kept for
    the next part as far as they fit (see `KeptLines`). Other warps ask for every point by itself.

    Args:
        generator: the model; it works on its own device.
        styles: (B, K, D) from `generator.map`.
        canvas: size, window and sampling rule.
        warp: of the picture, as `as_warp` takes it; black where it shows nothing.
        supersample: pixels are means of so many by so many samples; "auto": as many as the model's
            detail needs, see `automatic_supersample`.
        tile: pixels of a tile's side, or samples where there are more.
    Raises:
        UsageError: for a warp or a number of samples that is none.
        GridError: for a tile below 1.
    """

    def __init__(
        self,
        generator: Generator,
        styles: Tensor,
        canvas: Canvas,
        *,
        warp: WarpLike = None,
        supersample: Samples = 1,
        tile: int = DEFAULT_TILE,
    ) -> None:
        if tile < 1:
            raise GridError(f"tile of {tile} pixels: expected at least 1")
        self.generator, self.canvas, self.tile = generator, canvas, tile
        self.samples = sample_count(supersample, generator, canvas)
        self._styles = styles
        self._fine = supersampled(canvas, self.samples)
        self._warp = as_warp(warp)
        self._grid = (
            self._fine.grid() if warp is None else warped_axes(self._fine, self._warp)
        )  # None: the warp bends rows and columns
        if self._grid is None:
            self.tile = min(tile, POINT_TILE)
        elif isinstance(generator, Separable) and generator.separable:
            self._rows = KeptLines(generator, styles, self._grid.ys, axis="rows", keep=0)
            self._columns = KeptLines(generator, styles, self._grid.xs, axis="columns")

    @torch.inference_mode()
    def tiles(self, part: Tile | None = None) -> Iterator[tuple[Tile, Tensor]]:
        """The pictures of the tiles of a part, row by row.

        On a CPU, as many tiles are made at once as torch has threads.

        Args:
            part: pixels of the canvas; all by default.
        Yields:
            (tile, image): a tile of the canvas, and its (B, C, tile.height, tile.width) picture on
            the model's device, nominal range [-1, 1], not clipped where samples are not averaged.
        """
        part = Tile(0, 0, self.canvas.height, self.canvas.width) if part is None else part
        draw = antialiased(self._sampler(part), self.samples, tile=self.tile)

        @torch.inference_mode()  # the mode belongs to a thread
        def job(cell: Tile) -> tuple[Tile, Tensor]:
            tile = Tile(part.top + cell.top, part.left + cell.left, cell.height, cell.width)
            return tile, draw(tile)

        cells = plan(part.height, part.width, self.tile)
        yield from map_in_order(job, cells, workers=worker_count(self.generator.device))

    def _sampler(self, part: Tile) -> Draw:
        """Draws tiles of the samples of a part."""
        grid, generator = self._grid, self.generator
        if grid is None:
            draw: Draw = self._draw_points
        elif isinstance(generator, Separable) and generator.separable:
            draw = self._composer(generator, part)
        else:
            draw = self._synthesizer(grid)
        if self.samples == 1:
            return draw
        # As a larger picture would be reduced: what is beyond white does not brighten neighbours.
        return lambda tile: draw(tile).clamp(-1, 1)

    def _draw_points(self, tile: Tile) -> Tensor:
        """A tile of points that are no rows and columns."""
        grid, shown = split_nowhere(warped_grid(self._fine, self._warp, tile))
        image = self.generator.synthesize(self._styles, grid)
        return image if shown is None else image.where(shown.to(image.device), NOWHERE)

    def _composer(self, generator: Separable, part: Tile) -> Draw:
        """Draws tiles from the lines of a part, which are computed here."""
        top, left = part.top * self.samples, part.left * self.samples
        rows = self._rows(slice(top, top + part.height * self.samples))
        columns = self._columns(slice(left, left + part.width * self.samples))

        def draw(tile: Tile) -> Tensor:
            inside = Tile(tile.top - top, tile.left - left, tile.height, tile.width)
            return generator.compose(
                rows[..., inside.rows, :], columns[..., inside.columns, :], self._styles
            )

        return draw

    def _synthesizer(self, grid: AxisGrid) -> Draw:
        """Draws tiles from their coordinates alone."""

        def draw(tile: Tile) -> Tensor:
            axes = AxisGrid(grid.ys[tile.rows], grid.xs[tile.columns])
            return self.generator.synthesize(self._styles, axes)

        return draw


def sample_count(supersample: Samples, generator: Generator, canvas: Canvas) -> int:
    """Samples a side of a pixel: the number given, or what "auto" means for a picture.

    Raises:
        UsageError: for anything but "auto" and whole numbers from 1.
    """
    if supersample == "auto":
        return automatic_supersample(generator, canvas)
    try:
        samples = operator.index(supersample)
    except TypeError:
        samples = 0
    if samples < 1:
        raise UsageError(f'supersample {supersample!r}: expected a whole number from 1, or "auto"')
    return samples
