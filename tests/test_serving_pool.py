"""Threads that draw: order, coalescing, abandoning, limits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from creps.serving._pool import OverloadedError, Pool
from patience import PATIENCE


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool(1, waiting=3)
    yield pool
    pool.close()


class Gate:
    """Work that waits until it is let go."""

    def __init__(self) -> None:
        self.begun, self.opened = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.opened.wait(PATIENCE)
        return "gate"


async def held(pool: Pool) -> tuple[Gate, asyncio.Task[str]]:
    """A pool whose only thread is at work."""
    gate = Gate()
    task = asyncio.create_task(pool.result("gate", gate))
    await asyncio.to_thread(gate.begun.wait, PATIENCE)
    return gate, task


async def enter(pool: Pool, key: str, done: list[str], *, client: str = "") -> asyncio.Task[None]:
    """A task that waits in the pool."""
    task = asyncio.create_task(pool.result(key, lambda: done.append(key), client=client))
    await asyncio.sleep(0)
    return task


def test_the_newest_comes_first_and_the_oldest_now_and_then() -> None:
    pool = Pool(1, waiting=9)

    async def scene() -> list[str]:
        gate, first = await held(pool)
        done: list[str] = []
        tasks = [await enter(pool, key, done) for key in "abcdef"]
        gate.opened.set()
        await asyncio.gather(first, *tasks)
        return done

    # The gate itself is the first of three.
    assert asyncio.run(scene()) == ["f", "a", "e", "d", "b", "c"]
    pool.close()


def test_clients_take_turns() -> None:
    pool = Pool(1, waiting=9)

    async def scene() -> list[str]:
        gate, first = await held(pool)
        done: list[str] = []
        words = ("a1", "a2", "a3", "b1", "c1", "c2")
        tasks = [await enter(pool, word, done, client=word[0]) for word in words]
        gate.opened.set()
        await asyncio.gather(first, *tasks)
        return done

    assert asyncio.run(scene()) == ["a3", "b1", "c2", "a2", "c1", "a1"]
    pool.close()


def test_who_asks_for_most_is_sent_away_first(pool: Pool) -> None:
    async def scene() -> list[str]:
        gate, first = await held(pool)
        done: list[str] = []
        words = ("b1", "a1", "a2", "a3")
        tasks = [await enter(pool, word, done, client=word[0]) for word in words]
        gate.opened.set()
        await first
        await asyncio.gather(*tasks, return_exceptions=True)
        return done

    assert sorted(asyncio.run(scene())) == ["a2", "a3", "b1"]


def test_asking_again_is_to_be_the_newest_and_is_done_once(pool: Pool) -> None:
    async def scene() -> list[str]:
        gate, first = await held(pool)
        done: list[str] = []
        tasks = [await enter(pool, key, done) for key in "aba"]
        gate.opened.set()
        await asyncio.gather(first, *tasks)
        return done

    assert asyncio.run(scene()) == ["a", "b"]


def test_who_asks_for_what_is_being_made_shares_it(pool: Pool) -> None:
    async def scene() -> list[str]:
        gate, first = await held(pool)
        second = asyncio.create_task(pool.result("gate", lambda: "made twice"))
        await asyncio.sleep(0)
        gate.opened.set()
        return await asyncio.gather(first, second)

    assert asyncio.run(scene()) == ["gate", "gate"]


def test_what_nobody_waits_for_is_not_begun(pool: Pool) -> None:
    async def scene() -> list[str]:
        gate, first = await held(pool)
        done: list[str] = []
        left, stays, shared, other = [await enter(pool, key, done) for key in "abcc"]
        for task in (left, shared):
            task.cancel()
        await asyncio.gather(left, shared, return_exceptions=True)
        gate.opened.set()
        await asyncio.gather(first, stays, other)
        return done

    assert asyncio.run(scene()) == ["c", "b"]


def test_too_many_drive_out_the_oldest(pool: Pool) -> None:
    async def scene() -> tuple[list[str], list[object]]:
        gate, first = await held(pool)
        done: list[str] = []
        tasks = [await enter(pool, key, done) for key in "abcde"]
        gate.opened.set()
        await first
        return done, await asyncio.gather(*tasks, return_exceptions=True)

    done, results = asyncio.run(scene())
    assert sorted(done) == ["c", "d", "e"]
    assert [type(result) for result in results[:2]] == [OverloadedError] * 2
    assert results[0].retry_after >= 1


def test_an_error_comes_to_all_who_wait_and_the_thread_goes_on(pool: Pool) -> None:
    def fail() -> None:
        raise ValueError("no")

    async def scene() -> None:
        for _ in range(2):
            with pytest.raises(ValueError, match="no"):
                await pool.result("bad", fail)
        assert await pool.result("good", lambda: 1) == 1

    asyncio.run(scene())


def test_parts_are_all_run_and_idle_threads_help() -> None:
    pool = Pool(2, waiting=9)
    meeting = threading.Barrier(2, timeout=PATIENCE)
    names: list[str] = []

    def part() -> None:
        meeting.wait()  # one thread alone would never come through
        names.append(threading.current_thread().name)

    async def scene() -> None:
        while pool.busy:  # threads are starting
            await asyncio.sleep(0.01)
        await pool.result("work", lambda: pool.side_by_side([part] * 4))

    asyncio.run(scene())
    pool.close()
    assert len(names) == 4
    assert len(set(names)) == 2


def test_parts_need_no_help_and_raise_their_errors(pool: Pool) -> None:
    done: list[int] = []

    def part(k: int) -> None:
        if k == 2:
            raise ValueError("part 2")
        done.append(k)

    async def scene() -> None:
        work = [lambda k=k: part(k) for k in range(4)]
        with pytest.raises(ValueError, match="part 2"):
            await pool.result("work", lambda: pool.side_by_side(work))
        await pool.result("more", lambda: pool.side_by_side([]))

    asyncio.run(scene())
    assert done == [0, 1]


def test_the_background_waits_for_what_is_looked_at(pool: Pool) -> None:
    async def scene() -> list[str]:
        gate, first = await held(pool)
        done: list[str] = []
        behind = asyncio.create_task(
            asyncio.to_thread(pool.in_background, [lambda: done.append("job")])
        )
        while not pool._background:
            await asyncio.sleep(0.01)
        tasks = [await enter(pool, key, done) for key in "ab"]
        gate.opened.set()
        await asyncio.gather(first, behind, *tasks)
        return done

    assert asyncio.run(scene()) == ["b", "a", "job"]


def test_a_closed_pool_sends_everybody_away() -> None:
    pool = Pool(1, waiting=3)

    async def scene() -> object:
        gate, first = await held(pool)
        waiting = await enter(pool, "a", [])
        closing = asyncio.create_task(asyncio.to_thread(pool.close))
        with pytest.raises(OverloadedError):
            await waiting
        gate.opened.set()
        await closing
        assert await first == "gate"
        with pytest.raises(OverloadedError):
            await pool.result("b", lambda: 1)
        with pytest.raises(OverloadedError):
            pool.in_background([lambda: None])

    asyncio.run(scene())


def test_what_cannot_be_done_in_time_is_refused_at_once_until_a_thread_is_free() -> None:
    """An artificial slow painter, which takes as long as the gate is shut."""
    pool = Pool(1, waiting=9, seconds=0.2)

    async def scene() -> None:
        gate, first = await held(pool)
        late = await enter(pool, "late", [])
        for task in (first, late):
            with pytest.raises(OverloadedError) as caught:  # begun or not
                await task
            assert 1 <= caught.value.retry_after <= 60
        assert pool.waiting == 0
        await asyncio.sleep(0.3)  # the painter shows how slow it is
        refused = pool.result("more", lambda: 1, client="other")
        with pytest.raises(OverloadedError):
            refused.send(None)  # at its first step: nothing is waited for
        gate.opened.set()
        while pool.busy:
            await asyncio.sleep(0.01)
        pool._patience = PATIENCE  # on machines as busy as they like
        assert await pool.result("gate", lambda: "made") == "made"

    try:
        asyncio.run(scene())
    finally:
        pool.close()


def test_a_timeout_of_the_works_own_stays_what_it_is() -> None:
    pool = Pool(1, waiting=9, seconds=PATIENCE)

    def fail() -> None:
        raise TimeoutError("a disk")

    try:
        with pytest.raises(TimeoutError, match="a disk"):
            asyncio.run(pool.result("bad", fail))
    finally:
        pool.close()


def test_parts_of_a_closed_pool_are_left() -> None:
    pool = Pool(1, waiting=3)
    done: list[int] = []

    def part(k: int) -> None:
        done.append(k)
        end = threading.Thread(target=pool.close, kwargs={"patience": 0})
        end.start()
        end.join()

    async def scene() -> None:
        with pytest.raises(OverloadedError):
            await pool.result(
                "work", lambda: pool.side_by_side([lambda k=k: part(k) for k in range(9)])
            )

    asyncio.run(scene())
    assert done == [0]
