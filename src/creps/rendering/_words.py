"""Numbers and parameters as text: `name:30,x=0.2`, the same for warps, blends and recipes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping

from creps.errors import UsageError, nearest

Defaults = Mapping[str, float | None]
"""The parameters of a kind in order, and their defaults; None must be given."""


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

    Raises:
        UsageError: for anything else: what was misused, and how to write it.
    """
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(word)
    raise UsageError(f"{misuse}: {word.strip()!r} is not a number; write {usage}")


def parse_parameters(text: str, defaults: Defaults, misuse: str, usage: str) -> dict[str, float]:
    """The numbers of a text such as `30,x=0.2`: in order first, then by name.

    Args:
        text: all behind the colon.
        defaults: of the kind.
        misuse: what an error begins with, such as "warp rotate".
        usage: how to write it, for errors.
    Raises:
        UsageError: for missing, unknown or repeated parameters, and words that are not numbers.
    """

    def refusal(problem: str) -> UsageError:
        return UsageError(f"{misuse}: {problem}; write {usage}")

    known, given, naming = list(defaults), dict[str, float](), False
    for place, word in enumerate(text.split(",") if text.strip() else []):
        key, named, value = (part.strip() for part in word.rpartition("="))
        naming = naming or bool(named)
        if not named and (naming or place >= len(known)):
            raise refusal(f"{value!r} has no name" if naming else f"{value!r} is too many")
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
