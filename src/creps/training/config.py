"""Everything a training run is: frozen settings, and the presets that are known to work."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from creps.errors import ConfigError, nearest
from creps.networks.creps import CREPS_PRESETS, CrepsConfig
from creps.networks.discriminator import DiscriminatorConfig
from creps.training.losses import LossKind


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """How real pictures become training patches."""

    mirror: bool = False
    """Add the mirror image of every picture."""
    labels: bool = False
    """Train class-conditionally on the labels of the data."""
    detail: int = 4
    """Pictures are kept at this many times the training resolution before the area filter."""
    subpixel_shift: bool = True
    """Move grid and picture together by up to half a pixel each step: without it the generator is
    unconstrained between its training samples and shows a lattice there."""
    zoom: float = 1.0
    """Largest magnification of random windows; 1 trains whole pictures only. A patch of a window is
    as large as the whole picture's, so detail costs no more (any-resolution GAN, section 3.2)."""
    window_share: float = 0.5
    """Share of the steps that train a random window, where zoom is above 1; the others keep the
    whole in view."""
    workers: int = 1
    """Processes that decode pictures ahead; 0 decodes in the training process."""

    def __post_init__(self) -> None:
        if not 1 <= self.zoom <= self.detail or not 0 <= self.window_share <= 1:
            raise ConfigError(
                f"zoom {self.zoom}, window_share {self.window_share}: expected zoom from 1 to "
                f"detail ({self.detail}), share from 0 to 1"
            )
        if self.detail < 1 or self.workers < 0:
            raise ConfigError(
                f"detail {self.detail}, workers {self.workers}: expected at least 1 and at least 0"
            )


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """The adversarial loss and its regularisers."""

    kind: LossKind = "nonsaturating"
    """"nonsaturating" logistic (the papers') or "relativistic" pairing (R3GAN)."""
    r1_gamma: float = 10.0
    """Weight of the gradient penalty on real pictures."""
    r2_gamma: float = 0.0
    """Weight of the gradient penalty on generated pictures."""
    path_length_weight: float = 2.0
    """Weight of the path length penalty; 0 switches it off."""
    path_length_decay: float = 0.01
    """How fast the running mean of the path length moves."""
    path_length_shrink: int = 2
    """The penalty is computed on 1 / shrink of the batch."""
    generator_interval: int = 4
    """Steps between two path length penalties."""
    discriminator_interval: int = 16
    """Steps between two gradient penalties."""

    def __post_init__(self) -> None:
        if min(self.r1_gamma, self.r2_gamma, self.path_length_weight) < 0:
            raise ConfigError("loss weights: expected numbers of at least 0")
        intervals = self.generator_interval, self.discriminator_interval, self.path_length_shrink
        if min(intervals) < 1:
            raise ConfigError("loss intervals and path_length_shrink: expected at least 1")


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """Adam, for both networks (CREPS, section 4.1)."""

    learning_rate: float = 2e-3
    """Step size."""
    beta1: float = 0.0
    """Decay of the first moment."""
    beta2: float = 0.99
    """Decay of the second moment."""
    epsilon: float = 1e-8
    """Added to the root of the second moment."""

    def __post_init__(self) -> None:
        if self.learning_rate <= 0 or not 0 <= self.beta1 < 1 or not 0 <= self.beta2 < 1:
            raise ConfigError("optimizer: expected learning_rate > 0 and betas in [0, 1)")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training run."""

    generator: CrepsConfig
    """The network that is trained."""
    discriminator: DiscriminatorConfig
    """Its opponent; sees pictures of the training resolution."""
    resolution: int
    """Pixels a side of the training patches."""
    batch: int
    """Pictures a step."""
    images: int
    """Real pictures shown until the run ends by itself."""
    seed: int = 0
    """Of the initial weights, the order of the data and every draw of the run."""
    data: DataSettings = field(default_factory=DataSettings)
    """How real pictures become patches."""
    loss: LossSettings = field(default_factory=LossSettings)
    """The adversarial loss."""
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    """Adam's settings."""
    ema_half_life: int = 10_000
    """Images over which a weight's share in the averaged generator halves."""
    ema_rampup: float = 0.05
    """At the start the half life is at most this share of the images seen."""
    discriminator_warmup: int = 0
    """Steps at the start in which the discriminator alone learns: a trained generator fools one
    that has learnt little, as where a run starts from a model (100 is plenty)."""
    log_every: int = 20
    """Steps between two lines of the log."""
    preview_every: int = 500
    """Steps between two sample grids; 0 for none."""
    snapshot_every: int = 500
    """Steps between two snapshots, from which a killed run goes on."""

    def __post_init__(self) -> None:
        if self.discriminator.resolution != self.resolution:
            raise ConfigError(
                f"discriminator.resolution {self.discriminator.resolution} differs from the "
                f"training resolution {self.resolution}: make them equal"
            )
        for name in ("img_channels", "label_dim"):
            ours, theirs = getattr(self.generator, name), getattr(self.discriminator, name)
            if ours != theirs:
                raise ConfigError(f"{name}: generator has {ours}, discriminator {theirs}")
        if min(self.batch, self.images, self.log_every, self.snapshot_every) < 1:
            raise ConfigError("batch, images, log_every and snapshot_every: expected at least 1")
        if min(self.preview_every, self.discriminator_warmup) < 0:
            raise ConfigError("preview_every and discriminator_warmup: expected at least 0")
        group = self.discriminator.minibatch_group
        if self.batch % min(group, self.batch):
            raise ConfigError(f"batch {self.batch}: expected a multiple of minibatch_group {group}")

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return -(-self.images // self.batch)


def _paper(resolution: int, *, batch: int, gamma: float, images: int) -> TrainConfig:
    """The paper's recipe (supplement, section 1.3; code: EMA half life of batch * 10 / 32 kimg)."""
    return TrainConfig(
        generator=CREPS_PRESETS[f"creps-{resolution}"],
        discriminator=DiscriminatorConfig(resolution=resolution),
        resolution=resolution,
        batch=batch,
        images=images,
        data=DataSettings(subpixel_shift=False, detail=1),
        loss=LossSettings(r1_gamma=gamma),
        ema_half_life=batch * 10_000 // 32,
    )


def _small(resolution: int, *, images: int, width: int, judge_width: int) -> TrainConfig:
    """Networks and a recipe that learn on a CPU.

    The frequencies are well within what the training resolution holds, and the generator has one
    level more than 32 px asks for, so that 64 px can go on from it.
    """
    return TrainConfig(
        generator=CrepsConfig(
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
        ),
        discriminator=DiscriminatorConfig(
            resolution=resolution, channel_base=32 * judge_width, channel_max=4 * judge_width
        ),
        resolution=resolution,
        batch=16,
        images=images,
        loss=LossSettings(
            kind="relativistic",
            r1_gamma=0.5,
            r2_gamma=0.5,
            path_length_weight=0.0,
            discriminator_interval=4,
        ),
        ema_half_life=5_000,
    )


PRESETS: dict[str, TrainConfig] = {
    "smoke": replace(
        _small(32, images=4_800, width=48, judge_width=16), preview_every=100, snapshot_every=100
    ),
    "small-32": _small(32, images=400_000, width=128, judge_width=48),
    "small-32-zoom": replace(
        _small(32, images=400_000, width=128, judge_width=48),
        data=DataSettings(detail=8, zoom=4.0),
    ),
    "small-64": _small(64, images=400_000, width=128, judge_width=48),
    "paper-128": _paper(128, batch=128, gamma=0.5, images=25_000_000),
    "paper-256": _paper(256, batch=32, gamma=10.0, images=25_000_000),
    "paper-512": _paper(512, batch=32, gamma=10.0, images=25_000_000),
    "paper-1024": _paper(1024, batch=8, gamma=32.0, images=25_000_000),
}
"""Recipes by name. The paper gives batch and gamma for 128, 512 and 1024 px; 256 px takes those of
512. It does not state the length of a run: 25 million images is StyleGAN2's."""


def preset(name: str) -> TrainConfig:
    """The preset called `name`.

    Raises:
        ConfigError: for an unknown name, with the nearest known ones.
    """
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r}: {nearest(name, PRESETS)}")
    return PRESETS[name]
