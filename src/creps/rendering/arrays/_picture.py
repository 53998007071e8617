"""A picture as a pyramid of arrays of axes (c, y, x): any chunk of any level is drawn when read.

Each level is drawn at its own size, none is made of another. Level k shows the same plane as level
0, its pixels 2**k times as large; where a side does not divide, its last pixels reach beyond the
picture, as those of written pyramids do.
"""

from __future__ import annotations

import math
import operator
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from creps._code import code_id
from creps.coordinates import Canvas
from creps.errors import GridError, UsageError
from creps.rendering._painter import Painter, Picture
from creps.rendering._renderer import Renderer
from creps.rendering._tiles import Tile
from creps.rendering._view import View, refuse_beyond_memory
from creps.rendering.output._levels import level_sizes

CHUNK = 256
"""Pixels of a chunk's side: what viewers ask for at a time, a twentieth of a second to draw."""
LARGEST_CHUNK = 2**14
"""Pixels of a chunk's side at most: 800 MB of color."""

Axes = Literal["cyx", "yxc", "yx"]


class VirtualPicture:
    """A picture and its smaller levels as arrays of any size, of which only what is read is drawn.

    Any number of threads may read it. It can be pickled: a process that receives one draws for
    itself.

    Args:
        renderer: of the latent; it keeps what the parts of the picture share.
        view: what the full size shows.
        chunk: pixels of a chunk's side, 1 .. `LARGEST_CHUNK`.
        samples: evaluated for a chunk, at most: levels that need more have fewer a pixel.
    Attributes:
        channels: 3 for color, 1 for gray.
        dtype: uint8, or uint16 of views of 16 bits.
        sizes: (height, width) of every level, the full size first; the last one is a single chunk.
    Raises:
        GridError: for a size or chunk that is none, and for pixels that float64 cannot tell apart.
        UsageError: as `Renderer.painter`.
    Example:
        >>> import creps
        >>> whole = VirtualPicture(Renderer(creps.load("portraits"), seed=7), View(size=2**20))
        >>> whole[0].shape, whole.sizes[-1]
        ((3, 1048576, 1048576), (256, 256))
        >>> whole[3][:, 70_000:70_002, -1:].shape
        (3, 2, 1)
    """

    def __init__(
        self,
        renderer: Renderer,
        view: View | None = None,
        *,
        chunk: int = CHUNK,
        samples: int | None = None,
    ) -> None:
        self._samples = samples
        self.renderer, self.view = renderer, View() if view is None else view
        self.chunk = checked_chunk(chunk)
        canvas = self.view.canvas(renderer.generator)
        self.dtype = np.dtype(np.uint8 if self.view.depth == 8 else np.uint16)
        shown = renderer.generator.config.channels_of(self.view.map)
        self.channels = shown.stop - shown.start
        self.sizes = level_sizes(canvas.height, canvas.width, smallest=self.chunk)
        self._views = [level_view(self.view, canvas, k) for k in range(len(self.sizes))]
        self._painters: dict[int, Painter] = {}
        self._lock = threading.Lock()
        self.painter(0)  # refuses what cannot be drawn

    def __len__(self) -> int:
        """Levels."""
        return len(self.sizes)

    def __getitem__(self, level: int) -> VirtualLevel:
        """A level as an array of axes (c, y, x)."""
        return VirtualLevel(self, range(len(self))[level])

    def __dask_tokenize__(self) -> Any:  # equal pictures have equal names in a graph
        return "creps", code_id("coordinates", "networks", "rendering"), self.about(), self.chunk

    def __reduce__(self) -> Any:
        return _again, (self.renderer, self.view, self.chunk, self._samples)

    def painter(self, level: int) -> Painter:
        """What paints a level; kept, as its parts share tables."""
        with self._lock:
            if level not in self._painters:
                self._painters[level] = self._painter(self._views[level])
            return self._painters[level]

    def canvas(self, level: int) -> Canvas:
        """Where the pixels of a level lie on the plane."""
        return self.painter(level).canvas

    def pixels(self, level: int, part: Tile) -> Picture:
        """(part.height, part.width, C) of a part of a level.

        Raises:
            GridError: for a part that does not fit in memory.
        """
        self._refuse_beyond_memory(part)
        return self.painter(level).pixels(part)

    def planes(self, level: int, part: Tile) -> Picture:
        """(C, part.height, part.width) of a part of a level; errors as `pixels`.

        The colors of a tile come plane by plane, so this is less work than `pixels`.
        """
        self._refuse_beyond_memory(part)
        planes: Picture = np.empty((self.channels, part.height, part.width), self.dtype)
        for tile, pixels in self.painter(level).tiles(part):
            inside = tile.moved(-part.top, -part.left)
            planes[:, inside.rows, inside.columns] = pixels.transpose(2, 0, 1)
        return planes

    def about(self) -> dict[str, Any]:
        """What files record of how the pixels were made; as `TileSource.about`."""
        about = self.painter(0).about()
        return {name: value for name, value in about.items() if value is not None}

    def _refuse_beyond_memory(self, part: Tile) -> None:
        """Chunks of the usual size pass without asking the system how much memory is free."""
        if part.height * part.width > CHUNK**2:
            refuse_beyond_memory(
                part.height, part.width, channels=self.channels, depth=self.view.depth
            )

    def _painter(self, view: View) -> Painter:
        painter = self.renderer.painter(view)
        pixels = self.chunk**2
        if self._samples is None or pixels * painter.samples**2 <= self._samples:
            return painter
        fewer = max(math.isqrt(self._samples // pixels), 1)
        return self.renderer.painter(replace(view, supersample=fewer))


def _again(renderer: Renderer, view: View, chunk: int, samples: int | None) -> VirtualPicture:
    return VirtualPicture(renderer, view, chunk=chunk, samples=samples)


class VirtualLevel:
    """A level as an array: what NumPy, xarray, tensorstore and napari need to index it.

    Integers and slices of any step; the pixels between those asked for are drawn too.

    Args:
        picture: whose level it is.
        level: 0 is the full size.
        axes: "cyx", "yxc" as pictures in memory have them, or "yx" of gray ones.
    Raises:
        IndexError: for indices outside, or of another kind.
    """

    def __init__(self, picture: VirtualPicture, level: int, *, axes: Axes = "cyx") -> None:
        self.picture, self.level, self.axes = picture, level, axes
        height, width = picture.sizes[level]
        sides = {"c": picture.channels, "y": height, "x": width}
        edges = {"c": picture.channels, "y": picture.chunk, "x": picture.chunk}
        self.shape = tuple(sides[axis] for axis in axes)
        self.ndim, self.dtype = len(axes), picture.dtype
        self.chunks = tuple(min(edges[axis], sides[axis]) for axis in axes)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        given: dict[str, int | range] = {"c": 0}
        given |= zip(self.axes, _chosen(key, self.shape), strict=True)
        rows, columns, channels = (given[axis] for axis in "yxc")
        (top, height), (left, width) = _span(rows), _span(columns)
        if not (height and width):
            part = np.zeros((height, width, self.picture.channels), self.dtype)
        else:
            part = self.picture.pixels(self.level, Tile(top, left, height, width))
        chosen = part[_within(rows, top)][..., _within(columns, left), :][..., _within(channels, 0)]
        kept = [axis for axis in "yxc" if not isinstance(given[axis], int)]
        order = [kept.index(axis) for axis in self.axes if axis in kept]
        return np.ascontiguousarray(chosen.transpose(order))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[...].astype(self.dtype if dtype is None else dtype, copy=False)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def size(self) -> int:
        """Values in all."""
        return math.prod(self.shape)

    def __repr__(self) -> str:
        return (
            f"<VirtualLevel {self.level}, {self.axes} {self.shape} {self.dtype}, drawn when read>"
        )


def level_view(view: View, canvas: Canvas, level: int) -> View:
    """The view of a level: the plane of the full size, in pixels 2**level times as large.

    Args:
        view, canvas: of the full size.
    Example:
        >>> level_view(View(size=(6, 3)), Canvas(6, 3, (0.0, 0.0, 2.0, 1.0)), 1).window
        (0.0, 0.0, 2.0, 1.3333333333333333)
    """
    view = replace(view, tile=None)  # the window of the canvas says how many periods are seen
    if level == 0:
        return replace(view, size=(canvas.height, canvas.width), window=canvas.window)
    height, width = level_sizes(canvas.height, canvas.width, smallest=1)[level]
    y0, x0, y1, x1 = canvas.window
    top, bottom = _level_sides(y0, y1, canvas.height, height, level, canvas.sampling)
    left, right = _level_sides(x0, x1, canvas.width, width, level, canvas.sampling)
    return replace(view, size=(height, width), window=(top, left, bottom, right))


def _level_sides(
    start: float, stop: float, count: int, fewer: int, level: int, sampling: str
) -> tuple[float, float]:
    """The window of `fewer` pixels, each as large as 2**level of `count`, on one axis."""
    factor = 2**level
    if sampling == "centers":
        even = factor * fewer == count
        return start, stop if even else start + (stop - start) * (factor * fewer / count)
    pitch = (stop - start) / max(count - 1, 1)  # the window ends in the middle of border pixels
    first = start + (factor - 1) / 2 * pitch
    return first, first + max(fewer - 1, 1) * factor * pitch


def checked_chunk(chunk: object) -> int:
    """A chunk's side as a plain integer; a GridError for one that is none."""
    try:
        edge = operator.index(chunk)  # type: ignore[arg-type]
    except TypeError:
        edge = 0
    if not 1 <= edge <= LARGEST_CHUNK:
        raise GridError(f"chunk {chunk!r}: expected whole pixels a side, 1 to {LARGEST_CHUNK}")
    return edge


def refuse_unknown_options(given: Sequence[str], known: Sequence[str]) -> None:
    """A UsageError for keywords that nobody takes."""
    if strange := sorted(set(given) - set(known)):
        raise UsageError(f"unknown {', '.join(strange)}: expected {', '.join(sorted(known))}")


def _chosen(key: Any, shape: Sequence[int]) -> list[int | range]:
    """What an index takes of each axis: one place, or places."""
    given = list(key) if isinstance(key, tuple) else [key]
    dots = [place for place, each in enumerate(given) if each is Ellipsis]
    if len(dots) > 1 or len(given) - len(dots) > len(shape):
        raise IndexError(f"index {key!r}: expected at most {len(shape)} axes")
    place = dots[0] if dots else len(given)
    missing = len(shape) - (len(given) - len(dots))
    given[place : place + 1] = [slice(None)] * missing
    chosen: list[int | range] = []
    for each, side in zip(given, shape, strict=True):
        if isinstance(each, slice):
            chosen.append(range(side)[each])
            continue
        try:
            chosen.append(range(side)[operator.index(each)])
        except TypeError:
            raise IndexError(f"index {each!r}: expected integers and slices") from None
        except IndexError:
            raise IndexError(f"index {each} is outside an axis of {side}") from None
    return chosen


def _span(chosen: int | range) -> tuple[int, int]:
    """The first place of an index, and how many lie up to its last."""
    if isinstance(chosen, int):
        return chosen, 1
    if not chosen:
        return 0, 0
    first, last = min(chosen[0], chosen[-1]), max(chosen[0], chosen[-1])
    return first, last - first + 1


def _within(chosen: int | range, first: int) -> int | NDArray[np.intp] | slice:
    """An index, counted from the first place that was drawn."""
    if isinstance(chosen, int):
        return chosen - first
    if len(chosen) and chosen.step == 1:
        return slice(chosen[0] - first, chosen[-1] + 1 - first)
    return np.asarray(chosen, np.intp) - first
