"""Recipes that are known to work, by name: small ones, ones for a GPU, and the paper's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from creps.config import replace as change
from creps.errors import ConfigError, nearest
from creps.networks.anyres import ANYRES_PRESETS, AnyResConfig
from creps.networks.cips import CIPS_PRESETS, CipsConfig
from creps.networks.creps import CREPS_PRESETS, Composition, CrepsConfig
from creps.networks.discriminator import DiscriminatorConfig
from creps.networks.scaleparty import SCALEPARTY_PRESETS
from creps.networks.stylegan2 import STYLEGAN2_PRESETS
from creps.networks.stylegan3 import STYLEGAN3_PRESETS
from creps.training._config import (
    ConsistencySettings,
    DataSettings,
    LossSettings,
    TeacherSettings,
    TrainConfig,
)
from creps.training._losses import LossKind
from creps.training.augment._settings import AugmentKind, AugmentSettings

# What a preset is, and the settings that several of them share.


SMALL_IMAGES = 400_000
"""Pictures that small recipes show, whatever the family."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A preset and what to know of it.

    Attributes:
        config: its settings.
        about: what it is for, in a few words.
        expects: the score that its source reports, or what was measured here.
        start: what to give as `--from`, for recipes that go on from a trained model.
    """

    config: TrainConfig
    about: str
    expects: str = ""
    start: str = ""


def relativistic(gamma: float, *, interval: int) -> LossSettings:
    """R3GAN's loss: relativistic pairing, the same penalty on real and generated pictures."""
    return LossSettings(
        kind="relativistic",
        r1_gamma=gamma,
        r2_gamma=gamma,
        path_length_weight=0.0,
        discriminator_interval=interval,
    )


def small_run(
    generator: Any,
    *,
    resolution: int,
    family: str = "creps",
    images: int = SMALL_IMAGES,
    judge_width: int = 48,
) -> TrainConfig:
    """A recipe that learns on a CPU.

    Args:
        generator: the config of a network of the family.
        resolution: of the training pictures.
        family: registered name.
        images: pictures to show.
        judge_width: channels of the discriminator: a quarter of those it has at most.
    """
    return TrainConfig(
        family=family,
        generator=generator,
        discriminator=DiscriminatorConfig(
            resolution=resolution, channel_base=32 * judge_width, channel_max=4 * judge_width
        ),
        resolution=resolution,
        batch=16,
        images=images,
        loss=relativistic(0.5, interval=4),
        ema_half_life=5_000,
    )


# Recipes of the other families: small ones that compare with `small-32`, and the papers'.
#
# The small generators of 32 px have 0.7 to 0.8 million parameters like that of `small-32`, the
# same discriminator, and are shown as many pictures: an equal budget in parameters and pictures,
# not in time, for their costs differ (docs/families.md). Those of 64 px are half as large; a step
# of theirs still takes twice the time of one of `small-64`.


PAPER_PHASES = 25_000_000, 5_000_000
"""Pictures of the two phases: StyleGAN3's length, and that of the paper's variations (section
4.2)."""

FIXED = DataSettings(detail=1, subpixel_shift=False)
"""For networks that paint one grid."""
PATCHES = DataSettings(native=True, zoom=8.0, window_spread="uniform", window_group=4)
"""Patches of pictures up to 8 times the training size, half of them base images."""
LAMBDA = 5.0
"""Of the teacher, the paper's default (Table 11)."""


def _family_small(family: str, generator: Any, *, judge_width: int = 48) -> TrainConfig:
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
        _family_small("scaleparty", network),
        data=DataSettings(detail=4, zoom=4.0),
        consistency=ConsistencySettings(weight=1.0),
    )


def _patches(first: TrainConfig) -> TrainConfig:
    """The second phase of an any-resolution run (section 3.2)."""
    generator = replace(first.generator, scale_mapping="paper")
    return replace(first, generator=generator, data=PATCHES, teacher=TeacherSettings(weight=LAMBDA))


def _family_small_recipes() -> dict[str, Recipe]:
    sg2 = replace(_family_small("stylegan2", STYLEGAN2_PRESETS["stylegan2-small-32"]), data=FIXED)
    sg3_network = replace(
        STYLEGAN3_PRESETS["stylegan3-small-32"], num_layers=6, channel_base=1024, channel_max=152
    )
    cips, sg3 = _family_small("cips", _cips()), _family_small("stylegan3", sg3_network)
    anyres = _family_small("anyres", _anyres(), judge_width=32)
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
        _family_small("anyres", _anyres(turn=3.0), judge_width=32),
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
            config=_family_small("cips", _cips(circumference=3.0)),
            about=f"CIPS, a panorama of {slices}",
        ),
    }


def _smoke_recipes() -> dict[str, Recipe]:
    anyres = replace(ANYRES_PRESETS["anyres-small-32"], scale_mapping="none")
    first = _smoke(_family_small("anyres", anyres), num_layers=5, channel_base=512, channel_max=32)
    small = _family_small_recipes()
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


def _family_paper_recipes() -> dict[str, Recipe]:
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
    **_family_small_recipes(),
    **_cylinder_recipes(),
    "cips-paper-256": Recipe(
        config=replace(
            _family_small("cips", CIPS_PRESETS["cips-256"]),
            discriminator=DiscriminatorConfig(resolution=256, clamp=256.0),
            batch=16,
            images=PAPER_PHASES[0],
            data=DataSettings(subpixel_shift=False, detail=1, workers=4),
            loss=LossSettings(r1_gamma=10.0),
        ),
        about="CIPS's network and StyleGAN2's losses at 256 px",
    ),
    **_family_paper_recipes(),
}
"""Every recipe of a family other than CREPS."""


PAPER_IMAGES = 25_000_000
"""The paper trains "until convergence"; this is StyleGAN2's length."""
ABLATION_IMAGES = 10_000_000
"""The paper stops its 128 px ablations after two days on four A100."""


def _small(resolution: int, *, images: int, width: int, judge_width: int) -> TrainConfig:
    """Networks and a recipe that learn on a CPU.

    The frequencies are well within what the training resolution holds, and the generator has one
    level more than 32 px asks for, so that 64 px can go on from it.
    """
    generator = CrepsConfig(
        resolution=64,
        z_dim=128,
        w_dim=128,
        mapping_layers=4,
        channel_max=width,
        line_channels=16,
        bandwidth=4.0,
        decoder_widths=(32, 64, 32),
        refinement_widths=(64, 32),
        clamp=0.0,
    )
    return small_run(generator, resolution=resolution, images=images, judge_width=judge_width)


def _gpu(resolution: int, *, batch: int, gamma: float, images: int) -> TrainConfig:
    """One GPU: half precision, whole pictures and windows at up to eight times the resolution."""
    return TrainConfig(
        generator=CrepsConfig(resolution=2 * resolution, channel_max=512, bandwidth=8.0),
        discriminator=DiscriminatorConfig(resolution=resolution, channel_base=16384, clamp=256.0),
        resolution=resolution,
        batch=batch,
        images=images,
        data=DataSettings(detail=8, zoom=8.0, workers=8),
        loss=relativistic(gamma, interval=8),
        precision="bfloat16",
        ema_half_life=batch * 10_000 // 32,
    )


def _paper(
    resolution: int,
    *,
    batch: int,
    gamma: float,
    generator: CrepsConfig | None = None,
    images: int = PAPER_IMAGES,
) -> TrainConfig:
    """The paper's recipe (supplement, section 1.3).

    What the paper leaves open is as in its code: ADA, an EMA half life of batch * 10 / 32 thousand
    images, convolutions clamped at 256.
    """
    return TrainConfig(
        generator=generator or CREPS_PRESETS[f"creps-{resolution}"],
        discriminator=DiscriminatorConfig(resolution=resolution, clamp=256.0),
        resolution=resolution,
        batch=batch,
        images=images,
        data=DataSettings(subpixel_shift=False, detail=1, workers=4),
        augment=AugmentSettings(kind="ada"),
        loss=LossSettings(r1_gamma=gamma),
        ema_half_life=batch * 10_000 // 32,
    )


def _transfer(images: int) -> TrainConfig:
    """The network of FFHQ-512 on pictures of 1024 px: only the coordinates are more (A.2).

    Mirroring is what ADA's own experiments do with sets this small; the paper does not say.
    """
    config = _paper(1024, batch=8, gamma=32.0, generator=CREPS_PRESETS["creps-512"], images=images)
    return replace(config, data=replace(config.data, mirror=True), discriminator_warmup=100)


def _ablation(composition: Composition, thickness: int) -> TrainConfig:
    """A row of Table 4: FFHQ at 128 px."""
    generator = replace(CREPS_PRESETS["creps-128"], composition=composition, thickness=thickness)
    return _paper(128, batch=128, gamma=0.5, generator=generator, images=ABLATION_IMAGES)


def _small_recipes() -> dict[str, Recipe]:
    wide = _small(32, images=SMALL_IMAGES, width=128, judge_width=48)
    smoke = _small(32, images=4_800, width=48, judge_width=16)
    return {
        "smoke": Recipe(
            config=replace(smoke, preview_every=100, snapshot_every=100),
            about="a minute on a CPU: does everything work?",
        ),
        "small-32": Recipe(config=wide, about="hours on a CPU, 32 px"),
        "small-32-zoom": Recipe(
            config=replace(wide, data=DataSettings(detail=8, zoom=4.0)),
            about="small-32 with windows up to 4 x 32 px of detail",
            start="a run or model of small-32",
        ),
        "small-64": Recipe(
            config=_small(64, images=SMALL_IMAGES, width=128, judge_width=48),
            about="a day on a CPU, 64 px",
        ),
    }


def _gpu_recipes() -> dict[str, Recipe]:
    return {
        "gpu-128": Recipe(
            config=_gpu(128, batch=64, gamma=0.5, images=5_000_000),
            about="one GPU: 128 px patches of pictures up to 1024 px",
        ),
        "gpu-256": Recipe(
            config=_gpu(256, batch=32, gamma=5.0, images=10_000_000),
            about="one GPU: 256 px patches of pictures up to 2048 px",
        ),
    }


def _paper_recipes() -> dict[str, Recipe]:
    sizes = {
        128: _paper(128, batch=128, gamma=0.5),
        256: _paper(256, batch=32, gamma=10.0),
        512: _paper(512, batch=32, gamma=10.0),
        1024: _paper(1024, batch=8, gamma=32.0),
    }
    general = {
        f"paper-{size}": Recipe(config=config, about=f"the paper's settings, any set at {size} px")
        for size, config in sizes.items()
    }
    ffhq = "the model of paper-ffhq-512"
    return general | {
        "paper-ffhq-512": Recipe(
            config=sizes[512], about="FFHQ", expects="FID 4.43; drawn at 1024 px 4.09 (Table 2)"
        ),
        "paper-church-256": Recipe(
            config=sizes[256], about="LSUN Church", expects="FID 5.50 (Table 2)"
        ),
        "paper-scenery-256": Recipe(
            config=sizes[256], about="Flickr-Scenery", expects="FID 7.21 (Table 2)"
        ),
        "paper-metfaces-1024": Recipe(
            config=_transfer(2_000_000), about="MetFaces", expects="FID 20.52 (Table 2)", start=ffhq
        ),
        "paper-afhq-dog-1024": Recipe(
            config=_transfer(2_000_000), about="AFHQ-Dog", expects="FID 9.7 (B.1)", start=ffhq
        ),
    }


def _ablation_recipes() -> dict[str, Recipe]:
    rows: list[tuple[str, Composition, int, str, str]] = [
        ("dense", "dense", 8, "no lines (CREPS-NB)", "5.98"),
        ("once-d1", "once", 1, "lines of thickness 1, composed once", "11.37"),
        ("once-d8", "once", 8, "lines of thickness 8, composed once", "8.23"),
        ("sum-d8", "sum", 8, "every level composed, no decoders", "6.91"),
        ("layerwise-d4", "layerwise", 4, "decoders, thickness 4", "6.46"),
        ("layerwise-d8", "layerwise", 8, "decoders, thickness 8: CREPS", "4.66"),
    ]
    return {
        f"ablation-{name}": Recipe(
            config=_ablation(composition, thickness),
            about=f"FFHQ-128: {about}",
            expects=f"FID {score} (Table 4)",
        )
        for name, composition, thickness, about, score in rows
    }


RECIPES: dict[str, Recipe] = {
    **_small_recipes(),
    **_gpu_recipes(),
    **_paper_recipes(),
    **_ablation_recipes(),
    **FAMILY_RECIPES,
}
"""Every preset. The paper gives batch and gamma for 128, 512 and 1024 px; 256 px takes those of
512. The other families' are in `family_presets`."""

PRESETS: dict[str, TrainConfig] = {name: recipe.config for name, recipe in RECIPES.items()}
"""The settings of every preset."""


def preset(name: str, *changes: str) -> TrainConfig:
    """The settings of a preset, some of them changed.

    Args:
        name: of the preset.
        changes: as `--set` takes them.
    Raises:
        ConfigError: for an unknown name, with the nearest known ones, or a refused change.
    Example:
        >>> preset("small-32", "images=1000", "loss.r1_gamma=0.2").loss.r1_gamma
        0.2
    """
    if name not in RECIPES:
        raise ConfigError(f"unknown preset {name!r}: {nearest(name, RECIPES)}")
    return change(RECIPES[name].config, changes)


def with_loss(config: TrainConfig, kind: LossKind) -> TrainConfig:
    """The run with the other loss and the regularisers that belong to it.

    "relativistic" penalises real and generated pictures alike and has no path length penalty
    (R3GAN); "nonsaturating" penalises real ones and the path length (StyleGAN2).
    """
    if kind == config.loss.kind:
        return config
    gamma = config.loss.r1_gamma
    loss = (
        relativistic(gamma, interval=config.loss.discriminator_interval)
        if kind == "relativistic"
        else LossSettings(r1_gamma=gamma)
    )
    return replace(config, loss=loss)


def with_augmentation(config: TrainConfig, kind: AugmentKind) -> TrainConfig:
    """The run with another kind of augmentation, at its default settings."""
    return replace(config, augment=AugmentSettings(kind=kind))
