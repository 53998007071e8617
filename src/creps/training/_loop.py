"""The training loop: batches in, two steps, callbacks; it knows no callback by name."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from creps.training._batches import TrainingSet, load_training_batches
from creps.training._config import TrainConfig
from creps.training._distributed import ALONE, Team, Wish
from creps.training._engine import Engine, Stats
from creps.training._precision import Notice
from creps.training._state import TrainState
from creps.training._steps import train_step


class Callback(Protocol):
    """Something that watches a run."""

    def after_step(self, state: TrainState, stats: Stats) -> None:
        """Called after every step; `state.step` steps are done."""

    def at_end(self, state: TrainState) -> None:
        """Called once, when the run ends or is stopped."""


@dataclass
class StopRequest:
    """Set by a signal or a time limit; the loop ends after the step at hand."""

    reason: str | None = None


def train(
    state: TrainState,
    pictures: TrainingSet,
    config: TrainConfig,
    *,
    callbacks: Sequence[Callback],
    stop: StopRequest | None = None,
    on_broken: Callable[[str], None] = lambda name: None,
    notice: Notice = lambda line: None,
    team: Team = ALONE,
) -> None:
    """Train from `state.step` until `config.steps` steps are done or a stop is requested.

    Args:
        state: fresh or restored; changed in place.
        pictures: the training set, opened for this configuration.
        config: the run.
        callbacks: called in order after every step and once at the end; those that write belong to
            the first process of a team alone.
        stop: checked before every step; a stop of one process stops all of them.
        on_broken: told the name of each picture that cannot be decoded.
        notice: told a line for people.
        team: the processes that share each batch.
    """
    stop = stop or StopRequest()
    engine = Engine(state, config, team=team, notice=notice)
    batches = load_training_batches(
        pictures,
        config,
        first_step=state.step,
        device=state.device,
        on_broken=on_broken,
        team=team,
    )
    while state.step < config.steps and not everybody_stops(stop, team):
        stats = train_step(engine, next(batches))
        with telling_the_team(team):
            for callback in callbacks:
                callback.after_step(state, stats)
    for callback in callbacks:
        callback.at_end(state)


def everybody_stops(stop: StopRequest, team: Team) -> bool:
    """Whether a process of the team wants to stop; then all have a reason to."""
    if team.agree(Wish.GO_ON if stop.reason is None else Wish.STOP) is Wish.STOP:
        stop.reason = stop.reason or "stopped by another process"
        return True
    return False


@contextmanager
def telling_the_team(team: Team) -> Iterator[None]:
    """Let the other processes know, when they next ask, that this one failed."""
    try:
        yield
    except Exception:
        team.agree(Wish.FAIL)
        raise


@contextmanager
def stop_on_signals(stop: StopRequest) -> Iterator[None]:
    """While open, Ctrl-C and SIGTERM ask `stop` instead of breaking a step; a second one breaks."""

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.reason is not None:
            raise KeyboardInterrupt
        stop.reason = f"stopped by {signal.Signals(number).name}"

    previous: list[tuple[signal.Signals, Callable[..., object] | int | None]] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        previous.append((number, signal.signal(number, ask)))
    try:
        yield
    finally:
        for number, handler in previous:
            signal.signal(number, handler)
