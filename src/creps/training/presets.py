"""Recipes that are known to work, by name: small ones, ones for a GPU, and the paper's."""

from __future__ import annotations

from dataclasses import replace

from creps.errors import ConfigError, nearest
from creps.networks.creps import CREPS_PRESETS, Composition, CrepsConfig
from creps.networks.discriminator import DiscriminatorConfig
from creps.training.augmentation.settings import AugmentKind, AugmentSettings
from creps.training.config import TrainConfig
from creps.training.family_presets import FAMILY_RECIPES
from creps.training.losses import LossKind
from creps.training.recipe import SMALL_IMAGES, Recipe, relativistic, small_run
from creps.training.settings import DataSettings, LossSettings

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


def preset(name: str) -> TrainConfig:
    """The settings of the preset called `name`.

    Raises:
        ConfigError: for an unknown name, with the nearest known ones.
    """
    if name not in RECIPES:
        raise ConfigError(f"unknown preset {name!r}: {nearest(name, RECIPES)}")
    return RECIPES[name].config


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
