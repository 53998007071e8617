"""What the families of generators cost and can do: the table of docs/families.md.

    python benchmarks/families.py [--large] [--models CREPS_DIR,CIPS_DIR,...] [--out results.jsonl]

Time and memory come from random weights: of the small presets, or of the published networks of 256
px with `--large`. Each network is drawn in a process of its own, by `creps.render` as users draw
it: processor time a pixel (the fastest of three pictures), also as a multiple of the time that a
large matrix product needs for a megaflop, which other programs disturb alike; and the peak memory
beyond what the process held with the network. Grids are tried out. Consistency needs trained
weights: each of `--models` is drawn at its training size and at twice that (CREPS, section 4.4).
Prints a table, and one JSON line a network. A minute or two; `--large` some minutes.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from costs import Drawing, drawing_cost
from record import Record
from rich.console import Console
from rich.table import Table

import creps
from creps.coordinates import AxisGrid, Canvas, PointGrid
from creps.errors import GridError, UsageError
from creps.networks.anyres import ANYRES_PRESETS
from creps.networks.base import Generator, build_generator, describe_generator
from creps.networks.cips import CIPS_PRESETS
from creps.networks.creps import CREPS_PRESETS
from creps.networks.scaleparty import SCALEPARTY_PRESETS
from creps.networks.stylegan2 import STYLEGAN2_PRESETS
from creps.networks.stylegan3 import STYLEGAN3_PRESETS
from creps.training._presets import preset

SMALL = {
    "creps": "small-32",
    "cips": "cips-small-32",
    "scaleparty": "scaleparty-small-32",
    "anyres": "anyres-small-64-patches",
    "stylegan3": "stylegan3-small-32",
    "stylegan2": "stylegan2-small-32",
}
LARGE = {
    "creps": CREPS_PRESETS["creps-256"],
    "cips": CIPS_PRESETS["cips-256"],
    "scaleparty": SCALEPARTY_PRESETS["scaleparty-256"],
    "anyres": ANYRES_PRESETS["anyres-t-256"],
    "stylegan3": STYLEGAN3_PRESETS["stylegan3-t-256"],
    "stylegan2": STYLEGAN2_PRESETS["stylegan2-256"],
}
MATRIX = 1024  # side of the reference product
SEEDS = range(16)


@torch.no_grad()
def row(family: str, config: Any, size: int) -> dict[str, Any]:
    """What a network with random weights costs and can do."""
    generator = build_generator(family, config)
    side = size if generator.tileable else generator.config.resolution
    cost = drawing_cost(Drawing(family=family, config=config, size=side, tiled=True))
    if cost is None:
        raise UsageError(f"{family}: not enough memory to draw {side} pixels a side")
    pixel = cost.seconds / side**2
    return {
        "family": family,
        "parameters": cost.parameters,
        "size": side,
        "nanoseconds_a_pixel": pixel * 1e9,
        "megaflops_a_pixel": pixel / _seconds_a_megaflop(),
        "peak_megabytes": cost.gigabytes * 1e3,
        "grids": grids(generator),
        "margin": generator.margin,
    }


@torch.inference_mode()
def grids(generator: Generator) -> str:
    """Which grids a network paints, in words."""
    size = generator.config.resolution
    even = Canvas(size, size, sampling=generator.sampling)
    if not _paints(generator, Canvas(size + 8, size + 16, sampling=generator.sampling).grid()):
        return "one size"
    if _paints(generator, PointGrid(torch.rand(9, 7, 2, dtype=torch.float64))):
        return "any points"
    if _paints(generator, AxisGrid(even.rows() ** 2, even.columns())):
        return "any rows and columns"
    points = torch.cartesian_prod(even.rows(), even.columns()).unflatten(0, (size, size))
    turn = torch.tensor([[0.8, 0.6], [-0.6, 0.8]], dtype=torch.float64)
    return "even, also turned" if _paints(generator, PointGrid(points @ turn)) else "even"


def agreement(model: str) -> tuple[str, float | None]:
    """Family of a trained model, and its mean PSNR at two sizes in decibels; None for one size."""
    from creps.metrics._consistency import scale_consistency

    generator = creps.load(model)
    family = describe_generator(generator)[0]
    if not generator.tileable:
        return family, None
    trained = generator.record.get("training", {})
    size = trained.get("resolution", generator.config.resolution)
    return family, scale_consistency(generator, SEEDS, size=size)


def _paints(generator: Generator, grid: AxisGrid | PointGrid) -> bool:
    try:
        generator.synthesize(generator.map(torch.zeros(1, generator.config.z_dim)), grid)
    except GridError:
        return False
    return True


def _seconds(work: Any) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _seconds_a_megaflop() -> float:
    a = torch.randn(MATRIX, MATRIX)
    return min(_seconds(lambda: a @ a) for _ in range(5)) / (2 * MATRIX**3 / 1e6)


def main(
    size: Annotated[int, typer.Option(help="Pixels a side of the drawn pictures.")] = 256,
    large: Annotated[bool, typer.Option("--large", help="The published networks.")] = False,
    models: Annotated[str, typer.Option(help="Trained models, parted by commas.")] = "",
    out: Annotated[Path | None, typer.Option(help="Also append the JSON lines here.")] = None,
) -> None:
    """Measure every family, print the table."""
    record = Record("families", out)
    torch.set_num_threads(1)
    small = {family: preset(name).generator for family, name in SMALL.items()}
    agreed = dict(agreement(model) for model in models.split(",") if model)
    table = Table(box=None, pad_edge=False)
    heads = ("family", "parameters", "size", "ns a pixel", "MFLOP a pixel", "MB", "grids",
             "margin", "dB at 2x")  # fmt: skip
    for head in heads:
        table.add_column(head, justify="left" if head in ("family", "grids") else "right")
    for family, config in (LARGE if large else small).items():
        found = agreed.get(family)
        cost = row(family, config, size)
        table.add_row(
            family,
            f"{cost['parameters'] / 1e6:.2f} M",
            str(cost["size"]),
            f"{cost['nanoseconds_a_pixel']:,.0f}",
            f"{cost['megaflops_a_pixel']:,.2f}",
            f"{cost['peak_megabytes']:,.0f}",
            cost["grids"],
            str(cost["margin"]),
            "-" if found is None else f"{found:.1f}",
        )
        record.write({"large": large, **cost, "consistency": found})
    Console(width=110).print(table)


if __name__ == "__main__":
    typer.run(main)
