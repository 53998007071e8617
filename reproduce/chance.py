"""How far apart numbers of the small budget are by chance: the same training with other seeds."""

from __future__ import annotations

from dataclasses import replace

from reproduce.anyres_paper.scoring import distances, painters
from reproduce.cips_paper.models import MAIN
from reproduce.creps_paper.tables import VARIANTS
from reproduce.experiment import Result, Table, experiment
from reproduce.models import ANYRES, PORTRAITS
from reproduce.runner import Runner
from reproduce.specs import Model, Training

SEEDS = (0, 1, 2)
REPEATED = {"creps": VARIANTS["decoders, d=8 (CREPS)"].model, "cips": MAIN}
"""By paper: the network of its ablation."""


def seeded(model: Model, seed: int) -> Model:
    """The same model, trained with another seed; 0 is every training's own."""
    if seed == 0 or not isinstance(model.small, Training):
        return model
    small, paper = (
        replace(training, settings=(*training.settings, f"seed={seed}"))
        for training in (model.small, model.paper)
    )
    return replace(model, name=f"{model.name}-seed-{seed}", small=small, paper=paper)


@experiment("small-repeats")
def repeats(runner: Runner) -> Result:
    """Train one network of each paper three times, and measure it as its paper's tables do."""
    rows = {
        f"{paper}: {runner.fd}": [runner.distance(seeded(model, seed), PORTRAITS) for seed in SEEDS]
        for paper, model in REPEATED.items()
    }
    phases = {str(seed): seeded(ANYRES, seed) for seed in SEEDS}
    for name, cells in distances(runner, painters(runner, phases)).turned().rows.items():
        rows[f"anyres: {name}"] = [float(cell or 0) for cell in cells]
    return Result(
        tables=(
            Table(
                columns=(*(f"seed {seed}" for seed in SEEDS), "range"),
                rows={label: (*cells, max(cells) - min(cells)) for label, cells in rows.items()},
            ),
        )
    )
