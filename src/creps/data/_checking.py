"""The state of a set: what is in it, what is broken, what is duplicated, how to train with it.

Every picture is decoded once, over all cores, at the size it has. The look of a picture is its
difference hash, 16 x 16 signs of the change from each gray cell to its right neighbor, and its
colors on an 8 x 8 grid. Both must agree for two pictures to be near-duplicates: flat art of one
style shares its outlines, but not its colors.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import combinations
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from creps._files import checked_workers
from creps.data._labels import Classes
from creps.data._sources import ImageSource, classes_of, open_images, reason_in
from creps.errors import DataError, LabelError
from creps.pixels._decoding import Header

MOST_BITS = 15
"""Signs of 256 in which near-duplicates may differ."""

MOST_COLOR = 4.0
"""Mean difference of colors, of 255, that near-duplicates may have."""

_GRID, _COLORS = 16, 8
_STEP = 2  # of 255, that counts as a change: in flat parts noise alone would set the signs
_PIECES = 16  # of 16 bits of a hash: with less than 16 differences one piece at least is the same
_CROWD = 200  # pictures that share a piece, from which on it says nothing


@dataclass(frozen=True)
class Look:
    """What identifies a picture."""

    exact: bytes  # digest of size and pixels, whatever file they lie in
    signs: NDArray[np.uint16]  # (16,), the difference hash
    colors: NDArray[np.uint8]  # (192,), an 8 x 8 reduction


def look_of(pixels: NDArray[Any]) -> Look:
    """The look of a picture (H, W, 3) uint8."""
    exact = hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=16)
    exact.update(repr(pixels.shape).encode())
    image = Image.fromarray(pixels)
    if min(image.size) >= 8 * _GRID:  # whole blocks first: most of the work, little of the look
        image = image.reduce(min(image.size) // (4 * _GRID))
    box = Image.Resampling.BOX
    gray = np.asarray(image.convert("L").resize((_GRID + 1, _GRID), box), np.int16)
    signs = np.packbits(gray[:, 1:] > gray[:, :-1] + _STEP)
    colors = np.asarray(image.resize((_COLORS, _COLORS), box)).reshape(-1)
    return Look(exact.digest(), signs.view(np.uint16), colors)


def same_pictures(looks: Sequence[Look]) -> list[list[int]]:
    """Groups of pictures with the same pixels, by index."""
    by_digest: dict[bytes, list[int]] = defaultdict(list)
    for index, look in enumerate(looks):
        by_digest[look.exact].append(index)
    return [group for group in by_digest.values() if len(group) > 1]


def similar_pictures(looks: Sequence[Look]) -> list[list[int]]:
    """Groups of pictures that look alike without being the same, by index.

    Of pictures with the same pixels the first represents all. Pictures with hardly any structure
    (a clear sky, the open sea) are skipped: they all look alike.
    """
    first = {look.exact: index for index, look in reversed(list(enumerate(looks)))}
    indices = [index for index in sorted(first.values()) if _ones(looks[index].signs) > MOST_BITS]
    if not indices:
        return []
    signs = np.stack([looks[index].signs for index in indices])
    colors = np.stack([looks[index].colors for index in indices]).astype(np.int16)
    leader = list(range(len(indices)))

    def find(k: int) -> int:
        while leader[k] != k:
            leader[k] = leader[leader[k]]
            k = leader[k]
        return k

    for a, b in _candidates(signs):
        if (
            _ones(signs[a] ^ signs[b]) <= MOST_BITS
            and np.abs(colors[a] - colors[b]).mean() <= MOST_COLOR
        ):
            leader[find(b)] = find(a)
    groups: dict[int, list[int]] = defaultdict(list)
    for k, index in enumerate(indices):
        groups[find(k)].append(index)
    return [group for group in groups.values() if len(group) > 1]


def _ones(signs: NDArray[np.uint16]) -> int:
    return int(np.unpackbits(signs.view(np.uint8)).sum())


def _candidates(signs: NDArray[np.uint16]) -> set[tuple[int, int]]:
    """Pairs that share one of the pieces of their hashes: all pairs of at most 15 differences.

    Pieces that very many pictures share (a plain corner) are skipped.
    """
    pairs: set[tuple[int, int]] = set()
    for piece in range(_PIECES):
        order = np.argsort(signs[:, piece], kind="stable")
        values = signs[order, piece]
        starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
        stops = np.r_[starts[1:], len(values)]
        for start, stop in zip(starts, stops, strict=True):
            if 1 < stop - start <= _CROWD:
                members = sorted(int(k) for k in order[start:stop])
                pairs.update(combinations(members, 2))
    return pairs


SMALLEST, LARGEST = 32, 1024
"""Training resolutions that are advised."""

CPU_RATE = {32: 30.0, 64: 10.0, 128: 2.5, 256: 0.6}
"""Pictures a second that the small presets train on two CPU cores, about; above that, none."""


@dataclass(frozen=True)
class Advice:
    """Settings to start from.

    Attributes:
        resolution: pixels a side to train at, a power of two that nine of ten pictures have.
        batch: pictures a step, StyleGAN2-ADA's choice for one GPU.
        r1_gamma: weight of the gradient penalty: 0.0002 * resolution^2 / batch, the heuristic of
            StyleGAN2-ADA's automatic configuration. A start: try a fifth and five times of it.
        levels: of the generator: 4, 8, ..., resolution.
        zoom: how far beyond the training resolution half of the pictures have detail: patches at
            native resolution can teach it.
        few: whether the set is so small that adaptive augmentation is needed.
    """

    resolution: int
    batch: int
    r1_gamma: float
    levels: int
    zoom: float
    few: bool


def advise(short_sides: Sequence[int]) -> Advice:
    """Settings for pictures whose shorter sides are these, each >= 1 pixel.

    Example:
        >>> advise([300] * 9 + [64])
        Advice(resolution=256, batch=16, r1_gamma=0.82, levels=7, zoom=1.2, few=True)
    """
    ordered = sorted(short_sides)
    covered = ordered[len(ordered) // 10]
    resolution = 2 ** int(math.log2(max(covered, 1)))
    resolution = min(max(resolution, SMALLEST), LARGEST)
    batch = max(min(4096 // resolution, 32), 4)
    gamma = 0.0002 * resolution**2 / batch
    zoom = max(ordered[len(ordered) // 2] / resolution, 1.0)
    return Advice(
        resolution,
        batch,
        float(f"{gamma:.2g}"),
        int(math.log2(resolution)) - 1,
        round(zoom, 1),
        len(ordered) < 10_000,
    )


def cpu_hours(resolution: int, images: int) -> float | None:
    """Hours to show `images` pictures to a small preset on two CPU cores; None: use a GPU."""
    rate = CPU_RATE.get(resolution)
    return None if rate is None else images / rate / 3600


@dataclass(frozen=True)
class Report:
    """What `check` found.

    Attributes:
        path: of the set.
        images: how many training takes: all that can be opened.
        sizes: (height, width) of each of them that can be read to the last pixel.
        classes: pictures of each class in the order of their numbers; empty without labels.
        labels_problem: why labels cannot be read, if they were tried.
        formats, modes: how many files of each format, and of each color mode with its bits.
        turned: files with an EXIF orientation.
        converted: files with colors of another profile than sRGB, by its name.
        profiles_left: files with a profile that changes nothing: sRGB, or none that can be used.
        broken: files that cannot be opened, and why: training leaves them out.
        cut_short: files that can be opened but not read to the end, and why: training shows the
            next picture instead.
        passed_over: how many files of each ending are neither pictures nor notes about them.
        same: groups of names of pictures with the same pixels.
        similar: groups of names of pictures that look alike.
        decode_rate: pictures that one core reads in a second.
        attribution: the credit that the set requires.
        fingerprint: of the set, as runs record it.
        advice: settings to start from.
    """

    path: str
    images: int
    sizes: list[tuple[int, int]]
    classes: dict[str, int]
    labels_problem: str
    formats: dict[str, int]
    modes: dict[str, int]
    turned: int
    converted: dict[str, int]
    profiles_left: int
    broken: dict[str, str]
    cut_short: dict[str, str]
    passed_over: dict[str, int]
    same: list[list[str]]
    similar: list[list[str]]
    decode_rate: float
    attribution: str
    fingerprint: str
    advice: Advice

    @property
    def clean(self) -> bool:
        """Whether nothing is broken and nothing there twice."""
        return not self.broken and not self.cut_short and not self.same

    def document(self) -> dict[str, Any]:
        """As JSON can hold it; of the sizes, how many pictures have each."""
        counted = Counter(f"{height}x{width}" for height, width in self.sizes)
        return asdict(self) | {"sizes": dict(counted.most_common()), "clean": self.clean}


def check(
    path: str | os.PathLike[str],
    *,
    workers: int | None = None,
    keep_colors: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Read every picture of a set and report on it.

    Args:
        path: as `open_images` takes it.
        keep_colors: as for `open_images`.
        workers: threads that read; as many as there are cores by default.
        progress: called with pictures read, and pictures in all.
    Raises:
        DataError: if the set does not exist, or has no readable picture.
    """
    source = open_images(path, keep_colors=keep_colors)
    classes, problem = _labeled(path, source)
    seen: list[_Seen | str] = []
    pool = ThreadPoolExecutor(checked_workers(workers))  # decoders let other threads run
    try:
        for found in pool.map(partial(_look_at, source), range(len(source))):
            seen.append(found)
            if progress is not None:
                progress(len(seen), len(source))
    finally:
        pool.shutdown(cancel_futures=True)
    read = [(name, s) for name, s in zip(source.names, seen, strict=True) if isinstance(s, _Seen)]
    if not read:
        raise DataError(f"none of {len(source)} images in {os.fspath(path)} can be decoded")
    names = [name for name, _ in read]
    looks = [found.look for _, found in read]
    headers = [found.header for _, found in read]
    return Report(
        path=os.fspath(path),
        images=len(source),
        sizes=[header.size for header in headers],
        classes=_counted(classes, source.names) if classes else {},
        labels_problem=problem,
        formats=dict(Counter(header.format for header in headers).most_common()),
        modes=dict(Counter(f"{h.mode}, {h.bits} bits" for h in headers).most_common()),
        turned=sum(header.turned for header in headers),
        converted={} if keep_colors else source.converted,
        profiles_left=sum(bool(h.profile) and (keep_colors or not h.converted) for h in headers),
        broken=source.broken,
        cut_short={n: s for n, s in zip(source.names, seen, strict=True) if isinstance(s, str)},
        passed_over=source.passed_over,
        same=[[names[k] for k in group] for group in same_pictures(looks)],
        similar=[[names[k] for k in group] for group in similar_pictures(looks)],
        decode_rate=len(read) / max(sum(found.seconds for _, found in read), 1e-9),
        attribution=source.attribution,
        fingerprint=source.fingerprint,
        advice=advise([min(header.size) for header in headers]),
    )


@dataclass(frozen=True)
class _Seen:
    """The result of reading one picture."""

    header: Header
    look: Look
    seconds: float


def _labeled(path: str | os.PathLike[str], source: ImageSource) -> tuple[Classes | None, str]:
    """The classes of a set, or why it has none."""
    try:
        return classes_of(path, source), ""
    except LabelError as error:
        return None, str(error)


def _counted(classes: Classes, names: Sequence[str]) -> dict[str, int]:
    """Pictures of each class, in the order of the classes."""
    numbers = Counter(classes.of[name] for name in names)
    return {name: numbers[number] for number, name in enumerate(classes.names)}


_LARGE = 1 << 24  # pixels of a picture that is read while no other large one is
_large = Lock()


def _look_at(source: ImageSource, index: int) -> _Seen | str:
    """Read a picture; or why it cannot be read."""
    if math.prod(source.size(index)) >= _LARGE:
        with _large:
            return _look(source, index)
    return _look(source, index)


def _look(source: ImageSource, index: int) -> _Seen | str:
    start = time.thread_time()
    try:
        pixels = source.image(index)
        seconds = time.thread_time() - start
        return _Seen(source.header(index), look_of(pixels), seconds)
    except DataError as error:
        return reason_in(error, source.names[index])
