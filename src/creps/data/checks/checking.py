"""The state of a set: what is in it, what is broken, what is there twice.

Every picture is decoded once, over all cores, at the size it has.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from creps.data.checks.advice import Advice, advise
from creps.data.checks.duplicates import Look, look_of, same_pictures, similar_pictures
from creps.data.reading.pixels import Header
from creps.data.set_files import cores
from creps.data.sources import ImageSource, open_images
from creps.errors import CrepsError, DataError, LabelError

_CHUNK = 32  # pictures that a process takes at a time
_ALONE = 200  # pictures up to which no processes are started


@dataclass(frozen=True)
class Report:
    """What `check` found.

    Attributes:
        path: of the set.
        images: how many can be read to the last pixel.
        sizes: (height, width) of each of them.
        classes: pictures of each class; empty without labels.
        labels_problem: why there are no labels, where some were tried for.
        formats, modes: how many files of each format, and of each colour mode with its bits.
        turned, profiled: files that ask to be turned; that carry a colour profile.
        broken: names of files that cannot be read.
        same: groups of names of pictures with the same pixels.
        similar: groups of names of pictures that look alike.
        decode_rate: pictures that one core reads in a second.
        attribution: whom the set asks to credit.
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
    profiled: int
    broken: list[str]
    same: list[list[str]]
    similar: list[list[str]]
    decode_rate: float
    attribution: str
    fingerprint: str
    advice: Advice

    @property
    def clean(self) -> bool:
        """Whether nothing is broken and nothing there twice."""
        return not self.broken and not self.same

    def document(self) -> dict[str, Any]:
        """As JSON can hold it; of the sizes, how many pictures have each."""
        counted = Counter(f"{height}x{width}" for height, width in self.sizes)
        return asdict(self) | {"sizes": dict(counted.most_common()), "clean": self.clean}


def check(
    path: str | os.PathLike[str],
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Read every picture of a set and report on it.

    Args:
        path: as `open_images` takes it.
        workers: reading processes; all cores by default. Small sets are read in this one.
        progress: called with pictures read, and pictures in all.
    Raises:
        DataError: if there is no set, or no picture in it that can be read.
    """
    source = open_images(path)
    labelled, problem = _labelled(path)
    seen: list[_Seen | None] = []
    for chunk in _look_at_all(source, workers):
        seen += chunk
        if progress is not None:
            progress(len(seen), len(source))
    good = [(index, found) for index, found in enumerate(seen) if found is not None]
    if not good:
        raise DataError(f"none of {len(source)} images in {os.fspath(path)} can be decoded")
    names = [source.names[index] for index, _ in good]
    looks = [found.look for _, found in good]
    headers = [found.header for _, found in good]
    classes = (
        Counter(labelled.class_names[labelled.label(index) or 0] for index, _ in good)
        if labelled
        else {}
    )
    return Report(
        path=os.fspath(path),
        images=len(good),
        sizes=[header.size for header in headers],
        classes=dict(sorted(classes.items())),
        labels_problem=problem,
        formats=dict(Counter(header.format for header in headers).most_common()),
        modes=dict(Counter(f"{h.mode}, {h.bits} bits" for h in headers).most_common()),
        turned=sum(header.turned for header in headers),
        profiled=sum(header.profile for header in headers),
        broken=source.broken + [source.names[k] for k, s in enumerate(seen) if s is None],
        same=[[names[k] for k in group] for group in same_pictures(looks)],
        similar=[[names[k] for k in group] for group in similar_pictures(looks)],
        decode_rate=len(good) / max(sum(found.seconds for _, found in good), 1e-9),
        attribution=source.attribution,
        fingerprint=source.fingerprint,
        advice=advise([min(header.size) for header in headers]),
    )


@dataclass(frozen=True)
class _Seen:
    """What reading one picture tells."""

    header: Header
    look: Look
    seconds: float


def _labelled(path: str | os.PathLike[str]) -> tuple[ImageSource | None, str]:
    """The set with its labels, or why it has none."""
    try:
        return open_images(path, labels=True), ""
    except LabelError as error:
        return None, str(error)


def _look_at_all(source: ImageSource, workers: int | None) -> Iterator[list[_Seen | None]]:
    chunks = [range(k, min(k + _CHUNK, len(source))) for k in range(0, len(source), _CHUNK)]
    workers = workers or cores()
    if workers == 1 or len(source) <= _ALONE:
        yield from (_look_at(source, chunk) for chunk in chunks)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=spawn, initializer=_adopt, initargs=(source,)
    ) as pool:
        yield from pool.map(_look_at_adopted, chunks)


_adopted: list[ImageSource] = []
"""The set that a reading process was started for: sent once, not with every chunk."""


def _adopt(source: ImageSource) -> None:
    _adopted.append(source)


def _look_at_adopted(indices: Sequence[int]) -> list[_Seen | None]:
    return _look_at(_adopted[-1], indices)


def _look_at(source: ImageSource, indices: Sequence[int]) -> list[_Seen | None]:
    """Read pictures; None for each that is broken."""
    seen: list[_Seen | None] = []
    for index in indices:
        start = time.process_time()
        try:
            pixels = source.image(index)
            seconds = time.process_time() - start
            seen.append(_Seen(source.header(index), look_of(pixels), seconds))
        except CrepsError:
            seen.append(None)
    return seen
