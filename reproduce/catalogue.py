"""All experiments, in the papers' order."""

from __future__ import annotations

from creps.errors import UsageError, nearest
from reproduce import chance
from reproduce.anyres_paper import figures as anyres_figures
from reproduce.anyres_paper import tables as anyres_tables
from reproduce.cips_paper import encodings, samples, views
from reproduce.cips_paper import tables as cips_tables
from reproduce.creps_paper import costs, inside, sizes, thick_lines
from reproduce.creps_paper import tables as creps_tables
from reproduce.experiment import PAPERS, Experiment


def _place(each: Experiment) -> tuple[int, str, int]:
    """Figures of a paper come first, each by its number."""
    kind, _, number = each.place.partition(" ")
    return PAPERS.index(each.paper), kind, int(number or 0)


EXPERIMENTS: tuple[Experiment, ...] = tuple(
    sorted(
        (
            each
            for module in (
                *(costs, inside, sizes, thick_lines, creps_tables),
                *(encodings, samples, views, cips_tables),
                *(anyres_figures, anyres_tables),
                chance,
            )
            for each in vars(module).values()
            if isinstance(each, Experiment)
        ),
        key=_place,
    )
)
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
