"""What there is to say about a run: a level, a topic, what is seen and what to try."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
