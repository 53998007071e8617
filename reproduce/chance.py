"""How far apart distances of the small budget are by chance: other seeds, other real pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace

from creps.metrics import PictureSet
from creps.metrics._models import Size
from creps.metrics._pictures import Picture
from reproduce.anyres_paper.scoring import (
    PICTURES,
    REAL,
    SIZES,
    base_size,
    far,
    patch_name,
    patch_plan,
    patch_sets,
    whole_sets,
)
from reproduce.cips_paper.models import MAIN
from reproduce.creps_paper.tables import VARIANTS
from reproduce.experiment import Cell, Result, experiment, one_table
from reproduce.models import PORTRAITS
from reproduce.runner import Runner
from reproduce.specs import Model, Training

SEEDS = (0, 1, 2)
REPEATED = {"creps": VARIANTS["decoders, d=8 (CREPS)"].model, "cips": MAIN}
"""By paper: the network of its ablation. Phases of the any-resolution GAN take too long."""


def seeded(model: Model, seed: int) -> Model:
    """The same model, trained with another seed; 0 is every training's own."""
    if seed == 0 or not isinstance(model.small, Training):
        return model
    small, paper = (
        replace(training, settings=(*training.settings, f"seed={seed}"))
        for training in (model.small, model.paper)
    )
    return replace(model, name=f"{model.name}-seed-{seed}", small=small, paper=paper)


@dataclass(frozen=True)
class Later:
    """A set from picture number `first` on: other pictures of the same kind."""

    pictures: PictureSet
    first: int

    @property
    def size(self) -> Size:
        """(height, width) of every picture."""
        return self.pictures.size

    def picture(self, index: int) -> Picture:
        """Picture number first + index."""
        return self.pictures.picture(self.first + index)


@experiment("small-repeats")
def repeats(runner: Runner) -> Result:
    """Train the networks of two ablations three times; measure real pictures against others."""
    rows: dict[str, tuple[Cell, ...]] = {}
    base, count = base_size(runner), runner.budget.pictures
    sets = {
        f"{runner.fd}@{size * base}": whole_sets(runner, {}, size * base)[REAL] for size in SIZES
    }
    for plan in (patch_plan(runner, smallest=smallest) for smallest in SIZES[1:]):
        sets[patch_name(runner, plan)] = patch_sets({}, plan)[REAL]
    others = _from_others(runner, sets[f"{runner.fd}@{base}"], count)
    for paper, model in REPEATED.items():
        size = runner.ref(model).trained[0]
        found = [runner.distance(seeded(model, seed), PORTRAITS, size=size) for seed in SEEDS]
        rows[paper] = (*found, others, max(max(found) - min(found), others))
    for name, pictures in sets.items():
        others = _from_others(runner, pictures, min(PICTURES, count))
        rows[f"anyres {name}"] = (*[None] * len(SEEDS), others, others)
    columns = (*(f"seed {seed}" for seed in SEEDS), "other real pictures", "by chance")
    return one_table(columns, rows, caption="distances")


def _from_others(runner: Runner, pictures: PictureSet, count: int) -> float:
    """The distance of `count` pictures to as many later ones."""
    both = {REAL: pictures, "others": Later(pictures, count)}
    return far(runner.features(both, count=count), "others")
