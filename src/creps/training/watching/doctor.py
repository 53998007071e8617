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
from creps.training.config import TrainConfig
from creps.training.snapshots import snapshots
from creps.training.watching.findings import Finding, duration
from creps.training.watching.history import History
from creps.training.watching.journal import read_lines
from creps.training.watching.rules import examine

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
