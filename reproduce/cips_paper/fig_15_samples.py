"""CIPS, Figs. 15 and 16: samples of models trained on patches, and on several sets."""

from __future__ import annotations

from creps.metrics._models import ModelRef
from creps.metrics._pictures import ModelPictures, PictureSet, RealPictures
from creps.metrics._real_images import open_reality
from creps.rendering._sheets import Panel, captioned_sheet
from reproduce.cips_paper.models import EARTH, cips_on
from reproduce.cips_paper.table_5_patches import patch_models
from reproduce.experiment import Experiment, Figure, Findings
from reproduce.ingredients import Dataset, Model
from reproduce.showing import panel_picture
from reproduce.standard_models import PORTRAITS
from reproduce.workshop import Workshop

ACROSS = 6
SIDE = 160
ROWS = 3
"""Rows of samples in Fig. 16."""


def run_patches(shop: Workshop) -> Findings:
    """Samples of whole-picture and patch training, below each other."""
    figures = []
    for number, (name, (_, models)) in enumerate(patch_models(shop).items(), 1):
        rows = []
        for factor, model in models.items():
            ref = shop.ref(model)
            label = f"patches of {ref.size[0] // factor} px" if factor > 1 else "whole pictures"
            rows.append(_row(ModelPictures(model=ref, size=_size(ref)), first=label))
        figures.append(
            Figure(
                name=f"patches-{number}",
                caption=f"{name}: samples of networks trained on whole pictures and on patches.",
                picture=captioned_sheet(rows, heading=f"Patch-based training: {name}"),
            )
        )
    return Findings(figures=tuple(figures))


def run_sets(shop: Workshop) -> Findings:
    """Real pictures in the first row, samples in the others."""
    sets: dict[str, tuple[Dataset, Model]] = {
        "portraits": (PORTRAITS, cips_on(PORTRAITS)),
        "satellite pictures": (EARTH, cips_on(EARTH)),
    }
    figures = []
    for number, (name, (data, model)) in enumerate(sets.items(), 1):
        ref = shop.ref(model)
        real = RealPictures(real=open_reality(str(shop.data(data))), size=_size(ref))
        samples = ModelPictures(model=ref, size=_size(ref))
        rows = [_row(real, first="real pictures")] + [
            _row(samples, start=k * ACROSS, first="samples" if k == 0 else "") for k in range(ROWS)
        ]
        figures.append(
            Figure(
                name=f"samples-{number}",
                caption=f"Real pictures, and samples of CIPS below: {name}.",
                picture=captioned_sheet(rows, heading=f"CIPS: {name}"),
            )
        )
    return Findings(figures=tuple(figures))


def _size(model: ModelRef) -> tuple[int, int]:
    """Drawn at twice the model's own size: what it is made for, and a little to see."""
    return 2 * model.size[0], 2 * model.size[1]


def _row(pictures: PictureSet, *, first: str, start: int = 0) -> list[Panel]:
    """Pictures side by side, the first with a title."""
    drawn = [pictures.picture(start + k) for k in range(ACROSS)]
    return [
        Panel(panel_picture(picture, SIDE), first if k == 0 else "")
        for k, picture in enumerate(drawn)
    ]


FIGURE_15 = Experiment(
    paper="cips",
    place="Figure 15",
    title="samples of networks trained on patches",
    claim="What is learnt from patches is meaningful, but less good and less diverse.",
    minutes=12,
    differences=(
        "drawn portraits and maps of the Earth instead of faces and churches",
        "32 px networks of Table 5, 4,800 pictures shown, drawn at 64 px",
    ),
    run=run_patches,
)
FIGURE_16 = Experiment(
    paper="cips",
    place="Figure 16",
    title="samples beside real pictures",
    claim="Samples are plausible and diverse on all sets.",
    minutes=9,
    differences=(
        "drawn portraits and maps of the Earth instead of four sets of photographs",
        "32 px networks of Table 1, drawn at 64 px",
    ),
    run=run_sets,
)
