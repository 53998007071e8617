"""Real pictures to measure against: portraits drawn at any size, or a folder, ZIP or tar of images.

They are small frozen objects that work in any process.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creps.data._framing import area_average, centered_box, fit, like
from creps.data._sources import ImageSource, open_images
from creps.data.portraits._art import ART_VERSION
from creps.data.portraits._drawing import portrait
from creps.errors import DataError, UsageError
from creps.rendering._tiles import Tile

Picture = NDArray[np.uint8]
Size = tuple[int, int]

PORTRAITS = "portraits"
"""The word for drawn portraits, where a path is expected otherwise."""

DRAWN_AT_LEAST = 256
"""Pixels a side portraits are drawn at, then averaged: smaller ones drawn directly differ."""

HELD_OUT = 1_000_000
"""Number of the first portrait that no training set reaches."""


class RealImages(ABC):
    """Numbered real pictures; `real_images` opens them."""

    @property
    @abstractmethod
    def count(self) -> int | None:
        """How many there are; None: endless."""

    @abstractmethod
    def picture(self, number: int, size: Size) -> Picture:
        """One whole picture at a size (height, width), (H, W, C) uint8."""

    @abstractmethod
    def patch(self, number: int, shape: Size, tile: Tile) -> Picture:
        """A tile of one picture at the size `shape`, (tile.height, tile.width, C) uint8."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """All that the pictures depend on, as JSON."""

    def large_enough(self, index: int, smallest: int, frame: Size) -> tuple[int, int | None]:
        """(number, shorter side) of a picture that is at least so large; None: any size."""
        return index, None

    def smaller_than(self, size: Size) -> int:
        """How many are smaller than that, and would have to be enlarged."""
        return 0

    def at_most(self, n: int) -> int:
        """n, or how many there are if there are fewer."""
        return n if self.count is None else min(n, self.count)


@dataclass(frozen=True, kw_only=True)
class Portraits(RealImages):
    """Drawn portraits: the truth at any size.

    Attributes:
        seed: which family of portraits; the packaged model was trained on that of 0.
        style: one of `creps.data.portraits._styles.STYLES`.
    """

    seed: int = 0
    style: str = "toon-head"

    count = None

    def picture(self, number: int, size: Size) -> Picture:
        factor = -(-DRAWN_AT_LEAST // min(size))
        fine = (size[0] * factor, size[1] * factor)
        pixels: Picture = fit(portrait(number, fine, seed=self.seed, style=self.style), size)
        return pixels

    def patch(self, number: int, shape: Size, tile: Tile) -> Picture:
        (height, width), bottom, right = shape, tile.top + tile.height, tile.left + tile.width
        window = (tile.top / height, tile.left / width, bottom / height, right / width)
        size = (tile.height, tile.width)
        return portrait(number, size, seed=self.seed, style=self.style, window=window)

    def identity(self) -> dict[str, Any]:
        return {"data": PORTRAITS, "seed": self.seed, "style": self.style, "art": ART_VERSION}


@dataclass(frozen=True, kw_only=True)
class Images(RealImages):
    """Images on disk, in a shuffled order that the seed decides.

    Attributes:
        path: a folder, ZIP or tar, as `open_images` takes it.
        fingerprint: of the set; wherever it lies.
        channels: 1 or 3.
        seed: of the order.
        keep_colors: values are taken as they are, whatever color profile an image has.
    """

    path: str
    fingerprint: str
    channels: int
    seed: int = 0
    keep_colors: bool = False

    @property
    def count(self) -> int:
        return len(_opened(self.path, self.channels, self.keep_colors))

    def picture(self, number: int, size: Size) -> Picture:
        """The largest centered part of image `number` of these proportions, by exact area means.

        Smaller images are enlarged with a Lanczos filter.
        """
        pixels: Picture = fit(self._image(number), size)
        return pixels

    def patch(self, number: int, shape: Size, tile: Tile) -> Picture:
        image = self._image(number)
        top, left, bottom, right = centered_box((image.shape[0], image.shape[1]), shape)
        y, x = (bottom - top) / shape[0], (right - left) / shape[1]
        box = (
            top + y * tile.top,
            left + x * tile.left,
            top + y * (tile.top + tile.height),
            left + x * (tile.left + tile.width),
        )
        pixels: Picture = like(area_average(image, box, (tile.height, tile.width)), image)
        return pixels

    def identity(self) -> dict[str, Any]:
        return {"data": self.fingerprint, "channels": self.channels, "seed": self.seed}

    def large_enough(self, index: int, smallest: int, frame: Size) -> tuple[int, int | None]:
        """The index-th image of at least that size, going round; DataError if there is none."""
        sides = _short_sides(self, frame)
        numbers = np.flatnonzero(sides >= smallest)
        if not len(numbers):
            raise DataError(
                f"no image of {self.path} is {smallest} px or larger, the largest has "
                f"{sides.max()} px: these are never enlarged, ask for a smaller size (diagnose "
                "--size, evaluate --patch-sizes) or smaller patches (evaluate --patch-side)"
            )
        number = int(numbers[index % len(numbers)])
        return number, int(sides[number])

    def smaller_than(self, size: Size) -> int:
        return int((_short_sides(self, size) < min(size)).sum())

    def _image(self, number: int) -> Picture:
        source = _opened(self.path, self.channels, self.keep_colors)
        return np.asarray(source.image(int(_order(self)[number % len(source)])), np.uint8)


def real_images(
    data: RealImages | str | Path,
    *,
    channels: int = 3,
    seed: int = 0,
    keep_colors: bool = False,
) -> RealImages:
    """The real pictures that a word or path names.

    Args:
        data: "portraits" or "portraits:STYLE", drawn at any size; otherwise a folder, ZIP or tar.
        channels: 1 or 3, of the model's pictures.
        seed: of the order of images.
        keep_colors: as for `open_images`.
    Raises:
        DataError: if there is nothing to be read.
        UsageError: for gray portraits, which do not exist.
        MissingExtraError: if the packages that draw portraits are missing.
    """
    if isinstance(data, RealImages):
        return data
    word, _, style = str(data).partition(":")
    if word == PORTRAITS:
        if channels != 3:
            raise UsageError("portraits are in color, the model paints gray: give other --data")
        real = Portraits(style=style) if style else Portraits()
        real.picture(0, (8, 8))  # refuses an unknown style or a missing package before any work
        return real
    return Images(
        path=str(data),
        fingerprint=_opened(str(data), channels, keep_colors).fingerprint,
        channels=channels,
        seed=seed,
        keep_colors=keep_colors,
    )


@lru_cache(maxsize=4)
def _opened(path: str, channels: int, keep_colors: bool) -> ImageSource:
    return open_images(path, channels=channels, keep_colors=keep_colors)


@lru_cache(maxsize=4)
def _order(images: Images) -> NDArray[np.int64]:
    return np.random.default_rng(images.seed).permutation(images.count)


@lru_cache(maxsize=16)
def _short_sides(images: Images, frame: Size) -> NDArray[np.int64]:
    """(N,) shorter side of the part of each image that has a frame's proportions, in order."""
    sizes = _opened(images.path, images.channels, images.keep_colors).sizes[_order(images)]
    scale = np.minimum(sizes[:, 0] / frame[0], sizes[:, 1] / frame[1])
    return np.floor(scale * min(frame) + 1e-9).astype(np.int64)
