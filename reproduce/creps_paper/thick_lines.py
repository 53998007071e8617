"""CREPS, Figure 3: how much of a photograph rows and columns alone can say.

A colour of a picture (H, W) is written as the products of H row and W column vectors of length D,
the thickness (section 3.3, eq. 3). That is a matrix of rank D, so the best fit is known: the first
D singular vectors (Eckart and Young). Gradient descent, as in the paper, should come close to it.
"decoders" puts the lines of several levels together as the generator does (section 3.4, eq. 4-6).

Shapes: C colours, H rows, W columns, D thickness, L levels, N channels of a line.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from creps.data._archives import is_image_name
from creps.data._framing import like, read_picture, square
from creps.data._set_files import named, png, write_set
from creps.data._sources import open_images
from creps.errors import ConfigError, UsageError
from creps.networks._layers import EqualizedLinear
from creps.networks.creps import Decoder
from creps.rendering._sheets import Panel
from reproduce.experiment import Cell, Experiment, Result, Table, sheet
from reproduce.runner import Runner
from reproduce.specs import Dataset, Maker

Composition = Literal["lines", "decoders"]

LONGEST_SIDE = 4096
"""Pixels of a side: all of them are looked at in every step."""
BLOCK = 96
"""Rows and columns, drawn at random, that cross in a step of "decoders"."""
ROWS_AT_ONCE = 64
"""Of a finished picture of "decoders"."""
RATES: dict[Composition, float] = {"lines": 0.02, "decoders": 0.01}
"""Learning rates of Adam at the start; they fall to zero."""


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """What is fitted, and how long."""

    thickness: int = 8
    """D: products of a row and a column that are summed."""
    composition: Composition = "lines"
    """"lines": the colours themselves, each by its own lines, as in Fig. 3; "decoders": lines of
    several levels, fused and decoded as the generator does."""
    levels: int = 3
    """L of "decoders"."""
    channels: int = 4
    """N of "decoders"."""
    widths: tuple[int, ...] = (32, 32)
    """Hidden widths of each decoder."""
    steps: int = 1000
    """Steps of gradient descent."""
    seed: int = 0
    """Of the values to begin with, and of the blocks of "decoders"."""

    def __post_init__(self) -> None:
        if self.composition not in RATES:
            raise ConfigError(f"composition {self.composition!r}: expected lines or decoders")
        for name in ("thickness", "levels", "channels", "steps"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)}: expected at least 1")
        if self.seed < 0:
            raise ConfigError(f"seed {self.seed}: expected 0 or more")


@dataclass(frozen=True)
class Fit:
    """A fitted picture.

    Attributes:
        settings: how it was made.
        image: (H, W, C) float32 on the scale 0 .. 255, clipped to it.
        losses: mean squared errors, one a step, of colours from 0 to 1; of blocks for "decoders".
        mse: mean squared error of `image`, of colours from 0 to 1.
        values: numbers that say the picture: those of lines, and of decoders.
        share: `values` for each number of the picture itself.
    """

    settings: FitSettings
    image: NDArray[np.float32]
    losses: tuple[float, ...]
    mse: float
    values: int
    share: float

    @property
    def psnr(self) -> float:
        """Likeness in decibels."""
        return math.inf if self.mse == 0 else -10 * math.log10(self.mse)


def fit_picture(
    picture: NDArray[Any],
    settings: FitSettings | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Fit:
    """Fit thick lines to a picture by gradient descent (CREPS, Fig. 3).

    Args:
        picture: (H, W, C) pixels on the scale 0 .. 255, H and W from 1 to `LONGEST_SIDE`.
        settings: what is fitted; `FitSettings()` by default.
        progress: called with the steps done and the steps in all.
    Raises:
        UsageError: for a picture of another shape or size.
        ConfigError: for settings that make no sense.
    Example:
        >>> stripes = np.tile(np.array([0, 255], np.uint8)[:, None, None], (4, 6, 1))
        >>> fit_picture(stripes, FitSettings(thickness=1, steps=300)).mse < 1e-3
        True
    """
    settings = settings or FitSettings()
    target = _target(picture)
    model: _Lines | _Decoded
    with torch.random.fork_rng(devices=[]):  # layers draw from torch's own generator
        torch.manual_seed(settings.seed)
        model = (_Lines if settings.composition == "lines" else _Decoded)(target, settings)
    draw = torch.Generator().manual_seed(settings.seed)
    optimizer = torch.optim.Adam(model.parameters(), betas=(0.9, 0.99))
    losses = []
    for step in range(settings.steps):
        fall = 0.5 + 0.5 * math.cos(math.pi * step / settings.steps)
        optimizer.param_groups[0]["lr"] = RATES[settings.composition] * fall
        loss = model.loss(target, draw)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        if progress is not None:
            progress(step + 1, settings.steps)
    with torch.no_grad():
        image = model.image().clamp(0, 1)
    values = sum(parameter.numel() for parameter in model.parameters())
    return Fit(
        settings,
        (255 * image).permute(1, 2, 0).contiguous().numpy(),
        tuple(losses),
        float((image - target).double().square().mean()),
        values,
        values / target.numel(),
    )


def least_error(picture: NDArray[Any], thickness: int) -> float:
    """The mean squared error that no fit of "lines" can go below, before clipping.

    Args:
        picture: as for `fit_picture`.
        thickness: D, at least 1.
    Returns:
        of colours from 0 to 1: the squares of all but the D largest singular values of each colour,
        for each number of the picture (Eckart and Young 1936).
    """
    target = _target(picture)
    beyond = torch.linalg.svdvals(target.double())[:, thickness:]
    return float(beyond.square().sum()) / target.numel()


def _target(picture: NDArray[Any]) -> Tensor:
    """(C, H, W) colours from 0 to 1."""
    if picture.ndim != 3 or not picture.size or max(picture.shape[:2]) > LONGEST_SIDE:
        raise UsageError(
            f"picture of shape {picture.shape}: expected (H, W, C) with sides of at most "
            f"{LONGEST_SIDE} pixels, reduce it first"
        )
    return torch.from_numpy(np.array(picture, np.float32)).permute(2, 0, 1).contiguous() / 255


class _Lines(nn.Module):
    """Rows and columns of each colour by itself."""

    def __init__(self, target: Tensor, settings: FitSettings) -> None:
        super().__init__()
        channels, height, width = target.shape
        # Products of such values are small beside colours: the picture begins nearly black.
        scale = 0.1 / math.sqrt(settings.thickness)
        self.rows = nn.Parameter(scale * torch.randn(channels, height, settings.thickness))
        self.columns = nn.Parameter(scale * torch.randn(channels, width, settings.thickness))

    def image(self) -> Tensor:
        """(C, H, W), eq. 3."""
        return self.rows @ self.columns.mT

    def loss(self, target: Tensor, draw: torch.Generator) -> Tensor:
        """The mean squared error of the whole; nothing is drawn."""
        return (self.image() - target).square().mean()


class _Decoded(nn.Module):
    """Lines of L levels, fused by decoders, and a linear head for the colours."""

    def __init__(self, target: Tensor, settings: FitSettings) -> None:
        super().__init__()
        shape = (settings.levels, settings.channels)
        scale = settings.thickness**-0.25  # composed maps begin with unit variance
        self.rows = nn.Parameter(scale * torch.randn(*shape, target.shape[1], settings.thickness))
        self.columns = nn.Parameter(
            scale * torch.randn(*shape, target.shape[2], settings.thickness)
        )
        self.decoders = nn.ModuleList(
            Decoder(settings.channels, settings.widths) for _ in range(settings.levels)
        )
        self.to_rgb = EqualizedLinear(settings.channels, target.shape[0], bias_init=0.5)

    def colours(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Lines (L, N, h, D) and (L, N, w, D) to colours (C, h, w), eq. 3-6."""
        maps = (rows @ columns.mT).flatten(2)  # (L, N, h * w)
        fused = maps[:1]
        for decoder, composed in zip(self.decoders, maps[1:], strict=False):
            fused = decoder(fused) + composed
        features = self.decoders[-1](fused)
        rgb: Tensor = self.to_rgb.per_position(features)
        return rgb[0].unflatten(1, (rows.shape[2], columns.shape[2]))

    def image(self) -> Tensor:
        """(C, H, W), some rows at a time."""
        parts = self.rows.split(ROWS_AT_ONCE, dim=2)
        return torch.cat([self.colours(part, self.columns) for part in parts], dim=1)

    def loss(self, target: Tensor, draw: torch.Generator) -> Tensor:
        """The mean squared error where some random rows and columns cross."""
        height, width = target.shape[1:]
        ys = torch.randperm(height, generator=draw)[:BLOCK]
        xs = torch.randperm(width, generator=draw)[:BLOCK]
        image = self.colours(self.rows[:, :, ys], self.columns[:, :, xs])
        return (image - target[:, ys][:, :, xs]).square().mean()


THICKNESSES = (1, 8, 32)
SIDE = 512
"""Pixels of the photograph's sides, as in the paper."""
SHOWN = 288
STEPS = 1000
CREDIT = "Photograph of the astronaut Eileen Collins: NASA, public domain.\n"


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


@Experiment(
    paper="creps",
    place="Figure 3",
    title="a photograph as thick lines",
    claim="A few products of rows and columns hold what matters of a photograph: 8 make the face "
    "known, 32 leave little noise.",
    minutes=1,
    differences=(
        "another photograph (Eileen Collins, NASA, public domain); --data photo=FILE takes yours",
        "numbers kept count rows and columns; the paper's 1.56 % counts rows alone",
    ),
    published=Table(  # section 3.3; the figure's own errors stand in the picture alone
        columns=("MSE, times less than with D = 1", "numbers kept (%)"),
        rows={"D = 1": (1.0, None), "D = 8": ("almost 6", 1.56), "D = 32": (None, 12.5)},
    ),
)
def figure_3(runner: Runner) -> Result:
    """Fit lines of each thickness to the photograph, each colour by itself; then decoders."""
    photo = photograph(runner.data(PHOTO))
    steps = runner.budget.capped(STEPS)
    asked = {f"D = {d}": FitSettings(thickness=d, steps=steps) for d in THICKNESSES}
    asked["D = 8, decoders"] = FitSettings(composition="decoders", steps=steps)
    fits = {label: fit_picture(photo, settings) for label, settings in asked.items()}
    thinnest = fits["D = 1"].mse
    panels = [Panel(square(photo, SHOWN), "the photograph", f"{SIDE} x {SIDE} pixels")]
    rows: dict[str, tuple[Cell, ...]] = {}
    for label, fit in fits.items():
        plain = fit.settings.composition == "lines"
        least = 1000 * least_error(photo, fit.settings.thickness) if plain else None
        rows[label] = (thinnest / fit.mse, 100 * fit.share, 1000 * fit.mse, least, fit.psnr)
        if plain:
            shown = square(like(fit.image, np.zeros(1, np.uint8)), SHOWN)
            note = f"MSE {fit.mse:.5f}, {fit.share:.1%} of the numbers"
            panels.append(Panel(shown, label, note))
    columns = (
        "MSE, times less than with D = 1",
        "numbers kept (%)",
        "MSE x 1000",
        "least of any fit, not clipped",
        "PSNR (dB)",
    )
    return Result(
        tables=(Table(columns=columns, rows=rows),),
        figures=(
            sheet(
                "fits",
                "A photograph, and its fits by thick lines with thickness 1, 8 and 32; the error "
                "is of colours from 0 to 1.",
                [panels],
                heading="A photograph as products of rows and columns",
            ),
        ),
    )


def photograph(path: Path) -> NDArray[Any]:
    """The middle of the first picture of a file or set, (SIDE, SIDE, 3) uint8."""
    alone = path.is_file() and is_image_name(path.name)
    return square(read_picture(path) if alone else open_images(path).image(0), SIDE)
