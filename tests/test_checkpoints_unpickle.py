"""Pickles are read, never run: whatever is in them ends in a plain tree or in one clear line."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from creps.checkpoints import _unpickle, convert
from creps.checkpoints._unpickle import OfficialModule, read_networks, read_tree
from creps.errors import CheckpointError
from official_pickles import Persistent, dumps, generator_pickle, module_state, module_tree

TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(), inner)
        | st.tuples(inner, inner)
        | st.sets(st.text())
    ),
    max_leaves=20,
)


class Calls:
    """Pickles as a call of anything."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> Any:
        return self.reduced


def read(content: bytes) -> Any:
    return read_tree(io.BytesIO(content))


def network_of(content: bytes, name: str = "G") -> OfficialModule:
    return read_networks(io.BytesIO(content))[name]


def read_all(content: bytes) -> None:
    """Read everything that can be read of a pickle."""
    for network in read_networks(io.BytesIO(content)).values():
        network.tensors()


def refusal(content: bytes) -> str:
    """The one line that refuses a pickle."""
    with pytest.raises(CheckpointError) as caught:
        read_all(content)
    message = str(caught.value)
    assert message.isprintable()  # so it is one line
    assert len(message) < 400
    return message


@given(TREES, st.sampled_from([2, 3, 4, 5]))
def test_plain_trees_come_back_as_they_were(tree: Any, protocol: int) -> None:
    assert read(pickle.dumps(tree, protocol)) == tree


@given(TREES, st.data())
def test_a_cut_pickle_is_refused(tree: Any, data: st.DataObject) -> None:
    content = pickle.dumps(tree, 4)
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(CheckpointError):
        read(content[:cut])


@given(st.binary())
def test_random_bytes_are_refused_or_plain(content: bytes) -> None:
    with suppress(CheckpointError):
        read(b"\x80\x04" + content)


def test_a_changed_byte_is_refused_or_harmless() -> None:
    tensors = {"fc.weight": torch.ones(3, 2), "w_avg": torch.zeros(4)}
    content = generator_pickle(tensors, {"z_dim": 2})
    for place in range(0, len(content), 3):
        broken = bytearray(content)
        broken[place] ^= 0x55
        with suppress(CheckpointError):
            read_all(bytes(broken))


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_tensors_of_a_network_are_read(protocol: int) -> None:
    tensors = {
        "fc.weight": torch.arange(6.0).reshape(2, 3).T,
        "fc.half": torch.arange(4).half(),
        "input.freqs": torch.arange(8.0)[2:6],
    }
    content = generator_pickle(tensors, {"z_dim": 2}, protocol=protocol)
    network = network_of(content, "G_ema")
    assert network.class_name == "Generator"
    assert network.settings()["z_dim"] == 2
    read = network.tensors()
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor)


def test_buffers_that_do_not_persist_are_left_out() -> None:
    state = module_state({"freqs": torch.ones(1), "coords": torch.ones(2)}, {})
    state["_non_persistent_buffers_set"] = {"coords"}
    content = dumps({"G": Persistent("Generator", state)})
    assert network_of(content, "G").tensors().keys() == {"freqs"}


def test_commands_in_a_pickle_are_not_run(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    command = f"open({str(touched)!r}, 'w')"
    hostile = {
        "system": Calls(os.system, f"touch {touched}"),
        "eval": Calls(eval, command),
        "exec": Calls(exec, command),
        "getattr": Calls(getattr, Calls(__import__, "os"), "system"),
        "load": Calls(pickle.loads, pickle.dumps(Calls(eval, command))),
        "serialization": Calls(torch.load, str(touched)),
        "open": Calls(builtins.open, str(touched), "w"),
    }
    for name, content in hostile.items():
        for protocol in (2, 3, 4, 5):
            message = refusal(pickle.dumps({"G": content}, protocol))
            assert "refused global" in message
            assert name in message
    assert not touched.exists()


def test_commands_in_a_storage_are_not_run(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    stream = io.BytesIO()
    torch.save(Calls(os.system, f"touch {touched}"), stream, _use_new_zipfile_serialization=False)
    storage = Calls(torch.storage._load_from_bytes, stream.getvalue())
    assert "refused global" in refusal(pickle.dumps({"G": storage}))
    zipped = io.BytesIO()
    torch.save({"a": 1}, zipped)
    storage = Calls(torch.storage._load_from_bytes, zipped.getvalue())
    assert "unknown format" in refusal(pickle.dumps({"G": storage}))
    assert not touched.exists()


def opcodes(*parts: bytes) -> bytes:
    return b"\x80\x04" + b"".join(parts) + b"."


SYSTEM = b"\x8c\x02os\x8c\x06system\x93"
DICT = b"\x8c\x0bdnnlib.util\x8c\x08EasyDict\x93)R"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a pickle"),
        (b"cos\nsystem\n(S'true'\ntR.", "not a pickle"),
        (b"PK\x03\x04", "not a pickle"),
        (opcodes(b"cos\nsystem\n"), "os.system"),
        (opcodes(b"(ios\nsystem\n"), "opcode INST"),
        (opcodes(b"(o"), "opcode OBJ"),
        (opcodes(b"\x82\x01"), "opcode EXT1"),
        (opcodes(b"Pid\n"), "opcode PERSID"),
        (opcodes(b"NQ"), "damaged"),
        (opcodes(SYSTEM, b")\x81"), "os.system"),
        (opcodes(b"\x8c\x01a\nos\x93"), "damaged"),
        (opcodes(b"c" + b"x" * 5000 + b"\nx\n"), "refused global"),
        (opcodes(b"\x8c\xc8" + b"\n" * 200 + b"\x8c\x01x\x93"), "refused global"),
        (opcodes(b"NN\x93"), "damaged"),
        (opcodes(b"N)R"), "damaged"),
        (opcodes(DICT, b"N)R"), "damaged"),
        (opcodes(DICT, b"}\x8c\x09__class__Nsb"), "damaged"),
        (opcodes(b"N}b"), "damaged"),
        (opcodes(b"\x8e" + struct.pack("<Q", 2**62)), "truncated"),
        (opcodes(b"\x8d" + struct.pack("<Q", 2**62)), "truncated"),
        (opcodes(b"\x8a\xff"), "truncated"),
        (opcodes(b"Nr\xff\xff\xff\xff"), "more than 1048576 objects"),
        (opcodes(b"h\x07"), "damaged"),
        (opcodes(b"t"), "damaged"),
        (opcodes(b"0"), "opcode"),
        (opcodes(b"}K\x01Ns"), "without networks"),
        (opcodes(b")\x85" * 200_000, b"}", b"h\x00Ns"), "more than 30000 tuples"),
        (opcodes(b"}" + b")" + b"\x85" * 200_000 + b"Ns"), "more than 30000 tuples"),
        (opcodes(b"]\x94(", b"h\x00" * 1000, b"e"), "without networks"),
        (opcodes(b"]" * 100_000, b"a" * 99_999), "without networks"),
    ],
)
def test_hostile_opcodes_are_refused(content: bytes, reason: str) -> None:
    message = refusal(content)
    assert reason in message


def tensor_claim(offset: Any, size: Any, stride: Any) -> bytes:
    """A tensor of a storage of six values."""
    storage = torch.zeros(6).reshape(2, 3)
    _, (saved, *_), *_ = storage.__reduce_ex__(4)
    claim = Calls(torch._utils._rebuild_tensor_v2, saved, offset, size, stride, False, {})
    return pickle.dumps({"G": claim})


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (7,), (1,)),
        (1, (2, 3), (3, 1)),
        (0, (2, 3), (4, 1)),
        (-1, (2,), (1,)),
        (0, (-2,), (1,)),
        (0, (2,), (-1,)),
        (0, (10**9,), (0,)),
        (0, (10**30, 10**30), (0, 0)),
        (0, (1,), (10**30,)),
        (0, (0, 10**30), (1, 1)),
        (0, (2, 3), (3,)),
        (0, (1,) * 1000, (1,) * 1000),
        ("0", (2,), (1,)),
        (0, "23", (1,)),
        (0, None, (1,)),
    ],
)
def test_tensors_outside_their_storage_are_refused(offset: Any, size: Any, stride: Any) -> None:
    refusal(tensor_claim(offset, size, stride))


def test_a_storage_that_claims_more_than_it_has_is_refused() -> None:
    content = tensor_claim(0, (6,), (1,))
    count = content.rindex(struct.pack("<q", 6))
    for claimed in (7, 5, 2**40, -1):
        broken = content[:count] + struct.pack("<q", claimed) + content[count + 8 :]
        assert "damaged" in refusal(broken)


def test_a_network_inside_itself_is_refused() -> None:
    state = module_state({}, {})
    state["_modules"]["again"] = Persistent("Layer", state)
    message = refusal(dumps({"G": Persistent("Layer", state)}))
    assert "too deeply" in message


def test_a_network_that_doubles_at_every_level_is_refused() -> None:
    network = Persistent("Layer", module_state({}, {}))
    for _ in range(60):
        network = Persistent("Layer", module_state({}, {"a": network, "b": network}))
    message = refusal(dumps({"G": network}))
    assert "modules" in message


@pytest.mark.parametrize(
    "state",
    [
        None,
        {"_parameters": []},
        {"_modules": {"a": 1}},
        {"_parameters": {"a": 1}},
        {"_buffers": {"a\nb": torch.ones(1)}},
        {"_buffers": {"a": torch.ones(1)}, "_modules": {"x" * 1000: None}},
    ],
)
def test_a_network_of_other_things_is_refused(state: Any) -> None:
    content = dumps({"G": Persistent("Layer", state)})
    with pytest.raises(CheckpointError) as caught:
        network_of(content, "G").tensors()
    assert str(caught.value).isprintable()


def test_an_invalid_class_name_is_refused() -> None:
    content = dumps({"G": Persistent("two\nlines", {})})
    assert "class name" in refusal(content)


def test_a_missing_pickle_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nothing\.pkl: no such file"):
        convert(tmp_path / "nothing.pkl")


def test_a_pickle_changes_nothing_here() -> None:
    """States may be given to whatever a pickle names, also by attribute."""
    given = b"N}\x8c\x0aclass_nameK\x01s\x86b"  # the state (None, {"class_name": 1})
    for module, name in _unpickle._KNOWN:
        named = b"c" + f"{module}\n{name}\n".encode()
        refusal(opcodes(named, given))
    assert OfficialModule.class_name == "module"


# NumPy values


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


@pytest.mark.parametrize("rename", [False, True])
@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize(
    "number",
    [
        np.float64(0.1), np.float32(2), np.int64(-3), np.bool_(True), np.uint8(200),
        np.array(3, ">i4")[()],
    ],
)  # fmt: skip
def test_numbers_come_back_as_python_numbers(protocol: int, number: Any, rename: bool) -> None:
    content = framed(pickle.dumps(number, protocol))
    found = read(older(content) if rename else content)
    assert type(found) is type(number.item())
    assert found == number.item()


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("rename", [False, True])
def test_arrays_are_passed_over(protocol: int, rename: bool) -> None:
    arrays = [np.arange(6.0), np.array(["a"]), np.asfortranarray(np.ones((2, 3)))]
    content = framed(pickle.dumps([*arrays, "after"], protocol))
    assert read(older(content) if rename else content)[-1] == "after"


FLOAT = np.dtype("f8")
scalar = np._core.multiarray.scalar


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(np.complex64(1), 4),
        pickle.dumps(np.datetime64(1, "s"), 4),
        pickle.dumps(Calls(scalar, FLOAT, b"123"), 4),
        pickle.dumps(Calls(scalar, FLOAT, b"1234567812345678"), 4),
        pickle.dumps(Calls(scalar, FLOAT, "12345678"), 4),
        pickle.dumps(Calls(scalar, "f8", b"12345678"), 4),
        pickle.dumps(Calls(scalar, np.dtype("O"), b"12345678"), 4),
    ],
)
def test_other_values_are_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(CheckpointError) as caught:
        read(framed(content))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_settings_are_plain_values() -> None:
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
    given = {"z_dim": 4, "mapping_kwargs": {"num_layers": 2}}
    network = module_tree(
        {}, "Generator", _modules={"l": layer}, img_resolution=16, _init_kwargs=given
    )
    assert network_of(dumps({"G": network})).settings() == {
        "z_dim": 4, "num_layers": 2,
        "l.training": False, "l.up": 2, "l.conv_clamp": None, "l.gain": 0.5, "l.name": "x",
        "l.taps": [1, 3, 3, 1],
    }  # fmt: skip
