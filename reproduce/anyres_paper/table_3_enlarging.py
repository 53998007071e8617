"""Any-resolution GAN, Table 3: painting large pictures against enlarging small ones."""

from __future__ import annotations

from creps.metrics._distances import frechet_distance
from reproduce.anyres_paper.scoring import (
    REAL,
    SMALL,
    Rival,
    column_names,
    patch_sets,
    random_patches,
    seen,
)
from reproduce.experiment import Experiment, Findings, Table
from reproduce.standard_models import ANYRES, ANYRES_BASE
from reproduce.workshop import Workshop

PUBLISHED = Table(
    columns=("FFHQ6K", "Church", "Bird", "Mountain"),
    rows={
        "LIIF": (22.93, 83.88, 30.19, 23.10),
        "Real-ESRGAN": (16.92, 23.04, 16.10, 19.05),
        "Ours": (2.96, 9.89, 6.52, 7.99),
    },
)


def run(shop: Workshop) -> Findings:
    """Compare patches of the model with patches of the first phase's pictures, enlarged."""
    base, plan = shop.ref(ANYRES_BASE), random_patches(shop)
    rivals = {
        "bicubic": Rival(model=base, how="bicubic"),
        "Lanczos": Rival(model=base, how="lanczos"),
        "Ours": Rival(model=shop.ref(ANYRES)),
    }
    found = seen(shop, patch_sets(rivals, plan))
    far = {
        label: frechet_distance(found[label]["features"], found[REAL]["features"])
        for label in rivals
    }
    table = Table(
        columns=column_names(shop, [plan])[-1:],
        rows={label: (value,) for label, value in far.items()},
    )
    times = min(far["bicubic"], far["Lanczos"]) / far["Ours"]
    closest = min(value / PUBLISHED.rows["Ours"][0] for value in (22.93, 16.92))  # type: ignore[operator]
    return Findings(
        tables=(table,),
        remarks=(
            f"The better of the enlarged pictures is {times:.2f} times as far from the truth as "
            f"ours; on FFHQ6k, enlarged by networks, it is {closest:.1f} times as far.",
        ),
    )


TABLE_3 = Experiment(
    paper="anyres",
    place="Table 3",
    title="painting large pictures against enlarging small ones (pFID)",
    claim="Super-resolution of a small picture does not find the details that a model of any "
    "resolution paints.",
    minutes=17,
    differences=(
        *SMALL,
        "bicubic and Lanczos enlargement instead of the networks LIIF and Real-ESRGAN",
        "faces alone",
    ),
    published=PUBLISHED,
    run=run,
)
