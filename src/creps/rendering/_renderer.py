"""Pictures of any size in bounded memory, in one call or many of one latent.

The row and column lines of a picture are small and serve every tile; the per-pixel features are
large and only ever exist for a few tiles.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, Unpack

import numpy as np
from torch import Tensor

from creps._devices import Device
from creps.checkpoints import load
from creps.errors import UsageError, nearest
from creps.networks.base import Generator
from creps.rendering._blends import StyleField
from creps.rendering._evaluations import Evaluations
from creps.rendering._foveated import FoveatedPainter
from creps.rendering._latents import Latent, LatentOptions, PreparedLatents
from creps.rendering._lines import LINES_KEPT
from creps.rendering._painter import Painter, Picture, Progress
from creps.rendering._styles import are_several
from creps.rendering._tiles import Tile
from creps.rendering._view import Precision, View, ViewOptions, refuse_beyond_memory


class RenderOptions(LatentOptions, ViewOptions, total=False):
    """The keywords of `render`."""

    device: Device
    dtype: Precision


Model = Generator | str | os.PathLike[str]
"""A model, or the name or path that `creps.load` takes."""


def render(
    generator: Model,
    latent: Latent | None = None,
    *,
    view: View | None = None,
    progress: Progress | None = None,
    **options: Unpack[RenderOptions],
) -> Picture:
    """One picture of a model, at any size, of any window of the plane.

    Memory beyond the result is bounded by the lines of the picture (its height and width, not their
    product) and a few tiles. For many pictures of one latent, see `Renderer`.

    Args:
        generator: the model, which stays as and where it is; or its name or path, as `creps.load`
            takes it.
        latent: whose picture; or in keywords, as `Latent` takes them: seed, z, styles, blend,
            label, truncation, truncation_cutoff.
        view: what is seen; or in keywords, as `View` takes them: size, window, zoom, pan, warp,
            supersample, tolerance, exact, tile, tile_edge, depth, dither. By default the model's
            own size and the unit square, undistorted: the shorter side spans [0, 1], the longer
            reaches beyond it on both ends.
        device: where to work, such as "cuda", or "auto"; where the model is by default. What is
            needed is copied there and freed at the end: for many pictures keep a `Renderer`.
        dtype: "float32", "float64", "bfloat16" or "float16"; the model's own by default.
        progress: called after each tile with the pixels done and the pixels in all.
    Returns:
        (H, W, C) uint8, or uint16 with depth=16; C is 3 for color and 1 for gray models, 4 with
        opacity. See `to_uint8` for the rounding.
        Of several seeds, such as seed=[7, 8], (N, H, W, C): a picture each.
    Raises:
        GridError: for sizes or windows that cannot be rendered or do not fit in memory.
        UsageError: unless exactly one of seed, z and styles is given, for one picture; for an
            invalid warp, number of samples, device or precision.
        LabelError: if the label is missing, unexpected or unknown.
    """
    seeds = options.get("seed")
    if are_several(seeds) and not isinstance(seeds, str):
        alone: Any = {name: value for name, value in options.items() if name != "seed"}
        model = _loaded(generator)
        pictures = [
            render(model, latent, view=view, progress=progress, seed=seed, **alone)
            for seed in seeds
        ]
        if not pictures:
            raise UsageError("no seeds given: expected one or more")
        return np.stack(pictures)
    view, others = _parted(view, options)
    renderer = Renderer(generator, latent, keep=None, **others)
    return renderer.picture(view, progress=progress)


def render_tiles(
    generator: Model,
    latent: Latent | None = None,
    *,
    view: View | None = None,
    **options: Unpack[RenderOptions],
) -> Iterator[tuple[Tile, Picture]]:
    """The tiles of a picture of any size, one after the other, for any sink.

    The picture is never in memory as a whole: the caller consumes the tiles.

    Args:
        generator, latent, view, options: as for `render`.
    Returns:
        an iterator of (tile, pixels): where the tile lies, `tile.rows` and `tile.columns` of the
        picture, and its (tile.height, tile.width, C) pixels; row by row.
    Raises:
        GridError, UsageError, LabelError: as `render`, at once; no size is too large.
    """
    view, others = _parted(view, options)
    return Renderer(generator, latent, keep=None, **others).tiles(view)


def _refuse_unknown(options: Mapping[str, object]) -> None:
    """Refuse keywords that pictures do not have, before what takes them would name itself."""
    known = RenderOptions.__annotations__
    for name in options:
        if name not in known:
            raise UsageError(f"keyword {name!r} is unknown: {nearest(name, known)}")


def _parted(view: View | None, options: RenderOptions) -> tuple[View, Any]:
    """The view, given or made of its keywords, and the other keywords."""
    names = ViewOptions.__annotations__
    seen: Any = {name: value for name, value in options.items() if name in names}
    others = {name: value for name, value in options.items() if name not in names}
    return _view(view, **seen), others


class Renderer:
    """Many pictures of one latent: what they share is prepared once and kept.

    Folded weights, lines of recently used axes and line tables stay between pictures, so further
    views and warps cost their pixels only. The pictures are those of `render`, bit for bit.

    Any number of threads may call the same renderer; on a CPU, give each one core
    (`torch.set_num_threads(1)`). It can be pickled, for other processes of the same version.

    Args:
        generator: the model, which stays as and where it is; or its name or path.
        latent, device, dtype, options: as for `render`.
        keep: bytes of lines to keep besides those in use; line tables have their own bounds
            (`_points.TABLE_BYTES`, for each axis). None: for one picture, as `render` does.

    Attributes:
        evaluations: how many pixels of all pictures were painted so far, and how many of them the
            model evaluated: `renderer.evaluations.share`.
        styles: (1, K, D) of the latent; (M, K, D) where several share the picture.
    Raises:
        UsageError, LabelError: as `render`.
    Example:
        >>> import creps
        >>> renderer = Renderer(creps.load("portraits"), seed=7)
        >>> renderer.picture(size=(24, 32), warp="rotate:30").shape
        (24, 32, 3)
        >>> renderer.region(Tile(2**19, 2**19, 8, 16), size=2**20).shape
        (8, 16, 3)
    """

    def __init__(
        self,
        generator: Model,
        latent: Latent | None = None,
        *,
        device: Device = None,
        dtype: Precision = None,
        keep: int | None = LINES_KEPT,
        **options: Unpack[LatentOptions],
    ) -> None:
        _refuse_unknown(options)
        if latent is None:
            latent = Latent(**options)
        elif not isinstance(latent, Latent):
            raise UsageError(
                f"latent {latent!r}: expected a Latent; or keywords, such as seed=7 or "
                'styles="7..12@0.4"'
            )
        elif options:
            raise UsageError(f"a latent and {', '.join(options)} given: expected one of them")
        self.generator = generator = _loaded(generator)
        latent = latent.suited(generator)
        self._prepare(generator, latent, latent.resolve(generator), device, dtype, keep)

    def _prepare(
        self,
        generator: Generator,
        latent: Latent,
        styles: Tensor | StyleField,
        device: Device,
        dtype: Precision,
        keep: int | None,
    ) -> None:
        self._made_of = generator, latent, styles, device, dtype, keep
        self.styles = styles.styles if isinstance(styles, StyleField) else styles
        self._latents = PreparedLatents(
            generator, styles, device=device, dtype=dtype, keep=keep, latent=latent
        )

    def __repr__(self) -> str:
        config = self.generator.config
        return (
            f"<creps.Renderer: {self.generator.family} of {config.resolution} px, "
            f"{len(self.styles)} style{'s' * (len(self.styles) > 1)}, on {self._latents.device}>"
        )

    def __reduce__(self) -> Any:  # a process that receives one prepares its own
        return _again, self._made_of

    @property
    def evaluations(self) -> Evaluations:
        """See the class."""
        return self._latents.evaluations

    @property
    def nbytes(self) -> int:
        """Bytes that are held: weights, lines and tables, but not the generator."""
        return self._latents.nbytes

    def clear(self) -> None:
        """Release lines and tables; the next picture computes its own."""
        self._latents.clear()

    def painter(self, view: View | None = None, **options: Unpack[ViewOptions]) -> Painter:
        """A painter of any parts of one picture: a source of tiles, as writers take it.

        Args:
            view: what is seen; or in keywords, as `View` takes them.
        Raises:
            GridError, UsageError: as `render`; no size is too large.
        """
        return Painter(self._latents, _view(view, **options))

    def foveated(
        self,
        view: View | None = None,
        *,
        share: float,
        gaze: tuple[float, float] | None = None,
        seed: int = 0,
        **options: Unpack[ViewOptions],
    ) -> FoveatedPainter:
        """As `painter`, but evaluates a share of the pixels, most near the gaze (CIPS, 4.7).

        Args:
            view: what is seen; or in keywords, as `View` takes them: size and window alone.
            share: of the pixels, above 0 and up to 1; the others are filled in.
            gaze: (y, x) of the plane; the middle of the picture by default.
            seed: of the random pattern of pixels.
        """
        return FoveatedPainter(
            self._latents, _view(view, **options), share=share, gaze=gaze, seed=seed
        )

    def picture(
        self,
        view: View | None = None,
        *,
        progress: Progress | None = None,
        **options: Unpack[ViewOptions],
    ) -> Picture:
        """One picture of the latent; arguments, result and errors as `render`."""
        painter = self.painter(view, **options)
        refuse_beyond_memory(
            painter.height, painter.width, channels=painter.channels, depth=painter.depth
        )
        return painter.pixels(progress=progress)

    def tiles(
        self, view: View | None = None, **options: Unpack[ViewOptions]
    ) -> Iterator[tuple[Tile, Picture]]:
        """The tiles of a picture of any size, for any sink; as `render_tiles`."""
        return self.painter(view, **options).tiles()

    def region(
        self, part: Tile, view: View | None = None, **options: Unpack[ViewOptions]
    ) -> Picture:
        """Some pixels of a picture that may be far too large to be made: for servers of tiles.

        Pixels are addressed by integers, so regions meet exactly. At level k of a pyramid, `size`
        is that level's size, and part is the level's tile.

        Args:
            part: pixels of the picture, or beyond its borders.
            view: of the whole picture; or in keywords, as `View` takes them.
        Returns:
            (part.height, part.width, C) uint8, or uint16 with depth=16.
        Raises:
            GridError, UsageError: as `render`, for an empty part too.
        """
        painter = self.painter(view, **options)
        refuse_beyond_memory(
            part.height, part.width, channels=painter.channels, depth=painter.depth
        )
        return painter.pixels(part)


def _loaded(generator: Model) -> Generator:
    """The model itself, or that of a name or path."""
    if isinstance(generator, str | os.PathLike):
        return load(generator)
    if not isinstance(generator, Generator):
        raise UsageError(
            f"model of type {type(generator).__name__}: expected one of creps.load, or its name "
            "or path"
        )
    return generator


def _again(generator: Generator, *made_of: Any) -> Renderer:
    renderer = Renderer.__new__(Renderer)
    renderer.generator = generator
    renderer._prepare(generator, *made_of)
    return renderer


def _view(view: View | None, **options: Unpack[ViewOptions]) -> View:
    """The view given, or made of keywords."""
    _refuse_unknown(options)
    if view is not None and options:
        raise UsageError(f"a view and {', '.join(options)} given: expected one of them")
    return View(**options) if view is None else view
