"""NumPy values in official pickles: numbers and read-only arrays of plain types, nothing else.

A pickle describes an array by its type, its shape and its bytes, in three ways: `_reconstruct`
with a state, `_frombuffer` (protocol 5) and `scalar`. Types of Python objects are refused.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creps.checkpoints.opcodes import Known, StandIn, Table
from creps.errors import CheckpointError

PLAIN_TYPES = frozenset(
    ["b1", "f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]
)  # fmt: skip
"""Type codes of the arrays that are read."""
BYTE_ORDERS = ("<", ">", "=", "|")
MOST_AXES = 8

Array = NDArray[Any]


class ArrayType(StandIn):
    """`numpy.dtype` of a pickle: a type code, and its byte order in the state."""

    def __init__(self, code: Any) -> None:
        if not isinstance(code, str) or code not in PLAIN_TYPES:
            shown = code[:20] if isinstance(code, str) else type(code).__name__
            raise CheckpointError(f"an array of type {shown!r}: expected plain numbers")
        self.code = code

    def dtype(self) -> np.dtype[Any]:
        """The NumPy type, in the byte order of the file."""
        order = "|" if self.state is None else self._byte_order(self.state)
        return np.dtype(self.code if order == "|" else order + self.code)

    def _byte_order(self, state: Any) -> str:
        match state:
            case (int(), str(order), None, None, None, *_) if order in BYTE_ORDERS:
                return order
        raise CheckpointError("an array type with an unknown state")


class ArrayValue(StandIn):
    """An array of a pickle; `array` is there once its state is known."""

    def __init__(self) -> None:
        self.array: Array | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "state":  # the pickle's BUILD: (version, shape, type, columns first, bytes)
            match value:
                case (int(), tuple(shape), ArrayType() as kind, bool(by_columns), data):
                    self.array = _array(data, kind, shape, by_columns=by_columns)
                    return
            raise CheckpointError("an array with an unknown state")
        super().__setattr__(name, value)


def unwrapped(value: Any) -> Any:
    """The array that an `ArrayValue` stands for; any other value as it is.

    The array is a read-only view of the file, in its byte order: copy what is to outlive it.
    """
    if isinstance(value, ArrayValue):
        if value.array is None:
            raise CheckpointError("an array without a state")
        return value.array
    return value


def _array(data: Any, kind: ArrayType, shape: tuple[Any, ...], *, by_columns: bool) -> Array:
    """The array in a byte string, checked against its length; a view, in the file's byte order."""
    if not isinstance(data, memoryview):
        raise CheckpointError("an array that is no byte string")
    if len(shape) > MOST_AXES or not all(type(n) is int and 0 <= n < 2**31 for n in shape):
        raise CheckpointError("an array of impossible sizes")
    dtype = kind.dtype()
    if math.prod(shape) * dtype.itemsize != len(data):
        raise CheckpointError(f"an array of shape {shape} in {len(data)} bytes")
    # No copy: a file may name the same bytes any number of times.
    flat = np.frombuffer(data.toreadonly(), dtype=dtype)
    return flat.reshape(shape, order="F" if by_columns else "C")


def _type(code: Any, align: Any = False, copy: Any = True) -> ArrayType:
    """`numpy.dtype`."""
    return ArrayType(code)


def _ndarray(*arguments: Any) -> Any:
    """`numpy.ndarray`: only ever named, as what `_reconstruct` makes."""
    raise CheckpointError("refused call of numpy.ndarray")


def _reconstruct(kind: Any, shape: Any = (), code: Any = b"b") -> ArrayValue:
    """`numpy.core.multiarray._reconstruct`: an empty array that awaits its state."""
    if not (isinstance(kind, Known) and kind.value is _ndarray):
        raise CheckpointError("an array of an unknown class")
    return ArrayValue()


def _from_buffer(data: Any, kind: Any, shape: Any, order: Any) -> ArrayValue:
    """`numpy.core.numeric._frombuffer` of pickle protocol 5."""
    if not isinstance(kind, ArrayType) or not isinstance(shape, tuple) or order not in ("C", "F"):
        raise CheckpointError("an array with an unknown description")
    value = ArrayValue()
    value.array = _array(data, kind, shape, by_columns=order == "F")
    return value


def _scalar(kind: Any, data: Any) -> bool | int | float:
    """`numpy.core.multiarray.scalar`: a Python number."""
    if not isinstance(kind, ArrayType):
        raise CheckpointError("a NumPy number without a type")
    number: bool | int | float = _array(data, kind, (), by_columns=False).item()
    return number


NUMPY: Table = {
    ("numpy", "dtype"): _type,
    ("numpy", "ndarray"): _ndarray,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
}
"""The globals of NumPy 1 (`numpy.core`) and 2 (`numpy._core`) that values are pickled with."""
