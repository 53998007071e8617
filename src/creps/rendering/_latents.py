"""Whose picture: a latent as text, its styles, and all that is prepared before painting.

A `Latent` is checked on input, and resolved once into styles. `PreparedLatents` then
holds what pictures of these styles share: where the family has lines, the weights are folded once,
and lines and line tables are kept. Other families synthesize.
"""

from __future__ import annotations

import copy
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor

from creps._devices import Device, find_device
from creps.coordinates import AxisGrid
from creps.errors import UsageError
from creps.networks.base import Generator, Grid, Prepared
from creps.rendering._blends import StyleBlend, StyleField, parse_blend
from creps.rendering._evaluations import Evaluations
from creps.rendering._lines import COLUMNS_KEPT, ROWS_KEPT, LineStore
from creps.rendering._points import TableStore
from creps.rendering._styles import Recipe, Walk, parse_recipes, styles_of
from creps.rendering._view import Precision, checked_dtype

Styles = Tensor | StyleField | Recipe | tuple[Recipe, ...] | str
"""Styles, or what makes them."""


class LatentOptions(TypedDict, total=False):
    """The keywords of a `Latent`, for calls that make one."""

    seed: int | None
    z: Tensor | None
    styles: Styles | None
    blend: StyleBlend | str | None
    label: int | str | Tensor | None
    truncation: float
    truncation_cutoff: int | None


MOST_TRUNCATION = 100
"""Either way: ten times beyond what any picture survives, far from where numbers overflow."""


def checked_truncation(psi: float) -> float:
    """`psi` as it is; a UsageError unless it is a number that pictures survive."""
    if not (isinstance(psi, float | int) and abs(psi) <= MOST_TRUNCATION):
        raise UsageError(
            f"truncation {psi!r}: expected a number, usually 0..1, up to "
            f"{MOST_TRUNCATION} either way"
        )
    return psi


@dataclass(frozen=True, kw_only=True, eq=False)
class Latent:
    """Whose picture: a seed, a latent z or styles; checked when it is made, without a model.

    Args:
        seed: integer 0 .. 2**32 - 1 that draws the latent (see `latents`).
        z: (1, Z) latent, a tensor or an array.
        styles: recipes or their text, such as "7..12@0.4" or "7/12/3" (see `parse_recipes`); or
            what is labeled and truncated already: (1, K, D) from `Generator.map`, or several
            styles and how they share the picture (`StyleField`).
        blend: how several recipes share the picture, such as "gradient:90" (see `parse_blend`).
        label: index or name of a class, or (1, label_dim) one-hot row, for class-conditional
            models.
        truncation: 1 keeps the styles, 0 gives the average picture.
        truncation_cutoff: truncate only this many leading styles; all by default.
    Attributes:
        recipes: parsed from the seed or the text; empty for tensors.
    Raises:
        UsageError: unless exactly one of seed, z and styles is given; for an impossible seed,
            recipe, blend or truncation.
    """

    seed: int | None = None
    z: Tensor | None = None
    styles: Styles | None = None
    blend: StyleBlend | str | None = None
    label: int | str | Tensor | None = None
    truncation: float = 1.0
    truncation_cutoff: int | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("seed", "z", "styles") if getattr(self, name) is not None]
        if len(given) != 1:
            raise UsageError(
                f"{' and '.join(given) or 'nothing'} given: expected one of seed, z, styles"
            )
        for name in ("z", "styles"):
            value = getattr(self, name)
            if isinstance(value, np.ndarray):
                object.__setattr__(self, name, torch.from_numpy(value).float())
        if isinstance(self.styles, str):
            object.__setattr__(self, "styles", parse_recipes(self.styles))
        if isinstance(self.blend, str):
            object.__setattr__(self, "blend", parse_blend(self.blend))
        if not isinstance(self.styles, Tensor | StyleField | Recipe | tuple | None):
            raise UsageError(
                f"styles of type {type(self.styles).__name__}: expected a recipe such as "
                '"7..12@0.4", or styles (1, K, D) of a model\'s map'
            )
        count = len(self.recipes)
        if isinstance(self.blend, StyleBlend):
            self.blend.check(count)
        elif count > 1:
            raise UsageError(
                f"{count} styles: say how they share the picture, such as blend gradient, radial "
                "or panorama"
            )
        checked_truncation(self.truncation)
        if self.truncation_cutoff is not None and self.truncation_cutoff < 0:
            raise UsageError(
                f"truncation cutoff {self.truncation_cutoff}: expected 0 or more styles"
            )
        made = isinstance(self.styles, Tensor | StyleField)
        if made and (self.label is not None or self.truncation != 1.0):
            raise UsageError(
                "styles are already labeled and truncated: leave label and truncation out"
            )

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """Parsed from the seed or the text; empty for tensors."""
        if self.seed is not None:
            return (Recipe(Walk((self.seed,))),)
        if isinstance(self.styles, tuple):
            return self.styles
        return (self.styles,) if isinstance(self.styles, Recipe) else ()

    @property
    def across(self) -> int:
        """Unit squares side by side that its scene has, as `View` takes it."""
        return self.blend.across(len(self.recipes)) if isinstance(self.blend, StyleBlend) else 1

    @property
    def _drawn(self) -> bool:
        """Whether the mapping network takes part, and so a class."""
        return self.z is not None or any(recipe.drawn for recipe in self.recipes)

    def suited(self, generator: Generator) -> Latent:
        """The same with the index of a class in place of its name, or of the model's default one.

        Raises:
            LabelError: for a class that the model does not have.
        """
        name = generator.default_class if self.label is None and self._drawn else self.label
        if name is None or isinstance(name, Tensor):
            return self
        return replace(self, label=generator.class_index(name))

    @torch.inference_mode()
    def resolve(self, generator: Generator) -> Tensor | StyleField:
        """(1, K, D) styles on the model's device, or several that share the picture.

        Raises:
            UsageError: for more than one latent, or a recipe that does not suit the model.
            LabelError: if the label is missing, unexpected or unknown.
            DataError: for a file that holds no styles.
        """
        if isinstance(self.styles, StyleField):
            return self.styles
        label = self.label
        if not isinstance(label, Tensor):
            index = generator.class_index(label) if label is not None or self._drawn else None
            label = None if index is None else torch.tensor([index])
        how: Any = {"truncation": self.truncation, "truncation_cutoff": self.truncation_cutoff}
        if isinstance(self.styles, Tensor):
            styles = self.styles
        elif self.z is not None:
            styles = generator.map(self.z, label, **how)
        else:
            each = [styles_of(recipe, generator, label=label, **how) for recipe in self.recipes]
            styles = torch.cat(each)
            if isinstance(self.blend, StyleBlend):
                return self.blend.field(styles)
        if len(styles) != 1:
            raise UsageError(f"{len(styles)} latents given: expected one, render makes one picture")
        return styles


class PreparedLatent:
    """One latent of a family with lines, and what is kept for its pictures: lines and tables."""

    def __init__(self, prepared: Prepared, *, rows: LineStore, columns: LineStore) -> None:
        self.prepared, self.rows, self.columns = prepared, rows, columns
        self.tables = TableStore(prepared)

    def lines(self, grid: AxisGrid) -> tuple[Tensor, Tensor]:
        """Row lines (L, N, H, D) and column lines (L, N, W, D)."""
        return self.rows.lines(grid.ys, "rows"), self.columns.lines(grid.xs, "columns")

    @property
    def nbytes(self) -> int:
        """Bytes of weights, lines and tables."""
        lines = sum(store.nbytes for store in {self.rows, self.columns})
        return self.prepared.nbytes + lines + self.tables.nbytes

    def clear(self) -> None:
        """Keep nothing but the weights."""
        for store in (self.rows, self.columns, self.tables):
            store.clear()


class PreparedLatents:
    """The styles of one picture, or of a batch of pictures, ready to be painted.

    Args:
        generator: the model; it stays as and where it is.
        styles: (B, K, D) from `generator.map`, a picture each; or several that share one picture.
        device: where to work; where the generator is by default. Families with lines copy only what
            they need there, others the whole network.
        dtype: precision, as `checked_dtype`; the generator's own by default. Families without
            lines compute half precision with autocast: sums and colors stay in float32.
        keep: bytes of lines that are kept of each latent. None: for one picture, part by part.
        latent: what the styles were resolved from; recorded in files.

    Attributes:
        each: one for each style; none where the family has no lines.
        field: how several styles share the picture; None for a picture of each.
        device: where pictures are made.
        network: the generator there, for what needs it whole.
        evaluations: of all pictures of these latents.
    Raises:
        UsageError: for an invalid device or precision.
        UnsupportedError: for several styles in a picture of a family that cannot mix them.
    """

    @torch.inference_mode()
    def __init__(
        self,
        generator: Generator,
        styles: Tensor | StyleField,
        *,
        device: Device = None,
        dtype: Precision = None,
        keep: int | None = None,
        latent: Latent | None = None,
    ) -> None:
        self.generator, self.dtype = generator, dtype
        self.evaluations = Evaluations()
        self.latent = Latent(styles=styles) if latent is None else latent
        self.device = generator.device if device is None else find_device(device)
        wanted = checked_dtype(dtype, self.device)
        self.field = styles if isinstance(styles, StyleField) else None
        if self.field is not None:
            styles = self.field.styles
            if not generator.blends:
                raise generator.unsupported(
                    "mix styles in a picture", "creps (not dense), cips, stylegan3 or anyres"
                )
            if wanted is not None:
                raise UsageError("several styles are mixed in the model's precision: no dtype")
        assert isinstance(styles, Tensor)
        self.each = self._prepare(styles, dtype=wanted, keep=keep) if generator.separable else []
        self._half: torch.dtype | None = None
        if self.each and self.field is None:
            return
        if wanted in (torch.float16, torch.bfloat16):
            self._half, wanted = wanted, torch.float32  # which autocast makes half of
        self.network = _network_on(generator, self.device, wanted)
        self.styles = styles.to(next(self.network.parameters()))

    @property
    def nbytes(self) -> int:
        """Bytes held for these latents, not counting the generator."""
        if self.each:
            return sum(latent.nbytes for latent in set(self.each))
        if self.network is self.generator:
            return 0
        return sum(each.nbytes for each in self.network.state_dict().values())

    def synthesize(self, grid: Grid) -> Tensor:
        """(B, C, H, W) pictures by the whole network, at least float32."""
        halved = torch.autocast(self.device.type, dtype=self._half) if self._half else nullcontext()
        with torch.inference_mode(), halved:
            if self.field is None:
                image = self.network.synthesize(self.styles, grid)
            else:
                origins = [(frame.y, frame.x) for frame in self.field.placed]
                image = self.network.blend(
                    self.styles, grid, weights=self.field.weights_at, origins=origins
                )
        return image.to(torch.promote_types(image.dtype, torch.float32))

    def clear(self) -> None:
        """Keep nothing but the weights."""
        for latent in self.each:
            latent.clear()

    def _prepare(
        self, styles: Tensor, *, dtype: torch.dtype | None, keep: int | None
    ) -> list[PreparedLatent]:
        """One for each style; equal styles share theirs."""
        made: dict[bytes, PreparedLatent] = {}
        each = []
        for one in styles.split(1):
            key = one.cpu().double().numpy().tobytes()
            if key not in made:
                prepared = self.generator.prepare(one, device=self.device, dtype=dtype)
                if (
                    keep is None
                ):  # a part's rows serve its stripe alone, its columns the next stripes too
                    rows = LineStore(prepared, keep=ROWS_KEPT // len(styles))
                    columns = LineStore(prepared, keep=COLUMNS_KEPT // len(styles))
                else:
                    rows = columns = LineStore(prepared, keep=keep)
                made[key] = PreparedLatent(prepared, rows=rows, columns=columns)
            each.append(made[key])
        return each


def _network_on(generator: Generator, device: torch.device, dtype: torch.dtype | None) -> Generator:
    """The generator itself, or a copy where it is elsewhere or in another precision."""
    own = next(generator.parameters())
    if own.device == device and dtype in (None, own.dtype):
        return generator
    return copy.deepcopy(generator).to(device, dtype)
