"""What `creps train` sets up to watch a run: progress, log, alarms, previews, report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from creps.errors import CrepsError

if TYPE_CHECKING:
    from creps.training.loop import Callback, StopRequest
    from creps.training.run import Run
    from creps.training.watching.alarms import Alarms
    from creps.training.watching.loggers import Logger

REFRESH_SECONDS = 30
"""After which an open report looks whether there is a newer one."""


@dataclass
class Watching:
    """A run that is watched.

    Attributes:
        callbacks: for the loop.
        say: prints a line that stays.
        alarms: None where another process of the team has them.
    """

    callbacks: list[Callback] = field(default_factory=list)
    say: Callable[[str], None] = print
    alarms: Alarms | None = None

    def raise_alarm(self) -> None:
        """Fail if an alarm stopped the run.

        Raises:
            CrepsError: what is wrong and what to change.
        """
        if self.alarms is not None and self.alarms.raised is not None:
            found = self.alarms.raised
            raise CrepsError(
                f"{found.text}: try {found.advice}; "
                "all is saved, --set watch.stop=false goes on nevertheless"
            )


@dataclass(frozen=True)
class Watched:
    """What a user wants to see of a run.

    Attributes:
        data: the training set.
        loggers: names of loggers.
        report: keep a report and open it.
    """

    data: Path
    loggers: tuple[str, ...] = ()
    report: bool = False

    @contextmanager
    def opened(
        self, console: Console, run: Run, stop: StopRequest, *, writes: bool
    ) -> Iterator[Watching]:
        """While open, a run is watched; processes that write nothing only have words.

        Raises:
            UsageError: for an unknown logger.
            MissingExtraError: if the packages of one are missing.
        """
        from creps.cli.train_progress import RunProgress, progress_bar
        from creps.training.callbacks import standard_callbacks
        from creps.training.watching.alarms import Alarms
        from creps.training.watching.journal import Journal
        from creps.training.watching.report import write_report

        if not writes:
            yield Watching(say=lambda line: None)
            return
        first = run.state.step
        journal = Journal(
            run.folder / "log.jsonl", run.config, first_step=first, loggers=self._loggers(run)
        )
        alarms = Alarms(journal, run.config, stop)
        with progress_bar(console) as bar:
            shown = RunProgress(bar, run.config, first_step=first, journal=journal)
            callbacks: list[Callback] = standard_callbacks(run, journal=journal, alarms=alarms)
            if run.config.watch.evaluate_every:
                from creps.training.watching.evaluation import Evaluations

                # Before the previews, at which the report is written.
                measured = Evaluations(run.folder, run.config, data=self.data, journal=journal)
                callbacks.insert(1, measured)
            if self.report:
                callbacks.append(_open_report(run, shown.say))
            try:
                yield Watching([*callbacks, shown], shown.say, alarms)
            except CrepsError:
                if self.report:  # the loop ends without its last words
                    write_report(run.folder)
                raise
            finally:
                journal.close()

    def _loggers(self, run: Run) -> list[Logger]:
        from creps.config import to_dict
        from creps.training.watching.loggers import open_logger

        settings = to_dict(run.config)
        names = dict.fromkeys(self.loggers)
        return [open_logger(name, run.folder, config=settings) for name in names]


def _open_report(run: Run, say: Callable[[str], None]) -> Callback:
    """Write the report as it is now and open it in the user's browser."""
    import webbrowser

    from creps.training.watching.report import Reports, write_report

    path = write_report(run.folder, refresh=REFRESH_SECONDS)
    if not webbrowser.open(path.resolve().as_uri()):
        say(f"no browser was found: open {path}")
    return Reports(run.folder, run.config, refresh=REFRESH_SECONDS)
