"""Pictures of any size in bounded memory, in one call or many of one latent.

The row and column lines of a picture are small and serve every tile; the per-pixel features are
large and only ever exist for a few tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creps.coordinates import Window
from creps.errors import UsageError
from creps.networks.base import Generator
from creps.rendering._latents import latents
from creps.rendering._lines import LINES_KEPT
from creps.rendering._painter import Samples, SubjectDrawer
from creps.rendering._prepared import Latent, Subject
from creps.rendering._tiles import Tile
from creps.rendering._view import (
    Device,
    Precision,
    RenderRequest,
    Size,
    refuse_beyond_memory,
)
from creps.rendering.warps import WarpLike

Picture = NDArray[np.uint8]
Progress = Callable[[int, int], None]


def render(
    generator: Generator,
    *,
    seed: int | None = None,
    z: Tensor | None = None,
    styles: Tensor | None = None,
    label: int | Tensor | None = None,
    size: Size | None = None,
    window: Window | None = None,
    truncation: float = 1.0,
    truncation_cutoff: int | None = None,
    warp: WarpLike = None,
    supersample: Samples = 1,
    exact: bool = False,
    device: Device = None,
    dtype: Precision = None,
    tile: int | None = None,
    progress: Progress | None = None,
) -> Picture:
    """One picture of a model, at any size, of any window of the plane.

    Memory beyond the result is bounded by the lines of the picture (its height and width, not their
    product) and a few tiles. For many pictures of one latent, see `Renderer`.

    Args:
        generator: the model; it stays as and where it is.
        seed: integer 0 .. 2**32 - 1 that draws the latent (see `latents`).
        z: (1, Z) latent, instead of a seed.
        styles: (1, K, D) from `generator.map`, instead of a seed; already truncated.
        label: class index, or (1, label_dim) one-hot row, for class-conditional models.
        size: (height, width) in pixels, or one number for a square; the model's own by default.
        window: (y0, x0, y1, x1) in plane units, mapped exactly onto the picture; outside [0, 1] the
            model extrapolates. By default the unit square, undistorted: the shorter side spans
            [0, 1], the longer reaches beyond it on both ends.
        truncation: 1 keeps the styles, 0 gives the average picture.
        truncation_cutoff: truncate only this many leading styles; all by default.
        warp: changes the picture before the window is cut out: text such as "rotate:30", a warp, or
            a function of points (`rendering.warps`); black where it shows nothing.
        supersample: pixels are means of so many by so many samples, >= 1: less shimmer where a
            picture is smaller than the detail of the model; "auto": as many as it takes, where it
            takes them.
        exact: evaluate the lines of every point of a bent picture instead of looking them up in
            tables: up to a hundred times slower, closer by less than a grey level.
        device: where to work, such as "cuda"; where the model is by default. What is needed is
            copied there and let go at the end: for many pictures keep a `Renderer`.
        dtype: "float32", "float64", "bfloat16" or "float16"; the model's own by default.
        tile: pixels of a tile's side; what suits the device and the model by default.
        progress: called after each tile with the pixels done and the pixels in all.
    Returns:
        (H, W, C) uint8; C is 3 for colour and 1 for gray models. See `to_uint8` for the rounding.
    Raises:
        GridError: for sizes or windows that cannot be rendered or do not fit in memory.
        UsageError: unless exactly one of seed, z and styles is given, for one picture; for a
            warp, a number of samples, a device or a precision that is none.
        LabelError: if the label is missing, unexpected or unknown.
    """
    RenderRequest(size=size, window=window, tile=tile)  # refused before any work
    renderer = Renderer(
        generator,
        seed=seed,
        z=z,
        styles=styles,
        label=label,
        truncation=truncation,
        truncation_cutoff=truncation_cutoff,
        device=device,
        dtype=dtype,
        keep=None,
    )
    return renderer.picture(
        size=size,
        window=window,
        warp=warp,
        supersample=supersample,
        exact=exact,
        tile=tile,
        progress=progress,
    )


class Renderer:
    """Many pictures of one latent: what they share is prepared once and kept.

    Folded weights, the lines of axes used lately and line tables stay between pictures, so further
    views and warps cost their pixels only. The pictures are those of `render`, bit for bit.

    Any number of threads may call the same renderer; on a CPU, give each one core
    (`torch.set_num_threads(1)`).

    Args:
        generator: the model; it stays as and where it is.
        seed, z, styles, label, truncation, truncation_cutoff, device, dtype: as for `render`.
        keep: bytes of lines to keep beside those in use; line tables have bounds of their own
            (`points.TABLE_BYTES`, for each axis). None: for one picture, as `render` does.

    Attributes:
        styles: (1, K, D) of the latent.
    Raises:
        UsageError, LabelError: as `render`.
    Example:
        >>> renderer = Renderer(creps.load("portraits"), seed=7)
        >>> renderer.picture(size=(24, 32), warp="rotate:30").shape
        (24, 32, 3)
        >>> renderer.region(Tile(2**19, 2**19, 8, 16), size=2**20).shape
        (8, 16, 3)
    """

    def __init__(
        self,
        generator: Generator,
        *,
        seed: int | None = None,
        z: Tensor | None = None,
        styles: Tensor | None = None,
        label: int | Tensor | None = None,
        truncation: float = 1.0,
        truncation_cutoff: int | None = None,
        device: Device = None,
        dtype: Precision = None,
        keep: int | None = LINES_KEPT,
    ) -> None:
        RenderRequest(truncation=truncation, truncation_cutoff=truncation_cutoff)
        self.generator = generator
        self.styles = styles_of_one(
            generator,
            seed=seed,
            z=z,
            styles=styles,
            label=label,
            truncation=truncation,
            truncation_cutoff=truncation_cutoff,
        )
        self._subject = Subject(generator, self.styles, device=device, dtype=dtype, keep=keep)

    @property
    def nbytes(self) -> int:
        """Bytes that are held: weights, lines and tables, but not the generator."""
        return self._subject.nbytes

    @property
    def latent(self) -> Latent | None:
        """What is kept; None for families without a prepared form."""
        return self._subject.latents[0] if self._subject.prepared else None

    def clear(self) -> None:
        """Let go of lines and tables; the next picture computes its own."""
        self._subject.clear()

    def drawer(
        self,
        *,
        size: Size | None = None,
        window: Window | None = None,
        warp: WarpLike = None,
        supersample: Samples = 1,
        exact: bool = False,
        tile: int | None = None,
    ) -> SubjectDrawer:
        """What draws any parts of one picture, such as `paint` and `streams.streaming` use.

        Keep it for as long as parts of the same picture are asked for.

        Args:
            size, window, warp, supersample, exact, tile: as for `render`.
        Raises:
            GridError, UsageError: as `render`; no size is too large.
        """
        request = RenderRequest(size=size, window=window, tile=tile)
        return SubjectDrawer(
            self._subject,
            request.canvas(self.generator),
            warp=warp,
            supersample=supersample,
            exact=exact,
            tile=tile,
        )

    def picture(
        self,
        *,
        size: Size | None = None,
        window: Window | None = None,
        warp: WarpLike = None,
        supersample: Samples = 1,
        exact: bool = False,
        tile: int | None = None,
        progress: Progress | None = None,
    ) -> Picture:
        """One picture of the latent; arguments, result and errors as `render`."""
        canvas = RenderRequest(size=size, window=window, tile=tile).canvas(self.generator)
        channels = self.generator.config.img_channels
        refuse_beyond_memory(canvas.height, canvas.width, channels=channels)
        drawer = self.drawer(
            size=size, window=window, warp=warp, supersample=supersample, exact=exact, tile=tile
        )
        return paint(drawer, progress=progress)

    def tiles(
        self,
        *,
        size: Size | None = None,
        window: Window | None = None,
        warp: WarpLike = None,
        supersample: Samples = 1,
        exact: bool = False,
        tile: int | None = None,
    ) -> Iterator[tuple[Tile, Picture]]:
        """The tiles of a picture of any size, for any sink; as `render_tiles`."""
        return painted_tiles(
            self.drawer(
                size=size, window=window, warp=warp, supersample=supersample, exact=exact, tile=tile
            )
        )

    def region(
        self,
        part: Tile,
        *,
        size: Size,
        window: Window | None = None,
        warp: WarpLike = None,
        supersample: Samples = 1,
        exact: bool = False,
        tile: int | None = None,
    ) -> Picture:
        """Some pixels of a picture that may be far too large to be made: for servers of tiles.

        Pixels are addressed by integers, so regions meet exactly. At level k of a pyramid, `size`
        is that level's size, and part is the level's tile.

        Args:
            part: pixels of the picture, or beyond its borders.
            size: of the whole picture, any.
            window, warp, supersample, exact, tile: of the whole picture, as for `render`.
        Returns:
            (part.height, part.width, C) uint8.
        Raises:
            GridError, UsageError: as `render`, for an empty part too.
        """
        refuse_beyond_memory(part.height, part.width, channels=self.generator.config.img_channels)
        drawer = self.drawer(
            size=size, window=window, warp=warp, supersample=supersample, exact=exact, tile=tile
        )
        return paint(drawer, part)


def paint(
    drawer: SubjectDrawer, part: Tile | None = None, *, progress: Progress | None = None
) -> Picture:
    """A part of a picture as 8-bit pixels.

    Args:
        drawer: of one picture, not a batch.
        part: pixels of its canvas; all by default.
        progress: called after each tile with the pixels done and the pixels in all.
    Returns:
        (part.height, part.width, C) uint8.
    """
    part = Tile(0, 0, drawer.canvas.height, drawer.canvas.width) if part is None else part
    channels = drawer.generator.config.img_channels
    picture = np.empty((part.height, part.width, channels), dtype=np.uint8)
    done = 0
    for tile, pixels in painted_tiles(drawer, part):
        inside = Tile(tile.top - part.top, tile.left - part.left, tile.height, tile.width)
        picture[inside.rows, inside.columns] = pixels
        done += tile.height * tile.width
        if progress is not None:
            progress(done, part.height * part.width)
    return picture


def painted_tiles(
    drawer: SubjectDrawer, part: Tile | None = None
) -> Iterator[tuple[Tile, Picture]]:
    """The tiles of a part of a picture as 8-bit pixels, row by row, for any sink.

    Args:
        drawer: of one picture, not a batch.
        part: pixels of its canvas; all by default.
    Yields:
        (tile, pixels): a tile of the canvas, and its (tile.height, tile.width, C) uint8 pixels.
    """
    for tile, image in drawer.tiles(part):
        yield tile, to_uint8(image[0])


def render_tiles(
    generator: Generator,
    *,
    seed: int | None = None,
    z: Tensor | None = None,
    styles: Tensor | None = None,
    label: int | Tensor | None = None,
    size: Size | None = None,
    window: Window | None = None,
    truncation: float = 1.0,
    truncation_cutoff: int | None = None,
    warp: WarpLike = None,
    supersample: Samples = 1,
    exact: bool = False,
    device: Device = None,
    dtype: Precision = None,
    tile: int | None = None,
) -> Iterator[tuple[Tile, Picture]]:
    """The tiles of a picture of any size, one after the other, for any sink.

    The picture is never in memory as a whole: what is done with a tile is up to the caller.

    Args:
        generator, seed, z, styles, label, size, window, truncation, truncation_cutoff, warp,
        supersample, exact, device, dtype, tile: as for `render`.
    Returns:
        an iterator of (tile, pixels): where the tile lies, `tile.rows` and `tile.columns` of the
        picture, and its (tile.height, tile.width, C) uint8 pixels; row by row.
    Raises:
        GridError, UsageError, LabelError: as `render`, at once; no size is too large.
    """
    renderer = Renderer(
        generator,
        seed=seed,
        z=z,
        styles=styles,
        label=label,
        truncation=truncation,
        truncation_cutoff=truncation_cutoff,
        device=device,
        dtype=dtype,
        keep=None,
    )
    return renderer.tiles(
        size=size, window=window, warp=warp, supersample=supersample, exact=exact, tile=tile
    )


def to_uint8(image: Tensor) -> Picture:
    """A picture in [-1, 1] as 8-bit pixels: (x + 1) * 127.5, clipped, rounded to nearest.

    Args:
        image: (C, H, W), floating point, on any device.
    Returns:
        (H, W, C) uint8 array on the CPU.
    """
    image = image.permute(1, 2, 0)
    if image.device.type != "cpu":  # a quarter of the bytes comes over
        levels = ((image + 1) * 127.5).clamp(0, 255).round().to(torch.uint8)
        return levels.cpu().numpy()
    # In NumPy: torch would wake its threads for this trifle, and they spin beside the tile workers.
    return np.rint(((image.numpy() + 1) * 127.5).clip(0, 255)).astype(np.uint8)


@torch.inference_mode()
def styles_of_one(
    generator: Generator,
    *,
    seed: int | None = None,
    z: Tensor | None = None,
    styles: Tensor | None = None,
    label: int | Tensor | None = None,
    truncation: float = 1.0,
    truncation_cutoff: int | None = None,
) -> Tensor:
    """(1, K, D) styles from the one source that is given, as `render` takes it.

    Raises:
        UsageError: unless exactly one of seed, z and styles is given, for one picture.
        LabelError: if the label is missing, unexpected or unknown.
    """
    given = [n for n, v in (("seed", seed), ("z", z), ("styles", styles)) if v is not None]
    if len(given) != 1:
        raise UsageError(
            f"{' and '.join(given) or 'nothing'} given: expected one of seed, z, styles"
        )
    if seed is not None:
        z = latents([seed], generator)
    if z is not None:
        classes = label if label is None or isinstance(label, Tensor) else torch.tensor([label])
        styles = generator.map(
            z.to(generator.device),
            classes if classes is None else classes.to(generator.device),
            truncation=truncation,
            truncation_cutoff=truncation_cutoff,
        )
    elif label is not None or truncation != 1.0:
        raise UsageError(
            "styles are already labelled and truncated: leave label and truncation out"
        )
    assert styles is not None
    if len(styles) != 1:
        raise UsageError(f"{len(styles)} latents given: expected one, render makes one picture")
    return styles
