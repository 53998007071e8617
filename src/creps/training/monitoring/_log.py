"""The journal of a run: lines of numbers in RUN/log.jsonl, and whoever else wants them."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from creps._files import write_atomically
from creps.errors import CrepsError
from creps.rendering._painter import Picture
from creps.training._config import TrainConfig
from creps.training._engine import Stats
from creps.training._state import TrainState
from creps.training.monitoring._loggers import Logger

# How much memory a run takes.


def memory_used(device: torch.device) -> float | None:
    """Gigabytes (10**9 bytes): on a GPU the most that was reserved on it, else this process's own.

    Returns:
        None where the system does not tell.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 1e9
    return _resident()


def _resident() -> float | None:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        import resource

        return pages * resource.getpagesize() / 1e9
    except (OSError, ValueError, IndexError, ImportError):
        return _largest_resident()


def _largest_resident() -> float | None:
    """Where there is no /proc: the most there was; Windows has no such module."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


Line = dict[str, float]


class Journal:
    """Lines of numbers, each of a step; kept in a file, in memory, and told to loggers.

    Args:
        path: the file; lines beyond the step the run resumes at are dropped.
        config: the run.
        first_step: where the run goes on.
        loggers: told everything too.
    Attributes:
        lines: all there are, those of before a stop included, oldest first.
    """

    def __init__(
        self, path: Path, config: TrainConfig, *, first_step: int, loggers: Sequence[Logger] = ()
    ) -> None:
        self.path, self.batch, self.loggers = path, config.batch, loggers
        self.lines: list[Line] = []
        if path.exists():
            self.lines = [line for line in read_lines(path) if line["step"] <= first_step]
            write_atomically(path, "".join(map(_as_text, self.lines)).encode())

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append a line."""
        line = {"step": step, "images": step * self.batch, **values}
        self.lines.append(line)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_as_text(line))
        for logger in self.loggers:
            logger.numbers(step, {name: line[name] for name in line if name != "step"})

    def show(self, step: int, name: str, picture: Picture) -> None:
        """Pass a picture on to the loggers."""
        for logger in self.loggers:
            logger.picture(step, name, picture)

    def known(self, names: Iterable[str], *, within: int = 10) -> Line:
        """The newest of each of some numbers, as far as one of the last lines holds it."""
        merged: Line = {}
        for line in self.lines[-within:]:
            merged |= line
        return {name: merged[name] for name in names if name in merged}

    def close(self) -> None:
        """Let the loggers finish."""
        for logger in self.loggers:
            logger.close()


class Log:
    """One line every `log_every` steps: means since the last line, pace, time, memory.

    Args:
        journal: takes the lines.
        config: the run.
    Raises:
        CrepsError: from `after_step` when a value is no longer finite.
    """

    def __init__(self, journal: Journal, config: TrainConfig) -> None:
        self.journal, self.config = journal, config
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.last: tuple[float, int] | None = None  # time and step of the line before
        before = [line["seconds"] for line in journal.lines if "seconds" in line]
        self.seconds = before[-1] if before else 0.0
        self.started = time.monotonic()

    def after_step(self, state: TrainState, stats: Stats) -> None:
        """Collect the step's scalars and write a line when one is due."""
        if self.last is None:
            self.last = self.started, state.step - 1
        for name, value in stats.items():
            self.sums[name] = self.sums.get(name, 0) + value
            self.counts[name] = self.counts.get(name, 0) + 1
        if state.step % self.config.log_every == 0:
            self._write(state, *self.last)

    def at_end(self, state: TrainState) -> None:
        """Nothing: unfinished means belong to steps that are logged after resuming."""

    def _write(self, state: TrainState, then: float, step: int) -> None:
        values = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        now = time.monotonic()  # once the device has worked off what the values waited for
        self.last = now, state.step
        values["images_per_second"] = (
            (state.step - step) * self.config.batch / max(now - then, 1e-9)
        )
        values["seconds"] = self.seconds + now - self.started
        memory = memory_used(state.device)
        if memory is not None:
            values["memory_gb"] = memory
        self.journal.write(state.step, values)
        broken = [name for name, value in values.items() if not math.isfinite(value)]
        if broken:
            raise CrepsError(
                f"{broken[0]} is {values[broken[0]]} at step {state.step}: the run has diverged; "
                f"the last snapshot is kept, start a new run with {divergence_advice(self.config)}"
            )


def divergence_advice(config: TrainConfig) -> str:
    """What to change about a run whose numbers grew without bounds."""
    loss, rate = config.loss, config.optimizer.learning_rate
    advice = (
        f"a larger loss.r1_gamma (now {loss.r1_gamma:g}) "
        f"or a smaller optimizer.learning_rate (now {rate:g})"
    )
    if config.precision == "float16":
        advice += ", or with precision=float32"
    return advice


def read_lines(path: Path) -> list[Line]:
    """The lines of a log, oldest first; one cut short by a kill is left out.

    Raises:
        OSError: if it cannot be read.
    """
    lines: list[Line] = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            line = {name: float(value) for name, value in json.loads(text).items()}
            line["step"], line["images"] = int(line["step"]), int(line["images"])
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            continue
        lines.append(line)
    return lines


def _as_text(line: Mapping[str, float]) -> str:
    return json.dumps({name: _rounded(value) for name, value in line.items()}) + "\n"


def _rounded(value: float) -> Any:
    """Six significant digits; JSON has no word for not-a-number, so those become text."""
    if isinstance(value, int):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else str(value)
