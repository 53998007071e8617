"""Where the samples of a picture lie on the plane, and what evaluates them: tile by tile or chosen.

For each kind of picture there is a strategy. It draws whole tiles of samples, and gives the pixels
of one picture singly to sparse evaluation (`_sparse.Pixels`). A pixel is the mean of `factor` x
`factor` samples, clipped as a larger picture would be.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from creps.coordinates import FARTHEST, AxisGrid, Canvas, PointGrid
from creps.networks.base import Axis, coordinate_device
from creps.rendering._blends import StyleField
from creps.rendering._latents import PreparedLatent, PreparedLatents
from creps.rendering._line_series import LineSeries
from creps.rendering._lines import LineStore
from creps.rendering._points import POINTS, CrossedLines, ExactPoints, PointColors
from creps.rendering._sampling import PADDING, box_reduced, doubled_lines, refined, supersampled
from creps.rendering._sparse import Known, Pixels, Sparsity
from creps.rendering._tiles import Tile
from creps.rendering.warps import (
    Chain,
    CustomWarp,
    Warp,
    as_warp,
    split_nowhere,
    warped_grid,
)
from creps.rendering.warps._parsing import warped_places

Draw = Callable[[Tile], Tensor]

SPREAD = 65
"""Most places a side, borders included, at which a warp is probed for its extent."""

STEPS = 9
"""Places of an axis where the distance of its samples is measured: a warp may fold it."""
STEEPEST = 2.0
"""Details of a model from a sample of a warped picture to the next, at most."""

NOWHERE = -1.0
"""The color of places that a warp does not show: black."""


class Places:
    """Where the samples of a picture lie on the plane.

    Args:
        canvas: of its pixels.
        factor: samples a side of a pixel.
        warp: changes the picture, if given.
        device: where it is drawn.
    Attributes:
        canvas, doubled: of the samples, and of twice as many on each axis.
        aligned: whether rows and columns stay what they are.
    """

    def __init__(
        self, canvas: Canvas, factor: int, warp: Warp | None, device: torch.device
    ) -> None:
        self.pixels, self.factor = canvas, factor
        self.canvas = supersampled(canvas, factor)
        self.doubled = supersampled(self.canvas, 2)
        self._warp = as_warp(warp)
        parts = self._warp.warps if isinstance(self._warp, Chain) else (self._warp,)
        # A user's function may hold its own tensors, which are usually on the CPU.
        own = any(isinstance(each, CustomWarp) for each in parts)
        self._device = torch.device("cpu") if own else coordinate_device(device)
        self.aligned = warp is None or self._stays_aligned()

    def axes(self, part: Tile, *, doubled: bool = False) -> AxisGrid:
        """The warped rows and columns of a part, where they stay aligned."""
        canvas = self.doubled if doubled else self.canvas
        return self._aligned(
            canvas.rows(part.top, part.height), canvas.columns(part.left, part.width)
        )

    def crossing(self, rows: range, columns: range) -> AxisGrid:
        """The warped samples of some rows and columns of pixels, where they stay aligned."""
        return self._aligned(
            _spaced(self.canvas.rows, rows, self.factor),
            _spaced(self.canvas.columns, columns, self.factor),
        )

    def points(self, part: Tile, *, doubled: bool = False) -> tuple[PointGrid, Tensor | None]:
        """The places of a part, and which are shown; None if all are."""
        canvas = self.doubled if doubled else self.canvas
        return split_nowhere(warped_grid(canvas, self._warp, part, device=self._device))

    def crossing_points(
        self, rows: range, columns: range, *, middles: bool = False
    ) -> tuple[PointGrid, Tensor | None]:
        """The places of the samples of some rows and columns of pixels; or of their middles."""
        canvas, factor = (self.pixels, 1) if middles else (self.canvas, self.factor)
        ys = _spaced(canvas.rows, rows, factor).to(self._device)
        xs = _spaced(canvas.columns, columns, factor).to(self._device)
        places = torch.stack(torch.meshgrid(ys, xs, indexing="ij"), dim=-1)
        return split_nowhere(warped_places(canvas, self._warp, places))

    def chosen_points(
        self, rows: range, columns: range, i: Tensor, j: Tensor
    ) -> tuple[PointGrid, Tensor | None]:
        """The places (P, factor ** 2) of the samples of some pixels (rows[i], columns[j])."""
        factor, device = self.factor, self._device
        ys = _spaced(self.canvas.rows, rows, factor).to(device).view(-1, factor)[i.to(device)]
        xs = _spaced(self.canvas.columns, columns, factor).to(device).view(-1, factor)[j.to(device)]
        ys = ys[:, :, None].expand(-1, -1, factor).flatten(1)
        xs = xs[:, None, :].expand(-1, factor, -1).flatten(1)
        return split_nowhere(warped_places(self.canvas, self._warp, torch.stack([ys, xs], dim=2)))

    def spread(self) -> Tensor:
        """(S, 2) places that are spread over the picture as its samples are."""
        sides = min(self.canvas.height, SPREAD), min(self.canvas.width, SPREAD)
        few = Canvas(*sides, self.canvas.window, "corners")
        points = warped_grid(few, self._warp, device=self._device).points.flatten(0, 1)
        return points[points.isfinite().all(1)]

    def steps(self) -> tuple[float, float]:
        """Plane units from a sample to the next, down and across, where they stay aligned."""
        height, width = self.canvas.height, self.canvas.width
        few = [self.canvas.rows(height * k // STEPS, 2) for k in range(STEPS)]
        across = [self.canvas.columns(width * k // STEPS, 2) for k in range(STEPS)]
        grid = self._aligned(torch.cat(few), torch.cat(across))
        down, right = (axis.view(-1, 2).diff(dim=1).abs().median() for axis in (grid.ys, grid.xs))
        return float(down), float(right)

    def _aligned(self, ys: Tensor, xs: Tensor) -> AxisGrid:
        axes = self._warp.over(self.canvas.window).axes(ys, xs)
        assert axes is not None
        return AxisGrid(*axes)

    def _stays_aligned(self) -> bool:
        """Whether rows and columns stay what they are, within reach of the plane."""
        base = self.canvas
        ys = torch.cat([base.rows(0, 1), base.rows(base.height - 1, 1)])
        xs = torch.cat([base.columns(0, 1), base.columns(base.width - 1, 1)])
        axes = self._warp.over(base.window).axes(ys, xs)
        return axes is not None and all(bool((axis.abs() <= FARTHEST).all()) for axis in axes)


def _spaced(axis: Callable[[int, int], Tensor], pixels: range, factor: int) -> Tensor:
    """Coordinates of the samples of evenly spaced pixels, from those of consecutive samples."""
    count = pixels[-1] - pixels[0] + 1
    return axis(pixels[0] * factor, count * factor).view(-1, factor)[:: pixels.step].flatten()


class Strategy(Protocol):
    """Where the samples of a picture come from: prepared lines, or the whole network."""

    def draws(self, part: Tile) -> Draw:
        """Draws tiles (B, C, H, W) of the samples of a part, in any order and on any thread."""

    def pixels(self, sparsity: Sparsity) -> list[Pixels]:
        """The pixels of each picture of the batch, for `sparse_block`."""


class FromLines:
    """Samples from the lines of prepared latents: of rows and columns, or of free points.

    Where it refines, samples that stand out are replaced by means of 2 x 2 (see `_sampling`).
    """

    def __init__(
        self, latents: list[PreparedLatent], places: Places, *, refines: bool, tolerance: float
    ) -> None:
        self._latents, self._places, self._refines = latents, places, refines
        self._tolerance = tolerance  # gray levels; 0 evaluates all lines
        self._points: list[PointColors] = []

    def draws(self, part: Tile) -> Draw:
        """As `Strategy`."""
        make = self._crossing if self._places.aligned else self._free
        draws = [make(index, part) for index in range(len(self._latents))]
        return lambda tile: torch.stack([draw(tile) for draw in draws])

    def pixels(self, sparsity: Sparsity) -> list[Pixels]:
        """As `Strategy`."""
        if self._places.aligned:
            return [_LinePixels(latent, self._places, sparsity) for latent in self._latents]
        return [_FreePixels(each.colors, self._places, sparsity) for each in self._colors()]

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
        if not self._tolerance:
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
        source = self._colors()[index]

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

    def _colors(self) -> list[PointColors]:
        """Colors of points; what is looked up is built here, once for the whole picture."""
        if not self._points:
            self._points = [self._colors_of(latent) for latent in self._latents]
        return self._points

    def _colors_of(self, latent: PreparedLatent) -> PointColors:
        if not self._tolerance:
            return ExactPoints(latent.prepared)
        points = self._places.canvas.height * self._places.canvas.width
        return latent.tables.source(self._places.spread(), points=points, tolerance=self._tolerance)


class FromMixedLines:
    """Samples of several styles: what their lines compose to, mixed pixel by pixel.

    Each style has its own lines, computed only within its reach.
    """

    def __init__(self, latents: PreparedLatents, field: StyleField, places: Places) -> None:
        self._latents, self._field, self._places = latents, field, places

    def draws(self, part: Tile) -> Draw:
        """As `Strategy`."""
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
            image = _blended(self._latents, weights, lambda k: (rows[k][down], columns[k][across]))
            return image[None]

        return draw

    def pixels(self, sparsity: Sparsity) -> list[Pixels]:
        """As `Strategy`."""
        return [_MixedPixels(self._latents, self._field, self._places, sparsity)]


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


class FromNetwork:
    """Samples of families without lines, each tile with the context that it needs."""

    def __init__(self, latents: PreparedLatents, places: Places) -> None:
        self._latents, self._places = latents, places
        self._whole: Tensor | None = None

    def draws(self, part: Tile) -> Draw:
        """As `Strategy`."""
        canvas = self._places.canvas
        if not self._latents.generator.tileable and self._whole is None:
            self._whole = self._synthesized(Tile(0, 0, canvas.height, canvas.width))
        return self._draw

    def pixels(self, sparsity: Sparsity) -> list[Pixels]:
        """As `Strategy`."""
        if self._places.aligned:
            return [_NetworkPixels(self._latents, self._places, sparsity)]
        return [_FreePixels(self._colors, self._places, sparsity)]

    def _colors(self, points: Tensor) -> Tensor:
        """Colors (C, ...) of points (..., 2) of one picture."""
        image = self._latents.synthesize(PointGrid(points.reshape(1, -1, 2)))
        return image[0].view(-1, *points.shape[:-1])

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


class _LinePixels:
    """Pixels where row and column lines meet; lines are computed when they are first needed."""

    def __init__(self, latent: PreparedLatent, places: Places, sparsity: Sparsity) -> None:
        self._prepared, self._factor = latent.prepared, places.factor
        self._rows, self._columns = _series_of(latent, places, sparsity)

    def lattice(self, rows: range, columns: range, i: slice, j: slice) -> Tensor:
        down, across = self._rows.lines(rows, i), self._columns.lines(columns, j)
        return _averaged(self._prepared.compose(down, across), self._factor)

    def chosen(self, rows: range, columns: range, i: Tensor, j: Tensor) -> Tensor:
        rows, i = _narrowed(rows, i)
        columns, j = _narrowed(columns, j)
        crossed = CrossedLines(self._prepared, self._rows.lines(rows), self._columns.lines(columns))
        i, j = _sub_samples(i, j, self._factor)
        return _averaged_samples(crossed.colors(i, j), self._factor)

    def known(self, rows: range, columns: range) -> Known | None:
        return None


class _FreePixels:
    """Pixels at places of their own, from colors of points."""

    def __init__(
        self, colors: Callable[[Tensor], Tensor], places: Places, sparsity: Sparsity
    ) -> None:
        self._colors, self._places, self._sparsity = colors, places, sparsity

    def lattice(self, rows: range, columns: range, i: slice, j: slice) -> Tensor:
        return _averaged(
            self._seen(self._places.crossing_points(rows[i], columns[j])), self._places.factor
        )

    def chosen(self, rows: range, columns: range, i: Tensor, j: Tensor) -> Tensor:
        colors = self._seen(self._places.chosen_points(rows, columns, i, j))
        return _averaged_samples(colors.flatten(1), self._places.factor)

    def known(self, rows: range, columns: range) -> Known | None:
        grid, shown = self._places.crossing_points(rows, columns, middles=True)
        coords = grid.points.movedim(2, 0)
        seen = coords.new_ones(1, *grid.shape) if shown is None else shown.to(coords)[None]
        values = torch.cat([coords, seen])
        # Colors change at most from black to white within a pixel of the model's detail.
        pixel = 1 / self._sparsity.detail
        off = values.new_tensor([self._sparsity.tolerance / 2 * pixel] * 2 + [0.5])
        step = values.new_tensor([STEEPEST * pixel] * 2 + [0.5])
        return Known(values, off[:, None, None], step[:, None, None])

    def _seen(self, places: tuple[PointGrid, Tensor | None]) -> Tensor:
        grid, shown = places
        return _blackened(self._colors(grid.points), shown)


class _MixedPixels:
    """Pixels in which several styles mix; each style's lines are computed where it is present."""

    def __init__(
        self, latents: PreparedLatents, field: StyleField, places: Places, sparsity: Sparsity
    ) -> None:
        self._latents, self._field, self._places = latents, field, places
        self._tolerance, self._factor = sparsity.tolerance, places.factor
        self._series = [
            _series_of(latent, places, sparsity, origin=(frame.y, frame.x))
            for latent, frame in zip(latents.each, field.placed, strict=True)
        ]

    def lattice(self, rows: range, columns: range, i: slice, j: slice) -> Tensor:
        grid = self._places.crossing(rows[i], columns[j])
        weights = self._field.weights_on(grid.ys, grid.xs)
        image = _blended(
            self._latents,
            weights,
            lambda k: (self._series[k][0].lines(rows, i), self._series[k][1].lines(columns, j)),
        )
        return _averaged(image, self._factor)

    def chosen(self, rows: range, columns: range, i: Tensor, j: Tensor) -> Tensor:
        i, j = _sub_samples(i, j, self._factor)
        parts = zip(i.split(POINTS), j.split(POINTS), strict=True)
        colors = torch.cat([self._mixed(rows, columns, *part) for part in parts], dim=1)
        return _averaged_samples(colors, self._factor)

    def known(self, rows: range, columns: range) -> Known | None:
        return _known_weights(self._field, self._places, rows, columns, self._tolerance)

    def _mixed(self, rows: range, columns: range, i: Tensor, j: Tensor) -> Tensor:
        """Colors (C, P) of few samples, those of the same styles together."""
        grid = self._places.crossing(rows, columns)
        ys, xs = grid.ys[i.to(grid.ys.device)], grid.xs[j.to(grid.xs.device)]
        weights = self._field.weights_at(torch.stack([ys, xs], dim=1)).to(i.device)  # (M, P)
        kinds, kind_of = (weights > 0).unique(dim=1, return_inverse=True)
        colors: Tensor | None = None
        for n, kind in enumerate(kinds.unbind(1)):
            held = (kind_of == n).nonzero()[:, 0]
            present = kind.nonzero()[:, 0].tolist()
            down = [self._series[k][0].lines(rows)[:, :, i[held]] for k in present]
            across = [self._series[k][1].lines(columns)[:, :, j[held]] for k in present]
            if len(present) == 1:
                part = self._latents.each[present[0]].prepared.compose_points(down[0], across[0])
            else:
                part = self._latents.network.compose_points_blended(
                    torch.stack(down),
                    torch.stack(across),
                    self._latents.styles[present],
                    weights=weights[present][:, held],
                )[0]
            if colors is None:
                colors = part.new_empty(len(part), len(i))
            colors[:, held] = part
        assert colors is not None
        return colors


class _NetworkPixels:
    """Pixels in rows and columns that a whole network paints."""

    def __init__(self, latents: PreparedLatents, places: Places, sparsity: Sparsity) -> None:
        self._latents, self._places = latents, places
        self._tolerance = sparsity.tolerance

    def lattice(self, rows: range, columns: range, i: slice, j: slice) -> Tensor:
        grid = self._places.crossing(rows[i], columns[j])
        return _averaged(self._latents.synthesize(grid)[0], self._places.factor)

    def chosen(self, rows: range, columns: range, i: Tensor, j: Tensor) -> Tensor:
        grid = self._places.crossing(rows, columns)
        i, j = _sub_samples(i, j, self._places.factor)
        ys, xs = grid.ys[i.to(grid.ys.device)], grid.xs[j.to(grid.xs.device)]
        points = PointGrid(torch.stack([ys, xs], dim=1)[None])
        return _averaged_samples(self._latents.synthesize(points)[0, :, 0], self._places.factor)

    def known(self, rows: range, columns: range) -> Known | None:
        field = self._latents.field
        if field is None:
            return None
        return _known_weights(field, self._places, rows, columns, self._tolerance)


def _known_weights(
    field: StyleField, places: Places, rows: range, columns: range, tolerance: float
) -> Known:
    """The weights of styles in the middles of pixels; a step of any size is no jump."""
    grid, factor = places.crossing(rows, columns), places.factor
    weights = field.weights_on(grid.ys[factor // 2 :: factor], grid.xs[factor // 2 :: factor])
    off = weights.new_full((1, 1, 1), tolerance / 2)
    return Known(weights, off, torch.full_like(off, math.inf))


def _blended(
    latents: PreparedLatents, weights: Tensor, lines: Callable[[int], tuple[Tensor, Tensor]]
) -> Tensor:
    """Colors (C, R, S) of the styles that weigh something (M, R, S), from lines of each."""
    present = [k for k, each in enumerate(weights) if each.any()]
    rows, columns = zip(*(lines(k) for k in present), strict=True)
    if len(present) == 1:
        return latents.each[present[0]].prepared.compose(rows[0], columns[0])
    return latents.network.compose_blended(
        torch.stack(rows),
        torch.stack(columns),
        latents.styles[present],
        weights=weights[present],
    )[0]


def _series_of(
    latent: PreparedLatent,
    places: Places,
    sparsity: Sparsity,
    *,
    origin: tuple[float, float] = (0.0, 0.0),
) -> tuple[LineSeries, LineSeries]:
    """The row and the column lines of a picture, seen from an origin of the plane."""
    (y, x), one = origin, range(1)
    tables = latent.tables.of(sparsity.gray_levels)

    def series(
        axis: Axis, store: LineStore, step: float, count: int, coords: Callable[[range], Tensor]
    ) -> LineSeries:
        @cache  # where it is needed at all
        def shortest() -> int | None:
            return tables.shortest(step, samples=count)

        def make(pixels: range) -> Tensor:
            length = shortest()
            if length is None:
                return store.lines(coords(pixels), axis)
            return tables.table(axis).lines(coords(pixels), shortest=length)

        return LineSeries(make, sparsity.spacing, samples=places.factor)

    canvas, (down, across) = places.canvas, places.steps()
    return (
        series(
            "rows", latent.rows, down, canvas.height, lambda each: places.crossing(each, one).ys - y
        ),
        series(
            "columns",
            latent.columns,
            across,
            canvas.width,
            lambda each: places.crossing(one, each).xs - x,
        ),
    )


def _narrowed(pixels: range, index: Tensor) -> tuple[range, Tensor]:
    """The part of a lattice that an index uses, from an even point on, and the index into it."""
    low, high = (int(edge) for edge in index.aminmax())
    low -= low % 2
    return pixels[low : high + 1], index - low


def _sub_samples(i: Tensor, j: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """Rows and columns (P * factor ** 2) of the samples of pixels in rows and columns (P,)."""
    if factor == 1:
        return i, j
    each = torch.arange(factor, device=i.device)
    size = len(i), factor, factor
    down = (factor * i)[:, None, None] + each[:, None]
    across = (factor * j)[:, None, None] + each
    return down.expand(size).flatten(), across.expand(size).flatten()


def _averaged(image: Tensor, factor: int) -> Tensor:
    """Samples (C, R * factor, S * factor) to pixels (C, R, S)."""
    return image if factor == 1 else box_reduced(image.clamp(-1, 1)[None], factor)[0]


def _averaged_samples(colors: Tensor, factor: int) -> Tensor:
    """Samples (C, P * factor ** 2), those of a pixel together, to pixels (C, P)."""
    return colors if factor == 1 else colors.clamp(-1, 1).unflatten(1, (-1, factor**2)).mean(2)


def _blackened(colors: Tensor, shown: Tensor | None) -> Tensor:
    """Colors (..., H, W) or (C, P), black where nothing is shown."""
    return colors if shown is None else colors.where(shown.to(colors.device), NOWHERE)
