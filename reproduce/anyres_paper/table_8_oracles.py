"""Any-resolution GAN, Table 8 and Fig. 14: against generators that have all large pictures."""

from __future__ import annotations

import numpy as np

from creps.metrics._cache import SUM
from creps.metrics._charts import line_chart
from creps.metrics._spectra import spectrum_difference
from reproduce.anyres_paper.scoring import (
    REAL,
    SIZES,
    SMALL,
    Rival,
    base_size,
    distances,
    largest_patches,
    random_patches,
    remarks,
    seen,
    whole_sets,
)
from reproduce.anyres_paper.variants import ORACLE_2, ORACLE_3
from reproduce.experiment import Cell, Experiment, Figure, Findings, Table
from reproduce.standard_models import ANYRES
from reproduce.workshop import Workshop

PUBLISHED = Table(
    columns=("FID 256", "FID 512", "FID 1024", "pFID random", "pFID 1024"),
    rows={
        "SGAN2 Oracle": (3.05, 2.81, 2.69, 2.26, 4.83),
        "SGAN3 Oracle": (3.54, 3.23, 3.06, 2.44, 4.29),
        "Patch (Ours)": (3.34, 3.71, 4.06, 2.96, 8.01),
    },
)
SGAN2, SGAN3, OURS = PUBLISHED.rows
_ORACLES = (
    "the oracles have 0.17 (StyleGAN2) and 0.07 (StyleGAN3) million parameters at 128 px, and were "
    "shown 8,000 pictures",
)


def rivals(shop: Workshop) -> dict[str, Rival]:
    """The oracles paint the largest size, which is reduced for others, with a Lanczos filter."""
    return {
        SGAN2: Rival(model=shop.ref(ORACLE_2), how="lanczos"),
        SGAN3: Rival(model=shop.ref(ORACLE_3), how="lanczos"),
        OURS: Rival(model=shop.ref(ANYRES)),
    }


def run(shop: Workshop) -> Findings:
    """Measure all at every size and on patches."""
    plans = [random_patches(shop), largest_patches(shop)]
    table = distances(shop, rivals(shop), plans=plans)
    return Findings(tables=(table,), remarks=remarks(PUBLISHED, table))


def run_spectra(shop: Workshop) -> Findings:
    """Mean power by frequency at the largest size."""
    size = SIZES[-1] * base_size(shop)
    found = seen(shop, whole_sets(shop, rivals(shop), size))
    radial = {label: c[f"{SUM}radial"] / len(c["features"]) for label, c in found.items()}
    radial = {REAL: radial.pop(REAL), **radial}
    lines = {label: 10 * np.log10(np.maximum(power[1:], 1e-4)) for label, power in radial.items()}
    frequency = np.arange(1, size // 2 + 1, dtype=np.float64) / size
    rows: dict[str, tuple[Cell, ...]] = {
        label: spectrum_difference(power, radial[REAL])
        for label, power in radial.items()
        if label != REAL
    }
    nearest = min(rows, key=lambda label: float(rows[label][0] or 0))
    return Findings(
        tables=(Table(columns=("rms, dB from real", "upper half, dB from real"), rows=rows),),
        figures=(
            Figure(
                name="spectra",
                caption=f"Mean power of pictures of {size} px by frequency.",
                picture=line_chart(
                    frequency, lines, x_name="cycles a pixel", y_name="decibels", size=(420, 900)
                ),
            ),
        ),
        remarks=(f"Nearest to real pictures in power: {nearest}. The paper: SGAN3 and ours.",),
    )


TABLE_8 = Experiment(
    paper="anyres",
    place="Table 8",
    title="patches of few large pictures against oracles that have all",
    claim="Generators trained on all pictures at the largest size are better, but not by much.",
    minutes=48,
    differences=(*SMALL, *_ORACLES),
    published=PUBLISHED,
    run=run,
)
FIGURE_14 = Experiment(
    paper="anyres",
    place="Figure 14",
    title="power spectra of patch generator and oracles",
    claim="Trained on patches, the generator has about the spectrum of real pictures and of a "
    "StyleGAN3 trained on whole ones; StyleGAN2's differs more.",
    minutes=42,
    differences=(*SMALL, *_ORACLES),
    run=run_spectra,
)
