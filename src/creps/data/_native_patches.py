"""Patches of images at their native resolution: the second phase of any-resolution training.

A patch has p pixels a side and lies on an implicit picture of s pixels a side, s anywhere from p,
where it is the whole, to the native size of the image (any-resolution GAN, section 3.2 and 8.1).
So every pixel of a set of mixed sizes is learnt from, at the cost of p x p pixels a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from creps.coordinates import WHOLE_PLANE, Canvas, Sampling, Window
from creps.data._batches import (
    Batch,
    divided,
    first_good,
    sample,
    shuffled_indices,
    tell_broken,
)
from creps.data._decoded import Decoded
from creps.data._framing import (
    Box,
    area_average,
    centered_box,
    check_frame,
    enough,
    fit,
    like,
    scaled,
    whole_pixels,
)
from creps.data._loading import load_samples
from creps.data._sources import ImageSource
from creps.errors import DataError, GridError
from creps.pixels._opening import jpeg_reduction

Draw = tuple[int, Window]
"""Which picture, and which window of it."""

_DRAW_TAG = 0x7A7C  # keeps the draws of windows apart from those of the order
_ROUNDING = 1e-9  # of magnifications


@dataclass(frozen=True, kw_only=True)
class Scales:
    """How windows are drawn."""

    base_share: float = 0.5
    """Share of the windows that show the whole picture ("base images": without them quality at the
    base resolution degrades, any-resolution GAN, section 3.2)."""
    smallest: float = 1.0
    """Smallest magnification s / p of the others (Table 12)."""
    largest: float | None = None
    """Largest magnification; None goes up to the native size of each image."""
    spread: Literal["uniform", "log"] = "uniform"
    """How magnification is drawn: uniform, as the paper draws s, or log-uniform."""
    group: int = 1
    """Neighbors in a batch that share a window: a generator paints a window at a time, so larger
    groups cost it fewer calls."""

    def __post_init__(self) -> None:
        if not 0 <= self.base_share <= 1 or self.group < 1:
            raise DataError(
                f"base_share {self.base_share}, group {self.group}: expected a share from 0 to 1 "
                "and groups of at least 1"
            )
        if self.smallest < 1 or (self.largest is not None and self.largest < self.smallest):
            raise DataError(
                f"magnifications from {self.smallest} to {self.largest}: expected at least 1, the "
                "smaller one first"
            )


class NativePatches(Dataset[tuple[np.ndarray, int, int]]):
    """Patches of one size from images of any size; each is decoded once a patch.

    The plane of a picture is its largest centered part of the patch's shape; of a panorama (`wrap`)
    it is the whole image, and x = 0 is where x = 1 was.

    Args:
        source: the images.
        size: pixels a side of the patches, or (height, width).
        mirror: every picture also as its mirror image, as a second half of the set.
        labels: give the source's class of each picture, -1 otherwise.
        wrap: images are panoramas of 360 degrees whose right border continues at the left one; a
            base image is then a slice of the full height, at any angle.
        precise: float32 on the scale 0 .. 255, not rounded, instead of uint8.
        places: (N, 4) windows of the plane that the images themselves show, as slices of a
            panorama do; the whole plane by default.
        cache: bytes of decoded images that each loading process keeps, as `Decoded` does: for sets
            of few large images, such as one panorama. 0 decodes an image for every patch.
    """

    def __init__(
        self,
        source: ImageSource,
        *,
        size: int | tuple[int, int],
        mirror: bool = False,
        labels: bool = False,
        wrap: bool = False,
        precise: bool = False,
        places: Sequence[Window] | None = None,
        cache: int = 0,
    ) -> None:
        self.source, self.mirror, self.labels = source, mirror, labels
        self.size = size if isinstance(size, tuple) else (size, size)
        self.wrap, self.precise, self.places = wrap, precise, places
        self._decoded = Decoded(cache)
        self._whole: set[int] = set()
        self._magnifications: NDArray[np.float64] | None = None
        check_frame(self.size)
        if places is not None and (len(places) != len(source) or mirror):
            raise DataError(
                f"{len(places)} places of {len(source)} images, mirror {mirror}: expected one "
                "place an image, and no mirror images, which lie elsewhere"
            )

    def __len__(self) -> int:
        return len(self.source) * (2 if self.mirror else 1)

    def __getitem__(self, draw: Draw) -> tuple[np.ndarray, int, int]:
        """((C, H, W) uint8 or float32, label, index of the image if it is broken, else -1)."""
        index, window = draw
        wanted = index % len(self.source)
        if index >= len(self.source):  # the mirror image shows there what lies opposite
            window = (window[0], 1 - window[3], window[2], 1 - window[1])
        image, pixels = first_good(self.source, wanted, lambda k: self.patch(k, window))
        return sample(self.source, index, image, pixels.transpose(2, 0, 1), labels=self.labels)

    def patch(self, image: int, window: Window) -> np.ndarray[Any, Any]:
        """The patch of an image on a window of the image's plane: (H, W, C) exact area averages."""
        native = self.source.size(image)
        top, left, bottom, right = self._plane(*native)
        y0, x0, y1, x1 = window
        tall, wide = bottom - top, right - left
        box = whole_pixels((top + y0 * tall, left + x0 * wide, top + y1 * tall, left + x1 * wide))
        pixels = self._decode(image, 0 if self.precise else enough(native, box, self.size))
        if window == WHOLE_PLANE and not self.wrap:
            return fit(pixels, self.size, native=native)
        box = scaled(box, native, pixels)
        return like(area_average(pixels, box, self.size, wrap=self.wrap), pixels)

    def magnification(self, image: int) -> float:
        """The largest s / p of an image: 1 where it has no more pixels than a patch."""
        height, width = self.source.size(image)
        top, left, bottom, right = self._plane(height, width)
        rows = (bottom - top) / self.size[0]
        return max(1.0, rows if self.wrap else min(rows, (right - left) / self.size[1]))

    def at_least(self, times: float) -> NDArray[np.int64]:
        """The images whose `magnification` is so large, or a rounding error below."""
        if self._magnifications is None:
            every = range(len(self.source))
            self._magnifications = np.array([self.magnification(k) for k in every])
        return np.flatnonzero(self._magnifications >= times - _ROUNDING)

    def base_window(self, image: int) -> tuple[float, float]:
        """Height and width of an undistorted window at magnification 1: the whole, or a slice."""
        if not self.wrap:
            return 1.0, 1.0
        height, width = self.source.size(image)
        return 1.0, self.size[1] / self.size[0] * height / width

    def _decode(self, image: int, shortest: int) -> np.ndarray[Any, Any]:
        native = self.source.size(image)
        # All but JPEGs are read whole, whatever is enough, and kept once.
        times = 1 if image in self._whole else jpeg_reduction(native, shortest)
        kept = self._decoded.recall((image, times))
        if kept is not None:
            return kept[0]
        pixels = self.source.image(image, precise=self.precise, shortest=shortest)
        if times > 1 and pixels.shape[:2] == native:
            self._whole.add(image)
            times = 1
        self._decoded.keep((image, times), (pixels,))
        return pixels

    def _plane(self, height: int, width: int) -> Box:
        """The part of an image that is its plane."""
        if self.wrap:
            return (0.0, 0.0, float(height), float(width))
        return centered_box((height, width), self.size)


def draw_patches(
    patches: NativePatches, indices: Sequence[int], scales: Scales, *, seed: int, step: int
) -> list[Draw]:
    """A window for each picture of a batch; depends on (seed, step) and the images' sizes alone.

    A group takes the window that is drawn for its first picture. Pictures with too few pixels for
    theirs give their place to larger ones: where few are large, as in sets of a low and a high
    resolution, those few are all that patches are cut from, however rare they are (any-resolution
    GAN, section 4), and the small ones show what is whole.

    Places are uniform among those that start on a pixel of the image, so that a patch at the
    native size shows the file's own pixels, not blends of them. A DataError if no image is large
    enough for the smallest magnification requested.
    """
    draws: list[Draw] = []
    for first in range(0, len(indices), scales.group):
        members = list(indices[first : first + scales.group])
        random = np.random.default_rng([seed, step, first, _DRAW_TAG])
        draws += _draw_group(patches, members, scales, random)
    return draws


def load_patches(
    patches: NativePatches,
    *,
    batch: int,
    seed: int,
    first_step: int,
    workers: int,
    on_broken: Callable[[str], None],
    scales: Scales | None = None,
    region: Callable[[int], Canvas] | None = None,
    part: tuple[int, int] = (0, 1),
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Endless patches: ((B, C, H, W), (B,) labels, (B, 4) float64 windows), in the shuffled order.

    Args:
        patches: the set.
        batch: patches a step, of all processes together.
        seed: of the order and of the windows.
        first_step: where to resume; step k does not depend on earlier ones.
        workers: processes that decode ahead; 0 decodes in this one.
        on_broken: called once with the name of each image that cannot be decoded.
        scales: how each patch's own window is drawn; the paper's way by default.
        region: gives the window that all patches of a step share, instead. It may ask for more
            detail than a small image has, which is then enlarged.
        part: (k, n) gives the k-th of n equal parts of every batch, for training in n processes.
    Raises:
        DataError: if the set is empty, or a batch cannot be divided so.
    """
    order = _draws(patches, batch, seed, first_step, scales or Scales(), region)
    told: set[int] = set()
    windows: list[list[Window]] = []  # of batches that are being decoded, oldest first

    def remembering() -> Iterator[list[Draw]]:
        for draws in divided(order, batch, part):
            windows.append([_placed(patches, draw) for draw in draws])
            yield draws

    for images, labels, broken in load_samples(patches, remembering(), workers=workers):
        tell_broken(patches.source, broken, told, on_broken)
        yield images, labels, torch.tensor(windows.pop(0), dtype=torch.float64)


def patch_batch(
    images: Tensor,
    windows: Tensor,
    labels: Tensor | None = None,
    *,
    sampling: Sampling = "centers",
) -> Batch:
    """Patches as they are loaded to what a training step takes, on the device of the images.

    Args:
        images: (B, C, H, W) on the scale 0 .. 255, uint8 or float32.
        windows: (B, 4); where all are equal the batch has one region and no windows.
        labels: (B,) or None.
        sampling: the rule of the generator.
    Raises:
        GridError: if there is not one window a patch.
    """
    if windows.shape != (len(images), 4):
        raise GridError(f"windows {tuple(windows.shape)} of {len(images)} patches: expected (B, 4)")
    shared = bool((windows == windows[0]).all())
    y0, x0, y1, x1 = windows[0].tolist() if shared else WHOLE_PLANE
    region = Canvas(images.shape[2], images.shape[3], (y0, x0, y1, x1), sampling)
    return Batch(images.float() / 127.5 - 1, region, labels, None if shared else windows.cpu())


def _draws(
    patches: NativePatches,
    batch: int,
    seed: int,
    first_step: int,
    scales: Scales,
    region: Callable[[int], Canvas] | None,
) -> Iterator[list[Draw]]:
    order = shuffled_indices(len(patches), batch=batch, seed=seed, first_step=first_step)
    for step, indices in enumerate(order, first_step):
        if region is None:
            yield draw_patches(patches, indices, scales, seed=seed, step=step)
        else:
            yield [(index, region(step).window) for index in indices]


def _draw_group(
    patches: NativePatches, members: list[int], scales: Scales, random: np.random.Generator
) -> list[Draw]:
    chance, magnitude, *place = random.random(4)
    count, low, times = len(patches.source), scales.smallest, 1.0
    large = patches.at_least(max(low, 1 + 2 * _ROUNDING))
    if low > 1 and not len(large):
        raise DataError(
            f"no picture is {low:g} times as large as a patch: give larger ones, or ask for a "
            "smaller magnification"
        )
    if chance >= scales.base_share and len(large):
        members[0] = _one_of(large, members[0], count, random)
        limit = max(low, patches.magnification(members[0] % count))
        if scales.largest is not None:
            limit = min(limit, scales.largest)
        low = min(low, limit)
        if scales.spread == "log":
            times = low * (limit / low) ** magnitude
        else:
            times = low + (limit - low) * magnitude
        enough = patches.at_least(times)
        members[1:] = [_one_of(enough, member, count, random) for member in members[1:]]
    window = _window(patches, members[0] % count, times, (place[0], place[1]))
    return [(member, window) for member in members]


def _one_of(wanted: NDArray[np.int64], member: int, count: int, random: np.random.Generator) -> int:
    """A picture if it is one of those wanted, else one that is, mirrored likewise."""
    place = int(np.searchsorted(wanted, member % count))
    if place < len(wanted) and wanted[place] == member % count:
        return member
    return int(random.choice(wanted)) + member // count * count


def _window(patches: NativePatches, image: int, times: float, place: tuple[float, float]) -> Window:
    """The window of one image at a magnification, at a place from (0, 0) to (1, 1)."""
    base_height, base_width = patches.base_window(image)
    tall, wide = base_height / times, base_width / times
    rows, columns = patches.source.size(image)
    top, left, bottom, right = patches._plane(rows, columns)
    y0 = np.floor(place[0] * (1 - tall) * (bottom - top)) / (bottom - top)
    free = 1.0 if patches.wrap else 1 - wide
    x0 = np.floor(place[1] * free * (right - left)) / (right - left)
    return (float(y0), float(x0), float(y0 + tall), float(x0 + wide))


def _placed(patches: NativePatches, draw: Draw) -> Window:
    """The window of the plane that a patch shows, wherever its image lies on it."""
    index, (y0, x0, y1, x1) = draw
    if patches.places is None:
        return (y0, x0, y1, x1)
    top, left, bottom, right = patches.places[index]
    tall, wide = bottom - top, right - left
    return (top + y0 * tall, left + x0 * wide, top + y1 * tall, left + x1 * wide)
