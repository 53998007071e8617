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
