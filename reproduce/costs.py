"""What the papers' networks cost to draw, as cells of tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from benchmarks.costs import Cost, Drawing, drawing_cost
from creps.networks.base import build_generator
from reproduce.experiment import Cell
from reproduce.workshop import Workshop

OUT_OF_MEMORY = "OOM"
TRIAL_SHRINK = 8
"""A trial draws pictures so many times smaller."""


def device() -> str:
    """Where costs are measured: a GPU, if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def drawn_size(shop: Workshop, size: int) -> int:
    """The size that is drawn in place of the paper's: the same, but in trials."""
    return size if shop.budget.most_images is None else size // TRIAL_SHRINK


def costs(shop: Workshop, drawings: Iterable[Drawing]) -> list[Cost | None]:
    """Of each drawing, one after the other; None where there is not enough memory."""
    found = []
    for drawing in drawings:
        shop.say(
            f"drawing {drawing.batch} x {drawing.size} px with {drawing.family}"
            + ", in tiles" * drawing.tiled
        )
        found.append(drawing_cost(drawing))
    return found


def cost_cells(cost: Cost | None) -> tuple[Cell, Cell]:
    """(memory in GB, time in seconds), or why there are none."""
    if cost is None:
        return OUT_OF_MEMORY, OUT_OF_MEMORY
    return cost.gigabytes, cost.seconds


def parameters(family: str, config: Any) -> int:
    """Of a network, counted without its weights."""
    with torch.device("meta"):
        return sum(p.numel() for p in build_generator(family, config).parameters())
