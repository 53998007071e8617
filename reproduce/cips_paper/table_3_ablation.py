"""CIPS, Table 3: the network with and without its parts."""

from __future__ import annotations

from creps.networks.cips import CipsConfig
from reproduce.cips_paper.models import (
    BASE,
    MAIN,
    NO_EMBEDDING,
    NO_FOURIER,
    RESIDUAL,
    SINE,
)
from reproduce.experiment import Cell, Experiment, Findings, Table
from reproduce.orders import order_remark
from reproduce.workshop import Workshop

MODELS = {
    "“base”": BASE,
    "“No embed (NE)”": NO_EMBEDDING,
    "“No Fourier”": NO_FOURIER,
    "Main": MAIN,
    "“Residual”": RESIDUAL,
    "Sine": SINE,
}
"""By the paper's columns."""

PUBLISHED = Table(
    columns=tuple(MODELS),
    rows={
        "Fourier Features": ("+", "+", "-", "+", "+", "-"),
        "Coordinate Embeddings": ("+", "-", "+", "+", "+", "+"),
        "Residual blocks": ("-", "-", "-", "-", "+", "-"),
        "Skip connections": ("-", "-", "-", "+", "-", "-"),
        "Sine Activation": ("-", "-", "-", "-", "-", "+"),
        "FID": (6.71, 12.71, 10.18, 6.31, 6.52, 10.0),
    },
)


def run(shop: Workshop) -> Findings:
    """Train all six equally long, and measure them."""
    metric = f"fd_{shop.extractor().name}"
    found: dict[str, float] = {}
    parts: list[tuple[str, ...]] = []
    for label, model in MODELS.items():
        ref = shop.ref(model)
        config = ref.generator().config
        assert isinstance(config, CipsConfig)
        there = (
            config.fourier,
            config.embedding,
            config.connections == "residual",
            config.connections == "skip",
            config.activation == "sine",
        )
        parts.append(tuple("+" if each else "-" for each in there))
        measured = shop.measured(model, model.data, shop.protocol("fd"))
        found[label] = measured[f"{metric}@{ref.size[0]}"]
    names = list(PUBLISHED.rows)
    rows: dict[str, tuple[Cell, ...]] = {
        name: tuple(column[k] for column in parts) for k, name in enumerate(names[:-1])
    }
    rows[metric] = tuple(found.values())
    fid = dict(zip(PUBLISHED.columns, map(float, _numbers("FID")), strict=True))
    best, paper_best = min(found, key=lambda label: found[label]), min(fid, key=lambda n: fid[n])
    remarks = (
        f"The lowest distance here: {best} ({found[best]:.1f}); in the paper: {paper_best}.",
        order_remark("Distance", fid, found),
    )
    return Findings(tables=(Table(columns=PUBLISHED.columns, rows=rows),), remarks=remarks)


def _numbers(row: str) -> list[float]:
    return [float(cell) for cell in PUBLISHED.rows[row] if cell is not None]


TABLE_3 = Experiment(
    paper="cips",
    place="Table 3",
    title="the network without some of its parts",
    claim="Fourier features and embeddings are both needed; ways past the layers, to the colours "
    "or residual ones, help.",
    minutes=25,
    differences=(
        "drawn portraits instead of FFHQ",
        "32 px networks of two levels, 4,800 pictures shown instead of 4.8 million",
        "fd_effnet of 1,000 pictures instead of FID",
    ),
    published=PUBLISHED,
    run=run,
)
