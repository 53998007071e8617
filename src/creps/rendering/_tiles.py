"""Tiles: a canvas cut into rectangles of pixels, in integers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from creps.errors import GridError

BAND = 2048
"""Columns of a picture that are filled from top to bottom before the next ones: the lines of so
many are kept (14 MiB with the 512 preset), and those of the rows are computed again for each band,
which costs a fifth of the pixels' time there, and a fiftieth with the packaged model."""


@dataclass(frozen=True)
class Tile:
    """A rectangle of pixels of a canvas.

    Attributes:
        top, left: its first row and column of pixels.
        height, width: its extent in pixels, >= 1.
    """

    top: int
    left: int
    height: int
    width: int

    def moved(self, down: int, across: int) -> Tile:
        """The same tile, moved by whole pixels."""
        return Tile(self.top + down, self.left + across, self.height, self.width)

    def grown(self, border: int) -> Tile:
        """The tile with a margin of pixels on each side."""
        more = 2 * border
        return Tile(self.top - border, self.left - border, self.height + more, self.width + more)

    def within(self, other: Tile) -> Tile | None:
        """The pixels that are in another tile too; None if there are none.

        Example:
            >>> Tile(0, 0, 4, 4).within(Tile(2, -1, 9, 3))
            Tile(top=2, left=0, height=2, width=2)
        """
        top, left = max(self.top, other.top), max(self.left, other.left)
        height = min(self.rows.stop, other.rows.stop) - top
        width = min(self.columns.stop, other.columns.stop) - left
        return Tile(top, left, height, width) if min(height, width) > 0 else None

    def times(self, factor: int) -> Tile:
        """The same tile of a canvas `factor` times as large."""
        sides = self.top, self.left, self.height, self.width
        return Tile(*(factor * side for side in sides))

    @property
    def rows(self) -> slice:
        """The rows of the canvas it covers."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """The columns of the canvas it covers."""
        return slice(self.left, self.left + self.width)


class Repeats:
    """Where the pixels of a picture that repeats are on its first period, in integers.

    Args:
        down, across: pixels of a period along each axis; 0 where the picture does not repeat.
    Example:
        >>> [(t.left, t.width) for t in Repeats(0, 8).first(Tile(0, 6, 1, 4))]
        [(6, 2), (0, 2)]
    """

    def __init__(self, down: int, across: int) -> None:
        self.down, self.across = down, across

    def show_again(self, part: Tile, height: int, width: int) -> bool:
        """Whether other parts of a picture of this size may show the same as a part of it, which
        is no larger than a period."""
        again = 0 < self.down < height or 0 < self.across < width
        tall, wide = self.down or height, self.across or width
        return again and part.height <= tall and part.width <= wide

    def home(self, tile: Tile) -> Tile:
        """Where a tile begins on the first period; what shows there is the same."""
        top = tile.top % self.down if self.down else tile.top
        left = tile.left % self.across if self.across else tile.left
        return Tile(top, left, tile.height, tile.width)

    def first(self, part: Tile) -> Iterator[Tile]:
        """What of the first period shows in a part of the picture, in pieces that do not meet."""
        for rows in _stretches(part.rows, self.down):
            for columns in _stretches(part.columns, self.across):
                height, width = rows.stop - rows.start, columns.stop - columns.start
                yield Tile(rows.start, columns.start, height, width)

    def copies(self, tile: Tile, part: Tile) -> Iterator[Tile]:
        """The places in a part of the picture where a tile of the first period shows, or some of
        it."""
        for down in _shifts(tile.rows, part.rows, self.down):
            for across in _shifts(tile.columns, part.columns, self.across):
                copy = tile.moved(down, across).within(part)
                if copy is not None:
                    yield copy


def _stretches(pixels: slice, period: int) -> list[range]:
    """Pixels of the first period that a stretch of an axis shows."""
    if not period:
        return [range(pixels.start, pixels.stop)]
    if pixels.stop - pixels.start >= period:
        return [range(period)]
    start = pixels.start % period
    stop = start + pixels.stop - pixels.start
    if stop <= period:
        return [range(start, stop)]
    return [range(start, period), range(stop - period)]


def _shifts(own: slice, part: slice, period: int) -> range:
    """By how many pixels the pixels of a tile may be moved to lie in a part of an axis."""
    if not period:
        return range(1)
    first = -((own.stop - 1 - part.start) // period)  # the first that ends in the part
    return range(first * period, part.stop - own.start, period)


class TilePlan(Sequence[Tile]):
    """The tiles of a canvas, `edge` pixels a side, row by row; borders may have smaller ones.

    Each is computed on access, so any number costs no memory.

    Raises:
        GridError: if a size is below 1.
    Example:
        >>> [(t.top, t.left, t.height, t.width) for t in TilePlan(2, 3, 2)]
        [(0, 0, 2, 2), (0, 2, 2, 1)]
    """

    def __init__(self, height: int, width: int, edge: int) -> None:
        if height < 1 or width < 1 or edge < 1:
            raise GridError(
                f"size {height}x{width} in tiles of {edge}: all must be at least 1 pixel"
            )
        self.height, self.width, self.edge = height, width, edge
        self.down, self.across = -(-height // edge), -(-width // edge)

    def __len__(self) -> int:
        return self.down * self.across

    @overload
    def __getitem__(self, index: int) -> Tile: ...
    @overload
    def __getitem__(self, index: slice) -> list[Tile]: ...
    def __getitem__(self, index: int | slice) -> Tile | list[Tile]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = range(len(self))[index]  # negative indices, and IndexError past the end
        top, left = (step * self.edge for step in divmod(place, self.across))
        return Tile(top, left, min(self.edge, self.height - top), min(self.edge, self.width - left))

    def in_bands(self, width: int = BAND) -> Iterator[int]:
        """The indices of all tiles, band by band from the left, row by row within a band.

        What tiles share with those above and below them is then needed for one band at a time.
        Bands are `width` pixels wide, rounded down to whole tiles, at least one.
        """
        step = max(width // self.edge, 1)
        for left in range(0, self.across, step):
            right = min(left + step, self.across)
            for row in range(self.down):
                yield from range(row * self.across + left, row * self.across + right)
