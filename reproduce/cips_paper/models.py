"""Data sets and networks of the CIPS paper."""

from __future__ import annotations

from dataclasses import replace

from reproduce.models import BRIEF, CIPS, EARTH_SLICES, PORTRAITS, SHIPPED, STYLEGAN2
from reproduce.runner import Runner
from reproduce.specs import Dataset, Model, Training

PAPER_IMAGES = 300_000 * 16
"""The paper's ablation: 300,000 iterations with batches of 16 (section 4.3)."""

LANDSCAPES = Dataset(name="landscapes", paper="60,000 landscape photographs of Flickr")
BUILDINGS = Dataset(
    name="buildings", paper="Satellite-Buildings (crowdAI mapping challenge), cropped to 256 px"
)

_WIDE = "generator.widths=[512,512,512,512,512,512,512]"
"""Section 4.1: 14 modulated layers of 512."""
_BASE = "generator.connections=base"
_NATIVE = "data.detail=2"
"""Pictures of 64 px are not enlarged."""


def variant(name: str, *settings: str, data: Dataset = PORTRAITS) -> Model:
    """A CIPS of the ablation: the small one trained briefly, the paper's as long as there."""
    small = settings if data is PORTRAITS else (*settings, _NATIVE)
    return Model(
        name=name,
        data=data,
        small=Training(preset="cips-smoke", images=BRIEF, settings=small),
        paper=Training(preset="cips-paper-256", images=PAPER_IMAGES, settings=(_WIDE, *settings)),
    )


MAIN = variant("cips-main")
BASE = variant("cips-base", _BASE)
NO_EMBEDDING = variant("cips-ne", _BASE, "generator.embedding=false")
NO_FOURIER = variant("cips-nf", _BASE, "generator.fourier=false")
RESIDUAL = variant("cips-residual", "generator.connections=residual")
SINE = variant("cips-sine", _BASE, "generator.fourier=false", "generator.activation=sine")

_PAPER_STYLEGAN2 = Training(
    preset="paper-256",
    settings=(
        "family=stylegan2",
        'generator={"resolution": 256}',
        "augment.kind=none",
        "loss.path_length_weight=0",
    ),
)
"""As the authors trained it: without path regularisation (section 4.2)."""

STYLEGAN2_BRIEF = Model(
    name="stylegan2-brief",
    data=PORTRAITS,
    small=Training(preset="stylegan2-smoke", images=BRIEF),
    paper=_PAPER_STYLEGAN2,
)
"""StyleGAN2 trained as long as the networks of the ablation."""


def rival(data: Dataset, runner: Runner) -> Model:
    """StyleGAN2 on a data set; on portraits the one that other papers' experiments have, too."""
    if data is PORTRAITS and not runner.paper:
        return STYLEGAN2
    return Model(
        name="stylegan2-256" if data is PORTRAITS else f"stylegan2-{data.name}",
        data=data,
        small=Training(preset="stylegan2-smoke", images=BRIEF),
        paper=_PAPER_STYLEGAN2,
    )


def cips_on(data: Dataset) -> Model:
    """CIPS on a data set."""
    if data is PORTRAITS:
        return CIPS
    return replace(variant(f"cips-{data.name}", data=data), paper=CIPS.paper)


def shown(runner: Runner) -> tuple[tuple[str, Model], ...]:
    """The models of shown pictures: CIPS, and the packaged model where there is one."""
    return (("CIPS", CIPS),) if runner.paper else (("CIPS", CIPS), ("CREPS, packaged", SHIPPED))


PANORAMA = Model(
    name="cips-panorama",
    data=EARTH_SLICES,
    small=Training(preset="cips-small-cylinder-32", images=8_000, settings=(_NATIVE,)),
    paper=Training(
        preset="cips-paper-256",
        settings=(_WIDE, "generator.period=[0,4]"),
    ),
)
"""CIPS on a cylinder (section 4.8)."""


def patched(data: Dataset, factor: int) -> Model:
    """CIPS whose discriminator sees patches of a `factor`-th of the picture's pixels a side.

    A patch lies anywhere and has any stride from 1 to `factor` (appendix C), evenly by doublings.
    """
    window = (f"data.zoom={factor}", "data.window_share=1", "data.subpixel_shift=false")
    detail = 4 if data is PORTRAITS else 2  # of the picture's own pixels
    small, paper = 32 // factor, 256 // factor
    return Model(
        name=f"cips-{data.name}-patches-{factor}",
        data=data,
        small=Training(
            preset="cips-smoke",
            images=BRIEF,
            settings=(*_sized(small, factor * detail), *window),
        ),
        paper=Training(preset="cips-paper-256", settings=(*_sized(paper, factor), *window)),
    )


def _sized(patch: int, detail: int) -> tuple[str, ...]:
    """Settings of patches, their size in pixels and the pictures' relative size."""
    return (f"resolution={patch}", f"discriminator.resolution={patch}", f"data.detail={detail}")
