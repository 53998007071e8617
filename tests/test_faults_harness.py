"""The harness of damaged files: the same damage again, and every kind of bad end is seen."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from creps.errors import CrepsError, DataError, UsageError
from faults.child import Watch, mutant, tried
from faults.kinds import Kind, Seed, kind_named, kinds
from faults.mutants import FINE, Tally, as_row
from faults.mutation import damaged, twisted


@pytest.mark.parametrize("damage", [damaged, twisted])
def test_damage_is_the_same_for_the_same_numbers(damage: Callable[[bytes, Random], bytes]) -> None:
    content = json.dumps({"a": [1, 2, {"b": "text"}], "c": None}).encode()
    found = [damage(content, Random(k)) for k in range(200)]
    assert found == [damage(content, Random(k)) for k in range(200)]
    assert len(set(found)) > 100
    assert damaged(b"", Random(1)) is not None


def test_mutants_have_numbers() -> None:
    kind = Kind(name="any", seeds=lambda place: [], use=len)
    contents = [b"first" * 10, b"second" * 10]
    assert mutant(kind, contents, 5, 0) == mutant(kind, contents, 5, 0)
    assert mutant(kind, contents, 5, 0) != mutant(kind, contents, 5, 1)


def _raise(error: BaseException) -> Callable[[Path], object]:
    def use(given: Path) -> object:
        raise error

    return use


def _no_code(given: Path) -> object:
    return os.posix_spawn(sys.executable, [sys.executable, "-c", ""], {})


def _say(text: str) -> Callable[[Path], object]:
    return lambda given: os.write(1, text.encode())


def _exit_at_length(given: Path) -> object:
    os.write(2, b"creps: " + b"x" * 300 + b"\n")
    raise SystemExit(1)


class Unshortened(DataError):
    """A refusal that does not leave out its middle."""

    def __str__(self) -> str:
        return str(self.args[0])


@pytest.mark.parametrize(
    ("verdict", "use"),
    [
        ("opened", lambda given: None),
        ("opened", _say("a table\nof two lines\n" * 50)),
        ("refused", _raise(DataError("x: damaged"))),
        ("refused", _raise(OSError(2, "No such file", "x"))),
        ("refused", _raise(SystemExit(1))),
        ("refused", _raise(DataError("x" * 301))),
        ("long", _raise(Unshortened("x" * 301))),
        ("long", _exit_at_length),
        ("control", _raise(Unshortened("name\x1b[31m"))),
        ("memory", _raise(MemoryError())),
        ("traceback", _raise(ValueError("x"))),
        ("traceback", _raise(RecursionError())),
        ("control", _say("name\x1b[31m")),
        ("noise", _say("x.py:3: UserWarning: odd header")),
        ("code", lambda given: eval("1 + 1")),
        ("code", _no_code),
        ("code", lambda given: (given.parent.parent / "outside").write_text("x")),
        ("code", lambda given: shutil.rmtree(given.parent.parent / "outside", True)),
        ("code", lambda given: (given.parent.parent / "inside-out").unlink(missing_ok=True)),
        ("opened", lambda given: shutil.rmtree(given.parent / "swept", ignore_errors=True)),
        ("opened", lambda given: (given.parent / "own").write_text("x")),
    ],
)
def test_every_end_is_told_apart(
    verdict: str, use: Callable[[Path], object], tmp_path: Path
) -> None:
    file = tmp_path / "inside" / "file"
    file.parent.mkdir()
    kind = Kind(name="any", seeds=lambda place: [], use=use)
    with tempfile.TemporaryFile() as output:
        kept = [os.dup(1), os.dup(2)]
        sys.stdout.flush()
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
        stderr, sys.stderr = sys.stderr, os.fdopen(os.dup(2), "w")
        try:
            found = tried(kind, Seed(file, file), Watch(file.parent), output)
        finally:
            sys.stderr.close()
            sys.stderr = stderr
            for stream, number in zip((1, 2), kept, strict=True):
                os.dup2(number, stream)
                os.close(number)
    assert found["verdict"] == verdict, found["text"]


def test_kinds_are_registered_by_name() -> None:
    assert {"safetensors", "config", "records", "styles", "log", "snapshots"} <= set(kinds())
    with pytest.raises(UsageError, match="did you mean config"):
        kind_named("confg")


def test_rows_count_all_ends() -> None:
    tally = Tally("any")
    tally.add(0, "opened", "")
    tally.add(1, "hang", "ended with -27")
    row: dict[str, Any] = as_row(tally)
    assert (row["files"], row["opened"], row["hang"]) == (2, 1, 1)
    assert tally.faults == [(1, "hang", "ended with -27")]
    assert "opened" in FINE
    assert issubclass(DataError, CrepsError)
