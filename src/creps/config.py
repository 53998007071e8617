"""Frozen dataclasses to and from plain dictionaries: strict, with `a.b=3` overrides."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_type_hints

import msgspec

from creps._json import parse_json
from creps.errors import ConfigError, nearest

T = TypeVar("T")

MOST_ENTRIES = 64
"""Of a list of settings."""


def to_dict(config: Any) -> dict[str, Any]:
    """The fields of a config dataclass as JSON types, nested configs included."""
    # asdict first: msgspec leaves out the defaults of configs that from_dict made.
    result: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(dataclasses.asdict(config)))
    return result


def from_dict(kind: type[T], values: Mapping[str, Any], *, where: str = "") -> T:
    """Build the config dataclass `kind` from JSON types, strictly.

    Args:
        kind: a (frozen) dataclass; its `__post_init__` may refuse values with a ConfigError.
        values: field values; missing fields take their defaults.
        where: prefix that names the place of a mistake in messages.
    Raises:
        ConfigError: for an unknown key (with the nearest known ones), a wrong type or a refused
            value.
    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Shape:
        ...     height: int = 1
        >>> from_dict(Shape, {"height": 3})
        Shape(height=3)
    """
    _refuse_unknown(kind, values, where)
    _refuse_long(values, where)
    try:
        return msgspec.convert(dict(values), kind)
    except msgspec.ValidationError as error:
        raise ConfigError(str(error).replace("`", "").replace("$.", where)) from None


def replace(config: T, overrides: Iterable[str]) -> T:
    """A copy of `config` with `path.to.field=value` overrides; values are JSON or plain words.

    Raises:
        ConfigError: for an override without `=`, an unknown field or a value of the wrong type.
    """
    values = to_dict(config)
    for override in overrides:
        path, separator, text = override.partition("=")
        if not separator:
            raise ConfigError(f"override {override!r} has no value: write {path}=VALUE")
        *parents, leaf = path.split(".")
        target = values
        for depth, parent in enumerate(parents):
            inner = target.get(parent)
            if not isinstance(inner, dict):
                place = ".".join(parents[: depth + 1])
                raise ConfigError(f"{place} is not a group of settings; {nearest(parent, target)}")
            target = inner
        if leaf not in target:
            raise ConfigError(f"unknown setting {path!r}: {nearest(leaf, target)}")
        target[leaf] = _parse(text)
    return from_dict(type(config), values)


def _parse(text: str) -> Any:
    """A JSON value, or the text itself where it is not JSON."""
    try:
        return parse_json(text, Any)
    except ValueError:
        return text


def _refuse_long(values: Mapping[str, Any], where: str) -> None:
    """Raise for lists that no network can have: each entry may become a layer."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            _refuse_long(value, f"{where}{key}.")
        elif isinstance(value, list | tuple) and len(value) > MOST_ENTRIES:
            raise ConfigError(
                f"{where}{key} has {len(value):,} entries: expected at most {MOST_ENTRIES}"
            )


def _refuse_unknown(kind: type, values: Mapping[str, Any], where: str) -> None:
    """Raise for keys that no field of `kind` (or of its nested configs) has."""
    hints = get_type_hints(kind)
    for key, value in values.items():
        if key not in hints:
            raise ConfigError(f"unknown setting {where + key!r}: {nearest(key, hints)}")
        inner = hints[key]
        if dataclasses.is_dataclass(inner) and isinstance(inner, type) and isinstance(value, dict):
            _refuse_unknown(inner, value, f"{where}{key}.")
