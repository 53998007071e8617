"""CIPS, Tables 1 to 5: quality, precision and recall, parts of the network, its size, patches."""

from __future__ import annotations

from creps.networks import CipsConfig
from creps.networks.cips import CIPS_PRESETS
from creps.networks.stylegan2 import STYLEGAN2_PRESETS
from reproduce.cips_paper.models import (
    BASE,
    BUILDINGS,
    LANDSCAPES,
    MAIN,
    NO_EMBEDDING,
    NO_FOURIER,
    RESIDUAL,
    SINE,
    cips_on,
    patched,
    rival,
)
from reproduce.creps_paper.costs import parameters
from reproduce.experiment import (
    Cell,
    Comparison,
    Result,
    Table,
    by_column,
    by_row,
    experiment,
    one_table,
    published,
)
from reproduce.models import CHURCHES, CIPS, EARTH, PORTRAITS
from reproduce.runner import Runner
from reproduce.specs import Dataset, Model

SETS: dict[str, tuple[Dataset, str]] = {
    "FFHQ": (PORTRAITS, "drawn portraits"),
    "LSUN Churches": (CHURCHES, ""),
    "Landscapes": (LANDSCAPES, ""),
    "Satellite-Buildings": (BUILDINGS, ""),
    "Satellite-Landscapes": (EARTH, "maps of the Earth"),
}
"""The paper's sets, and what stands in for them; "": nothing does."""


@experiment("cips-table-1", compare=by_row)
def table_1(runner: Runner) -> Result:
    """Measure both families on each set that there is."""
    rows: dict[str, tuple[Cell, ...]] = {}
    for name, (data, stand_in) in SETS.items():
        if not (runner.paper or stand_in):
            rows[name] = ("no such set", "no such set")
            continue
        label = name if runner.paper else f"{name}: {stand_in}"
        pair = rival(data, runner), cips_on(data)
        rows[label] = tuple(runner.distance(model, data) for model in pair)
    caption = f"{runner.fd}, lower is better."
    return one_table(("StyleGANv2", "CIPS"), rows, caption=caption)


@experiment("cips-table-2", compare=by_column)
def table_2(runner: Runner) -> Result:
    """Measure how samples and real pictures overlap in features."""
    rows = {}
    for label, model in (("StyleGANv2", rival(PORTRAITS, runner)), ("CIPS", CIPS)):
        end = f"_{runner.extractor.name}@{runner.ref(model).size[0]}"
        found = runner.evaluate(model, PORTRAITS, "pr")
        rows[label] = (found[f"precision{end}"], found[f"recall{end}"])
    return one_table(("Precision", "Recall"), rows)


ABLATION = {
    "“base”": BASE,
    "“No embed (NE)”": NO_EMBEDDING,
    "“No Fourier”": NO_FOURIER,
    "Main": MAIN,
    "“Residual”": RESIDUAL,
    "Sine": SINE,
}
"""By the paper's columns."""


@experiment("cips-table-3", compare=by_row)
def table_3(runner: Runner) -> Result:
    """Train all six equally long, and measure them."""
    parts = tuple(published("cips-table-3").rows)[:-1]
    columns: dict[str, tuple[Cell, ...]] = {}
    for label, model in ABLATION.items():
        config = runner.ref(model).generator().config
        assert isinstance(config, CipsConfig)
        there = (
            config.fourier,
            config.embedding,
            config.connections == "residual",
            config.connections == "skip",
            config.activation == "sine",
        )
        marks = ["+" if each else "-" for each in there]
        columns[label] = (*marks, runner.distance(model, model.data))
    return Result(tables=(Table(columns=(*parts, runner.fd), rows=columns).turned(),))


NETWORKS = {
    "CIPS-“base”": ("cips", CIPS_PRESETS["cips-256-base"]),
    "CIPS-NE": ("cips", CIPS_PRESETS["cips-256-ne"]),
    "CIPS-Default": ("cips", CIPS_PRESETS["cips-256-paper"]),
    "StyleGANv2": ("stylegan2", STYLEGAN2_PRESETS["stylegan2-256"]),
}


@experiment("cips-table-4", compare=by_column)
def table_4(runner: Runner) -> Result:
    """Count the parameters of the paper's networks, as they are here."""
    counts = {label: parameters(*network) for label, network in NETWORKS.items()}
    paper = {label: float(cells[0] or 0) for label, cells in published("cips-table-4").rows.items()}
    rows = {k: (round(n, 2), round(n - paper[k], 2)) for k, n in counts.items()}
    released = parameters("cips", CIPS_PRESETS["cips-256"])
    return one_table(
        ("# parameters (mln)", "less the paper's"),
        rows,
        remarks=(
            "The network of the authors' code narrows towards its end, and has "
            f"{released:.2f} million.",
        ),
    )


FACTORS = 1, 2, 4
"""Pixels a side of a picture, over those of a patch."""


def patch_models(runner: Runner) -> dict[str, tuple[Dataset, dict[int, Model]]]:
    """The models of each set by name, with whole pictures first."""
    sets = {"FFHQ": PORTRAITS, "LSUN-Churches": CHURCHES}
    if not runner.paper:
        sets = {"drawn portraits": PORTRAITS, "maps of the Earth": EARTH}
    found = {}
    for name, data in sets.items():
        whole = MAIN if data is PORTRAITS and not runner.paper else cips_on(data)
        found[name] = (data, {1: whole} | {f: patched(data, f) for f in FACTORS[1:]})
    return found


def _by_set(published: Table, found: Table) -> list[Comparison]:
    """The distances of each set by themselves."""
    labels = list(found.rows)
    theirs, ours = (
        [float(cells[1] or 0) for cells in table.rows.values()] for table in (published, found)
    )
    comparisons = []
    for half in (slice(0, 3), slice(3, 6)):
        pair = (dict(zip(labels[half], each[half], strict=True)) for each in (theirs, ours))
        comparisons.append(Comparison(found.columns[1], *pair))
    return comparisons


@experiment("cips-table-5", compare=_by_set)
def table_5(runner: Runner) -> Result:
    """Train on whole pictures and on patches, equally long, and measure whole pictures."""
    rows = {}
    for name, (data, models) in patch_models(runner).items():
        for factor, model in models.items():
            side = runner.ref(model).size[0] // factor
            rows[f"{name}, {side} px"] = (side, runner.distance(model, data))
    return one_table(("Patch size", runner.fd), rows)
