"""What every family of generators offers, and the registry of families by name.

A family says what it can do beyond `map` and `synthesize`: `separable`, `pixelwise`, `blends`,
`tileable`. What it cannot do raises an `UnsupportedError`.

Shapes: B batch, K styles, D their width or the thickness of lines, L levels, N channels of a line,
S samples along an axis, H and W rows and columns, P points, C colors, M styles that are mixed.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, TypeGuard, TypeVar

import torch
from torch import Tensor, nn

from creps.config import from_dict, to_dict
from creps.coordinates import (
    FARTHEST,
    WHOLE_PLANE,
    AxisGrid,
    Canvas,
    PointGrid,
    Sampling,
    Window,
    undistorted_window,
)
from creps.errors import (
    ConfigError,
    GridError,
    LabelError,
    UnsupportedError,
    UsageError,
    nearest,
)
from creps.networks._layers import MappingNetwork, class_number, one_hot_labels
from creps.networks._prepared import AddMap as AddMap
from creps.networks._prepared import Axis as Axis
from creps.networks._prepared import Prepared as Prepared
from creps.networks._prepared import coordinate_device as coordinate_device

Grid = AxisGrid | PointGrid

Synthesize = Callable[[Tensor, AxisGrid], Tensor]
"""Styles and a grid to pictures, as `Generator.synthesize` does."""

Weights = Callable[[Tensor], Tensor]
"""Points (P, 2) of (y, x) to weights (M, P) of M styles: 0 or more, sum 1 at each point."""


MAPS: Mapping[str, int] = MappingProxyType({"normal": 3, "height": 1, "roughness": 1})
"""What a picture of a material may have beside its colors, and how many channels each takes."""


def _is_size(size: object) -> TypeGuard[list[int]]:
    """Whether a record's entry is [height, width]."""
    return (
        isinstance(size, list)
        and len(size) == 2
        and all(isinstance(side, int) and side > 0 for side in size)
    )


def points_of(grid: Grid) -> Tensor:
    """(P, 2) places (y, x) of the pixels of either kind of grid, row by row."""
    if isinstance(grid, PointGrid):
        return grid.points.flatten(0, 1)
    return torch.cartesian_prod(grid.ys, grid.xs).reshape(-1, 2)


def as_grid(grid: Grid | Canvas) -> Grid:
    """The grid of a canvas, and grids as they are; a GridError for anything else."""
    if isinstance(grid, Canvas):
        return grid.grid()
    if not isinstance(grid, AxisGrid | PointGrid):
        raise GridError(
            f"grid of type {type(grid).__name__}: expected a Canvas, an AxisGrid or a PointGrid"
        )
    return grid


def as_tensor(values: object, what: str) -> Tensor:
    """A tensor of a tensor, an array or lists of numbers; a UsageError for anything else."""
    try:
        return torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError):
        raise UsageError(
            f"{what} of type {type(values).__name__}: expected a tensor or an array of numbers"
        ) from None


def blended_parts(
    styles: Tensor,
    grid: Grid,
    *,
    weights: Weights,
    origins: Sequence[tuple[float, float]] | None,
) -> tuple[Tensor, Tensor, list[Grid]]:
    """What pixel-wise families `blend`: the styles that weigh anything, and how they see a grid.

    Args:
        styles, grid, weights, origins: as for `Generator.blend`.
    Returns:
        their styles, weights (M, P), and grids seen from their own origins.
    """
    points = points_of(grid)
    mixture = weights(points)
    if mixture.shape != (len(styles), len(points)):
        expected = (len(styles), len(points))
        raise UsageError(f"weights of shape {tuple(mixture.shape)}: expected {expected}")
    present = mixture.any(1).nonzero()[:, 0].tolist()
    grids = [grid if origins is None else _moved(grid, origins[k]) for k in present]
    return styles[present], mixture[present], grids


def _moved(grid: Grid, origin: tuple[float, float]) -> Grid:
    """A grid as seen from another origin of the plane."""
    if isinstance(grid, AxisGrid):
        return AxisGrid(grid.ys - origin[0], grid.xs - origin[1])
    return PointGrid(grid.points - grid.points.new_tensor(origin))


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """What the configs of all families say; each adds what shapes its own network."""

    resolution: int
    """The natural size in pixels a side: what is rendered where no size is given."""
    img_channels: int = 3
    """Color channels of the picture."""
    z_dim: int = 512
    """Width of a latent."""
    w_dim: int = 512
    """Width of an intermediate latent and of every style vector."""
    label_dim: int = 0
    """Number of classes; 0 is unconditional."""
    class_from_latent: bool = False
    """The latent decides on the class, where none is chosen: the k-th of its first `label_dim`
    values is their largest in pictures of class k. Otherwise a label has its own way into w."""
    mapping_layers: int = 8
    """Fully connected layers of the mapping network."""
    sampling: Sampling = "centers"
    """Where pixels lie: "centers" of their areas (ours) or "corners" (official models)."""
    period: tuple[float, float] = (0.0, 0.0)
    """Plane units (y, x) after which pictures repeat exactly, 0 where they do not: (1, 1) are
    textures that close on themselves, (0, 4) cylinders, as wide as four training pictures (CIPS,
    section 4.8). Fourier features then have whole waves a period."""

    maps: str = ""
    """What a material has beside its colors, separated by commas and in this order: normal, height,
    roughness. Their channels follow the three colors, and count in img_channels."""

    repeats: ClassVar[bool] = False
    """Whether networks of the family can have a period."""

    def __post_init__(self) -> None:
        self._require_at_least(1, "img_channels", "z_dim", "w_dim", "mapping_layers")
        self._require_at_least(0, "label_dim")
        if self.class_from_latent and not 0 < self.label_dim <= self.z_dim:
            raise ConfigError(
                f"class_from_latent: expected label_dim from 1 to z_dim, {self.z_dim}, not "
                f"{self.label_dim}"
            )
        if self.mapping_layers > 64:
            raise ConfigError(f"mapping_layers {self.mapping_layers}: expected at most 64")
        self._check_period()
        self._check_maps()

    @property
    def colors(self) -> int:
        """Channels that are color, the first ones; those of maps follow."""
        return self.img_channels - sum(MAPS[name] for name in self.map_names)

    @property
    def map_names(self) -> tuple[str, ...]:
        """The names in `maps`, spaces removed."""
        return tuple(name.strip() for name in self.maps.split(",") if name.strip())

    def channels_of(self, name: str) -> slice:
        """Which channels a map takes; the colors have no name, or "albedo".

        Raises:
            UsageError: for a map that the pictures do not have.
        """
        start = self.colors
        if name in ("", "albedo"):
            return slice(0, start)
        for each in self.map_names:
            if each == name:
                return slice(start, start + MAPS[each])
            start += MAPS[each]
        have = ", ".join(("albedo", *self.map_names))
        raise UsageError(f"map {name!r}: pictures of this model have {have}")

    def _check_maps(self) -> None:
        """Refuse unknown maps, and channels that do not hold them beside three colors."""
        for name in self.map_names:
            if name not in MAPS:
                raise ConfigError(f"maps names {name!r}: expected {', '.join(MAPS)}")
        if len(set(self.map_names)) < len(self.map_names):
            raise ConfigError(f"maps {self.maps!r}: expected each name once")
        if self.map_names and self.colors != 3:
            needed = 3 + self.img_channels - self.colors
            raise ConfigError(
                f"img_channels {self.img_channels} with maps {self.maps!r}: expected {needed}, "
                "three colors and the channels of the maps"
            )

    def _check_period(self) -> None:
        """Refuse periods that no picture can have, and families that have none."""
        said = f"period {list(self.period)}"
        if not all(each == 0 or 1 <= each <= FARTHEST for each in self.period):
            raise ConfigError(
                f"{said}: expected two numbers (y, x), each 0 or at least 1 plane unit"
            )
        if not any(self.period):
            return
        if not self.repeats:
            raise ConfigError(
                f"{said}: pictures of this family cannot repeat, expected [0, 0]; those of creps, "
                "cips, stylegan3 and anyres can"
            )
        if self.sampling == "corners":
            raise ConfigError(
                f"{said}: samples on the corners would show the seam twice, set sampling to centers"
            )

    def _require_at_least(self, least: int, *names: str) -> None:
        """Refuse settings, or entries of lists, below a number, and those that are not finite."""
        for name in names:
            given = getattr(self, name)
            for number in given if isinstance(given, tuple) else (given,):
                if not least <= number < math.inf:
                    raise ConfigError(f"{name} {number}: expected at least {least}")


class Generator(nn.Module, ABC):
    """A latent and a grid of plane coordinates to a picture.

    A forward pass changes nothing; whatever varies per call is an argument.

    Attributes:
        family: the name it is registered under.
        config: what the network was built from.
        mapping: the network from latents to intermediate latents w.
        num_styles: K, how many style vectors steer the synthesis.
        margin: pixels of context a tile needs on each side; 0 for pixel-wise families. Tiles are
            then painted with this many more pixels on each side, which are cut off.
        tileable: whether parts of a picture can be painted; False for families that paint one
            fixed grid, and so whole pictures only.
        pixelwise: whether a pixel depends on its place alone: any points can be drawn.
        average_decay: share of the average of w that a training batch leaves as it was; 0.998 in
            the official CREPS.
        tracks_magnitudes: whether layers divide by the running size of their features: training
            then calls `synthesize_measured` and `track_magnitudes`.
        record: where the weights come from (training, source, credits), as JSON types; empty for a
            fresh network.
    """

    family: ClassVar[str] = "unregistered"
    config: GeneratorConfig
    mapping: MappingNetwork
    num_styles: int
    margin: int = 0
    tileable: bool = True
    pixelwise: bool = False
    average_decay: float = 0.998
    tracks_magnitudes: bool = False
    record: Mapping[str, Any] = MappingProxyType({})
    _may_be_fresh: tuple[str, ...] = ()  # how names begin that `grow_from` need not find

    def __init__(self, config: GeneratorConfig, *, num_styles: int) -> None:
        super().__init__()
        self.config, self.num_styles = config, num_styles
        self.mapping = MappingNetwork(
            z_dim=config.z_dim,
            label_dim=0 if config.class_from_latent else config.label_dim,
            w_dim=config.w_dim,
            layers=config.mapping_layers,
        )

    @property
    def separable(self) -> bool:
        """Whether rows and columns are computed apart: it has lines, and can be prepared."""
        return False

    @property
    def blends(self) -> bool:
        """Whether styles can flow into each other within one picture."""
        return False

    @property
    def period(self) -> tuple[float, float]:
        """Plane units (y, x) after which pictures repeat; 0 where they do not."""
        return self.config.period

    @property
    def sampling(self) -> Sampling:
        """Where the samples of a picture lie: pixel centers, or corners for converted models."""
        return self.config.sampling

    def extra_repr(self) -> str:
        """What a model says of itself before its layers, as PyTorch prints modules."""
        return f"{self.family} of {self.config.resolution} px, on {self.device}"

    @property
    def needs_class(self) -> bool:
        """Whether pictures have a class that must be chosen."""
        return bool(self.config.label_dim) and not self.config.class_from_latent

    @property
    def class_names(self) -> tuple[str, ...]:
        """What its classes are called, in the order of their indices; empty if not known."""
        names = self.record.get("classes")
        known = isinstance(names, list) and len(names) == self.config.label_dim
        return tuple(map(str, names)) if names and known else ()

    @property
    def default_class(self) -> str | None:
        """The class that is drawn where none is chosen, if its record names one of its classes."""
        name = self.record.get("default_class")
        return name if isinstance(name, str) and name in self.class_names else None

    def class_index(self, label: int | str | None) -> int | None:
        """The index of a class: of its name, or else of its index, as text too; None: by default.

        Raises:
            LabelError: for a name that is not known, with the nearest ones, for a number that is
                no index, and for no label where a class must be chosen and the model has no
                default one.
        """
        names, count = self.class_names, self.config.label_dim
        label = self.default_class if label is None else label
        if label is None and self.needs_class:
            raise LabelError(f"this model has {count} classes: choose with --class {self._choices}")
        if label is None:
            return None
        if not count:
            raise LabelError(f"class {label!r} given to an unconditional model: leave it out")
        if label in names:
            return names.index(str(label))
        number = class_number(label)
        if number in range(count) and (not isinstance(label, str) or label.isdecimal()):
            return int(number)
        named = bool(names) and isinstance(label, str) and math.isnan(number)
        expected = f"expected {self._choices}"
        hint = nearest(str(label), names, otherwise=expected) if named else expected
        raise LabelError(f"class {label!r} is unknown: {hint}")

    @property
    def trained_window(self) -> Window:
        """(y0, x0, y1, x1) of the plane that it has seen in training; endless where it repeats.

        The unit square, unless its record says that it was trained on pictures of another shape.
        """
        training = self.record.get("training")
        size = training.get("size") if isinstance(training, Mapping) else None
        y0, x0, y1, x1 = undistorted_window(*size) if _is_size(size) else WHOLE_PLANE
        endless = [0 if period == 0 else math.inf for period in self.period]
        return y0 - endless[0], x0 - endless[1], y1 + endless[0], x1 + endless[1]

    @property
    def _choices(self) -> str:
        """Its classes in a few words."""
        names, last = self.class_names, self.config.label_dim - 1
        if not names or names == tuple(map(str, range(len(names)))):
            return f"0 to {last}" if last > 0 else "0"
        shown = ", ".join(names[:8])
        return f"{shown}{', ...' if len(names) > 8 else ''} (or 0 to {last})"

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
            z: (B, Z) standard normal latents, a tensor or an array.
            label: (B,) class indices or (B, label_dim) one-hot rows; None for unconditional models
                and those whose latents decide on the class.
            truncation: 1 keeps w, 0 gives the average picture (StyleGAN, section B).
            truncation_cutoff: truncate only this many leading styles; all of them by default.
        Returns:
            (B, K, D) styles: w repeated for each of the `num_styles` layers.
        Raises:
            LabelError: if labels are missing, unexpected or do not fit z.
            UsageError: if z has another width than the model's latents.
        """
        z = as_tensor(z, "latents")
        if z.ndim != 2 or z.shape[1] != self.config.z_dim:
            raise UsageError(
                f"latents of shape {tuple(z.shape)}: expected (B, {self.config.z_dim})"
            )
        z = self.of_class(z, label)
        told = None if self.config.class_from_latent else self._one_hot(z, label)
        w = self.mapping(z, told)
        styles = w.unsqueeze(1).repeat(1, self.num_styles, 1)
        return self.truncate(styles, truncation=truncation, truncation_cutoff=truncation_cutoff)

    def of_class(self, z: Tensor, label: Tensor | None) -> Tensor:
        """Latents like these of a class, where latents decide on it; otherwise the same ones.

        The largest of the first `label_dim` values and the one that is to be so change places: of
        normal values that is what drawing until the class is right would give.

        Args:
            z, label: as for `map`.
        Returns:
            (B, Z) latents.
        """
        if label is None or not self.config.class_from_latent:
            return z
        one_hot = self._one_hot(z, label)
        assert one_hot is not None
        wanted = one_hot.argmax(1).to(z.device)
        largest = z[:, : self.config.label_dim].argmax(1)
        rows, moved = torch.arange(len(z), device=z.device), z.clone()
        moved[rows, largest], moved[rows, wanted] = z[rows, wanted], z[rows, largest]
        return moved

    def _one_hot(self, z: Tensor, label: Tensor | None) -> Tensor | None:
        """Labels (B, label_dim) of latents; None for an unconditional model."""
        classes, like = self.config.label_dim, self.mapping.average
        return one_hot_labels(label, batch=len(z), classes=classes, like=like)

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
    def synthesize(self, styles: Tensor, grid: Grid | Canvas) -> Tensor:
        """The picture of `styles` on `grid`.

        Args:
            styles: (B, K, D) from `map`; each of the K vectors may differ (style mixing).
            grid: plane coordinates, shared by the batch; or the canvas that has them.
        Returns:
            (B, C, H, W) in the weights' precision, nominal range [-1, 1], not clipped.
        """

    def blend(
        self,
        styles: Tensor,
        grid: Grid,
        *,
        weights: Weights,
        origins: Sequence[tuple[float, float]] | None = None,
    ) -> Tensor:
        """One picture in which styles flow into each other, if the family `blends`.

        Where one style is alone, the picture is that style's own; for convolutions where it is
        alone in the reach of a pixel.

        Args:
            styles: (M, K, D) from `map`.
            grid: as in `synthesize`.
            weights: of the styles at any points; also called for points beyond the grid where
                convolutions see them.
            origins: M of (y, x): where on the plane each style's own origin lies (panoramas of
                several pictures); (0, 0) by default.
        Returns:
            (1, C, H, W), nominal range [-1, 1].
        """
        raise self.unsupported("mix styles in a picture", "creps, cips, stylegan3 or anyres")

    # What `separable` networks have; others raise an UnsupportedError.

    def lines(self, styles: Tensor, coords: Tensor, axis: Axis) -> Tensor:
        """Row or column lines, which meet in `compose`.

        Args:
            styles: (B, K, D) from `map`.
            coords: (S,) plane coordinates along the axis, any number and order.
            axis: "rows" or "columns".
        Returns:
            (B, L, N, S, D).
        """
        raise self._without_lines()

    def compose(self, row_lines: Tensor, column_lines: Tensor, styles: Tensor) -> Tensor:
        """The picture where rows (B, L, N, H, D) and columns (B, L, N, W, D) meet.

        Returns:
            (B, C, H, W) picture, each pixel from its own row and column line alone.
        """
        raise self._without_lines()

    def compose_blended(
        self, row_lines: Tensor, column_lines: Tensor, styles: Tensor, *, weights: Tensor
    ) -> Tensor:
        """`compose` with another mixture of M styles in each pixel (CIPS, section 4.8).

        Args:
            row_lines, column_lines: of each style, (M, L, N, H, D) and (M, L, N, W, D).
            styles: (M, K, D), those of the lines.
            weights: (M, H, W), 0 to 1, sum 1 in each pixel.
        Returns:
            (1, C, H, W) picture; where a weight is 1, that style's own.
        """
        raise self._without_lines()

    def compose_points_blended(
        self, row_lines: Tensor, column_lines: Tensor, styles: Tensor, *, weights: Tensor
    ) -> Tensor:
        """`compose_blended` at free points: each has a line of its own in (M, L, N, P, D).

        Args:
            row_lines, column_lines, styles: as for `compose_blended`, but in pairs.
            weights: (M, P).
        Returns:
            (1, C, P) colors.
        """
        raise self._without_lines()

    def prepare(
        self,
        styles: Tensor,
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> Prepared:
        """The network folded for the pictures of one latent.

        It makes the pictures of `synthesize` to rounding, faster. The generator stays as it is.

        Args:
            styles: (1, K, D) from `map`.
            device: where it is to work; the generator's own by default.
            dtype: its precision; the generator's own by default.
        """
        raise self._without_lines()

    # What training asks of families that divide by the size of their features.

    def synthesize_measured(self, styles: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
        """`synthesize`, and what `track_magnitudes` wants to know.

        Returns:
            the picture, and the mean squares (L,) of what each layer was given, without gradients.
        """
        raise self.unsupported("measure its features", "stylegan3 or anyres")

    def track_magnitudes(self, magnitudes: Tensor, *, images: int) -> None:
        """Move the magnitudes that layers divide by towards measured ones.

        Args:
            magnitudes: (L,) from `synthesize_measured`.
            images: training images since the last call.
        """
        raise self.unsupported("track magnitudes", "stylegan3 or anyres")

    def grow_from(self, config: GeneratorConfig, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what another network has learnt; some families also from a smaller one.

        Args:
            config: of the other network.
            tensors: its state by name.
        Raises:
            UnsupportedError: if this network cannot continue from it; then nothing is changed.
        """
        ours = self.state_dict()
        found = {n: t for n, t in tensors.items() if n in ours and t.shape == ours[n].shape}
        missing = [n for n in ours if n not in found and not n.startswith(self._may_be_fresh)]
        mine = self.config
        if missing or config.period != mine.period or config.resolution > mine.resolution:
            raise UnsupportedError(f"another generator: {self._differences(config)}")
        self.load_state_dict(found, strict=False)

    def _differences(self, config: GeneratorConfig) -> str:
        """How a config differs from this one."""
        families = {kind: name for name, (_, kind) in _FAMILIES.items()}
        if type(config) is not type(self.config):
            return f"family {families[type(config)]} there, {self.family} here"
        ours, theirs = to_dict(self.config), to_dict(config)
        said = [f"{n} is {theirs[n]} there, {ours[n]} here" for n in ours if theirs[n] != ours[n]]
        return "; ".join(said) or "other weights"

    def unsupported(self, ability: str, others: str) -> UnsupportedError:
        """The error of a family that cannot do something, and the families that can."""
        return UnsupportedError(f"family {self.family} cannot {ability}: take a model of {others}")

    def _check_styles(self, styles: Tensor, *, batch: int | None = None) -> None:
        """Refuse what is not (B, K, D), or of another batch."""
        width = (self.num_styles, self.config.w_dim)
        if not isinstance(styles, Tensor):
            raise UsageError(
                f"styles of type {type(styles).__name__}: expected a tensor, as map gives it"
            )
        if styles.ndim != 3 or styles.shape[1:] != width or batch not in (None, len(styles)):
            expected = f"({batch or 'B'}, {width[0]}, {width[1]})"
            raise UsageError(
                f"styles of shape {tuple(styles.shape)}: expected {expected}, as map gives them"
            )

    def _without_lines(self) -> UnsupportedError:
        return UnsupportedError(f"this {self.family} network has no lines: use synthesize")

    def forward(self, z: Tensor, label: Tensor | None, grid: Grid) -> Tensor:
        """`synthesize(map(z, label), grid)`, for wrappers that call modules."""
        return self.synthesize(self.map(z, label), grid)


G = TypeVar("G", bound=type[Generator])
_FAMILIES: dict[str, tuple[type[Generator], type[GeneratorConfig]]] = {}


def register_family(name: str, config: type[GeneratorConfig]) -> Callable[[G], G]:
    """Class decorator: makes a generator family known under `name` with its config dataclass."""

    def register(kind: G) -> G:
        kind.family = name
        _FAMILIES[name] = (kind, config)
        return kind

    return register


_OLD_PERIODS = {"cips": "circumference", "anyres": "turn"}
"""What files of earlier versions call the period along x, by family."""


def families() -> list[str]:
    """Names of the known generator families."""
    return sorted(_FAMILIES)


def family_config(family: str) -> type[GeneratorConfig]:
    """The config dataclass of a family.

    Raises:
        ConfigError: for an unknown family.
    """
    if family not in _FAMILIES:
        raise ConfigError(f"unknown generator family {family!r}: {nearest(family, _FAMILIES)}")
    return _FAMILIES[family][1]


def read_config(family: str, values: Mapping[str, Any], *, where: str = "") -> GeneratorConfig:
    """The config of a family from its fields as JSON types.

    Args:
        family: a name from `families()`.
        values: fields; files of earlier versions spell the sampling "centers" as "centres", and
            say after how much a cylinder repeats by another name.
        where: prefix that names the place of a mistake in messages.
    Raises:
        ConfigError: for an unknown family or setting.
    """
    values = {name: "centers" if each == "centres" else each for name, each in values.items()}
    if (old := _OLD_PERIODS.get(family)) in values:
        values["period"] = [0, values.pop(old)]
    return from_dict(family_config(family), values, where=where)


def build_generator(family: str, config: Mapping[str, Any] | GeneratorConfig) -> Generator:
    """A freshly initialized generator in evaluation mode, on the CPU.

    Args:
        family: a name from `families()`.
        config: the family's config dataclass, or its fields as a dictionary.
    Raises:
        ConfigError: for an unknown family or setting.
    """
    if isinstance(config, Mapping):
        config = read_config(family, config)
    family_config(family)
    kind: Callable[[GeneratorConfig], Generator] = _FAMILIES[family][0]
    return kind(config).eval().requires_grad_(False)


def describe_generator(generator: Generator) -> tuple[str, dict[str, Any]]:
    """(family name, config as JSON types): what `build_generator` needs to build it again."""
    if type(generator) is not _FAMILIES.get(generator.family, (None, None))[0]:
        raise ConfigError(f"{type(generator).__name__} is not a registered generator family")
    return generator.family, to_dict(generator.config)
