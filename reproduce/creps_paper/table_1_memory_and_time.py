"""CREPS, Table 1: what StyleGAN2, CIPS and CREPS cost to draw."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

from benchmarks.costs import MOST_OF_MEMORY, Drawing
from creps.networks.cips import CIPS_PRESETS
from creps.networks.creps import CREPS_PRESETS
from creps.networks.stylegan2 import STYLEGAN2_PRESETS
from reproduce.costs import (
    OUT_OF_MEMORY,
    cost_cells,
    costs,
    device,
    drawn_size,
    parameters,
)
from reproduce.experiment import Cell, Experiment, Findings, Table
from reproduce.orders import order_remark
from reproduce.workshop import Workshop

SIZES, BATCHES = (256, 512), (1, 4)
NETWORKS = ("StyleGAN2", "CIPS", "CREPS")

PUBLISHED = Table(
    columns=(
        *(f"memory {network} (GB)" for network in NETWORKS),
        *(f"time {network} (s)" for network in NETWORKS),
    ),
    rows={
        "256 px, batch 1": (1.5, 3.3, 2.3, 0.04, 0.06, 0.03),
        "256 px, batch 4": (2.5, 10.2, 5.2, 0.05, 0.23, 0.06),
        "512 px, batch 1": (1.7, 10.4, 4.5, 0.04, 0.21, 0.05),
        "512 px, batch 4": (3.4, "OOM", 14.6, 0.06, "OOM", 0.16),
    },
)


TOO_LARGE = f"{OUT_OF_MEMORY}: more than {MOST_OF_MEMORY:.0%} of the memory that was free."


def network(name: str, size: int) -> tuple[str, Any]:
    """Family and config for pictures of a size. CIPS has the embedding of 256 px at every size."""
    if name == "StyleGAN2":
        return "stylegan2", replace(STYLEGAN2_PRESETS["stylegan2-512"], resolution=size)
    if name == "CIPS":
        return "cips", CIPS_PRESETS["cips-256"]
    return "creps", replace(CREPS_PRESETS["creps-512"], resolution=size)


def run(shop: Workshop) -> Findings:
    """Draw with all of them, at once as the paper does, and in tiles as this package does."""
    passes = _measured(
        shop, tiled=False, caption="All pictures of a batch in one pass, as the paper measures"
    )
    tiles = _measured(
        shop, tiled=True, caption="One picture after the other, in tiles, as `creps.render` draws"
    )
    counts = ", ".join(
        f"{name} {parameters(*network(name, SIZES[-1])) / 1e6:.1f}" for name in NETWORKS
    )
    return Findings(
        tables=(passes, tiles),
        remarks=(
            f"Millions of parameters at {SIZES[-1]} px: {counts}.",
            *remarks(passes),
            saved(passes, tiles),
            *[TOO_LARGE] * any(OUT_OF_MEMORY in cells for cells in passes.rows.values()),
        ),
    )


def _measured(shop: Workshop, *, tiled: bool, caption: str) -> Table:
    """A table in the paper's shape."""
    place = device()
    rows: dict[str, tuple[Cell, ...]] = {}
    for (size, batch), label in zip(product(SIZES, BATCHES), PUBLISHED.rows, strict=True):
        side = drawn_size(shop, size)
        drawings = []
        for name in NETWORKS:
            family, config = network(name, side)
            drawings.append(
                Drawing(
                    family=family, config=config, size=side, batch=batch, tiled=tiled, device=place
                )
            )
        cells = [cost_cells(cost) for cost in costs(shop, drawings)]
        rows[label] = (*(memory for memory, _ in cells), *(time for _, time in cells))
    how = "memory beyond the weights" + ", time of one core" * (place == "cpu")
    return Table(columns=PUBLISHED.columns, rows=rows, caption=f"{caption}: {how}")


def remarks(table: Table) -> tuple[str, ...]:
    """Whether the networks are in the paper's order, row by row."""
    found = []
    for what, columns in (("memory", slice(0, 3)), ("time", slice(3, 6))):
        for label, cells in table.rows.items():
            theirs = dict(zip(NETWORKS, PUBLISHED.rows[label][columns], strict=True))
            ours = dict(zip(NETWORKS, cells[columns], strict=True))
            found.append(order_remark(f"{label}, {what}", theirs, ours))
    return tuple(found)


def saved(passes: Table, tiles: Table) -> str:
    """What tiles save CREPS in the last row: memory and time of one pass over that of tiles."""
    label = list(passes.rows)[-1]
    pairs = []
    for column, what in ((2, "memory"), (5, "time")):
        once, tiled = passes.rows[label][column], tiles.rows[label][column]
        if isinstance(once, float) and isinstance(tiled, float) and tiled > 0:
            pairs.append(f"{once / tiled:.1f} times less {what}")
    if not pairs:
        return f"CREPS in tiles, {label}: nothing to compare with one pass."
    return f"CREPS in tiles, {label}: " + " and ".join(pairs) + " than in one pass."


TABLE_1 = Experiment(
    paper="creps",
    place="Table 1",
    title="memory and time of drawing",
    claim="CREPS draws nearly as fast as StyleGAN2, and needs a fraction of the time and memory "
    "of CIPS.",
    minutes=20,
    differences=(
        "a CPU, where there is no GPU, instead of a V100: times compare with each other only",
        "the paper's memory includes the weights and what CUDA keeps for itself",
        "random weights, which cost as much as trained ones",
    ),
    published=PUBLISHED,
    run=run,
)
