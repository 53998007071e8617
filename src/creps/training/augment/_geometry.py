"""Geometric transforms of ADA (appendix B), composed to one affine map for each picture.

Maps are (B, 3, 3) float64 on the CPU, from places of the result to places of the picture, in pixels
(y, x, 1) from the center.

A picture is continued without end by reflection. Where a map only moves whole pixels they are
copied, exactly; otherwise the picture is enlarged twice with an orthogonal wavelet's filter,
sampled bilinearly on a grid twice as fine as the result's, and brought back with the same filter
(ADA, appendix B). All of it is linear in the picture, and differentiable any number of times.

Letters: B pictures, C channels, H rows, W columns, P pixels of a picture, S samples taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from creps.networks._resampling import upfirdn2d
from creps.training.augment._settings import AugmentSettings, Draws

_SHIFT = 0.125
"""Largest shift by whole pixels, and standard deviation of the fractional one, of the size."""
_SCALE = 0.2
"""Standard deviation of the base-2 logarithm of both scalings."""

GEOMETRY_DRAWS = (
    *("flip?", "flip", "rotate90?", "rotate90", "translate?", "translate y", "translate x"),
    *("scale?", "scale", "rotate before?", "rotate before", "aspect?", "aspect"),
    *("rotate after?", "rotate after", "fraction?", "fraction y", "fraction x"),
)
"""Random numbers of a picture; those with `?` decide whether the transform happens."""

_QUARTER_TURNS = torch.tensor(
    [[[1, 0], [0, 1]], [[0, 1], [-1, 0]], [[-1, 0], [0, -1]], [[0, -1], [1, 0]]],
    dtype=torch.float64,
)
"""Where pixels (y, x) come from in turns to the left by 0, 90, 180 and 270 degrees, unrounded."""


def draw_geometry(
    draws: Draws, strength: float, settings: AugmentSettings, *, size: tuple[int, int]
) -> Tensor:
    """The composed transform of each picture of `size` (H, W), from result to picture: (B, 3, 3).

    Mirror, quarter turn and whole shift; then scale, rotation, aspect, rotation again, fractional
    shift; exactly the identity where none happens.
    """

    def happens(name: str) -> Tensor:
        return draws.happens(f"{name}?", settings.probability(name, strength))

    def drawn(name: str, values: Tensor, neutral: float) -> Tensor:
        return torch.where(happens(name), values, neutral)

    def moved(name: str) -> Tensor:
        return happens(name)[:, None]

    sides = torch.tensor(size, dtype=torch.float64)
    names = "translate y", "translate x"
    whole = torch.stack([draws.uniform(name, -_SHIFT, _SHIFT) for name in names], 1) * sides
    names = "fraction y", "fraction x"
    fraction = torch.stack([draws.normal(name) * _SHIFT for name in names], 1) * sides
    # Two rotations, such that one at least happens with the probability of the transform.
    each = 1 - math.sqrt(1 - settings.probability("rotate", strength))
    angles = [
        torch.where(draws.happens(f"{name}?", each), draws.uniform(name, -math.pi, math.pi), 0.0)
        for name in ("rotate before", "rotate after")
    ]
    scale = drawn("scale", torch.exp2(draws.normal("scale") * _SCALE), 1.0)
    aspect = drawn("aspect", torch.exp2(draws.normal("aspect") * _SCALE), 1.0)
    mirror = drawn("flip", draws.sign("flip"), 1.0)
    turns = torch.where(happens("rotate90"), draws.integer("rotate90", 4), 0)
    # From result to picture, so each is the inverse, and the first to happen stands first.
    return (
        scaling(torch.ones_like(mirror), mirror)
        @ quarter_turns(turns, size=size)
        @ shifting(-torch.where(moved("translate"), whole.round(), 0.0))
        @ scaling(1 / scale, 1 / scale)
        @ rotation(-angles[0])
        @ scaling(aspect, 1 / aspect)
        @ rotation(-angles[1])
        @ shifting(-torch.where(moved("fraction"), fraction, 0.0))
    )


def scaling(y: Tensor, x: Tensor) -> Tensor:
    """(B, 3, 3) that multiply places by factors (B,) on each axis."""
    return torch.diag_embed(torch.stack([y, x, torch.ones_like(y)], dim=1))


def shifting(offset: Tensor) -> Tensor:
    """(B, 3, 3) that add (B, 2) to places (y, x)."""
    matrices = torch.eye(3, dtype=offset.dtype).repeat(len(offset), 1, 1)
    matrices[:, :2, 2] = offset
    return matrices


def rotation(angle: Tensor) -> Tensor:
    """(B, 3, 3) that rotate places by angles (B,) in radians."""
    matrices = torch.eye(3, dtype=angle.dtype).repeat(len(angle), 1, 1)
    cosine, sine = angle.cos(), angle.sin()
    matrices[:, 0, 0], matrices[:, 0, 1] = cosine, -sine
    matrices[:, 1, 0], matrices[:, 1, 1] = sine, cosine
    return matrices


def quarter_turns(turns: Tensor, *, size: tuple[int, int]) -> Tensor:
    """(B, 3, 3) that turn pictures left by 90 degrees as often as `turns` (B,) says, 0 to 3.

    On a picture with an even and an odd side a turned pixel lies between pixels: it is moved by
    half a pixel on both axes.
    """
    between = (turns % 2).double() * 0.5 * (sum(size) % 2)
    matrices = shifting(between[:, None].expand(-1, 2))
    matrices[:, :2, :2] = _QUARTER_TURNS[turns]
    return matrices


SYM6 = (
    *(0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633),
    *(0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252),
    *(-0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148),
)
"""Daubechies' least asymmetric wavelet filter with six vanishing moments: orthonormal, so enlarging
and reducing with it gives the picture back."""
_HALF = torch.tensor(SYM6, dtype=torch.float64) / math.sqrt(2)
"""The filter with sum one."""
_CENTER = 5
"""The tap that lies on the pixel. The filter's centroid is at 5.1, and smooth pictures are off by
0.1 pixels when mirrored; but half way to the finest detail and beyond, 5 has the smaller error."""

DENSE_SIZE = 1100
"""Pixels or samples a side up to which filters are matrices on a CPU: two to four times faster
there (`benchmarks/augment.py`)."""


def transform(images: Tensor, maps: Tensor) -> Tensor:
    """Pictures (B, C, H, W) through maps (B, 3, 3) from result to picture, copied or resampled."""
    identity = torch.eye(3, dtype=maps.dtype)
    still = (maps == identity).all(2).all(1)
    # Pixel indices to pixel indices: whole numbers that keep areas copy pixels.
    whole = (_to_indices(maps, images.shape[2:]) % 1 == 0).all(2).all(1)
    blits = whole & (maps[:, :2, :2].det().abs() == 1)
    for chosen, move in ((blits & ~still, blit), (~blits, resample)):
        places = chosen.nonzero()[:, 0]
        if len(places) == len(images):
            return move(images, maps)
        if len(places):
            rows = places.to(images.device)
            moved = move(images.index_select(0, rows), maps[places])
            images = images.index_copy(0, rows, moved)
    return images


def _to_indices(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    """Maps (B, 3, 3) of places from the center as maps of pixel indices: (B, 2, 3)."""
    center = (torch.tensor(size, dtype=maps.dtype) - 1) / 2
    linear = maps[:, :2, :2]
    offset = maps[:, :2, 2] + center - linear @ center
    return torch.cat([linear, offset[:, :, None]], dim=2)


def blit(images: Tensor, maps: Tensor) -> Tensor:
    """Pictures (B, C, H, W) under maps (B, 3, 3) that only move whole pixels, copied exactly."""
    height, width = images.shape[2:]
    rows, columns = (torch.arange(side, device=images.device) for side in (height, width))
    y, x = _places(_to_indices(maps, images.shape[2:]).long().to(images.device), rows, columns)
    index = reflected(y, height) * width + reflected(x, width)
    return gathered(images.flatten(2), index.flatten(1)).view_as(images)


def reflected(index: Tensor, size: int) -> Tensor:
    """Indices of any size to 0 .. size - 1, mirrored at the first and the last pixel."""
    period = max(2 * size - 2, 1)
    index = index % period
    return torch.minimum(index, period - index) if size > 1 else index


def gathered(pixels: Tensor, index: Tensor) -> Tensor:
    """The pixels (B, C, P) at indices (B, S): (B, C, S)."""
    return pixels.gather(2, index[:, None].expand(-1, pixels.shape[1], -1))


def resample(images: Tensor, maps: Tensor) -> Tensor:
    """Pictures (B, C, H, W) under any affine maps (B, 3, 3), without aliasing of the picture."""
    size = images.shape[2:]
    fine = enlarged(images)
    places = _fine_places(maps, size).to(images.dtype).to(images.device)  # (B, 2, 3)
    rows, columns = (
        torch.arange(2 * (side - 1) + len(SYM6), device=images.device, dtype=images.dtype)
        for side in size
    )
    return reduced(_sample_periodic(fine, *_places(places, rows, columns)))  # 2H + 10, 2W + 10


def _places(maps: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Where maps (B, 2, 3) lead from rows (H,) and columns (W,): y and x, (B, H, W)."""
    y, x = (
        maps[:, axis, 0, None, None] * rows[:, None]
        + maps[:, axis, 1, None, None] * columns
        + maps[:, axis, 2, None, None]
        for axis in (0, 1)
    )
    return y, x


def enlarged(images: Tensor) -> Tensor:
    """One period of the pictures (B, C, H, W), reflected without end, at twice the size.

    Of (B, C, 4H - 4, 4W - 4), at least 2 a side, sample n lies at pixel (n - _CENTER) / 2.
    """
    return along_both_axes(images, enlarge_rows)


def reduced(samples: Tensor) -> Tensor:
    """Samples (B, C, 2H + 10, 2W + 10) at half the size: (B, C, H, W), undoes enlarging."""
    return along_both_axes(samples, reduce_rows)


def enlarge_rows(images: Tensor) -> Tensor:
    """`enlarged` on one axis: (B, C, H, W) to (B, C, 4H - 4, W)."""
    size = images.shape[2]
    earlier = len(SYM6) // 2 - 1  # pixels before a sample's own that it depends on
    index = torch.arange(-earlier, max(2 * size - 2, 1), device=images.device)
    images = images.index_select(2, reflected(index, size))
    # Even and odd samples see every second tap.
    phases = [upfirdn2d(images, 2 * _HALF[phase::2, None]) for phase in (0, 1)]
    return torch.stack(phases, dim=3).flatten(2, 3)


def reduce_rows(samples: Tensor) -> Tensor:
    """`reduced` on one axis: (B, C, 2H + 10, W) to (B, C, H, W)."""
    return upfirdn2d(samples, _HALF[:, None], flip_filter=True)[:, :, ::2]


def along_both_axes(images: Tensor, operator: Callable[[Tensor], Tensor]) -> Tensor:
    """A linear operator on rows, applied to the rows and to the columns of (B, C, H, W).

    On a CPU, where short filters are slow, pictures are multiplied by the operator's matrix.
    """
    height, width = images.shape[2:]
    if images.device.type == "cpu" and max(height, width) <= DENSE_SIZE:
        down, across = (_operator_matrix(operator, side).to(images) for side in (height, width))
        return down @ images @ across.T
    return operator(operator(images).transpose(2, 3)).transpose(2, 3)


@lru_cache(maxsize=32)
def _operator_matrix(operator: Callable[[Tensor], Tensor], size: int) -> Tensor:
    """The matrix (results, size) of a linear operator on rows, float64: its effect on units."""
    with torch.inference_mode(False), torch.no_grad():  # it serves training later, too
        return operator(torch.eye(size, dtype=torch.float64)[None, None])[0, 0]


def _fine_places(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    """Maps (B, 3, 3) as maps of sample indices: twice finer result to `enlarged`, (B, 2, 3)."""
    places = _to_indices(maps, size)
    # Sample n of either side lies at pixel (n - _CENTER) / 2.
    corner = torch.full((2,), _CENTER, dtype=maps.dtype)
    offset = 2 * places[:, :, 2] + corner - places[:, :, :2] @ corner
    return torch.cat([places[:, :, :2], offset[:, :, None]], dim=2)


def _sample_periodic(fine: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Bilinear samples (B, C, H', W') of endless pictures at indices y and x (B, H', W').

    One period of the pictures is `fine` (B, C, H, W); the indices get no gradient.
    """
    height, width = fine.shape[2:]
    sampled: Tensor = _sample(fine.flatten(2), y.flatten(1), x.flatten(1), height, width)
    return sampled.view(*fine.shape[:2], *y.shape[1:])


def _corners(y: Tensor, x: Tensor, height: int, width: int) -> list[tuple[Tensor, Tensor]]:
    """Index (B, S) and weight (B, 1, S) of the four pixels around each place."""
    sides = []
    for place, size in ((y, height), (x, width)):
        first = place.floor()
        part = (place - first)[:, None]
        index = first.long()
        sides.append(((index % size, 1 - part), ((index + 1) % size, part)))
    return [(i * width + j, a * b) for i, a in sides[0] for j, b in sides[1]]


class _Sample(torch.autograd.Function):
    """Bilinear samples (B, C, S) of pictures (B, C, P): linear, `_Spread` is its transpose.

    The weights are worked out again in each pass: kept, they would need more memory than pictures.
    """

    @staticmethod
    def forward(ctx: Any, pixels: Tensor, y: Tensor, x: Tensor, height: int, width: int) -> Tensor:
        ctx.save_for_backward(y, x)
        ctx.size = height, width
        corners = _corners(y, x, height, width)
        result = gathered(pixels, corners[0][0]) * corners[0][1]
        for index, weight in corners[1:]:
            result.addcmul_(gathered(pixels, index), weight)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        y, x = ctx.saved_tensors
        return _spread(gradient, y, x, *ctx.size), None, None, None, None


class _Spread(torch.autograd.Function):
    """Samples (B, C, S) added to the pixels (B, C, P) that they would be taken from."""

    @staticmethod
    def forward(ctx: Any, samples: Tensor, y: Tensor, x: Tensor, height: int, width: int) -> Tensor:
        ctx.save_for_backward(y, x)
        ctx.size = height, width
        result = samples.new_zeros(*samples.shape[:2], height * width)
        for index, weight in _corners(y, x, height, width):
            result.scatter_add_(2, index[:, None].expand_as(samples), samples * weight)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        y, x = ctx.saved_tensors
        return _sample(gradient, y, x, *ctx.size), None, None, None, None


_sample: Callable[..., Tensor] = _Sample.apply
_spread: Callable[..., Tensor] = _Spread.apply
