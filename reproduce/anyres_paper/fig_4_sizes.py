"""Any-resolution GAN, Fig. 4 and Table 1: how large the pictures of the sets are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from creps.data._checking import bars_picture, size_bars
from creps.data._sources import open_images
from reproduce.experiment import Cell, Experiment, Figure, Findings, Table
from reproduce.ingredients import Dataset
from reproduce.standard_models import MIXED
from reproduce.workshop import Workshop

EARTH = Dataset(
    name="earth-mixed",
    paper="photographs of churches or birds as large as they come, in one folder",
    command=("earth", "--size", "64-256"),
    count=1000,
)
SETS = {"portraits": MIXED, "earth": EARTH}
STEP = 0.125
"""Width of a bar in octaves."""
MOST_BARS = 24
LOW_SHARE = 0.25
"""Of equally small pictures: a set with so many is one of two resolutions."""


def short_sides(shop: Workshop, data: Dataset) -> NDArray[np.int64]:
    """(N,) pixels of the shorter side of each picture."""
    sides: NDArray[np.int64] = open_images(shop.data(data)).sizes.min(1).astype(np.int64)
    return sides


def run(shop: Workshop) -> Findings:
    """Count small and larger pictures, and draw the sizes of the larger ones."""
    rows: dict[str, tuple[Cell, ...]] = {}
    figures = []
    for name, data in SETS.items():
        sides = short_sides(shop, data)
        low = int(sides.min())
        large = sides[sides > low] if (sides == low).mean() > LOW_SHARE else sides
        few = len(sides) - len(large)
        rows[name] = (
            few,
            len(large),
            low if few else "none",
            int(large.min()),
            float(np.median(large)),
            int(large.max()),
        )
        share = f"{few:,} of {low} px, " if few else ""
        title = f"{name}: {share}{len(large):,} {'larger' if few else 'pictures'}"
        bars = size_bars(large.tolist(), MOST_BARS, step=STEP)
        figures.append(
            Figure(
                name=name,
                caption=f"The larger pictures of the set {name} by size; a bar is an eighth of a "
                "doubling.",
                picture=np.asarray(bars_picture(bars, title=title)),
            )
        )
    columns = ("# low", "# high", "low (px)", "high, min", "high, median", "high, max")
    return Findings(
        tables=(Table(columns=columns, rows=rows, caption="Shorter sides, as in Table 1"),),
        figures=tuple(figures),
        remarks=(_remark(rows),),
    )


def _remark(rows: dict[str, tuple[Cell, ...]]) -> str:
    shares = {name: float(high or 0) / float(low) for name, (low, high, *_) in rows.items() if low}
    said = "; ".join(f"{name} {share:.1%}" for name, share in shares.items())
    return f"Larger pictures per small one: {said or 'no small ones'}; in the paper 1.8% to 8.6%."


PUBLISHED = Table(
    columns=("# low", "# high", "low (px)", "high, min", "high, median", "high, max"),
    rows={
        "Faces": (70_000, 6000, 256, 512, 819, 1024),
        "Churches": (126_227, 6253, 256, 1024, 2836, 18_000),
        "Birds": (112_266, 7625, 256, 512, 1365, 2048),
        "Mountains": (507_495, 9361, 1024, 2049, 3168, 12_431),
    },
    caption="Table 1",
)

FIGURE_4 = Experiment(
    paper="anyres",
    place="Figure 4",
    title="sizes of the pictures in a set",
    claim="Sets of mixed sizes are many small pictures and a few larger ones.",
    minutes=3,
    differences=(
        "drawn portraits and maps of the Earth, drawn at sizes that we chose",
        "counts are not on a logarithmic axis",
    ),
    published=PUBLISHED,
    run=run,
)
