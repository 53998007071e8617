"""The training loop: batches in, two steps, callbacks; it knows no callback by name."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from creps.data.patches import Pictures, load_batches
from creps.training.config import TrainConfig
from creps.training.state import TrainState
from creps.training.steps import (
    Stats,
    discriminator_step,
    generator_step,
    make_batch,
    update_average,
)


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
    pictures: Pictures,
    config: TrainConfig,
    *,
    callbacks: Sequence[Callback],
    stop: StopRequest | None = None,
    on_broken: Callable[[str], None] = lambda name: None,
) -> None:
    """Train from `state.step` until `config.steps` steps are done or a stop is requested.

    Args:
        state: fresh or restored; changed in place.
        pictures: the training set, at `config.data.detail` times the training resolution.
        config: the run.
        callbacks: called in order after every step and once at the end.
        stop: checked after every step.
        on_broken: told the name of each picture that cannot be decoded.
    """
    stop = stop or StopRequest()
    batches = load_batches(
        pictures,
        batch=config.batch,
        seed=config.seed,
        first_step=state.step,
        workers=config.data.workers,
        on_broken=on_broken,
    )
    while state.step < config.steps and stop.reason is None:
        images, labels = next(batches)
        batch = make_batch(config, state.step, images.to(state.device), labels.to(state.device))
        stats: Stats = {}
        if state.step >= config.discriminator_warmup:
            stats |= generator_step(state, batch, config)
        stats |= discriminator_step(state, batch, config)
        update_average(state, config)
        state.step += 1
        for callback in callbacks:
            callback.after_step(state, stats)
    for callback in callbacks:
        callback.at_end(state)


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
