"""How far a run is: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

if TYPE_CHECKING:
    from creps.training.config import TrainConfig
    from creps.training.engine import Stats
    from creps.training.state import TrainState
    from creps.training.watching.journal import Journal

RATE_SECONDS = 60.0
"""The pace is that of so long."""
LINE_SECONDS = 60.0
"""Between two lines where the output is no terminal; the first comes sooner."""
FIRST_LINE_SECONDS = 15.0

SUMMARY = (
    ("generator", "loss/generator"),
    ("discriminator", "loss/discriminator"),
)
"""Numbers of the log that are shown, by what they are called."""


def progress_bar(console: Console) -> Progress:
    """The bar that `RunProgress` moves; no output where there is no terminal."""
    return Progress(
        BarColumn(bar_width=20),
        TextColumn("{task.fields[words]}"),
        console=console,
        disable=not console.is_terminal or console.quiet,
    )


class RunProgress:
    """Images seen, recent pace, time left, memory and losses.

    Args:
        progress: of `progress_bar`.
        config: the run.
        first_step: where it goes on.
        journal: whose last lines tell losses and memory.
    """

    def __init__(
        self, progress: Progress, config: TrainConfig, *, first_step: int, journal: Journal
    ) -> None:
        self.progress, self.config, self.journal = progress, config, journal
        now = time.monotonic()
        self.moments = deque([(now, first_step)])
        self.next_line = now + FIRST_LINE_SECONDS
        self.task = progress.add_task(
            "train", total=config.steps, completed=first_step, words="starting"
        )

    def after_step(self, state: TrainState, stats: Stats) -> None:
        """Move the bar, or print a line when one is due."""
        now = time.monotonic()
        self.moments.append((now, state.step))
        while len(self.moments) > 2 and now - self.moments[1][0] > RATE_SECONDS:
            self.moments.popleft()
        if not self.progress.disable:
            self.progress.update(self.task, completed=state.step, words=self.words(state.step))
        elif now >= self.next_line:
            self.next_line = now + LINE_SECONDS
            self.say(self.words(state.step))

    def at_end(self, state: TrainState) -> None:
        """Nothing."""

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self.progress.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def words(self, step: int) -> str:
        """One line about a run that has done so many steps."""
        from creps.training.watching.findings import duration

        batch, steps = self.config.batch, self.config.steps
        words = [f"{step * batch:,} of {steps * batch:,} images"]
        (then, before), (now, last) = self.moments[0], self.moments[-1]
        if last > before:
            pace = (last - before) * batch / max(now - then, 1e-9)
            words += [f"{pace:.1f} images/s", f"{duration((steps - step) * batch / pace)} left"]
        known = self.journal.known(("memory_gb", *(name for _, name in SUMMARY)))
        if "memory_gb" in known:
            words.append(f"{known['memory_gb']:.1f} GB")
        losses = [f"{called} {known[name]:.2f}" for called, name in SUMMARY if name in known]
        return "  ".join([*words, *(["loss " + ", ".join(losses)] if losses else [])])
