"""Drawing pictures of several styles, tile by tile, at any size.

Each style has lines of its own, computed only where it weighs anything, and kept from part to part
as far as they fit. A tile mixes what they compose to, pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from creps.coordinates import AxisGrid, Canvas
from creps.errors import GridError
from creps.networks.base import Generator
from creps.rendering._blends import Frame, StyleField
from creps.rendering._lines import COLUMNS_KEPT, Axis, KeptLines
from creps.rendering._painter import DEFAULT_TILE, MARGINS, Picture, Progress, to_uint8
from creps.rendering._sampling import antialiased, automatic_supersample, supersampled
from creps.rendering._tiles import Tile, plan
from creps.rendering._view import Samples
from creps.rendering._workers import map_in_order, worker_count

Draw = Callable[[Tile], Tensor]


class FieldDrawer:
    """Draws parts of one picture of several styles; the counterpart of `drawing.Drawer`.

    Where one style is alone, the picture is exactly its own.

    Args:
        generator: a model with lines (CREPS), one that works pixel by pixel (CIPS), or one whose
            layers take styles that flow (StyleGAN3, any-resolution).
        field: styles on the model's device, and their weights.
        canvas: size, window and sampling rule.
        supersample: as for `Drawer`.
        tile: pixels of a tile's side, or samples where there are more.
    Raises:
        UnsupportedError: for a model that cannot mix styles.
        UsageError: for an invalid number of samples.
        GridError: for a tile below 1.
    """

    def __init__(
        self,
        generator: Generator,
        field: StyleField,
        canvas: Canvas,
        *,
        supersample: Samples = 1,
        tile: int = DEFAULT_TILE,
    ) -> None:
        if tile < 1:
            raise GridError(f"tile of {tile} pixels: expected at least 1")
        self.generator, self.canvas = generator, canvas
        self.tile = max(tile, MARGINS * generator.margin)
        self.height, self.width = canvas.height, canvas.width
        self.channels = int(generator.config.img_channels)
        self.samples = (
            automatic_supersample(generator, canvas) if supersample == "auto" else supersample
        )
        self.sampling: int | str = self.samples
        self._field = field
        self._fine = fine = supersampled(canvas, self.samples)
        self._ys, self._xs = fine.rows(), fine.columns()
        self._frames = field.frames or (Frame(),) * len(field.styles)
        self._strips: list[tuple[_Strip, _Strip]] = []
        if not generator.blends:
            raise generator.unsupported(
                "mix styles in a picture", "creps (not dense), cips, stylegan3 or anyres"
            )
        if not generator.separable:
            return
        self._strips = [
            self._strips_of(style[None], frame)
            for style, frame in zip(field.styles, self._frames, strict=True)
        ]

    @torch.inference_mode()
    def tiles(self, part: Tile | None = None) -> Iterator[tuple[Tile, Tensor]]:
        """The pictures of the tiles of a part, row by row, as `Drawer.tiles`.

        Args:
            part: pixels of the canvas; all by default.
        Yields:
            (tile, image): a tile of the canvas, and its (1, C, tile.height, tile.width) picture.
        """
        part = Tile(0, 0, self.canvas.height, self.canvas.width) if part is None else part
        draw = self.painter(part)

        def job(cell: Tile) -> tuple[Tile, Tensor]:
            tile = Tile(part.top + cell.top, part.left + cell.left, cell.height, cell.width)
            return tile, draw(tile)

        cells = plan(part.height, part.width, self.tile)
        yield from map_in_order(job, cells, workers=worker_count(self.generator.device))

    def pixels(self, part: Tile | None = None, *, progress: Progress | None = None) -> Picture:
        """A part of the picture as 8-bit pixels, as `Painter.pixels`."""
        part = Tile(0, 0, self.height, self.width) if part is None else part
        picture = np.empty((part.height, part.width, self.channels), dtype=np.uint8)
        done = 0
        for tile, image in self.tiles(part):
            inside = Tile(tile.top - part.top, tile.left - part.left, tile.height, tile.width)
            picture[inside.rows, inside.columns] = to_uint8(image[0])
            done += tile.height * tile.width
            if progress is not None:
                progress(done, part.height * part.width)
        return picture

    def painter(self, part: Tile | None = None) -> Draw:
        """A function that draws tiles of a part in any order, also at once.

        The lines of the part are computed here.

        Args:
            part: pixels of the canvas; all by default.
        Returns:
            tiles of the canvas to (1, C, tile.height, tile.width), nominal range [-1, 1].
        """
        part = Tile(0, 0, self.canvas.height, self.canvas.width) if part is None else part
        n = self.samples
        fine = Tile(n * part.top, n * part.left, n * part.height, n * part.width)
        lines = [(rows.of(fine.rows), columns.of(fine.columns)) for rows, columns in self._strips]

        def draw_samples(tile: Tile) -> Tensor:
            image = self._mixed(lines, tile)
            # As in `Drawer`: what is beyond white does not brighten its neighbours.
            return image if n == 1 else image.clamp(-1, 1)

        draw = antialiased(draw_samples, n, tile=self.tile)

        @torch.inference_mode()  # the mode belongs to a thread
        def drawn(tile: Tile) -> Tensor:
            return draw(tile)

        return drawn

    def _mixed(self, lines: list[tuple[_Lines, _Lines]], tile: Tile) -> Tensor:
        """(1, C, H, W) of a tile of samples."""
        if not self.generator.separable:
            return self._blended(tile)
        weights = self._field.weights_on(self._ys[tile.rows], self._xs[tile.columns])
        present = [k for k, each in enumerate(weights) if each.any()]
        row_lines = torch.cat([lines[k][0].part(tile.rows) for k in present])
        column_lines = torch.cat([lines[k][1].part(tile.columns) for k in present])
        styles = self._field.styles[present]
        if len(present) == 1:
            return self.generator.compose(row_lines, column_lines, styles)
        return self.generator.compose_blended(
            row_lines, column_lines, styles, weights=weights[present]
        )

    def _blended(self, tile: Tile) -> Tensor:
        """`_mixed` without lines, with the context that convolutions need."""
        generator = self.generator
        n = generator.margin
        grid = AxisGrid(
            self._fine.rows(tile.top - n, tile.height + 2 * n),
            self._fine.columns(tile.left - n, tile.width + 2 * n),
        )
        image = generator.blend(
            self._field.styles,
            grid,
            weights=self._field.weights_at,
            origins=[(frame.y, frame.x) for frame in self._frames],
        )
        return image[..., n : n + tile.height, n : n + tile.width]

    def _strips_of(self, style: Tensor, frame: Frame) -> tuple[_Strip, _Strip]:
        """Where one style's lines come from, rows and columns."""
        y0, x0, y1, x1 = frame.reach
        keep = COLUMNS_KEPT // len(self._field.styles)

        def strip(coords: Tensor, reach: tuple[float, float], origin: float, axis: Axis) -> _Strip:
            first = int((coords < reach[0]).sum())
            count = max(int((coords <= reach[1]).sum()) - first, 0)
            kept = KeptLines(
                self.generator,
                style,
                coords - origin,
                axis=axis,
                keep=keep if axis == "columns" else 0,
            )
            return _Strip(kept, first, first + count)

        return (
            strip(self._ys, (y0, y1), frame.y, "rows"),
            strip(self._xs, (x0, x1), frame.x, "columns"),
        )


class _Strip:
    """Lines of those of a canvas' samples, first .. stop - 1, that lie within a style's reach."""

    def __init__(self, kept: KeptLines, first: int, stop: int) -> None:
        self._kept, self._first, self._stop = kept, first, stop

    def of(self, samples: slice) -> _Lines:
        """The lines that a part of the canvas needs."""
        start, stop = max(samples.start, self._first), min(samples.stop, self._stop)
        if start >= stop:  # any one line tells the shape of those that are needed nowhere
            return _Lines(start, self._kept(slice(samples.start, samples.start + 1))[..., :0, :])
        return _Lines(start, self._kept(slice(start, stop)))


class _Lines:
    """Lines of consecutive samples of a canvas from `first` on, (1, L, N, S, D)."""

    def __init__(self, first: int, lines: Tensor) -> None:
        self._first, self._lines = first, lines

    def part(self, samples: slice) -> Tensor:
        """The lines of some samples of the canvas, zeros where there are none."""
        own = slice(self._first, self._first + self._lines.shape[3])
        start, stop = max(samples.start, own.start), min(samples.stop, own.stop)
        inside = self._lines[..., max(start - own.start, 0) : max(stop - own.start, 0), :]
        if (start, stop) == (samples.start, samples.stop):
            return inside
        # Beyond its reach a style weighs nothing: any finite line will do there.
        shape = *inside.shape[:3], samples.stop - samples.start, inside.shape[4]
        lines = inside.new_zeros(shape)
        if start < stop:
            lines[..., start - samples.start : stop - samples.start, :] = inside
        return lines
