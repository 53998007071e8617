"""Jobs side by side: in order, on threads that are kept and leave torch as it was."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from creps.errors import GridError
from creps.rendering import _workers as pools
from creps.rendering._workers import map_in_order
from patience import PATIENCE


@pytest.fixture
def two_cores() -> Iterator[None]:
    """More threads than a worker may use."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def on_each_of(workers: int) -> set[tuple[int, int]]:
    """(identifier, torch's threads) of every worker: each takes a job and waits for the others."""
    together = threading.Barrier(workers)

    def job(_: int) -> tuple[int, int]:
        together.wait(timeout=PATIENCE)
        return threading.get_ident(), torch.get_num_threads()

    return set(map_in_order(job, range(workers), workers=workers))


@pytest.mark.parametrize("workers", [1, 3])
def test_jobs_side_by_side_keep_their_order(workers) -> None:
    assert list(map_in_order(lambda n: n * n, range(50), workers=workers)) == [
        n * n for n in range(50)
    ]


def test_a_job_that_fails_says_so_and_leaves_torch_as_it_was() -> None:
    before = torch.get_num_threads()

    def job(number: int) -> int:
        if number == 7:
            raise GridError("seven")
        return number

    results = map_in_order(job, range(50), workers=2)
    with pytest.raises(GridError, match="seven"):
        list(results)
    assert torch.get_num_threads() == before


def test_results_do_not_pile_up() -> None:
    started: list[int] = []

    def job(number: int) -> int:
        started.append(number)
        return number

    results = map_in_order(job, range(1000), workers=2)
    next(results)
    results.close()
    assert len(started) <= 6


def test_threads_are_kept_and_run_torch_on_one_core(two_cores) -> None:
    list(map_in_order(abs, range(9), workers=3))  # does not ask torch for anything
    first, second = on_each_of(3), on_each_of(3)
    assert first == second
    assert len(first) == 3
    assert {threads for _, threads in first} == {1}
    assert threading.get_ident() not in {thread for thread, _ in first}
    assert torch.get_num_threads() == 2


def test_threads_to_come_are_not_held_to_one_core(two_cores) -> None:
    list(map_in_order(abs, range(9), workers=5))
    seen: list[int] = []
    other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert seen == [2]


def test_an_abandoned_iterator_leaves_nothing_running() -> None:
    begun: list[int] = []
    ended: list[int] = []

    def job(number: int) -> int:
        begun.append(number)
        time.sleep(0.02)
        ended.append(number)
        return number

    results = map_in_order(job, range(1000), workers=2)
    assert next(results) == 0
    results.close()
    assert sorted(begun) == sorted(ended)
    on_each_of(2)  # both threads are free, and nothing was left in their queue
    assert len(begun) == len(ended) <= 6


def test_many_threads_that_begin_at_once_share_the_same_workers(
    two_cores, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_one_core = pools._use_one_core
    slow = lambda: (time.sleep(0.05), use_one_core())  # noqa: E731
    monkeypatch.setattr(pools, "_use_one_core", slow)
    begin, seen = threading.Barrier(4), set()

    def draw() -> None:
        begin.wait(timeout=PATIENCE)
        seen.update(map_in_order(lambda _: threading.get_ident(), range(20), workers=6))
        seen_threads.add(torch.get_num_threads())

    seen_threads: set[int] = set()
    drawing = [threading.Thread(target=draw) for _ in range(4)]
    for thread in drawing:
        thread.start()
    for thread in drawing:
        thread.join()
    assert len(seen) <= 6
    assert seen_threads == {2}


def test_an_abandoned_iterator_may_end_within_a_job_of_its_own() -> None:
    ended, taken = threading.Event(), threading.Event()

    def job(number: int) -> int:
        if number == 4:  # as where a cycle that holds the iterator is collected on this thread
            taken.wait(timeout=PATIENCE)
            results.close()
            ended.set()
        return number

    results = map_in_order(job, range(100), workers=2)
    assert next(results) == 0
    taken.set()
    assert ended.wait(timeout=PATIENCE)


def test_closing_ends_jobs_between_two_tiles_and_not_between_lines() -> None:
    begun, tiles, lines = threading.Event(), list[int](), list[int]()

    def tile(number: int) -> None:
        lines.extend(map_in_order(abs, range(9), workers=1, kind="lines"))  # others may wait for it
        tiles.append(number)
        begun.set()
        time.sleep(0.005)

    def part(number: int) -> int:
        for _ in map_in_order(tile, range(20_000 if number else 0), workers=1):
            pass
        return number

    results = map_in_order(part, range(100), workers=2)
    assert next(results) == 0
    assert begun.wait(PATIENCE)
    results.close()
    assert 0 < len(tiles) < 20_000
    assert len(lines) == 9 * len(tiles)
    assert list(map_in_order(part, [0], workers=2)) == [0]  # the threads serve others
