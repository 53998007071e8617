"""Pictures of any size in bounded memory: lines once, pixels tile by tile.

The row and column lines of a picture are small and serve every tile; the per-pixel features are
large and only ever exist for a few tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creps.coordinates import AxisGrid, Canvas, Window
from creps.errors import UsageError
from creps.networks.base import Generator
from creps.rendering.latents import latents
from creps.rendering.requests import DEFAULT_TILE, RenderRequest, Size, refuse_beyond_memory
from creps.rendering.tiles import Tile, plan
from creps.rendering.workers import map_in_order, worker_count

Picture = NDArray[np.uint8]
Axis = Literal["rows", "columns"]
Progress = Callable[[int, int], None]

LINE_CHUNK = 128
"""Coordinates whose lines are computed at once: feature buffers of 4 MiB at 1024 channels and
thickness 8. Each chunk modulates the weights again: 8 % of its time, 30 % for 64 coordinates."""


@runtime_checkable
class Separable(Protocol):
    """A generator whose pictures are made of row and column lines."""

    @property
    def separable(self) -> bool:
        """Whether this very network has lines: a "dense" one has none."""

    def lines(self, styles: Tensor, coords: Tensor, axis: Literal["rows", "columns"]) -> Tensor:
        """(B, L, N, S, D) lines of styles (B, K, D) at coordinates (S,)."""

    def compose(self, row_lines: Tensor, column_lines: Tensor, styles: Tensor) -> Tensor:
        """(B, C, H, W) picture of row lines (B, L, N, H, D) and column lines (B, L, N, W, D)."""


def render(
    generator: Generator,
    *,
    seed: int | None = None,
    z: Tensor | None = None,
    styles: Tensor | None = None,
    label: int | Tensor | None = None,
    size: Size | None = None,
    window: Window | None = None,
    truncation: float = 1.0,
    truncation_cutoff: int | None = None,
    tile: int = DEFAULT_TILE,
    progress: Progress | None = None,
) -> Picture:
    """One picture of a model, at any size, of any window of the plane.

    Memory beyond the result is bounded by the lines of the picture (its height and width, not their
    product) and one tile.

    Args:
        generator: the model; it works on its own device.
        seed: integer 0 .. 2**32 - 1 that draws the latent (see `latents`).
        z: (1, Z) latent, instead of a seed.
        styles: (1, K, D) from `generator.map`, instead of a seed; already truncated.
        label: class index, or (1, label_dim) one-hot row, for class-conditional models.
        size: (height, width) in pixels, or one number for a square; the model's own by default.
        window: (y0, x0, y1, x1) in plane units, mapped exactly onto the picture; outside [0, 1] the
            model extrapolates. By default the unit square, undistorted: the shorter side spans
            [0, 1], the longer reaches beyond it on both ends.
        truncation: 1 keeps the styles, 0 gives the average picture.
        truncation_cutoff: truncate only this many leading styles; all by default.
        tile: pixels of a tile's side.
        progress: called after each tile with the pixels done and the pixels in all.
    Returns:
        (H, W, C) uint8; C is 3 for colour and 1 for gray models. See `to_uint8` for the rounding.
    Raises:
        GridError: for sizes or windows that cannot be rendered or do not fit in memory.
        UsageError: unless exactly one of seed, z and styles is given, for one picture.
        LabelError: if the label is missing, unexpected or unknown.
    """
    request = RenderRequest(
        size=size,
        window=window,
        truncation=truncation,
        truncation_cutoff=truncation_cutoff,
        tile=tile,
    )
    canvas = request.canvas(generator)
    channels = generator.config.img_channels
    refuse_beyond_memory(canvas.height, canvas.width, channels=channels)
    styles = _styles_of_one(generator, request, seed=seed, z=z, styles=styles, label=label)
    picture = np.empty((canvas.height, canvas.width, channels), dtype=np.uint8)
    done = 0
    for part, image in render_tiles(generator, styles, canvas, tile=tile):
        picture[part.rows, part.columns] = to_uint8(image[0])
        done += part.height * part.width
        if progress is not None:
            progress(done, canvas.height * canvas.width)
    return picture


@torch.inference_mode()
def render_tiles(
    generator: Generator, styles: Tensor, canvas: Canvas, *, tile: int = DEFAULT_TILE
) -> Iterator[tuple[Tile, Tensor]]:
    """The pictures of `styles` on `canvas`, tile by tile and row by row, for any sink.

    On a CPU, as many tiles are made at once as torch has threads.

    Args:
        generator: the model; one with lines (CREPS) computes each line once for all tiles.
        styles: (B, K, D) from `generator.map`.
        canvas: size, window and sampling rule.
        tile: pixels of a tile's side.
    Yields:
        (tile, image): image (B, C, tile.height, tile.width) on the model's device, nominal range
        [-1, 1], not clipped.
    """
    workers = worker_count(generator.device)
    draw: Callable[[Tile], Tensor]
    if isinstance(generator, Separable) and generator.separable:
        draw = _composer(generator, styles, canvas, workers=workers)
    else:
        draw = _synthesizer(generator, styles, canvas)

    @torch.inference_mode()  # the mode belongs to a thread
    def job(part: Tile) -> tuple[Tile, Tensor]:
        return part, draw(part)

    yield from map_in_order(job, plan(canvas.height, canvas.width, tile), workers=workers)


def to_uint8(image: Tensor) -> Picture:
    """A picture in [-1, 1] as 8-bit pixels: (x + 1) * 127.5, clipped, rounded to nearest.

    Args:
        image: (C, H, W), floating point.
    Returns:
        (H, W, C) uint8 array on the CPU.
    """
    # In NumPy: torch would wake its threads for this trifle, and they spin beside the tile workers.
    levels = (image.cpu().permute(1, 2, 0).numpy() + 1) * 127.5
    return np.rint(levels.clip(0, 255)).astype(np.uint8)


@torch.inference_mode()
def _styles_of_one(
    generator: Generator,
    request: RenderRequest,
    *,
    seed: int | None,
    z: Tensor | None,
    styles: Tensor | None,
    label: int | Tensor | None,
) -> Tensor:
    """(1, K, D) styles from the one source that is given."""
    given = [n for n, v in (("seed", seed), ("z", z), ("styles", styles)) if v is not None]
    if len(given) != 1:
        raise UsageError(
            f"{' and '.join(given) or 'nothing'} given: expected one of seed, z, styles"
        )
    if seed is not None:
        z = latents([seed], generator)
    if z is not None:
        classes = label if label is None or isinstance(label, Tensor) else torch.tensor([label])
        styles = generator.map(
            z,
            classes,
            truncation=request.truncation,
            truncation_cutoff=request.truncation_cutoff,
        )
    elif label is not None or request.truncation != 1.0:
        raise UsageError(
            "styles are already labelled and truncated: leave label and truncation out"
        )
    assert styles is not None
    if len(styles) != 1:
        raise UsageError(f"{len(styles)} latents given: expected one, render makes one picture")
    return styles


def _synthesizer(generator: Generator, styles: Tensor, canvas: Canvas) -> Callable[[Tile], Tensor]:
    """Draws a tile from its coordinates alone."""

    def draw(tile: Tile) -> Tensor:
        ys, xs = canvas.rows(tile.top, tile.height), canvas.columns(tile.left, tile.width)
        return generator.synthesize(styles, AxisGrid(ys, xs))

    return draw


def _composer(
    generator: Separable, styles: Tensor, canvas: Canvas, *, workers: int
) -> Callable[[Tile], Tensor]:
    """Draws a tile from the lines of the whole canvas, which are computed here."""
    rows = _lines(generator, styles, canvas.rows(), "rows", workers=workers)
    columns = _lines(generator, styles, canvas.columns(), "columns", workers=workers)

    def draw(tile: Tile) -> Tensor:
        row_lines, column_lines = rows[..., tile.rows, :], columns[..., tile.columns, :]
        return generator.compose(row_lines, column_lines, styles)

    return draw


def _lines(
    generator: Separable, styles: Tensor, coords: Tensor, axis: Axis, *, workers: int
) -> Tensor:
    """Lines of all `coords`, (B, L, N, S, D), a chunk at a time to bound memory."""

    @torch.inference_mode()
    def job(chunk: Tensor) -> Tensor:
        return generator.lines(styles, chunk, axis)

    first = 0
    result = styles.new_empty(0)
    for lines in map_in_order(job, coords.split(LINE_CHUNK), workers=workers):
        if first == 0:
            result = lines.new_empty((*lines.shape[:3], len(coords), lines.shape[4]))
        result[..., first : first + lines.shape[3], :] = lines
        first += lines.shape[3]
    return result
