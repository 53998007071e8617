"""Damage as broken disks and hostile people do it, the same for the same random numbers."""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any

Path = list[str | int]

_WORDS = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\r\n",
    b"\x1b[31m",
    b"\xff\xfe",
    b"../",
    b"\xed\xa0\x80",
)
_SIZES = (1, 2, 4, 8)
_LONGEST = 2**22
"""Bytes of a damaged file: one that is larger tells nothing more."""


def damaged(content: bytes, random: Random) -> bytes:
    """One to eight changes: bits, bytes, numbers, missing, doubled, moved and foreign stretches."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        random.choice(_CHANGES)(data, random)
    return bytes(data[:_LONGEST])


def _flip(data: bytearray, random: Random) -> None:
    if data:
        data[_near_an_end(data, random)] ^= 1 << random.randrange(8)


def _set(data: bytearray, random: Random) -> None:
    if data:
        data[_near_an_end(data, random)] = random.choice(
            (0, 1, 0x7F, 0x80, 0xFF, random.randrange(256))
        )


def _number(data: bytearray, random: Random) -> None:
    size = random.choice(_SIZES)
    if len(data) >= size:
        start = _near_an_end(data, random, size)
        most = 2 ** (8 * size) - 1
        value = random.choice(
            (0, 1, most, most // 2, most // 2 + 1, 2 ** random.randrange(8 * size))
        )
        data[start : start + size] = value.to_bytes(size, random.choice(("little", "big")))


def _cut(data: bytearray, random: Random) -> None:
    del data[random.randrange(len(data) + 1) :]


def _remove(data: bytearray, random: Random) -> None:
    start, stop = _stretch(data, random)
    del data[start:stop]


def _double(data: bytearray, random: Random) -> None:
    start, stop = _stretch(data, random)
    data[start:start] = data[start:stop] * random.choice((1, 1, 2, 50))


def _swap(data: bytearray, random: Random) -> None:
    start, stop = _stretch(data, random)
    piece = data[start:stop]
    del data[start:stop]
    place = random.randrange(len(data) + 1)
    data[place:place] = piece


def _insert(data: bytearray, random: Random) -> None:
    place = random.randrange(len(data) + 1)
    data[place:place] = random.choice((*_WORDS, random.randbytes(random.randrange(1, 64))))


def _zero(data: bytearray, random: Random) -> None:
    start, stop = _stretch(data, random)
    data[start:stop] = bytes(stop - start)


_CHANGES = (_flip, _flip, _set, _number, _number, _cut, _remove, _double, _swap, _insert, _zero)


def _near_an_end(data: bytearray, random: Random, size: int = 1) -> int:
    """A place; mostly in the first or last 512 bytes, where headers and directories are."""
    last = len(data) - size
    place = random.choice(
        (
            random.randint(0, last),
            random.randint(0, min(last, 512)),
            last - random.randint(0, min(last, 512)),
        )
    )
    return place


def _stretch(data: bytearray, random: Random) -> tuple[int, int]:
    start = random.randrange(len(data) + 1)
    return start, min(start + random.choice((1, 4, 16, 256, 4096)), len(data))


_NUMBERS = (0, -1, 1, 7, 2**31, 2**63, -(2**63), 2**64, 10**30, 0.5, -0.0, 1e38, 1e308)
_TEXTS = (
    "",
    "x",
    "a" * 10_000,
    "\x1b[31mred\x07",
    "\ud800",
    "\udc00x",
    "\x00",
    "../../x",
    "\u202ename",
)
_OTHERS: tuple[Any, ...] = (
    None,
    True,
    False,
    float("nan"),
    float("inf"),
    [],
    {},
    [[]],
    [None],
    {"": 0},
)
_STRANGE: tuple[Any, ...] = (*_NUMBERS, *_TEXTS, *_OTHERS, [0] * 20_000, ["x"] * 300)
_RAW = {
    "@digits@": b"9" * 5000,
    "@deep@": b"[" * 100_000 + b"]" * 100_000,
    "@nested@": b'{"a":' * 300 + b"1" + b"}" * 300,
}


def twisted(content: bytes, random: Random) -> bytes:
    """A JSON document with strange values, names and numbers in places; at times damaged too."""
    document = json.loads(content)
    for _ in range(random.choice((1, 1, 2, 4))):
        document = _twist(document, random)
    text = json.dumps(document, indent=random.choice((None, 2))).encode()
    for name, raw in _RAW.items():
        text = text.replace(json.dumps(name).encode(), raw)
    return damaged(text, random) if random.random() < 0.2 else text


def _twist(document: Any, random: Random) -> Any:
    """A document with one thing changed."""
    places = list(_places(document, []))
    place = random.choice(places)
    if not place:
        return _stranger(random) if random.random() < 0.3 else document
    parent = document
    for step in place[:-1]:
        parent = parent[step]
    last = place[-1]
    change = random.randrange(4)
    if change == 0:
        del parent[last]
    elif change == 1 and isinstance(parent, dict):
        name = random.choice(("", "strange", "\x1b[31m", "\ud800", "a" * 5000, str(last).upper()))
        parent[name] = parent.pop(last)
    elif change == 2:
        parent[last] = [parent[last]] * random.choice((1, 2, 1000))
    else:
        parent[last] = _stranger(random)
    return document


def _stranger(random: Random) -> Any:
    return copy.deepcopy(random.choice((*_STRANGE, *_RAW)))


def _places(document: Any, above: Path) -> Any:
    yield above
    steps: Any = ()
    if isinstance(document, dict):
        steps = document.items()
    elif isinstance(document, list):
        steps = enumerate(document[:50])
    for step, inner in steps:
        yield from _places(inner, [*above, step])
