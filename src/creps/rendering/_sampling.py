"""How many samples a pixel takes: one, N x N, or more only where it shows.

A model makes detail down to its training pixels. A picture with larger pixels than that samples the
detail too sparsely, and a slow zoom would make it flicker. So it is painted N times as large and
reduced again, tile by tile.

Most of a small picture is smooth, and one sample is as good as four. Edges are not, and they are
where neighboring samples differ. So, for "auto", each that stands out from a neighbor is
replaced by the mean of 2 x 2, whose lines are interpolated from the existing ones.

With `portraits`, which was trained on parts of 128 px pictures, 64 px pictures against box-filtered
128 px ones, mean of twelve seeds: 40.5 dB with one sample a pixel, 47.8 dB in half as much time
again with a tenth of the pixels refined, 58.6 dB with 2 x 2 samples everywhere in three times as
much. Prefiltered lines alone reach 41.0 dB (what makes edges hard comes after the lines), two
samples for every pixel 47.0 dB.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from creps.coordinates import Canvas
from creps.networks.base import Generator
from creps.rendering._sparse import COARSEST, SMALLEST, Sparsity
from creps.rendering._tables import cubic_weights
from creps.rendering._tiles import Tile, TilePlan
from creps.rendering.warps import Warp, warped_grid

MOST_SAMPLES = 16
"""Samples a side of a pixel that are taken at most: 256 times the work."""
SPREAD = 33
"""Places a side of the picture at which it is measured how much a warp shrinks."""
MOST_OF_THEM = 0.9
"""Share of these places that get enough samples: a warp may shrink without bound somewhere, a
picture to a horizon for example."""
CONTRAST = 48 * 2 / 255
"""Samples that differ from a neighbor by more than this, in any color, are refined: 48 gray
levels of an 8-bit picture. 32 levels add 1.9 dB and a tenth of the time of the plain picture."""
SAMPLES_A_WAVE, FASTEST = 8, 4.0
"""Samples that sparse evaluation takes a wave of a network's input at least, and its frequency as
a multiple of the standard deviation of all."""
SAMPLES_A_DETAIL = 4
"""And a pixel of the whole pictures that a model was trained on: windows of finer ones teach it
sharper borders, which are where coarser samples differ and are refined, not smaller things."""
FEWEST_CELLS = 8
"""Cells of the first lattice along the smaller side of a picture, at least."""
PADDING = 2
"""Lines that interpolation needs beyond those of a tile, on each side."""


def detail_resolution(generator: Generator) -> int:
    """Pixels a plane unit of the finest detail that a model was trained on.

    For models trained on patches at several scales, those of the largest picture the patches were
    parts of, if recorded; else the config's resolution.
    """
    sides = [patch * zoom for patch, zoom in _phases(generator) if zoom]
    return round(max(sides, default=generator.config.resolution))


def trained_resolution(generator: Generator) -> int:
    """Pixels a side of the whole pictures that a model was trained on; see `detail_resolution`.

    The config's resolution, which is the size a model is drawn at, where none is recorded.
    """
    return round(
        min((patch for patch, _ in _phases(generator)), default=generator.config.resolution)
    )


def _phases(generator: Generator) -> list[tuple[float, float]]:
    """The patch, in pixels, and zoom of each part of a training; zoom 0 where it is not known."""
    training = generator.record.get("training")
    if not isinstance(training, Mapping):
        return []
    phases = training.get("phases")
    if not isinstance(phases, list | tuple):
        phases = [{"patch": training.get("resolution"), "zoom": training.get("zoom", 0)}]
    return [
        (phase["patch"], phase["zoom"])
        for phase in phases
        if isinstance(phase, Mapping)
        and all(_is_number(phase.get(name)) for name in ("patch", "zoom"))
        and phase["patch"] > 0
    ]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def automatic_supersample(generator: Generator, canvas: Canvas, warp: Warp | None = None) -> int:
    """How many samples a side of a pixel it takes to see the detail that a model makes, 1 to 16.

    Detail / (pixels per plane unit) rounded up, by the axis that has fewer pixels; where a warp
    shrinks the picture, more samples are needed.
    """
    y0, x0, y1, x1 = canvas.window
    steps = (y1 - y0) / canvas.height, (x1 - x0) / canvas.width
    pixel = max(steps) if warp is None else _warped_pixel(canvas, warp, steps)
    # Slightly less: the rounding of a window must not make 2 samples of 1.
    samples = math.ceil(detail_resolution(generator) * pixel * (1 - 1e-9))
    return min(max(samples, 1), MOST_SAMPLES)


def sparsity_of(
    generator: Generator, canvas: Canvas, warp: Warp | None = None, *, tolerance: float
) -> Sparsity | None:
    """How sparsely a picture may be evaluated; None where every pixel has to be.

    The first lattice has a sample for each detail that the model was trained on, or four for each
    pixel of the whole pictures of its training if these are fewer, and one for each eighth of the
    shortest waves of its input, or more: what a model draws does not fall between samples.

    Args:
        tolerance: gray levels of 255.
    """
    y0, x0, y1, x1 = canvas.window
    steps = (y1 - y0) / canvas.height, (x1 - x0) / canvas.width
    pixel = max(steps) if warp is None else _warped_pixel(canvas, warp, steps, share=0.5)
    waves = FASTEST * getattr(generator.config, "bandwidth", 0.0)
    whole = SAMPLES_A_DETAIL * trained_resolution(generator)
    detail = float(max(min(detail_resolution(generator), whole), SAMPLES_A_WAVE * waves))
    smaller = min(canvas.height, canvas.width)
    widest = min(1 / (detail * pixel) if pixel else math.inf, smaller / FEWEST_CELLS, COARSEST)
    if smaller < SMALLEST or widest < 2:
        return None
    return Sparsity(2 ** math.floor(math.log2(widest * (1 + 1e-9))), tolerance * 2 / 255, detail)


def _warped_pixel(
    canvas: Canvas, warp: Warp, steps: tuple[float, float], *, share: float = MOST_OF_THEM
) -> float:
    """Plane units from a pixel to the next, the larger way, in most parts of a warped picture."""
    y0, x0, y1, x1 = canvas.window
    height, width = min(canvas.height, SPREAD), min(canvas.width, SPREAD)
    bound = warp.over(canvas.window)  # to the window of the picture, whatever places are probed

    def places(down: float, across: float) -> Tensor:
        moved = (y0 + down, x0 + across, y1 + down, x1 + across)
        return warped_grid(Canvas(height, width, moved), bound).points

    here = places(0.0, 0.0)
    ways = [(places(*way) - here).norm(dim=2) for way in ((steps[0], 0.0), (0.0, steps[1]))]
    longer = torch.maximum(*ways)
    seen = longer[longer.isfinite()]
    return float(seen.quantile(share)) if len(seen) else max(steps)


def supersampled(canvas: Canvas, factor: int) -> Canvas:
    """The canvas with factor x factor sub-pixels for each pixel, at the centers of its parts.

    Where samples lie on "corners", a pixel is the area around its sample, up to half-way to the
    next; the window grows by half a pixel on each side.

    Example:
        >>> supersampled(Canvas(1, 2), 2).columns().tolist()
        [0.125, 0.375, 0.625, 0.875]
        >>> supersampled(Canvas(1, 2, sampling="corners"), 2).columns().tolist()
        [-0.25, 0.25, 0.75, 1.25]
    """
    if factor == 1:
        return canvas
    y0, x0, y1, x1 = canvas.window
    if canvas.sampling == "corners":
        half_y = (y1 - y0) / max(canvas.height - 1, 1) / 2
        half_x = (x1 - x0) / max(canvas.width - 1, 1) / 2
        y0, y1 = y0 - half_y, y0 - half_y + 2 * half_y * canvas.height
        x0, x1 = x0 - half_x, x0 - half_x + 2 * half_x * canvas.width
    return Canvas(canvas.height * factor, canvas.width * factor, (y0, x0, y1, x1))


def antialiased(
    draw: Callable[[Tile], Tensor], factor: int, *, tile: int
) -> Callable[[Tile], Tensor]:
    """Draws tiles of a canvas out of tiles (B, C, H, W) of the canvas `supersampled` by a factor.

    At most `tile` sub-pixels a side are drawn at once, in whole pixels: memory does
    not grow with the factor (above `tile`, one pixel at a time).
    """
    if factor == 1:
        return draw

    def draw_antialiased(part: Tile) -> Tensor:
        bands: dict[int, list[Tensor]] = {}
        for cell in TilePlan(part.height, part.width, max(tile // factor, 1)):
            fine = cell.moved(part.top, part.left).times(factor)
            # As a larger picture would be reduced: what is beyond white does not brighten
            # neighbors.
            bands.setdefault(cell.top, []).append(box_reduced(draw(fine).clamp(-1, 1), factor))
        return torch.cat([torch.cat(band, dim=3) for band in bands.values()], dim=2)

    return draw_antialiased


def box_reduced(image: Tensor, factor: int) -> Tensor:
    """(B, C, H, W) at 1/factor of its size, each pixel the mean of the block it covers."""
    blocks: Tensor = image.unflatten(3, (-1, factor)).unflatten(2, (-1, factor))
    return blocks.mean((3, 5))  # of (B, C, H / factor, factor, W / factor, factor)


def standing_out(image: Tensor) -> Tensor:
    """Which samples (H, W) of (C, H + 2, W + 2) differ from one of their four neighbors."""
    down = (image[:, 1:] - image[:, :-1]).abs().amax(0) > CONTRAST  # (H + 1, W + 2)
    across = (image[:, :, 1:] - image[:, :, :-1]).abs().amax(0) > CONTRAST
    down, across = down[:, 1:-1], across[1:-1]
    return down[1:] | down[:-1] | across[:, 1:] | across[:, :-1]


def refined(image: Tensor, sub_samples: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """A tile (C, H, W) with the mean of 2 x 2 samples where it stands out, clipped to [-1, 1].

    The image (C, H + 2, W + 2) has one sample a pixel, with one more on each side. `sub_samples`
    turns rows (P,) and columns (P,) of the tile at twice its size into colors (C, P).
    """
    image = image.clamp(-1, 1)
    tile = image[:, 1:-1, 1:-1].contiguous()
    rows, columns = standing_out(image).nonzero(as_tuple=True)
    if not len(rows):
        return tile
    quarter = torch.arange(4, device=rows.device)
    i = (2 * rows[:, None] + quarter // 2).flatten()
    j = (2 * columns[:, None] + quarter % 2).flatten()
    tile[:, rows, columns] = sub_samples(i, j).clamp(-1, 1).unflatten(1, (-1, 4)).mean(2)
    return tile


def doubled_lines(lines: Tensor) -> Tensor:
    """Lines (L, N, S + 4, D) to (L, N, 2 S, D), a quarter of a step before and after each.

    Interpolated by cubic convolution, from `PADDING` lines more on each side.
    """
    size = lines.shape[2] - 2 * PADDING
    weights = cubic_weights(torch.tensor([0.75, 0.25], dtype=torch.float64)).tolist()
    sides = []
    for first, taps in enumerate(weights):
        parts = (
            weight * lines[:, :, first + k : first + k + size] for k, weight in enumerate(taps)
        )
        sides.append(sum(parts, torch.zeros((), dtype=lines.dtype, device=lines.device)))
    return torch.stack(sides, dim=3).flatten(2, 3)
