"""CIPS, Fig. 19: some layers of a picture take the style of another one."""

from __future__ import annotations

from creps.metrics._models import ModelRef
from creps.rendering._latents import latents
from creps.rendering._sheets import Panel, captioned_sheet
from creps.rendering._styles import mix_styles
from reproduce.cips_paper.drawing import drawn
from reproduce.cips_paper.models import BRIEFLY, shown
from reproduce.experiment import Experiment, Figure, Findings
from reproduce.workshop import Workshop

PAIRS = ((0, 1), (2, 3), (4, 5))
SIDE = 192
"""Pixels a side of a picture, at least."""
EIGHTHS = {"fine": (5, 8), "middle": (2, 5), "coarse": (0, 2)}
"""The paper's layers 6-8, 3-5 and 1-2 of 8, in its order."""


def layer_ranges(count: int) -> dict[str, str]:
    """Ranges of `count` styles by the paper's groups, as `mix_styles` takes them.

    Example:
        >>> layer_ranges(16)
        {'fine': '10-15', 'middle': '4-9', 'coarse': '0-3'}
    """
    return {
        name: f"{round(first * count / 8)}-{round(last * count / 8) - 1}"
        for name, (first, last) in EIGHTHS.items()
    }


def run(shop: Workshop) -> Findings:
    """Mix three pairs of samples of each model in three ways."""
    figures = []
    for number, (label, model) in enumerate(shown(shop), 1):
        ref = shop.ref(model)
        ranges = layer_ranges(ref.generator().num_styles)
        rows = [_row(ref, pair, ranges) for pair in PAIRS]
        figures.append(
            Figure(
                name=f"mixing-{number}",
                caption=f"{label}: A with the style of B in some layers.",
                picture=captioned_sheet(rows, heading=f"{label}: layer-wise style mixing"),
            )
        )
    return Findings(figures=tuple(figures))


def _row(model: ModelRef, pair: tuple[int, int], ranges: dict[str, str]) -> list[Panel]:
    """Two samples and their mixtures."""
    generator = model.generator()
    a, b = (generator.map(latents([seed], generator)) for seed in pair)
    panels = [
        Panel(drawn(model, w, least=SIDE), f"{name}, seed {seed}")
        for w, name, seed in zip((a, b), "AB", pair, strict=True)
    ]
    for name, layers in ranges.items():
        picture = drawn(model, mix_styles(a, b, layers), least=SIDE)
        panels.append(Panel(picture, f"{name}: B at {layers.replace('-', ' to ')}"))
    return panels


FIGURE_19 = Experiment(
    paper="cips",
    place="Figure 19",
    title="layer-wise style mixing",
    claim="First layers set pose and shape, middle ones finer shapes, last ones colours, though "
    "no training mixed styles.",
    minutes=7,
    differences=(BRIEFLY, "the packaged CREPS beside it"),
    run=run,
)
