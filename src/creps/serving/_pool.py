"""Threads that draw: the newest request first, equal ones once, abandoned ones not at all."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, TypeVar

import torch

from creps.errors import CrepsError

Result = TypeVar("Result")
Work = Callable[[], Any]

OLDEST_EVERY = 3
"""Of so many tasks of a client that are begun, one is the oldest: none waits for ever."""
REMEMBERED = 1024
"""Clients whose last turn is remembered."""

LONGEST_RETRY = 60
"""Seconds that anybody is sent away for, at most."""


class OverloadedError(CrepsError):
    """More is asked for than can be done; it may be asked for again in `retry_after` seconds."""

    def __init__(self, retry_after: int = 1) -> None:
        super().__init__(f"too much is asked for at once: try again in {retry_after} s")
        self.retry_after = retry_after


class _Task:
    """Work that somebody waits for."""

    def __init__(self, key: str, work: Work, *, client: str = "") -> None:
        self.key, self.work, self.client = key, work, client
        self.future: Future[Any] = Future()
        self.waiters = 1

    def run(self) -> None:
        """Do it; nothing is raised here but where it is waited for."""
        try:
            result = self.work()
        except BaseException as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class Pool:
    """Threads that draw.

    Clients take turns. What a client looks at now comes before what was asked for earlier, but
    for every third; work in the background comes last.

    Args:
        workers: threads.
        waiting: tasks that may wait; one more drops the oldest of the client with most.
    """

    def __init__(self, workers: int, *, waiting: int) -> None:
        self.workers = workers
        self._limit = waiting
        self._tasks: OrderedDict[str, _Task] = OrderedDict()  # by key, the newest last
        self._running: dict[str, _Task] = {}
        self._turns: OrderedDict[str, int] = OrderedDict()  # by client, who was served last last
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
        """Tasks that nobody has begun."""
        return len(self._tasks)

    @property
    def busy(self) -> int:
        """Threads that work."""
        return self.workers - self._idle

    async def result(self, key: str, work: Callable[[], Result], *, client: str = "") -> Result:
        """What `work` returns or raises; done once for all who ask for the same key meanwhile.

        To be cancelled is to abandon it: work that nobody waits for is not begun.

        Args:
            key: what it is.
            work: how it is made.
            client: who asks.
        Raises:
            OverloadedError: when newer tasks have driven it out, or the pool is closed.
        """
        task = self._enter(key, work, client)
        try:
            result: Result = await asyncio.shield(asyncio.wrap_future(task.future))
            return result
        except asyncio.CancelledError:
            self._abandon(task)
            raise

    def side_by_side(self, parts: Iterable[Work]) -> None:
        """Run all parts of a task's work; threads that have nothing to do help.

        Raises:
            whatever a part raises; the others are then done or not.
        """
        todo = deque(parts)
        errors: list[BaseException] = []
        helped = threading.Semaphore(0)

        def run_some() -> None:
            while todo and not errors:
                try:
                    part = todo.popleft()
                except IndexError:  # another thread was faster
                    return
                try:
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
        for _ in range(helpers):
            if not self._withdraw(help_out):
                helped.acquire()
        if errors:
            raise errors[0]

    def in_background(self, parts: Iterable[Work]) -> None:
        """Run all parts when nobody looks at anything; waits for them. Not for threads of the pool.

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

    def close(self) -> None:
        """End all threads after what they work at; who waits gets an OverloadedError."""
        with self._condition:
            self._closed = True
            left = list(self._tasks.values())
            self._tasks.clear()
            self._condition.notify_all()
        for task in left:
            task.future.set_exception(OverloadedError())
        for thread in self._threads:
            thread.join()

    def _enter(self, key: str, work: Work, client: str) -> _Task:
        """The task of a key, old or new, as the newest."""
        driven_out = None
        with self._condition:
            if self._closed:
                raise OverloadedError
            known = self._running.get(key) or self._tasks.get(key)
            if known is not None:
                known.waiters += 1
                if key in self._tasks:
                    self._tasks.move_to_end(key)
                return known
            task = self._tasks[key] = _Task(key, work, client=client)
            self._condition.notify()
            if len(self._tasks) > self._limit:
                asked = Counter(each.client for each in self._tasks.values())
                most = max(asked.values())
                driven_out = next(t for t in self._tasks.values() if asked[t.client] == most)
                del self._tasks[driven_out.key]
        if driven_out is not None:
            seconds = 1 + int(self._limit * self._seconds / self.workers)
            driven_out.future.set_exception(OverloadedError(min(seconds, LONGEST_RETRY)))
        return task

    def _abandon(self, task: _Task) -> None:
        with self._condition:
            task.waiters -= 1
            if task.waiters == 0 and self._tasks.get(task.key) is task:
                del self._tasks[task.key]

    def _withdraw(self, helper: Work) -> bool:
        """Take back a call for help that nobody has heard; whether there was one."""
        with self._condition:
            if helper not in self._help:
                return False
            self._help.remove(helper)
            return True

    def _serve(self) -> None:
        """What a thread does."""
        torch.set_num_threads(1)  # the cores are shared out here
        while (work := self._next()) is not None:
            work()

    def _next(self) -> Work | None:
        """What to do now; None at the end."""
        with self._condition:
            self._idle += 1
            try:
                while True:
                    if self._help:
                        return self._help.popleft()
                    if self._tasks:
                        task = self._take()
                        self._running[task.key] = task
                        return lambda: self._perform(task)
                    if self._background:
                        return self._background.popleft()
                    if self._closed:
                        return None
                    self._condition.wait()
            finally:
                self._idle -= 1

    def _take(self) -> _Task:
        """The task whose turn it is: of the client who was served least lately."""
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
        started = time.perf_counter()
        try:
            task.run()
        finally:
            with self._condition:
                self._running.pop(task.key, None)
                self._seconds += 0.1 * (time.perf_counter() - started - self._seconds)
