"""What experiments are made of, by name: data sets and trained models, shared between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reproduce.budgets import Budget


class Supplies(Protocol):
    """What a data set may be made from: the part of a workshop that it sees."""

    budget: Budget

    def data(self, dataset: Dataset) -> Path:
        """The path of another one's pictures."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Pictures to train on and to compare with.

    Attributes:
        name: of its file in the workshop.
        command: of `creps data` that makes the small one, without --count and --out:
            ("portraits", "--size", "128"); or `derive` does.
        count: of its pictures.
        derive: makes the small one itself, or from another one: called with the workshop and the
            path to write.
        paper: what the paper has, for people: the paper's budget asks for it by `--data NAME=PATH`.
    """

    name: str
    paper: str
    command: tuple[str, ...] = ()
    count: int = 0
    derive: Callable[[Supplies, Path], None] | None = None


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
        name: of its run in the workshop; the same name is the same model in every experiment.
        data: trained on.
        small, paper: the training at the small and at the paper's budget; at the small one also
            the name of a packaged model, which is taken as it is.
        start: the model that it goes on from; None: from nothing.
    """

    name: str
    data: Dataset
    small: Training | str
    paper: Training
    start: Model | None = None
