"""Everything a training run is: frozen settings, checked when they are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from creps.coordinates import Canvas, Sampling, Window, undistorted_window
from creps.errors import ConfigError
from creps.networks.base import family_config, read_config
from creps.networks.discriminator import DiscriminatorConfig, DiscriminatorKind
from creps.training._settings import DataSettings, LossSettings, OptimizerSettings, WatchSettings
from creps.training.augment._settings import AugmentSettings
from creps.training.regularizers._settings import ConsistencySettings, TeacherSettings

Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training run."""

    family: str = "creps"
    """The kind of generator, a name from `creps.networks.base.families()`."""
    generator: Any
    """The network that is trained: the family's config, or its fields as a dictionary."""
    discriminator: DiscriminatorConfig
    """Its opponent; sees pictures of the training size, which it takes from here if it has none."""
    resolution: int
    """Pixels a side of the training patches; with height and width, it only sets how deep the
    discriminator is."""
    height: int = 0
    """Rows of pixels where patches are not square, a multiple of resolution / 4; 0: resolution.
    Pixels stay square on the plane: the shorter side spans [0, 1], the longer reaches beyond."""
    width: int = 0
    """Columns of pixels, likewise."""
    batch: int
    """Pictures a step, of all processes together."""
    accumulate: int = 1
    """Parts in which each process computes its pictures one after the other: less memory, the same
    step. Each part holds whole groups of the minibatch standard deviation."""
    images: int
    """Real pictures shown until the run ends by itself."""
    seed: int = 0
    """Of the initial weights, the order of the data and every draw of the run."""
    data: DataSettings = field(default_factory=DataSettings)
    """How real pictures become patches."""
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    """What is done to pictures before the discriminator sees them."""
    loss: LossSettings = field(default_factory=LossSettings)
    """The adversarial loss."""
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    """Adam's settings."""
    precision: Precision = "float32"
    """Of the two networks' first-order passes; regularisers, statistics and logits are float32.
    Half precision needs about half the memory and time on a GPU; float16 wants clamps of 256."""
    compile: bool = False
    """Compile the first-order passes with torch.compile: slow start, faster steps on a GPU."""
    ema_half_life: int = 10_000
    """Images over which a weight's share in the averaged generator halves."""
    ema_rampup: float = 0.05
    """At the start the half life is at most this share of the images seen."""
    discriminator_warmup: int = 0
    """Steps at the start in which the discriminator alone learns: a trained generator fools one
    that has learnt little, as where a run starts from a model (100 is plenty)."""
    freeze_discriminator: int = 0
    """How many of the discriminator's blocks, from the highest resolution on, do not learn: helps
    transfer to few pictures (FreezeD, Mo et al. 2020)."""
    log_every: int = 20
    """Steps between two lines of the log."""
    preview_every: int = 500
    """Steps between two sample grids; 0 for none."""
    snapshot_every: int = 500
    """Steps between two snapshots, from which a killed run goes on."""
    watch: WatchSettings = field(default_factory=WatchSettings)
    """What is looked at while it goes on, and when it is stopped."""
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    """A frozen model that patches stay faithful to (any-resolution GAN, section 3.2)."""
    consistency: ConsistencySettings = field(default_factory=ConsistencySettings)
    """A loss for the same picture at two sizes."""
    judge: DiscriminatorKind = "one"
    """The discriminator of patches (any-resolution GAN, Table 13): "one" for all scales, "two" for
    whole pictures and patches apart, "scaled" is told the scale."""
    cross_frame: bool = False
    """Judge pictures that straddle two painted frames; for cylinders (any-resolution GAN, section
    6)."""

    def __post_init__(self) -> None:
        self._resolve_networks()
        if self.discriminator.resolution != self.resolution:
            raise ConfigError(
                f"discriminator.resolution {self.discriminator.resolution} differs from the "
                f"training resolution {self.resolution}: make them equal"
            )
        if self.discriminator.size != self.size:
            raise ConfigError(
                f"the discriminator judges {self.discriminator.size} pixels, training patches have "
                f"{self.size}: set height and width, and leave the discriminator's at 0"
            )
        for name in ("img_channels", "label_dim"):
            ours, theirs = getattr(self.generator, name), getattr(self.discriminator, name)
            if ours != theirs:
                raise ConfigError(f"{name}: generator has {ours}, discriminator {theirs}")
        if min(self.batch, self.images, self.log_every, self.snapshot_every) < 1:
            raise ConfigError("batch, images, log_every and snapshot_every: expected at least 1")
        if min(self.preview_every, self.discriminator_warmup) < 0:
            raise ConfigError("preview_every and discriminator_warmup: expected at least 0")
        blocks = len(self.discriminator.sizes)
        if not 0 <= self.freeze_discriminator <= blocks:
            raise ConfigError(
                f"freeze_discriminator {self.freeze_discriminator}: expected 0 to {blocks}, "
                "the discriminator's blocks"
            )
        self._check_schemes()
        self.check_share(1)

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return -(-self.images // self.batch)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the training patches in pixels."""
        return self.height or self.resolution, self.width or self.resolution

    @property
    def period(self) -> float:
        """Plane units after which the generator's pictures repeat along x; 0 on a flat plane."""
        return float(self.generator.period[1])

    @property
    def whole(self) -> Window:
        """The part of the plane that a whole picture covers: (0, 0, 1, 1) for square ones."""
        return undistorted_window(*self.size)

    def canvas(self, window: Window | None = None) -> Canvas:
        """The training grid on a window of the plane, by default on a whole picture's."""
        sampling: Sampling = self.generator.sampling
        return Canvas(*self.size, self.whole if window is None else window, sampling)

    def check_share(self, processes: int) -> None:
        """Refuse a batch that so many processes cannot share out.

        Raises:
            ConfigError: unless each part of each process holds whole minibatch groups.
        """
        if self.accumulate < 1:
            raise ConfigError(f"accumulate {self.accumulate}: expected at least 1")
        group = 1
        if self.discriminator.minibatch_channels:
            group = min(self.discriminator.minibatch_group, self.batch)
        unit = processes * self.accumulate * group
        if self.batch % unit:
            shared = f"{processes} processes x " if processes > 1 else ""
            raise ConfigError(
                f"batch {self.batch}: expected a multiple of {unit} = {shared}"
                f"accumulate {self.accumulate} x minibatch_group {group}: "
                "change batch, accumulate or discriminator.minibatch_group"
            )

    def _check_schemes(self) -> None:
        """Refuse ways of training that do not go together."""
        if self.cross_frame and not self.period:
            raise ConfigError(
                "cross_frame: expected a generator on a cylinder (generator.turn of anyres, "
                "generator.circumference of cips)"
            )
        if self.consistency.weight and self.canvas().sampling != "centers":
            raise ConfigError("consistency.weight: expected a generator that samples centres")
        seen = self.teacher.weight and self.teacher.perceptual != "none"
        if seen and self.watch.evaluate_every:
            raise ConfigError(
                f"watch.evaluate_every measures with {self.teacher.perceptual}, which this run is "
                "trained with: set it to 0 and evaluate with another network"
            )

    def _resolve_networks(self) -> None:
        """Make the generator's config of the family's type, and tell the discriminator the size."""
        kind = family_config(self.family)
        if isinstance(self.generator, Mapping):
            network: Any = read_config(self.family, self.generator, where="generator.")
            object.__setattr__(self, "generator", network)
        if not isinstance(self.generator, kind):
            raise ConfigError(
                f"family {self.family!r}: expected a generator of type {kind.__name__}, "
                f"not {type(self.generator).__name__}"
            )
        judge = self.discriminator
        if (self.height or self.width) and not (judge.height or judge.width):
            height, width = self.size
            resolved = replace(judge, height=height, width=width)
            object.__setattr__(self, "discriminator", resolved)
