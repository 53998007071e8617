"""Styles from words: seeds, points between them, layers taken from one another, and files.

The text form, for the command line and for addresses (a shell and a URL take it without quotes):

    recipe = walk, then any number of "+" walk ":" layers       7+12:4-8,10
    walk   = a seed                                             7
           | seeds joined by "..", "@" a position on the way    7..12@0.4   7..12..3@1.4
           | seeds joined by "~",  "@" a position on the way    7~12@0.4

".." walks along straight lines between the styles w, "~" along great circles between the latents z.
A position counts seeds: 0 is the first, 1 the second, 1.4 lies 40 % of the way on to the third.
"+12:4-8" takes the styles of layers 4 to 8 from seed 12; a later "+" wins.
Several recipes for one picture are parted by "/": 7/12..3@0.5/3+7:0-2 (see `_blends`).

On the command line a file of styles, which `creps project` makes, may replace the first walk of a
recipe: face.safetensors, found/face.safetensors+12:4-8. A folder named by a seed is ./7/face...
"""

from __future__ import annotations

import hashlib
import json
import math
import operator
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeGuard

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from creps._files import refuse_foreign_name, write_atomically
from creps._json import parse_json
from creps.errors import DataError, UsageError, utf8
from creps.networks.base import Generator
from creps.rendering._words import number_text

Space = Literal["w", "z"]

JOINTS: dict[Space, str] = {"w": "..", "z": "~"}
"""What stands between the seeds of a walk in either space."""

_NUMBER = r"\d+(?:\.\d+)?(?:e-?\d+)?"
_SEED = r"\d{1,10}"
_WALK = re.compile(rf"({_SEED}(?:\.\.{_SEED})*|{_SEED}(?:~{_SEED})*)(?:@({_NUMBER}))?")
_STOP = re.compile(rf"(?:({_SEED})|(.+?\.safetensors))(?:\.\.(?=.)|$)", re.DOTALL)
_PARALLEL = 1e-7  # radians: closer to 0 or pi, two directions do not span a plane

LAST_SEED = 2**32 - 1


def latents(seeds: int | Iterable[int], generator: Generator) -> Tensor:
    """Standard normal latents, one row a seed; a row does not depend on the other seeds.

    Row k is `numpy.random.RandomState(seeds[k]).randn(1, Z)`, as in the official StyleGAN and CREPS
    tools: seed 7 is the picture other tools call seed 7.

    Args:
        seeds: integers 0 .. 2**32 - 1, or a single one.
        generator: the model, for the width Z of its latents.
    Returns:
        (number of seeds, Z) float32 tensor on the CPU.
    Raises:
        UsageError: for a seed that is not an integer in range.
    """
    if not isinstance(generator, Generator):
        raise UsageError(
            f"latents for a {type(generator).__name__}: expected seeds, then the generator that "
            "creps.load gives"
        )
    width = generator.config.z_dim
    each = seeds if are_several(seeds) else (seeds,)
    rows = [np.random.RandomState(checked_seed(seed)).randn(1, width) for seed in each]
    return torch.from_numpy(np.concatenate([np.empty((0, width)), *rows])).float()


def are_several(seeds: object) -> TypeGuard[Iterable[int]]:
    """Whether these are seeds, not a single one, which may be an array of no dimension."""
    return isinstance(seeds, Iterable) and getattr(seeds, "ndim", 1) > 0


def checked_seed(seed: object) -> int:
    """`seed` as a plain integer; a UsageError unless it is one from 0 to 2**32 - 1."""
    try:
        number = operator.index(seed)  # type: ignore[arg-type]
    except TypeError:
        raise UsageError(f"seed {seed!r}: expected an integer") from None
    if not 0 <= number <= LAST_SEED:
        raise UsageError(f"seed {number}: expected an integer from 0 to {LAST_SEED}")
    return number


# Files: a safetensors file with one tensor, "styles" (K, D), and a JSON document in its metadata
# that says how they were made. Any model with as many styles of that width can draw them.

SUFFIX = ".safetensors"
TENSOR = "styles"
METADATA_KEY = "creps-styles"
"""The metadata key of the document; it distinguishes such a file from a model's."""


def save_styles(
    path: str | os.PathLike[str], styles: Tensor, *, record: Mapping[str, Any] | None = None
) -> None:
    """Write the styles of one picture, atomically.

    Args:
        path: ends with ".safetensors"; its folder must exist.
        styles: (1, K, D).
        record: JSON values that travel with them: the model, the picture they were found for.
    Raises:
        UsageError: for another shape, values that are not finite, another suffix, a path that is no
            UTF-8, or a record that is not JSON.
        OSError: if the file cannot be written.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise UsageError(f"{path.name}: styles are kept in files that end with {SUFFIX}")
    refuse_foreign_name(path, "safetensors")
    if styles.ndim != 3 or len(styles) != 1 or not styles.isfinite().all():
        raise UsageError(f"styles of shape {tuple(styles.shape)}: expected finite (1, K, D)")
    try:
        document = json.dumps(dict(record or {}), allow_nan=False, ensure_ascii=False)
        document.encode()  # refuses half of a surrogate pair
    except (TypeError, ValueError) as error:
        raise UsageError(f"the record of styles must be JSON: {error}") from None
    tensor = styles[0].detach().float().cpu().contiguous()
    write_atomically(path, save({TENSOR: tensor}, {METADATA_KEY: document}))


@dataclass(frozen=True)
class StyleFile:
    """A ".safetensors" file of styles, in place of a recipe's walk; `str` gives its path."""

    path: str

    def __str__(self) -> str:
        return self.path

    @property
    def fingerprint(self) -> str:
        """Of the file's bytes, as the name does not show changes; DataError if missing."""
        try:
            return hashlib.sha256(Path(self.path).read_bytes()).hexdigest()[:16]
        except (FileNotFoundError, IsADirectoryError):
            raise DataError(f"{self.path}: no such file of styles") from None

    def read(self) -> tuple[Tensor, dict[str, Any]]:
        """(1, K, D) float32 styles on the CPU, and their record; DataError if invalid."""
        if not Path(self.path).is_file():
            raise DataError(f"{self.path}: no such file of styles")
        if utf8(self.path) != self.path:
            raise DataError(f"{self.path}: no name in UTF-8, rename it")
        try:
            with safe_open(self.path, framework="pt") as file:
                metadata = file.metadata() or {}
                if METADATA_KEY not in metadata:
                    raise DataError(
                        f"{self.path} holds no styles: expected a file that creps project has made"
                    )
                styles: Tensor = file.get_tensor(TENSOR)
                record = parse_json(metadata[METADATA_KEY])
        except (SafetensorError, ValueError) as error:
            raise DataError(f"{self.path}: damaged file of styles ({error})") from None
        if styles.ndim != 2 or not styles.is_floating_point() or not styles.isfinite().all():
            raise DataError(f"{self.path}: damaged file of styles (expected finite (K, D))")
        return styles[None].float(), record

    def styles(
        self,
        generator: Generator,
        *,
        label: Tensor | None = None,
        truncation: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> Tensor:
        """(1, K, D) styles on the model's device; `label` is ignored, the styles have theirs.

        Raises:
            DataError: as `read`.
            UsageError: if the model has other numbers of styles, or styles of another width.
        """
        styles, _ = self.read()
        expected = (generator.num_styles, generator.mapping.average.shape[-1])
        if tuple(styles.shape[1:]) != expected:
            given = "x".join(map(str, styles.shape[1:]))
            raise UsageError(
                f"{self.path} holds {given} styles, this model takes "
                f"{'x'.join(map(str, expected))}: use the model they were found with"
            )
        average = generator.mapping.average
        return generator.truncate(
            styles.to(average), truncation=truncation, truncation_cutoff=truncation_cutoff
        )


def slerp(z0: Tensor, z1: Tensor, t: float) -> Tensor:
    """Latents on the great circle from `z0` (t = 0) to `z1` (t = 1), row by row.

    The direction turns at a constant rate along the shorter way, the length changes linearly. So
    what lies between two standard normal latents is as long as they are, which the straight line's
    middle is not. Between opposite directions any way is shortest; one is chosen that depends on
    z0 alone. A row of zeros has no direction: there it is the straight line.

    Args:
        z0, z1: (B, Z) of one floating-point type.
        t: place on the circle; below 0 and above 1 it continues beyond the ends.
    Returns:
        (B, Z) of the same type; computed in float64.
    Raises:
        UsageError: for other or different shapes.
    Example:
        >>> east, north = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> [round(x, 3) for x in slerp(east, north, 1 / 3)[0].tolist()]
        [0.866, 0.5]
    """
    if z0.ndim != 2 or z0.shape != z1.shape:
        shapes = f"{tuple(z0.shape)} and {tuple(z1.shape)}"
        raise UsageError(f"latents of shapes {shapes}: expected one (B, Z)")
    a, b = z0.double(), z1.double()
    lengths = a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True)
    u, v = _directed(a, lengths[0]), _directed(b, lengths[1])
    # Exact near 0 and pi, unlike the arc cosine.
    angle = 2 * torch.atan2((u - v).norm(dim=1, keepdim=True), (u + v).norm(dim=1, keepdim=True))
    aside = _perpendicular(u, v - (u * v).sum(1, keepdim=True) * u, angle)
    turned = u * (t * angle).cos() + aside * (t * angle).sin()
    straight = torch.lerp(a, b, t)
    directed = (lengths[0] > 0) & (lengths[1] > 0) & (angle > _PARALLEL)
    return torch.where(directed, turned * torch.lerp(*lengths, t), straight).to(z0.dtype)


def _directed(x: Tensor, length: Tensor) -> Tensor:
    """`x` (B, Z) divided by its length (B, 1); zeros stay zeros."""
    return x / length.clamp(min=torch.finfo(x.dtype).tiny)


def _perpendicular(u: Tensor, aside: Tensor, angle: Tensor) -> Tensor:
    """Unit vectors along `aside`; a fixed one at right angles to `u` where the angle is pi."""
    rarest = torch.zeros_like(u).scatter_(1, u.abs().argmin(1, keepdim=True), 1.0)
    chosen = rarest - (u * rarest).sum(1, keepdim=True) * u
    aside = torch.where(angle > math.pi - _PARALLEL, chosen, aside)
    return _directed(aside, aside.norm(dim=1, keepdim=True))


def parse_layers(text: str) -> list[int]:
    """Layers of `4`, `4-8` or `0-3,7`, in order, each once.

    Raises:
        UsageError: for anything else, or a range that runs backwards.
    Example:
        >>> parse_layers("0-3,7,2")
        [0, 1, 2, 3, 7]
    """
    layers: list[int] = []
    for word in text.split(","):
        match = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", word)
        if not match or int(match[2] or match[1]) < int(match[1]):
            raise UsageError(f"layers {text!r}: expected numbers and ranges such as 0-3,7")
        layers += range(int(match[1]), int(match[2] or match[1]) + 1)
    return list(dict.fromkeys(layers))


def mix_styles(base: Tensor, other: Tensor, layers: str) -> Tensor:
    """Styles of `base`, with those of some layers taken from `other` (StyleGAN, section 3.1).

    Args:
        base, other: (B, K, D) styles of one model.
        layers: ranges of 0 .. K - 1 such as "4-8,10"; the first layers set the coarse shape.
    Returns:
        (B, K, D), a new tensor.
    Raises:
        UsageError: for different shapes, malformed ranges or a layer the model does not have.
    """
    if base.ndim != 3 or base.shape != other.shape:
        raise UsageError(
            f"styles of shapes {tuple(base.shape)} and {tuple(other.shape)}: expected one (B, K, D)"
        )
    indices = parse_layers(layers)
    if max(indices) >= base.shape[1]:
        raise UsageError(f"layers {layers!r}: this model has the layers 0 to {base.shape[1] - 1}")
    mixed = base.clone()
    mixed[:, indices] = other[:, indices]
    return mixed


@dataclass(frozen=True)
class Walk:
    """A point on a way through seeds, in films through files of styles and recipes too.

    Args:
        seeds: integers 0 .. 2**32 - 1, files or recipes, at least one.
        position: 0 .. len(seeds) - 1, counted in seeds; 1.4 lies 40 % of the way from the second
            to the third.
        space: "w": straight lines between styles; "z": great circles between latents. One seed is
            the same in both and always says "w".
    Raises:
        UsageError: for no seeds, a seed out of range, a position off the way, or a great circle
            between files.
    """

    seeds: tuple[Stop, ...]
    position: float = 0.0
    space: Space = "w"

    def __post_init__(self) -> None:
        if not self.seeds:
            raise UsageError("no seeds given: expected at least one")
        for seed in self.seeds:
            if isinstance(seed, StyleFile | Recipe):
                if self.space == "z":
                    raise UsageError(f"{seed} is no latent: expected space w, straight lines")
            else:
                checked_seed(seed)
        if not 0 <= self.position <= len(self.seeds) - 1:  # also refuses NaN
            raise UsageError(
                f"position {self.position} on a way through {len(self.seeds)} seeds: "
                f"expected 0 to {len(self.seeds) - 1}"
            )
        if len(self.seeds) == 1:
            object.__setattr__(self, "space", "w")  # so that equal places are equal

    def __str__(self) -> str:
        way = JOINTS[self.space].join(map(str, self.seeds))
        return way if len(self.seeds) == 1 else f"{way}@{number_text(self.position)}"

    def styles(
        self,
        generator: Generator,
        *,
        label: Tensor | None = None,
        truncation: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> Tensor:
        """(1, K, D) styles here, at a seed exactly that seed's; arguments as `styles_of`."""
        first = math.floor(self.position)
        t = self.position - first
        how: Any = {"truncation": truncation, "truncation_cutoff": truncation_cutoff}
        stops = self.seeds[first : first + (2 if t else 1)]
        if t and self.space == "z":
            z = latents([stop for stop in stops if isinstance(stop, int)], generator)
            if label is not None:  # so that all between them is of the class too
                z = generator.of_class(z, label.expand(len(z), *label.shape[1:]))
            return generator.map(slerp(z[:1], z[1:], t), label, **how)
        ends = [
            stop.styles(generator, label=label, **how)
            if isinstance(stop, StyleFile | Recipe)
            else generator.map(latents([stop], generator), label, **how)
            for stop in stops
        ]
        return torch.lerp(ends[0], ends[-1], t)


@dataclass(frozen=True)
class Recipe:
    """Some styles, with layers replaced by those of walks; `str` gives its text form.

    Args:
        base: where all layers come from at first; a file only if `parse_recipes` made it.
        mixes: (walk, layers) pairs, applied in order; layers as in `mix_styles`.
    Raises:
        UsageError: for malformed layers.
    """

    base: Walk | StyleFile
    mixes: tuple[tuple[Walk, str], ...] = ()

    def __post_init__(self) -> None:
        for _, layers in self.mixes:
            parse_layers(layers)

    def __str__(self) -> str:
        return "+".join([str(self.base), *(f"{walk}:{layers}" for walk, layers in self.mixes)])

    @property
    def walks(self) -> tuple[Walk, ...]:
        """The walks it is made of, the first one left out where it begins with a file."""
        first = () if isinstance(self.base, StyleFile) else (self.base,)
        return *first, *(walk for walk, _ in self.mixes)

    @property
    def drawn(self) -> bool:
        """Whether any of it is drawn by a seed, and so needs a class where the model has some."""
        stops = [stop for walk in self.walks for stop in walk.seeds]
        return any(
            stop.drawn if isinstance(stop, Recipe) else isinstance(stop, int) for stop in stops
        )

    @property
    def file(self) -> StyleFile | None:
        """The file it begins with, if any."""
        return self.base if isinstance(self.base, StyleFile) else None

    def styles(
        self,
        generator: Generator,
        *,
        label: Tensor | None = None,
        truncation: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> Tensor:
        """(1, K, D) styles; arguments and errors as `styles_of`."""
        how: Any = {
            "label": label,
            "truncation": truncation,
            "truncation_cutoff": truncation_cutoff,
        }
        styles = self.base.styles(generator, **how)
        for walk, layers in self.mixes:
            styles = mix_styles(styles, walk.styles(generator, **how), layers)
        return styles


Stop = int | StyleFile | Recipe
"""A place that a way leads through: a seed, a file of styles, or what recipes make of them."""


def file_of(stop: Stop) -> StyleFile | None:
    """The file that a place of a way is read from, if any."""
    return stop.file if isinstance(stop, Recipe) else stop if isinstance(stop, StyleFile) else None


def parse_styles(text: str) -> Recipe:
    """Parse a recipe such as `7`, `7..12@0.4` or `7+12:4-8`.

    The head of this module has the grammar; `str(parse_styles(text))` is the text again. Files are
    refused here: addresses come from untrusted clients.

    Raises:
        UsageError: for anything else; names the invalid part.
    Example:
        >>> parse_styles("7..12@0.4").base
        Walk(seeds=(7, 12), position=0.4, space='w')
        >>> str(parse_styles("7+12~3@0.5:4-8,10"))
        '7+12~3@0.5:4-8,10'
    """
    base, *others = text.split("+")
    return Recipe(_walk(base, text), _mixes(others, text))


def parse_recipes(text: str) -> tuple[Recipe, ...]:
    """The recipes of a text such as `7/12/3+7:0-2`, for pictures of several styles.

    Unlike `parse_styles` it accepts files of styles; none is opened yet.

    Raises:
        UsageError: as `parse_styles`.
    Example:
        >>> [str(recipe) for recipe in parse_recipes("7/12..3@0.5")]
        ['7', '12..3@0.5']
        >>> [str(recipe) for recipe in parse_recipes("found/face.safetensors+3:0-2/12")]
        ['found/face.safetensors+3:0-2', '12']
    """
    if SUFFIX not in text:
        return tuple(parse_styles(part) for part in text.split("/"))
    recipes: list[Recipe] = []
    held: list[str] = []  # the beginning of a path, whose folders "/" parts too
    for part in text.split("/"):
        path, file, mixes = part.partition(SUFFIX)
        if file and (not mixes or mixes.startswith("+")):
            name = "/".join([*held, path + file])
            recipes.append(Recipe(StyleFile(name), _mixes(mixes.split("+")[1:], text)))
            held = []
        elif held or not re.match(r"\d+(?:[+.~@]|$)", part):
            held.append(part)
        else:
            recipes.append(parse_styles(part))
    if held:
        raise UsageError(f"styles {text!r}: {'/'.join(held)!r} is neither a walk nor a file")
    return tuple(recipes)


def parse_way(text: str) -> tuple[Stop, ...]:
    """The places of a way such as `face.safetensors..7..found/other.safetensors`.

    Recipes are joined by "/" as in pictures of several: `7+12:4-8/face.safetensors/3..5@0.5`.

    Raises:
        UsageError: for what is neither, and for fewer than two places.
    """
    stops: list[Stop] = []
    rest = text.strip()
    while match := _STOP.match(rest):
        stops.append(int(match[1]) if match[1] else StyleFile(match[2]))
        rest = rest[match.end() :]
    if rest or len(stops) < 2:
        stops = list(parse_recipes(text)) if "/" in text else []
    if len(stops) < 2:
        raise UsageError(
            f"way {text!r}: expected seeds and files that end with {SUFFIX}, joined by .., as "
            f"a{SUFFIX}..7..b{SUFFIX}, or recipes joined by /, as 7+12:4-8/3"
        )
    return tuple(stops)


def styles_of(
    text: str | Recipe,
    generator: Generator,
    *,
    label: Tensor | None = None,
    truncation: float = 1.0,
    truncation_cutoff: int | None = None,
) -> Tensor:
    """The styles of a recipe or its text.

    Args:
        text: see `parse_styles`.
        generator: the model.
        label: (1,) class index or (1, label_dim) one-hot row, for class-conditional models.
        truncation: 1 keeps the styles, 0 gives the average picture.
        truncation_cutoff: truncate only this many leading styles; all by default.
    Returns:
        (1, K, D) styles on the model's device.
    Raises:
        UsageError: for a malformed text or layers that the model does not have.
        LabelError: if the label is missing, unexpected or unknown.
        DataError: for a file that holds no styles.
    """
    recipe = parse_styles(text) if isinstance(text, str) else text
    return recipe.styles(
        generator, label=label, truncation=truncation, truncation_cutoff=truncation_cutoff
    )


@dataclass(frozen=True)
class SeedPath:
    """A way through several seeds, for films and scrolling: a recipe for each moment.

    Args:
        seeds: integers 0 .. 2**32 - 1, or files of styles, at least one.
        closed: the way leads from the last seed back to the first, without a jump.
        space: as in `Walk`.
    Raises:
        UsageError: as `Walk`.
    """

    seeds: tuple[Stop, ...]
    closed: bool = False
    space: Space = "w"

    def __post_init__(self) -> None:
        Walk(self.seeds, space=self.space)

    def at(self, share: float) -> Recipe:
        """The recipe at a share of the way; each leg between two seeds takes the same share.

        0 is the first seed, 1 the end: the last seed, or the first again on a closed way, where
        shares continue round after round, also below 0.

        Raises:
            UsageError: for a share off an open way, or one that is not finite.
        Example:
            >>> [str(SeedPath((7, 12, 3), closed=True).at(k / 6)) for k in (0, 1, 5)]
            ['7', '7..12@0.5', '3..7@0.5']
        """
        if not math.isfinite(share) or not (self.closed or 0 <= share <= 1):
            raise UsageError(f"share {share} of a way: expected 0 to 1")
        back = self.seeds[:1] if self.closed and len(self.seeds) > 1 else ()
        stops = self.seeds + back
        # Rounded, so that thirds of a way meet their seeds and texts stay short.
        place = round((share % 1 if self.closed else share) * (len(stops) - 1), 9)
        leg = math.floor(place)
        if place == leg:
            return Recipe(Walk(stops[leg : leg + 1]))
        return Recipe(Walk(stops[leg : leg + 2], round(place - leg, 9), self.space))

    def steps(self, count: int) -> list[Recipe]:
        """`count` recipes, evenly spaced.

        An open way has both ends; a closed one ends a step before its beginning, so that a film of
        it can loop.

        Raises:
            UsageError: if count is below 1.
        """
        if count < 1:
            raise UsageError(f"{count} steps: expected at least 1")
        whole = count if self.closed else max(count - 1, 1)
        return [self.at(step / whole) for step in range(count)]


def _mixes(parts: list[str], text: str) -> tuple[tuple[Walk, str], ...]:
    """The (walk, layers) of the parts of a text behind a "+"."""
    mixes = []
    for part in parts:
        way, colon, layers = part.partition(":")
        if not colon:
            raise UsageError(f"styles {text!r}: {part!r} names no layers, expected {part}:4-8")
        mixes.append((_walk(way, text), layers))
    return tuple(mixes)


def _walk(way: str, text: str) -> Walk:
    """The walk of one part of a text."""
    match = _WALK.fullmatch(way)
    if not match:
        raise UsageError(
            f"styles {text!r}: invalid walk {way!r}, expected SEED..SEED@0.4 or SEED~SEED@0.4"
        )
    space: Space = "z" if "~" in match[1] else "w"
    seeds = tuple(int(seed) for seed in match[1].split(JOINTS[space]))
    if (len(seeds) == 1) != (match[2] is None):
        raise UsageError(
            f"styles {text!r}: {way!r} expected "
            + ("no position, it has one seed" if len(seeds) == 1 else f"a position as in {way}@0.5")
        )
    return Walk(seeds, float(match[2] or 0), space)
