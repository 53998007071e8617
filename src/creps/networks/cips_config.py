"""What defines a CIPS network, and the networks of the paper and the official code by name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from creps.coordinates import Sampling
from creps.errors import ConfigError

Connections = Literal["skip", "residual", "base"]
Activation = Literal["lrelu", "sine"]

OFFICIAL_WIDTHS = {
    "skip": (512, 512, 512, 512, 512, 256, 128, 64, 32),
    "residual": (512, 512, 512, 512, 512, 256, 128, 128, 64),
    "base": (512,) * 9,
}
"""Widths of levels 0, 1, ... in the official code; it has no "base", which the paper makes 512."""


@dataclass(frozen=True, kw_only=True)
class CipsConfig:
    """Everything that defines a CIPS network; the defaults are the official code's."""

    resolution: int
    """The natural size in pixels a side, and the nodes a plane unit of the embedding."""
    img_channels: int = 3
    """Colour channels of the picture."""
    z_dim: int = 512
    """Width of a latent."""
    w_dim: int = 512
    """Width of an intermediate latent and of every style vector."""
    label_dim: int = 0
    """Number of classes; 0 is unconditional."""
    mapping_layers: int = 8
    """Fully connected layers of the mapping network."""
    features: int = 512
    """F: how many Fourier features, and the width of an embedding (section 4.1)."""
    widths: tuple[int, ...] = ()
    """Channels of each level of two layers. Empty takes the official ones: log2(resolution) - 1
    levels of 512 that narrow from the sixth on. The paper has 512 in all of them (section 4.1)."""
    connections: Connections = "skip"
    """How the levels become colour (section 4.3): "skip" adds a projection of each (the default),
    "residual" has residual levels and one projection, "base" is a plain perceptron."""
    fourier: bool = True
    """Whether there are Fourier features; False is CIPS "no Fourier" (Table 3)."""
    embedding: bool = True
    """Whether there are learned embeddings; False is CIPS-NE (Table 3)."""
    activation: Activation = "lrelu"
    """Of the modulated layers; "sine" is the SIREN-like ablation of Table 3."""
    bandwidth: float = math.sqrt(4.5)
    """Fourier weights start uniform within this, in radians per half a plane unit."""
    circumference: float = 0.0
    """Plane units after which the picture repeats along x, a cylinder (section 4.8); 0 is flat.
    The unit square is still what one training picture covers: 4 makes panoramas of four."""
    embedding_nodes: Sampling = "centres"
    """Where the embedding's nodes lie, see `PlaneEmbedding`. The same as `sampling`, each pixel of
    the natural size has a node of its own. The official code trains that way with "corners", and
    draws with "centres" between "corners" samples, so converted models do too."""
    sampling: Sampling = "centres"
    """Where pixels lie: "centres" of their areas (ours) or "corners" (official models)."""

    def __post_init__(self) -> None:
        for name in ("img_channels", "z_dim", "w_dim", "mapping_layers", "features"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)}: expected at least 1")
        if self.mapping_layers > 64:
            raise ConfigError(f"mapping_layers {self.mapping_layers}: expected at most 64")
        if self.label_dim < 0:
            raise ConfigError(f"label_dim {self.label_dim}: expected 0 or the number of classes")
        if not (math.isfinite(self.bandwidth) and self.bandwidth > 0):
            raise ConfigError(f"bandwidth {self.bandwidth}: expected a positive number")
        if not (self.fourier or self.embedding):
            raise ConfigError(
                "fourier and embedding are both off: a pixel would not know its place; "
                "expected at least one of them"
            )
        self._check_levels()
        self._check_cylinder()

    def _check_levels(self) -> None:
        if self.widths:
            if self.resolution < 2:
                raise ConfigError(f"resolution {self.resolution}: expected at least 2")
            if min(self.widths) < 1 or len(self.widths) > 64:
                raise ConfigError(f"widths {self.widths}: expected 1 to 64 numbers from 1")
        elif self.resolution not in (4, 8, 16, 32, 64, 128, 256, 512, 1024):
            raise ConfigError(
                f"resolution {self.resolution}: expected a power of two from 4 to 1024, or widths "
                "for each level"
            )

    def _check_cylinder(self) -> None:
        if not self.circumference:
            return
        nodes = self.resolution * self.circumference
        if not (math.isfinite(nodes) and nodes >= 1 and nodes == round(nodes)):
            raise ConfigError(
                f"circumference {self.circumference}: expected a whole number of pixels of "
                f"1/{self.resolution}, or 0 for a flat plane"
            )
        if "corners" in (self.sampling, self.embedding_nodes):
            raise ConfigError(
                "a cylinder with samples on its corners would have its seam twice: set sampling "
                "and embedding_nodes to centres"
            )

    @property
    def period(self) -> float:
        """Plane units after which pictures repeat along x; 0 if they do not."""
        return self.circumference

    @property
    def level_widths(self) -> tuple[int, ...]:
        """Channels of each level: `widths`, or the official ones."""
        levels = self.resolution.bit_length() - 2
        return self.widths or OFFICIAL_WIDTHS[self.connections][:levels]


PAPER_WIDTHS = (512,) * 7
"""What section 4.1 says, at 256 pixels."""

CIPS_PRESETS = {
    "cips-256": CipsConfig(resolution=256),
    "cips-256-residual": CipsConfig(resolution=256, connections="residual"),
    "cips-256-paper": CipsConfig(resolution=256, widths=PAPER_WIDTHS),
    "cips-256-base": CipsConfig(resolution=256, widths=PAPER_WIDTHS, connections="base"),
    "cips-256-ne": CipsConfig(
        resolution=256, widths=PAPER_WIDTHS, connections="base", embedding=False
    ),
    "cips-256-nf": CipsConfig(
        resolution=256, widths=PAPER_WIDTHS, connections="base", fourier=False
    ),
    "cips-256-sine": CipsConfig(
        resolution=256, widths=PAPER_WIDTHS, connections="base", fourier=False, activation="sine"
    ),
    "cips-64": CipsConfig(
        resolution=64, z_dim=128, w_dim=128, mapping_layers=4, features=128, widths=(128,) * 4,
        bandwidth=12.0,
    ),
    "cips-tiny": CipsConfig(
        resolution=32, z_dim=32, w_dim=32, mapping_layers=2, features=32, widths=(32, 32),
        bandwidth=8.0,
    ),
    "cips-64-panorama": CipsConfig(
        resolution=64, z_dim=128, w_dim=128, mapping_layers=4, features=128, widths=(128,) * 4,
        bandwidth=12.0, circumference=4.0,
    ),
}  # fmt: skip
"""Official code, the columns of the paper's Table 3 at the paper's widths, and small ones whose
Fourier features start with frequencies that a network without large embeddings needs."""
