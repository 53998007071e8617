"""Windows of training pictures at any place and scale, filtered by exact area averages.

A training picture spans the plane [0, 1] on each axis. A window of it, at any fractional position,
becomes a patch whose pixels are the mean colour of the area they cover: the generator, sampled on
the same window's grid, is asked for exactly those pixels.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from creps.coordinates import WHOLE_PLANE, Canvas, Window
from creps.data.sources import ImageSource, square
from creps.errors import DataError, GridError


@dataclass(frozen=True)
class Batch:
    """Training patches and where they lie.

    Attributes:
        image: (B, C, H, W) float32 in [-1, 1].
        region: the canvas of the patch: its window of the plane and its size, shared by the batch.
        label: (B,) class indices, or None.
    """

    image: Tensor
    region: Canvas
    label: Tensor | None


def area_weights(source: int, start: float, stop: float, count: int) -> Tensor:
    """How much of each source pixel the pixels of a window cover, along one axis.

    Args:
        source: pixels of the picture along the axis, spanning [0, 1].
        start, stop: the window, start < stop; beyond [0, 1] the border pixel is repeated.
        count: pixels of the patch.
    Returns:
        (count, source) float64, rows sum to 1: patch = weights @ picture.
    Raises:
        GridError: for an empty window or no pixels.
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


def shifted_window(shift: tuple[float, float], size: int) -> Window:
    """The whole plane moved by (dy, dx) pixels of a picture of `size` pixels a side."""
    dy, dx = shift[0] / size, shift[1] / size
    y0, x0, y1, x1 = WHOLE_PLANE
    return (y0 + dy, x0 + dx, y1 + dy, x1 + dx)


class Pictures(Dataset[tuple[np.ndarray, int, int]]):
    """Square pictures of one size and their labels, decoded on demand.

    Args:
        source: the images.
        size: pixels a side; each image is centre-cropped and resampled to it.
        mirror: every picture also as its mirror image, as a second half of the set.
        labels: give the source's class of each picture, -1 otherwise.

    An image that turns out to be broken only when it is decoded is replaced by the next good one.
    """

    def __init__(self, source: ImageSource, *, size: int, mirror: bool, labels: bool) -> None:
        self.source, self.size, self.mirror, self.labels = source, size, mirror, labels

    def __len__(self) -> int:
        return len(self.source) * (2 if self.mirror else 1)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int, int]:
        """((C, size, size) uint8, label, index of the image if it is broken, else -1)."""
        wanted = index % len(self.source)
        image, pixels = self._first_good(wanted)
        picture = square(pixels, self.size).transpose(2, 0, 1)
        if index >= len(self.source):
            picture = picture[:, :, ::-1]
        label = self.source.label(image) if self.labels else None
        broken = -1 if image == wanted else wanted
        return np.ascontiguousarray(picture), -1 if label is None else label, broken

    def _first_good(self, first: int) -> tuple[int, np.ndarray]:
        """Index and pixels of the first image from `first` on that can be decoded."""
        count = len(self.source)
        for image in (*range(first, count), *range(first)):
            try:
                return image, self.source.image(image)
            except DataError as error:
                last = error
        raise DataError(f"none of {count} images can be decoded, the last: {last}")


def shuffled_indices(count: int, *, batch: int, seed: int, first_step: int) -> Iterator[list[int]]:
    """Indices of batch after batch, from step `first_step` on: every picture once an epoch.

    The order of an epoch depends on (seed, epoch) alone, so a resumed run sees the same pictures.

    Raises:
        DataError: if the set is empty.
    """
    if count < 1:
        raise DataError("no pictures to train on")
    position, epoch, order = first_step * batch, -1, np.empty(0, dtype=np.int64)
    while True:
        indices = []
        for place in range(position, position + batch):
            if place // count != epoch:
                epoch = place // count
                order = np.random.default_rng([seed, epoch]).permutation(count)
            indices.append(int(order[place % count]))
        position += batch
        yield indices


def load_batches(
    pictures: Pictures,
    *,
    batch: int,
    seed: int,
    first_step: int,
    workers: int,
    on_broken: Callable[[str], None],
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches of whole pictures: ((B, C, S, S) uint8, (B,) labels), in the shuffled order.

    Args:
        pictures: the set.
        batch: pictures a step.
        seed: of the order.
        first_step: where to go on; step k is the same whatever came before.
        workers: processes that decode ahead; 0 decodes in this one.
        on_broken: told the name of each image that cannot be decoded, once.
    """
    order = shuffled_indices(len(pictures), batch=batch, seed=seed, first_step=first_step)
    loader: DataLoader[tuple[np.ndarray, int, int]] = DataLoader(
        pictures,
        batch_sampler=order,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_ignore_signals,
    )
    told: set[int] = set()
    for images, labels, broken in loader:
        for image in set(broken.tolist()) - told - {-1}:
            told.add(image)
            on_broken(pictures.source.names[image])
        yield images, labels


def _ignore_signals(worker: int) -> None:
    """Leave Ctrl-C and SIGTERM, which reach the whole process group, to the training process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
