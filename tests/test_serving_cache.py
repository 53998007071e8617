"""Finished answers on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from creps.serving._service import AnswerCache


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_what_is_put_is_found_by_a_later_server(tmp_path: Path) -> None:
    AnswerCache(tmp_path, limit=10_000).put("key", b"body")
    later = AnswerCache(tmp_path, limit=10_000)
    assert later.get("key") == b"body"
    assert later.get("other") is None
    assert later.nbytes == sum(path.stat().st_size for path in files_in(tmp_path))


def test_torn_files_are_not_sent(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path, limit=10_000)
    cache.put("key", b"body" * 100)
    (path,) = files_in(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    assert cache.get("key") is None
    path.write_bytes(b"")
    assert cache.get("key") is None
    cache.put("key", b"again")
    assert cache.get("key") == b"again"


def test_the_limit_holds_and_what_was_used_lately_stays(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path, limit=1000)
    for k in range(9):
        cache.put(f"key {k}", bytes(84))  # 100 with the checksum
    for age, path in enumerate(
        sorted(files_in(tmp_path), key=lambda path: path.stat().st_mtime_ns)
    ):
        os.utime(path, (age, age))
    assert cache.get("key 0") is not None  # used just now
    for k in range(9, 12):
        cache.put(f"key {k}", bytes(84))
    assert sum(path.stat().st_size for path in files_in(tmp_path)) <= 1000
    assert cache.get("key 0") is not None
    assert cache.get("key 1") is None


def test_a_folder_that_cannot_be_written_costs_no_answer(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "answers", limit=1000)
    (tmp_path / "answers").rmdir()
    (tmp_path / "answers").write_text("a file in its place")
    cache.put("key", b"body")
    assert cache.get("key") is None


CROWD = """
import sys
from pathlib import Path
from creps.serving._service import AnswerCache

cache = AnswerCache(Path(sys.argv[1]), limit=20_000)
bodies = {f"key {k}": bytes([k]) * (500 + 37 * k) for k in range(20)}
found = 0
for turn in range(15):
    for key, body in bodies.items():
        got = cache.get(key)
        assert got is None or got == body, key
        found += got is not None
        cache.put(key, body)
assert found > 50, found
"""


@pytest.mark.slow
def test_processes_share_a_folder_and_get_whole_answers_only(tmp_path: Path) -> None:
    """Writing the same keys and throwing away what others have written, all at once."""
    command = [sys.executable, "-c", CROWD, str(tmp_path)]
    crowd = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    errors = [each.communicate()[1] for each in crowd]
    assert errors == ["", "", ""]
    assert {path.suffix for path in files_in(tmp_path)} == {".answer"}  # nothing half written
