"""Threads that draw: the newest request first, equal ones once, abandoned ones not at all."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import torch

from creps.errors import CrepsError

Result = TypeVar("Result")
Work = Callable[[], Any]

OLDEST_EVERY = 3
"""Every third task of a client is its oldest: none waits for ever."""
REMEMBERED = 1024
"""Clients whose last turn is remembered."""

LONGEST_RETRY = 60
"""Seconds until a client may ask again, at most."""


class OverloadedError(CrepsError):
    """Too much to do; a client may ask again in `retry_after` seconds, at most a minute."""

    def __init__(self, retry_after: float = 1) -> None:
        self.retry_after = min(math.ceil(retry_after), LONGEST_RETRY)
        super().__init__(f"too many requests at once: try again in {self.retry_after} s")


@dataclass(eq=False)
class _Task:
    """Work that a request waits for."""

    key: str
    work: Work
    client: str = ""
    future: Future[Any] = field(default_factory=Future)
    waiters: int = 1
    started: float = 0.0

    def run(self) -> None:
        """Do it; errors are raised where it is waited for."""
        try:
            self.future.set_result(self.work())
        except BaseException as error:
            self.future.set_exception(error)


class Pool:
    """Threads that draw.

    Clients take turns. Of one client, the newest task comes first, and every third time the oldest;
    work in the background comes last. Of more than `waiting` tasks the oldest of the client with
    most is dropped. A task that is not done within `seconds` is not waited for, and one that will
    not be is not taken.
    """

    def __init__(self, workers: int, *, waiting: int, seconds: float = math.inf) -> None:
        self.workers = workers
        self._limit, self._patience = waiting, seconds
        self._tasks: OrderedDict[str, _Task] = OrderedDict()  # by key, the newest last
        self._running: dict[str, _Task] = {}
        self._turns: OrderedDict[str, int] = OrderedDict()  # by client, the latest last
        self._help: deque[Work] = deque()
        self._background: deque[Work] = deque()
        self._idle = 0
        self._closed = False
        self._seconds = 0.1  # that a task takes, about
        self._condition = threading.Condition()
        self._threads = [
            threading.Thread(target=self._serve, name=f"creps-draw-{k}", daemon=True)
            for k in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Tasks that are not begun."""
        return len(self._tasks)

    @property
    def busy(self) -> int:
        """Threads that work."""
        return self.workers - self._idle

    async def result(self, key: str, work: Callable[[], Result], *, client: str = "") -> Result:
        """What `work` returns or raises; done once for all that ask for the same key meanwhile.

        Work whose requests were all cancelled is not started.

        Raises:
            OverloadedError: when it takes too long, or would; when newer tasks took its place; when
                the pool is closed.
        """
        task = self._enter(key, work, client)
        waited = None if math.isinf(self._patience) else self._patience
        try:
            async with asyncio.timeout(waited):
                result: Result = await asyncio.shield(asyncio.wrap_future(task.future))
                return result
        except TimeoutError:
            if task.future.done():  # one of the work's own
                raise
            self._abandon(task)
            raise OverloadedError(self._seconds) from None
        except asyncio.CancelledError:
            self._abandon(task)
            raise

    def side_by_side(self, parts: Iterable[Work]) -> None:
        """Run all parts of a task's work; threads that have nothing to do help.

        Raises:
            the first error of a part; the others may be done or not.
        """
        todo = deque(parts)
        errors: list[BaseException] = []
        helped = threading.Semaphore(0)

        def run_some() -> None:
            with contextlib.suppress(IndexError):  # another thread took the last one
                while not errors:
                    part = todo.popleft()
                    try:
                        if self._closed:
                            raise OverloadedError
                        part()
                    except BaseException as error:  # raised below, in the thread that asked
                        errors.append(error)

        def help_out() -> None:
            run_some()
            helped.release()

        with self._condition:
            helpers = max(min(self._idle, len(todo) - 1), 0)
            self._help.extend([help_out] * helpers)
            self._condition.notify(helpers)
        run_some()
        with self._condition:  # unanswered calls for help are withdrawn
            while help_out in self._help:
                self._help.remove(help_out)
                helpers -= 1
        for _ in range(helpers):
            helped.acquire()
        if errors:
            raise errors[0]

    def in_background(self, parts: Iterable[Work]) -> None:
        """Run all parts while no task waits, and wait for them; not for threads of the pool.

        Raises:
            whatever a part raises; OverloadedError when the pool is closed.
        """
        tasks = [_Task("", part) for part in parts]
        with self._condition:
            if self._closed:
                raise OverloadedError
            self._background.extend(task.run for task in tasks)
            self._condition.notify(len(tasks))
        for task in tasks:
            task.future.result()

    def close(self, *, patience: float | None = None) -> None:
        """End all threads after the part that each is at; tasks get an OverloadedError.

        Waits for the threads as long as `patience` says; None: for ever.
        """
        with self._condition:
            self._closed = True
            left = list(self._tasks.values())
            self._tasks.clear()
            self._condition.notify_all()
        for task in left:
            task.future.set_exception(OverloadedError())
        end = None if patience is None else time.monotonic() + patience
        for thread in self._threads:
            thread.join(None if end is None else max(end - time.monotonic(), 0))

    def _enter(self, key: str, work: Work, client: str) -> _Task:
        """The task of a key, old or new, as the newest."""
        dropped = None
        with self._condition:
            if self._closed:
                raise OverloadedError
            known = self._running.get(key) or self._tasks.get(key)
            if known is not None:
                known.waiters += 1
                if key in self._tasks:
                    self._tasks.move_to_end(key)
                return known
            if (wait := self._wait(client)) > self._patience:
                raise OverloadedError(wait - self._patience)
            task = self._tasks[key] = _Task(key, work, client)
            self._condition.notify()
            if len(self._tasks) > self._limit:
                asked = Counter(each.client for each in self._tasks.values())
                most = max(asked.values())
                dropped = next(t for t in self._tasks.values() if asked[t.client] == most)
                del self._tasks[dropped.key]
        if dropped is not None:
            seconds = 1 + int(self._limit * self._seconds / self.workers)
            dropped.future.set_exception(OverloadedError(seconds))
        return task

    def _wait(self, client: str) -> float:
        """Seconds until a new task of a client would be done, about; 0 while a thread is free.

        Of all clients one task each goes before it; what runs now takes as long as it has taken.
        """
        if len(self._running) < self.workers:
            return 0.0
        now = time.perf_counter()
        pace = max(self._seconds, min(now - task.started for task in self._running.values()))
        others = {task.client for task in self._tasks.values()} - {client}
        return pace * (len(others) + 1) / self.workers

    def _abandon(self, task: _Task) -> None:
        with self._condition:
            task.waiters -= 1
            if task.waiters == 0 and self._tasks.get(task.key) is task:
                del self._tasks[task.key]

    def _serve(self) -> None:
        """What a thread does."""
        torch.set_num_threads(1)  # the cores are shared out here
        while (work := self._next()) is not None:
            work()

    def _next(self) -> Work | None:
        """What to do now; None at the end."""
        with self._condition:
            self._idle += 1
            self._condition.wait_for(
                lambda: self._help or self._tasks or self._background or self._closed
            )
            self._idle -= 1
            if self._help:
                return self._help.popleft()
            if self._tasks:
                task = self._take()
                task.started = time.perf_counter()
                self._running[task.key] = task
                return partial(self._perform, task)
            return self._background.popleft() if self._background else None

    def _take(self) -> _Task:
        """The next task, of the client that has waited longest for a turn."""
        served = {client: place for place, client in enumerate(self._turns)}
        client = min(
            (task.client for task in self._tasks.values()), key=lambda each: served.get(each, -1)
        )
        turn = self._turns.pop(client, 0) + 1
        self._turns[client] = turn
        if len(self._turns) > REMEMBERED:
            self._turns.popitem(last=False)
        own = [key for key, task in self._tasks.items() if task.client == client]
        return self._tasks.pop(own[0 if turn % OLDEST_EVERY == 0 else -1])

    def _perform(self, task: _Task) -> None:
        """Do a task, and note how long such things take."""
        try:
            task.run()
        finally:
            with self._condition:
                self._running.pop(task.key, None)
                self._seconds += 0.1 * (time.perf_counter() - task.started - self._seconds)
