"""Windows of textures: any part of a large picture of one material is as good as any other.

A picture need not close on itself, nor be square: a window lies anywhere in it, at the pixels of
its file or reduced by a known factor, and shows no place of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from creps.data._batches import divided, first_good, sample, shuffled_indices, tell_broken
from creps.data._decoded import Decoded, Layers
from creps.data._framing import area_average, check_frame, like
from creps.data._loading import load_samples
from creps.data._sources import ImageSource
from creps.errors import DataError

Place = tuple[int, float, float, float]
"""Which picture, where in it from (0, 0) to (1, 1), and how many file pixels become one."""

_DRAW_TAG = 0x7EC5  # keeps the draws of places apart from those of the order


class Textures(Dataset[tuple[np.ndarray, int, int]]):
    """Windows of one size from large pictures.

    Args:
        source: the images.
        size: pixels a side of the windows, or (height, width).
        most: the most file pixels a side that become one pixel.
        mirror: every picture also as its mirror image, as a second half of the set.
        labels: give the source's class of each picture, -1 otherwise.
        precise: float32 on the scale 0 .. 255, not rounded, instead of uint8.
        maps: what the materials have beside their colors, by name: "normal", "height", ...; the
            pictures of a map have the names and sizes of those of the source, and their channels
            follow in this order.
        cache: bytes of decoded pictures that each loading process keeps, as `Decoded` does:
            hundreds of windows come from each. 0 decodes a picture for every window.
    Attributes:
        fingerprint: of the source and its maps, as `ImageSource.fingerprint`.
    Raises:
        DataError: for a picture smaller than its largest window, and for one without a map, or
            with one of another size.
    """

    def __init__(
        self,
        source: ImageSource,
        *,
        size: int | tuple[int, int],
        most: float = 1.0,
        mirror: bool = False,
        labels: bool = False,
        precise: bool = False,
        maps: Mapping[str, ImageSource] | None = None,
        cache: int = 2**29,
    ) -> None:
        self.source, self.mirror, self.labels, self.precise = source, mirror, labels, precise
        self.size = size if isinstance(size, tuple) else (size, size)
        self.maps = dict(maps or {})
        self._map_images = [_matching(source, name, each) for name, each in self.maps.items()]
        self._kept = Decoded(cache)
        check_frame(self.size)
        rows, columns = (round(side * most) for side in self.size)
        for image in range(len(source)):
            height, width = source.size(image)
            if height < rows or width < columns:
                raise DataError(
                    f"{source.names[image]} has {height}x{width} pixels, a window of it takes "
                    f"{rows}x{columns}: leave it out, or set a smaller resolution or data.zoom"
                )

    def __len__(self) -> int:
        return len(self.source) * (2 if self.mirror else 1)

    @property
    def fingerprint(self) -> str:
        """Of all pictures together: the source's own where it has no maps."""
        if not self.maps:
            return self.source.fingerprint
        known = [self.source.fingerprint]
        known += [f"{name} {each.fingerprint}" for name, each in self.maps.items()]
        return hashlib.sha256("\n".join(known).encode()).hexdigest()

    def __getitem__(self, place: Place) -> tuple[np.ndarray, int, int]:
        """((C, H, W) uint8 or float32, label, index of the image if it is broken, else -1)."""
        index, y, x, times = place
        wanted = index % len(self.source)
        image, pixels = first_good(self.source, wanted, lambda k: self.window(k, (y, x), times))
        if index >= len(self.source):
            pixels = self._mirrored_normals(pixels)
        return sample(self.source, index, image, pixels.transpose(2, 0, 1), labels=self.labels)

    def _mirrored_normals(self, pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """A window whose normals lean to the other side, as its mirror image needs them."""
        first = self.source.channels
        for name, each in self.maps.items():
            if name == "normal":
                pixels = pixels.copy()
                pixels[..., first] = 255 - pixels[..., first]
            first += each.channels
        return pixels

    def window(
        self, image: int, place: tuple[float, float], times: float = 1.0
    ) -> np.ndarray[Any, Any]:
        """The window (H, W, C) at a place of an image: the file's own pixels, or their averages.

        Args:
            image: which.
            place: from (0, 0), at the top left, to (1, 1), at the bottom right.
            times: file pixels a side that become one, 1 or more.
        """
        parts = [self._cut(pixels, place, times) for pixels in self._decoded(image)]
        return np.concatenate(parts, axis=2) if len(parts) > 1 else parts[0]

    def _cut(
        self, pixels: np.ndarray[Any, Any], place: tuple[float, float], times: float
    ) -> np.ndarray[Any, Any]:
        """The window of the colors, or of a map."""
        rows, columns = (side * times for side in self.size)
        top = _start(place[0], pixels.shape[0] - rows)
        left = _start(place[1], pixels.shape[1] - columns)
        if times == 1:
            y, x = int(top), int(left)
            return pixels[y : y + self.size[0], x : x + self.size[1]]
        box = (top, left, top + rows, left + columns)
        return like(area_average(pixels, box, self.size), pixels)

    def _decoded(self, image: int) -> Layers:
        """The colors of an image, and its maps."""
        pixels = self._kept.recall(image)
        if pixels is None:
            wanted = [(self.source, image)]
            wanted += [
                (each, found[image])
                for each, found in zip(self.maps.values(), self._map_images, strict=True)
            ]
            pixels = tuple(_whole(each, k, precise=self.precise) for each, k in wanted)
            self._kept.keep(image, pixels)
        return pixels


def _whole(source: ImageSource, image: int, *, precise: bool) -> np.ndarray[Any, Any]:
    """The pixels of an image, if they are still as many as when the set was opened."""
    pixels = source.image(image, precise=precise)
    (height, width), (rows, columns) = source.size(image), pixels.shape[:2]
    if (rows, columns) != (height, width):
        raise DataError(
            f"{source.names[image]} has {rows}x{columns} pixels, no longer {height}x{width}"
        )
    return pixels


def _matching(source: ImageSource, kind: str, maps: ImageSource) -> list[int]:
    """Which picture of a map belongs to each of the source: that of its name, whatever format."""
    found = {str(PurePosixPath(name).with_suffix("")): k for k, name in enumerate(maps.names)}
    matches = []
    for image, name in enumerate(source.names):
        match = found.get(str(PurePosixPath(name).with_suffix("")))
        if match is None:
            raise DataError(
                f"{name} has no {kind} map: expected a picture of the same name in its folder, "
                f"which has {', '.join(maps.names[:3])}"
            )
        (height, width), (rows, columns) = source.size(image), maps.size(match)
        if (height, width) != (rows, columns):
            raise DataError(
                f"the {kind} map {maps.names[match]} has {rows}x{columns} pixels, its picture "
                f"{height}x{width}: expected the same size"
            )
        matches.append(match)
    return matches


def _start(share: float, last: float) -> float:
    """A pixel to start at, as likely as any other up to the last."""
    return min(float(np.floor(share * (last + 1))), last)


def load_textures(
    textures: Textures,
    *,
    batch: int,
    seed: int,
    first_step: int,
    workers: int,
    on_broken: Callable[[str], None],
    times: Callable[[int], float] = lambda step: 1.0,
    part: tuple[int, int] = (0, 1),
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless windows: ((B, C, H, W), (B,) labels), pictures in the shuffled order.

    Each lies at a place of its own, which depends on (seed, step) and the number of the window in
    the batch alone.

    Args:
        textures: the set.
        batch: windows a step, of all processes together.
        seed: of the order and of the places.
        first_step: where to resume; step k does not depend on earlier ones.
        workers: processes that decode ahead; 0 decodes in this one.
        on_broken: called once with the name of each image that cannot be decoded.
        times: file pixels a side that become one in a step.
        part: (k, n) gives the k-th of n equal parts of every batch, for training in n processes.
    Raises:
        DataError: if the set is empty, or a batch cannot be divided so.
    """
    order = shuffled_indices(len(textures), batch=batch, seed=seed, first_step=first_step)
    places = (
        draw_places(indices, times(step), seed=seed, step=step)
        for step, indices in enumerate(order, first_step)
    )
    samples = load_samples(textures, divided(places, batch, part), workers=workers)
    told: set[int] = set()
    for images, labels, broken in samples:
        tell_broken(textures.source, broken, told, on_broken)
        yield images, labels


def draw_places(indices: Sequence[int], times: float, *, seed: int, step: int) -> list[Place]:
    """A place for each picture of a batch."""
    where = np.random.default_rng([seed, step, _DRAW_TAG]).random((len(indices), 2))
    return [
        (index, float(y), float(x), times) for index, (y, x) in zip(indices, where, strict=True)
    ]
