"""JSON of strangers: values or one short reason, whatever the bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creps._json import MOST_DEPTH, parse_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e300, 1e300) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_python_writes_is_read(value: Any) -> None:
    for ascii_only in (True, False):
        text = json.dumps({"value": value}, ensure_ascii=ascii_only)
        try:
            data = text.encode()
        except UnicodeEncodeError:
            continue
        assert parse_json(data) == parse_json(text) == {"value": value}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": 1e999}', "out of range"),
        (b'{"a": ' + b"9" * 5000 + b"}", "out of range"),
        (rb'{"a": "\ud800"}', "not JSON"),
        (rb'{"\udc00a": 1}', "not JSON"),
        ('{"a": "\ud800"}', "not JSON"),
        (b'{"a": "\xed\xa0\x80"}', "not JSON"),
        (b'\xff\xfe{\x00}\x00', "not JSON"),
        (b"[]", "expected object, got array"),
        (b"null", "expected object, got null"),
        (b'{"a":' * 100_000, "within brackets"),
        (b'{"a":' * (MOST_DEPTH + 1) + b"1" + b"}" * (MOST_DEPTH + 1), "within brackets"),
        (b'{"a":' + b"[" * 500 + b"]" * 500 + b"}", "within brackets"),
        (b" " * 2**25 + b"{}", "at most"),
    ],
)  # fmt: skip
def test_the_reason_is_one_short_line(content: bytes | str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        parse_json(content)
    assert len(str(caught.value)) < 120
    assert str(caught.value).isprintable()


def test_brackets_in_texts_are_not_depth() -> None:
    text = r"[\"" * 500
    assert parse_json(b'{"a": "' + text.encode() + b'"}') == {"a": '["' * 500}
    deep = b'{"a":' + b"[" * (MOST_DEPTH - 1) + b"]" * (MOST_DEPTH - 1) + b"}"
    assert parse_json(deep)["a"]


def test_a_kind_may_be_asked_for() -> None:
    assert parse_json("[1, 2]", list[int]) == [1, 2]
    assert parse_json("\ufeff{}") == {}
    with pytest.raises(ValueError, match=r"expected int, got str - at \$\[1\]"):
        parse_json('[1, "b"]', list[int])
