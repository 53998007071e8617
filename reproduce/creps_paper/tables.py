"""CREPS, Tables 2, 3, 4 and 7: quality, the same picture at every size, and what lines bring."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from benchmarks.costs import Drawing
from creps.checkpoints import save
from creps.metrics._consistency import Consistency
from creps.metrics._extractors import extractor_spec
from creps.metrics._models import ModelRef, model_ref
from creps.networks import build_generator, describe_generator
from creps.networks.cips import CIPS_PRESETS
from creps.rendering._view import Samples
from creps.training import preset
from reproduce.cips_paper.models import cips_on, rival
from reproduce.creps_paper.costs import costs, drawn_size
from reproduce.experiment import (
    Cell,
    Result,
    Table,
    by_column,
    experiment,
    one_table,
    published,
)
from reproduce.models import (
    ANYRES,
    BRIEF,
    CHURCHES,
    CIPS,
    CREPS,
    EARTH,
    PORTRAITS,
    SCALEPARTY,
    SHIPPED,
    STYLEGAN2,
)
from reproduce.runner import Runner
from reproduce.specs import Dataset, Model, Training

QUALITY = published("creps-table-2")
TRANSFER_IMAGES = 3_200
"""Pictures of the new set that the transferred networks see."""
PAINTINGS = Dataset(
    name="metfaces",
    paper="MetFaces at 1,024 px",
    command=("portraits", "--size", "128", "--style", "micah"),
    count=1336,
)
"""Faces drawn by another hand stand in for painted ones, as many as those are."""
SCENERY = Dataset(name="scenery", paper="Flickr-Scenery at 256 px or more")


class Column(NamedTuple):
    """Models on one data set, by row, or why there is none; measured at `factor` sizes trained."""

    title: str
    data: Dataset
    models: dict[str, Model | str]
    factor: int = 1


def quality_columns(runner: Runner) -> list[Column]:
    """The paper's columns that have a counterpart here."""
    ours: dict[str, Model | str] = {"StyleGAN2": STYLEGAN2, "CIPS": CIPS, "CREPS": CREPS}
    churches = CHURCHES if runner.paper else EARTH
    title = "paintings" if runner.paper else "another style"
    moved: dict[str, Model | str] = {
        "StyleGAN2": _moved(STYLEGAN2),
        "CIPS": "not trained",
        "CREPS": _moved(CREPS),
    }
    columns = [
        Column("portraits", PORTRAITS, ours),
        Column("portraits, twice the size", PORTRAITS, ours | {"StyleGAN2": "one size only"}, 2),
        _on(churches, "churches" if runner.paper else "maps of the Earth", "church", runner),
        Column(f"transfer to {title}", PAINTINGS, moved),
    ]
    if runner.paper:
        columns.append(_on(SCENERY, "scenery", "scenery", runner))
    return columns


def _on(data: Dataset, title: str, preset: str, runner: Runner) -> Column:
    """All three from nothing on another set."""
    creps = Model(
        name=f"creps-{data.name}",
        data=data,
        small=Training(preset="smoke", images=BRIEF, settings=("data.detail=2",)),
        paper=Training(preset=f"paper-{preset}-256"),
    )
    models = {"StyleGAN2": rival(data, runner), "CIPS": cips_on(data), "CREPS": creps}
    return Column(title, data, {**models})


def _moved(start: Model) -> Model:
    """A model of faces, trained further on paintings (A.2)."""
    paper = Training(preset="paper-metfaces-1024")
    if start is not CREPS:
        more = ("data.mirror=true", "discriminator_warmup=100", "augment.kind=ada")
        paper = replace(start.paper, images=2_000_000, settings=(*start.paper.settings, *more))
    assert isinstance(start.small, Training)
    warm = ("discriminator_warmup=50",)
    return Model(
        name=f"{start.name}-moved",
        data=PAINTINGS,
        small=replace(start.small, images=TRANSFER_IMAGES, settings=warm),
        paper=paper,
        start=start,
    )


@experiment("creps-table-2", compare=by_column)
def table_2(runner: Runner) -> Result:
    """Train all of them equally long on each set, and measure them at the sizes trained."""
    rows: dict[str, list[Cell]] = {label: [] for label in QUALITY.rows}
    heads = []
    for title, data, models, factor in quality_columns(runner):
        sizes = set()
        for label, cells in rows.items():
            model = models[label]
            if isinstance(model, str):
                cells.append(model)
                continue
            size = factor * runner.ref(model).trained[0]
            cells.append(runner.distance(model, data, size=size))
            sizes.add(size)
        heads.append(f"{title}, {' and '.join(map(str, sorted(sizes)))} px")
    caption = f"{runner.fd}, lowest is best"
    return one_table(heads, rows, caption=caption)


CONSISTENCY = published("creps-table-3")
CONSISTENT = dict(zip(CONSISTENCY.rows, (ANYRES, SCALEPARTY, CIPS, CREPS), strict=True))
LAYERS = "effnet"
"""The network of the perceptual distance: the budget's may show no layers."""


@experiment("creps-table-3", compare=by_column)
def table_3(runner: Runner) -> Result:
    """The paper's comparison, and one model in the renderer's ways of taking samples."""
    columns = ("PSNR (dB)", "SSIM", f"pd_{LAYERS}")
    refs = {label: runner.ref(model) for label, model in CONSISTENT.items()}
    size = refs["AnyresGAN"].trained[0]  # the smallest that all of them paint
    table = Table(
        columns=columns,
        rows={label: agreement(runner, ref, size)[:3] for label, ref in refs.items()},
        caption=f"{size} px against {2 * size} px reduced",
    )
    shipped = runner.ref(SHIPPED)
    half = shipped.detail // 2
    corners = with_corners(runner, shipped)
    ways = Table(
        columns=(*columns, "time (plain = 1)"),
        rows={
            "one sample from corner to corner (official)": agreement(runner, corners, half),
            "one sample at pixel centers": agreement(runner, shipped, half),
            "antialiased (supersample=auto)": agreement(runner, shipped, half, samples="auto"),
        },
        caption=f"Ways to take samples: CREPS trained longest, {half} px against {2 * half} px, "
        "the finest detail it was trained on",
    )
    return Result(tables=(table, ways))


def agreement(
    runner: Runner, ref: ModelRef, size: int, *, samples: Samples = 1
) -> tuple[Cell, ...]:
    """(PSNR, SSIM, perceptual distance, time as a multiple of plain pictures), means over seeds.

    Pictures of `size` are compared with ones of twice that, reduced.
    """
    work = Consistency(model=ref, size=size, extractor=extractor_spec(LAYERS), supersample=samples)
    rows = runner.collect({f"{size} px": work}, runner.budget.probes)[f"{size} px"]
    means = [float(rows[name].mean()) for name in ("psnr", "ssim", "perceptual")]
    cells = [mean if np.isfinite(mean) else "too small" for mean in means]
    return (*cells, float(np.median(rows["cost"])))


def with_corners(runner: Runner, ref: ModelRef) -> ModelRef:
    """The same weights, with samples from border to border as the official code takes them."""
    generator = ref.generator()
    family, config = describe_generator(generator)
    copy = build_generator(family, config | {"sampling": "corners"})
    copy.load_state_dict(generator.state_dict())
    folder = runner.folder / "models" / "creps-corners"
    save(copy, folder, record=dict(generator.record))
    return model_ref(str(folder), device=runner.device)


ABLATION_SIZE = 128
"""Pixels a side of the paper's ablation."""
ABLATION = published("creps-table-4")


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
        small=Training(preset="smoke", images=BRIEF, settings=tuple(settings)),
        paper=Training(preset=f"ablation-{name}"),
    )
    config = preset(f"ablation-{name}").generator
    return Variant(model, Drawing(family="creps", config=config, size=ABLATION_SIZE))


_CIPS = Variant(
    Model(
        name="ablation-cips",
        data=PORTRAITS,
        small=Training(preset="cips-smoke", images=BRIEF),
        paper=Training(
            preset="cips-paper-256",
            images=preset("ablation-dense").images,
            settings=(
                *(f"{part}resolution={ABLATION_SIZE}" for part in ("", "generator.")),
                f"discriminator.resolution={ABLATION_SIZE}",
                f"batch={preset('ablation-dense').batch}",
                "loss.r1_gamma=0.5",
            ),
        ),
    ),
    Drawing(
        family="cips",
        config=replace(CIPS_PRESETS["cips-256"], resolution=ABLATION_SIZE),
        size=ABLATION_SIZE,
    ),
)
_CREPS = (("dense",), ("once", 1), ("once", 8), ("sum", 8), ("layerwise", 4), ("layerwise", 8))
VARIANTS = dict(zip(ABLATION.rows, (*(_variant(*each) for each in _CREPS), _CIPS), strict=True))


@experiment("creps-table-4", compare=by_column)
def table_4(runner: Runner) -> Result:
    """Train each equally long and measure it; draw the paper's networks and see what it costs."""
    size = drawn_size(runner, ABLATION_SIZE)
    found = costs(runner, [replace(variant.drawing, size=size) for variant in VARIANTS.values()])
    rows = {}
    for (label, variant), cost in zip(VARIANTS.items(), found, strict=True):
        trained = runner.ref(variant.model).trained[0]
        rows[label] = (runner.distance(variant.model, PORTRAITS, size=trained), *cost)
    columns = (runner.fd, "memory (GB)", "time, on a CPU of one core (s)")
    return one_table(columns, rows)


SCALES = published("creps-table-7")
FACTORS = (1, 2, 4)
"""Sizes as multiples of the largest of the training sizes; the paper's are 1 and 2."""


@experiment("creps-table-7", compare=lambda published, found: by_column(published, found)[:2])
def table_7(runner: Runner) -> Result:
    """Measure every model at the same sizes, against pictures of these sizes."""
    models = dict(zip(SCALES.rows, (SCALEPARTY, ANYRES, CREPS), strict=True))
    base = max(runner.ref(model).trained[0] for model in models.values())
    sizes = [factor * base for factor in (FACTORS[:2] if runner.paper else FACTORS)]
    rows = {
        label: [runner.distance(model, PORTRAITS, size=size) for size in sizes]
        for label, model in models.items()
    }
    columns = [f"{size} px" for size in sizes]
    return one_table(columns, rows, caption=f"{runner.fd}, one data set")
