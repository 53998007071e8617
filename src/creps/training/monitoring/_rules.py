"""Rules that turn the numbers of a run into findings: the game, its penalties, its samples.

The thresholds come from runs of this project at 32 px (relativistic loss, R1 + R2) and from what
the papers report; they are wide, and say "note" long before "problem".

- The gap, the mean logit of real pictures less that of generated ones: runs that learn lie between
  0.1 and 1, a fresh start is at 1 to 3 for some thousand images. At 0.03 the discriminator's loss
  is that of guessing, log 2, and the generator gets hardly any direction.
- The spread of generated pictures is about that of real ones once they look alike.
- ADA above a strength of 0.8 begins to leak into the samples (Karras et al. 2020, section 3.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from creps.training._config import TrainConfig
from creps.training.monitoring._log import Line

# What there is to say about a run: a level, a topic, what is seen and what to try.


Level = Literal["fine", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """One thing to say about a run.

    Attributes:
        level: "fine", "note" (worth knowing, may be no mistake) or "problem".
        topic: one or two words.
        text: what is seen, with its numbers.
        advice: settings to change; empty where nothing is to be done.
    """

    level: Level
    topic: str
    text: str
    advice: str = ""

    def line(self) -> str:
        """Text and advice in one line."""
        return f"{self.text}; try {self.advice}" if self.advice else self.text


def amount(value: float) -> str:
    """A number in three digits, large ones in full.

    Example:
        >>> amount(0.012345), amount(1234567.0), amount(3.0)
        ('0.0123', '1,234,567', '3')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


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


# The numbers of a run over the images it has seen.


Series = NDArray[np.float64]

RECENT_SHARE = 0.1
RECENT_LINES = 10
"""Recent is the last tenth of the lines that hold a number, and no fewer than these."""


class History:
    """Lines of a log as series.

    Args:
        lines: oldest first.
    """

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
        """Images seen (N,) and numbers (N, K), of the lines that hold all K names.

        Args:
            names: K of them.
            since: only lines with more images than that.
        """
        rows = [
            [line["images"], *(line[name] for name in names)]
            for line in self.lines
            if line["images"] > since and all(name in line for name in names)
        ]
        table = np.array(rows, np.float64).reshape(len(rows), 1 + len(names))
        return table[:, 0], table[:, 1:]

    def recent(self, name: str) -> float | None:
        """Mean of the last tenth; None if the number was never there."""
        values = self.series(name)[1]
        return float(values[-recent_count(len(values)) :].mean()) if len(values) else None

    def earlier(self, name: str) -> float | None:
        """Mean of as many lines as `recent` takes, about two fifths of the run before them.

        None where the run is too short for the two to be apart.
        """
        values = self.series(name)[1]
        count = recent_count(len(values))
        end = len(values) - 4 * count
        return float(values[end - count : end].mean()) if end >= count > 0 else None

    def gap(self) -> History:
        """The same with "gap" in the lines: how far apart the mean logits are."""
        lines = [
            {**line, "gap": line["logits/real"] - line["logits/fake"]}
            if "logits/real" in line and "logits/fake" in line
            else line
            for line in self.lines
        ]
        return History(lines)


def recent_count(count: int) -> int:
    """How many of so many lines are recent."""
    return min(count, max(round(RECENT_SHARE * count), RECENT_LINES))


SETTLED_IMAGES = 4_000
"""Nothing is said about the game before: every start looks ill."""
WEAK_GAP, GUESSING_GAP = 0.15, 0.05
WIDE_GAP, RUNAWAY_GAP = 6.0, 20.0
FEW_PICTURES = 30_000
"""Sets below this size want augmentation (Karras et al. 2020, figure 1)."""
LOW_SPREAD, LOST_SPREAD = 0.5, 0.1
LEAKING_STRENGTH = 0.8
HEAVY_PENALTY = 10.0
"""Times the discriminator's loss."""
GROWN = 30.0
"""Times its earlier size."""
SOME_BROKEN, MANY_BROKEN = 0.001, 0.05
WORSE = 1.1
"""Times the best distance."""

Rule = Callable[[History, TrainConfig, int], Iterator[Finding]]


def examine(history: History, config: TrainConfig, *, pictures: int) -> list[Finding]:
    """All that the rules have to say.

    Args:
        history: of the run.
        config: its settings.
        pictures: of its training set.
    """
    history = history.gap()
    rules: tuple[Rule, ...] = (
        _finite,
        _balance,
        _penalties,
        _gradients,
        _variety,
        _augmentation,
        _distance,
    )
    return [finding for rule in rules for finding in rule(history, config, pictures)]


def _finite(history: History, config: TrainConfig, pictures: int) -> Iterator[Finding]:
    for line in reversed(history.lines):
        broken = [name for name, value in line.items() if not math.isfinite(value)]
        if broken:
            yield Finding(
                "problem",
                "numbers",
                f"{broken[0]} is {line[broken[0]]} at step {line['step']:.0f}: the run diverged",
                "a new run with a smaller optimizer.learning_rate or a larger loss.r1_gamma"
                + (", or with precision=float32" * (config.precision == "float16")),
            )
            return


def _balance(history: History, config: TrainConfig, pictures: int) -> Iterator[Finding]:
    gap, before = history.recent("gap"), history.earlier("gap")
    warm = config.discriminator_warmup * config.batch
    if gap is None or not math.isfinite(gap) or history.images < warm + SETTLED_IMAGES:
        return
    seen = f"logits of real and generated pictures are {amount(gap)} apart"
    if before is not None:
        seen += f" (earlier {amount(before)})"
    if gap < WEAK_GAP:
        yield _weak(gap, before, seen, config)
    elif gap > WIDE_GAP:
        gamma = config.loss.r1_gamma
        advice = f"a new run with loss.r1_gamma={3 * gamma if gamma else 1:.2g}"
        if pictures < FEW_PICTURES and config.augment.kind == "none":
            advice += f" or --augment ada: {pictures:,} pictures can be known by heart"
        level: Level = "problem" if gap > RUNAWAY_GAP else "note"
        yield Finding(level, "balance", f"the discriminator is far ahead: {seen}", advice)
    else:
        yield Finding("fine", "balance", seen)


def _weak(gap: float, before: float | None, seen: str, config: TrainConfig) -> Finding:
    """What to say of a small gap."""
    if before is not None and gap > 1.25 * before:
        return Finding("note", "balance", f"the discriminator is weak, and gains: {seen}", "wait")
    advice = f"a run --from this one with {weaker_penalties(config)}"
    if gap < GUESSING_GAP:
        text = f"the discriminator is guessing: {seen}, the generator learns next to nothing"
        return Finding("problem", "balance", text, advice)
    if gap < WEAK_GAP / 2 or (before is not None and gap < before / 1.5):
        return Finding("note", "balance", f"the discriminator is weak: {seen}", advice)
    return Finding("fine", "balance", seen)


def _penalties(history: History, config: TrainConfig, pictures: int) -> Iterator[Finding]:
    loss = history.recent("loss/discriminator")
    for kind, gamma in (("r1", config.loss.r1_gamma), ("r2", config.loss.r2_gamma)):
        now, before = (f(f"penalty/{kind}") for f in (history.recent, history.earlier))
        if now is None or loss is None or not math.isfinite(now):
            continue
        weighed = gamma / 2 * now
        text = f"{kind.upper()} is {amount(now)}, {amount(weighed)} with its weight, "
        text += f"beside a loss of {amount(loss)}"
        if before is not None and now > GROWN * before:
            text += f"; earlier it was {amount(before)}"
            advice = "a new run with a smaller optimizer.learning_rate"
            yield Finding("problem", "penalties", text, advice)
        elif weighed > HEAVY_PENALTY * max(loss, 1e-3) and history.images > SETTLED_IMAGES:
            yield Finding("note", "penalties", text, f"a smaller loss.{kind}_gamma")
        else:
            yield Finding("fine", "penalties", text)


def _gradients(history: History, config: TrainConfig, pictures: int) -> Iterator[Finding]:
    for network in ("generator", "discriminator"):
        broken = history.recent(f"broken/{network}") or 0.0
        norm, before = (f(f"gradient/{network}") for f in (history.recent, history.earlier))
        if broken > SOME_BROKEN:
            yield Finding(
                "problem" if broken > MANY_BROKEN else "note",
                "gradients",
                f"{broken:.2%} of the {network}'s gradient is not finite and was replaced",
                "precision=bfloat16 or float32, or clamps of 256 in both networks"
                if config.precision == "float16"
                else "a smaller optimizer.learning_rate",
            )
        elif norm is not None and before is not None and norm > GROWN * before:
            text = f"the {network}'s gradient has grown from {amount(before)} to {amount(norm)}"
            yield Finding("note", "gradients", text, "a smaller optimizer.learning_rate")


def _variety(history: History, config: TrainConfig, pictures: int) -> Iterator[Finding]:
    if history.images < SETTLED_IMAGES:
        return
    for name, what in (("spread", "each other"), ("nearest", "their nearest neighbours")):
        fake, real = history.recent(f"{name}/fake"), history.recent(f"{name}/real")
        if fake is None or real is None or not real > 0 or not math.isfinite(fake):
            continue
        ratio = fake / real
        text = f"generated pictures differ {ratio:.2f} times as much from {what} as real ones do"
        if ratio < LOST_SPREAD:
            yield Finding("problem", "variety", f"collapse: {text}", collapse_advice(config))
        elif ratio < LOW_SPREAD:
            advice = "watch it; if it falls on, " + collapse_advice(config)
            yield Finding("note", "variety", text, advice)
        else:
            yield Finding("fine", "variety", text)


def _augmentation(history: History, config: TrainConfig, pictures: int) -> Iterator[Finding]:
    strength = history.recent("augment/strength")
    if strength is None:
        return
    if strength > LEAKING_STRENGTH:
        yield Finding(
            "note",
            "augmentation",
            f"ADA is at a strength of {strength:.2f}: transforms may show up in samples",
            f"more pictures than {pictures:,}, --mirror, or a start --from a trained model",
        )
    else:
        yield Finding("fine", "augmentation", f"ADA is at a strength of {strength:.2f}")


def _distance(history: History, config: TrainConfig, pictures: int) -> Iterator[Finding]:
    for name in history.names():
        if not name.startswith("fd_"):
            continue
        images, values = history.series(name)
        scores = values[:, 0]
        best, last = int(np.argmin(scores)), float(scores[-1])
        text = f"{name} is {amount(last)}"
        if last > WORSE * scores[best] and best < len(scores) - 3:
            text += f", and was {amount(float(scores[best]))} at {images[best]:,.0f} images"
            advice = "stop, or --augment ada in a run --from this one: it may know the set by heart"
            yield Finding("note", "distance", text, advice)
        else:
            yield Finding("fine", "distance", text)


def weaker_penalties(config: TrainConfig) -> str:
    """Settings for a discriminator that is held back."""
    loss = config.loss
    if not loss.r1_gamma:
        return "a wider discriminator (discriminator.channel_max)"
    other = f" loss.r2_gamma={loss.r2_gamma / 3:.2g}" if loss.r2_gamma else ""
    return f"loss.r1_gamma={loss.r1_gamma / 3:.2g}{other}"


def collapse_advice(config: TrainConfig) -> str:
    """What to change about a run whose samples are all alike."""
    gamma, rate = config.loss.r1_gamma, config.optimizer.learning_rate
    advice = f"a new run with loss.r1_gamma={3 * gamma if gamma else 1:.2g}"
    if config.loss.kind != "relativistic":
        advice += " or --loss relativistic"
    return advice + f", or optimizer.learning_rate={rate / 2:.2g}"
