"""The lines of evenly spaced pixels of one axis, each computed once, when a lattice needs it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

import torch
from torch import Tensor

RUN = 32
"""Pixels whose lines are computed together: more would cost tiles of deep zooms, which need few."""


class LineSeries:
    """Lines of the pixels of an axis, whose lattices double from `spacing` pixels down to one.

    A pixel belongs to the widest lattice that it lies on, and its lines are computed with those of
    its neighbors there, `RUN` at a time. So they are the same to the last bit, whatever was asked
    for before. Thread-safe.

    Args:
        make: evenly spaced pixels to the lines (L, N, S, D) of their samples.
        spacing: pixels between those of the widest lattice, a power of two.
        samples: of a pixel.
    """

    def __init__(self, make: Callable[[range], Tensor], spacing: int, *, samples: int = 1) -> None:
        self._make, self._spacing, self._samples = make, spacing, samples
        self._runs: dict[tuple[int, int], Future[Tensor]] = {}
        self._lock = threading.Lock()

    def lines(self, pixels: range, part: slice = slice(None)) -> Tensor:
        """(L, N, S, D) lines of the samples of consecutive pixels of a lattice, or a part of them.

        Only what the part needs is computed.
        """
        return self._lattice(pixels[part]).flatten(2, 3)

    def _lattice(self, pixels: range) -> Tensor:
        """(L, N, P, samples, D) lines of pixels of a lattice, or of those half-way between."""
        step = pixels.step
        offset = pixels[0] % step
        if offset or step >= self._spacing:
            return self._consecutive(pixels, step, offset)
        first = pixels[0] // step % 2  # that also lies on the next wider lattice
        wider, between = pixels[first::2], pixels[1 - first :: 2]
        if not wider:
            return self._consecutive(between, 2 * step, step)
        lines = self._lattice(wider)
        if not between:
            return lines
        both = lines.new_empty(*lines.shape[:2], len(pixels), *lines.shape[3:])
        both[:, :, first::2] = lines
        both[:, :, 1 - first :: 2] = self._consecutive(between, 2 * step, step)
        return both

    def _consecutive(self, pixels: range, step: int, offset: int) -> Tensor:
        """(L, N, P, samples, D) lines of pixels k * step + offset, consecutive in k."""
        first, count = (pixels[0] - offset) // step, len(pixels)
        runs = range(first // RUN, (first + count - 1) // RUN + 1)
        parts = [self._run(run, step, offset) for run in runs]
        start = first - runs[0] * RUN
        whole = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
        return whole[:, :, start : start + count]

    def _run(self, run: int, step: int, offset: int) -> Tensor:
        """(L, N, RUN, samples, D) lines, computed once for all who wait for them."""
        first = run * RUN * step + offset
        key = first, step
        with self._lock:
            known = self._runs.get(key)
            made = self._runs[key] = known or Future()
        if known is None:
            try:
                lines = self._make(range(first, first + RUN * step, step))
                made.set_result(lines.unflatten(2, (RUN, self._samples)))
            except BaseException as error:  # raised below, here and where it is waited for
                with self._lock:
                    self._runs.pop(key, None)
                made.set_exception(error)
        return made.result()
