"""Row and column lines of whole pictures: computed once, a chunk of coordinates at a time."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import torch
import torch.nn.functional as F
from torch import Tensor

from creps.networks.base import Axis, Prepared
from creps.rendering._workers import map_in_order, worker_count

LINE_CHUNK = 128
"""Coordinates whose lines are computed at once: 4 MiB a feature buffer at 1024 channels, thickness
8. The weights are modulated again for each chunk, 8 % of its time; 64 coordinates: 30 % of it."""

TOGETHER = 16
"""Lines that are computed together at least: alone, one takes a fifth longer."""
ACCELERATOR_CHUNK = 512
"""Both, on an accelerator."""

LINES_KEPT = 2**28
"""Bytes of lines kept for many pictures of one latent: 131,072 of the packaged model, 37,449 of the
512 preset."""

COLUMNS_KEPT = 2**24
"""Bytes of column lines kept for one picture: 2,340 columns of the 512 preset. Big pictures are
filled in bands of 2,048 columns; lines that do not fit are computed again for every stripe of 512
rows, which there takes as long as the pixels of 480 rows."""


ROWS_KEPT = 2**23
"""Bytes of row lines kept for one picture: 1,170 rows of the 512 preset."""


def prepared_lines(prepared: Prepared, coords: Tensor, axis: Axis) -> Tensor:
    """`prepared.lines` of coordinates (S,), chunks side by side on the cores of a CPU.

    A line is the same to the last bit whatever others are computed with it: matrix products of odd
    widths round in another order, so all have whole multiples of `TOGETHER` lines.
    """
    on_cpu = prepared.device.type == "cpu"
    chunk, together = (LINE_CHUNK, TOGETHER) if on_cpu else (ACCELERATOR_CHUNK, ACCELERATOR_CHUNK)
    count = len(coords)
    coords = F.pad(coords, (0, -count % together), value=float(coords[-1]) if count else 0.0)
    shape = prepared.num_levels, prepared.line_channels, len(coords), prepared.thickness
    result = torch.empty(shape, dtype=prepared.dtype, device=prepared.device)

    @torch.inference_mode()  # the mode belongs to a thread
    def job(first: int) -> None:
        part = slice(first, first + chunk)
        prepared.lines(coords[part], axis, out=result[:, :, part])

    chunks = range(0, len(coords), chunk)
    for _ in map_in_order(job, chunks, workers=worker_count(prepared.device), kind="lines"):
        pass
    return result[:, :, :count]


class LineStore:
    """Cache of the lines of one latent, by their coordinates.

    Thread-safe: lines are computed once, and a thread waits only for lines that it needs. Beyond
    `keep` bytes the least recently used lines are dropped, but never the last ones requested.
    """

    def __init__(self, prepared: Prepared, *, keep: int = LINES_KEPT) -> None:
        self._prepared, self._keep = prepared, keep
        channels = prepared.num_levels * prepared.line_channels
        self._line_bytes = channels * prepared.thickness * prepared.dtype.itemsize
        self._kept: dict[tuple[Axis, bytes], tuple[Future[Tensor], int]] = {}  # used last, last
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of the lines that are kept."""
        with self._lock:
            return self._held()

    def lines(self, coords: Tensor, axis: Axis) -> Tensor:
        """(L, N, S, D) lines of plane coordinates (S,): not to be changed."""
        key = axis, coords.numpy(force=True).tobytes()
        with self._lock:
            known = self._kept.pop(key, None)
            if known is None:
                needed = self._line_bytes * len(coords)
                while self._kept and self._held() + needed > self._keep:
                    del self._kept[next(iter(self._kept))]
            made, size = known or (Future(), needed)
            self._kept[key] = made, size
        if known is None:
            try:
                made.set_result(prepared_lines(self._prepared, coords, axis))
            except BaseException as error:  # raised below, here and where it is waited for
                with self._lock:
                    self._kept.pop(key, None)
                made.set_exception(error)
        return made.result()

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._kept.clear()

    def _held(self) -> int:
        return sum(size for _, size in self._kept.values())
