"""CREPS, Figure 3: how much of a photograph rows and columns alone can express.

A color of a picture (H, W) is written as the products of H row and W column vectors of length D,
the thickness (section 3.3, eq. 3). That is a matrix of rank D, so the best fit is known: the first
D singular vectors (Eckart and Young). Gradient descent, as in the paper, should come close to it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creps.data import open_images, read_picture, square
from creps.data._framing import like
from creps.data._set_files import named, png, write_set
from creps.data._store import is_image_name
from creps.errors import UsageError
from creps.rendering import Panel
from reproduce.experiment import (
    Cell,
    Result,
    experiment,
    one_table,
    sheet,
)
from reproduce.runner import Runner
from reproduce.specs import Dataset, Maker

THICKNESSES = (1, 8, 32)
SIDE = 512
"""Pixels of the photograph's sides, as in the paper."""
SHOWN = 288
STEPS = 1000
RATE = 0.02
"""Learning rate of Adam at the start; it falls to zero."""
CREDIT = "Photograph of the astronaut Eileen Collins: NASA, public domain.\n"


class Fit(NamedTuple):
    """A fitted picture.

    Attributes:
        image: (H, W, C) float32 on the scale 0 .. 255, clipped to it.
        losses: mean squared errors, one a step, of colors from 0 to 1.
        mse: mean squared error of `image`, of colors from 0 to 1.
        share: numbers of the lines for each number of the picture itself.
    """

    image: NDArray[np.float32]
    losses: tuple[float, ...]
    mse: float
    share: float

    @property
    def psnr(self) -> float:
        """Likeness in decibels."""
        return math.inf if self.mse == 0 else -10 * math.log10(self.mse)


def fit_picture(picture: NDArray[Any], thickness: int, *, steps: int, seed: int = 0) -> Fit:
    """Fit thick lines to a picture (H, W, C) of 0 .. 255 by gradient descent (section 3.3, eq. 3).

    Example:
        >>> stripes = np.tile(np.array([0, 255], np.uint8)[:, None, None], (4, 6, 1))
        >>> fit_picture(stripes, 1, steps=300).mse < 1e-3
        True
    """
    target = _colors(picture)
    channels, height, width = target.shape
    draw = torch.Generator().manual_seed(seed)
    # Products of such values are small compared with colors: the picture begins nearly black.
    scale = 0.1 / math.sqrt(thickness)
    rows, columns = (
        (scale * torch.randn(channels, side, thickness, generator=draw)).requires_grad_()
        for side in (height, width)
    )
    optimizer = torch.optim.Adam([rows, columns], betas=(0.9, 0.99))
    losses = []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        loss = (rows @ columns.mT - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    image = (rows @ columns.mT).detach().clamp(0, 1)
    return Fit(
        (255 * image).permute(1, 2, 0).contiguous().numpy(),
        tuple(losses),
        float((image - target).double().square().mean()),
        (rows.numel() + columns.numel()) / target.numel(),
    )


def least_error(picture: NDArray[Any], thickness: int) -> float:
    """The mean squared error, of colors from 0 to 1, that no fit can go below before clipping.

    The squares of all but the D largest singular values of each color, for each number of the
    picture (Eckart and Young 1936).
    """
    target = _colors(picture)
    beyond = torch.linalg.svdvals(target.double())[:, thickness:]
    return float(beyond.square().sum()) / target.numel()


def _colors(picture: NDArray[Any]) -> Tensor:
    """(C, H, W) from 0 to 1."""
    return torch.from_numpy(np.array(picture, np.float32)).permute(2, 0, 1).contiguous() / 255


def astronaut(maker: Maker, out: Path) -> None:
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


@experiment("creps-fig-3")
def figure_3(runner: Runner) -> Result:
    """Fit lines of each thickness to the photograph, each color separately."""
    photo = photograph(runner.data(PHOTO))
    steps = runner.budget.capped(STEPS)
    fits = {d: fit_picture(photo, d, steps=steps) for d in THICKNESSES}
    panels = [Panel(square(photo, SHOWN), "the photograph", f"{SIDE} x {SIDE} pixels")]
    rows: dict[str, tuple[Cell, ...]] = {}
    for thickness, fit in fits.items():
        least = 1000 * least_error(photo, thickness)
        times = fits[1].mse / fit.mse
        rows[f"D = {thickness}"] = (times, 100 * fit.share, 1000 * fit.mse, least, fit.psnr)
        shown = square(like(fit.image, np.zeros(1, np.uint8)), SHOWN)
        note = f"MSE {fit.mse:.5f}, {fit.share:.1%} of the numbers"
        panels.append(Panel(shown, f"D = {thickness}", note))
    columns = (
        "MSE, times less than with D = 1",
        "numbers kept (%)",
        "MSE x 1000",
        "least of any fit, not clipped",
        "PSNR (dB)",
    )
    return one_table(
        columns,
        rows,
        sheet(
            "fits",
            "A photograph, and its fits by thick lines with thickness 1, 8 and 32; the error "
            "is of colors from 0 to 1.",
            [panels],
            heading="A photograph as products of rows and columns",
        ),
    )


def photograph(path: Path) -> NDArray[Any]:
    """The middle of the first picture of a file or set, (SIDE, SIDE, 3) uint8."""
    alone = path.is_file() and is_image_name(path.name)
    return square(read_picture(path) if alone else open_images(path).image(0), SIDE)
