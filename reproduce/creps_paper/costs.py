"""CREPS, Table 1: what StyleGAN2, CIPS and CREPS cost to draw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from typing import Any

import torch

from benchmarks.costs import MOST_OF_MEMORY, Drawing, drawing_cost
from creps.networks import build_generator
from creps.networks.cips import CIPS_PRESETS
from creps.networks.creps import CREPS_PRESETS
from creps.networks.stylegan2 import STYLEGAN2_PRESETS
from reproduce.experiment import (
    Cell,
    Comparison,
    Result,
    Table,
    by_row,
    experiment,
    published,
)
from reproduce.runner import Runner

SIZES, BATCHES = (256, 512), (1, 4)
NETWORKS = ("StyleGAN2", "CIPS", "CREPS")
TRIAL_SHRINK = 8
"""Factor by which pictures of a trial are smaller."""
OUT_OF_MEMORY = "OOM"
TOO_LARGE = f"{OUT_OF_MEMORY}: more than {MOST_OF_MEMORY:.0%} of the memory that was free."

PUBLISHED = published("creps-table-1")


def network(name: str, size: int) -> tuple[str, Any]:
    """Family and config for pictures of a size. CIPS has the embedding of 256 px at every size."""
    if name == "StyleGAN2":
        return "stylegan2", replace(STYLEGAN2_PRESETS["stylegan2-512"], resolution=size)
    if name == "CIPS":
        return "cips", CIPS_PRESETS["cips-256"]
    return "creps", replace(CREPS_PRESETS["creps-512"], resolution=size)


def parameters(family: str, config: Any) -> float:
    """Millions of parameters of a network, counted without its weights."""
    with torch.device("meta"):
        return sum(p.numel() for p in build_generator(family, config).parameters()) / 1e6


def costs(runner: Runner, drawings: Iterable[Drawing]) -> list[tuple[Cell, Cell]]:
    """(memory in GB, time in seconds) of each, one after the other, on a GPU if there is one."""
    found: list[tuple[Cell, Cell]] = []
    for drawing in drawings:
        here = replace(drawing, device="cuda" if torch.cuda.is_available() else "cpu")
        runner.say(
            f"drawing {here.batch} x {here.size} px with {here.family}" + ", in tiles" * here.tiled
        )
        cost = drawing_cost(here)
        found.append((cost.gigabytes, cost.seconds) if cost else (OUT_OF_MEMORY, OUT_OF_MEMORY))
    return found


def drawn_size(runner: Runner, size: int) -> int:
    """The size that is drawn in place of the paper's: the same, but in trials."""
    return size if runner.budget.most_images is None else size // TRIAL_SHRINK


def by_network(published: Table, found: Table) -> list[Comparison]:
    """The three networks' memory in each row, and then their time."""
    comparisons = []
    for what, part in (("memory", slice(0, 3)), ("time", slice(3, 6))):
        theirs, ours = (
            Table(columns=NETWORKS, rows={k: cells[part] for k, cells in table.rows.items()})
            for table in (published, found)
        )
        comparisons += [each._replace(name=f"{each.name}, {what}") for each in by_row(theirs, ours)]
    return comparisons


@experiment("creps-table-1", compare=by_network)
def table_1(runner: Runner) -> Result:
    """Draw with all of them, at once as the paper does, and in tiles as this package does."""
    passes = _measured(runner, "All pictures of a batch in one pass, as the paper measures")
    tiles = _measured(
        runner, "One picture after the other, in tiles, as `creps.render` draws", tiled=True
    )
    counts = ", ".join(f"{name} {parameters(*network(name, SIZES[-1])):.1f}" for name in NETWORKS)
    short = any(OUT_OF_MEMORY in cells for cells in passes.rows.values())
    return Result(
        tables=(passes, tiles),
        remarks=(f"Millions of parameters at {SIZES[-1]} px: {counts}.", *[TOO_LARGE] * short),
    )


def _measured(runner: Runner, caption: str, *, tiled: bool = False) -> Table:
    """A table in the paper's shape."""
    rows: dict[str, tuple[Cell, ...]] = {}
    for (size, batch), label in zip(product(SIZES, BATCHES), PUBLISHED.rows, strict=True):
        side = drawn_size(runner, size)
        drawings = [
            Drawing(family=family, config=config, size=side, batch=batch, tiled=tiled)
            for family, config in (network(name, side) for name in NETWORKS)
        ]
        memory, time = zip(*costs(runner, drawings), strict=True)
        rows[label] = (*memory, *time)
    return Table(
        columns=PUBLISHED.columns,
        rows=rows,
        caption=f"{caption}: memory beyond the weights, on a CPU time of one core",
    )
