"""Identifiers of source: other code, another identifier."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import creps
from creps import _code
from creps._code import code_id


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    code_id.cache_clear()
    yield
    code_id.cache_clear()


def test_other_source_is_another_identifier(monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_id("networks", "coordinates")
    assert len(before) == 16
    assert code_id("coordinates", "networks", "networks") == before
    assert code_id("networks") != before
    read = _code._read
    monkeypatch.setattr(
        _code, "_read", lambda path: read(path) + b"#" * (path.stem == "coordinates")
    )
    code_id.cache_clear()
    assert code_id("networks", "coordinates") != before


def test_without_sources_the_version_stands_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_code, "_PACKAGE", tmp_path)
    assert code_id("networks") == creps.__version__


def test_a_room_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"creps\.network: no such"):
        code_id("network")
