"""Files of the package's own: where they lie, and what they never take the place of."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
import pytest

from creps._files import cache_folder, cores, write_atomically
from creps.errors import UsageError


def test_the_cache_lies_where_the_user_says_or_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREPS_CACHE", str(tmp_path))
    assert cache_folder("serve") == tmp_path / "serve"
    monkeypatch.delenv("CREPS_CACHE")
    assert cache_folder() == Path(platformdirs.user_cache_dir("creps", appauthor=False))


def test_there_is_a_core_to_work_with() -> None:
    assert cores() >= 1


@pytest.mark.parametrize("kind", ["pipe", "link to a device", "own output"])
def test_what_is_no_file_is_never_replaced(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "report.json"
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to("/dev/null" if kind == "link to a device" else "/proc/self/fd/1")
    before = place.lstat()
    with pytest.raises(UsageError, match=r"report\.json is a pipe or a device: expected a file"):
        write_atomically(place, b"{}")
    assert place.lstat() == before
    assert os.listdir(tmp_path) == ["report.json"]


def test_links_to_files_that_are_missing_are_replaced(tmp_path: Path) -> None:
    place = tmp_path / "report.json"
    place.symlink_to("nowhere")
    write_atomically(place, b"{}")
    assert place.read_bytes() == b"{}"
