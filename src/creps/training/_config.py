"""Everything a training run is: frozen settings, checked when they are made."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from creps._json import parse_json
from creps.config import from_dict
from creps.coordinates import Canvas, Sampling, Window, undistorted_window
from creps.errors import CheckpointError, ConfigError
from creps.networks.base import family_config, read_config
from creps.networks.discriminator import DiscriminatorConfig, DiscriminatorKind
from creps.training._losses import LossKind, PenaltyKind
from creps.training.augment._settings import AugmentSettings

_OLD_NAMES = {"judge": "discriminator_kind"}
"""Names of settings in run folders of earlier versions, and what they are called now."""

_SMALLEST_SEEN = 32
"""Pixels a side at which the smallest map of features still has one place."""

MOST_PICTURES = 2**20
"""Of a step: more are a slip of the pen, and would be loaded for hours."""

Precision = Literal["float32", "bfloat16", "float16"]
TeacherDirection = Literal["inverse", "forward"]
Perceptual = Literal["none", "effnet"]


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """How real pictures become training patches."""

    mirror: bool = False
    """Add the mirror image of every picture."""
    labels: bool = False
    """Train class-conditionally on the labels of the data."""
    detail: int = 4
    """Pictures are kept at this many times the training resolution before the area filter."""
    native: bool = False
    """Cut every patch from the picture as its file has it, whatever its size, instead of keeping
    pictures at `detail`: all detail there is, at the price of decoding large files."""
    keep_colors: bool = False
    """Take values as they are, whatever color profile a picture has; otherwise they become sRGB."""
    precise: bool = False
    """Keep 16-bit pictures at their depth, and resampled ones unrounded."""
    textures: bool = False
    """Pictures are of materials, without a place of their own: patches come from anywhere in a
    file, at its own pixels, and are painted anywhere on the plane or on the generator's period.
    `zoom` is how many patches side by side a plane unit has at that scale; from a lower `zoom_from`
    on, patches show more of it, reduced by a factor that both networks' pictures share."""
    subpixel_shift: bool = True
    """Move grid and picture together by up to half a pixel each step: without it the generator is
    unconstrained between its training samples and shows a lattice there."""
    zoom: float = 1.0
    """Largest magnification of random windows; 1 trains whole pictures only. A patch of a window is
    as large as the whole picture's, so detail costs no more (any-resolution GAN, section 3.2)."""
    zoom_from: float = 1.0
    """Smallest magnification of random windows (any-resolution GAN, Table 12)."""
    zoom_images: int = 0
    """Images over which the largest magnification grows to `zoom`, from the smallest on: coarse
    windows first; 0 draws all of them from the start."""
    window_share: float = 0.5
    """Share of the steps that train a random window, where zoom is above 1; the others keep the
    whole in view."""
    window_spread: Literal["log", "uniform"] = "log"
    """How magnification is drawn: evenly by doublings, or evenly as the any-resolution GAN draws
    it, which shows fine detail more often."""
    window_group: int = 0
    """With `native`: how many neighbors of a batch share a window, drawn for each group and no
    finer than its pictures, of which small ones give their place to larger ones; 0 draws one
    window a step, for all."""
    workers: int = 1
    """Processes that decode pictures ahead; 0 decodes in the training process."""
    cache_megabytes: int = 500
    """Memory for decoded pictures: if all fit, nothing is decoded from the second epoch on; with
    `native` or `textures` the latest ones are kept, as many as fit."""

    def __post_init__(self) -> None:
        most = math.inf if self.native or self.textures else self.detail
        if not 1 <= self.zoom_from <= self.zoom <= most or not 0 <= self.window_share <= 1:
            raise ConfigError(
                f"zoom_from {self.zoom_from}, zoom {self.zoom}, window_share {self.window_share}: "
                f"expected zoom from 1 to detail ({self.detail}; any with native or textures), "
                "zoom_from from 1 to zoom, share from 0 to 1"
            )
        counts = self.workers, self.window_group, self.cache_megabytes, self.zoom_images
        if self.detail < 1 or min(counts) < 0:
            raise ConfigError(
                f"detail {self.detail}: expected at least 1; "
                "workers, window_group, cache_megabytes and zoom_images: at least 0"
            )
        if self.window_group and self.zoom_images:
            raise ConfigError("zoom_images: expected window_group=0, one window a step")
        if self.window_group and not self.native:
            raise ConfigError("window_group: expected native=true, whole pictures share a window")
        if self.textures and (self.native or self.window_group or self.zoom_images):
            raise ConfigError(
                "textures: expected native=false, window_group=0 and zoom_images=0, its windows "
                "come from anywhere and one step has one scale"
            )


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """What the generator learns from: an adversary, or the statistics of textures."""

    kind: LossKind = "nonsaturating"
    """"nonsaturating" logistic (the papers') or "relativistic" pairing (R3GAN), both with a
    discriminator; for textures also "statistics", without one: how patches of pixels, and features
    of EfficientNet-Lite0 (extra `metrics`), are distributed. A run with it must not be measured by
    that network, `fd_effnet` would favor it."""
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
    penalty: PenaltyKind = "exact"
    """How squared gradients are had: "exact" by a second derivative, in an update of its own, or
    "finite": by differences of logits under a little noise, as part of the discriminator's update
    (GAT, 2509.24935; APT, 2501.08316). It is cheaper, and noisier: meant for every step or two."""
    penalty_noise: float = 0.01
    """Standard deviation of that noise, where colors span [-1, 1]."""
    one_draw: bool = False
    """Show the discriminators the pictures that the generator learns from in the same step, as the
    first GANs did, instead of fresh ones: a step paints once, not twice."""

    def __post_init__(self) -> None:
        if min(self.r1_gamma, self.r2_gamma, self.path_length_weight) < 0:
            raise ConfigError("loss weights: expected numbers of at least 0")
        intervals = self.generator_interval, self.discriminator_interval, self.path_length_shrink
        if min(intervals) < 1:
            raise ConfigError("loss intervals and path_length_shrink: expected at least 1")
        if not 0 < self.penalty_noise < 1:
            raise ConfigError(f"loss.penalty_noise {self.penalty_noise}: expected above 0, below 1")


@dataclass(frozen=True, kw_only=True)
class ProjectedSettings:
    """A second discriminator, of the features of a frozen network (Projected GAN, 2111.01007).

    It looks at EfficientNet-Lite0 (extra `metrics`): a run with it must not be measured by that
    network, `fd_effnet` would favor it.
    """

    weight: float = 0.0
    """Weight of its loss in the generator's; 0: there is none."""
    side: int = 0
    """Pixels of the shorter side at which features are taken: smaller patches are enlarged to it,
    and to 32 in any case."""
    width: int = 64
    """Channels of its heads, one for each of four sizes of features."""
    placed: bool = False
    """Tell the heads scale and place of each window."""
    moments: float = 0.0
    """Weight of the distance of means and covariances of the features from those of real pictures,
    over thousands of pictures, once 512 of each have been seen; 0: they do not count."""

    def __post_init__(self) -> None:
        if not 0 <= self.weight < math.inf or self.side < 0 or self.width < 1:
            raise ConfigError(
                f"projected: weight {self.weight}, side {self.side}, width {self.width}: expected "
                "at least 0, 0 and 1"
            )
        if not 0 <= self.moments < math.inf:
            raise ConfigError(f"projected.moments {self.moments}: expected at least 0")
        if self.moments and not self.weight:
            raise ConfigError(
                f"projected.moments {self.moments}: expected a projected.weight above 0 too"
            )


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
class AnnealSettings:
    """What settings have become at the end of a run, along half a cosine (R3GAN, section 3.5).

    The averaged generator needs nothing here: its half life grows with the images seen, see
    `ema_rampup`.
    """

    images: int = 0
    """Images over which they move, the length of the run as a rule; 0: nothing moves."""
    learning_rate: float = 0.25
    """What the learning rate is multiplied by at the end."""
    beta2: float = 0.99
    """Adam's decay of the second moment at the end; R3GAN starts with `optimizer.beta2` = 0.9."""
    gamma: float = 0.1
    """What the weights of the gradient penalties are multiplied by at the end."""

    def __post_init__(self) -> None:
        if self.images < 0 or min(self.learning_rate, self.gamma) <= 0 or not 0 <= self.beta2 < 1:
            raise ConfigError(
                f"anneal: images {self.images}, learning_rate {self.learning_rate}, gamma "
                f"{self.gamma}, beta2 {self.beta2}: expected at least 0, above 0, above 0 and from "
                "0 to below 1"
            )


@dataclass(frozen=True, kw_only=True)
class WatchSettings:
    """What is watched during a run, and when it is stopped."""

    stop: bool = True
    """Stop a run that has collapsed, with a snapshot; False: only `creps train doctor` says so. A
    loss that is not a number always stops it."""
    patience: int = 25_000
    """Images over which a run must look collapsed without a break before it is stopped."""
    min_spread: float = 0.05
    """Collapsed: generated pictures differ from each other less than this share of what real ones
    do. Runs that learn are above 0.3 from early on."""
    min_gap: float = 0.01
    """Collapsed: the mean logits of real and generated pictures are closer than this. Runs that
    learn were never below 0.05 over that many images."""
    evaluate_every: int = 0
    """Steps between two measurements of the Frechet distance to the training set; 0 for none."""
    evaluate_pictures: int = 500
    """Pictures of each set that it is measured with; the number depends on it, so keep it."""

    def __post_init__(self) -> None:
        if self.patience < 1 or self.evaluate_every < 0 or self.evaluate_pictures < 2:
            raise ConfigError(
                f"watch: patience {self.patience}, evaluate_every {self.evaluate_every}, "
                f"evaluate_pictures {self.evaluate_pictures}: expected at least 1, 0 and 2"
            )
        if not 0 <= self.min_spread < 1 or self.min_gap < 0:
            raise ConfigError(
                f"watch: min_spread {self.min_spread}, min_gap {self.min_gap}: expected "
                "min_spread from 0 to below 1, min_gap of at least 0"
            )


@dataclass(frozen=True, kw_only=True)
class TeacherSettings:
    """A frozen first-phase model whose whole pictures patches stay faithful to.

    Any-resolution GAN, section 3.2. The teacher is the model or run given as `--from`.
    """

    weight: float = 0.0
    """Weight of the loss (lambda of eq. 3): 0: no teacher; the paper takes 5 and compares 0, 2, 5
    and 10 (Table 11)."""
    direction: TeacherDirection = "inverse"
    """"inverse" compares patches, reduced, with the teacher's picture (eq. 4); "forward" compares
    them with its enlarged picture, which blurs details (Table 10)."""
    perceptual: Perceptual = "none"
    """What is added to the mean absolute difference: nothing, or a distance of the features of
    EfficientNet-Lite0 (extra `metrics`) where the paper has LPIPS. A run with it must not be
    measured by that network: `fd_effnet` would favor it."""

    def __post_init__(self) -> None:
        if not 0 <= self.weight < math.inf:
            raise ConfigError(f"teacher.weight {self.weight}: expected 0 or more")


@dataclass(frozen=True, kw_only=True)
class ConsistencySettings:
    """A loss that requires the same picture at two sizes (as ScaleParty is said to have one)."""

    weight: float = 0.0
    """Of the mean absolute difference between a picture and the reduction of its refinement."""
    factor: int = 2
    """Times the pixels on each axis that the refinement has."""
    interval: int = 4
    """Steps between two uses; the loss is multiplied by it."""

    def __post_init__(self) -> None:
        if not 0 <= self.weight < math.inf or self.factor < 2 or self.interval < 1:
            raise ConfigError(
                f"consistency: weight {self.weight}, factor {self.factor}, interval "
                f"{self.interval}: expected a weight of 0 or more, a factor of at least 2 and an "
                "interval of at least 1"
            )


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training run."""

    preset: str = ""
    """The recipe that it was made of, for what is said of the run; changes nothing."""
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
    """Real pictures shown until the run ends."""
    seed: int = 0
    """Of the initial weights, the order of the data and every draw of the run."""
    data: DataSettings = field(default_factory=DataSettings)
    """How real pictures become patches."""
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    """What is done to pictures before the discriminator sees them."""
    loss: LossSettings = field(default_factory=LossSettings)
    """What the generator learns from."""
    projected: ProjectedSettings = field(default_factory=ProjectedSettings)
    """A second discriminator, of the features of a frozen network."""
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    """Adam's settings."""
    anneal: AnnealSettings = field(default_factory=AnnealSettings)
    """How settings change over the run."""
    precision: Precision = "float32"
    """Of the two networks' first-order passes; regularizers, statistics and logits are float32.
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
    """Steps between two snapshots, from which a killed run resumes."""
    watch: WatchSettings = field(default_factory=WatchSettings)
    """What is watched during the run, and when it is stopped."""
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    """A frozen model that patches stay faithful to (any-resolution GAN, section 3.2)."""
    consistency: ConsistencySettings = field(default_factory=ConsistencySettings)
    """A loss for the same picture at two sizes."""
    discriminator_kind: DiscriminatorKind = "one"
    """The discriminator of patches (any-resolution GAN, Table 13): "one" for all scales, "two" for
    whole pictures and patches apart, "scaled" also takes the scale, "placed" scale and place."""
    cross_frame: bool = False
    """Show the discriminator pictures that straddle two painted frames; for cylinders
    (any-resolution GAN, section 6)."""

    def __post_init__(self) -> None:
        self._resolve_networks()
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"seed {self.seed}: expected a whole number from 0 to 2**63 - 1")
        if self.discriminator.resolution != self.resolution:
            raise ConfigError(
                f"discriminator.resolution {self.discriminator.resolution} differs from the "
                f"training resolution {self.resolution}: make them equal"
            )
        if self.discriminator.size != self.size:
            raise ConfigError(
                f"the discriminator sees {self.discriminator.size} pixels, training patches have "
                f"{self.size}: set height and width, and leave the discriminator's at 0"
            )
        for name in ("img_channels", "label_dim"):
            ours, theirs = getattr(self.generator, name), getattr(self.discriminator, name)
            if ours != theirs:
                raise ConfigError(f"{name}: generator has {ours}, discriminator {theirs}")
        if min(self.batch, self.images, self.log_every, self.snapshot_every) < 1:
            raise ConfigError("batch, images, log_every and snapshot_every: expected at least 1")
        if self.batch > MOST_PICTURES:
            raise ConfigError(f"batch {self.batch:,}: expected at most {MOST_PICTURES:,}")
        if min(self.preview_every, self.discriminator_warmup) < 0:
            raise ConfigError("preview_every and discriminator_warmup: expected at least 0")
        blocks = len(self.discriminator.sizes)
        if not 0 <= self.freeze_discriminator <= blocks:
            raise ConfigError(
                f"freeze_discriminator {self.freeze_discriminator}: expected 0 to {blocks}, "
                "the discriminator's blocks"
            )
        self._check_regularizers()
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
    def period(self) -> tuple[float, float]:
        """Plane units (y, x) after which the generator's pictures repeat; 0 where they do not."""
        y, x = self.generator.period
        return float(y), float(x)

    @property
    def whole(self) -> Window:
        """The part of the plane that a whole picture covers: (0, 0, 1, 1) for square ones."""
        return undistorted_window(*self.size)

    @property
    def projected_size(self) -> tuple[int, int]:
        """(height, width) in pixels at which the projected discriminator sees patches."""
        height, width = self.size
        growth = max(max(self.projected.side, _SMALLEST_SEEN) / min(height, width), 1.0)
        return round(height * growth), round(width * growth)

    @property
    def perceptual(self) -> Perceptual:
        """The network whose features take part in training, and which must not measure it."""
        taught = self.teacher.perceptual if self.teacher.weight else "none"
        return "effnet" if self.projected.weight or self.loss.kind == "statistics" else taught

    def canvas(self, window: Window | None = None) -> Canvas:
        """The training grid on a window of the plane, by default on a whole picture's."""
        sampling: Sampling = self.generator.sampling
        return Canvas(*self.size, self.whole if window is None else window, sampling)

    def check_share(self, processes: int) -> None:
        """Refuse a batch that cannot be divided among the processes.

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

    def _check_regularizers(self) -> None:
        """Refuse ways of training that do not go together."""
        if self.cross_frame and not self.period[1]:
            raise ConfigError(
                "cross_frame: expected a generator on a cylinder, such as generator.period=[0,4]"
            )
        placed = self.discriminator_kind == "placed" or self.projected.placed
        if self.data.textures and placed:
            raise ConfigError(
                "data.textures: windows have no place, expected another discriminator_kind than "
                "placed, and projected.placed=false"
            )
        if self.loss.kind == "statistics" and not self.data.textures:
            raise ConfigError(
                "loss.kind=statistics: only those of textures say what a picture is, give --tile "
                "or another loss.kind"
            )
        if self.loss.kind == "statistics" and self.projected.weight:
            raise ConfigError(
                "loss.kind=statistics: no discriminator takes part, expected projected.weight=0"
            )
        if self.loss.kind == "statistics" and self.augment.kind != "none":
            raise ConfigError(
                "loss.kind=statistics: augmentation is for discriminators, expected "
                "augment.kind=none; few pictures are enough"
            )
        if self.data.textures and self.teacher.weight:
            raise ConfigError("data.textures: expected teacher.weight=0, no window is whole")
        if self.consistency.weight and self.canvas().sampling != "centers":
            raise ConfigError("consistency.weight: expected a generator that samples centers")
        if self.perceptual != "none" and self.watch.evaluate_every:
            raise ConfigError(
                f"watch.evaluate_every measures with {self.perceptual}, which this run is "
                "trained with: set it to 0 and evaluate with another network"
            )
        if self.perceptual != "none" and self.generator.colors not in (1, 3):
            cause = "projected.weight" if self.projected.weight else "loss.kind"
            raise ConfigError(
                f"{cause}: expected pictures of 1 or 3 channels, not {self.generator.colors}"
            )
        if self.generator.map_names and not self.data.textures:
            raise ConfigError("generator.maps: only textures have them, give --tile")
        if self.generator.map_names and self.augment.kind == "ada":
            raise ConfigError(
                "augment.kind=ada turns a material without its normals: expected diffaugment"
            )

    def _resolve_networks(self) -> None:
        """Make the generator's config of the family's type, and give the discriminator the size."""
        kind = family_config(self.family)
        if isinstance(self.generator, Mapping):
            network: Any = read_config(self.family, self.generator, where="generator.")
            object.__setattr__(self, "generator", network)
        if not isinstance(self.generator, kind):
            raise ConfigError(
                f"family {self.family!r}: expected a generator of type {kind.__name__}, "
                f"not {type(self.generator).__name__}"
            )
        opponent = self.discriminator
        if (self.height or self.width) and not (opponent.height or opponent.width):
            height, width = self.size
            resolved = replace(opponent, height=height, width=width)
            object.__setattr__(self, "discriminator", resolved)


@dataclass(frozen=True)
class _StoredData:
    """What a run remembers of its training set."""

    name: str
    count: int
    fingerprint: str


def stored_settings(run: Path) -> tuple[TrainConfig, dict[str, Any]]:
    """The settings of the run in a folder, and what is recorded of its training set.

    A CheckpointError if it holds no run, or a damaged one.
    """
    return _stored(run)[:2]


def stored_perceptual(run: Path) -> Perceptual:
    """The network whose features the run in a folder, or what it started from, was trained with."""
    config, _, inherited = _stored(run)
    return inherited if config.perceptual == "none" else config.perceptual


def _stored(run: Path) -> tuple[TrainConfig, dict[str, Any], Perceptual]:
    """Settings, training set, and what `stored_perceptual` says of what the run started from."""
    path = run / "config.json"
    if not path.is_file():
        raise CheckpointError(f"{run} holds no run: expected the folder given to train as --out")
    try:
        stored = parse_json(path.read_bytes())
        config = from_dict(TrainConfig, _renamed(stored["train"]))
        data = msgspec.convert(stored["data"], _StoredData)
        perceptual = msgspec.convert(stored.get("perceptual", "none"), Perceptual)
        return config, asdict(data), perceptual
    except (ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
        raise CheckpointError(f"{path} is damaged or of another version: {error}") from None


def _renamed(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of any version of this package, by their names today."""
    return {_OLD_NAMES.get(name, name): value for name, value in stored.items()}


def flat_settings(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings by their dotted names, as `--set` takes them."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flat_settings(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
