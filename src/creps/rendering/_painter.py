"""The painter: any part of a picture, warped or not, tile by tile, by the fastest way there is.

One way for pictures in memory, for films, for servers and for pictures larger than memory. Whatever
a pixel depends on is decided by the whole picture, never by the part or tile it is painted in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from creps.coordinates import FARTHEST, AxisGrid, Canvas, PointGrid
from creps.errors import UsageError
from creps.networks.base import coordinate_device
from creps.rendering._blends import StyleField
from creps.rendering._latents import PreparedLatent, PreparedLatents
from creps.rendering._points import CrossedLines, ExactPoints, PointColors
from creps.rendering._provenance import provenance
from creps.rendering._rounding import Depth, rounded
from creps.rendering._sampling import (
    PADDING,
    antialiased,
    automatic_supersample,
    doubled_lines,
    refined,
    supersampled,
)
from creps.rendering._tiles import Tile, TilePlan
from creps.rendering._view import View
from creps.rendering._workers import map_in_order, worker_count
from creps.rendering.warps import Chain, CustomWarp, Warp, as_warp, split_nowhere, warped_grid

Picture = NDArray[Any]
"""(H, W, C) uint8, or uint16 where 16 bits a channel are asked for."""
Progress = Callable[[int, int], None]
Draw = Callable[[Tile], Tensor]

DEFAULT_TILE = 64
"""Pixels of a tile's side: its widest features (128 channels, 2 MiB) stay near a core. Measured
with the 512 preset: 48 to 96 are alike, 32 and 128 cost a sixth more, 256 twice as much."""
ACCELERATOR_TILE = 1024
"""The same on an accelerator, which wants much at once."""
POINT_TILE = 32
"""Pixels of a tile's side where a family synthesizes points: feature buffers of 64 MiB at 1024
channels and thickness 8."""
MARGINS = 8
"""Tiles are at least this many margins wide: the margins then cost half as much again."""
SPREAD = 65
"""Most places a side, borders included, at which a warp is probed for its extent."""

NOWHERE = -1.0
"""The color of places that a warp does not show: black."""


class TileSource(Protocol):
    """The pixels of one picture, of any size: what a writer takes.

    A writer requests any parts, in any order; parts meet exactly. `Painter` is one.

    Attributes:
        height, width, channels: of the picture; 3 channels are color, 1 is gray.
        depth: bits of a channel, 8 or 16: pixels are uint8 or uint16.
        samples: evaluated a side of a pixel, at most: the work of a pixel grows with its square.
        sampling: the same as files record it: a number, or "auto, N" for up to N where they matter.
    """

    height: int
    width: int
    channels: int
    depth: Depth
    samples: int
    sampling: int | str

    def pixels(self, part: Tile | None = None, *, progress: Progress | None = None) -> Picture:
        """(part.height, part.width, channels) of a part; of the whole picture by default."""

    def about(self) -> dict[str, Any]:
        """What a file records of how the pixels were made: all that they depend on, as JSON."""


class Painter:
    """Paints any parts of one picture, or of a batch of pictures: a `TileSource`.

    Where the warp keeps rows and columns aligned, lines serve all tiles of a part, and are kept for
    the next part while they fit. Other warps look lines up in tables (`_tables`), which are
    built once, when the first part is painted; pictures of few points evaluate their lines.

    Keep it while parts of the same picture are requested.

    Args:
        latents: what it shows.
        view: what is seen of it.
    Raises:
        GridError: for a canvas whose pixels float64 cannot tell apart.
        UsageError: for a warp of several styles.
    Attributes:
        canvas: size, window and sampling rule.
        height, width, channels, depth, samples, sampling: as `TileSource`.
        tile: pixels of a tile's side, or samples where there are more.
    """

    def __init__(self, latents: PreparedLatents, view: View) -> None:
        generator, warp = latents.generator, view.bend
        if latents.field is not None and warp is not None:
            raise UsageError("several styles share an unwarped picture: leave the warp out")
        self.generator, self.canvas = generator, view.canvas(generator)
        self._latents, self._view = latents, view
        self.height, self.width = self.canvas.height, self.canvas.width
        self.channels, self.depth = int(generator.config.img_channels), view.depth
        self.samples = (
            automatic_supersample(generator, self.canvas, warp)
            if view.supersample == "auto"
            else view.supersample
        )
        mixed = latents.field is not None
        refines = view.supersample == "auto" and self.samples > 1 and latents.each and not mixed
        self.sampling: int | str = f"auto, {self.samples}" if refines else self.samples
        self._factor = -(-self.samples // 2) if refines else self.samples
        self._device = latents.device
        places = _Places(supersampled(self.canvas, self._factor), warp, self._device)
        self._strategy: _Strategy
        if not latents.each:
            self._strategy = _Network(latents, places)
        elif latents.field is not None:
            self._strategy = _MixedLines(latents, latents.field, places)
        else:
            self._strategy = _Lines(latents.each, places, refines=bool(refines), exact=view.exact)
        self.tile = _tile_edge(view.tile, latents, aligned=places.aligned)

    @torch.inference_mode()
    def images(self, part: Tile | None = None) -> Iterator[tuple[Tile, Tensor]]:
        """The tiles of a part before they are rounded, row by row.

        On a CPU, as many tiles are made at once as torch has threads.

        Args:
            part: pixels of the canvas, or beyond it; the canvas by default.
        Yields:
            (tile, image): a tile of the canvas, and its (B, C, tile.height, tile.width) picture on
            the device, at least float32, nominal range [-1, 1], not clipped where samples are not
            averaged.
        """
        part = self._part(part)
        draw = self._strategy.draws(part.times(self._factor))
        draw_pixels = antialiased(draw, self._factor, tile=self.tile)

        @torch.inference_mode()  # the mode belongs to a thread
        def job(cell: Tile) -> tuple[Tile, Tensor]:
            tile = cell.moved(part.top, part.left)
            return tile, draw_pixels(tile)

        cells = TilePlan(part.height, part.width, self.tile)
        yield from map_in_order(job, cells, workers=worker_count(self._device))

    def tiles(self, part: Tile | None = None) -> Iterator[tuple[Tile, Picture]]:
        """The tiles of a part of one picture as pixels, row by row, for any sink.

        Yields:
            (tile, pixels): a tile of the canvas, and its (tile.height, tile.width, C) pixels.
        """
        finish = partial(rounded, depth=self.depth, dither=self._view.dither)
        for tile, image in self.images(part):
            yield tile, finish(image[0], top=tile.top, left=tile.left)

    def pixels(self, part: Tile | None = None, *, progress: Progress | None = None) -> Picture:
        """A part of one picture as pixels.

        Args:
            part: pixels of the canvas; all by default.
            progress: called after each tile with the pixels done and the pixels in all.
        Returns:
            (part.height, part.width, C) uint8, or uint16 of 16 bits.
        """
        part = self._part(part)
        kind = np.uint8 if self.depth == 8 else np.uint16
        picture: Picture = np.empty((part.height, part.width, self.channels), kind)
        done = 0
        for tile, pixels in self.tiles(part):
            inside = tile.moved(-part.top, -part.left)
            picture[inside.rows, inside.columns] = pixels
            done += tile.height * tile.width
            if progress is not None:
                progress(done, part.height * part.width)
        return picture

    def about(self) -> dict[str, Any]:
        """What a file records of how the pixels were made; as `TileSource.about`."""
        return provenance(
            self.generator,
            self._latents.latent,
            self._view,
            sampling=self.sampling,
            dtype=self._latents.dtype,
        )

    def _part(self, part: Tile | None) -> Tile:
        return Tile(0, 0, self.height, self.width) if part is None else part


def to_uint8(image: Tensor) -> Picture:
    """A picture in [-1, 1] as 8-bit pixels: (x + 1) * 127.5, clipped, rounded to nearest.

    Args:
        image: (C, H, W), floating point, on any device.
    Returns:
        (H, W, C) uint8 array on the CPU.
    """
    return rounded(image)


def _tile_edge(wanted: int | None, latents: PreparedLatents, *, aligned: bool) -> int:
    """Pixels of a tile's side."""
    on_cpu, margin = latents.device.type == "cpu", latents.generator.margin
    suits = DEFAULT_TILE if on_cpu else ACCELERATOR_TILE
    edge = max(suits, MARGINS * margin) if wanted is None else wanted
    if aligned or latents.each or margin:
        return edge
    return min(edge, POINT_TILE if on_cpu else ACCELERATOR_TILE // 4)


class _Places:
    """Where the samples of a picture lie on the plane."""

    def __init__(self, canvas: Canvas, warp: Warp | None, device: torch.device) -> None:
        self.canvas, self.doubled = canvas, supersampled(canvas, 2)
        self._warp = as_warp(warp)
        parts = self._warp.warps if isinstance(self._warp, Chain) else (self._warp,)
        # A user's function may hold its own tensors, which are usually on the CPU.
        own = any(isinstance(each, CustomWarp) for each in parts)
        self._device = torch.device("cpu") if own else coordinate_device(device)
        self.aligned = warp is None or self._stays_aligned()

    def axes(self, part: Tile, *, doubled: bool = False) -> AxisGrid:
        """The warped rows and columns of a part, where they stay aligned."""
        canvas = self.doubled if doubled else self.canvas
        ys, xs = canvas.rows(part.top, part.height), canvas.columns(part.left, part.width)
        axes = self._warp.over(canvas.window).axes(ys, xs)
        assert axes is not None
        return AxisGrid(*axes)

    def points(self, part: Tile, *, doubled: bool = False) -> tuple[PointGrid, Tensor | None]:
        """The places of a part, and which are shown; None if all are."""
        canvas = self.doubled if doubled else self.canvas
        return split_nowhere(warped_grid(canvas, self._warp, part, device=self._device))

    def spread(self) -> Tensor:
        """(S, 2) places that are spread over the picture as its samples are."""
        sides = min(self.canvas.height, SPREAD), min(self.canvas.width, SPREAD)
        few = Canvas(*sides, self.canvas.window, "corners")
        points = warped_grid(few, self._warp, device=self._device).points.flatten(0, 1)
        return points[points.isfinite().all(1)]

    def _stays_aligned(self) -> bool:
        """Whether rows and columns stay what they are, within reach of the plane."""
        base = self.canvas
        ys = torch.cat([base.rows(0, 1), base.rows(base.height - 1, 1)])
        xs = torch.cat([base.columns(0, 1), base.columns(base.width - 1, 1)])
        axes = self._warp.over(base.window).axes(ys, xs)
        return axes is not None and all(bool((axis.abs() <= FARTHEST).all()) for axis in axes)


class _Strategy(Protocol):
    """Where the samples of a picture come from: prepared lines, or the whole network."""

    def draws(self, part: Tile) -> Draw:
        """Draws tiles (B, C, H, W) of the samples of a part, in any order and on any thread."""


class _Lines:
    """Samples from the lines of prepared latents: of rows and columns, or of free points.

    Where it refines, samples that stand out are replaced by means of 2 x 2 (see `_sampling`).
    """

    def __init__(
        self, latents: list[PreparedLatent], places: _Places, *, refines: bool, exact: bool
    ) -> None:
        self._latents, self._places, self._refines, self._exact = latents, places, refines, exact
        self._points: list[PointColors] = []

    def draws(self, part: Tile) -> Draw:
        make = self._crossing if self._places.aligned else self._free
        draws = [make(index, part) for index in range(len(self._latents))]
        return lambda tile: torch.stack([draw(tile) for draw in draws])

    def _crossing(self, index: int, part: Tile) -> Draw:
        """Draws tiles (C, H, W) of a part from its lines, which are computed here."""
        latent = self._latents[index]
        around = part.grown(PADDING if self._refines else 0)
        rows, columns = latent.lines(self._places.axes(around))

        def plain(tile: Tile) -> Tensor:
            inside = tile.moved(-around.top, -around.left)
            return latent.prepared.compose(rows[:, :, inside.rows], columns[:, :, inside.columns])

        if not self._refines:
            return plain
        if self._exact:
            fine = latent.lines(self._places.axes(part.times(2), doubled=True))
        else:
            fine = doubled_lines(rows), doubled_lines(columns)
        crossed = CrossedLines(latent.prepared, *fine)

        def draw(tile: Tile) -> Tensor:
            down, across = 2 * (tile.top - part.top), 2 * (tile.left - part.left)
            return refined(plain(tile.grown(1)), lambda i, j: crossed.colors(i + down, j + across))

        return draw

    def _free(self, index: int, part: Tile) -> Draw:
        """Draws tiles (C, H, W) of points, any part alike."""
        if not self._points:
            self._points = [self._colors_of(latent) for latent in self._latents]
        source = self._points[index]

        def plain(tile: Tile) -> Tensor:
            grid, shown = self._places.points(tile)
            return _blackened(source.colors(grid.points), shown)

        def draw(tile: Tile) -> Tensor:
            def sub_samples(i: Tensor, j: Tensor) -> Tensor:
                grid, shown = self._places.points(tile.times(2), doubled=True)
                i, j = i.to(grid.points.device), j.to(grid.points.device)
                colors = source.colors(grid.points[i, j])
                return _blackened(colors, None if shown is None else shown[i, j])

            return refined(plain(tile.grown(1)), sub_samples)

        return draw if self._refines else plain

    def _colors_of(self, latent: PreparedLatent) -> PointColors:
        """Colors of points; what is looked up is built here, once for the whole picture."""
        if self._exact:
            return ExactPoints(latent.prepared)
        points = self._places.canvas.height * self._places.canvas.width
        return latent.tables.source(self._places.spread(), points=points)


class _MixedLines:
    """Samples of several styles: what their lines compose to, mixed pixel by pixel.

    Each style has its own lines, computed only within its reach.
    """

    def __init__(self, latents: PreparedLatents, field: StyleField, places: _Places) -> None:
        self._latents, self._field, self._places = latents, field, places

    def draws(self, part: Tile) -> Draw:
        grid = self._places.axes(part)
        rows, columns = [], []
        for latent, frame in zip(self._latents.each, self._field.placed, strict=True):
            y0, x0, y1, x1 = frame.reach
            near_y, near_x = _within(grid.ys, y0, y1), _within(grid.xs, x0, x1)
            own = AxisGrid(grid.ys - frame.y, grid.xs - frame.x)
            rows.append(_Run(latent.rows.lines(own.ys[near_y], "rows"), near_y.start))
            columns.append(_Run(latent.columns.lines(own.xs[near_x], "columns"), near_x.start))

        def draw(tile: Tile) -> Tensor:
            inside = tile.moved(-part.top, -part.left)
            down, across = inside.rows, inside.columns
            weights = self._field.weights_on(grid.ys[down], grid.xs[across])
            present = [k for k, each in enumerate(weights) if each.any()]
            if len(present) == 1:
                (k,) = present
                return self._latents.each[k].prepared.compose(rows[k][down], columns[k][across])[
                    None
                ]
            return self._latents.network.compose_blended(
                torch.stack([rows[k][down] for k in present]),
                torch.stack([columns[k][across] for k in present]),
                self._latents.styles[present],
                weights=weights[present],
            )

        return draw


class _Run:
    """Lines (L, N, S, D) of consecutive samples of a part, the first of them `first`."""

    def __init__(self, lines: Tensor, first: int) -> None:
        self._lines, self._first = lines, first

    def __getitem__(self, samples: slice) -> Tensor:
        start, stop = samples.start - self._first, samples.stop - self._first
        inside = self._lines[:, :, max(start, 0) : max(stop, 0)]
        if inside.shape[2] == stop - start:
            return inside
        # Beyond its reach a style weighs nothing: any finite line will do there.
        before = min(max(-start, 0), stop - start)
        return F.pad(inside, (0, 0, before, stop - start - before - inside.shape[2]))


def _within(coords: Tensor, low: float, high: float) -> slice:
    """Which of ascending coordinates lie from low to high."""
    first = int((coords < low).sum())
    return slice(first, max(int((coords <= high).sum()), first))


class _Network:
    """Samples of families without lines, each tile with the context that it needs."""

    def __init__(self, latents: PreparedLatents, places: _Places) -> None:
        self._latents, self._places = latents, places
        self._whole: Tensor | None = None

    def draws(self, part: Tile) -> Draw:
        canvas = self._places.canvas
        if not self._latents.generator.tileable and self._whole is None:
            self._whole = self._synthesized(Tile(0, 0, canvas.height, canvas.width))
        return self._draw

    def _draw(self, tile: Tile) -> Tensor:
        if self._whole is not None:
            return self._whole[..., tile.rows, tile.columns]
        n = self._latents.generator.margin
        image = self._synthesized(tile.grown(n))
        return image[..., n : n + tile.height, n : n + tile.width]

    def _synthesized(self, part: Tile) -> Tensor:
        """Any part of the samples, and beyond."""
        if self._places.aligned:
            return self._latents.synthesize(self._places.axes(part))
        grid, shown = self._places.points(part)
        return _blackened(self._latents.synthesize(grid), shown)


def _blackened(colors: Tensor, shown: Tensor | None) -> Tensor:
    """Colors (..., H, W) or (C, P), black where nothing is shown."""
    return colors if shown is None else colors.where(shown.to(colors.device), NOWHERE)
