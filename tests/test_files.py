"""The user's cache folder."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from creps._files import cache_folder, cores


def test_the_cache_lies_where_the_user_says_or_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREPS_CACHE", str(tmp_path))
    assert cache_folder("serve") == tmp_path / "serve"
    monkeypatch.delenv("CREPS_CACHE")
    assert cache_folder() == Path(platformdirs.user_cache_dir("creps", appauthor=False))


def test_there_is_a_core_to_work_with() -> None:
    assert cores() >= 1
