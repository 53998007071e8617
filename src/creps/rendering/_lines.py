"""Row and column lines of whole pictures: computed once, a chunk of coordinates at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import torch
from torch import Tensor

from creps.networks.base import Axis, Generator, Prepared
from creps.rendering._workers import map_in_order, worker_count

LINE_CHUNK = 128
"""Coordinates whose lines are computed at once: 4 MiB a feature buffer at 1024 channels, thickness
8. The weights are modulated again for each chunk, 8 % of its time; 64 coordinates: 30 % of it."""

LINES_KEPT = 2**28
"""Bytes of lines kept for many pictures of one latent: 131,072 of the packaged model, 37,449 of the
512 preset."""

COLUMNS_KEPT = 2**24
"""Bytes of column lines kept for one picture: 2,340 columns of the 512 preset. Big pictures are
filled in bands of 2,048 columns; lines that do not fit are computed again for every stripe of 512
rows, which there takes as long as the pixels of 480 rows."""

Key = TypeVar("Key", bound=Hashable)


def picture_lines(generator: Generator, styles: Tensor, coords: Tensor, *, axis: Axis) -> Tensor:
    """Lines of all coordinates of a picture's axis, in bounded memory beside the result.

    On a CPU, as many chunks are computed at once as torch has threads.

    Args:
        generator: a `separable` model, which has lines.
        styles: (B, K, D) on the model's device.
        coords: (S,) plane coordinates, at least one.
        axis: "rows" or "columns".
    Returns:
        (B, L, N, S, D) on the model's device.
    """

    @torch.inference_mode()  # the mode belongs to a thread
    def job(chunk: Tensor) -> Tensor:
        return generator.lines(styles, chunk, axis)

    first = 0
    result = styles.new_empty(0)
    for lines in map_in_order(job, coords.split(LINE_CHUNK), workers=worker_count(styles.device)):
        if first == 0:
            result = lines.new_empty((*lines.shape[:3], len(coords), lines.shape[4]))
        result[..., first : first + lines.shape[3], :] = lines
        first += lines.shape[3]
    return result


class _Recent(Generic[Key]):
    """Lines by key, as far as they fit: those not used for longest go first.

    Args:
        keep: bytes; lines that are made without a word on what they need come on top.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._kept: dict[Key, Tensor] = {}  # used last, last

    @property
    def nbytes(self) -> int:
        """Bytes of the lines that are kept."""
        return sum(lines.nbytes for lines in self._kept.values())

    def lines(self, key: Key, make: Callable[[], Tensor], *, needed: int = 0) -> Tensor:
        """The lines of a key: kept, or made once there is room for `needed` bytes more."""
        if key in self._kept:
            self._kept[key] = self._kept.pop(key)
            return self._kept[key]
        while self._kept and self.nbytes + needed > self._keep:
            self._kept.pop(next(iter(self._kept)))
        self._kept[key] = make()
        return self._kept[key]

    def clear(self) -> None:
        self._kept.clear()


class KeptLines:
    """Lines of one axis of a picture, computed part by part and kept as far as they fit.

    Big pictures ask for the same columns stripe by stripe of a band. What does not fit is computed
    again, so that memory is bounded whatever the picture's size.

    Args:
        generator, styles, coords, axis: as for `picture_lines`.
        keep: bytes of lines kept beside the part asked for last; those not used for longest go.
    """

    def __init__(
        self,
        generator: Generator,
        styles: Tensor,
        coords: Tensor,
        *,
        axis: Axis,
        keep: int = COLUMNS_KEPT,
    ) -> None:
        self._generator, self._styles, self._coords, self._axis = generator, styles, coords, axis
        self._recent = _Recent[tuple[int, int]](keep)

    def __call__(self, part: slice) -> Tensor:
        """(B, L, N, S, D) lines of coordinates part.start .. part.stop - 1."""

        def make() -> Tensor:
            coords = self._coords[part]
            return picture_lines(self._generator, self._styles, coords, axis=self._axis)

        return self._recent.lines((part.start, part.stop), make)


def prepared_lines(prepared: Prepared, coords: Tensor, axis: Axis) -> Tensor:
    """`prepared.lines`, chunks side by side on the cores of a CPU.

    Args:
        prepared: a network for one latent (`Generator.prepare`).
        coords: (S,) plane coordinates, at least one.
        axis: "rows" or "columns".
    Returns:
        (L, N, S, D) on the network's device.
    """
    shape = prepared.num_levels, prepared.line_channels, len(coords), prepared.thickness
    result = torch.empty(shape, dtype=prepared.dtype, device=prepared.device)
    if prepared.device.type != "cpu":
        return prepared.lines(coords, axis, out=result)

    def job(first: int) -> None:
        part = slice(first, first + LINE_CHUNK)
        prepared.lines(coords[part], axis, out=result[:, :, part])

    chunks = range(0, len(coords), LINE_CHUNK)
    for _ in map_in_order(job, chunks, workers=worker_count(prepared.device)):
        pass
    return result


class LineStore:
    """Lines of one latent, kept as far as they fit for whoever asks for the same coordinates again.

    Any number of threads may ask; one at a time is answered.

    Args:
        prepared: a network for one latent.
        keep: bytes of lines kept; those not used for longest go, those asked for last stay.
    """

    def __init__(self, prepared: Prepared, *, keep: int = LINES_KEPT) -> None:
        self._prepared = prepared
        channels = prepared.num_levels * prepared.line_channels
        self._line_bytes = channels * prepared.thickness * prepared.dtype.itemsize
        self._recent = _Recent[tuple[Axis, bytes]](keep)
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of the lines that are kept."""
        with self._lock:
            return self._recent.nbytes

    def lines(self, coords: Tensor, axis: Axis) -> Tensor:
        """(L, N, S, D) lines of plane coordinates (S,): not to be changed."""
        key = axis, coords.numpy(force=True).tobytes()
        with self._lock:
            return self._recent.lines(
                key,
                lambda: prepared_lines(self._prepared, coords, axis),
                needed=self._line_bytes * len(coords),
            )

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._recent.clear()
