"""NumPy values in pickles come back as they were, or are refused in one line."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from creps.checkpoints.numpy_values import NUMPY, unwrapped
from creps.checkpoints.opcodes import read_pickle
from creps.checkpoints.pickles import read_official
from creps.errors import CheckpointError
from official_pickles import dumps, module_state, module_tree

TYPES = ["?", "<f2", "<f4", "<f8", ">f4", ">i8", "<i4", "i1", "u1", "<u2", "<u8"]


def read(content: bytes) -> Any:
    return unwrapped(read_pickle(memoryview(bytearray(content)), NUMPY)[0])


def older(content: bytes) -> bytes:
    """The same pickle as NumPy 1 writes it."""
    for name in (b"multiarray", b"numeric"):
        new, old = b"numpy._core." + name, b"numpy.core." + name
        content = content.replace(bytes([len(new)]) + new, bytes([len(old)]) + old)
        content = content.replace(b"c" + new, b"c" + old)
    return content


def framed(content: bytes) -> bytes:
    """Without the frame of protocol 4, whose length the older name has changed."""
    return content[:2] + content[11:] if content[2:3] == pickle.FRAME else content


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("rename", [False, True])
@given(
    array=st.sampled_from(TYPES).flatmap(
        lambda kind: arrays(kind, st.lists(st.integers(0, 3), max_size=4).map(tuple))
    ),
    by_columns=st.booleans(),
)
def test_arrays_come_back_as_they_were(
    protocol: int, rename: bool, array: Any, by_columns: bool
) -> None:
    array = np.asfortranarray(array) if by_columns else array
    content = framed(pickle.dumps(array, protocol))
    found = read(older(content) if rename else content)
    assert isinstance(found, np.ndarray)
    assert not found.flags.writeable
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize(
    "number", [np.float64(0.1), np.float32(2), np.int64(-3), np.bool_(True), np.uint8(200)]
)
def test_numbers_come_back_as_python_numbers(protocol: int, number: Any) -> None:
    found = read(framed(pickle.dumps(number, protocol)))
    assert type(found) is type(number.item())
    assert found == number.item()


class Calls:
    """Pickles as a call of anything."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> Any:
        return self.reduced


def frombuffer(*arguments: Any) -> bytes:
    return framed(pickle.dumps(Calls(np._core.numeric._frombuffer, *arguments), 5))


FLOAT = np.dtype("f8")


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(np.array([{}, 1], dtype=object), 4),
        pickle.dumps(np.array(["a"]), 4),
        pickle.dumps(np.zeros(2, dtype=[("a", "f4")]), 4),
        pickle.dumps(np.array([1], dtype="M8[s]"), 4),
        pickle.dumps(np.complex64(1), 4),
        frombuffer(b"1234567", FLOAT, (1,), "C"),
        frombuffer(b"", FLOAT, (2**40, 0, 2**40), "C"),
        frombuffer(b"12345678", FLOAT, (-1, -1), "C"),
        frombuffer(b"12345678", FLOAT, (1,), "A"),
        frombuffer(b"12345678", FLOAT, (1,) * 20, "C"),
        frombuffer(b"12345678", FLOAT, [1], "C"),
        frombuffer("12345678", FLOAT, (1,), "C"),
        frombuffer(b"12345678", "f8", (1,), "C"),
        pickle.dumps(Calls(np._core.multiarray.scalar, FLOAT, b"123"), 4),
        pickle.dumps(Calls(np._core.multiarray._reconstruct, np.dtype, (0,), b"b"), 4),
        pickle.dumps(Calls(np._core.multiarray._reconstruct, np.ndarray, (0,), b"b"), 4),
        pickle.dumps(Calls(np.ndarray, (3,)), 4),
    ],
)
def test_other_values_are_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(CheckpointError) as caught:
        read(framed(content))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_a_size_that_does_not_fit_the_bytes_is_refused() -> None:
    content = pickle.dumps(np.arange(3.0), 4)
    shape = b"K\x03\x85"
    assert content.count(shape) == 1
    with pytest.raises(CheckpointError, match=r"shape \(4,\) in 24 bytes"):
        read(content.replace(shape, b"K\x04\x85"))
    huge = b"J" + struct.pack("<i", 2**31 - 1) + b"\x85"
    with pytest.raises(CheckpointError, match="in 24 bytes"):
        read(framed(content).replace(shape, huge))


def test_attributes_of_layers_are_plain_values(tmp_path: Path) -> None:
    inner = module_state({}, {})
    inner |= {
        "up": 2,
        "conv_clamp": None,
        "size": np.array([4, 6]),
        "gain": np.float64(0.5),
        "name": "x",
        "taps": [1, 3, 3, 1],
        "many": list(range(1000)),
        "table": {"a": 1},
        "_hidden": 3,
    }
    layer = module_tree({}, "Layer", **inner)
    network = module_tree({}, "Generator", _modules={"l": layer}, img_resolution=16)
    path = tmp_path / "network.pkl"
    path.write_bytes(dumps({"G": network}))
    found = read_official(path).networks["G"].attributes()
    size = found.pop("l.size")
    assert size.tolist() == [4, 6]
    assert found == {
        "l.training": False, "l.up": 2, "l.conv_clamp": None, "l.gain": 0.5, "l.name": "x",
        "l.taps": [1, 3, 3, 1],
    }  # fmt: skip
