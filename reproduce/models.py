"""The data sets and models that several experiments share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from creps.data import portrait
from creps.data._set_files import named, png, write_set
from creps.data.portraits._styles import portrait_style
from reproduce.specs import Dataset, Maker, Model, Training

IMAGES = 8_000
"""Pictures shown to each small model."""
BRIEF = 4_800
"""Pictures shown to each network of an ablation."""
BASE_IMAGES = 3 * IMAGES
"""And to the any-resolution GAN in its first phase; before, the second has no details to add."""
LOW, HIGH = 3_400, 600
"""Pictures of the mixed set at the training size, and larger ones (the paper: 70k and 6k)."""
BASE = 32
"""Training size of the small models."""


def mixed_portraits(maker: Maker, out: Path, *, high: int = HIGH, low: int = LOW) -> None:
    """Portraits of mixed native sizes: `low` of 32 px, `high` drawn at 64 to 128 px, as FFHQ6k is.

    FFHQ6k has pictures of 256 px and larger ones of 512 to 1,024 px (any-resolution paper, 4).
    """
    low, high = maker.budget.capped(low), maker.budget.capped(high)
    sizes = [BASE] * low + list(np.random.default_rng(0).integers(2 * BASE, 4 * BASE + 1, high))

    def pngs() -> Iterator[bytes]:
        for index, size in enumerate(sizes):
            yield png(portrait(index, int(size)))

    write_set(
        out,
        named(pngs()),
        settings={"low": low, "high": high, "sizes": [BASE, 2 * BASE, 4 * BASE]},
        settings_name="mixed-portraits.json",
        attribution=portrait_style("toon-head").attribution,
        progress=None,
    )


PORTRAITS = Dataset(
    name="portraits",
    paper="FFHQ at 512 px or more",
    command=("portraits", "--size", "128"),
    count=4000,
)
"""Drawn faces stand in for FFHQ."""
MIXED = Dataset(
    name="mixed",
    paper="FFHQ at 256 px with 6,000 larger pictures, in one folder",
    derive=mixed_portraits,
)
EARTH = Dataset(
    name="earth",
    paper="Satellite-Landscapes (earthview.withgoogle.com) at 256 px or more",
    command=("earth", "--size", "64"),
    count=4000,
)
"""Maps of the Earth stand in for satellite pictures."""
EARTH_SLICES = Dataset(
    name="earth-slices",
    paper="60,000 landscape photographs of Flickr; no panoramas",
    command=("earth", "--size", "64", "--cylinder", "--degrees", "120"),
    count=2000,
)
"""Slices of a belt around the Earth, no one of which shows all of it."""
CHURCHES = Dataset(name="churches", paper="LSUN Churches at 256 px or more")

CREPS = Model(
    name="creps",
    data=PORTRAITS,
    small=Training(preset="small-32", images=IMAGES),
    paper=Training(preset="paper-ffhq-512"),
)
SHIPPED = replace(CREPS, small="portraits")
"""CREPS as trained longest: the packaged model, for shown pictures."""
CIPS = Model(
    name="cips",
    data=PORTRAITS,
    small=Training(preset="cips-small-32", images=IMAGES),
    paper=Training(preset="cips-paper-256"),
)
STYLEGAN2 = Model(
    name="stylegan2",
    data=PORTRAITS,
    small=Training(preset="stylegan2-small-32", images=IMAGES),
    paper=Training(
        preset="paper-512", settings=("family=stylegan2", 'generator={"resolution": 512}')
    ),
)
SCALEPARTY = Model(
    name="scaleparty",
    data=PORTRAITS,
    small=Training(preset="scaleparty-small-32", images=IMAGES),
    paper=Training(
        preset="scaleparty-small-32",
        images=25_000_000,
        settings=(
            'generator={"resolution": 256}',
            "resolution=256",
            'discriminator={"resolution": 256, "clamp": 256}',
            "batch=32",
            "loss.r1_gamma=5",
            "loss.r2_gamma=5",
            "ema_half_life=10000",
        ),
    ),
)
ANYRES_BASE = Model(
    name="anyres-base",
    data=PORTRAITS,
    small=Training(preset="anyres-smoke", images=BASE_IMAGES),
    paper=Training(preset="anyres-paper-ffhq6k-256"),
)
"""Phase 1 of the any-resolution GAN: whole pictures at the base size."""
ANYRES = Model(
    name="anyres",
    data=MIXED,
    small=Training(preset="anyres-smoke-patches", images=IMAGES),
    paper=Training(preset="anyres-paper-ffhq6k-256-patches"),
    start=ANYRES_BASE,
)
"""Phase 2: patches of pictures as large as they are."""
