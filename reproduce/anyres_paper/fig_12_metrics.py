"""Any-resolution GAN, Fig. 12: distances of patches against distances of whole large pictures."""

from __future__ import annotations

import numpy as np

from creps.metrics._charts import scatter_chart
from reproduce.anyres_paper.scoring import SMALL, distances, painters
from reproduce.anyres_paper.variants import VARIANTS
from reproduce.experiment import Experiment, Figure, Findings, Table
from reproduce.workshop import Workshop


def run(shop: Workshop) -> Findings:
    """Measure many second phases both ways, and correlate."""
    found = distances(shop, painters(shop, VARIANTS))
    whole, patches = found.columns[2:]
    table = Table(
        columns=(whole, patches), rows={label: cells[2:] for label, cells in found.rows.items()}
    )
    points = np.array([[float(cell or 0) for cell in cells] for cells in table.rows.values()])
    ranks = points.argsort(0).argsort(0)
    linear, ranked = correlation(points), correlation(ranks)
    said = "largely correlated" if min(linear, ranked) > 0.7 else "not strongly correlated"
    return Findings(
        tables=(table,),
        figures=(
            Figure(
                name="metrics",
                caption="Distances of patches over distances of whole pictures of the largest "
                "size; each point is a model of Tables 4 and 10 to 13.",
                picture=scatter_chart(points, x_name=whole, y_name=patches, size=(420, 700)),
            ),
        ),
        remarks=(
            f"Of {len(points)} models the correlation is {linear:.2f}, that of ranks {ranked:.2f}: "
            f"{said}, where the paper says largely correlated.",
        ),
    )


def correlation(points: np.ndarray) -> float:
    """Of two columns (N, 2); 0 where one is constant."""
    apart = points - points.mean(0)
    scale = float(np.sqrt(np.square(apart).sum(0).prod()))
    return float((apart[:, 0] * apart[:, 1]).sum() / scale) if scale else 0.0


FIGURE_12 = Experiment(
    paper="anyres",
    place="Figure 12",
    title="patch distances against whole ones",
    claim="Distances of patches are largely correlated with those of whole large pictures.",
    minutes=120,
    differences=(*SMALL, "points are models that differ, not one model as it learns"),
    run=run,
)
