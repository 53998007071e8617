"""Views: any part of the plane as pixels, turned and mirrored by asking for other places.

No finished picture is resampled: quarter turns and mirrors rearrange the pixels of an upright
picture, and any other angle is a grid that is turned.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from creps.coordinates import Window
from creps.errors import GridError
from creps.rendering._painter import Painter, Picture
from creps.rendering._renderer import Renderer
from creps.rendering._tiles import Tile
from creps.rendering._view import View
from creps.rendering.warps import Affine
from creps.rendering.warps._base import cosine_sine
from creps.serving._iiif import turned_size

STRIPE = 64
"""Rows of a part that a core draws at a time: whole tiles of the renderer."""

Coverage = NDArray[np.uint8]
Make = Callable[[Tile], Picture]
SideBySide = Callable[[Iterable[Callable[[], None]]], None]


@dataclass(frozen=True, kw_only=True)
class ViewSpec:
    """What a picture shows, and its size in pixels.

    Attributes:
        window: of the plane, (y0, x0, y1, x1), before it is turned.
        height, width: pixels of the window.
        mirror: left and right are swapped, before it is turned.
        turn: degrees clockwise, about the middle of the window.
        grows: the picture is the box round the turned window, what is outside the window is
            transparent; else it keeps its height and width and the plane fills it.
    """

    window: Window
    height: int
    width: int
    mirror: bool = False
    turn: float = 0.0
    grows: bool = True

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the picture."""
        if self.grows:
            return turned_size(self.height, self.width, self.turn)
        return self.height, self.width

    @property
    def quarters(self) -> int | None:
        """Quarter turns clockwise; None for other angles."""
        quarters = self.turn / 90
        return int(quarters) % 4 if quarters == int(quarters) else None

    @property
    def pitch(self) -> tuple[float, float]:
        """Plane units (y, x) of a pixel before it is turned."""
        y0, x0, y1, x1 = self.window
        return (y1 - y0) / self.height, (x1 - x0) / self.width

    def check(self) -> None:
        """Refuse what cannot be drawn.

        A GridError for an empty window or size, beyond the plane's end, too small for float64.
        """
        View(size=(self.height, self.width), window=self.window)
        View(size=self.size, window=self.frame.window)

    @property
    def frame(self) -> ViewSpec:
        """The view of all that the picture shows, before it is turned about its middle."""
        return self._about_middle(*self.size)

    @property
    def upright(self) -> ViewSpec:
        """The view before it is turned by quarters; of the other shape if need be."""
        if self.grows or not (self.quarters or 0) % 2:
            return self._about_middle(self.height, self.width)
        return self._about_middle(self.width, self.height)

    def _about_middle(self, height: int, width: int) -> ViewSpec:
        """The given number of pixels, of the same size and about the same middle."""
        if (height, width) == (self.height, self.width):
            return ViewSpec(window=self.window, height=height, width=width)
        y0, x0, y1, x1 = self.window
        pitch_y, pitch_x = self.pitch
        y, x = (y0 + y1) / 2, (x0 + x1) / 2
        half_y, half_x = height * pitch_y / 2, width * pitch_x / 2
        window = y - half_y, x - half_x, y + half_y, x + half_x
        return ViewSpec(window=window, height=height, width=width)


class Drawing(NamedTuple):
    """A finished view.

    Attributes:
        pixels: (H, W, C) uint8.
        opacity: (H, W) uint8; None where all is opaque.
        evaluated: share of the pixels that the model evaluated; None where it drew none of them.
    """

    pixels: Picture
    opacity: Coverage | None
    evaluated: float | None = None


class Source(ABC):
    """Draws views of one picture."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes of prepared weights, lines and tables, or of pixels."""

    @abstractmethod
    def draw(self, spec: ViewSpec, *, samples: int, side_by_side: SideBySide) -> Drawing:
        """A view as one picture.

        At most `samples` samples of the plane; `side_by_side` runs parts of the work on free cores.

        Raises:
            GridError: for what cannot be drawn.
        """


class RenderedSource(Source):
    """Draws a latent at any size."""

    def __init__(self, renderer: Renderer) -> None:
        self.renderer = renderer

    @property
    def nbytes(self) -> int:
        return self.renderer.nbytes

    def draw(self, spec: ViewSpec, *, samples: int, side_by_side: SideBySide) -> Drawing:
        painter = self._painter(spec, samples=samples)
        pixels = _maker(painter, spec, side_by_side)(Tile(0, 0, *spec.size))
        turned = spec.grows and spec.quarters is None
        return Drawing(pixels, coverage(spec) if turned else None, painter.evaluations.share)

    def maker(self, spec: ViewSpec, *, samples: int, side_by_side: SideBySide) -> Make:
        """As `draw`, but makes any tile of a view that may be too large to be made at once."""
        return _maker(self._painter(spec, samples=samples), spec, side_by_side)

    def _painter(self, spec: ViewSpec, *, samples: int) -> Painter:
        """What draws a view, before it is turned by quarters: with as many samples as it needs,
        within the limit."""
        spec.check()
        upright, warp = (
            (spec.frame, turning(spec)) if spec.quarters is None else (spec.upright, None)
        )
        window = area_window(upright, sampling=self.renderer.generator.sampling)
        size = upright.height, upright.width
        view = View(size=size, window=window, warp=warp, supersample="auto")
        painter = self.renderer.painter(view)
        pixels = upright.height * upright.width
        if pixels * painter.samples**2 <= samples:
            return painter
        fewer = max(math.isqrt(samples // pixels), 1)
        return self.renderer.painter(replace(view, supersample=fewer))


def _maker(painter: Painter, spec: ViewSpec, side_by_side: SideBySide) -> Make:
    """Makes tiles of a view: turned by the painter, or as pixels in another order."""
    quarters, (height, width) = spec.quarters, spec.size
    if quarters is None:
        return lambda tile: _painted(painter, tile, side_by_side)

    def make(tile: Tile) -> Picture:
        part = _upright_tile(tile, height, width, mirror=spec.mirror, quarters=quarters)
        pixels = _painted(painter, part, side_by_side)
        return rearranged(pixels, mirror=spec.mirror, quarters=quarters)

    return make


def _painted(painter: Painter, tile: Tile, side_by_side: SideBySide) -> Picture:
    """The pixels of a tile, in stripes where there are cores to share them."""
    generator = painter.generator
    picture = np.empty((tile.height, tile.width, painter.channels), np.uint8)

    def paint(down: int, height: int) -> None:
        stripe = Tile(tile.top + down, tile.left, height, tile.width)
        picture[down : down + height] = painter.pixels(stripe)

    divisible = generator.tileable and generator.device.type == "cpu"
    step = max(STRIPE, painter.grain) if divisible else tile.height
    side_by_side(
        partial(paint, down, min(step, tile.height - down)) for down in range(0, tile.height, step)
    )
    return picture


def _upright_tile(tile: Tile, height: int, width: int, *, mirror: bool, quarters: int) -> Tile:
    """Where a tile of a picture was before that was mirrored, and turned clockwise."""
    for _ in range(quarters):  # each quarter back
        tile = Tile(width - tile.left - tile.width, tile.top, tile.width, tile.height)
        height, width = width, height
    if mirror:
        tile = Tile(tile.top, width - tile.left - tile.width, tile.height, tile.width)
    return tile


class UpsampledSource(Source):
    """Enlarges a native picture of the unit square, as any viewer would: to compare with.

    The picture is (H, W, C) uint8; `by` is a name of `_identifiers.FILTERS`.
    """

    def __init__(self, picture: Picture, by: str) -> None:
        self._image, self._nbytes = as_image(picture), picture.nbytes
        self._filter = Image.Resampling[by.upper()]

    @property
    def nbytes(self) -> int:
        return self._nbytes

    def draw(self, spec: ViewSpec, *, samples: int, side_by_side: SideBySide) -> Drawing:
        spec.check()
        quarters = spec.quarters
        if quarters is None:
            raise GridError("enlarged pictures turn by quarters: expected 0, 90, 180 or 270")
        pixels, inside = (
            rearranged(each, mirror=spec.mirror, quarters=quarters)
            for each in self._upright(spec.upright)
        )
        return Drawing(pixels, None if inside.all() else inside[:, :, 0])

    def _upright(self, spec: ViewSpec) -> tuple[Picture, Picture]:
        """Pixels and opacity of a view that is not turned."""
        bands = len(self._image.getbands())
        picture = np.zeros((spec.height, spec.width, bands), np.uint8)
        opacity = np.zeros((spec.height, spec.width, 1), np.uint8)
        y0, x0, _, _ = spec.window
        pitch_y, pitch_x = spec.pitch
        rows, columns = _inside(y0, pitch_y, spec.height), _inside(x0, pitch_x, spec.width)
        if len(rows) and len(columns):
            scale_y, scale_x = self._image.height, self._image.width
            box = (
                max((x0 + columns.start * pitch_x) * scale_x, 0.0),
                max((y0 + rows.start * pitch_y) * scale_y, 0.0),
                min((x0 + columns.stop * pitch_x) * scale_x, scale_x),
                min((y0 + rows.stop * pitch_y) * scale_y, scale_y),
            )
            part = self._image.resize((len(columns), len(rows)), self._filter, box=box)
            place = slice(rows.start, rows.stop), slice(columns.start, columns.stop)
            picture[place] = np.asarray(part).reshape(len(rows), len(columns), bands)
            opacity[place] = 255
        return picture, opacity


def as_image(picture: Picture) -> Image.Image:
    """(H, W, C) pixels as Pillow takes them."""
    return Image.fromarray(picture if picture.shape[2] > 1 else picture[:, :, 0])


def _inside(start: float, pitch: float, count: int) -> range:
    """The pixels whose middle lies in [0, 1)."""
    first = min(max(math.ceil(-start / pitch - 0.5), 0), count)
    last = min(max(math.ceil((1 - start) / pitch - 0.5), first), count)
    return range(first, last)


def rearranged(picture: Picture, *, mirror: bool, quarters: int) -> Picture:
    """The same pixels (H, W, C), mirrored and then turned clockwise."""
    if mirror:
        picture = picture[:, ::-1]
    return np.ascontiguousarray(np.rot90(picture, -quarters))


def turning(spec: ViewSpec) -> Affine:
    """The warp that mirrors and turns what the window shows, in pixels of any shape."""
    y0, x0, y1, x1 = spec.window
    y, x = (y0 + y1) / 2, (x0 + x1) / 2
    pitch_y, pitch_x = spec.pitch
    cosine, sine = cosine_sine(spec.turn)
    side = -1.0 if spec.mirror else 1.0
    yy, yx = cosine, side * sine * pitch_y / pitch_x
    xy, xx = -sine * pitch_x / pitch_y, side * cosine
    return Affine(((yy, yx, y - (yy * y + yx * x)), (xy, xx, x - (xy * y + xx * x))))


def coverage(spec: ViewSpec) -> Coverage:
    """(H, W) opacity: how much of each pixel lies in the turned window, its edge one pixel soft."""
    height, width = spec.size
    cosine, sine = cosine_sine(spec.turn)
    down = np.arange(height)[:, None] + (0.5 - height / 2)
    across = np.arange(width)[None, :] + (0.5 - width / 2)
    # Pixels from the turned middle lines; the mirror changes nothing.
    beside = np.abs(cosine * across + sine * down)
    above = np.abs(cosine * down - sine * across)
    inside = np.clip(spec.width / 2 + 0.5 - beside, 0, 1)
    inside = inside * np.clip(spec.height / 2 + 0.5 - above, 0, 1)
    return np.rint(inside * 255).astype(np.uint8)


def area_window(spec: ViewSpec, *, sampling: str) -> Window:
    """The window to ask for, so that pixels are areas whatever a model's own rule is.

    Tiles of converted models must meet as others do: their rule puts samples on the borders of the
    window, so the requested window is half a pixel smaller on each side.
    """
    y0, x0, y1, x1 = spec.window
    if sampling == "centers":
        return spec.window
    y, x = spec.pitch
    # A single pixel has no width between its corners: any will do.
    bottom, right = y1 - y / 2 if spec.height > 1 else y1, x1 - x / 2 if spec.width > 1 else x1
    return y0 + y / 2, x0 + x / 2, bottom, right
