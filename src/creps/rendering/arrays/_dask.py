"""A picture as a dask array, each block drawn where it is needed.

Imported only where the package dask is installed.
"""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize
from dask.delayed import delayed
from numpy.typing import NDArray

from creps.errors import GridError
from creps.rendering._tiles import TilePlan
from creps.rendering.arrays._picture import VirtualPicture

MOST_BLOCKS = 100_000
"""Of an array: dask's scheduler spends a millisecond on each, and memory."""


def array_of(picture: VirtualPicture) -> da.Array:
    """The full size of a picture as a dask array of axes (c, y, x).

    The picture is one task, which every worker gets once; blocks depend on it.

    Raises:
        GridError: for more blocks than a scheduler can take.
    """
    plan = TilePlan(*picture.sizes[0], picture.chunk)
    if len(plan) > MOST_BLOCKS:
        larger = picture.chunk
        while len(TilePlan(plan.height, plan.width, larger)) > MOST_BLOCKS:
            larger *= 2
        raise GridError(
            f"size {plan.height}x{plan.width} in chunks of {picture.chunk} are {len(plan):,} "
            f"blocks, more than the {MOST_BLOCKS:,} that dask takes: give chunk={larger}, or a "
            "window"
        )
    name = f"creps-{tokenize(picture)}"
    return da.map_blocks(
        _drawn,
        whole=delayed(picture, name=f"{name}-picture", traverse=False),
        chunks=((picture.channels,), _edges(plan.height, plan.edge), _edges(plan.width, plan.edge)),
        dtype=picture.dtype,
        meta=np.empty((0, 0, 0), picture.dtype),
        name=name,
    )


def _edges(side: int, edge: int) -> tuple[int, ...]:
    """Sides of the blocks along an axis."""
    return tuple(min(edge, side - start) for start in range(0, side, edge))


def _drawn(*, whole: VirtualPicture, block_id: tuple[int, int, int] | None = None) -> NDArray[Any]:
    """The pixels of a block."""
    assert block_id is not None
    plan = TilePlan(*whole.sizes[0], whole.chunk)
    tile = plan[block_id[1] * plan.across + block_id[2]]
    return whole.planes(0, tile)
