"""Alarms: a run that has collapsed for long is stopped, with advice."""

from __future__ import annotations

import numpy as np

from creps.training.config import TrainConfig
from creps.training.engine import Stats
from creps.training.loop import StopRequest
from creps.training.state import TrainState
from creps.training.watching.findings import Finding, amount
from creps.training.watching.history import History
from creps.training.watching.journal import Journal
from creps.training.watching.rules import MANY_BROKEN, collapse_advice, weaker_penalties

FEWEST_LINES = 5
"""Of the log, on which an alarm is based."""


class Alarms:
    """Asks the loop to stop once a run looks collapsed for `watch.patience` images.

    Args:
        journal: what is looked at.
        config: the run.
        stop: takes the request.
    Attributes:
        raised: what is wrong and what to change; None while all is well.
    """

    def __init__(self, journal: Journal, config: TrainConfig, stop: StopRequest) -> None:
        self.journal, self.config, self.stop = journal, config, stop
        self.first_images = journal.lines[-1]["images"] if journal.lines else 0
        self.seen = len(journal.lines)
        self.raised: Finding | None = None

    def after_step(self, state: TrainState, stats: Stats) -> None:
        """Look at new lines."""
        if len(self.journal.lines) == self.seen or not self.config.watch.stop:
            return
        self.seen = len(self.journal.lines)
        since = max(self.first_images, state.step * self.config.batch - self.config.watch.patience)
        found = collapse(History(self.journal.lines), self.config, since=since)
        if found and self.stop.reason is None:
            self.raised = found
            self.stop.reason = f"stopped by an alarm ({found.topic})"

    def at_end(self, state: TrainState) -> None:
        """Nothing."""


def collapse(history: History, config: TrainConfig, *, since: float) -> Finding | None:
    """What all lines after `since` images agree on, if they reach over `watch.patience`.

    A resumed run is looked at from where it goes on: the same command is a new chance.
    """
    watch = config.watch
    since = max(since, config.discriminator_warmup * config.batch)
    if history.images - since < watch.patience:
        return None
    over = f"over the last {history.images - since:,.0f} images"
    _, spreads = history.series("spread/fake", "spread/real", since=since)
    if len(spreads) >= FEWEST_LINES and watch.min_spread:
        share = np.max(spreads[:, 0] / np.maximum(spreads[:, 1], 1e-9))
        if share < watch.min_spread:
            text = f"generated pictures are all alike {over}: they differ {share:.3f} times as much"
            return Finding("problem", "collapse", f"{text} as real ones", collapse_advice(config))
    for network in ("generator", "discriminator"):
        _, broken = history.series(f"broken/{network}", since=since)
        if len(broken) >= FEWEST_LINES and broken.min() > MANY_BROKEN:
            text = f"the {network}'s gradient is not finite {over}: it cannot learn"
            advice = "a new run with a smaller optimizer.learning_rate or precision=float32"
            return Finding("problem", "gradients", text, advice)
    _, logits = history.series("logits/real", "logits/fake", since=since)
    if len(logits) >= FEWEST_LINES:
        gap = float((logits[:, 0] - logits[:, 1]).mean())
        if gap < watch.min_gap:
            text = f"the discriminator is guessing {over}: logits are {amount(gap)} apart"
            advice = f"a run --from this one with {weaker_penalties(config)}"
            return Finding("problem", "balance", text, advice)
    return None
