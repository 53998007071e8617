"""Pictures of any size in bounded memory: lines once, pixels tile by tile.

The row and column lines of a picture are small and serve every tile; the per-pixel features are
large and only ever exist for a few tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creps.coordinates import Canvas, Window
from creps.errors import UsageError
from creps.networks.base import Generator
from creps.rendering.drawing import Drawer, Samples
from creps.rendering.latents import latents
from creps.rendering.requests import DEFAULT_TILE, RenderRequest, Size, refuse_beyond_memory
from creps.rendering.tiles import Tile
from creps.rendering.warps import WarpLike

Picture = NDArray[np.uint8]
Progress = Callable[[int, int], None]


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
    warp: WarpLike = None,
    supersample: Samples = 1,
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
        warp: changes the picture before the window is cut out: text such as "rotate:30", a warp, or
            a function of points (`rendering.warps`); black where it shows nothing.
        supersample: pixels are means of so many by so many samples, >= 1: less shimmer where a
            picture is smaller than the detail of the model; "auto": as many as it takes.
        tile: pixels of a tile's side.
        progress: called after each tile with the pixels done and the pixels in all.
    Returns:
        (H, W, C) uint8; C is 3 for colour and 1 for gray models. See `to_uint8` for the rounding.
    Raises:
        GridError: for sizes or windows that cannot be rendered or do not fit in memory.
        UsageError: unless exactly one of seed, z and styles is given, for one picture; for a
            warp or a number of samples that is none.
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
    refuse_beyond_memory(canvas.height, canvas.width, channels=generator.config.img_channels)
    styles = _styles_of_one(generator, request, seed=seed, z=z, styles=styles, label=label)
    drawer = Drawer(generator, styles, canvas, warp=warp, supersample=supersample, tile=tile)
    return paint(drawer, progress=progress)


def paint(drawer: Drawer, part: Tile | None = None, *, progress: Progress | None = None) -> Picture:
    """A part of a picture as 8-bit pixels.

    Args:
        drawer: of one picture, not a batch.
        part: pixels of its canvas; all by default.
        progress: called after each tile with the pixels done and the pixels in all.
    Returns:
        (part.height, part.width, C) uint8.
    """
    part = Tile(0, 0, drawer.canvas.height, drawer.canvas.width) if part is None else part
    channels = drawer.generator.config.img_channels
    picture = np.empty((part.height, part.width, channels), dtype=np.uint8)
    done = 0
    for tile, image in drawer.tiles(part):
        inside = Tile(tile.top - part.top, tile.left - part.left, tile.height, tile.width)
        picture[inside.rows, inside.columns] = to_uint8(image[0])
        done += tile.height * tile.width
        if progress is not None:
            progress(done, part.height * part.width)
    return picture


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
    Returns:
        (tile, image): image (B, C, tile.height, tile.width) on the model's device, nominal range
        [-1, 1], not clipped.
    """
    return Drawer(generator, styles, canvas, tile=tile).tiles()


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
