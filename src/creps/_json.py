"""JSON that strangers may have written: one reader, bounded in bytes and in depth."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any

import msgspec

MOST_BYTES = 2**24
"""Bytes of a document, unless its reader expects more."""
MOST_DEPTH = 64
"""Brackets within brackets: what goes through a document may call itself once for each."""

_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_NO_BRACKETS = bytes(code for code in range(256) if code not in b"[]{}")
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def parse_json(content: bytes | str, kind: Any = dict[str, Any], *, most: int = MOST_BYTES) -> Any:
    r"""A JSON document as plain values: text that is Unicode, numbers that are finite.

    Args:
        content: UTF-8, or text.
        kind: what it must be, an object by default: any type that msgspec converts to, or `Any`.
        most: bytes that are read at all.
    Raises:
        ValueError: for what is no JSON, or of another kind, too long or nested too deeply; its
            message is short and begins with "not".
    Example:
        >>> parse_json(b'{"labels": [1, 2.5]}')
        {'labels': [1, 2.5]}
        >>> parse_json("[]")
        Traceback (most recent call last):
        ValueError: not the right JSON (expected object, got array)
    """
    try:
        data = content.encode() if isinstance(content, str) else content
        if len(data) > most:
            raise ValueError(f"not read (at most {most:,} bytes of JSON are, not {len(data):,})")
        data = data.removeprefix(b"\xef\xbb\xbf")
        found = msgspec.json.decode(data, type=kind)
        deep = _depth(data) > MOST_DEPTH
    except msgspec.ValidationError as error:
        text = str(error).replace("`", "")
        raise ValueError(f"not the right JSON ({text[0].lower()}{text[1:]})") from None
    except RecursionError:
        deep = True
    except msgspec.DecodeError as error:
        reason = str(error).removeprefix("JSON is malformed: ")
        raise ValueError(f"not JSON ({reason})") from None
    except UnicodeError:
        raise ValueError("not JSON (not UTF-8)") from None
    if deep:
        raise ValueError(f"not JSON (more than {MOST_DEPTH} brackets within brackets)")
    return found


def _depth(data: bytes) -> int:
    """Brackets within brackets of a document that is JSON."""
    brackets = _STRINGS.sub(b"", data).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)
