"""CIPS, Table 4: how many parameters the networks have."""

from __future__ import annotations

from creps.networks.base import GeneratorConfig, build_generator
from creps.networks.cips import CIPS_PRESETS
from creps.networks.stylegan2 import STYLEGAN2_PRESETS
from reproduce.experiment import Cell, Experiment, Findings, Table
from reproduce.workshop import Workshop

COLUMN = "# parameters (mln)"
PUBLISHED = Table(
    columns=(COLUMN,),
    rows={
        "CIPS-“base”": (43.8,),
        "CIPS-NE": (10.2,),
        "CIPS-Default": (45.9,),
        "StyleGANv2": (30.0,),
    },
)
NETWORKS = {
    "CIPS-“base”": ("cips", CIPS_PRESETS["cips-256-base"]),
    "CIPS-NE": ("cips", CIPS_PRESETS["cips-256-ne"]),
    "CIPS-Default": ("cips", CIPS_PRESETS["cips-256-paper"]),
    "StyleGANv2": ("stylegan2", STYLEGAN2_PRESETS["stylegan2-256"]),
}


def millions(family: str, config: GeneratorConfig) -> float:
    """Parameters of a network, in millions."""
    network = build_generator(family, config)
    return sum(parameter.numel() for parameter in network.parameters()) / 1e6


def run(shop: Workshop) -> Findings:
    """Count the parameters of the paper's networks, as they are here."""
    counts = {label: millions(*network) for label, network in NETWORKS.items()}
    rows: dict[str, tuple[Cell, ...]] = {
        label: (round(count, 2), round(count - float(PUBLISHED.rows[label][0] or 0), 2))
        for label, count in counts.items()
    }
    released = millions("cips", CIPS_PRESETS["cips-256"])
    far = max(rows, key=lambda label: abs(float(rows[label][1] or 0)))
    remarks = (
        f"The farthest from the paper is {far}, by {float(rows[far][1] or 0):+.2f} million.",
        "The network of the authors' code narrows towards its end, and has "
        f"{released:.2f} million.",
    )
    table = Table(columns=(COLUMN, "less the paper's"), rows=rows)
    return Findings(tables=(table,), remarks=remarks)


TABLE_4 = Experiment(
    paper="cips",
    place="Table 4",
    title="parameters of the networks",
    claim="Most of the parameters of CIPS are the embeddings of its 256 x 256 places.",
    minutes=0.1,
    differences=(),
    published=PUBLISHED,
    run=run,
)
