"""How much is spent on an experiment."""

from __future__ import annotations

from dataclasses import dataclass

from creps.errors import UsageError, nearest


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much is spent on an experiment.

    Attributes:
        name: "small", "paper" or "trial".
        about: one line.
        pictures: of each set that a distance is measured between.
        probes: seeds of consistency and equivariance.
        extractor: of features; "inception" fetches its weights once.
        most_images: cap on the length of trainings and the size of data sets; None: no cap.
    """

    name: str
    about: str
    pictures: int
    probes: int
    extractor: str
    most_images: int | None = None

    def capped(self, count: int) -> int:
        """A number of pictures, no more than the cap."""
        return count if self.most_images is None else min(count, self.most_images)


BUDGETS = {
    budget.name: budget
    for budget in (
        Budget(
            name="small",
            about="minutes on two CPU cores: small networks, drawn portraits, maps of the Earth",
            pictures=1000,
            probes=24,
            extractor="effnet",
        ),
        Budget(
            name="paper",
            about="the paper's networks and data on its GPUs: days; needs --data",
            pictures=50_000,
            probes=10_000,
            extractor="inception",
        ),
        Budget(
            name="trial",
            about="does everything run? a minute, numbers without meaning",
            pictures=24,
            probes=2,
            extractor="effnet",
            most_images=64,
        ),
    )
}


def budget_named(name: str) -> Budget:
    """The budget of that name.

    Raises:
        UsageError: for an unknown one.
    """
    if name not in BUDGETS:
        raise UsageError(f"unknown budget {name!r}: {nearest(name, BUDGETS)}")
    return BUDGETS[name]
