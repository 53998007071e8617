"""All experiments, in the papers' order."""

from __future__ import annotations

from creps.errors import UsageError, nearest
from reproduce.anyres_paper import EXPERIMENTS as ANYRES
from reproduce.cips_paper import EXPERIMENTS as CIPS
from reproduce.creps_paper import EXPERIMENTS as CREPS
from reproduce.experiment import Experiment

EXPERIMENTS: tuple[Experiment, ...] = (*CREPS, *CIPS, *ANYRES)
"""Every one there is."""


def experiments_named(name: str) -> list[Experiment]:
    """The experiment of that name; or those of a paper ("creps"), or "all".

    Raises:
        UsageError: for an unknown name, with the nearest known ones.
    """
    found = [each for each in EXPERIMENTS if name in ("all", each.paper, each.name)]
    if not found:
        names = [each.name for each in EXPERIMENTS]
        raise UsageError(f"unknown experiment {name!r}: {nearest(name, names)}")
    return found
