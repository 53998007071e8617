"""The doors to pictures as arrays: what people call; each library is imported when it is used."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Unpack

from creps.checkpoints import load
from creps.errors import MissingExtraError, UsageError
from creps.networks.base import Generator
from creps.rendering._latents import Latent, LatentOptions
from creps.rendering._renderer import Renderer, RenderOptions
from creps.rendering._view import View, ViewOptions
from creps.rendering.arrays._picture import CHUNK, VirtualPicture, refuse_unknown_options

if TYPE_CHECKING:
    import dask.array as da
    import zarr

BLOCK = 1024
"""Pixels of a block's side of a dask array: about a second of work, for a task costs some time."""

KEPT = 2**25
"""Bytes of lines that are kept: 16,384 rows and columns of the packaged model."""

Model = Generator | str | os.PathLike[str]
"""A generator, or what `creps.load` takes."""


def open_zarr(
    model: Model,
    latent: Latent | None = None,
    *,
    view: View | None = None,
    chunk: int = CHUNK,
    **options: Unpack[RenderOptions],
) -> zarr.Group:
    """A picture of any size as a Zarr group whose chunks are drawn when they are read.

    It is an OME-Zarr 0.5 of the axes (c, y, x), as `save_picture` writes them: `group["0"]` is the
    full size, `group["1"]` half of it, and so on down to a single chunk; each level is drawn at its
    own size. Reading needs memory for what is read, whatever the size.

    Args:
        model: a generator, or its name or path.
        latent, view: as `render`; or in keywords, as `Latent` and `View` take them.
        chunk: pixels of a chunk's side.
        options: as `render`, device and dtype too.
    Returns:
        a group of a store that is for reading alone: writing raises a UsageError.
    Raises:
        GridError, UsageError, LabelError: as `render`, at once; no size is too large.
        CheckpointError: for a model that cannot be read.
        MissingExtraError: without the package zarr.
    Example:
        >>> import creps
        >>> group = creps.open_zarr("portraits", seed=7, size=2**20)
        >>> group["0"].shape
        (3, 1048576, 1048576)
        >>> group["0"][:, 524_288:524_290, 524_288:524_291].shape
        (3, 2, 3)
    """
    try:
        import zarr

        from creps.rendering.arrays._store import PictureStore
    except ImportError:
        raise MissingExtraError("a virtual Zarr", "arrays") from None
    picture = virtual_picture(model, latent, view=view, chunk=chunk, **options)
    store = PictureStore(picture, name_of(model))
    return zarr.open_group(store, mode="r", zarr_format=3)


def dask_array(
    model: Model,
    latent: Latent | None = None,
    *,
    view: View | None = None,
    chunk: int = BLOCK,
    **options: Unpack[RenderOptions],
) -> da.Array:
    """A picture of any size as a dask array, each block drawn where and when it is needed.

    The model goes to every worker of a cluster once.

    Args:
        model, latent, view, options: as `open_zarr`.
        chunk: pixels of a block's side; up to 100,000 blocks.
    Returns:
        (C, H, W) uint8.
    Raises:
        GridError, UsageError, LabelError, CheckpointError: as `open_zarr`, and for more blocks.
        MissingExtraError: without the package dask.
    Example:
        >>> picture = dask_array("portraits", seed=7, size=65_536)
        >>> picture.shape, picture.numblocks
        ((3, 65536, 65536), (1, 64, 64))
    """
    try:
        from creps.rendering.arrays._dask import array_of
    except ImportError:
        raise MissingExtraError("a dask array", "arrays") from None
    return array_of(virtual_picture(model, latent, view=view, chunk=chunk, **options))


def virtual_picture(
    model: Model,
    latent: Latent | None = None,
    *,
    view: View | None = None,
    chunk: int = CHUNK,
    **options: Unpack[RenderOptions],
) -> VirtualPicture:
    """A picture as a pyramid of arrays; arguments and errors as `open_zarr`."""
    refuse_unknown_options(list(options), list(RenderOptions.__annotations__))
    given: dict[str, Any] = dict(options)
    seen: Any = {name: given.pop(name) for name in ViewOptions.__annotations__ if name in given}
    whose: Any = {name: given.pop(name) for name in LatentOptions.__annotations__ if name in given}
    for made, words, what in ((latent, whose, "a latent"), (view, seen, "a view")):
        if made is not None and words:
            raise UsageError(f"{what} and {', '.join(words)} given: expected one of them")
    latent = Latent(**whose) if latent is None else latent
    view = View(**seen) if view is None else view
    generator = model if isinstance(model, Generator) else load(model)
    return VirtualPicture(Renderer(generator, latent, keep=KEPT, **given), view, chunk=chunk)


def name_of(model: Model) -> str:
    """What a picture of a model is called where it is described."""
    return model.family if isinstance(model, Generator) else os.path.basename(os.fspath(model))
