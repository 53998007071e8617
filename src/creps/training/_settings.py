"""Groups of settings of a training run; `creps.training._config` puts them together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from creps.errors import ConfigError
from creps.training._losses import LossKind


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
    precise: bool = False
    """Keep 16-bit pictures at their depth, and resampled ones unrounded."""
    subpixel_shift: bool = True
    """Move grid and picture together by up to half a pixel each step: without it the generator is
    unconstrained between its training samples and shows a lattice there."""
    zoom: float = 1.0
    """Largest magnification of random windows; 1 trains whole pictures only. A patch of a window is
    as large as the whole picture's, so detail costs no more (any-resolution GAN, section 3.2)."""
    zoom_from: float = 1.0
    """Smallest magnification of random windows (any-resolution GAN, Table 12)."""
    window_share: float = 0.5
    """Share of the steps that train a random window, where zoom is above 1; the others keep the
    whole in view."""
    window_spread: Literal["log", "uniform"] = "log"
    """How magnification is drawn: evenly by doublings, or evenly as the any-resolution GAN draws
    it, which shows fine detail more often."""
    window_group: int = 0
    """With `native`: how many neighbours of a batch share a window, drawn for each group and no
    finer than its pictures, of which small ones give their place to larger ones; 0 draws one
    window a step, for all."""
    workers: int = 1
    """Processes that decode pictures ahead; 0 decodes in the training process."""
    cache_megabytes: int = 0
    """Memory for decoded pictures: if all fit, nothing is decoded from the second epoch on."""

    def __post_init__(self) -> None:
        most = math.inf if self.native else self.detail
        if not 1 <= self.zoom_from <= self.zoom <= most or not 0 <= self.window_share <= 1:
            raise ConfigError(
                f"zoom_from {self.zoom_from}, zoom {self.zoom}, window_share {self.window_share}: "
                f"expected zoom from 1 to detail ({self.detail}; any with native=true), zoom_from "
                "from 1 to zoom, share from 0 to 1"
            )
        if self.detail < 1 or min(self.workers, self.window_group, self.cache_megabytes) < 0:
            raise ConfigError(
                f"detail {self.detail}: expected at least 1; "
                "workers, window_group and cache_megabytes: at least 0"
            )
        if self.window_group and not self.native:
            raise ConfigError("window_group: expected native=true, whole pictures share a window")


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
class WatchSettings:
    """What is looked at while a run goes on, and when it is stopped."""

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
    learn were never below 0.05 over so many images."""
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
