"""Foveated pictures: many pixels where the eye looks, few elsewhere, the rest filled in.

CIPS (section 4.7) evaluates its model on an irregular pattern of pixels only and fills the others
by bicubic interpolation over triangles of samples. Here a pyramid of averages fills them, bent a
little towards the thin plate: the picture that bends least in all, while the samples keep their
values. It needs no triangles, and the fill costs a tenth of drawing all pixels of the packaged
model.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from creps.coordinates import AxisGrid, Canvas, PointGrid
from creps.errors import GridError, UsageError
from creps.rendering._latents import PreparedLatents
from creps.rendering._painter import Picture, Progress, to_uint8
from creps.rendering._points import CrossedLines
from creps.rendering._provenance import provenance
from creps.rendering._tiles import Tile
from creps.rendering._view import View, refuse_beyond_memory
from creps.rendering._workers import map_in_order, worker_count

BYTES_A_PIXEL = 160
"""Of memory beside the result: the pattern and the fill are those of all pixels at once."""

POINTS_AT_ONCE = 2048
"""Points that are evaluated at once by a core."""

FILL_STEPS = 2
"""Steps towards the thin plate. With 25 % of the pixels of portraits at 512 px, 0, 2, 4 and 30
steps come to within 45.4, 46.6, 47.6 and 49.3 dB of the full picture; each costs 1 % of that."""

_BLUR = (0.125, 0.375, 0.375, 0.125)  # the quadratic B-spline, centred between two pixels


class FoveatedPainter:
    """Paints a foveated picture, whole when its first part is asked for: a `TileSource`.

    The work per pixel shrinks to the share. The lines of a CREPS are needed whole, so that large
    pictures of small networks gain the most.

    Args:
        latents: what it shows.
        view: what is seen of it: size and window alone.
        share, gaze, sigma, seed: as `sampling_pattern`.
    Attributes:
        height, width, channels, samples, sampling: as `TileSource`.
        mask: (H, W) boolean: which pixels the model is asked for; the others are filled in.
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
            raise UsageError(
                "a foveated picture is made plain: leave warp, supersample and blend out"
            )
        if not (latents.each or generator.pixelwise):
            raise generator.unsupported("draw single pixels", "creps or cips")
        self._latents, self._view, self._canvas = latents, view, view.canvas(generator)
        pattern = {"foveated": share, "gaze": gaze, "pattern": seed or None}
        self._pattern = {name: value for name, value in pattern.items() if value is not None}
        self.height, self.width = self._canvas.height, self._canvas.width
        self.channels = generator.config.img_channels
        self.samples = 1
        self.sampling: int | str = 1
        refuse_beyond_memory(self.height, self.width, channels=BYTES_A_PIXEL)
        self.mask = sampling_pattern(self._canvas, share=share, gaze=gaze, sigma=sigma, seed=seed)
        self._image: Tensor | None = None

    @torch.inference_mode()
    def image(self, *, progress: Progress | None = None) -> Tensor:
        """(B, C, H, W) pictures, nominal range [-1, 1], not clipped.

        Args:
            progress: called now and then with the pixels evaluated, and those to be.
        """
        if self._image is None:
            rows, columns = self.mask.nonzero(as_tuple=True)
            colours = self._colours(rows, columns, progress)
            known = colours.new_zeros(*colours.shape[:2], self.height, self.width)
            known[:, :, rows, columns] = colours
            self._image = known if self.mask.all() else fill(known, self.mask)
        return self._image

    def pixels(self, part: Tile | None = None, *, progress: Progress | None = None) -> Picture:
        """A part of one picture as 8-bit pixels; as `Painter.pixels`."""
        image = self.image(progress=progress)[0]
        return to_uint8(image if part is None else image[:, part.rows, part.columns])

    def about(self) -> dict[str, Any]:
        """What a file tells of how the pixels were made; as `TileSource.about`."""
        latents = self._latents
        plain = provenance(latents.generator, latents.latent, self._view, dtype=latents.dtype)
        return {**plain, **self._pattern}

    def _colours(self, rows: Tensor, columns: Tensor, progress: Progress | None) -> Tensor:
        """(B, C, P) colours of the pixels (rows[p], columns[p])."""
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
            return torch.stack([each.colours(i, j) for each in crossed])

        parts = zip(rows.split(POINTS_AT_ONCE), columns.split(POINTS_AT_ONCE), strict=True)
        colours, done = [], 0
        for part in map_in_order(job, parts, workers=worker_count(latents.device)):
            colours.append(part)
            done += part.shape[2]
            if progress is not None:
                progress(done, len(rows))
        return torch.cat(colours, dim=2)


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
        gaze: (y, x) in plane units, also outside the picture; its centre by default.
        sigma: standard deviation, as a share of the picture's shorter side; CIPS uses 0.4.
        seed: equal seeds give equal patterns. A larger share adds pixels and takes none away.
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
    down = (canvas.rows() - y) * (canvas.height / (y1 - y0) / unit)
    across = (canvas.columns() - x) * (canvas.width / (x1 - x0) / unit)
    likelihood = -(down.square()[:, None] + across.square()[None, :]) / 2  # (H, W), logarithms
    if not bool(likelihood.isfinite().all()):
        raise GridError(f"gaze {gaze}: expected two finite numbers y, x in plane units")
    draw = torch.Generator().manual_seed(seed)
    waits = torch.empty_like(likelihood).exponential_(generator=draw)
    # The largest of likelihood + Gumbel noise are a draw without replacement (Gumbel top-k).
    keys = likelihood - waits.log_()
    count = max(round(share * keys.numel()), 1)
    mask = torch.zeros(keys.numel(), dtype=torch.bool)
    mask[keys.flatten().topk(count, sorted=False).indices] = True
    return mask.unflatten(0, likelihood.shape)


def fill(known: Tensor, mask: Tensor, *, steps: int = FILL_STEPS) -> Tensor:
    """A smooth picture through scattered samples.

    A pyramid of averages gives the start (pull-push: Gortler et al., The Lumigraph, section 3.5);
    conjugate gradients bend it towards the thin plate, least in the sum of squared second
    derivatives. Like bicubic fills it overshoots a little at edges.

    Args:
        known: (B, C, H, W); only the values under the mask matter.
        mask: (H, W) boolean, where they are known; at least one.
        steps: of conjugate gradients; some hundred fill even slopes as slopes.
    Returns:
        (B, C, H, W), equal to `known` under the mask.
    Raises:
        UsageError: if no pixel is known.
    """
    if not bool(mask.any()):
        raise UsageError("nothing to fill from: expected at least one known pixel")
    weight = mask.to(known)[None, None]
    filled = _pull_push(known * weight, weight)
    for picture in filled.flatten(0, 1) if steps else ():  # one at a time stays near a core
        _bend(picture, 1 - weight[0, 0], steps=steps)
    return filled


def _pull_push(known: Tensor, weight: Tensor) -> Tensor:
    """Missing pixels from ever coarser averages of the known ones: weight 1 known, 0 missing.

    Args:
        known: (B, C, H, W), values times weight.
        weight: (1, 1, H, W), 0 to 1: how far a pixel is known.
    """
    height, width = known.shape[2:]
    if height == width == 1 or bool((weight == 1).all()):
        return known / weight
    even = (0, width % 2, 0, height % 2)
    coarse, coarse_weight = (_halved(F.pad(x, even)) for x in (known, weight))
    # Four pixels make one: a coarse pixel with one full sample below it is fully known.
    total = (4 * coarse_weight).clamp(max=1)
    values = coarse / coarse_weight.clamp(min=torch.finfo(known.dtype).tiny)
    rest = F.interpolate(_pull_push(values * total, total), scale_factor=2, mode="bicubic")
    return known + (1 - weight) * rest[:, :, :height, :width]


def _halved(x: Tensor) -> Tensor:
    """Half the height and width, weighted sums about each 2 x 2 block; nothing lies beyond."""
    blur = x.new_tensor(_BLUR)
    kernel = (blur[:, None] * blur).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(x, kernel, stride=2, padding=1, groups=x.shape[1])


def _bend(picture: Tensor, missing: Tensor, *, steps: int) -> None:
    """Conjugate gradients on the missing pixels (1 missing, 0 known) of (H, W), in place."""
    tiny = torch.finfo(picture.dtype).tiny
    rest = _bending_force(picture).mul_(missing).neg_()
    way, energy = rest.clone(), rest.square().sum()
    for _ in range(steps):
        bent = _bending_force(way).mul_(missing)
        length = energy / (way * bent).sum().clamp(min=tiny)
        picture += length * way
        rest -= length * bent
        before, energy = energy, rest.square().sum()
        way.mul_(energy / before.clamp(min=tiny)).add_(rest)


def _bending_force(x: Tensor) -> Tensor:
    """Half the gradient of sum x_yy^2 + 2 x_xy^2 + x_xx^2, free at the borders; (H, W)."""
    force = torch.zeros_like(x)
    for y, f in ((x, force), (x.T, force.T)):
        bend = y[2:] - 2 * y[1:-1] + y[:-2]
        f[2:] += bend
        f[1:-1].sub_(bend, alpha=2)
        f[:-2] += bend
    twist = 2 * x.diff(dim=0).diff(dim=1)
    force[1:, 1:] += twist
    force[:-1, :-1] += twist
    force[1:, :-1] -= twist
    force[:-1, 1:] -= twist
    return force
