"""The doctor: reads a run's folder and reports its state.

A problem is what stops a run too: numbers that are not finite, generated pictures that are all
alike, a discriminator that is guessing, gradients that are not finite. The bounds are settings of
the run (`watch`). Everything else is reported as it is.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from creps.metrics._extractors import has_effnet
from creps.training._config import TrainConfig, stored_settings
from creps.training._presets import recommended, whole_run
from creps.training._state import Trained, snapshots, step_of
from creps.training.monitoring._log import Line, read_lines

Level = Literal["fine", "note", "problem"]
Series = NDArray[np.float64]

_SETTLED_IMAGES = 4_000
"""Before this many images only numbers that are not finite count as problems: fresh
networks paint alike and guess."""
_EARLY_SHARE = 0.04
"""Of the images that a preset shows, below which pictures are blotches: with `small-32` faces are
recognizable after some 18,000 of 400,000."""
_FEWEST_LINES = 5
"""Of the log that must agree on a problem."""
_MANY_BROKEN = 0.05
"""Share of a gradient that is not finite above which a network cannot learn."""
NETWORKS: dict[Trained, str] = {
    "generator": "generator",
    "discriminator": "discriminator",
    "projected": "projected discriminator",
}
"""Those whose gradients the log tells of, in words."""
_RECENT_SHARE, _RECENT_LINES = 0.1, 10
"""Recent is the last tenth of the lines that hold a number, and no fewer than these."""
_SMALL_SIDE = 64
"""Pixels a side up to which frozen features were measured to help (docs/training.md)."""
_SILENT_LINES, _SILENT_SECONDS = 20, 300.0
"""A run that has not logged for the time of this many lines, and this long, counts as stopped."""


@dataclass(frozen=True)
class RunFinding:
    """One thing to say about a run: what is seen, and advice where something is to be done."""

    level: Level
    topic: str
    text: str
    advice: str = ""


@dataclass(frozen=True, kw_only=True)
class RunDiagnosis:
    """How the run in a folder is doing; `data` is what it knows of its training set."""

    run: Path
    config: TrainConfig
    data: dict[str, Any]
    history: History
    findings: list[RunFinding]

    @property
    def healthy(self) -> bool:
        """Whether nothing is a problem."""
        return all(finding.level != "problem" for finding in self.findings)

    @property
    def state(self) -> str:
        """All of it in a few words."""
        if not self.healthy:
            return "unhealthy"
        early = _share_of_whole(self.history.images, self.config) < _EARLY_SHARE
        return "nothing is wrong, but too early to judge" if early else "healthy"

    def record(self) -> dict[str, Any]:
        """The diagnosis as JSON types."""
        return {
            "run": str(self.run),
            "healthy": self.healthy,
            "state": self.state,
            "step": self.history.step,
            "images": self.history.images,
            "of_images": self.config.steps * self.config.batch,
            "findings": [vars(finding) for finding in self.findings],
        }


class History:
    """Lines of a log, oldest first, as series."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = lines

    @property
    def step(self) -> int:
        """Of the last line; 0 without any."""
        return int(self.lines[-1]["step"]) if self.lines else 0

    @property
    def images(self) -> int:
        """Seen at the last line; 0 without any."""
        return int(self.lines[-1]["images"]) if self.lines else 0

    def names(self) -> list[str]:
        """Of the numbers, in the order in which they turn up first."""
        return list(dict.fromkeys(name for line in self.lines for name in line))

    def series(self, *names: str, since: float = 0) -> tuple[Series, Series]:
        """Images seen (N,) and numbers (N, K) of the lines with K names, after `since` images."""
        rows = [
            [line["images"], *(line[name] for name in names)]
            for line in self.lines
            if line["images"] > since and all(name in line for name in names)
        ]
        table = np.array(rows, np.float64).reshape(len(rows), 1 + len(names))
        return table[:, 0], table[:, 1:]

    def recent(self, name: str) -> float | None:
        """Mean of the last tenth; None if the number was never there, or is not finite there."""
        values = self.series(name)[1]
        count = max(round(_RECENT_SHARE * len(values)), _RECENT_LINES)
        mean = float(values[-count:].mean()) if len(values) else math.nan
        return mean if math.isfinite(mean) else None


def diagnose_run(run: Path) -> RunDiagnosis:
    """Examine the folder of a run, running or not.

    Raises:
        CheckpointError: if it holds no run, or a damaged one.
    """
    config, data = stored_settings(run)
    log = run / "log.jsonl"
    history = History(read_lines(log) if log.exists() else [])
    findings = [_progress(history, config)]
    if history.lines:
        findings += [found] if (found := length(history.images, config)) else []
        findings += [_pace(history, config), _activity(log, history, config), _saved(run, history)]
        findings += examine(history, config)
        findings += _teachers(config)
    return RunDiagnosis(run=run, config=config, data=data, history=history, findings=findings)


def examine(history: History, config: TrainConfig) -> list[RunFinding]:
    """What the numbers of a run say: problems first, then how its networks are doing."""
    findings = list(_diverged(history, config))
    recent = max(round(_RECENT_SHARE * len(history.lines)), _RECENT_LINES)
    since = history.lines[-recent - 1]["images"] if len(history.lines) > recent else 0
    if history.images >= _SETTLED_IMAGES + config.discriminator_warmup * config.batch:
        findings += problems(history, config, since=since)
    told = {finding.topic for finding in findings}
    return findings + [found for found in _state(history) if found.topic not in told]


def collapse(history: History, config: TrainConfig, *, since: float) -> RunFinding | None:
    """A problem in all lines after `since` images, if these are `watch.patience` images or more."""
    since = max(since, config.discriminator_warmup * config.batch)
    if history.images - since < config.watch.patience:
        return None
    return next(problems(history, config, since=since), None)


def problems(history: History, config: TrainConfig, *, since: float) -> Iterator[RunFinding]:
    """Ways in which a run has looked collapsed in all lines after `since` images."""
    watch, loss = config.watch, config.loss
    over = f"over the last {history.images - since:,.0f} images"
    _, spreads = history.series("spread/fake", "spread/real", since=since)
    if len(spreads) >= _FEWEST_LINES:
        share = float(np.max(spreads[:, 0] / np.maximum(spreads[:, 1], 1e-9)))
        if share < watch.min_spread:
            text = f"generated pictures are all alike {over}: they differ {share:.3f} times as much"
            advice = f"a new run with {_steadier(config)}"
            advice += " or --loss relativistic" * (loss.kind == "nonsaturating")
            yield RunFinding("problem", "diversity", f"{text} as real ones", advice)
    for network, name in NETWORKS.items():
        _, broken = history.series(f"broken/{network}", since=since)
        if len(broken) >= _FEWEST_LINES and broken.min() > _MANY_BROKEN:
            text = f"the {name}'s gradient is not finite {over}: it cannot learn"
            advice = "a new run with a smaller optimizer.learning_rate or precision=float32"
            yield RunFinding("problem", "gradients", text, advice)
    _, logits = history.series("logits/real", "logits/fake", since=since)
    if len(logits) >= _FEWEST_LINES:
        gap = float((logits[:, 0] - logits[:, 1]).mean())
        if gap < watch.min_gap:
            text = f"the discriminator is guessing {over}: logits are {gap:.3g} apart"
            advice = f"a run --from this one with a smaller loss.r1_gamma (now {loss.r1_gamma:g})"
            yield RunFinding("problem", "balance", text, advice)


def length(images: int, config: TrainConfig) -> RunFinding | None:
    """How far a run of so many images is from what its preset needs; None if that is not known."""
    whole = whole_run(config)
    if whole is None:
        return None
    name, needed = whole
    share = _share_of_whole(images, config)
    percent = f"{100 * share:.2g}" if share < 0.1 else f"{100 * share:.0f}"
    text = f"{images:,} images are {percent} % of the {needed:,} that {name} shows"
    if name != config.preset:
        advice = f"--preset {recommended(name)} and another --out"
        return RunFinding("note", "length", f"{text}: {config.preset} only tries things", advice)
    early = share < _EARLY_SHARE
    short = config.images < needed  # the run will not get there by itself
    advice = f"the same command with --images {needed}, which goes on from here" if short else ""
    level: Level = "note" if early and short else "fine"
    return RunFinding(level, "length", text + ": expect blotches" * early, advice)


def _share_of_whole(images: int, config: TrainConfig) -> float:
    """Of the images that its preset shows; 1 where that is not known."""
    whole = whole_run(config)
    return 1.0 if whole is None else images / whole[1]


def divergence_advice(config: TrainConfig) -> str:
    """What to change about a run whose numbers grew without bounds."""
    rate = f"a smaller optimizer.learning_rate (now {config.optimizer.learning_rate:g})"
    advice = rate if config.loss.kind == "statistics" else f"{_steadier(config)} or {rate}"
    return advice + ", or with precision=float32" * (config.precision == "float16")


def _steadier(config: TrainConfig) -> str:
    """What to change about a run whose pictures become all alike."""
    if config.loss.kind == "statistics":
        return f"a smaller optimizer.learning_rate (now {config.optimizer.learning_rate:g})"
    return f"a larger loss.r1_gamma (now {config.loss.r1_gamma:g})"


def duration(seconds: float) -> str:
    """A time in the unit that suits it.

    Example:
        >>> duration(40), duration(600), duration(9000), duration(300000)
        ('40 s', '10 min', '2.5 h', '3.5 days')
    """
    for unit, name, places in ((86400, "days", 1), (3600, "h", 1), (60, "min", 0)):
        if seconds >= 1.5 * unit:
            return f"{seconds / unit:.{places}f} {name}"
    return f"{seconds:.0f} s"


def _diverged(history: History, config: TrainConfig) -> Iterator[RunFinding]:
    for line in reversed(history.lines):
        broken = [name for name, value in line.items() if not math.isfinite(value)]
        if broken:
            text = f"{broken[0]} is {line[broken[0]]} at step {line['step']:.0f}: the run diverged"
            yield RunFinding(
                "problem", "numbers", text, f"a new run with {divergence_advice(config)}"
            )
            return


def _state(history: History) -> Iterator[RunFinding]:
    """How the networks are doing, without a verdict."""
    real, fake = history.recent("logits/real"), history.recent("logits/fake")
    if real is not None and fake is not None:
        text = f"logits of real and generated pictures are {real - fake:.3g} apart"
        yield RunFinding("fine", "balance", text)
    for name, what in (("spread", "each other"), ("nearest", "their nearest neighbors")):
        fake, real = history.recent(f"{name}/fake"), history.recent(f"{name}/real")
        if fake is not None and real:
            text = f"generated pictures differ {fake / real:.2f} times as much from {what} as real "
            yield RunFinding("fine", "diversity", f"{text}ones do")
    for network, name in NETWORKS.items():
        broken = history.recent(f"broken/{network}")
        if broken:
            text = f"{broken:.2%} of the {name}'s gradient is not finite and was replaced"
            yield RunFinding("note", "gradients", text)
    strength = history.recent("augment/strength")
    if strength is not None:
        yield RunFinding("fine", "augmentation", f"ADA is at a strength of {strength:.2f}")
    for name in history.names():
        if name.startswith("fd_"):
            images, values = history.series(name)
            best, last = int(values[:, 0].argmin()), float(values[-1, 0])
            text = f"{name} is {last:.3g}"
            if best < len(values) - 1:
                text += f"; its best was {values[best, 0]:.3g}, at {images[best]:,.0f} images"
            yield RunFinding("fine", "distance", text)


def _teachers(config: TrainConfig) -> Iterator[RunFinding]:
    """What the small networks could learn from, where it is installed."""
    pixels = config.projected.weight == 0 and config.teacher.weight == 0
    small = config.loss.kind == "relativistic" and max(config.size) <= _SMALL_SIDE
    if pixels and small and config.generator.img_channels == 3 and has_effnet():
        text = "the discriminator sees pixels alone; frozen features show shapes sooner"
        advice = f"a run --from this one with projected.weight=0.1 projected.side={_SMALL_SIDE}"
        yield RunFinding("fine", "features", text, advice)


def _progress(history: History, config: TrainConfig) -> RunFinding:
    if not history.lines:
        text = f"no line in log.jsonl yet: the first comes after {config.log_every} steps"
        return RunFinding("note", "progress", text)
    total = config.steps * config.batch
    text = f"{history.images:,} of {total:,} images, {history.images / total:.0%}"
    seconds = [line["seconds"] for line in history.lines if "seconds" in line]
    return RunFinding(
        "fine", "progress", text + (f", in {duration(seconds[-1])}" if seconds else "")
    )


def _pace(history: History, config: TrainConfig) -> RunFinding:
    _, values = history.series("images_per_second")
    paces = values[np.isfinite(values[:, 0]), 0]
    if not len(paces):
        return RunFinding("note", "pace", "the log does not hold the pace")
    recent = float(np.median(paces[-5:]))
    text = f"{recent:.3g} images/s"
    left = config.steps * config.batch - history.images
    if left > 0 and recent > 0:
        text += f", {duration(left / recent)} to go at that pace"
    return RunFinding("fine", "pace", text)


def _activity(log: Path, history: History, config: TrainConfig) -> RunFinding:
    """Whether lines still come."""
    saved = snapshots(log.parent / "snapshots")
    if saved and step_of(saved[-1]) >= config.steps:
        return RunFinding("fine", "activity", "complete")
    silent = max(time.time() - log.stat().st_mtime, 0.0)
    pace = history.recent("images_per_second") or 0.0
    usual = config.log_every * config.batch / pace if pace > 0 else math.inf
    text = f"the last line was written {duration(silent)} ago"
    if silent > max(_SILENT_LINES * usual, _SILENT_SECONDS):
        return RunFinding("note", "activity", f"stopped: {text}", "run the same command to resume")
    return RunFinding("fine", "activity", text)


def _saved(run: Path, history: History) -> RunFinding:
    """How much a kill would lose, and whether the next snapshot fits on the disk."""
    found = snapshots(run / "snapshots")
    if not found:
        text = "no snapshot yet: a kill would lose all"
        return RunFinding("note", "snapshots", text, "a smaller snapshot_every")
    step = step_of(found[-1])
    text = f"the newest is of step {step:,}, {max(history.step - step, 0):,} steps ago"
    size, free = found[-1].stat().st_size, shutil.disk_usage(run).free
    if free < size and history.step > step:
        text += f"; {free / 1e6:,.0f} MB are free, the next takes {size / 1e6:,.0f} MB"
        return RunFinding("problem", "snapshots", text, "to make room on that disk")
    return RunFinding("fine", "snapshots", text)
