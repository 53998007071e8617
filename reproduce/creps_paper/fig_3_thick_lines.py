"""CREPS, Figure 3: a photograph fitted by thick lines, with thickness 1, 8 and 32."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from creps.data._archives import is_image_name
from creps.data._framing import like, read_picture, square
from creps.data._set_files import named, png, write_set
from creps.data._sources import open_images
from creps.errors import UsageError
from creps.rendering._sheets import Panel, captioned_sheet
from reproduce.creps_paper.thick_lines import Fit, FitSettings, fit_picture, least_error
from reproduce.experiment import Cell, Experiment, Figure, Findings, Table
from reproduce.ingredients import Dataset, Supplies
from reproduce.workshop import Workshop

if TYPE_CHECKING:
    from creps.data._framing import Pixels

THICKNESSES = (1, 8, 32)
SIDE = 512
"""Pixels of the photograph's sides, as in the paper."""
SHOWN = 288
STEPS = 1000
CREDIT = "Photograph of the astronaut Eileen Collins: NASA, public domain.\n"

PUBLISHED = Table(
    columns=("MSE, times less than with D = 1", "numbers kept (%)"),
    rows={"D = 1": (1.0, None), "D = 8": ("almost 6", 1.56), "D = 32": (None, 12.5)},
)
"""Section 3.3; the figure's own errors stand in the picture alone."""


def astronaut(shop: Supplies, out: Path) -> None:
    """Write the photograph that scikit-image brings along as a set of one picture.

    Raises:
        UsageError: if scikit-image is not installed.
    """
    try:
        from skimage import data
    except ImportError:
        raise UsageError(
            "creps-fig-3 takes its photograph from scikit-image: pip install scikit-image, or "
            "give your own with --data photo=FILE"
        ) from None
    write_set(
        out,
        named(iter([png(data.astronaut())])),
        settings={"photograph": "skimage.data.astronaut"},
        settings_name="photo.json",
        attribution=CREDIT,
        progress=None,
    )


PHOTO = Dataset(name="photo", paper="a photograph of a face, 512 px or more", derive=astronaut)


def run(shop: Workshop) -> Findings:
    """Fit lines of each thickness to the photograph, each colour by itself."""
    photo = _photograph(shop.data(PHOTO))
    steps = shop.budget.capped(STEPS)
    fits = [fit_picture(photo, FitSettings(thickness=d, steps=steps)) for d in THICKNESSES]
    thinnest = fits[0].mse
    rows: dict[str, tuple[Cell, ...]] = {
        f"D = {fit.settings.thickness}": (
            thinnest / fit.mse,
            100 * fit.share,
            1000 * fit.mse,
            1000 * least_error(photo, fit.settings.thickness),
            fit.psnr,
        )
        for fit in fits
    }
    columns = (*PUBLISHED.columns, "MSE x 1000", "least of any fit, not clipped", "PSNR (dB)")
    return Findings(
        tables=(Table(columns=columns, rows=rows),),
        figures=(
            Figure(
                name="fits",
                caption="A photograph, and its fits by thick lines with thickness 1, 8 and 32; "
                "the error is of colours from 0 to 1.",
                picture=_sheet(photo, fits),
            ),
        ),
        remarks=_remarks(fits),
    )


def _photograph(path: Path) -> Pixels:
    """The middle of the first picture of a file or set, (SIDE, SIDE, 3) uint8."""
    alone = path.is_file() and is_image_name(path.name)
    return square(read_picture(path) if alone else open_images(path).image(0), SIDE)


def _sheet(photo: Pixels, fits: list[Fit]) -> Pixels:
    """The photograph and its fits, reduced to the size of a panel."""
    panels = [Panel(square(photo, SHOWN), "the photograph", f"{SIDE} x {SIDE} pixels")]
    for fit in fits:
        shown = square(like(fit.image, np.zeros(1, np.uint8)), SHOWN)
        note = f"MSE {fit.mse:.5f}, {fit.share:.1%} of the numbers"
        panels.append(Panel(shown, f"D = {fit.settings.thickness}", note))
    return captioned_sheet([panels], heading="A photograph as products of rows and columns")


def _remarks(fits: list[Fit]) -> tuple[str, ...]:
    """The paper's statements, with the numbers found."""
    thin, middle, thick = fits
    return (
        f"From D = 1 to D = 8 the error falls to {middle.mse / thin.mse:.2f} of it, by "
        f"{thin.mse / middle.mse:.1f} times; the paper says almost 6 times, of another photograph.",
        f"Rows and columns of {SIDE} pixels take {middle.share:.2%} of the photograph's numbers at "
        f"D = 8 and {thick.share:.2%} at D = 32. The paper gives 1.56 % for D = 8, which counts "
        "rows alone, and 12.5 % for D = 32, which counts both.",
    )


FIGURE_3 = Experiment(
    paper="creps",
    place="Figure 3",
    title="a photograph as thick lines",
    claim="A few products of rows and columns hold what matters of a photograph: 8 make the face "
    "known, 32 leave little noise.",
    minutes=0.5,
    differences=(
        "another photograph (Eileen Collins, NASA, public domain); --data photo=FILE takes yours",
    ),
    published=PUBLISHED,
    run=run,
)
