"""Foveated pictures: many pixels near the gaze, few elsewhere, the rest filled in.

CIPS (section 4.7) evaluates its model on an irregular pattern of pixels only and fills the others
by bicubic interpolation over triangles of samples. Here a pyramid of averages fills them, which
needs no triangles and takes a twentieth of the time of drawing the picture of a small network. With
25 % of the pixels of portraits it comes to within 44 to 46 dB of the full picture at 512 px, 51 to
52 dB at 1,024 px. Bending the fill to the thin plate came 3 to 5 dB closer, for as much time again
as drawing all pixels.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from creps.coordinates import AxisGrid, Canvas, PointGrid
from creps.errors import GridError, UsageError
from creps.rendering._latents import PreparedLatents
from creps.rendering._painter import Picture, Progress
from creps.rendering._points import POINTS, CrossedLines
from creps.rendering._provenance import provenance
from creps.rendering._rounding import rounded
from creps.rendering._tiles import Tile
from creps.rendering._view import View, refuse_beyond_memory
from creps.rendering._workers import map_in_order, worker_count

BYTES_A_PIXEL = 160
"""Memory needed besides the result: the pattern and the fill cover all pixels at once."""

_FAR, _NEAR = 0.125, 0.375  # the quadratic B-spline, centered between two pixels


class FoveatedPainter:
    """Paints a foveated picture, whole when its first part is requested: a `TileSource`.

    The work per pixel shrinks to the share. The lines of a CREPS are needed whole, so that large
    pictures of small networks gain the most.

    Args:
        latents: what it shows.
        view: what is seen of it: size and window alone.
        share, gaze, sigma, seed: as `sampling_pattern`.
    Attributes:
        height, width, channels, depth, samples, sampling: as `TileSource`.
        mask: (H, W) boolean: the pixels that the model evaluates; the others are filled in.
    Raises:
        UsageError, GridError: as `sampling_pattern`; for a view that is warped or supersampled, and
            for a picture that does not fit in memory.
        UnsupportedError: for a family that cannot draw single pixels.
    """

    def __init__(
        self,
        latents: PreparedLatents,
        view: View,
        *,
        share: float,
        gaze: tuple[float, float] | None = None,
        sigma: float = 0.4,
        seed: int = 0,
    ) -> None:
        generator = latents.generator
        if view.bend is not None or view.supersample != 1 or latents.field is not None:
            raise UsageError("foveated pictures take no warp, supersample or blend: leave them out")
        if not (latents.each or generator.pixelwise):
            raise generator.unsupported("draw single pixels", "creps or cips")
        self._latents, self._view, self._canvas = latents, view, view.canvas(generator)
        pattern = {"foveated": share, "gaze": gaze, "pattern": seed or None}
        self._pattern = {name: value for name, value in pattern.items() if value is not None}
        self.height, self.width = self._canvas.height, self._canvas.width
        if generator.config.map_names:
            raise UsageError("foveated pictures have no maps: draw those of a material whole")
        self.channels, self.depth = int(generator.config.img_channels), view.depth
        self.samples = 1
        self.sampling: int | str = 1
        refuse_beyond_memory(self.height, self.width, channels=BYTES_A_PIXEL)
        self.mask = sampling_pattern(self._canvas, share=share, gaze=gaze, sigma=sigma, seed=seed)
        self._image: Tensor | None = None

    def __repr__(self) -> str:
        size = f"{self.height} x {self.width} pixels"
        return f"<creps.FoveatedPainter: {size}, {self.channels} channels>"

    @torch.inference_mode()
    def image(self, *, progress: Progress | None = None) -> Tensor:
        """(B, C, H, W) pictures, nominal range [-1, 1], not clipped.

        Args:
            progress: called now and then with the pixels evaluated, and those to be.
        """
        if self._image is None:
            rows, columns = self.mask.nonzero(as_tuple=True)
            colors = self._colors(rows, columns, progress)
            known = colors.new_zeros(*colors.shape[:2], self.height, self.width)
            known[:, :, rows, columns] = colors
            self._image = known if self.mask.all() else fill(known, self.mask)
        return self._image

    def pixels(self, part: Tile | None = None, *, progress: Progress | None = None) -> Picture:
        """A part of one picture as pixels; as `Painter.pixels`."""
        image = self.image(progress=progress)[0]
        part = Tile(0, 0, self.height, self.width) if part is None else part
        view, image = self._view, image[:, part.rows, part.columns]
        place = {"top": part.top, "left": part.left}
        return rounded(image, depth=view.depth, dither=view.dither, **place)

    def about(self) -> dict[str, Any]:
        """What a file records of how the pixels were made; as `TileSource.about`."""
        latents = self._latents
        plain = provenance(latents.generator, latents.latent, self._view, dtype=latents.dtype)
        return {**plain, **self._pattern}

    def _colors(self, rows: Tensor, columns: Tensor, progress: Progress | None) -> Tensor:
        """(B, C, P) colors of the pixels (rows[p], columns[p])."""
        latents, ys, xs = self._latents, self._canvas.rows(), self._canvas.columns()
        crossed = [
            CrossedLines(latent.prepared, *latent.lines(AxisGrid(ys, xs)))
            for latent in latents.each
        ]

        @torch.inference_mode()  # the mode belongs to a thread
        def job(part: tuple[Tensor, Tensor]) -> Tensor:
            if not crossed:
                points = torch.stack([ys[part[0]], xs[part[1]]], dim=1)
                return latents.synthesize(PointGrid(points[None]))[:, :, 0]
            i, j = (each.to(latents.device) for each in part)
            return torch.stack([each.colors(i, j) for each in crossed])

        parts = zip(rows.split(POINTS), columns.split(POINTS), strict=True)
        colors, done = [], 0
        for part in map_in_order(job, parts, workers=worker_count(latents.device)):
            colors.append(part)
            done += part.shape[2]
            if progress is not None:
                progress(done, len(rows))
        return torch.cat(colors, dim=2)


def sampling_pattern(
    canvas: Canvas,
    *,
    share: float,
    gaze: tuple[float, float] | None = None,
    sigma: float = 0.4,
    seed: int = 0,
) -> Tensor:
    """Which pixels to evaluate: a random pattern, dense about the gaze (CIPS, Fig. 8).

    Pixels are drawn one after the other without replacement, with probabilities that fall off as a
    Gaussian of their distance from the gaze on the picture.

    Args:
        canvas: size and window of the picture.
        share: of the pixels, above 0 and up to 1, all of them. Exactly this many are drawn, rounded
            to whole pixels, at least one.
        gaze: (y, x) in plane units, also outside the picture; its center by default.
        sigma: standard deviation, as a share of the picture's shorter side; CIPS uses 0.4.
        seed: equal seeds give equal patterns. A larger share only adds pixels.
    Returns:
        (H, W) boolean, on the CPU.
    Raises:
        UsageError: for a share or sigma out of range.
        GridError: for a gaze that is not finite.
    """
    if not 0 < share <= 1:
        raise UsageError(f"share {share} of the pixels: expected above 0, up to 1 for all")
    if not sigma > 0:
        raise UsageError(f"sigma {sigma}: expected above 0, as a share of the shorter side")
    y0, x0, y1, x1 = canvas.window
    y, x = ((y0 + y1) / 2, (x0 + x1) / 2) if gaze is None else gaze
    unit = sigma * min(canvas.height, canvas.width)  # pixels
    down = ((canvas.rows() - y) * (canvas.height / (y1 - y0) / unit)).square() / 2
    across = ((canvas.columns() - x) * (canvas.width / (x1 - x0) / unit)).square() / 2
    if not bool(down.isfinite().all() and across.isfinite().all()):
        raise GridError(f"gaze {gaze}: expected two finite numbers y, x in plane units")
    draw = torch.Generator().manual_seed(seed)
    noise = torch.rand(canvas.height, canvas.width, generator=draw).log_().neg_().log_().neg_()
    # The largest of log likelihood + Gumbel noise are a draw without replacement (Gumbel top-k);
    # from the smallest distance on, so that float32 will do.
    down, across = ((each - each.min()).float() for each in (down, across))
    keys = noise.sub_(down[:, None]).sub_(across[None, :])  # (H, W)
    count = max(round(share * keys.numel()), 1)
    mask = torch.zeros(keys.numel(), dtype=torch.bool)
    mask[keys.flatten().topk(count, sorted=False).indices] = True
    return mask.view(keys.shape)


def fill(known: Tensor, mask: Tensor) -> Tensor:
    """A smooth picture through scattered samples (pull-push: Gortler et al., The Lumigraph, 3.5).

    Of `known` (B, C, H, W) only the values under the mask (H, W) matter, one at least; they stay as
    they are.
    """
    weight = mask.to(known)[None, None]
    return _pull_push(known * weight, weight)


def _pull_push(known: Tensor, weight: Tensor) -> Tensor:
    """Missing pixels (weight 0) from ever coarser averages of the known ones (weight 1).

    `known` (B, C, H, W) are values times weight (1, 1, H, W).
    """
    height, width = known.shape[2:]
    if height == width == 1 or bool((weight == 1).all()):
        return known / weight
    even = (0, width % 2, 0, height % 2)
    coarse, coarse_weight = (_halved(F.pad(x, even)) for x in (known, weight))
    # Four pixels make one: a coarse pixel with half a sample below it counts as known. One sample
    # comes 0.2 dB less close.
    total = (8 * coarse_weight).clamp(max=1)
    coarse *= total / coarse_weight.clamp(min=torch.finfo(known.dtype).tiny)
    rest = F.interpolate(_pull_push(coarse, total), scale_factor=2, mode="bicubic")
    return torch.addcmul(known, rest[:, :, :height, :width], 1 - weight)


def _halved(x: Tensor) -> Tensor:
    """Half the height and width, weighted sums about each 2 x 2 block; nothing lies beyond."""
    for _ in range(2):  # down, then across; ten times as fast as a convolution
        half = (x[:, :, ::2] + x[:, :, 1::2]) * _NEAR
        half[:, :, 1:] += _FAR * x[:, :, 1:-1:2]
        half[:, :, :-1] += _FAR * x[:, :, 2::2]
        x = half.mT
    return x
