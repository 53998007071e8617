"""Batches of whole pictures, and windows of them at any place and scale.

Pictures of one size come in an order that resumes exactly, decoded ahead in processes. A training
picture spans the plane [0, 1] on each axis. A window of it, at any fractional position, becomes a
patch whose pixels are the mean color of the area they cover: the generator, sampled on the same
window's grid, paints exactly those pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from mmap import mmap
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from creps.coordinates import Canvas
from creps.data._framing import centered_box, enough, fit, square
from creps.data._loading import load_samples
from creps.data._sources import ImageSource
from creps.errors import DataError


@dataclass(frozen=True)
class Batch:
    """Training patches and where they lie.

    Attributes:
        image: (B, C, H, W) float32 in [-1, 1].
        region: the canvas of the patch: its window of the plane and its size, shared by the batch;
            of size and sampling alone where `windows` are given.
        label: (B,) class indices, or None.
        windows: (B, 4) float64 windows (y0, x0, y1, x1), one for each patch, where they differ: on
            the CPU, whatever holds the patches; None where all share `region`.
    """

    image: Tensor
    region: Canvas
    label: Tensor | None
    windows: Tensor | None = None

    def parts(self) -> Iterator[tuple[slice, Canvas]]:
        """Neighbors that share a window, with the canvas of that window, in order.

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


class Pictures(Dataset[tuple[np.ndarray, int, int]]):
    """Pictures of one size and their labels, decoded on demand.

    An image that turns out to be broken only when it is decoded is replaced by the next good one.

    Args:
        source: the images.
        size: pixels a side: each image is cropped to its centered square and resampled to it
            (Lanczos); or (height, width): cropped to that shape and reduced by area averages.
        mirror: every picture also as its mirror image, as a second half of the set.
        labels: give the source's class of each picture, -1 otherwise.
        precise: float32 on the scale 0 .. 255, not rounded, instead of uint8.
        cache: bytes of memory that decoded pictures may take. If all fit they are kept as they come
            and shared with the loading processes, so that from the second epoch on nothing is
            decoded; if not, nothing is kept.
    """

    def __init__(
        self,
        source: ImageSource,
        *,
        size: int | tuple[int, int],
        mirror: bool,
        labels: bool,
        precise: bool = False,
        cache: int = 0,
    ) -> None:
        self.source, self.size, self.mirror, self.labels = source, size, mirror, labels
        self.precise = precise
        height, width = size if isinstance(size, tuple) else (size, size)
        self.shape = (source.channels, height, width)
        self._memory = _Memory(len(source), self.shape, precise, limit=cache)

    def __len__(self) -> int:
        return len(self.source) * (2 if self.mirror else 1)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int, int]:
        """((C, H, W) uint8 or float32, label, index of the image if it is broken, else -1)."""
        wanted = index % len(self.source)
        image, pixels = wanted, self._memory.recall(wanted)
        if pixels is None:
            image, decoded = first_good(self.source, wanted, self._decode)
            pixels = np.ascontiguousarray(decoded.transpose(2, 0, 1))
            if image == wanted:
                self._memory.keep(image, pixels)
        return sample(self.source, index, image, pixels, labels=self.labels)

    def _decode(self, image: int) -> np.ndarray[Any, Any]:
        if not isinstance(self.size, tuple):
            return square(self.source.image(image, precise=self.precise, square=True), self.size)
        native = self.source.size(image)
        shortest = 0 if self.precise else enough(native, centered_box(native, self.size), self.size)
        pixels = self.source.image(image, precise=self.precise, shortest=shortest)
        return fit(pixels, self.size, native=native)


class _Memory:
    """Decoded pictures that all processes forked from this one share; without room, nothing.

    The memory is anonymous: not a file, so that no limit of a shared file system applies. A process
    that is spawned rather than forked starts with an empty one.
    """

    def __init__(
        self, count: int, shape: tuple[int, int, int], precise: bool, *, limit: int
    ) -> None:
        self._made_of = count, shape, precise, limit
        kind = np.dtype(np.float32 if precise else np.uint8)
        need = count * (math.prod(shape) * kind.itemsize + 1)
        self._pictures: np.ndarray[Any, Any] | None = None
        if need <= limit:
            memory = np.frombuffer(mmap(-1, need), np.uint8)
            self._known = memory[:count]
            self._pictures = memory[count:].view(kind).reshape(count, *shape)

    def __reduce__(self) -> tuple[Any, ...]:
        count, shape, precise, limit = self._made_of
        return partial(_Memory, limit=limit), (count, shape, precise)

    def recall(self, index: int) -> np.ndarray[Any, Any] | None:
        if self._pictures is None or not self._known[index]:
            return None
        return self._pictures[index]

    def keep(self, index: int, picture: np.ndarray[Any, Any]) -> None:
        if self._pictures is not None:
            self._pictures[index] = picture
            self._known[index] = 1  # after the pixels: a reader never sees half a picture


def sample(
    source: ImageSource, index: int, image: int, pixels: np.ndarray[Any, Any], *, labels: bool
) -> tuple[np.ndarray[Any, Any], int, int]:
    """What a dataset gives for an index: (C, H, W) pixels, label, and the image if it is broken.

    Indices beyond the set ask for mirror images; pixels (C, H, W) are those of `image`, which is
    another than the requested one where that is broken.
    """
    if index >= len(source):
        pixels = pixels[:, :, ::-1]
    label = source.label(image) if labels else None
    broken = -1 if image == index % len(source) else index % len(source)
    return np.ascontiguousarray(pixels), -1 if label is None else label, broken


def first_good(
    source: ImageSource, first: int, decode: Callable[[int], np.ndarray[Any, Any]]
) -> tuple[int, np.ndarray[Any, Any]]:
    """Index and pixels of the first image from `first` on that can be decoded, or a DataError."""
    count = len(source)
    for image in (*range(first, count), *range(first)):
        try:
            return image, decode(image)
        except DataError as error:
            last = error
    raise DataError(f"none of {count} images can be decoded, the last: {last}")


def shuffled_indices(count: int, *, batch: int, seed: int, first_step: int) -> Iterator[list[int]]:
    """Indices of batch after batch, from step `first_step` on: every picture once an epoch.

    The order of an epoch depends on (seed, epoch) alone, so a resumed run sees the same pictures.
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
    part: tuple[int, int] = (0, 1),
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches of whole pictures: ((B, C, H, W), (B,) labels), in the shuffled order.

    Args:
        pictures: the set; uint8, or float32 in 0 .. 255 where it is precise.
        batch: pictures a step, of all processes together.
        seed: of the order.
        first_step: where to resume; step k does not depend on earlier ones.
        workers: processes that decode ahead; 0 decodes in this one.
        on_broken: called once with the name of each image that cannot be decoded.
        part: (k, n) gives the k-th of n equal parts of every batch, for training in n processes.
    Raises:
        DataError: if the set is empty, or a batch cannot be divided so.
    """
    order = shuffled_indices(len(pictures), batch=batch, seed=seed, first_step=first_step)
    samples = load_samples(pictures, divided(order, batch, part), workers=workers)
    told: set[int] = set()
    for images, labels, broken in samples:
        tell_broken(pictures.source, broken, told, on_broken)
        yield images, labels


def divided(order: Iterator[list[Any]], batch: int, part: tuple[int, int]) -> Iterator[list[Any]]:
    """The k-th of n equal, contiguous parts of every batch; a DataError if n does not divide it."""
    k, n = part
    if batch % n or not 0 <= k < n:
        raise DataError(f"part {k} of {n} of a batch of {batch}: expected n to divide the batch")
    size = batch // n
    return (samples[k * size : (k + 1) * size] for samples in order)


def tell_broken(
    source: ImageSource, broken: Tensor, told: set[int], on_broken: Callable[[str], None]
) -> None:
    """Report the images of a batch that could not be decoded, each once in a run."""
    for image in sorted(set(broken.tolist()) - told - {-1}):
        told.add(image)
        on_broken(source.names[image])
