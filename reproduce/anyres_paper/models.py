"""Data sets and models of the any-resolution paper: second phases that differ a little."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from creps.data import fit, open_images
from creps.data._set_files import named, png, write_set
from creps.rendering import Picture
from reproduce.models import (
    ANYRES,
    BASE,
    EARTH_SLICES,
    HIGH,
    IMAGES,
    LOW,
    MIXED,
    PORTRAITS,
    mixed_portraits,
)
from reproduce.specs import Dataset, Maker, Model, Training

NEARLY_LARGEST = 118
"""Pixels from which a picture of the mixed set counts as one of its largest: a sixth of the larger
ones, as many as FFHQ6k has at 1,024 px."""


def variant(
    name: str,
    *settings: str,
    data: Dataset = MIXED,
    paper_settings: tuple[str, ...] | None = None,
) -> Model:
    """The second phase with other settings or data, as long as the standard one."""
    assert isinstance(ANYRES.small, Training)
    at_paper = settings if paper_settings is None else paper_settings
    return replace(
        ANYRES,
        name=f"anyres-{name}",
        data=data,
        small=replace(ANYRES.small, settings=settings),
        paper=replace(ANYRES.paper, settings=at_paper),
    )


def changed(
    maker: Maker, out: Path, *, change: Callable[[Picture], Picture | None], about: str
) -> None:
    """The mixed set with its larger pictures changed, or left out."""
    source = open_images(maker.data(MIXED))

    def pngs() -> Iterator[bytes]:
        for index in range(len(source)):
            picture: Picture | None = np.asarray(source.image(index), np.uint8)
            if picture is not None and min(picture.shape[:2]) > BASE:
                picture = change(picture)
            if picture is not None:
                yield png(picture)

    write_set(
        out,
        named(pngs()),
        settings={"of": MIXED.name, "larger pictures": about},
        settings_name="changed-portraits.json",
        attribution=source.attribution,
        progress=None,
    )


def _reduced(picture: Picture) -> Picture:
    reduced: Picture = fit(picture, (2 * BASE, 2 * BASE))
    return reduced


def _enlarged(picture: Picture) -> Picture:
    size = (4 * BASE, 4 * BASE)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def _largest(picture: Picture) -> Picture | None:
    return picture if min(picture.shape[:2]) >= NEARLY_LARGEST else None


def _set(name: str, about: str, change: Callable[[Picture], Picture | None], paper: str) -> Dataset:
    return Dataset(name=name, paper=paper, derive=partial(changed, change=change, about=about))


REDUCED = _set("mixed-reduced", f"reduced to {2 * BASE} px", _reduced, "FFHQ6k reduced to 512 px")
ENLARGED = _set(
    "mixed-enlarged", f"enlarged to {4 * BASE} px", _enlarged, "FFHQ6k's 6,000 enlarged to 1,024 px"
)
LARGEST = _set(
    "mixed-largest",
    f"of {NEARLY_LARGEST} px or more",
    _largest,
    "FFHQ at 256 px with 1,000 pictures of 1,024 px, in one folder",
)


def with_large(count: int, paper: str) -> Dataset:
    """The mixed set with another number of larger pictures."""
    derive: Any = partial(mixed_portraits, high=count, low=LOW)
    return Dataset(name=f"mixed-{count}", paper=paper, derive=derive)


FEW = variant(
    "60-large", data=with_large(60, "FFHQ at 256 px with 1,000 pictures of 512 to 1,024 px")
)
HALF = variant(
    "300-large", data=with_large(HIGH // 2, "FFHQ at 256 px with 5,000 of 512 to 1,024 px")
)
ALL = variant(
    "all-large", data=with_large(LOW + HIGH, "FFHQ at 256 px with all 70,000 of 512 to 1,024 px")
)
"""Table 5: other numbers of large pictures."""

DOWN = variant("reduced", "data.zoom_from=2", data=REDUCED)
UP = variant("enlarged", "data.zoom_from=4", data=ENLARGED)
SUBSET = variant(
    "largest",
    f"data.zoom_from={NEARLY_LARGEST / BASE}",
    data=LARGEST,
    paper_settings=("data.zoom_from=4",),
)
"""Table 4: pictures of one size instead of many, patches at that size alone."""

UNSCALED = "generator.scale_mapping=none"
FORWARD = variant("forward", "teacher.direction=forward", UNSCALED)
INVERSE = variant("inverse", UNSCALED)
UNTAUGHT = variant("untaught", "teacher.weight=0")
LIGHT = variant("teacher-2", "teacher.weight=2")
HEAVY = variant("teacher-10", "teacher.weight=10")
"""Tables 10 and 11: teachers."""

NARROW = variant("to-2", "data.zoom=2")
LARGE = variant("from-2", "data.zoom_from=2")
"""Table 12: scales."""

NO_BASE = variant("no-base", "data.window_share=1")
TWO_JUDGES = variant("two-judges", "discriminator_kind=two")
TOLD_JUDGE = variant("told-judge", "discriminator_kind=scaled")
"""Table 13: discriminators."""

_AT_128 = tuple(f"{part}resolution={4 * BASE}" for part in ("", "generator.", "discriminator."))
ORACLE_2 = Model(
    name="stylegan2-128",
    data=PORTRAITS,
    small=Training(preset="stylegan2-smoke", images=IMAGES, settings=_AT_128),
    paper=Training(
        preset="paper-1024",
        settings=("family=stylegan2", 'generator={"resolution": 1024}'),
    ),
)
ORACLE_3 = Model(
    name="stylegan3-128",
    data=PORTRAITS,
    small=Training(
        preset="stylegan3-smoke",
        images=IMAGES,
        settings=(*_AT_128, "data.detail=1", "data.subpixel_shift=false"),
    ),
    paper=Training(
        preset="paper-1024",
        settings=(
            "family=stylegan3",
            'generator={"resolution": 1024, "channel_base": 65536, "channel_max": 1024, '
            '"kernel": 1, "radial_filters": true}',
            "loss.path_length_weight=0",
        ),
    ),
)
"""Table 8: trained on all pictures at the largest size."""

BELT = Model(
    name="anyres-belt",
    data=EARTH_SLICES,
    small=Training(
        preset="anyres-small-cylinder-64",
        images=12_800,
        settings=(
            f"resolution={BASE}",
            f"generator.resolution={BASE}",
            "generator.num_layers=5",
            "generator.channel_base=512",
            "generator.channel_max=32",
            f"discriminator.resolution={BASE}",
            "discriminator.channel_base=512",
            "discriminator.channel_max=64",
        ),
    ),
    paper=Training(
        preset="anyres-paper-church-256", settings=("generator.period=[0,6]", "cross_frame=true")
    ),
)
"""Section 6: slices of a cylinder."""

VARIANTS = {
    "default": ANYRES,
    "reduced": DOWN,
    "enlarged": UP,
    "largest": SUBSET,
    "forward": FORWARD,
    "inverse": INVERSE,
    "no teacher": UNTAUGHT,
    "weight 2": LIGHT,
    "weight 10": HEAVY,
    "scales to 2": NARROW,
    "scales from 2": LARGE,
    "no base": NO_BASE,
    "two discriminators": TWO_JUDGES,
    "told discriminator": TOLD_JUDGE,
}
"""The models of Tables 4 and 10 to 13."""
