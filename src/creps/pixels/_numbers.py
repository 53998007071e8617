"""Arrays of numbers in NumPy's files, of strangers: masks and maps."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from creps._files import open_regular
from creps.errors import DataError
from creps.pixels._opening import reason_of
from creps.pixels._quiet import quiet

MOST_NUMBERS = 1 << 27
"""Numbers of a file: 1.1 GB of memory."""
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_numbers(
    path: str | os.PathLike[str], *, kinds: str = "buif", most: int = MOST_NUMBERS
) -> NDArray[np.float64]:
    """The numbers of a file (.npy), in float64; nothing in it is run.

    Args:
        path: the file.
        kinds: NumPy's letters for what they may be: b, u, i, f.
        most: how many there may be.
    Raises:
        DataError: if the file is missing, damaged, or holds anything else, or too many.
    """
    try:
        with open_regular(path) as file, quiet():
            shape, columns_first, dtype = _header(file)
            count = math.prod(shape)
            if dtype.kind not in kinds or dtype.names or dtype.shape:
                raise DataError(f"holds {str(dtype)[:40]}: expected {_names(kinds)}")
            if min(shape, default=1) < 1 or count > most:
                raise DataError(f"holds {count:,} numbers: expected 1 to {most:,}")
            held = os.fstat(file.fileno()).st_size - file.tell()
            if held < count * dtype.itemsize:
                raise DataError(f"is cut short: {held:,} of {count * dtype.itemsize:,} bytes")
            numbers = np.fromfile(file, dtype, count)
    except DataError as error:
        raise DataError(f"{os.fspath(path)} {error}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{os.fspath(path)} cannot be read: {reason_of(error)}") from None
    order: Any = "F" if columns_first else "C"
    with np.errstate(all="ignore"):
        return numbers.astype(np.float64, copy=False).reshape(shape, order=order)


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and kind, of a header that is parsed as Python, which fails in many ways."""
    try:
        return _HEADERS[npy.read_magic(file)](file)
    except Exception:  # a MemoryError for brackets within brackets, too
        raise DataError("is not an array of numbers: expected a .npy file") from None


def _names(kinds: str) -> str:
    return "floats" if kinds == "f" else "numbers"
