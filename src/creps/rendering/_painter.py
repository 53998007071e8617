"""The painter: any part of a picture, warped or not, tile by tile, by the fastest way there is.

One way for pictures in memory, for films, for servers and for pictures larger than memory. Whatever
a pixel depends on is decided by the whole picture, never by the part or tile it is painted in.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creps.coordinates import Canvas
from creps.errors import UsageError
from creps.networks.base import Generator
from creps.rendering._evaluations import Evaluations
from creps.rendering._latents import PreparedLatents
from creps.rendering._provenance import provenance
from creps.rendering._rounding import Depth, rounded
from creps.rendering._samples import FromLines, FromMixedLines, FromNetwork, Places, Strategy
from creps.rendering._sampling import antialiased, automatic_supersample, sparsity_of
from creps.rendering._sparse import BlockPlan, Pixels, sparse_block
from creps.rendering._tiles import Repeats, Tile, TilePlan
from creps.rendering._view import View
from creps.rendering._workers import map_in_order, worker_count
from creps.rendering.warps import warped_grid

Picture = NDArray[Any]
"""(H, W, C) uint8, or uint16 where 16 bits a channel are asked for."""
Progress = Callable[[int, int], None]
Finished = TypeVar("Finished")

DEFAULT_TILE = 64
"""Pixels of a tile's side: its widest features (128 channels, 2 MiB) stay near a core. Measured
with the 512 preset: 48 to 96 are alike, 32 and 128 cost a sixth more, 256 twice as much."""
ACCELERATOR_TILE = 1024
"""The same on an accelerator, which wants much at once."""
POINT_TILE = 32
"""Pixels of a tile's side where a family synthesizes points: feature buffers of 64 MiB at 1024
channels and thickness 8."""
PROBES = 128
"""Places a side at which a warped picture is asked where it lies."""
MARGINS = 8
"""Tiles are at least this many margins wide: the margins then cost half as much again."""


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


def beyond_training(generator: Generator, view: View) -> float:
    """Share of a view, 0 to 1, that lies where a model has never been trained."""
    y0, x0, y1, x1 = generator.trained_window
    x1 += view.across - 1  # a scene of several squares side by side
    seen = view.canvas(generator).window
    if view.bend is None:
        rows = max(min(y1, seen[2]) - max(y0, seen[0]), 0.0) / (seen[2] - seen[0])
        columns = max(min(x1, seen[3]) - max(x0, seen[1]), 0.0) / (seen[3] - seen[1])
        return 1 - rows * columns
    ys, xs = warped_grid(Canvas(PROBES, PROBES, seen), view.bend).points.unbind(-1)
    beyond = (ys < y0) | (ys > y1) | (xs < x0) | (xs > x1)  # False where nothing is shown
    return int(beyond.sum()) / PROBES**2


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
        evaluations: how many pixels were painted so far, and how many of them evaluated.
    """

    def __init__(self, latents: PreparedLatents, view: View) -> None:
        generator, warp = latents.generator, view.bend
        if latents.field is not None and warp is not None:
            raise UsageError("several styles share an unwarped picture: leave the warp out")
        self.generator, self.canvas = generator, view.canvas(generator)
        self._latents, self._view = latents, view
        self.height, self.width = self.canvas.height, self.canvas.width
        self._shown, self.depth = generator.config.channels_of(view.map), view.depth
        self.channels = self._shown.stop - self._shown.start
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
        plain = warp is None and not mixed
        home, self._repeats = repeating(self.canvas, generator.period if plain else (0.0, 0.0))
        places = Places(home, self._factor, warp, self._device)
        self._strategy: Strategy
        if not latents.each:
            self._strategy = FromNetwork(latents, places)
        elif latents.field is not None:
            self._strategy = FromMixedLines(latents, latents.field, places)
        else:
            self._strategy = FromLines(
                latents.each, places, refines=bool(refines), tolerance=view.evaluated_within
            )
        self.tile = _tile_edge(view.tile_edge, latents, aligned=places.aligned)
        one = mixed or bool(latents.each) or len(latents.styles) == 1
        pixelwise = bool(latents.each) or generator.pixelwise
        self._sparsity = (
            sparsity_of(generator, home, warp, tolerance=view.evaluated_within)
            if one and pixelwise and not refines and view.evaluated_within
            else None
        )
        self._home = Tile(0, 0, home.height, home.width)
        self._kept = _Kept()
        self.evaluations = Evaluations()

    def __repr__(self) -> str:
        return f"<creps.Painter: {self.height} x {self.width} pixels, {self.channels} channels>"

    @property
    def beyond_training(self) -> float:
        """Share of the picture, 0 to 1, that lies where the model has never been trained.

        What it draws there goes on from the border, but nothing has taught it what belongs there.
        """
        return beyond_training(self.generator, self._view)

    @property
    def grain(self) -> int:
        """Pixels of a side of what is drawn at once: smaller parts cost as much."""
        return self.tile if self._sparsity is None else self._sparsity.edge(self._device)

    @torch.inference_mode()
    def images(self, part: Tile | None = None) -> Iterator[tuple[Tile, Tensor]]:
        """The tiles of a part before they are rounded, row by row.

        On a CPU, as many tiles are made at once as torch has threads. Where the picture repeats,
        what a part shows more than once is drawn once.

        Args:
            part: pixels of the canvas, or beyond it; the canvas by default.
        Yields:
            (tile, image): a tile of the canvas, and its (B, C, tile.height, tile.width) picture on
            the device, at least float32, nominal range [-1, 1], not clipped where samples are not
            averaged.
        """
        for copy, inside, image in self._finished(part, lambda tile, image: image):
            yield copy, image[:, :, inside.rows, inside.columns]

    @torch.inference_mode()
    def _finished(
        self, part: Tile | None, finish: Callable[[Tile, Tensor], Finished]
    ) -> Iterator[tuple[Tile, Tile, Finished]]:
        """Tiles of a part of the canvas, where each lies in what was drawn, and that, finished.

        `finish` takes a tile of what is drawn and its image (B, C, H, W), on the thread that drew
        it.
        """
        part = self._part(part)

        def seen(tile: Tile, image: Tensor) -> Finished:
            shown = image[:, self._shown]
            return finish(tile, unit_normals(shown) if self._view.map == "normal" else shown)

        for own in self._repeats.first(part):
            for tile, finished in self._drawings(own, seen):
                for n, copy in enumerate(self._repeats.copies(tile, part)):
                    if n:
                        self._count(0, copy.height * copy.width)
                    inside = self._repeats.home(copy).moved(-tile.top, -tile.left)
                    yield copy, inside, finished

    def _drawings(
        self, part: Tile, finish: Callable[[Tile, Tensor], Finished]
    ) -> Iterator[tuple[Tile, Finished]]:
        """The tiles of a part of what is drawn: the canvas, or one period of it."""
        if self._sparsity is None or self._home.within(part) != part:
            yield from self._whole_tiles(part, finish)
            return
        blocks = BlockPlan(self._home.height, self._home.width, part, edge=self.grain)
        sources = self._strategy.pixels(self._sparsity)

        @torch.inference_mode()  # the mode belongs to a thread
        def job(place: Tile) -> tuple[Tile, Finished]:
            tile, image = self._sparse_tile(place, part, sources)
            return tile, finish(tile, image)

        yield from map_in_order(job, blocks, workers=worker_count(self._device))

    def _whole_tiles(
        self, part: Tile, finish: Callable[[Tile, Tensor], Finished]
    ) -> Iterator[tuple[Tile, Finished]]:
        """The tiles of a part, every pixel evaluated."""
        draw = self._strategy.draws(part.times(self._factor))
        draw_pixels = antialiased(draw, self._factor, tile=self.tile)

        @torch.inference_mode()
        def job(cell: Tile) -> tuple[Tile, Finished]:
            tile = cell.moved(part.top, part.left)
            self._count(tile.height * tile.width, tile.height * tile.width)
            return tile, finish(tile, draw_pixels(tile))

        cells = TilePlan(part.height, part.width, self.tile)
        yield from map_in_order(job, cells, workers=worker_count(self._device))

    def _sparse_tile(self, place: Tile, part: Tile, sources: list[Pixels]) -> tuple[Tile, Tensor]:
        """What a part has of a block of the canvas."""
        assert self._sparsity is not None
        blocks = [sparse_block(pixels, place, self._sparsity) for pixels in sources]
        for block in blocks:
            self._count(block.evaluated, place.height * place.width)
        tile = place.within(part)
        assert tile is not None
        inside = tile.moved(-place.top, -place.left)
        images = [block.image[:, inside.rows, inside.columns] for block in blocks]
        return tile, torch.stack(images) if len(images) > 1 else images[0][None]

    def _count(self, evaluated: int, painted: int) -> None:
        for count in (self.evaluations, self._latents.evaluations):
            count.add(evaluated, painted)

    def tiles(self, part: Tile | None = None) -> Iterator[tuple[Tile, Picture]]:
        """The tiles of a part of one picture as pixels, row by row, for any sink.

        Yields:
            (tile, pixels): a tile of the canvas, and its (tile.height, tile.width, C) pixels.
        """

        def finish(tile: Tile, image: Tensor) -> Picture:
            own = {"top": tile.top, "left": tile.left}
            return rounded(image[0], depth=self.depth, dither=self._view.dither, **own)

        for copy, inside, pixels in self._finished(part, finish):
            yield copy, pixels[inside.rows, inside.columns]

    def pixels(self, part: Tile | None = None, *, progress: Progress | None = None) -> Picture:
        """A part of one picture as pixels.

        Of a picture that repeats, parts are kept for those that show the same, up to 64 MiB.

        Args:
            part: pixels of the canvas; all by default.
            progress: called after each tile with the pixels done and the pixels in all.
        Returns:
            (part.height, part.width, C) uint8, or uint16 of 16 bits.
        """
        part = self._part(part)
        if not self._repeats.show_again(part, self.height, self.width):
            return self._drawn(part, progress)
        kept = self._kept.get(self._repeats.home(part))
        if kept is None:
            kept = self._drawn(part, progress)
            self._kept.put(self._repeats.home(part), kept)
            return kept.copy()
        self._count(0, part.height * part.width)
        if progress is not None:
            progress(part.height * part.width, part.height * part.width)
        return kept.copy()

    def each(self, parts: Iterable[Tile]) -> Iterator[Picture]:
        """The pixels of parts of one picture, in order; a few parts ahead are drawn meanwhile.

        As `pixels` of each, but side by side where a part is too small for all cores: each is drawn
        on one thread then, whose own `worker_count` is 1.
        """
        if self._sparsity is None:
            return map(self.pixels, parts)
        return map_in_order(self.pixels, parts, workers=worker_count(self._device))

    def _drawn(self, part: Tile, progress: Progress | None) -> Picture:
        """The pixels of a part, made now."""
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
            tolerance=None if self._sparsity is None else self._view.tolerance,
            dtype=self._latents.dtype,
        )

    def _part(self, part: Tile | None) -> Tile:
        return Tile(0, 0, self.height, self.width) if part is None else part


class _Kept:
    """Parts of a picture that repeats, those asked for last, by where they are on its period."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # parts are drawn by several threads
        self._pixels: OrderedDict[Tile, Picture] = OrderedDict()

    def get(self, home: Tile) -> Picture | None:
        """What was drawn there, if it is still kept."""
        with self._lock:
            if home in self._pixels:
                self._pixels.move_to_end(home)
            return self._pixels.get(home)

    def put(self, home: Tile, pixels: Picture) -> None:
        """Keep pixels, in place of the oldest if they are too many."""
        with self._lock:
            self._pixels[home] = pixels
            while sum(each.nbytes for each in self._pixels.values()) > _MOST_KEPT:
                self._pixels.popitem(last=False)


_MOST_KEPT = 2**26
"""Bytes of pixels of a picture that repeats."""


def repeating(canvas: Canvas, period: tuple[float, float]) -> tuple[Canvas, Repeats]:
    """What is drawn of a picture of a model that repeats: one period, in whole pixels.

    Along axes whose period is no whole number of pixels, or longer than the picture, it is all.
    """
    (y0, x0, y1, x1), sides = canvas.window, (canvas.height, canvas.width)
    spans = ((y0, y1), (x0, x1))
    down, across = (
        _pixels_of(each, *span, side) for each, span, side in zip(period, spans, sides, strict=True)
    )
    height, width = down or canvas.height, across or canvas.width
    window = (y0, x0, y0 + period[0] if down else y1, x0 + period[1] if across else x1)
    return replace(canvas, height=height, width=width, window=window), Repeats(down, across)


def _pixels_of(period: float, start: float, stop: float, pixels: int) -> int:
    """Pixels of a period, if that is a whole number of them and no more than there are; else 0."""
    if not period:
        return 0
    found = Fraction(period) * pixels / (Fraction(stop) - Fraction(start))
    return int(found) if found.denominator == 1 and found <= pixels else 0


def to_uint8(image: Tensor) -> Picture:
    """A picture in [-1, 1] as 8-bit pixels: (x + 1) * 127.5, clipped, rounded to nearest.

    Args:
        image: (C, H, W), floating point, on any device.
    Returns:
        (H, W, C) uint8 array on the CPU.
    """
    return rounded(image)


def unit_normals(image: Tensor) -> Tensor:
    """Normals (B, 3, H, W) in [-1, 1] of length one; where there is none, straight up."""
    up = torch.tensor([0.0, 0.0, 1.0], dtype=image.dtype, device=image.device)[:, None, None]
    length = image.norm(dim=1, keepdim=True)
    return torch.where(length > 0, image / length, up)


def _tile_edge(wanted: int | None, latents: PreparedLatents, *, aligned: bool) -> int:
    """Pixels of a tile's side."""
    on_cpu, margin = latents.device.type == "cpu", latents.generator.margin
    suits = DEFAULT_TILE if on_cpu else ACCELERATOR_TILE
    edge = max(suits, MARGINS * margin) if wanted is None else wanted
    if aligned or latents.each or margin:
        return edge
    return min(edge, POINT_TILE if on_cpu else ACCELERATOR_TILE // 4)
