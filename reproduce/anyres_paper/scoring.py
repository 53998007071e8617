"""Distances of the any-resolution paper: whole pictures at several sizes, and patches.

Sizes follow the network's: p is 256 px in the paper and 32 px at the small budget. Patches have p
pixels a side and are parts of pictures of 2 p to 4 p pixels, as those of FFHQ6k are (section 7.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from creps.metrics import PictureSet, frechet_distance
from creps.metrics._measurements import Columns
from creps.metrics._models import ModelRef, Size
from creps.metrics._pictures import (
    Filter,
    ModelPatches,
    ModelPictures,
    PatchPlan,
    RealPatches,
    RealPictures,
    ResampledPictures,
    resampled,
)
from reproduce.experiment import Table
from reproduce.models import BASE, PORTRAITS
from reproduce.runner import Runner
from reproduce.specs import Model

SIZES = 1, 2, 4
"""Whole pictures, in units of p: 256, 512 and 1,024 px in the paper."""
PICTURES = 500
"""Of each set, at the small budget: there are many sets."""
REAL = "real"
"""Label of real pictures among the sets."""


@dataclass(frozen=True, kw_only=True)
class ResampledPatches:
    """Patches of samples, resized as in a plan; patch i is of sample i.

    Attributes:
        drawn: the samples.
        plan: where the patches lie.
        how: Lanczos of 3 lobes, or bicubic.
    """

    drawn: ModelPictures
    plan: PatchPlan
    how: Filter = "lanczos"

    @property
    def size(self) -> Size:
        """(height, width) of a patch."""
        return self.plan.side, self.plan.side

    def picture(self, index: int) -> NDArray[np.uint8]:
        """Patch number `index`."""
        place = self.plan.place(index)
        whole = resampled(self.drawn.picture(index), place.shape, how=self.how)
        top, left = place.tile.top, place.tile.left
        return whole[top : top + place.tile.height, left : left + place.tile.width]


@dataclass(frozen=True, kw_only=True)
class Rival:
    """What paints pictures of any size.

    Attributes:
        model: the model.
        how: resizes samples of its native size; None: it paints each size.
    """

    model: ModelRef
    how: Filter | None = None

    def whole(self, size: int) -> PictureSet:
        """Square pictures."""
        if self.how is None or (size, size) == self.model.size:
            return ModelPictures(model=self.model, size=(size, size))
        return ResampledPictures(drawn=self._own, size=(size, size), how=self.how)

    def patches(self, plan: PatchPlan) -> PictureSet:
        """Patches at the places of a plan."""
        if self.how is None:
            return ModelPatches(drawn=self._own, plan=plan)
        return ResampledPatches(drawn=self._own, plan=plan, how=self.how)

    @property
    def _own(self) -> ModelPictures:
        return ModelPictures(model=self.model, size=self.model.size)


def painters(runner: Runner, models: Mapping[str, Model]) -> dict[str, Rival]:
    """Models that paint each size, trained if need be."""
    return {label: Rival(model=runner.ref(model)) for label, model in models.items()}


def patch_plan(runner: Runner, *, smallest: int = SIZES[1]) -> PatchPlan:
    """Patches of pictures at random scales from `smallest` p up to the largest size."""
    base = base_size(runner)
    return PatchPlan(
        real=runner.real(PORTRAITS),
        side=base,
        smallest=smallest * base,
        largest=SIZES[-1] * base,
        frame=(base, base),
    )


def base_size(runner: Runner) -> int:
    """p, pixels a side of a patch."""
    return 256 if runner.paper else BASE


def distances(
    runner: Runner, rivals: Mapping[str, Rival], plans: Sequence[PatchPlan] = ()
) -> Table:
    """Frechet distances to the truth: whole pictures of `SIZES`, then patches of each plan.

    Patches lie at random scales if no plan is given.
    """
    plans = plans or [patch_plan(runner)]
    sizes = [size * base_size(runner) for size in SIZES]
    sets = [whole_sets(runner, rivals, size) for size in sizes]
    sets += [patch_sets(rivals, plan) for plan in plans]
    found = [seen(runner, each) for each in sets]
    rows = {label: [far(columns, label) for columns in found] for label in rivals}
    wholes = [f"{runner.fd}@{size}" for size in sizes]
    return Table(columns=(*wholes, *(patch_name(runner, plan) for plan in plans)), rows=rows)


def patch_name(runner: Runner, plan: PatchPlan) -> str:
    """Of the distances of a plan's patches."""
    return f"patch_{runner.fd}@{plan.name}"


def whole_sets(runner: Runner, rivals: Mapping[str, Rival], size: int) -> dict[str, PictureSet]:
    """Square pictures by label, with real ones."""
    sets = {label: rival.whole(size) for label, rival in rivals.items()}
    return sets | {REAL: RealPictures(real=runner.real(PORTRAITS), size=(size, size))}


def patch_sets(rivals: Mapping[str, Rival], plan: PatchPlan) -> dict[str, PictureSet]:
    """Patches by label, with real ones."""
    sets = {label: rival.patches(plan) for label, rival in rivals.items()}
    return sets | {REAL: RealPatches(plan=plan)}


def seen(runner: Runner, sets: Mapping[str, PictureSet]) -> dict[str, Columns]:
    """Features and spectra of sets."""
    pictures = runner.budget.pictures
    return runner.features(sets, count=pictures if runner.paper else min(PICTURES, pictures))


def far(columns: Mapping[str, Columns], label: str) -> float:
    """The distance of one of the sets to the real one."""
    return frechet_distance(columns[label]["features"], columns[REAL]["features"])
