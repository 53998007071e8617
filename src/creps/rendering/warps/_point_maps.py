"""A user's own map: for each place of the picture, where to sample, as an array."""

from __future__ import annotations

import hashlib
from copy import copy
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creps.coordinates import WHOLE_PLANE, Canvas, Window
from creps.errors import GridError
from creps.rendering.warps._base import Warp, format_numbers, register_warp


@register_warp("map")
@dataclass(frozen=True)
class PointMap(Warp):
    """Samples where an array says, interpolated bilinearly.

    The array lies over a window as pixels lie on a canvas: entry (i, j) at the centre of the area
    of pixel (i, j). Any size serves, coarser maps too: between entries and beyond the outermost
    ones the map is continued linearly, so an array of an affine map is that map.

    Two maps are equal if their entries and windows are, wherever the arrays come from.

    Args:
        points: (H', W', 2) finite floating-point (y, x) in plane units, a tensor or array; kept as
            float64.
        window: (y0, x0, y1, x1) that the array covers; None is the window of the picture, and the
            unit square where there is no picture.
        source: the file it was read from, for `str`.
    Raises:
        GridError: for arrays of other shapes or types, with values that are not finite, or an empty
            window.
    """

    points: Tensor = field(compare=False, repr=False)
    window: Window | None = None
    source: str = field(default="", compare=False)
    fingerprint: str = field(init=False, repr=False)
    """SHA-256 of shape and entries: what maps are compared by."""

    def __post_init__(self) -> None:
        points = torch.as_tensor(self.points)
        label = f"map {self.source}".rstrip()
        if points.ndim != 3 or points.shape[2] != 2 or not points.numel():
            shape = "x".join(map(str, points.shape))
            raise GridError(f"{label} has shape {shape}: expected HxWx2, a (y, x) for each pixel")
        if not points.is_floating_point():
            name = str(points.dtype).removeprefix("torch.")
            raise GridError(f"{label} holds {name}: expected floating-point plane units, 0 to 1")
        points = points.detach().double().contiguous()
        if not points.isfinite().all():
            raise GridError(
                f"{label} holds values that are not finite: expected plane units, 0 to 1"
            )
        if self.window is not None:
            Canvas(1, 1, self.window)  # refuses empty and non-finite windows
            object.__setattr__(self, "window", tuple(float(edge) for edge in self.window))
        digest = hashlib.sha256(repr(tuple(points.shape)).encode())
        digest.update(points.cpu().numpy().astype("<f8").data)
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "fingerprint", digest.hexdigest())

    @classmethod
    def read(cls, path: str | PathLike[str], *, window: Window | None = None) -> Self:
        """A map of a NumPy file (.npy).

        Args:
            path: the file; arrays of Python objects (pickles) are refused, nothing in it is run.
            window: as for the class.
        Raises:
            GridError: if the file is missing, no array of numbers, or no map.
        """
        array = _read_array(Path(path))
        return cls(torch.from_numpy(array), window, str(path))

    @classmethod
    def from_text(cls, text: str) -> Self:
        if not text.strip():
            raise cls._misuse("no file")
        path, *edges = text.rsplit(",", 4)
        try:
            y0, x0, y1, x1 = map(float, edges)
        except ValueError:
            return cls.read(text)  # a file name with commas
        return cls.read(path, window=(y0, x0, y1, x1))

    @classmethod
    def usage(cls) -> str:
        return f"{cls.name}:FILE.npy or {cls.name}:FILE.npy,Y0,X0,Y1,X1"

    def __str__(self) -> str:
        height, width, _ = self.points.shape
        window = "" if self.window is None else f",{format_numbers(self.window)}"
        return f"{self.name}:{self.source or f'<array of {height}x{width}>'}{window}"

    def over(self, window: Window) -> Self:
        if self.window is not None:
            return self
        placed = copy(self)  # replace() would check and hash the entries again, for every tile
        object.__setattr__(placed, "window", window)
        return placed

    def __call__(self, points: Tensor) -> Tensor:
        entries = self.points.to(points.device)
        y0, x0, y1, x1 = WHOLE_PLANE if self.window is None else self.window
        y, x = points.unbind(-1)
        top, bottom, down = _neighbours((y - y0) / (y1 - y0), entries.shape[0])
        left, right, across = _neighbours((x - x0) / (x1 - x0), entries.shape[1])
        upper = _between(entries[top, left], entries[top, right], across)
        lower = _between(entries[bottom, left], entries[bottom, right], across)
        return _between(upper, lower, down)


def _neighbours(unit: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Indices of the two entries about a place of [0, 1], and how far between them it lies."""
    place = unit * count - 0.5
    first = place.floor().clamp(0, max(count - 2, 0)).nan_to_num(0.0)
    index = first.to(torch.int64)
    return index, (index + 1).clamp(max=count - 1), place - first


def _between(start: Tensor, stop: Tensor, part: Tensor) -> Tensor:
    return start + (stop - start) * part[..., None]


def _read_array(path: Path) -> NDArray[np.float64]:
    """The array of a file, in float64."""
    try:
        # Mapped, a header that promises more than the file holds costs no memory.
        array = np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        raise GridError(f"map {path} cannot be read: {error.strerror or error}") from None
    except (ValueError, OverflowError):
        raise GridError(f"map {path} is not an array of numbers: expected a .npy file") from None
    if array.dtype.kind != "f":
        raise GridError(f"map {path} holds {array.dtype}: expected floats, plane units 0 to 1")
    return np.array(array, dtype=np.float64)
