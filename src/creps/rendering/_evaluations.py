"""How many pixels were painted, and how many of them the model evaluated."""

from __future__ import annotations

import threading


class Evaluations:
    """A count that any number of threads may add to.

    Attributes:
        evaluated: pixels that the model evaluated.
        painted: pixels that were painted.
    """

    def __init__(self) -> None:
        self.evaluated = self.painted = 0
        self._lock = threading.Lock()

    def add(self, evaluated: int, painted: int) -> None:
        """Count some more."""
        with self._lock:
            self.evaluated += evaluated
            self.painted += painted

    @property
    def share(self) -> float | None:
        """Evaluated pixels over painted ones; None before the first.

        Slightly above 1 at most: the borders of blocks are evaluated with each of them.
        """
        return self.evaluated / self.painted if self.painted else None

    def __str__(self) -> str:
        """Such as "4.2 % of the pixels evaluated"."""
        share = min(self.share or 0.0, 1.0)
        return f"{100 * share:.{0 if share > 0.995 else 1}f} % of the pixels evaluated"
