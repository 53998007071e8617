"""Recipes of the other families: small ones that compare with `small-32`, and the papers'.

The small generators of 32 px have 0.7 to 0.8 million parameters like that of `small-32`, the same
discriminator, and are shown as many pictures: an equal budget in parameters and pictures, not in
time, for their costs differ (docs/families.md). Those of 64 px are half as large; a step of theirs
still takes twice the time of one of `small-64`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from creps.networks.cips_config import CIPS_PRESETS, CipsConfig
from creps.networks.convolutional.anyres import ANYRES_PRESETS, AnyResConfig
from creps.networks.convolutional.scaleparty import SCALEPARTY_PRESETS
from creps.networks.convolutional.stylegan2 import STYLEGAN2_PRESETS
from creps.networks.convolutional.stylegan3 import STYLEGAN3_PRESETS
from creps.networks.discriminator import DiscriminatorConfig
from creps.training.config import TrainConfig
from creps.training.recipe import Recipe, small_run
from creps.training.schemes.settings import ConsistencySettings, TeacherSettings
from creps.training.settings import DataSettings, LossSettings

PAPER_PHASES = 25_000_000, 5_000_000
"""Pictures of the two phases: StyleGAN3's length, and that of the paper's variations (section
4.2)."""

FIXED = DataSettings(detail=1, subpixel_shift=False)
"""For networks that paint one grid."""
PATCHES = DataSettings(native=True, zoom=8.0, window_spread="uniform", window_group=4)
"""Patches of pictures up to 8 times the training size, half of them base images."""
LAMBDA = 5.0
"""Of the teacher, the paper's default (Table 11)."""


def _small(family: str, generator: Any, *, judge_width: int = 48) -> TrainConfig:
    """A generator with the loss and length of `small-32`, and by default its discriminator."""
    return small_run(
        generator, resolution=generator.resolution, family=family, judge_width=judge_width
    )


def _smoke(config: TrainConfig, **smaller: Any) -> TrainConfig:
    """A minute of a recipe, with a smaller generator."""
    return replace(
        config,
        generator=replace(config.generator, **smaller),
        discriminator=replace(config.discriminator, channel_base=512, channel_max=64),
        images=1_600,
        preview_every=50,
        snapshot_every=50,
    )


def _anyres(*, turn: float = 0.0) -> AnyResConfig:
    """The first phase's network at 64 px: 0.34 million parameters, 0.41 with the scale branch.

    Narrow where samples are many: a step takes about twice the time of one of `small-64`.
    """
    return replace(
        ANYRES_PRESETS["anyres-small-64"],
        num_layers=6,
        channel_base=1024,
        channel_max=96,
        scale_mapping="none",
        turn=turn,
    )


def _cips(circumference: float = 0.0) -> CipsConfig:
    """0.73 million parameters on a flat plane."""
    return CipsConfig(
        resolution=32,
        z_dim=128,
        w_dim=128,
        mapping_layers=4,
        features=128,
        widths=(160,) * 4,
        bandwidth=8.0,
        circumference=circumference,
    )


def _scaleparty() -> TrainConfig:
    network = replace(SCALEPARTY_PRESETS["scaleparty-small-32"], channel_base=3072, channel_max=112)
    return replace(
        _small("scaleparty", network),
        data=DataSettings(detail=4, zoom=4.0),
        consistency=ConsistencySettings(weight=1.0),
    )


def _patches(first: TrainConfig) -> TrainConfig:
    """The second phase of an any-resolution run (section 3.2)."""
    generator = replace(first.generator, scale_mapping="paper")
    return replace(first, generator=generator, data=PATCHES, teacher=TeacherSettings(weight=LAMBDA))


def _small_recipes() -> dict[str, Recipe]:
    sg2 = replace(_small("stylegan2", STYLEGAN2_PRESETS["stylegan2-small-32"]), data=FIXED)
    sg3_network = replace(
        STYLEGAN3_PRESETS["stylegan3-small-32"], num_layers=6, channel_base=1024, channel_max=152
    )
    cips, sg3 = _small("cips", _cips()), _small("stylegan3", sg3_network)
    anyres = _small("anyres", _anyres(), judge_width=32)
    like = "as many parameters and pictures as small-32"
    return {
        "cips-small-32": Recipe(config=cips, about=f"CIPS, {like}"),
        "stylegan2-small-32": Recipe(config=sg2, about=f"StyleGAN2, {like}; one size only"),
        "stylegan3-small-32": Recipe(config=sg3, about=f"StyleGAN3-T, {like}"),
        "scaleparty-small-32": Recipe(
            config=_scaleparty(), about=f"ScaleParty-like, {like}; four scales, consistency loss"
        ),
        "anyres-small-64": Recipe(
            config=anyres, about="any-resolution GAN, phase 1: whole pictures at 64 px"
        ),
        "anyres-small-64-patches": Recipe(
            config=_patches(anyres),
            about="phase 2: patches at up to 8 x 64 px of files as they are, teacher",
            start="a run of anyres-small-64",
        ),
    }


def _cylinder_recipes() -> dict[str, Recipe]:
    whole = replace(
        _small("anyres", _anyres(turn=3.0), judge_width=32),
        data=DataSettings(detail=2),
        cross_frame=True,
    )
    slices = "slices of 120 degrees: creps data earth --cylinder --degrees 120"
    return {
        "anyres-small-cylinder-64": Recipe(
            config=whole, about=f"any-resolution GAN, a 360 degree panorama of {slices}"
        ),
        "anyres-small-cylinder-64-patches": Recipe(
            config=_patches(whole),
            about="phase 2 of the panorama: detail of slices at their own size",
            start="a run of anyres-small-cylinder-64",
        ),
        "cips-small-cylinder-32": Recipe(
            config=_small("cips", _cips(circumference=3.0)), about=f"CIPS, a panorama of {slices}"
        ),
    }


def _smoke_recipes() -> dict[str, Recipe]:
    anyres = replace(ANYRES_PRESETS["anyres-small-32"], scale_mapping="none")
    first = _smoke(_small("anyres", anyres), num_layers=5, channel_base=512, channel_max=32)
    small = _small_recipes()
    about = "a minute on a CPU: does {} train?"
    recipes = {
        "cips": _smoke(small["cips-small-32"].config, features=32, widths=(48, 48)),
        "stylegan2": _smoke(small["stylegan2-small-32"].config, channel_base=512, channel_max=32),
        "stylegan3": _smoke(
            small["stylegan3-small-32"].config, num_layers=5, channel_base=512, channel_max=32
        ),
        "scaleparty": _smoke(small["scaleparty-small-32"].config, channel_base=512, channel_max=32),
        "anyres": first,
    }
    made = {f"{n}-smoke": Recipe(config=c, about=about.format(n)) for n, c in recipes.items()}
    return made | {
        "anyres-smoke-patches": Recipe(
            config=_patches(first),
            about="a minute on a CPU: does phase 2 train?",
            start="a run of anyres-smoke",
        )
    }


def _paper_config(
    network: AnyResConfig, *, batch: int, gamma: float, second: bool = False
) -> TrainConfig:
    """The any-resolution paper's networks and losses.

    The text leaves batch, gamma and rates to StyleGAN3's recommendations; gamma is
    StyleGAN2-ADA's rule of thumb, 0.0002 * pixels^2 / batch, where those are not at hand.
    """
    config = TrainConfig(
        family="anyres",
        generator=replace(network, scale_mapping="none"),
        discriminator=DiscriminatorConfig(
            resolution=network.resolution,
            channel_base=16384 if network.resolution <= 256 else 32768,
            clamp=256.0,
        ),
        resolution=network.resolution,
        batch=batch,
        images=PAPER_PHASES[0],
        data=DataSettings(subpixel_shift=False, detail=1, workers=4),
        loss=LossSettings(r1_gamma=gamma, path_length_weight=0.0),
        ema_half_life=batch * 10_000 // 32,
    )
    if not second:
        return config
    data = replace(PATCHES, zoom=network.scale_max, workers=4)
    return replace(_patches(config), images=PAPER_PHASES[1], data=data)


def _paper_recipes() -> dict[str, Recipe]:
    sets = {
        "ffhq6k-256": (
            "anyres-r-256",
            0.4,
            "FID 3.34 at 256 px, 4.06 at 1024; pFID 2.96 (Table 2)",
        ),
        "church-256": ("anyres-t-256", 0.4, "pFID 9.89 (Table 3)"),
        "birds-256": ("anyres-t-256", 0.4, "pFID 6.52 (Table 3)"),
        "mountains-1024": ("anyres-t-1024", 6.6, "pFID 7.99 (Table 3)"),
    }
    recipes = {}
    for name, (network, gamma, score) in sets.items():
        first, full = f"anyres-paper-{name}", ANYRES_PRESETS[network]
        recipes[first] = Recipe(
            config=_paper_config(full, batch=32, gamma=gamma),
            about="any-resolution GAN's networks and losses, phase 1: its low-resolution set",
        )
        recipes[f"{first}-patches"] = Recipe(
            config=_paper_config(full, batch=32, gamma=gamma, second=True),
            about="phase 2: low- and high-resolution sets in one folder",
            expects=score,
            start=f"a run of {first}",
        )
    return recipes


FAMILY_RECIPES: dict[str, Recipe] = {
    **_smoke_recipes(),
    **_small_recipes(),
    **_cylinder_recipes(),
    "cips-paper-256": Recipe(
        config=replace(
            _small("cips", CIPS_PRESETS["cips-256"]),
            discriminator=DiscriminatorConfig(resolution=256, clamp=256.0),
            batch=16,
            images=PAPER_PHASES[0],
            data=DataSettings(subpixel_shift=False, detail=1, workers=4),
            loss=LossSettings(r1_gamma=10.0),
        ),
        about="CIPS's network and StyleGAN2's losses at 256 px",
    ),
    **_paper_recipes(),
}
"""Every recipe of a family other than CREPS."""
