"""CREPS, Table 3: is a picture the same at twice the size?"""

from __future__ import annotations

import numpy as np

from creps.checkpoints import save
from creps.metrics._extractor_names import extractor_spec
from creps.metrics._jobs import Consistency
from creps.metrics._models import ModelRef, model_ref
from creps.networks.base import build_generator, describe_generator
from creps.rendering._view import Samples
from reproduce.experiment import Cell, Experiment, Findings, Table
from reproduce.orders import column, numbers, order_remark
from reproduce.standard_models import ANYRES, CIPS, CREPS, SCALEPARTY, SHIPPED
from reproduce.workshop import Workshop

PUBLISHED = Table(
    columns=("PSNR (dB)", "SSIM", "LPIPS"),
    rows={
        "AnyresGAN": (24.19, 0.73, 0.07),
        "ScaleParty": (24.50, 0.70, 0.08),
        "CIPS": (33.33, 0.93, 0.05),
        "CREPS": (34.65, 0.96, 0.01),
    },
)
MODELS = dict(zip(PUBLISHED.rows, (ANYRES, SCALEPARTY, CIPS, CREPS), strict=True))

LAYERS = "effnet"
"""The network of the perceptual distance: the budget's may show no layers."""
COLUMNS = ("PSNR (dB)", "SSIM", f"pd_{LAYERS}")
PLAIN, CORNERS = "one sample at pixel centres", "one sample from corner to corner (official)"
AREAS = "antialiased (supersample=auto)"
TIME = "time (plain = 1)"
GOAL_DB, GOAL_SSIM = 45.0, 0.995
"""Of antialiased pictures: what is left is hardly more than the rounding to 8 bits."""


def run(shop: Workshop) -> Findings:
    """The paper's comparison, and one model in the renderer's ways of taking samples."""
    refs = {label: shop.ref(model) for label, model in MODELS.items()}
    size = refs["AnyresGAN"].trained[0]  # the smallest that all of them paint
    rows = {label: agreement(shop, ref, size)[:3] for label, ref in refs.items()}
    table = Table(
        columns=COLUMNS,
        rows=rows,
        caption=f"{size} px against {2 * size} px reduced",
    )
    shipped = shop.ref(SHIPPED)
    half = shipped.detail // 2
    ways = Table(
        columns=(*COLUMNS, TIME),
        rows={
            CORNERS: agreement(shop, with_corners(shop, shipped), half),
            PLAIN: agreement(shop, shipped, half),
            AREAS: agreement(shop, shipped, half, samples="auto"),
        },
        caption=f"Ways to take samples: CREPS trained longest, {half} px against {2 * half} px, "
        "the finest detail it was trained on",
    )
    return Findings(tables=(table, ways), remarks=remarks(table, ways))


def agreement(
    shop: Workshop, ref: ModelRef, size: int, *, samples: Samples = 1
) -> tuple[Cell, ...]:
    """(PSNR, SSIM, perceptual distance, time as a multiple of plain pictures), means over seeds.

    Args:
        shop: where it is worked out.
        ref: the model, on disk.
        size: pixels a side of the smaller picture.
        samples: as `supersample` of `render`.
    """
    work = Consistency(model=ref, size=size, extractor=extractor_spec(LAYERS), supersample=samples)
    shop.say(f"drawing {size} px and {2 * size} px with {ref.path}")
    rows = shop.columns({"sizes": work}, {"sizes": shop.budget.probes})["sizes"]
    means = [float(rows[name].mean()) for name in ("psnr", "ssim", "perceptual")]
    cells = [mean if np.isfinite(mean) else "too small" for mean in means]
    return (*cells, float(np.median(rows["cost"])))


def with_corners(shop: Workshop, ref: ModelRef) -> ModelRef:
    """The same weights, with samples from border to border as the official code takes them."""
    generator = ref.generator()
    family, config = describe_generator(generator)
    copy = build_generator(family, config | {"sampling": "corners"})
    copy.load_state_dict(generator.state_dict())
    folder = shop.folder / "models" / "creps-corners"
    save(copy, folder, record=dict(generator.record))
    return model_ref(str(folder))


def remarks(table: Table, ways: Table) -> tuple[str, ...]:
    """The paper's order, and what the renderer's ways to take samples change."""
    found = [
        order_remark(theirs, column(PUBLISHED, theirs), column(table, ours))
        for theirs, ours in zip(PUBLISHED.columns, COLUMNS, strict=True)
    ]
    decibels, ssim = (numbers(column(ways, name)) for name in ways.columns[:2])
    found.append(
        f"Samples at pixel centres instead of corners: {decibels[PLAIN] - decibels[CORNERS]:+.1f} "
        "dB with the same weights; the sizes then share their grid."
    )
    reached = decibels[AREAS] >= GOAL_DB and ssim[AREAS] >= GOAL_SSIM
    found.append(
        f"Antialiasing: {decibels[AREAS] - decibels[PLAIN]:+.1f} dB for "
        f"{numbers(column(ways, TIME))[AREAS]:.1f} times the processor time; {GOAL_DB:g} dB and "
        f"SSIM {GOAL_SSIM:g} are " + ("reached." if reached else "not reached.")
    )
    return tuple(found)


TABLE_3 = Experiment(
    paper="creps",
    place="Table 3",
    title="the same picture at every size",
    claim="Networks that work pixel by pixel change least with the size, CREPS least of all.",
    minutes=40,
    differences=(
        "drawn portraits at 32 px, 8,000 pictures shown to each model, 24,000 and 8,000 patches to "
        "the any-resolution GAN; the paper takes published weights of different lengths and sizes",
        "24 seeds instead of 10,000",
        "pd_effnet instead of LPIPS, another scale of numbers",
        "ScaleParty and the any-resolution GAN are this package's, at small widths",
    ),
    published=PUBLISHED,
    run=run,
)
