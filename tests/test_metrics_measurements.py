"""Long work in chunks: kept, shared, taken up again, the same in any number of processes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from creps import _code
from creps.errors import CrepsError, DataError
from creps.metrics._measurements import Measurement, default_cache, measure


@dataclass(frozen=True, kw_only=True)
class Squares(Measurement):
    """Squares of numbers; leaves a mark for each chunk it works out."""

    marks: str
    shift: int = 0
    fails_at: int = -1
    dies: bool = False
    weight: float = 1.0
    chunk: ClassVar[int] = 3

    @property
    def seconds(self) -> float:
        return self.weight

    def identity(self) -> dict[str, Any]:
        return {"shift": self.shift}

    def run(self, first: int, count: int) -> dict[str, np.ndarray]:
        if self.dies:
            os._exit(3)
        if first <= self.fails_at < first + count:
            raise DataError("item is broken")
        (Path(self.marks) / f"{self.shift}-{first}-{count}").touch()
        numbers = np.arange(first, first + count) + self.shift
        return {"square": numbers**2, "sum_all": np.array(numbers.sum())}


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


def collected(work: Squares, count: int, cache: Path, *, workers: int = 0) -> dict[str, Any]:
    return measure({work: count}, cache=cache, workers=workers)[work]


def test_columns_are_joined_in_order_and_sums_added(marks: Path, tmp_path: Path) -> None:
    found = collected(Squares(marks=str(marks)), 8, tmp_path / "cache")
    np.testing.assert_array_equal(found["square"], np.arange(8) ** 2)
    assert found["sum_all"] == 28


def test_what_is_kept_is_not_worked_out_again(marks: Path, tmp_path: Path) -> None:
    work = Squares(marks=str(marks))
    collected(work, 6, tmp_path / "cache")
    for mark in marks.iterdir():
        mark.unlink()
    found = collected(work, 8, tmp_path / "cache")
    assert [mark.name for mark in marks.iterdir()] == ["0-6-2"]
    assert len(found["square"]) == 8
    collected(Squares(marks=str(marks), shift=1), 3, tmp_path / "cache")
    assert (marks / "1-0-3").exists()


def test_items_that_take_long_go_alone(marks: Path, tmp_path: Path) -> None:
    cases = ((0, 0.0, [3, 2]), (1, 1.0, [3, 2]), (2, 2.6, [2, 2, 1]), (3, 400.0, [1] * 5))
    for shift, seconds, sizes in cases:
        work = Squares(marks=str(marks), shift=shift, weight=seconds)
        assert list(collected(work, 5, tmp_path / "cache")["square"]) == [
            (shift + item) ** 2 for item in range(5)
        ]
        made = sorted(mark.name for mark in marks.glob(f"{shift}-*"))
        assert [int(name.rpartition("-")[2]) for name in made] == sizes


def test_changed_code_starts_anew(
    marks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, work = _code._read, Squares(marks=str(marks))
    for changed in ("_spectra", "_renderer"):
        collected(work, 3, tmp_path / "cache")
        for mark in marks.iterdir():
            mark.unlink()
        with monkeypatch.context() as patch:
            patch.setattr(
                _code, "_read", lambda path, at=changed: read(path) + (path.stem == at) * b" "
            )
            _code.code_id.cache_clear()
            collected(work, 3, tmp_path / "cache")
        _code.code_id.cache_clear()
        assert (marks / "0-0-3").exists()


def test_an_interrupted_run_goes_on(marks: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="item is broken"):
        collected(Squares(marks=str(marks), fails_at=7), 9, tmp_path / "cache")
    assert len(list(marks.iterdir())) == 2
    for mark in marks.iterdir():
        mark.unlink()
    found = collected(Squares(marks=str(marks)), 9, tmp_path / "cache")
    assert [mark.name for mark in marks.iterdir()] == ["0-6-3"]
    np.testing.assert_array_equal(found["square"], np.arange(9) ** 2)


def test_a_damaged_file_is_worked_out_anew(marks: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    work = Squares(marks=str(marks))
    collected(work, 3, cache)
    [kept] = cache.iterdir()
    for content in (b"", kept.read_bytes()[:40]):
        kept.write_bytes(content)
        np.testing.assert_array_equal(collected(work, 3, cache)["square"], [0, 1, 4])


@pytest.mark.slow
def test_processes_change_nothing(marks: Path, tmp_path: Path) -> None:
    work = Squares(marks=str(marks))
    alone = collected(work, 8, tmp_path / "a")
    together = collected(work, 8, tmp_path / "b", workers=2)
    for name in alone:
        np.testing.assert_array_equal(alone[name], together[name])


@pytest.mark.slow
def test_a_process_that_dies_is_one_line(marks: Path, tmp_path: Path) -> None:
    with pytest.raises(CrepsError, match="a measuring process died"):
        collected(Squares(marks=str(marks), dies=True), 3, tmp_path / "cache", workers=1)


def test_progress_counts_what_is_kept(marks: Path, tmp_path: Path) -> None:
    seen: list[tuple[float, float]] = []
    first, second = Squares(marks=str(marks)), Squares(marks=str(marks), shift=2, weight=1.5)
    measure({first: 3}, cache=tmp_path / "cache", workers=0)
    measure(
        {first: 3, second: 4},
        cache=tmp_path / "cache",
        workers=0,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(3, 9), (7.5, 9), (9, 9)]


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CREPS_CACHE", str(tmp_path))
    assert default_cache() == tmp_path / "measurements"


def test_another_class_of_a_users_own_starts_anew(tmp_path: Path) -> None:
    def sevens(add: int) -> float:
        source = f"""
@dataclass(frozen=True, kw_only=True)
class Own(Measurement):
    factor: int = 7
    def item(self, index):
        return {{"x": self.factor * index + {add}}}
"""
        names: dict[str, Any] = {"dataclass": dataclass, "Measurement": Measurement}
        exec(source, names | {"__name__": __name__}, names)
        own = names["Own"]()
        return float(measure({own: 3}, cache=tmp_path)[own]["x"].sum())

    assert [sevens(add) for add in (0, 1, 0)] == [21, 24, 21]
    assert len(list(tmp_path.iterdir())) == 2
