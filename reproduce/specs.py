"""What is made, by name: budgets, data sets and trained models, shared between experiments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from creps.errors import UsageError, nearest


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much is spent on an experiment.

    Attributes:
        name: "small", "paper" or "trial".
        pictures: of each set that a distance is measured between.
        probes: seeds of consistency and equivariance.
        extractor: of features; "inception" fetches its weights once.
        most_images: cap on the length of trainings and the size of data sets; None: no cap.
    """

    name: str
    pictures: int
    probes: int
    extractor: str
    most_images: int | None = None

    def capped(self, count: int) -> int:
        """A number of pictures, no more than the cap."""
        return count if self.most_images is None else min(count, self.most_images)


SMALL = Budget(name="small", pictures=1000, probes=24, extractor="effnet")
"""Minutes on two CPU cores: small networks, drawn portraits, maps of the Earth."""
PAPER = Budget(name="paper", pictures=50_000, probes=10_000, extractor="inception")
"""The paper's networks and data on its GPUs: days; needs --data."""
TRIAL = Budget(name="trial", pictures=24, probes=2, extractor="effnet", most_images=64)
"""Does everything run? A minute, numbers without meaning."""
BUDGETS = {budget.name: budget for budget in (SMALL, PAPER, TRIAL)}


def budget_named(name: str) -> Budget:
    """The budget of that name.

    Raises:
        UsageError: for an unknown one.
    """
    if name not in BUDGETS:
        raise UsageError(f"unknown budget {name!r}: {nearest(name, BUDGETS)}")
    return BUDGETS[name]


class Maker(Protocol):
    """What a data set may be made with: the part of a runner that it sees."""

    budget: Budget

    def data(self, dataset: Dataset) -> Path:
        """The path of another data set."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Pictures to train on and to compare with.

    Attributes:
        name: of its file.
        paper: the paper's data, as text: with the paper's budget, pass it by `--data NAME=PATH`.
        command: of `creps data` that makes the small one, without --count and --out:
            ("portraits", "--size", "128"); or `derive` does.
        count: of its pictures.
        derive: makes the small one itself, or from another one: called with the runner and the
            path to write.
    """

    name: str
    paper: str
    command: tuple[str, ...] = ()
    count: int = 0
    derive: Callable[[Maker, Path], None] | None = None


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a model is trained: what is given to `creps train`.

    Attributes:
        preset: its recipe.
        images: pictures shown; None: as the preset has it.
        settings: changes, "loss.r1_gamma=1".
    """

    preset: str
    images: int | None = None
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Model:
    """A trained model.

    Attributes:
        name: of its run; the same name is the same model in every experiment.
        data: trained on.
        small, paper: the training at the small and at the paper's budget; at the small one also
            the name of a packaged model, which is taken as it is.
        start: the model that it starts from; None: from scratch.
    """

    name: str
    data: Dataset
    small: Training | str
    paper: Training
    start: Model | None = None

    def training(self, budget: Budget) -> Training | str:
        """The one of a budget."""
        return self.paper if budget.name == "paper" else self.small
