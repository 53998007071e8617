"""CREPS, Table 4: what lines, their thickness and the decoders do to quality and cost."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from benchmarks.costs import Drawing
from creps.networks.cips import CIPS_PRESETS
from creps.training._presets import PRESETS
from reproduce.costs import cost_cells, costs, device, drawn_size
from reproduce.experiment import Cell, Experiment, Findings, Table
from reproduce.ingredients import Model, Training
from reproduce.orders import column, order_remark
from reproduce.standard_models import PORTRAITS
from reproduce.workshop import Workshop

IMAGES = 4_800
"""Pictures shown to each small network."""
SIZE = 128
"""Pixels a side of the paper's ablation."""

PUBLISHED = Table(
    columns=("FID", "memory (GB)", "time (s)"),
    rows={
        "CREPS-NB (no lines)": (5.98, 2.7, 0.13),
        "lines, d=1": (11.37, 1.5, 0.02),
        "lines, d=8": (8.23, 1.6, 0.03),
        "no decoders, d=8": (6.91, 1.7, 0.03),
        "decoders, d=4": (6.46, 1.6, 0.03),
        "decoders, d=8 (CREPS)": (4.66, 1.7, 0.04),
        "CIPS": (7.08, 3.5, 0.05),
    },
)


class Variant(NamedTuple):
    """A row: the network that is trained, and the paper's, whose cost is measured."""

    model: Model
    drawing: Drawing


def _variant(composition: str, thickness: int | None = None) -> Variant:
    """One of the CREPS networks; its preset says how it is composed."""
    name = composition if thickness is None else f"{composition}-d{thickness}"
    settings = [f"generator.composition={composition}"]
    settings += [] if thickness is None else [f"generator.thickness={thickness}"]
    model = Model(
        name=f"ablation-{name}",
        data=PORTRAITS,
        small=Training(preset="smoke", images=IMAGES, settings=tuple(settings)),
        paper=Training(preset=f"ablation-{name}"),
    )
    config = PRESETS[f"ablation-{name}"].generator
    return Variant(model, Drawing(family="creps", config=config, size=SIZE))


_CIPS = Variant(
    Model(
        name="ablation-cips",
        data=PORTRAITS,
        small=Training(preset="cips-smoke", images=IMAGES),
        paper=Training(
            preset="cips-paper-256",
            images=PRESETS["ablation-dense"].images,
            settings=(
                f"resolution={SIZE}",
                f"generator.resolution={SIZE}",
                f"discriminator.resolution={SIZE}",
                f"batch={PRESETS['ablation-dense'].batch}",
                "loss.r1_gamma=0.5",
            ),
        ),
    ),
    Drawing(family="cips", config=replace(CIPS_PRESETS["cips-256"], resolution=SIZE), size=SIZE),
)

VARIANTS: dict[str, Variant] = dict(
    zip(
        PUBLISHED.rows,
        (
            _variant("dense"),
            _variant("once", 1),
            _variant("once", 8),
            _variant("sum", 8),
            _variant("layerwise", 4),
            _variant("layerwise", 8),
            _CIPS,
        ),
        strict=True,
    )
)


def run(shop: Workshop) -> Findings:
    """Train each equally long and measure it; draw the paper's networks and see what it costs."""
    size, place = drawn_size(shop, SIZE), device()
    distance = f"fd_{shop.extractor().name}"
    rows: dict[str, tuple[Cell, ...]] = {}
    drawings = [replace(v.drawing, size=size, device=place) for v in VARIANTS.values()]
    for (label, variant), cost in zip(VARIANTS.items(), costs(shop, drawings), strict=True):
        trained = shop.ref(variant.model).trained[0]
        found = shop.measured(variant.model, PORTRAITS, shop.protocol("fd", sizes=[trained]))
        rows[label] = (found[f"{distance}@{trained}"], *cost_cells(cost))
    time = "time of one core (s)" if place == "cpu" else "time (s)"
    table = Table(columns=(distance, "memory (GB)", time), rows=rows)
    return Findings(tables=(table,), remarks=remarks(table))


def remarks(table: Table) -> tuple[str, ...]:
    """Whether each column is in the paper's order."""
    quality, memory, time = table.columns
    return (
        order_remark(f"{quality}, lowest is best", column(PUBLISHED, "FID"), column(table, quality))
        + " One training each: small differences may be luck.",
        order_remark("Memory", column(PUBLISHED, "memory (GB)"), column(table, memory)),
        order_remark("Time", column(PUBLISHED, "time (s)"), column(table, time)),
    )


TABLE_4 = Experiment(
    paper="creps",
    place="Table 4",
    title="what thick lines and decoders bring",
    claim="Lines save memory and time; thick lines with decoders at every level regain the "
    "quality, and surpass the network without lines.",
    minutes=40,
    differences=(
        "quality: drawn portraits at 32 px, networks of 0.22 to 0.34 (CIPS 0.16) million "
        "parameters, 4,800 pictures "
        "shown to each instead of two days on GPUs, fd_effnet of 1,000 pictures instead of FID of "
        "50,000",
        "memory and time: the paper's networks at 128 px with random weights, one picture in one "
        "pass, memory beyond that of the weights; the paper measures on a V100 and does not say "
        "the batch",
    ),
    published=PUBLISHED,
    run=run,
)
