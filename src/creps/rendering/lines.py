"""Row and column lines of whole pictures: computed once, a chunk of coordinates at a time."""

from __future__ import annotations

from typing import Literal, Protocol

import torch
from torch import Tensor

from creps.rendering.workers import map_in_order, worker_count

Axis = Literal["rows", "columns"]

LINE_CHUNK = 128
"""Coordinates whose lines are computed at once: 4 MiB a feature buffer at 1024 channels, thickness
8. The weights are modulated again for each chunk, 8 % of its time; 64 coordinates: 30 % of it."""

LINES_KEPT = 2**28
"""Bytes of each axis' lines that big pictures keep: 131,072 columns of the packaged model."""


class LineSource(Protocol):
    """A generator that makes lines."""

    def lines(self, styles: Tensor, coords: Tensor, axis: Axis) -> Tensor:
        """(B, L, N, S, D) lines of styles (B, K, D) at coordinates (S,)."""


def picture_lines(generator: LineSource, styles: Tensor, coords: Tensor, *, axis: Axis) -> Tensor:
    """Lines of all coordinates of a picture's axis, in bounded memory beside the result.

    On a CPU, as many chunks are computed at once as torch has threads.

    Args:
        generator: a model with lines (CREPS); a "dense" one has none and raises a GridError.
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


class KeptLines:
    """Lines of one axis of a picture, computed part by part and kept as far as they fit.

    Big pictures ask for the same columns in every stripe. What does not fit is computed again, so
    that memory is bounded whatever the picture's size.

    Args:
        generator, styles, coords, axis: as for `picture_lines`.
        keep: bytes of lines kept beside the part asked for last.
    """

    def __init__(
        self,
        generator: LineSource,
        styles: Tensor,
        coords: Tensor,
        *,
        axis: Axis,
        keep: int = LINES_KEPT,
    ) -> None:
        self._generator, self._styles, self._coords, self._axis = generator, styles, coords, axis
        self._keep = keep
        self._kept: dict[tuple[int, int], Tensor] = {}

    def __call__(self, part: slice) -> Tensor:
        """(B, L, N, S, D) lines of coordinates part.start .. part.stop - 1."""
        key = (part.start, part.stop)
        if key not in self._kept:
            # Parts come round and round: the newest is the one that is needed last.
            while self._kept and sum(lines.nbytes for lines in self._kept.values()) > self._keep:
                self._kept.popitem()
            self._kept[key] = picture_lines(
                self._generator, self._styles, self._coords[part], axis=self._axis
            )
        return self._kept[key]
