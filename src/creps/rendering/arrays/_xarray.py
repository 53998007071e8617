"""xarray opens addresses of pictures: `xr.open_dataset("creps://portraits?seed=7&size=65536")`.

Imported by xarray alone, through the entry point "xarray.backends" of the package.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import xarray as xr
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

from creps.errors import GridError, UsageError
from creps.rendering.arrays._address import is_address, open_address
from creps.rendering.arrays._open import BLOCK
from creps.rendering.arrays._picture import VirtualLevel

CHANNELS = {3: ["red", "green", "blue"], 1: ["gray"]}


class CrepsBackend(BackendEntrypoint):
    """Opens a picture as a dataset: `pixels` of (c, y, x), drawn when they are read.

    y and x are the places of pixels in plane units, in float64: only they grow with the size.
    """

    description = "Pictures of any size, drawn when they are read: creps://MODEL?seed=7&size=65536"
    url = "https://pypi.org/project/creps/"

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        return is_address(filename_or_obj)

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        level: int = 0,
    ) -> xr.Dataset:
        """A level of the picture of an address.

        Args:
            filename_or_obj: the address, see `_address`.
            drop_variables: names to leave out.
            level: 0 is the full size, each further one half of the one before.
        Raises:
            GridError, UsageError, LabelError, CheckpointError: as `open_address`.
        """
        if not is_address(filename_or_obj):
            raise UsageError(f"{filename_or_obj!r}: expected creps://MODEL?seed=7&size=65536")
        _, picture = open_address(filename_or_obj, chunk=BLOCK)
        if level not in range(len(picture)):
            raise GridError(f"level {level!r}: expected 0 to {len(picture) - 1}")
        array, canvas = picture[level], picture.canvas(level)
        plane = {"units": "plane", "long_name": "place of the pixel's middle"}
        pixels = xr.Variable(
            ("c", "y", "x"),
            indexing.LazilyIndexedArray(_LazyLevel(array)),
            encoding={"preferred_chunks": dict(zip("cyx", array.chunks, strict=True))},
        )
        about = picture.about()
        dataset = xr.Dataset(
            {"pixels": pixels},
            {
                "c": ("c", CHANNELS[picture.channels]),
                "y": ("y", canvas.rows().numpy(), {**plane, "axis": "Y"}),
                "x": ("x", canvas.columns().numpy(), {**plane, "axis": "X"}),
            },
            {"creps": json.dumps(about), "credits": str(about.get("credits", ""))},
        )
        dropped = [drop_variables] if isinstance(drop_variables, str) else drop_variables or ()
        return dataset.drop_vars(dropped, errors="ignore")


class _LazyLevel(BackendArray):
    """A level for xarray's own indexing."""

    def __init__(self, level: VirtualLevel) -> None:
        self._level, self.shape, self.dtype = level, level.shape, level.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, self._level.__getitem__
        )
