"""CIPS, Tables 1 to 5: quality, precision and recall, parts of the network, its size, patches."""

from __future__ import annotations

from collections.abc import Sequence

from creps.networks.cips import CIPS_PRESETS, CipsConfig
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
from reproduce.experiment import Cell, Comparison, Experiment, Result, Table, by_column, by_row
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


@Experiment(
    paper="cips",
    place="Table 1",
    title="quality on several sets of pictures",
    claim="Neither CIPS nor StyleGAN2 wins everywhere: faces are better with the latter, churches "
    "and satellite pictures with CIPS.",
    minutes=25,
    differences=(
        "two sets instead of five: drawn portraits and maps of the Earth",
        "32 px networks: of 0.7 to 0.8 million parameters and 8,000 pictures shown on portraits, "
        "much smaller ones and 4,800 pictures on maps",
        "fd_effnet of 1,000 pictures instead of FID",
    ),
    published=Table(
        columns=("StyleGANv2", "CIPS (ours)"),
        rows={
            "FFHQ": (3.83, 4.38),
            "LSUN Churches": (3.86, 2.92),
            "Landscapes": (2.36, 3.61),
            "Satellite-Buildings": (73.67, 69.67),
            "Satellite-Landscapes": (51.54, 48.47),
        },
    ),
    compare=by_row,
)
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
    return Result(tables=(Table(columns=("StyleGANv2", "CIPS"), rows=rows, caption=caption),))


@Experiment(
    paper="cips",
    place="Table 2",
    title="precision and recall",
    claim="CIPS paints slightly more plausible faces than StyleGAN2, and a little less of their "
    "variety.",
    minutes=13,
    differences=(
        "drawn portraits instead of FFHQ",
        "32 px networks of 0.7 to 0.8 million parameters, 8,000 pictures shown",
        "features of effnet instead of VGG or Inception, 1,000 pictures of each set, k = 3",
    ),
    published=Table(
        columns=("Precision", "Recall"),
        rows={"StyleGANv2": (0.609, 0.513), "CIPS": (0.613, 0.493)},
    ),
    compare=by_column,
)
def table_2(runner: Runner) -> Result:
    """Measure how samples and real pictures overlap in features."""
    rows = {}
    for label, model in (("StyleGANv2", rival(PORTRAITS, runner)), ("CIPS", CIPS)):
        end = f"_{runner.extractor.name}@{runner.ref(model).size[0]}"
        found = runner.evaluate(model, PORTRAITS, "pr")
        rows[label] = (found[f"precision{end}"], found[f"recall{end}"])
    return Result(tables=(Table(columns=("Precision", "Recall"), rows=rows),))


ABLATION = {
    "“base”": BASE,
    "“No embed (NE)”": NO_EMBEDDING,
    "“No Fourier”": NO_FOURIER,
    "Main": MAIN,
    "“Residual”": RESIDUAL,
    "Sine": SINE,
}
"""By the paper's columns."""
PARTS: dict[str, Sequence[Cell]] = {
    "Fourier Features": "++-++-",
    "Coordinate Embeddings": "+-++++",
    "Residual blocks": "----+-",
    "Skip connections": "---+--",
    "Sine Activation": "-----+",
}
"""The paper's rows: which network has which part."""


@Experiment(
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
    published=Table(
        columns=tuple(ABLATION),
        rows=PARTS | {"FID": (6.71, 12.71, 10.18, 6.31, 6.52, 10.0)},
    ),
    compare=by_row,
)
def table_3(runner: Runner) -> Result:
    """Train all six equally long, and measure them."""
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
    return Result(tables=(Table(columns=(*PARTS, runner.fd), rows=columns).turned(),))


PUBLISHED_SIZES = {
    "CIPS-“base”": (43.8,),
    "CIPS-NE": (10.2,),
    "CIPS-Default": (45.9,),
    "StyleGANv2": (30.0,),
}
NETWORKS = {
    "CIPS-“base”": ("cips", CIPS_PRESETS["cips-256-base"]),
    "CIPS-NE": ("cips", CIPS_PRESETS["cips-256-ne"]),
    "CIPS-Default": ("cips", CIPS_PRESETS["cips-256-paper"]),
    "StyleGANv2": ("stylegan2", STYLEGAN2_PRESETS["stylegan2-256"]),
}


@Experiment(
    paper="cips",
    place="Table 4",
    title="parameters of the networks",
    claim="Most of the parameters of CIPS are the embeddings of its 256 x 256 places.",
    minutes=0.1,
    published=Table(columns=("# parameters (mln)",), rows=PUBLISHED_SIZES),
    compare=by_column,
)
def table_4(runner: Runner) -> Result:
    """Count the parameters of the paper's networks, as they are here."""
    counts = {label: parameters(*network) for label, network in NETWORKS.items()}
    rows = {k: (round(n, 2), round(n - PUBLISHED_SIZES[k][0], 2)) for k, n in counts.items()}
    released = parameters("cips", CIPS_PRESETS["cips-256"])
    return Result(
        tables=(Table(columns=("# parameters (mln)", "less the paper's"), rows=rows),),
        remarks=(
            "The network of the authors' code narrows towards its end, and has "
            f"{released:.2f} million.",
        ),
    )


FACTORS = 1, 2, 4
"""Pixels a side of a picture, over those of a patch."""
FFHQ, LSUN = (4.38, 9.08, 11.79), (2.92, 7.08, 11.53)


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


@Experiment(
    paper="cips",
    place="Table 5",
    title="training on patches",
    claim="A CIPS learns from patches alone, which takes less memory, but paints worse pictures.",
    minutes=25,
    differences=(
        "drawn portraits and maps of the Earth instead of FFHQ and churches",
        "32 px pictures with patches of 16 and 8, 4,800 pictures shown",
        "a patch of stride s takes means over s x s pixels of the real picture instead of one of "
        "them, and strides and places need not be whole pixels",
        "fd_effnet of 1,000 pictures instead of FID",
    ),
    published=Table(
        columns=("Patch size", "FID"),
        rows={
            f"{name}, {256 // factor} px": (256 // factor, fid)
            for name, fids in (("FFHQ", FFHQ), ("LSUN-Churches", LSUN))
            for factor, fid in zip(FACTORS, fids, strict=True)
        },
    ),
    compare=_by_set,
)
def table_5(runner: Runner) -> Result:
    """Train on whole pictures and on patches, equally long, and measure whole pictures."""
    rows = {}
    for name, (data, models) in patch_models(runner).items():
        for factor, model in models.items():
            side = runner.ref(model).size[0] // factor
            rows[f"{name}, {side} px"] = (side, runner.distance(model, data))
    return Result(tables=(Table(columns=("Patch size", runner.fd), rows=rows),))
