"""A pickle reader that runs nothing: a stack machine for the few opcodes that plain data needs.

Python's own unpickler may call whatever a file names. This one cannot: a global is only a key of
the caller's table, a call only reaches a function of that table, and a state is only handed to a
`StandIn`. Anything else in the file is refused. No opcode makes more than it reads, so time and
memory are bounded by the length of the file, whatever sizes it claims.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from creps.errors import CheckpointError

LONGEST_NAME = 300
"""Bytes of a module's or a class's name."""
MOST_INDICES = 2**20
"""Whole numbers below this may be keys of state dictionaries."""

Table = Mapping[tuple[str, str], Any]


class StandIn:
    """Base of what may take a state from a pickle; it keeps the state as it is."""

    state: Any = None


@dataclass(frozen=True)
class Known:
    """A global of the file that the caller's table knows, and what stands in for it."""

    name: str
    value: Any


def read_pickle(
    data: memoryview,
    known: Table,
    *,
    start: int = 0,
    persistent: Callable[[Any], Any] | None = None,
    state_dicts: bool = False,
) -> tuple[Any, int]:
    """The plain tree in a pickle, and where the pickle ends.

    Args:
        data: bytes of the file; byte strings in the tree are views of it, not copies.
        known: (module, name) of each global that may occur, to what stands in for it: a function
            that must accept any arguments as hostile, or a value.
        start: first byte of the pickle.
        persistent: turns a persistent id into an object; without it such ids are refused.
        state_dicts: also take what torch's state dictionaries have: small numbers as keys, and
            attributes of a dictionary, which are dropped.
    Raises:
        CheckpointError: for a truncated or damaged pickle, and for anything not in `known`.
    Example:
        >>> read_pickle(memoryview(pickle.dumps({"size": [1, 2]})), {})[0]
        {'size': [1, 2]}
    """
    machine = _Machine(data, known, start, persistent, state_dicts=state_dicts)
    try:
        return machine.run(), machine.position
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, struct.error) as error:
        reason = f"{type(error).__name__} at byte {machine.position}"
        raise CheckpointError(f"damaged pickle ({reason})") from None


class _Machine:
    """Stack, marks and memo of one pickle."""

    def __init__(
        self,
        data: memoryview,
        known: Table,
        start: int,
        persistent: Callable[[Any], Any] | None,
        *,
        state_dicts: bool,
    ) -> None:
        self.data, self.known, self.persistent = data, known, persistent
        self.state_dicts = state_dicts
        self.position = start
        self.stack: list[Any] = []
        self.below_mark: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        if bytes(self.data[self.position : self.position + 1]) != pickle.PROTO:
            raise CheckpointError("not a pickle of protocol 2 to 5")
        while True:
            code = bytes(self.take(1))
            if code == pickle.STOP:
                return self.stack.pop()
            if code in _VALUES:
                value = _VALUES[code](self)  # first, as it may exchange the stack
                self.stack.append(value)
            elif code in _ACTIONS:
                _ACTIONS[code](self)
            else:
                at = self.position - 1
                raise CheckpointError(f"refused pickle opcode {code!r} at byte {at}")

    def take(self, count: int) -> memoryview:
        taken = self.data[self.position : self.position + count]
        if len(taken) != count:
            raise CheckpointError(
                f"truncated pickle: ends after {len(self.data)} bytes, at least "
                f"{self.position + count} expected"
            )
        self.position += count
        return taken

    def integer(self, size: int, *, signed: bool = False) -> int:
        return int.from_bytes(self.take(size), "little", signed=signed)

    def text(self, length_size: int) -> str:
        return str(self.take(self.integer(length_size)), "utf-8", "surrogatepass")

    def line(self) -> str:
        """The rest of a line, as the GLOBAL opcode writes names."""
        ahead = bytes(self.data[self.position : self.position + LONGEST_NAME])
        name = self.take(ahead.index(b"\n") + 1)
        return str(name[:-1], "utf-8")

    def find(self, module: Any, name: Any) -> Known:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise CheckpointError("refused global without a name")
        full_name = f"{module}.{name}"
        if (module, name) not in self.known:
            shown = full_name if len(full_name) <= 100 else full_name[:100] + "..."
            raise CheckpointError(
                f"refused global {shown!r}: official networks have no use for it, so the file may "
                "be hostile; nothing in it was run"
            )
        return Known(full_name, self.known[module, name])

    def call(self) -> Any:
        """REDUCE and NEWOBJ: arguments, then what to call, from the stack."""
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, Known) or not isinstance(arguments, tuple):
            raise CheckpointError("refused call of something that is not a known global")
        return function.value(*arguments)

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if self.state_dicts and type(target) is dict:
            return
        if not isinstance(target, StandIn):
            raise CheckpointError(f"refused state for a {type(target).__name__}")
        target.state = state

    def persistent_object(self) -> Any:
        if self.persistent is None:
            raise CheckpointError("refused persistent id")
        return self.persistent(self.stack.pop())

    def mark(self) -> None:
        self.below_mark.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        items = self.stack
        self.stack = self.below_mark.pop()
        return items

    def top_tuple(self, count: int) -> tuple[Any, ...]:
        if count > len(self.stack):
            raise IndexError
        items = tuple(self.stack[-count:])
        del self.stack[-count:]
        return items

    def extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise TypeError
        target.extend(items)

    def update(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict:
            raise TypeError
        keys = items[::2]
        names = [key for key in keys if not (self.state_dicts and _is_small_number(key))]
        _names(names)
        target.update(zip(keys, items[1::2], strict=True))

    def add(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not set:
            raise TypeError
        target.update(_names(items))

    def remember(self, index: int) -> None:
        self.memo[index] = self.stack[-1]


def _is_small_number(key: Any) -> bool:
    """Whether a key is a number that hashes as fast as others, such as a parameter's index."""
    return type(key) is int and 0 <= key < MOST_INDICES


def _names(keys: list[Any]) -> list[str]:
    """Keys of dictionaries and sets: strings alone, as hashing other keys can be made to hang."""
    if not all(type(key) is str for key in keys):
        raise TypeError
    return keys


def _protocol(machine: _Machine) -> None:
    if not 2 <= machine.integer(1) <= 5:
        raise CheckpointError("not a pickle of protocol 2 to 5")


def _frame(machine: _Machine) -> None:
    machine.take(8)  # a hint for buffered reading


_VALUES: dict[bytes, Callable[[_Machine], Any]] = {
    pickle.NONE: lambda m: None,
    pickle.NEWTRUE: lambda m: True,
    pickle.NEWFALSE: lambda m: False,
    pickle.BININT: lambda m: m.integer(4, signed=True),
    pickle.BININT1: lambda m: m.integer(1),
    pickle.BININT2: lambda m: m.integer(2),
    pickle.LONG1: lambda m: m.integer(m.integer(1), signed=True),
    pickle.BINFLOAT: lambda m: struct.unpack(">d", m.take(8))[0],
    pickle.SHORT_BINUNICODE: lambda m: m.text(1),
    pickle.BINUNICODE: lambda m: m.text(4),
    pickle.BINUNICODE8: lambda m: m.text(8),
    pickle.SHORT_BINBYTES: lambda m: m.take(m.integer(1)),
    pickle.BINBYTES: lambda m: m.take(m.integer(4)),
    pickle.BINBYTES8: lambda m: m.take(m.integer(8)),
    pickle.BYTEARRAY8: lambda m: m.take(m.integer(8)),
    pickle.EMPTY_TUPLE: lambda m: (),
    pickle.EMPTY_LIST: lambda m: [],
    pickle.EMPTY_DICT: lambda m: {},
    pickle.EMPTY_SET: lambda m: set(),
    pickle.TUPLE: lambda m: tuple(m.since_mark()),
    pickle.TUPLE1: lambda m: m.top_tuple(1),
    pickle.TUPLE2: lambda m: m.top_tuple(2),
    pickle.TUPLE3: lambda m: m.top_tuple(3),
    pickle.BINGET: lambda m: m.memo[m.integer(1)],
    pickle.LONG_BINGET: lambda m: m.memo[m.integer(4)],
    pickle.GLOBAL: lambda m: m.find(m.line(), m.line()),
    pickle.STACK_GLOBAL: lambda m: m.find(*m.top_tuple(2)),
    pickle.REDUCE: lambda m: m.call(),
    pickle.NEWOBJ: lambda m: m.call(),
    pickle.BINPERSID: lambda m: m.persistent_object(),
}
"""Opcodes that push one value."""

_ACTIONS: dict[bytes, Callable[[_Machine], None]] = {
    pickle.PROTO: _protocol,
    pickle.FRAME: _frame,
    pickle.MARK: lambda m: m.mark(),
    pickle.APPEND: lambda m: m.extend([m.stack.pop()]),
    pickle.APPENDS: lambda m: m.extend(m.since_mark()),
    pickle.SETITEM: lambda m: m.update(list(m.top_tuple(2))),
    pickle.SETITEMS: lambda m: m.update(m.since_mark()),
    pickle.ADDITEMS: lambda m: m.add(m.since_mark()),
    pickle.BUILD: lambda m: m.build(),
    pickle.BINPUT: lambda m: m.remember(m.integer(1)),
    pickle.LONG_BINPUT: lambda m: m.remember(m.integer(4)),
    pickle.MEMOIZE: lambda m: m.remember(len(m.memo)),
}
"""Opcodes that change the stack, what is on it, or the memo."""
