"""Numbers and parameters as text: `name:30,x=0.2`, the same for warps, blends, recipes, windows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from creps.errors import UsageError, nearest

Defaults = Mapping[str, float | None]
"""The parameters of a kind in order, and their defaults; None must be given."""


Fields = Mapping[str, tuple[str, Callable[[str], Any]]]
"""The words of an address: what each one's field is called, and what reads its value."""


def parse_fields(words: Iterable[tuple[str, str]], known: Fields, *, where: str) -> dict[str, Any]:
    """The fields that the words of an address give, each at most once; errors say `where`."""
    found: dict[str, Any] = {}
    for word, value in words:
        if word not in known:
            raise UsageError(f"{word[:40]!r} in {where[:80]!r}: {nearest(word, known)}")
        field, read = known[word]
        if field in found:
            raise UsageError(f"{word} is given twice in {where[:80]!r}")
        found[field] = read(value)
    return found


def number_text(value: float) -> str:
    """The shortest text that reads back as the same number, without a "+", which joins warps.

    Example:
        >>> number_text(30.0), number_text(0.1), number_text(1e300)
        ('30', '0.1', '1e300')
    """
    if value == int(value) and abs(value) < 2**53:
        return str(int(value))
    return repr(float(value)).replace("e+", "e")


def numbers_text(values: Iterable[float]) -> str:
    """Numbers joined by commas."""
    return ",".join(map(number_text, values))


def parse_number(word: str, misuse: str, usage: str) -> float:
    """A number; whole ones stay whole, for seeds do not fit in a float.

    A UsageError for anything else: what was misused, and how to write it.
    """
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(word)
    raise UsageError(f"{misuse}: {word.strip()!r} is not a number; write {usage}")


def parse_numbers(text: str, names: str, *, what: str) -> tuple[float, ...]:
    """Numbers joined by commas; errors name `what` they are and the `names` of all, such as "Y,X".

    Raises:
        UsageError: for another count, and for values that are not numbers.
    """
    try:
        values = tuple(map(float, text.split(",")))
    except ValueError:
        values = ()
    if len(values) != (count := names.count(",") + 1):
        counted = {1: "a number", 2: "two numbers", 4: "four numbers"}[count]
        raise UsageError(f"{what} {text[:80]!r}: expected {counted} {names}")
    return values


def parse_point(text: str, name: str) -> tuple[float, float]:
    """(y, x) of `0.25,0.5`, in plane units; `name` is what errors call it.

    Raises:
        UsageError: if these are not two numbers.
    Example:
        >>> parse_point("0.25,0.5", "pan")
        (0.25, 0.5)
    """
    y, x = parse_numbers(text, "Y,X", what=name)
    return y, x


def parse_window(text: str) -> tuple[float, float, float, float]:
    """(y0, x0, y1, x1) of `0.25,0.25,0.75,0.75`, in plane units; see `View` for those it shows.

    Raises:
        UsageError: if these are not four numbers.
    Example:
        >>> parse_window("-0.5,0,1.5,1")
        (-0.5, 0.0, 1.5, 1.0)
    """
    y0, x0, y1, x1 = parse_numbers(text, "Y0,X0,Y1,X1", what="window")
    return y0, x0, y1, x1


def parse_parameters(text: str, defaults: Defaults, misuse: str, usage: str) -> dict[str, float]:
    """The numbers of a text such as `30,x=0.2`: in order first, then by name.

    Errors begin with `misuse`, such as "warp rotate", and end with the `usage`.

    Raises:
        UsageError: for missing, unknown or repeated parameters, and values that are not numbers.
    """

    def refusal(problem: str) -> UsageError:
        return UsageError(f"{misuse}: {problem}; write {usage}")

    known, given, naming = list(defaults), dict[str, float](), False
    for place, word in enumerate(text.split(",") if text.strip() else []):
        key, named, value = (part.strip() for part in word.rpartition("="))
        naming = naming or bool(named)
        if not named and (naming or place >= len(known)):
            raise refusal(f"{value!r} has no name" if naming else f"extra value {value!r}")
        key = key if named else known[place]
        if key not in known:
            raise refusal(f"no parameter {key!r}: {nearest(key, known)}")
        if key in given:
            raise refusal(f"{key} is given twice")
        given[key] = parse_number(value, misuse, usage)
    missing = [key for key, default in defaults.items() if default is None and key not in given]
    if missing:
        raise refusal(f"{' and '.join(missing)} missing")
    return given


def parameters_text(name: str, values: Mapping[str, float], defaults: Defaults) -> str:
    """What `parse_parameters` reads: values without a default in order, others if they differ."""
    words = [
        number_text(value) if defaults[key] is None else f"{key}={number_text(value)}"
        for key, value in values.items()
        if value != defaults[key]
    ]
    return f"{name}:{','.join(words)}" if words else name


def usage_text(name: str, defaults: Defaults) -> str:
    """How to write a kind: `rotate:DEGREES,y=0.5,x=0.5`; defaults may be left out."""
    words = [
        key.upper() if default is None else f"{key}={number_text(default)}"
        for key, default in defaults.items()
    ]
    return f"{name}:{','.join(words)}" if words else name
