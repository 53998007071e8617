"""Drawing: any part of a picture, warped or not, tile by tile, by the fastest way there is.

One way for pictures in memory, for films and for pictures larger than memory. Whatever a pixel
depends on is decided by the whole picture, never by the part or tile it is drawn in.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Literal

import torch
from torch import Tensor

from creps.coordinates import FARTHEST, AxisGrid, Canvas, PointGrid
from creps.errors import GridError, UsageError
from creps.networks.base import Generator, coordinate_device
from creps.rendering._points import ExactPoints, Painter
from creps.rendering._prepared import Latent, Subject
from creps.rendering._sampling import (
    PADDING,
    CrossedLines,
    antialiased,
    automatic_supersample,
    doubled_lines,
    refined,
    supersampled,
)
from creps.rendering._tiles import Tile, plan
from creps.rendering._view import ACCELERATOR_TILE, DEFAULT_TILE, Device, Precision
from creps.rendering._workers import map_in_order, worker_count
from creps.rendering.warps import (
    Chain,
    CustomWarp,
    WarpLike,
    as_warp,
    split_nowhere,
    warped_grid,
)

Draw = Callable[[Tile], Tensor]
Samples = int | Literal["auto"]

POINT_TILE = 32
"""Pixels of a tile's side where a family synthesizes points: feature buffers of 64 MiB at 1024
channels and thickness 8."""
MARGINS = 8
"""Tiles are at least this many margins wide: the margins then cost half as much again."""
SPREAD = 65
"""Places a side of the picture that tell where a warp leads: at most, borders included."""

NOWHERE = -1.0
"""The colour of places that a warp does not show: black."""


class SubjectDrawer:
    """Draws parts of one picture of a subject.

    Args:
        subject: what it shows.
        canvas, warp, supersample, tile, exact: as for `Drawer`.
    Raises:
        UsageError: for a warp or a number of samples that is none.
        GridError: for a tile below 1.
    """

    def __init__(
        self,
        subject: Subject,
        canvas: Canvas,
        *,
        warp: WarpLike = None,
        supersample: Samples = 1,
        tile: int | None = None,
        exact: bool = False,
    ) -> None:
        if tile is not None and tile < 1:
            raise GridError(f"tile of {tile} pixels: expected at least 1")
        self.generator, self.canvas, self._subject, self._exact = (
            subject.generator,
            canvas,
            subject,
            exact,
        )
        self._warp = None if warp is None else as_warp(warp)
        count = sample_count(supersample, subject.generator, canvas, warp=self._warp)
        self._refines = supersample == "auto" and count > 1 and subject.prepared
        factor = -(-count // 2) if self._refines else count
        self.samples: int | str = f"auto, {count}" if self._refines else count
        self._factor, self._base = factor, supersampled(canvas, factor)
        self._doubled = supersampled(self._base, 2)
        self._aligned = self._stays_aligned()
        self.tile = self._tile_edge(tile)
        self._painters: list[Painter] = []
        self._whole: Tensor | None = None

    @torch.inference_mode()
    def tiles(self, part: Tile | None = None) -> Iterator[tuple[Tile, Tensor]]:
        """The pictures of the tiles of a part, row by row.

        On a CPU, as many tiles are made at once as torch has threads.

        Args:
            part: pixels of the canvas, or beyond it; the canvas by default.
        Yields:
            (tile, image): a tile of the canvas, and its (B, C, tile.height, tile.width) picture on
            the device, at least float32, nominal range [-1, 1], not clipped where samples are not
            averaged.
        """
        part = Tile(0, 0, self.canvas.height, self.canvas.width) if part is None else part
        draw = antialiased(self._sampler(part), self._factor, tile=self.tile)

        @torch.inference_mode()  # the mode belongs to a thread
        def job(cell: Tile) -> tuple[Tile, Tensor]:
            tile = Tile(part.top + cell.top, part.left + cell.left, cell.height, cell.width)
            return tile, draw(tile)

        cells = plan(part.height, part.width, self.tile)
        yield from map_in_order(job, cells, workers=worker_count(self._subject.device))

    def _sampler(self, part: Tile) -> Draw:
        """Draws tiles (B, C, H, W) of the samples of a part."""
        n = self._factor
        samples = Tile(n * part.top, n * part.left, n * part.height, n * part.width)
        if not self._subject.prepared:
            draw: Draw = self._synthesized
            if not self.generator.tileable and self._whole is None:
                whole = Tile(0, 0, self._base.height, self._base.width)
                self._whole = self._synthesized_part(whole)
        else:
            make = self._composer if self._aligned else self._free_painter
            draws = [make(k, samples) for k in range(len(self._subject.latents))]
            draw = lambda tile: torch.stack([each(tile) for each in draws])  # noqa: E731

        if n == 1:
            return draw
        # As a larger picture would be reduced: what is beyond white does not brighten neighbours.
        return lambda tile: draw(tile).clamp(-1, 1)

    # Rows and columns that stay aligned

    def _composer(self, index: int, part: Tile) -> Draw:
        """Draws tiles (C, H, W) of a part from its lines, which are computed here."""
        latent = self._subject.latents[index]
        border = PADDING if self._refines else 0
        rows, columns = self._lines(latent, _grown(part, border), self._base)
        top, left = part.top - border, part.left - border

        def plain(tile: Tile) -> Tensor:
            down = slice(tile.top - top, tile.top - top + tile.height)
            across = slice(tile.left - left, tile.left - left + tile.width)
            return latent.prepared.compose(rows[:, :, down], columns[:, :, across])

        if not self._refines:
            return plain
        if self._exact:
            fine_rows, fine_columns = self._lines(latent, _twice(part), self._doubled)
        else:
            fine_rows, fine_columns = doubled_lines(rows), doubled_lines(columns)

        crossed = CrossedLines(latent.prepared, fine_rows, fine_columns)

        def draw(tile: Tile) -> Tensor:
            down, across = 2 * (tile.top - part.top), 2 * (tile.left - part.left)
            return refined(
                plain(_grown(tile, 1)), lambda i, j: crossed.colours(i + down, j + across)
            )

        return draw

    def _lines(self, latent: Latent, part: Tile, canvas: Canvas) -> tuple[Tensor, Tensor]:
        """Row and column lines of a part of a canvas."""
        grid = self._axes(part, canvas)
        return latent.rows.lines(grid.ys, "rows"), latent.columns.lines(grid.xs, "columns")

    def _axes(self, part: Tile, canvas: Canvas) -> AxisGrid:
        """The warped rows and columns of a part of a canvas."""
        ys, xs = canvas.rows(part.top, part.height), canvas.columns(part.left, part.width)
        axes = (ys, xs) if self._warp is None else self._warp.over(canvas.window).axes(ys, xs)
        assert axes is not None
        return AxisGrid(*axes)

    def _stays_aligned(self) -> bool:
        """Whether rows and columns stay what they are, within reach of the plane."""
        if self._warp is None:
            return True
        base = self._base
        ys = torch.cat([base.rows(0, 1), base.rows(base.height - 1, 1)])
        xs = torch.cat([base.columns(0, 1), base.columns(base.width - 1, 1)])
        axes = self._warp.over(base.window).axes(ys, xs)
        return axes is not None and all(bool((axis.abs() <= FARTHEST).all()) for axis in axes)

    # Points that are no rows and columns

    def _free_painter(self, index: int, part: Tile) -> Draw:
        """Draws tiles (C, H, W) of points, any part alike."""
        if not self._painters:
            self._painters = self._new_painters()
        painter = self._painters[index]

        def plain(tile: Tile) -> Tensor:
            grid, shown = split_nowhere(self._points(tile, self._base))
            image = painter.colours(grid.points)
            return image if shown is None else image.where(shown.to(image.device), NOWHERE)

        if not self._refines:
            return plain

        def draw(tile: Tile) -> Tensor:
            def sub_samples(i: Tensor, j: Tensor) -> Tensor:
                grid, shown = split_nowhere(self._points(_twice(tile), self._doubled))
                i, j = i.to(grid.points.device), j.to(grid.points.device)
                colours = painter.colours(grid.points[i, j])
                if shown is None:
                    return colours
                return colours.where(shown[i, j].to(colours.device), NOWHERE)

            return refined(plain(_grown(tile, 1)), sub_samples)

        return draw

    def _new_painters(self) -> list[Painter]:
        """One for each latent; what they look up is built here, once for the whole picture."""
        latents = self._subject.latents
        if self._exact:
            return [ExactPoints(latent.prepared) for latent in latents]
        base = self._base
        spread = min(base.height, SPREAD), min(base.width, SPREAD)
        samples = self._points(None, Canvas(*spread, base.window, "corners")).points.flatten(0, 1)
        samples = samples[samples.isfinite().all(1)]
        points = base.height * base.width
        return [latent.tables.painter(samples, points=points) for latent in latents]

    def _points(self, tile: Tile | None, canvas: Canvas) -> PointGrid:
        """The places of a tile of a canvas, NaN where nothing is to be seen."""
        warp = as_warp(self._warp)
        parts = warp.warps if isinstance(warp, Chain) else (warp,)
        # A user's function may hold tensors of its own, which are on the CPU as a rule.
        own = any(isinstance(each, CustomWarp) for each in parts)
        device = "cpu" if own else coordinate_device(self._subject.device)
        return warped_grid(canvas, warp, tile, device=device)

    # Families without lines

    def _synthesized(self, tile: Tile) -> Tensor:
        """A tile (B, C, H, W) from its coordinates alone, with the context that it needs."""
        if self._whole is not None:
            return self._whole[..., tile.rows, tile.columns]
        margin = self.generator.margin
        image = self._synthesized_part(_grown(tile, margin))
        return image[..., margin : margin + tile.height, margin : margin + tile.width]

    def _synthesized_part(self, part: Tile) -> Tensor:
        """Any part of the samples, and beyond."""
        if self._aligned:
            return self._subject.synthesize(self._axes(part, self._base))
        grid, shown = split_nowhere(self._points(part, self._base))
        image = self._subject.synthesize(grid)
        return image if shown is None else image.where(shown.to(image.device), NOWHERE)

    def _tile_edge(self, wanted: int | None) -> int:
        """Pixels of a tile's side."""
        on_cpu = self._subject.device.type == "cpu"
        suits = DEFAULT_TILE if on_cpu else ACCELERATOR_TILE
        edge = max(suits, MARGINS * self.generator.margin) if wanted is None else wanted
        if self._aligned or self._subject.prepared or self.generator.margin:
            return edge
        return min(edge, POINT_TILE if on_cpu else ACCELERATOR_TILE // 4)


class Drawer(SubjectDrawer):
    """Draws parts of one picture, or of a batch of pictures.

    Where the warp keeps rows and columns aligned, lines serve all tiles of a part, and are kept for
    the next part as far as they fit. Other warps look lines up in tables (`rendering.tables`),
    which are built once, when the first part is drawn; pictures of few points evaluate their lines.

    Args:
        generator: the model; it stays as and where it is.
        styles: (B, K, D) from `generator.map`.
        canvas: size, window and sampling rule.
        warp: of the picture, as `as_warp` takes it; black where it shows nothing.
        supersample: pixels are means of so many by so many samples; "auto": as many as the model's
            detail needs, see `automatic_supersample`, and where they matter, see `refining`.
        tile: pixels of a tile's side, or samples where there are more; what suits the device and
            the model by default.
        exact: evaluate the lines of every point of a bent picture instead of looking them up: up to
            a hundred times slower, and closer by less than a grey level.
        device: where to draw; where the generator is by default.
        dtype: precision, as `requests.checked_dtype`; the generator's own by default.

    Attributes:
        samples: a side of a pixel, a number; or "auto, N" for up to N where they matter.
    Raises:
        UsageError: for a warp, a number of samples, a device or a precision that is none.
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
        tile: int | None = None,
        exact: bool = False,
        device: Device = None,
        dtype: Precision = None,
    ) -> None:
        super().__init__(
            Subject(generator, styles, device=device, dtype=dtype),
            canvas,
            warp=warp,
            supersample=supersample,
            tile=tile,
            exact=exact,
        )


def sample_count(
    supersample: Samples, generator: Generator, canvas: Canvas, *, warp: WarpLike = None
) -> int:
    """Samples a side of a pixel: the number given, or what "auto" means for a picture.

    Raises:
        UsageError: for anything but "auto" and whole numbers from 1.
    """
    if supersample == "auto":
        return automatic_supersample(generator, canvas, None if warp is None else as_warp(warp))
    try:
        samples = operator.index(supersample)
    except TypeError:
        samples = 0
    if samples < 1:
        raise UsageError(f'supersample {supersample!r}: expected a whole number from 1, or "auto"')
    return samples


def _grown(tile: Tile, border: int) -> Tile:
    """A tile with so many pixels more on each side."""
    return Tile(
        tile.top - border, tile.left - border, tile.height + 2 * border, tile.width + 2 * border
    )


def _twice(tile: Tile) -> Tile:
    """The same tile of a canvas of twice the size."""
    return Tile(2 * tile.top, 2 * tile.left, 2 * tile.height, 2 * tile.width)
