"""Recipes that are known to work, by name: small ones, ones for a GPU, and the papers'.

A recipe is another one, or a network, and what is changed in it, in the words that `--set` takes.

The small generators of other families at 32 px have 0.7 to 0.8 million parameters like that of
`small-32`, the same discriminator, and are shown as many pictures: an equal budget in parameters
and pictures, not in time, for their costs differ (docs/families.md). Those of 64 px are half as
large; a step of theirs still takes twice the time of one of `small-64`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from creps.config import replace as change
from creps.errors import ConfigError, nearest
from creps.metrics._extractors import has_effnet
from creps.networks.anyres import ANYRES_PRESETS
from creps.networks.base import GeneratorConfig
from creps.networks.cips import CIPS_PRESETS
from creps.networks.creps import CREPS_PRESETS
from creps.networks.discriminator import DiscriminatorConfig
from creps.networks.scaleparty import SCALEPARTY_PRESETS
from creps.networks.stylegan2 import STYLEGAN2_PRESETS
from creps.networks.stylegan3 import STYLEGAN3_PRESETS
from creps.training._config import LossSettings, TrainConfig
from creps.training._losses import LossKind
from creps.training.augment._settings import AugmentKind, AugmentSettings

_NETWORKS: dict[str, GeneratorConfig] = {
    **CREPS_PRESETS,
    **CIPS_PRESETS,
    **STYLEGAN2_PRESETS,
    **STYLEGAN3_PRESETS,
    **ANYRES_PRESETS,
    **SCALEPARTY_PRESETS,
}
"""Generators by name; what stands before the first hyphen is their family."""


@dataclass(frozen=True)
class Preset:
    """A preset and its description.

    Attributes:
        base: the preset that it changes; or a network, such as `networks/creps-128`.
        changes: overrides such as `loss.r1_gamma=2`.
        about: what it is for, in a few words.
        expects: the score that its source reports, or what was measured here.
        start: what to give as `--from`, for recipes that start from a trained model.
        features: the preset to take in its place where the extra `metrics` is installed: with
            frozen features it learns more in the same time, as measured (docs/training.md).
        tries: the preset for pictures, of recipes so short that they only try whether all works.
    """

    base: str
    changes: str
    about: str
    expects: str = ""
    start: str = ""
    features: str = ""
    tries: str = ""

    @cached_property
    def config(self) -> TrainConfig:
        """Its settings."""
        return change(_base(self.base), self.changes.split())


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
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r}: {nearest(name, PRESETS)}")
    return replace(change(PRESETS[name].config, changes), preset=name)


def recommended(name: str) -> str:
    """The preset to take for what a preset is for, with the packages that are installed.

    Names stay what they are: no run needs a package that its preset did not need before.

    Raises:
        KeyError: for an unknown name.
    """
    return (has_effnet() and PRESETS[name].features) or name


def with_loss(config: TrainConfig, kind: LossKind) -> TrainConfig:
    """The run with the other loss and the regularizers that belong to it.

    "relativistic" penalizes real and generated pictures alike and has no path length penalty
    (R3GAN); "nonsaturating" penalizes real ones and the path length (StyleGAN2).

    Raises:
        ConfigError: for a run without a discriminator.
    """
    if kind == config.loss.kind:
        return config
    if config.loss.kind == "statistics":
        raise ConfigError(
            f"loss {kind}: {config.preset or 'this run'} learns statistics and has no "
            "discriminator: take a preset that has one, such as stylegan3-small-32"
        )
    gamma, interval = config.loss.r1_gamma, config.loss.discriminator_interval
    loss = LossSettings(r1_gamma=gamma)
    if kind == "relativistic":
        loss = replace(
            loss, kind=kind, r2_gamma=gamma, path_length_weight=0, discriminator_interval=interval
        )
    return replace(config, loss=loss)


def with_augmentation(config: TrainConfig, kind: AugmentKind) -> TrainConfig:
    """The run with another kind of augmentation, at its default settings; a blur stays."""
    start, images = config.augment.blur, config.augment.blur_images
    return replace(config, augment=AugmentSettings(kind=kind, blur=start, blur_images=images))


def tiling(config: TrainConfig) -> TrainConfig:
    """The run for textures: pictures that close on themselves, from windows of larger ones.

    The plane repeats after one unit; at the scale of the files that is twice the patch, and where
    a run says more of its textures, it keeps that. Few pictures need augmentation against a
    discriminator: DiffAugment where there is none.
    """
    changes = ["generator.period=[1,1]"]
    if not config.data.textures:
        changes += [*_WINDOWS.split(), f"generator.resolution={2 * config.resolution}"]
    if config.discriminator_kind == "placed":
        changes.append("discriminator_kind=one")
    if config.augment.kind == "none" and config.loss.kind != "statistics":
        changes.append("augment.kind=diffaugment")
    return change(config, changes)


def _base(name: str) -> TrainConfig:
    """The settings of a preset, or a run with nothing but a network."""
    kind, _, own = name.rpartition("/")
    if not kind:
        return PRESETS[name].config
    network = _NETWORKS[own]
    return TrainConfig(
        family=own.partition("-")[0],
        generator=network,
        discriminator=DiscriminatorConfig(resolution=network.resolution),
        resolution=network.resolution,
        batch=32,
        images=_PAPER_IMAGES,
    )


_PAPER_IMAGES = 25_000_000
"""The papers train "until convergence"; this is the length of StyleGAN2 and 3."""

_R3GAN = "loss.kind=relativistic loss.path_length_weight=0 "
"""Relativistic pairing, the same penalty on real and generated pictures."""

_SMALL = (
    f"{_R3GAN} loss.r1_gamma=0.5 loss.r2_gamma=0.5 loss.discriminator_interval=4 "
    "batch=16 images=400000 ema_half_life=5000 "
    "discriminator.channel_base=1536 discriminator.channel_max=192 "
)
"""What learns on a CPU: 400,000 pictures, whatever the family."""

_SMALL_LATENTS = "generator.z_dim=128 generator.w_dim=128 generator.mapping_layers=4 "
_SMALL_CREPS = (
    f"{_SMALL} {_SMALL_LATENTS} generator.resolution=64 generator.channel_max=128 "
    "generator.line_channels=16 generator.bandwidth=4 generator.decoder_widths=[32,64,32] "
    "generator.refinement_widths=[64,32] generator.clamp=0 "
)
"""Frequencies well within what 32 px hold, and one level more, so that 64 px can start from it."""
_SMALL_CIPS = (
    f"{_SMALL} {_SMALL_LATENTS} generator.resolution=32 resolution=32 discriminator.resolution=32 "
    "generator.features=128 generator.widths=[160,160,160,160] generator.bandwidth=8 "
)
"""0.73 million parameters on a flat plane."""
_SMALL_ANYRES = (
    f"{_SMALL} discriminator.channel_base=1024 discriminator.channel_max=128 "
    "generator.num_layers=6 generator.channel_base=1024 generator.channel_max=96 "
    "generator.scale_mapping=none "
)
"""The first phase at 64 px: 0.34 million parameters, narrow where samples are many."""

_MINUTE = (
    "images=1600 preview_every=50 snapshot_every=50 "
    "discriminator.channel_base=512 discriminator.channel_max=64 "
)
_NARROW = "generator.channel_base=512 generator.channel_max=32 "

_GPU = (
    f"{_R3GAN} loss.discriminator_interval=8 precision=bfloat16 generator.channel_max=512 "
    "generator.bandwidth=8 discriminator.channel_base=16384 discriminator.clamp=256 "
    "data.detail=8 data.zoom=8 data.workers=8 "
)
"""One GPU: half precision, whole pictures and windows at up to eight times the resolution."""

_PROJECTED = (
    "projected.weight=0.1 projected.side=64 projected.moments=0.3 ema_half_life=20000 "
    "discriminator.channel_base=768 discriminator.channel_max=96 "
    "augment.blur=4 augment.blur_images=4000 "
)
"""Frozen features, their moments too, beside a narrow discriminator of pixels, which is there for
colors, and a blur of all pictures that fades: faces come several times sooner than without, see
docs/training.md."""

_PAPER = "data.subpixel_shift=false data.detail=1 data.workers=4 discriminator.clamp=256 "
"""Whole pictures on one grid. What a paper leaves open is as in StyleGAN2-ADA's code: clamps, and
an EMA half life of batch * 10 / 32 thousand images."""
_CREPS_PAPER = f"{_PAPER} augment.kind=ada "
"""CREPS, supplement, section 1.3. It gives 128, 512 and 1024 px; 256 takes those of 512."""
_CREPS_TRANSFER = (
    f"{_CREPS_PAPER} batch=8 ema_half_life=2500 loss.r1_gamma=32 images=2000000 data.mirror=true "
    "resolution=1024 discriminator.resolution=1024 discriminator_warmup=100 "
)
"""The network of FFHQ-512 on pictures of 1024 px: only the coordinates are more (A.2). Mirroring
is what ADA's own experiments do with sets this small; the paper does not say."""
_ANYRES_PAPER = f"{_PAPER} loss.path_length_weight=0 generator.scale_mapping=none "
"""The text leaves batch, gamma and rates to StyleGAN3's recommendations; gamma is StyleGAN2-ADA's
rule of thumb, 0.0002 * pixels^2 / batch, where those are not available."""


_WINDOWS = (
    "data.textures=true data.native=false data.window_group=0 data.zoom_images=0 "
    "data.zoom=2 data.zoom_from=2 projected.placed=false "
)
"""From anywhere in textures, at the scale of their files; the plane is two of them a side."""
_TEXTURE = (
    f"{_WINDOWS} generator.period=[1,1] loss.kind=statistics loss.r1_gamma=0 "
    "loss.path_length_weight=0 discriminator.channel_base=16 optimizer.learning_rate=0.01 "
    "optimizer.beta1=0.5 anneal.learning_rate=0.05 generator.z_dim=64 generator.w_dim=64 "
    "generator.mapping_layers=2 generator.features=512 generator.embedding=false "
    "generator.spread=disc ema_half_life=1000 consistency.weight=20 consistency.interval=8 "
)
"""Many waves up to the pixels' own, and no adversary: its discriminator does not learn. What is
drawn between the pixels has to agree with them, or lines become outlines there."""


def _patches(zoom: int = 8, workers: int = 1) -> str:
    """The second phase: native patches, half of them base images, and a teacher (Table 11)."""
    data = f'"zoom":{zoom},"workers":{workers},"window_spread":"uniform","window_group":4'
    return f'data={{"native":true,{data}}} generator.scale_mapping=paper teacher.weight=5 '


_LIKE = "as many parameters and pictures as small-32"
_SLICES = "slices of 120 degrees: creps data earth --cylinder --degrees 120"
_ANY_SET = "the paper's settings, any set at"
_FFHQ = "the model of paper-ffhq-512"

_ON_A_CPU = {
    "smoke": Preset(
        "small-32",
        "images=4800 generator.channel_max=48 preview_every=100 snapshot_every=100 "
        "discriminator.channel_base=512 discriminator.channel_max=64",
        "a minute on a CPU: does everything work?",
        tries="small-32",
    ),
    "small-32": Preset(
        "networks/creps-128",
        f"{_SMALL_CREPS} resolution=32 discriminator.resolution=32",
        "hours on a CPU, 32 px",
        features="projected-32",
    ),
    "small-32-zoom": Preset(
        "small-32",
        "data.detail=8 data.zoom=4",
        "small-32 with windows up to 4 x 32 px of detail",
        start="a run or model of small-32",
        features="projected-32",
    ),
    "small-64": Preset(
        "small-32",
        "resolution=64 discriminator.resolution=64",
        "a day on a CPU, 64 px",
        features="projected-64",
    ),
    "projected-32": Preset(
        "small-32-zoom",
        f"{_PROJECTED} data.detail=4",
        "an hour on a CPU: small-32-zoom with frozen features (extra metrics), from nothing",
    ),
    "projected-64": Preset(
        "small-64",
        f"{_PROJECTED} discriminator.channel_base=1536 projected.placed=true "
        "discriminator_kind=placed data.native=true data.zoom=4 data.window_group=4 "
        "data.window_share=0.25 generator.channel_max=160 generator.line_channels=24 "
        "generator.refinement_widths=[96,48] generator.bandwidth=6",
        "a night on a CPU: 64 px and native windows up to 4 x 64 px (extra metrics)",
    ),
    "projected-64-detail": Preset(
        "projected-64",
        "data.zoom=16 data.window_share=0.5 anneal.images=400000 optimizer.beta2=0.9 "
        "augment.blur=0",
        "another night: windows up to 16 x 64 px, annealed",
        start="a run of projected-64",
    ),
    "texture-64": Preset(
        "networks/cips-64",
        f"{_TEXTURE} batch=4 images=54000 anneal.images=54000 generator.resolution=128 "
        "generator.widths=[96,96] generator.bandwidth=125",
        "an hour on a CPU: textures that close on themselves, tiles of 128 px (extra metrics)",
    ),
}
_ON_A_GPU = {
    "gpu-128": Preset(
        "networks/creps-128",
        f"{_GPU} generator.resolution=256 batch=64 ema_half_life=20000 images=5000000 "
        "loss.r1_gamma=0.5 loss.r2_gamma=0.5",
        "one GPU: 128 px patches of pictures up to 1024 px",
    ),
    "gpu-128-projected": Preset(
        "gpu-128",
        "projected.weight=0.1 projected.side=128",
        "gpu-128 with frozen features beside its discriminator (extra metrics)",
    ),
    "gpu-256": Preset(
        "networks/creps-256",
        f"{_GPU} generator.resolution=512 batch=32 images=10000000 loss.r1_gamma=5 loss.r2_gamma=5",
        "one GPU: 256 px patches of pictures up to 2048 px",
    ),
    "texture-256": Preset(
        "texture-64",
        "resolution=256 discriminator.resolution=256 batch=16 images=400000 anneal.images=400000 "
        "generator.resolution=512 generator.features=1024 generator.widths=[192,192,192] "
        "generator.bandwidth=500 precision=bfloat16 data.workers=8 ema_half_life=5000",
        "one GPU: textures that close on themselves, tiles of 512 px (extra metrics)",
    ),
}
_PAPERS = {  # CREPS, Table 2 and supplement, B.1
    "paper-128": Preset(
        "networks/creps-128",
        f"{_CREPS_PAPER} batch=128 ema_half_life=40000 loss.r1_gamma=0.5",
        f"{_ANY_SET} 128 px",
    ),
    "paper-256": Preset("networks/creps-256", _CREPS_PAPER, f"{_ANY_SET} 256 px"),
    "paper-512": Preset("networks/creps-512", _CREPS_PAPER, f"{_ANY_SET} 512 px"),
    "paper-1024": Preset(
        "networks/creps-1024",
        f"{_CREPS_PAPER} batch=8 ema_half_life=2500 loss.r1_gamma=32",
        f"{_ANY_SET} 1024 px",
    ),
    "paper-ffhq-512": Preset("paper-512", "", "FFHQ", "FID 4.43; drawn at 1024 px 4.09 (Table 2)"),
    "paper-church-256": Preset("paper-256", "", "LSUN Church", "FID 5.50 (Table 2)"),
    "paper-scenery-256": Preset("paper-256", "", "Flickr-Scenery", "FID 7.21 (Table 2)"),
    "paper-metfaces-1024": Preset(
        "networks/creps-512", _CREPS_TRANSFER, "MetFaces", "FID 20.52 (Table 2)", _FFHQ
    ),
    "paper-afhq-dog-1024": Preset(
        "networks/creps-512", _CREPS_TRANSFER, "AFHQ-Dog", "FID 9.7 (B.1)", _FFHQ
    ),
    "cips-paper-256": Preset(
        "networks/cips-256",
        f"{_PAPER} batch=16 ema_half_life=5000",
        "CIPS's network and StyleGAN2's losses at 256 px",
    ),
}
_FAMILIES = {
    **{
        f"{name}-smoke": Preset(
            base,
            _MINUTE + smaller,
            f"a minute on a CPU: does {name} train?",
            tries="anyres-small-64" if name == "anyres" else base,
        )
        for name, base, smaller in (
            ("cips", "cips-small-32", "generator.features=32 generator.widths=[48,48]"),
            ("stylegan2", "stylegan2-small-32", _NARROW),
            ("stylegan3", "stylegan3-small-32", f"{_NARROW} generator.num_layers=5"),
            ("scaleparty", "scaleparty-small-32", _NARROW),
            (
                "anyres",
                "networks/anyres-small-32",
                f"{_SMALL} {_MINUTE} {_NARROW} generator.num_layers=5 generator.scale_mapping=none",
            ),
        )
    },
    "anyres-smoke-patches": Preset(
        "anyres-smoke",
        _patches(),
        "a minute on a CPU: does phase 2 train?",
        start="a run of anyres-smoke",
        tries="anyres-small-64-patches",
    ),
    "cips-small-32": Preset("networks/cips-256", _SMALL_CIPS, f"CIPS, {_LIKE}"),
    "stylegan2-small-32": Preset(
        "networks/stylegan2-small-32",
        f"{_SMALL} data.detail=1 data.subpixel_shift=false",
        f"StyleGAN2, {_LIKE}; one size only",
    ),
    "stylegan3-small-32": Preset(
        "networks/stylegan3-small-32",
        f"{_SMALL} generator.num_layers=6 generator.channel_base=1024 generator.channel_max=152",
        f"StyleGAN3-T, {_LIKE}",
    ),
    "scaleparty-small-32": Preset(
        "networks/scaleparty-small-32",
        f"{_SMALL} generator.channel_base=3072 generator.channel_max=112 data.zoom=4 "
        "consistency.weight=1",
        f"ScaleParty-like, {_LIKE}; four scales, consistency loss",
    ),
    "anyres-small-64": Preset(
        "networks/anyres-small-64",
        _SMALL_ANYRES,
        "any-resolution GAN, phase 1: whole pictures at 64 px",
    ),
    "anyres-small-64-patches": Preset(
        "anyres-small-64",
        _patches(),
        "phase 2: patches at up to 8 x 64 px of files as they are, teacher",
        start="a run of anyres-small-64",
    ),
    "anyres-small-cylinder-64": Preset(
        "anyres-small-64",
        "generator.period=[0,3] data.detail=2 cross_frame=true",
        f"any-resolution GAN, a 360 degree panorama of {_SLICES}",
    ),
    "anyres-small-cylinder-64-patches": Preset(
        "anyres-small-cylinder-64",
        _patches(),
        "phase 2 of the panorama: detail of slices at their own size",
        start="a run of anyres-small-cylinder-64",
    ),
    "cips-small-cylinder-32": Preset(
        "cips-small-32", "generator.period=[0,3]", f"CIPS, a panorama of {_SLICES}"
    ),
}
_ABLATIONS = {  # CREPS, Table 4: stopped after two days on four A100
    **{
        f"ablation-{name}": Preset(
            "paper-128",
            f"images=10000000 generator.composition={composition} generator.thickness={thickness}",
            f"FFHQ-128: {about}",
            f"FID {score} (Table 4)",
        )
        for name, composition, thickness, about, score in (
            ("dense", "dense", 8, "no lines (CREPS-NB)", "5.98"),
            ("once-d1", "once", 1, "lines of thickness 1, composed once", "11.37"),
            ("once-d8", "once", 8, "lines of thickness 8, composed once", "8.23"),
            ("sum-d8", "sum", 8, "every level composed, no decoders", "6.91"),
            ("layerwise-d4", "layerwise", 4, "decoders, thickness 4", "6.46"),
            ("layerwise-d8", "layerwise", 8, "decoders, thickness 8: CREPS", "4.66"),
        )
    },
}


def _two_phases(
    name: str, network: str, *, gamma: float, zoom: int, score: str
) -> dict[str, Preset]:
    """Rows of the any-resolution GAN; the second phase is as long as its variations (4.2)."""
    first = f"anyres-paper-{name}"
    width = 16384 if name.endswith("256") else 32768
    return {
        first: Preset(
            f"networks/anyres-{network}",
            f"{_ANYRES_PAPER} loss.r1_gamma={gamma} discriminator.channel_base={width}",
            "any-resolution GAN's networks and losses, phase 1: its low-resolution set",
        ),
        f"{first}-patches": Preset(
            first,
            f"{_patches(zoom, workers=4)} images=5000000",
            "phase 2: low- and high-resolution sets in one folder",
            score,
            f"a run of {first}",
        ),
    }


_FFHQ6K = "FID 3.34 at 256 px, 4.06 at 1024; pFID 2.96 (Table 2)"

GROUPS: dict[str, dict[str, Preset]] = {
    "On a CPU: begin here": _ON_A_CPU,
    "On a GPU": _ON_A_GPU,
    "Other families on a CPU, to compare": _FAMILIES,
    "As the papers have it, on several GPUs": {
        **_PAPERS,
        **_two_phases("ffhq6k-256", "r-256", gamma=0.4, zoom=4, score=_FFHQ6K),
        **_two_phases("church-256", "t-256", gamma=0.4, zoom=8, score="pFID 9.89 (Table 3)"),
        **_two_phases("birds-256", "t-256", gamma=0.4, zoom=8, score="pFID 6.52 (Table 3)"),
        **_two_phases("mountains-1024", "t-1024", gamma=6.6, zoom=4, score="pFID 7.99 (Table 3)"),
    },
    "Ablations of CREPS, its Table 4": _ABLATIONS,
}
"""Presets by whom they are for, those for beginners first."""
PRESETS = {name: recipe for group in GROUPS.values() for name, recipe in group.items()}
"""Every preset by name."""


def whole_run(config: TrainConfig) -> tuple[str, int] | None:
    """The preset that a run's pictures need, and how many images it shows; None if not known."""
    if config.preset not in PRESETS:
        return None
    name = PRESETS[config.preset].tries or config.preset
    return name, PRESETS[name].config.images
