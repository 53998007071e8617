"""Progress of long work: a bar on a terminal, a line now and then in a log file."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from creps.errors import CrepsError, printable

FULL = (errno.ENOSPC, errno.EDQUOT)
"""How systems say that a disk, or one's share of it, is full."""

LOG_EVERY = 60.0
"""Seconds between two lines where stderr is not a terminal: short work says nothing."""


@contextmanager
def resumable(kept: Callable[[], str | None]) -> Iterator[None]:
    """Ctrl-C or a full disk in the block is an error of one line that says what is kept.

    Args:
        kept: says so, such as "2 of 4 frames are in clip.mp4.frames"; None where nothing is.
    """
    try:
        yield
    except (KeyboardInterrupt, OSError) as error:
        stop = "interrupted"
        if isinstance(error, OSError):
            stop = f"{error.filename}: {error.strerror}"
            if error.errno not in FULL:
                raise
        if (words := kept()) is None:
            raise
        raise CrepsError(f"{stop}: {words}, the same command resumes") from None


class Report:
    """Takes what is done and shows it; made by `report`.

    Attributes:
        share: of the work, 0 to 1, as last reported.
    """

    def __init__(self, bar: Progress, what: str, *, unit: str | None, per_unit: float) -> None:
        self.share = 0.0
        self._bar, self._unit, self._per_unit = bar, unit, per_unit
        self._what = what
        self._task = bar.add_task(what, total=None, rate="")
        self._first: float | None = None
        self._done = 0.0
        self._started = self._told = time.perf_counter()

    def __call__(self, done: float, total: float) -> None:
        """Report the progress; the first call may include earlier work.

        Where less is done than before, other work has begun.
        """
        now = time.perf_counter()
        if self._first is None or done < self._done:
            self._first, self._started = done, now
        self._done, self.share = done, done / max(total, 1)
        pace = (done - self._first) / max(now - self._started, 1e-9)
        rate = ""
        if self._unit is not None and pace:
            rate = f"{pace / self._per_unit:.2f} {self._unit}/s"
        self._bar.update(self._task, completed=done, total=total, rate=rate)
        if self._bar.disable and now - self._told >= LOG_EVERY and pace:
            self._told = now
            left = (total - done) / pace / 60
            facts = [f"{self.share:.0%}", *filter(None, [rate]), f"{left:.0f} min left"]
            self.say(f"{self._what}: {', '.join(facts)}")

    def part(self, index: int, count: int) -> Callable[[int, int], None]:
        """Takes the progress of one of `count` equal parts of the work."""
        return lambda done, total: self(index + done / total, count)

    def describe(self, what: str) -> None:
        """Name what is being done now."""
        self._what = what
        self._bar.update(self._task, description=what)

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self._bar.console.print(printable(line), highlight=False, markup=False, soft_wrap=True)


@contextmanager
def report(what: str, *, unit: str | None = "MP", per_unit: float = 1e6) -> Iterator[Report]:
    """Show on stderr how far the work of the block is; nothing of it stays.

    Args:
        what: is being done.
        unit, per_unit: of the pace: `per_unit` of the things counted make one unit. None shows no
            pace.
    Yields:
        a function of (done, total).
    """
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %  {task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,  # there, rich would leave an empty line behind
    ) as bar:
        yield Report(bar, what, unit=unit, per_unit=per_unit)
