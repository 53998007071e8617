"""The doctor: reads a run's folder and says how it is doing, in words."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from creps.config import from_dict
from creps.errors import CheckpointError, ConfigError
from creps.training._config import TrainConfig
from creps.training._engine import Stats
from creps.training._loop import StopRequest
from creps.training._snapshots import snapshots
from creps.training._state import TrainState
from creps.training.monitoring._log import Journal, read_lines
from creps.training.monitoring._rules import (
    MANY_BROKEN,
    Finding,
    History,
    amount,
    collapse_advice,
    duration,
    examine,
    weaker_penalties,
)

# Alarms: a run that has collapsed for long is stopped, with advice.


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


SLOWER = 0.6
"""Of the usual pace."""
SILENT_LINES = 20
"""A run that has not written for the time of so many lines is taken to stand still."""
SILENT_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """How a run is doing.

    Attributes:
        run: its folder.
        config: its settings.
        data: what is known of its training set ("name", "count", "fingerprint").
        history: its log.
        findings: what there is to say.
    """

    run: Path
    config: TrainConfig
    data: dict[str, Any]
    history: History
    findings: list[Finding]

    @property
    def healthy(self) -> bool:
        """Whether nothing is a problem."""
        return all(finding.level != "problem" for finding in self.findings)

    def record(self) -> dict[str, Any]:
        """The diagnosis as JSON types."""
        return {
            "run": str(self.run),
            "healthy": self.healthy,
            "step": self.history.step,
            "images": self.history.images,
            "of_images": self.config.steps * self.config.batch,
            "findings": [vars(finding) for finding in self.findings],
        }


def diagnose_run(run: Path) -> Diagnosis:
    """Examine the folder of a run, whether it still goes on or not.

    Raises:
        CheckpointError: if it holds no run, or a damaged one.
    """
    config, data = read_settings(run)
    log = run / "log.jsonl"
    history = History(read_lines(log) if log.exists() else [])
    findings = [_progress(history, config)]
    if history.lines:
        findings += [_pace(history, config), _life(log, history, config), _snapshot(run, history)]
        findings += examine(history, config, pictures=int(data.get("count", 0)))
    return Diagnosis(run=run, config=config, data=data, history=history, findings=findings)


def read_settings(run: Path) -> tuple[TrainConfig, dict[str, Any]]:
    """The settings of the run in a folder, and what is known of its data.

    Raises:
        CheckpointError: if it holds no run, or a damaged one.
    """
    path = run / "config.json"
    if not path.is_file():
        raise CheckpointError(f"{run} holds no run: expected the folder given to train as --out")
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return from_dict(TrainConfig, stored["train"]), dict(stored["data"])
    except (ValueError, KeyError, TypeError, ConfigError) as error:
        raise CheckpointError(f"{path} is damaged or of another version: {error}") from None


def _progress(history: History, config: TrainConfig) -> Finding:
    if not history.lines:
        text = f"no line in log.jsonl yet: the first comes after {config.log_every} steps"
        return Finding("note", "progress", text)
    total = config.steps * config.batch
    text = f"{history.images:,} of {total:,} images, {history.images / total:.0%}"
    seconds = [line["seconds"] for line in history.lines if "seconds" in line]
    if seconds:
        text += f", in {duration(seconds[-1])}"
    return Finding("fine", "progress", text)


def _pace(history: History, config: TrainConfig) -> Finding:
    _, values = history.series("images_per_second")
    paces = values[np.isfinite(values[:, 0]), 0]
    if not len(paces):
        return Finding("note", "pace", "the log does not tell the pace")
    recent, usual = float(np.median(paces[-5:])), float(np.median(paces))
    text = f"{recent:.3g} images/s"
    left = config.steps * config.batch - history.images
    if left > 0 and recent > 0:
        text += f", {duration(left / recent)} to go at that pace"
    if recent < SLOWER * usual:
        advice = "look for other work on this machine, a full memory, or a slow disk (data.workers)"
        return Finding("note", "pace", f"{text}; it was {usual:.3g} images/s", advice)
    return Finding("fine", "pace", text)


def _life(log: Path, history: History, config: TrainConfig) -> Finding:
    """Whether lines still come."""
    if history.step >= config.steps - config.log_every:
        return Finding("fine", "life", "complete")
    silent = max(time.time() - log.stat().st_mtime, 0.0)
    pace = history.recent("images_per_second") or 0.0
    usual = config.log_every * config.batch / pace if pace > 0 else math.inf
    text = f"the last line was written {duration(silent)} ago"
    if silent > max(SILENT_LINES * usual, SILENT_SECONDS):
        return Finding("note", "life", f"it stands still: {text}", "the same command to go on")
    return Finding("fine", "life", text)


def _snapshot(run: Path, history: History) -> Finding:
    found = snapshots(run / "snapshots")
    if not found:
        text = "no snapshot yet: a kill would lose all"
        return Finding("note", "snapshots", text, "a smaller snapshot_every")
    step = int(found[-1].stem.removeprefix("step-"))
    behind = max(history.step - step, 0)
    return Finding("fine", "snapshots", f"the newest is of step {step:,}, {behind:,} steps ago")
