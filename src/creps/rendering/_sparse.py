"""Sparse evaluation: pictures whose cost follows their detail, not their pixels.

Between its details a picture of an any-scale model is smooth. So the model is asked for the pixels
of a coarse lattice only, and for ever finer ones where they are not what their neighbors foretold:

1. All pixels whose row and column are multiples of the spacing h are evaluated.
2. Every second of them is predicted from the others, by cubic subdivision along both axes (the
   four-point rule of Deslauriers and Dubuc, 1989). How far the predictions are off says how far off
   they would be between the pixels of the lattice: where the root mean square over the 16 pixels
   around a cell, times `SAFETY`, stays within the tolerance, the cell is left to prediction.
3. In the other cells the pixels half-way between are evaluated. These are the next lattice; go
   on with 2 and h / 2, down to single pixels.

No pixel is evaluated twice, and probes are samples of the next lattice. Errors of prediction come
from the kinks of the activations, and so from curves: hence the mean, as a curve that happens to
pass near one sample is seen by its neighbors. Fitted on real and random networks by
`benchmarks/sparse.py`.

Blocks are anchored to the canvas, and each is computed by itself with a border of its own, always
in the same shapes: what a pixel is does not depend on the part, tile or thread it is drawn in.

Shapes: C channels, R rows and S columns of a lattice, P points, K known fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from creps.rendering._tiles import Tile

BLOCK, LARGE_BLOCK, ACCELERATOR_BLOCK = 256, 512, 2048
"""Pixels of a block's side, multiples of 2 * COARSEST: borders cost a few percent of samples. The
large ones are for wide lattices, where calls would cost more than what they compute."""
WIDE = 16
"""The first spacing of large blocks; and from which on lattices are carried on by products."""
COARSEST = 32
"""The largest spacing, in pixels."""
SMALLEST = 64
"""Blocks of fewer pixels a side are evaluated whole: their borders would cost more."""
SAFETY = 2.4
"""What the error of a cell may be for a root mean square error of 1 at its samples."""
SEEN = 2.0
"""Colors are white at 1 and black at -1. Errors beyond count too: where a dot that is seen
lies between samples that are not, they are the only trace of it."""
BORDER = 2
"""Lattice points beyond a block on each side, which prediction looks at."""
MOST = 0.75
"""Share of the pixels of a lattice above which all are evaluated: in rows and columns they cost
less than one by one."""
TAPS = 4
"""Lattice points along an axis that a prediction is made from."""


class Sparsity(NamedTuple):
    """How sparsely a picture may be evaluated.

    Attributes:
        spacing: of the first lattice, a power of two from 2 to `COARSEST`.
        tolerance: the error of a color that is aimed at, colors being in [-1, 1].
        detail: the finest details of the model, per plane unit.
    """

    spacing: int
    tolerance: float
    detail: float

    def edge(self, device: torch.device) -> int:
        """Pixels of a block's side."""
        if device.type != "cpu":
            return ACCELERATOR_BLOCK
        return BLOCK if self.spacing < WIDE else LARGE_BLOCK

    @property
    def gray_levels(self) -> float:
        """The tolerance in gray levels of 255."""
        return round(self.tolerance * 255 / 2, 9)


class Known(NamedTuple):
    """What is cheap to know at every pixel, and what colors depend on: coordinates, weights.

    Attributes:
        values: (K, R, S).
        off: (K, 1, 1): by how much they may be off their prediction in a cell that is predicted.
        step: (K, 1, 1): by how much they may change from a sample to the next.
    """

    values: Tensor
    off: Tensor
    step: Tensor


class Pixels(Protocol):
    """The pixels of one picture, to be evaluated in any order; the same values in any call."""

    def lattice(self, rows: range, columns: range, i: slice, j: slice) -> Tensor:
        """Colors (C, R, S) of the rows `rows[i]` and columns `columns[j]`."""

    def chosen(self, rows: range, columns: range, i: Tensor, j: Tensor) -> Tensor:
        """Colors (C, P) of the pixels (rows[i[p]], columns[j[p]]), in order of i."""

    def known(self, rows: range, columns: range) -> Known | None:
        """What colors depend on; None where that is smooth everywhere."""


class Block(NamedTuple):
    """Finished pixels (C, H, W), and how many were evaluated for them."""

    image: Tensor
    evaluated: int


def sparse_block(
    pixels: Pixels,
    place: Tile,
    sparsity: Sparsity,
) -> Block:
    """A rectangle of a picture from as few of its pixels as the tolerance allows.

    Args:
        pixels: where its samples come from.
        place: its top and left are multiples of 2 * `COARSEST`; `SMALLEST` pixels a side or more.
        sparsity: how few.
    """
    down, across = _Side(place.top, place.height), _Side(place.left, place.width)
    step = sparsity.spacing
    rows, columns = down.lattice(step), across.lattice(step)
    values = pixels.lattice(rows, columns, slice(None), slice(None))
    evaluated = values[0].numel()
    errors = _coarse_errors(values)
    truth = pixels.known(down.lattice(1), across.lattice(1))
    while True:
        bad = _unpredictable(errors, sparsity.tolerance)
        if truth is not None:
            here = pixels.known(rows, columns)
            assert here is not None
            bad |= _unsteady(here, truth, down, across, step)
        if not bool(values.isfinite().all()):
            bad.fill_(True)  # what is predicted from NaN is NaN
        if not bool(bad.any()):
            return Block(_predicted(values, down, across, step), evaluated)
        foretold = _halved(values, down, across, step)
        step //= 2
        rows, columns = down.lattice(step), across.lattice(step)
        wanted = _halved_cells(bad, down, across, step)
        i, j = wanted.nonzero(as_tuple=True)
        news = wanted.numel() - (len(rows) + 1) // 2 * ((len(columns) + 1) // 2)
        if len(i) > MOST * news:
            values = foretold.clone()
            even, odd, every = slice(None, None, 2), slice(1, None, 2), slice(None)
            for a, b in ((odd, every), (even, odd)):
                values[:, a, b] = pixels.lattice(rows, columns, a, b)
            evaluated += news
            errors = _errors(foretold, values)
        else:
            values, errors = foretold, foretold.new_zeros(wanted.shape)
            colors = pixels.chosen(rows, columns, i, j) if len(i) else foretold[:, i, j]
            errors[i, j] = _errors(foretold[:, i, j], colors)
            values[:, i, j] = colors
            evaluated += len(i)
        if step == 1:
            return Block(values, evaluated)


class BlockPlan:
    """The blocks of a canvas that a part of it touches, row by row; any number costs no memory.

    A canvas is cut at multiples of the edge, and not where a last block would be too small.

    Example:
        >>> [(b.top, b.left, b.height, b.width) for b in BlockPlan(300, 400, Tile(0, 0, 9, 399))]
        [(0, 0, 300, 256), (0, 256, 300, 144)]
    """

    def __init__(self, height: int, width: int, part: Tile, *, edge: int = BLOCK) -> None:
        self._rows = _pieces(height, edge, part.rows)
        self._columns = _pieces(width, edge, part.columns)

    def __iter__(self) -> Iterator[Tile]:
        for top, bottom in self._rows():
            for left, right in self._columns():
                yield Tile(top, left, bottom - top, right - left)


def _pieces(size: int, edge: int, part: slice) -> Callable[[], Iterator[tuple[int, int]]]:
    """What pieces of a side, cut at multiples of an edge, a part of it touches."""
    last = max(-(-size // edge) - (size % edge < SMALLEST and size % edge > 0), 1) - 1
    indices = range(min(part.start // edge, last), min((part.stop - 1) // edge, last) + 1)
    return lambda: ((k * edge, size if k == last else (k + 1) * edge) for k in indices)


class _Side(NamedTuple):
    """The pixels of a block along one axis, and its lattices with their borders."""

    first: int
    size: int

    def lattice(self, step: int) -> range:
        """The pixels of a lattice in a block and on its border; an even number of steps."""
        if step == 1:
            return range(self.first, self.first + self.size)
        before, after = _reach(self.size, step)
        return range(self.first - before * step, self.first + after * step + 1, step)


def _reach(count: int, step: int) -> tuple[int, int]:
    """Lattice points before the first pixel of a block, and from it to the last on its border."""
    return (0, count - 1) if step == 1 else (BORDER, 2 * -(-(count - 1) // (2 * step)) + BORDER)


def _coarse_errors(values: Tensor) -> Tensor:
    """By how much (R, S) every second pixel of the first lattice is off its prediction."""
    down, across = (_doubling(size, values.dtype, values.device) for size in values.shape[1:])
    foretold = down @ values[:, ::2, ::2] @ across.mT
    return _errors(foretold, values)


def _errors(foretold: Tensor, values: Tensor) -> Tensor:
    """By how much (...) predictions (C, ...) are off, far beyond white not counted."""
    return (foretold.clamp_(-SEEN, SEEN) - values.clamp(-SEEN, SEEN)).abs_().amax(0)


def _unpredictable(errors: Tensor, tolerance: float) -> Tensor:
    """Which cells (R - 1, S - 1) the errors (R, S) of a lattice forbid to predict.

    The cells on the border, whose 16 samples are not all known, are left out.
    """
    total = errors.square_()
    for _ in range(2):  # sums over four samples along an axis
        pairs = total[:, 1:] + total[:, :-1]
        total = (pairs[:, 2:] + pairs[:, :-2]).mT
    # Written so that NaN is evaluated.
    bad = ~(total <= 16 * (tolerance / SAFETY) ** 2)
    return F.pad(bad, (1, 1, 1, 1))


def _unsteady(here: Known, truth: Known, down: _Side, across: _Side, step: int) -> Tensor:
    """Which cells of a lattice are refused for what is known at every pixel."""
    jumps = (here.values[:, 1:] - here.values[:, :-1]).abs() > here.step
    bad = jumps.any(0)[:, 1:] | jumps.any(0)[:, :-1]
    jumps = (here.values[:, :, 1:] - here.values[:, :, :-1]).abs() > here.step
    bad |= jumps.any(0)[1:] | jumps.any(0)[:-1]
    off = _predicted(here.values, down, across, step).sub_(truth.values).abs_() > here.off
    height, width = off.shape[1:]
    # Of cells of step + 1 pixels a side: neighbors share a border.
    fit = (0, -(width - 1) % step, 0, -(height - 1) % step)
    held = F.max_pool2d(F.pad(off.any(0)[None].float(), fit), step + 1, step)[0] > 0
    bad[BORDER : BORDER + held.shape[0], BORDER : BORDER + held.shape[1]] |= held
    return bad


def _halved_cells(bad: Tensor, down: _Side, across: _Side, step: int) -> Tensor:
    """Which pixels of the lattice `step` lie in or on cells of the lattice 2 * step.

    Those of the coarser lattice itself are left out: they are known.
    """
    for side in (across, down):
        rows, cells = bad.shape
        points = bad.new_zeros(rows, 2 * cells + 1)
        points[:, 1::2] = bad
        points[:, :-1:2] |= bad
        points[:, 2::2] |= bad
        skipped = 2 * BORDER - _reach(side.size, step)[0]
        bad = points[:, skipped : skipped + len(side.lattice(step))].mT
    bad[::2, ::2] = False
    return bad


def _predicted(values: Tensor, down: _Side, across: _Side, step: int) -> Tensor:
    """Values (C, R, S) of a lattice carried on to all pixels."""
    if step >= WIDE:  # few numbers: two products take a third to a half of the time
        rows, columns = (
            _carrying(side.size, step, values.dtype, values.device) for side in (down, across)
        )
        return rows @ values @ columns.mT
    while step > 1:
        values = _halved(values, down, across, step)
        step //= 2
    return values


def _halved(values: Tensor, down: _Side, across: _Side, step: int) -> Tensor:
    """Values (C, R, S) of a lattice carried on to that of half its spacing."""
    return _halved_along(_halved_along(values, 1, down.size, step), 2, across.size, step)


def _halved_along(values: Tensor, axis: int, count: int, step: int) -> Tensor:
    """`_halved` along rows (axis 1) or columns (2) of a block, of which it has `count`."""
    before, after = _reach(count, step // 2)
    points = values.narrow(axis, BORDER - before // 2, (before + after) // 2 + 1)
    size = list(values.shape)
    size[axis] = before + after + 1
    finer = values.new_empty(size)
    even, odd = (finer[:, k::2] if axis == 1 else finer[:, :, k::2] for k in (0, 1))
    even.copy_(points)
    between = [
        values.narrow(axis, BORDER - before // 2 + k, odd.shape[axis]) for k in (-1, 0, 1, 2)
    ]
    torch.add(between[1], between[2], out=odd).mul_(9 / 16)
    odd.sub_(between[0] + between[3], alpha=1 / 16)
    return finer


@lru_cache(maxsize=256)
def _carrying(count: int, step: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The matrix from a lattice along one axis to the `count` pixels of a block."""
    matrix = torch.eye(sum(_reach(count, step)) + 1, dtype=torch.float64)[None]
    while step > 1:
        matrix = _halved_along(matrix, 1, count, step)
        step //= 2
    return matrix[0].to(device, dtype)


@lru_cache(maxsize=256)
def _doubling(count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The matrix from every second of `count` lattice points, an odd number, to all of them."""
    return _halving(0, count // 2, 0, count - 1).to(device, dtype)


def _halving(first: int, last: int, new_first: int, new_last: int) -> Tensor:
    """Four-point subdivision as a matrix: lattice points first .. last to new ones half as far
    apart, new_first .. new_last, of which point 2 k is point k.

    Where there are no two points on each side, the four nearest serve: exact for cubics anywhere.
    """
    taps = min(TAPS, last - first + 1)
    matrix = torch.zeros(new_last - new_first + 1, last - first + 1, dtype=torch.float64)
    for row, place in enumerate(range(new_first, new_last + 1)):
        start = min(max(place // 2 - (taps // 2 - 1), first), last - taps + 1)
        t = place / 2 - start
        for k in range(taps):
            weight = 1.0
            for m in range(taps):
                if m != k:
                    weight *= (t - m) / (k - m)
            matrix[row, start - first + k] = weight
    return matrix
