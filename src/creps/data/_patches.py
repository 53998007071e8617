"""Windows of training pictures at any place and scale, filtered by exact area averages.

A training picture spans the plane [0, 1] on each axis. A window of it, at any fractional position,
becomes a patch whose pixels are the mean colour of the area they cover: the generator, sampled on
the same window's grid, is asked for exactly those pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from creps.coordinates import Canvas
from creps.errors import GridError


@dataclass(frozen=True)
class Batch:
    """Training patches and where they lie.

    Attributes:
        image: (B, C, H, W) float32 in [-1, 1].
        region: the canvas of the patch: its window of the plane and its size, shared by the batch;
            of size and sampling alone where `windows` are given.
        label: (B,) class indices, or None.
        windows: (B, 4) float64 windows (y0, x0, y1, x1), one for each patch, where they differ: on
            the processor, whatever holds the patches; None where `region` is everybody's.
    """

    image: Tensor
    region: Canvas
    label: Tensor | None
    windows: Tensor | None = None

    def parts(self) -> Iterator[tuple[slice, Canvas]]:
        """Neighbours that share a window, with the canvas of that window, in order.

        A generator paints one grid at a time: it is called once for each part. Patches drawn in
        groups (`NativePatches.group`) make few parts.
        """
        if self.windows is None:
            yield slice(0, len(self.image)), self.region
            return
        windows = self.windows.tolist()
        starts = [k for k in range(len(windows)) if k == 0 or windows[k] != windows[k - 1]]
        for start, stop in zip(starts, [*starts[1:], len(windows)], strict=True):
            y0, x0, y1, x1 = windows[start]
            yield slice(start, stop), replace(self.region, window=(y0, x0, y1, x1))


def area_weights(source: int, start: float, stop: float, count: int) -> Tensor:
    """How much of each source pixel the `count` pixels of a window cover, along one axis.

    (count, source) float64, rows sum to 1: patch = weights @ picture. The picture spans [0, 1];
    beyond it the border pixel is repeated.

    Example:
        >>> area_weights(4, 0.0, 1.0, 2).tolist()
        [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]
    """
    if stop <= start or count < 1 or source < 1:
        raise GridError(
            f"window {start}..{stop} to {count} pixels: expected start < stop and pixels >= 1"
        )
    edges = (start + (stop - start) * torch.arange(count + 1, dtype=torch.float64) / count) * source
    left, right = edges[:-1, None], edges[1:, None]
    pixel = torch.arange(source, dtype=torch.float64)
    covered = (torch.minimum(right, pixel + 1) - torch.maximum(left, pixel)).clamp(min=0)
    covered[:, 0] += (torch.minimum(right[:, 0], torch.zeros(())) - left[:, 0]).clamp(min=0)
    covered[:, -1] += (right[:, 0] - left[:, 0].clamp(min=source)).clamp(min=0)
    return covered / covered.sum(1, keepdim=True)


def take_window(pictures: Tensor, region: Canvas) -> Tensor:
    """The patches of pictures (B, C, S, S') on a region's window and size: (B, C, H, W)."""
    y0, x0, y1, x1 = region.window
    rows = area_weights(pictures.shape[2], y0, y1, region.height).to(pictures)
    columns = area_weights(pictures.shape[3], x0, x1, region.width).to(pictures)
    return rows @ pictures @ columns.T
