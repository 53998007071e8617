"""Callbacks between the steps of a run: its log, measurements, snapshots, reasons to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from creps._devices import peak_memory
from creps.checkpoints import save
from creps.errors import CrepsError
from creps.training._engine import Stats
from creps.training._run import Callback, Run, Timer
from creps.training._state import save_snapshot, snapshots
from creps.training.monitoring._doctor import History, collapse, divergence_advice
from creps.training.monitoring._previews import Previews


def standard_callbacks(run: Run, *, data: Path) -> list[Callback]:
    """What every run has, in the order in which it must be called: broken states are not saved."""
    measured = [Evaluations(run, data=data)] if run.config.watch.evaluate_every else []
    return [LogLines(run), *measured, Previews(), Snapshots()]


class LogLines(Callback):
    """One line every `log_every` steps: means since the last line, pace, time, memory.

    Means that are unfinished at the end belong to steps that are logged after resuming.

    Raises:
        CrepsError: from `after_step` when a value is no longer finite.
    """

    def __init__(self, run: Run) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._began = time.monotonic()
        self._last = self._began, run.state.step  # time and step of the line before
        before = [line["seconds"] for line in run.log.lines if "seconds" in line]
        self._seconds = before[-1] if before else 0.0

    def after_step(self, run: Run, stats: Stats) -> None:
        """Collect the step's scalars and write a line when one is due."""
        for name, value in stats.items():
            self._sums[name] = self._sums.get(name, 0) + value
            self._counts[name] = self._counts.get(name, 0) + 1
        if run.state.step % run.config.log_every == 0:
            self._write(run)

    def _write(self, run: Run) -> None:
        values = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        self._sums, self._counts = {}, {}
        now = time.monotonic()  # once the device has computed the values
        then, step = self._last
        self._last = now, run.state.step
        seen = (run.state.step - step) * run.config.batch
        values["images_per_second"] = seen / max(now - then, 1e-9)
        values["seconds"] = self._seconds + now - self._began
        memory = memory_used(run.state.device)
        if memory is not None:
            values["memory_gb"] = memory
        run.log.write(run.state.step, values)
        for name, value in values.items():
            if not math.isfinite(value):
                raise _diverged(run, f"{name} is {value}")


def _diverged(run: Run, what: str) -> CrepsError:
    """The error of a run whose numbers are no longer finite."""
    there = snapshots(run.folder / "snapshots")
    kept = "the last snapshot is kept" if there else "nothing was saved yet"
    return CrepsError(
        f"{what} at step {run.state.step}: the run has diverged; {kept}, start a new run with "
        f"{divergence_advice(run.config)}"
    )


def memory_used(device: torch.device) -> float | None:
    """Gigabytes (10**9 bytes) at the peak: reserved on a GPU, else of this process, if known."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 1e9
    peak = peak_memory()
    return None if peak is None else peak / 1e9


class Evaluations(Callback):
    """The Frechet distance of the averaged generator, every `watch.evaluate_every` steps.

    RUN/evaluations keeps the features of the real pictures.

    Raises:
        MissingExtraError: if the packages of the extra `metrics` are missing.
        UsageError: for too few pictures.
    """

    def __init__(self, run: Run, *, data: Path) -> None:
        from creps.metrics._extractors import extractor_spec
        from creps.metrics._metrics import Protocol
        from creps.metrics._real_images import real_images

        self._cache = run.folder / "evaluations"
        self._extractor = extractor_spec("effnet")
        count = run.config.watch.evaluate_pictures
        self._protocol = Protocol(metrics=("fd",), n=count, sizes=(run.config.size,))
        self._real = real_images(
            str(data),
            channels=min(run.config.generator.img_channels, 3),  # opacity is laid on white
            keep_colors=run.config.data.keep_colors,
        )

    def after_step(self, run: Run, stats: Stats) -> None:
        """Measure when due."""
        if run.state.step % run.config.watch.evaluate_every:
            return
        from creps.metrics._evaluate import evaluate

        kept = set(self._cache.glob("*"))
        measured = evaluate(
            run.model,
            self._real,
            self._protocol,
            extractor=self._extractor,
            cache=self._cache,
            workers=0,
        )
        run.log.write(run.state.step, {value.name: value.value for value in measured.values})
        if kept:  # the real pictures' features are kept: these samples are not needed again
            for path in set(self._cache.glob("*")) - kept:
                path.unlink(missing_ok=True)


class Snapshots(Callback):
    """The state of the run and its model: every `snapshot_every` steps and at the end.

    By time too, after a minute and then every five, so that a kill costs no more where steps are
    slow.

    Raises:
        CrepsError: from both methods, if a weight is no longer finite; what was saved stays.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._timer = Timer(clock)
        self._saved_step = -1

    def after_step(self, run: Run, stats: Stats) -> None:
        """Save when due."""
        if run.state.step % run.config.snapshot_every == 0 or self._timer.due():
            self._save(run)

    def at_end(self, run: Run) -> None:
        """Save what the last snapshot does not hold yet."""
        if run.state.step != self._saved_step:
            self._save(run)

    def _save(self, run: Run) -> None:
        for name, network in run.state.networks():
            for key, tensor in network.state_dict().items():
                if not bool(torch.isfinite(tensor).all()):  # it would remove the good ones
                    raise _diverged(run, f"{name}.{key} is not finite")
        save_snapshot(run.state, run.folder / "snapshots")
        save(run.model, run.folder / "model", record=run.record)
        self._saved_step = run.state.step
        self._timer.done()


class Alarms(Callback):
    """Stops a run that has looked collapsed for `watch.patience` images.

    A resumed run is watched from where it resumes: the same command is a new chance.

    Raises:
        CrepsError: from `at_end`: what is wrong and what to change.
    """

    def __init__(self, run: Run) -> None:
        self._first_images, self._seen = run.images, len(run.log.lines)
        self._error = ""

    def after_step(self, run: Run, stats: Stats) -> None:
        """Look at new lines."""
        watch, lines = run.config.watch, run.log.lines
        if len(lines) == self._seen or not watch.stop or run.stop:
            return
        self._seen = len(lines)
        since = max(self._first_images, run.images - watch.patience)
        found = collapse(History(lines), run.config, since=since)
        if found:
            run.stop = f"stopped by an alarm ({found.topic})"
            self._error = (
                f"{run.stop}: {found.text}: try {found.advice}; "
                "all is saved, --set watch.stop=false continues anyway"
            )

    def at_end(self, run: Run) -> None:
        """Fail if this is why the run ends."""
        if self._error:
            raise CrepsError(self._error)


class TimeLimit(Callback):
    """Stops a run after a number of seconds."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds

    def after_step(self, run: Run, stats: Stats) -> None:
        """Stop it once the time is over."""
        if time.monotonic() >= self._deadline:
            run.stop = run.stop or "time limit reached"
