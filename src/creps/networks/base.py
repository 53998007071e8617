"""The Generator door: what every family offers, and the registry of families by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeVar

import torch
from torch import Tensor, nn

from creps.config import from_dict, to_dict
from creps.coordinates import AxisGrid, PointGrid, Sampling
from creps.errors import ConfigError, UsageError, nearest
from creps.networks._layers import MappingNetwork, one_hot_labels

# The door to fast pictures: what a family offers that can be prepared for one latent.
#
# Shapes: L levels, N channels of a line, D thickness, S samples along an axis, H and W rows and
# columns, P points, C colours.


Axis = Literal["rows", "columns"]

AddMap = Callable[[int, Tensor], object]
"""Adds the composed map F of a level (0 .. L - 1) to features (N, P), in place."""


class Prepared(Protocol):
    """A network folded for one latent: it computes pictures from row and column lines.

    What `Generator.prepare` returns. Any number of threads may use one at once.
    """

    num_levels: int
    line_channels: int
    thickness: int
    img_channels: int
    device: torch.device
    dtype: torch.dtype

    @property
    def line_flops(self) -> int:
        """Operations (two a multiply-add) for the lines of one coordinate."""

    @property
    def pixel_flops(self) -> int:
        """Operations for one pixel."""

    @property
    def nbytes(self) -> int:
        """Bytes of the weights."""

    def lines(self, coords: Tensor, axis: Axis, *, out: Tensor | None = None) -> Tensor:
        """(L, N, S, D) lines of plane coordinates (S,), in `out` if given."""

    def compose(
        self, row_lines: Tensor, column_lines: Tensor, *, out: Tensor | None = None
    ) -> Tensor:
        """(C, H, W) picture of rows (L, N, H, D) and columns (L, N, W, D), in `out` if given."""

    def compose_points(self, row_lines: Tensor, column_lines: Tensor) -> Tensor:
        """Colours (C, P) of points with a row and a column line each, both (L, N, P, D)."""

    def colour(self, add_map: AddMap, pixels: int) -> Tensor:
        """Colours (C, P) of composed maps from anywhere, added level by level."""


def coordinate_device(device: torch.device) -> torch.device:
    """Where to compute with plane coordinates for a network on a device: the nearest float64.

    Example:
        >>> coordinate_device(torch.device("mps"))
        device(type='cpu')
    """
    return torch.device("cpu") if device.type == "mps" else device


Grid = AxisGrid | PointGrid

Synthesize = Callable[[Tensor, AxisGrid], Tensor]
"""Styles and a grid to pictures, as `Generator.synthesize` does."""


class Generator(nn.Module, ABC):
    """A latent and a grid of plane coordinates to a picture.

    A forward pass changes nothing; whatever varies per call is an argument.

    Attributes:
        config: the frozen dataclass the network was built from.
        mapping: the network from latents to intermediate latents w.
        num_styles: K, how many style vectors steer the synthesis.
        margin: pixels of context a tile needs on each side; 0 for pixel-wise families. Tiles are
            then asked for with so many pixels more on each side, which are cut off.
        tileable: whether parts of a picture may be asked for; False for families that paint one
            fixed grid: they are asked for whole pictures.
        record: where the weights come from (training, source, credits), as JSON types; empty for a
            fresh network.
    """

    config: Any
    mapping: MappingNetwork
    num_styles: int
    margin: int = 0
    tileable: bool = True
    record: Mapping[str, Any] = MappingProxyType({})

    @property
    def sampling(self) -> Sampling:
        """Where the samples of a picture lie: pixel centres, or corners for converted models."""
        rule: Sampling = self.config.sampling
        return rule

    @property
    def device(self) -> torch.device:
        """Where the weights live."""
        return next(self.parameters()).device

    def map(
        self,
        z: Tensor,
        label: Tensor | None = None,
        *,
        truncation: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> Tensor:
        """Styles of latents.

        Args:
            z: (B, Z) standard normal latents.
            label: (B,) class indices or (B, label_dim) one-hot rows; None for unconditional models.
            truncation: 1 keeps w, 0 gives the average picture (StyleGAN, section B).
            truncation_cutoff: truncate only this many leading styles; all of them by default.
        Returns:
            (B, K, D) styles: w repeated for each of the `num_styles` layers.
        Raises:
            LabelError: if labels are missing, unexpected or do not fit z.
            UsageError: if z has another width than the model's latents.
        """
        if z.ndim != 2 or z.shape[1] != self.config.z_dim:
            raise UsageError(
                f"latents of shape {tuple(z.shape)}: expected (B, {self.config.z_dim})"
            )
        one_hot = one_hot_labels(
            label, batch=len(z), classes=self.config.label_dim, like=self.mapping.average
        )
        w = self.mapping(z, one_hot)
        styles = w.unsqueeze(1).repeat(1, self.num_styles, 1)
        return self.truncate(styles, truncation=truncation, truncation_cutoff=truncation_cutoff)

    def truncate(
        self, styles: Tensor, *, truncation: float, truncation_cutoff: int | None = None
    ) -> Tensor:
        """Styles (B, K, D) moved towards the average picture; arguments as `map`."""
        if truncation == 1.0:
            return styles
        average = self.mapping.average
        truncated = average + truncation * (styles - average)
        keep = torch.arange(self.num_styles, device=styles.device) >= (
            self.num_styles if truncation_cutoff is None else truncation_cutoff
        )
        return torch.where(keep[:, None], styles, truncated)

    @abstractmethod
    def synthesize(self, styles: Tensor, grid: Grid) -> Tensor:
        """The picture of `styles` on `grid`.

        Args:
            styles: (B, K, D) from `map`; each of the K vectors may differ (style mixing).
            grid: plane coordinates, shared by the batch.
        Returns:
            (B, C, H, W) in the weights' precision, nominal range [-1, 1], not clipped.
        """

    def prepare(
        self,
        styles: Tensor,
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> Prepared | None:
        """A network folded for the pictures of one latent, where the family has such a thing.

        It makes the pictures of `synthesize` to rounding, faster. The generator stays as it is.

        Args:
            styles: (1, K, D) from `map`.
            device: where it is to work; the generator's own by default.
            dtype: its precision; the generator's own by default.
        Returns:
            the prepared network; None if there is no other way than `synthesize`.
        """
        return None

    def forward(self, z: Tensor, label: Tensor | None, grid: Grid) -> Tensor:
        """`synthesize(map(z, label), grid)`, for wrappers that call modules."""
        return self.synthesize(self.map(z, label), grid)


G = TypeVar("G", bound=type[Generator])
_FAMILIES: dict[str, tuple[type[Generator], type]] = {}


def register_family(name: str, config: type) -> Callable[[G], G]:
    """Class decorator: makes a generator family known under `name` with its config dataclass."""

    def register(kind: G) -> G:
        _FAMILIES[name] = (kind, config)
        return kind

    return register


def families() -> list[str]:
    """Names of the known generator families."""
    return sorted(_FAMILIES)


def family_config(family: str) -> type:
    """The config dataclass of a family.

    Raises:
        ConfigError: for an unknown family.
    """
    if family not in _FAMILIES:
        raise ConfigError(f"unknown generator family {family!r}: {nearest(family, _FAMILIES)}")
    return _FAMILIES[family][1]


def build_generator(family: str, config: Mapping[str, Any] | Any) -> Generator:
    """A freshly initialised generator in evaluation mode, on the CPU.

    Args:
        family: a name from `families()`.
        config: the family's config dataclass, or its fields as a dictionary.
    Raises:
        ConfigError: for an unknown family or setting.
    """
    config_kind = family_config(family)
    if isinstance(config, Mapping):
        config = from_dict(config_kind, config)
    kind, _ = _FAMILIES[family]
    return kind(config).eval().requires_grad_(False)


def describe_generator(generator: Generator) -> tuple[str, dict[str, Any]]:
    """(family name, config as JSON types): what `build_generator` needs to build it again."""
    for name, (kind, _) in _FAMILIES.items():
        if type(generator) is kind:
            return name, to_dict(generator.config)
    raise ConfigError(f"{type(generator).__name__} is not a registered generator family")
