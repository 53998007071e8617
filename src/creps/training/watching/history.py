"""The numbers of a run over the images it has seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from creps.training.watching.journal import Line

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
