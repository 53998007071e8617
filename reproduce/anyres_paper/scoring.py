"""Distances of the any-resolution experiments: whole pictures at several sizes, and patches.

Sizes follow the network's: p is 256 px in the paper and 32 px at the small budget. Patches have p
pixels a side and are parts of pictures of 2 p to 4 p pixels, as those of FFHQ6k are (section 7.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from creps.metrics._cache import Columns
from creps.metrics._distances import frechet_distance
from creps.metrics._jobs import Features
from creps.metrics._models import ModelRef
from creps.metrics._pictures import (
    ModelPatches,
    ModelPictures,
    PatchPlan,
    PictureSet,
    RealPatches,
    RealPictures,
)
from creps.metrics._real_images import Images, Portraits, open_reality
from creps.metrics._resampled import Filter, ResampledPatches, ResampledPictures
from reproduce.experiment import Cell, Table
from reproduce.ingredients import Model
from reproduce.orders import column, order_remark
from reproduce.standard_models import ANYRES, PORTRAITS
from reproduce.workshop import Workshop

SIZES = 1, 2, 4
"""Whole pictures, in units of p: 256, 512 and 1,024 px in the paper."""
PICTURES = 500
"""Of each set, at the small budget: there are many sets."""

MEASURED = (
    f"fd_effnet of {PICTURES} pictures instead of FID of 50,000; it enlarges all these sizes to "
    "224 px, so it sees the details of the largest size too"
)
SMALL = (
    "drawn portraits instead of FFHQ: 3,400 of 32 px and 600 of 64 to 128 px for training, 4,000 "
    "of 128 px as the truth",
    "networks of 0.13 million parameters; 24,000 pictures shown in the first phase and 8,000 in "
    "the second instead of 25 and 5 million",
    MEASURED,
)
"""What differs from the paper in all of these tables."""


@dataclass(frozen=True, kw_only=True)
class Rival:
    """What paints pictures of any size.

    Attributes:
        model: the model.
        how: enlarges or reduces samples of its own size; None: it paints each size.
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
            return ModelPatches(model=self.model, plan=plan)
        return ResampledPatches(drawn=self._own, plan=plan, how=self.how)

    @property
    def _own(self) -> ModelPictures:
        return ModelPictures(model=self.model, size=self.model.size)


def painters(shop: Workshop, models: Mapping[str, Model]) -> dict[str, Rival]:
    """Models that paint each size, trained if need be."""
    return {label: Rival(model=shop.ref(model)) for label, model in models.items()}


def base_size(shop: Workshop) -> int:
    """p, pixels a side of a patch."""
    return shop.ref(ANYRES).size[0]


def truth(shop: Workshop) -> Portraits | Images:
    """Real pictures of the largest size."""
    return open_reality(str(shop.data(PORTRAITS)))


def random_patches(shop: Workshop) -> PatchPlan:
    """Patches of pictures at random scales."""
    base = base_size(shop)
    return _plan(shop, base, smallest=2 * base)


def largest_patches(shop: Workshop) -> PatchPlan:
    """Patches of pictures at the largest size."""
    base = base_size(shop)
    return _plan(shop, base, smallest=SIZES[-1] * base)


def _plan(shop: Workshop, base: int, *, smallest: int) -> PatchPlan:
    return PatchPlan(
        real=truth(shop),
        side=base,
        smallest=smallest,
        largest=SIZES[-1] * base,
        frame=(base, base),
    )


def column_names(shop: Workshop, plans: Sequence[PatchPlan]) -> tuple[str, ...]:
    """Of distances of whole pictures and of patches."""
    name, base = shop.extractor().name, base_size(shop)
    wholes = tuple(f"fd_{name}@{size * base}" for size in SIZES)
    return wholes + tuple(f"patch_fd_{name}@{plan.name}" for plan in plans)


def distances(
    shop: Workshop, rivals: Mapping[str, Rival], *, plans: Sequence[PatchPlan] | None = None
) -> Table:
    """Frechet distances to the truth: whole pictures of `SIZES`, then patches of each plan.

    Args:
        shop: where it is done.
        rivals: by label of their rows.
        plans: where patches lie; by default at random scales.
    """
    plans = [random_patches(shop)] if plans is None else plans
    base = base_size(shop)
    sets = [whole_sets(shop, rivals, size * base) for size in SIZES]
    sets += [patch_sets(rivals, plan) for plan in plans]
    found = [seen(shop, each) for each in sets]
    rows: dict[str, tuple[Cell, ...]] = {
        label: tuple(
            frechet_distance(columns[label]["features"], columns[REAL]["features"])
            for columns in found
        )
        for label in rivals
    }
    return Table(columns=column_names(shop, plans), rows=rows)


REAL = "real"
"""Label of real pictures among the sets."""


def whole_sets(shop: Workshop, rivals: Mapping[str, Rival], size: int) -> dict[str, PictureSet]:
    """Square pictures by label, with real ones."""
    sets = {label: rival.whole(size) for label, rival in rivals.items()}
    return sets | {REAL: RealPictures(real=truth(shop), size=(size, size))}


def patch_sets(rivals: Mapping[str, Rival], plan: PatchPlan) -> dict[str, PictureSet]:
    """Patches by label, with real ones."""
    sets = {label: rival.patches(plan) for label, rival in rivals.items()}
    return sets | {REAL: RealPatches(plan=plan)}


def seen(shop: Workshop, sets: Mapping[str, PictureSet]) -> dict[str, Columns]:
    """Features and spectra of sets; see `Features`."""
    count = shop.budget.pictures if shop.paper else min(PICTURES, shop.budget.pictures)
    works = {
        label: Features(pictures=pictures, extractor=shop.extractor())
        for label, pictures in sets.items()
    }
    shop.say(f"measuring {', '.join(label for label in sets if label != REAL)}")
    return shop.columns(works, dict.fromkeys(works, count))


def remarks(
    published: Table, found: Table, *, stand_ins: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """For each column whether the paper's order holds, and which row is best here and there.

    Args:
        published: the paper's, with as many columns.
        found: what was measured here; lower is better.
        stand_ins: rows of the paper by the rows here that stand in for them.
    """
    names = {label: (stand_ins or {}).get(label, label) for label in found.rows}
    lines = []
    for theirs, ours in zip(published.columns, found.columns, strict=True):
        papers = column(published, theirs)
        like = {label: papers[name] for label, name in names.items() if name in papers}
        line = order_remark(ours, like, column(found, ours))
        best, expected = best_row(found, ours), best_row(published, theirs)
        same = "as in the paper" if names[best] == expected else f"the paper's: {expected}"
        lines.append(f"{line} Lowest: {best} ({same}).")
    return (*lines, "One training each: small differences may be luck.")


def best_row(table: Table, name: str) -> str:
    """The row with the lowest number of a column."""
    numbers = {
        label: float(cell)
        for label, cell in column(table, name).items()
        if isinstance(cell, float | int)
    }
    return min(numbers, key=lambda label: numbers[label])
