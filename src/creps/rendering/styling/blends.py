"""How several styles share a picture, in words.

The text form is that of warps: a name, a colon, and parameters in order or by name:

    gradient:angle=0,softness=1,start=0,stop=1      one after the other along a direction
    radial:inner=0.2,outer=0.5,y=0.5,x=0.5,softness=1       rings, the first style inside
    stripes:width=0.25,angle=0,softness=0.5         over and over
    mask:FILE,y0=0,x0=0,y1=1,x1=1                   a gray picture or .npy: black is the first style
    panorama:overlap=0.5                            unit squares side by side
    ring:overlap=0.5                                a panorama whose right border meets its left one
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from creps.errors import UsageError, nearest
from creps.rendering.styling.style_fields import StyleField, panorama
from creps.rendering.styling.style_weights import (
    Gradient,
    Radial,
    Stripes,
    Weights,
    load_mask,
)
from creps.rendering.warps.base import format_number

BLENDS: dict[str, dict[str, float]] = {
    "gradient": {"angle": 0.0, "softness": 1.0, "start": 0.0, "stop": 1.0},
    "radial": {"inner": 0.2, "outer": 0.5, "y": 0.5, "x": 0.5, "softness": 1.0},
    "stripes": {"width": 0.25, "angle": 0.0, "softness": 0.5},
    "mask": {"y0": 0.0, "x0": 0.0, "y1": 1.0, "x1": 1.0},
    "panorama": {"overlap": 0.5},
    "ring": {"overlap": 0.5},
}
"""Kinds of blends, with their numbers in order and by default."""

SIDE_BY_SIDE = ("panorama", "ring")
"""Blends whose styles have a unit square each."""


@dataclass(frozen=True)
class Blend:
    """One of `BLENDS`; `str` gives its text form. Made by `parse_blend`.

    Attributes:
        name: its kind.
        numbers: all its parameters.
        file: the mask, for masks.
    """

    name: str
    numbers: Mapping[str, float]
    file: str | None = None

    def across(self, count: int) -> int:
        """Unit squares side by side that `count` styles need."""
        return count if self.name in SIDE_BY_SIDE else 1

    def field(self, styles: Tensor) -> StyleField:
        """The styles (M, K, D), sharing the plane in this way.

        Raises:
            UsageError: for numbers out of range, or a mask for another number of styles.
            DataError: for a mask that cannot be read.
        """
        n = self.numbers
        if self.name in SIDE_BY_SIDE:
            return panorama(styles, overlap=n["overlap"], closed=self.name == "ring")
        return StyleField(styles, self._weights(len(styles)))

    def check(self, count: int) -> None:
        """Raise what `field` would raise for so many styles, before a model is there.

        Raises:
            UsageError, DataError: as `field`; also where one style has nobody to share with.
        """
        if count < 2 and self.name != "ring":
            raise UsageError(
                f"blend {self.name} of one style: give several, such as --styles 7/12/3"
            )
        if self.name in SIDE_BY_SIDE:
            Gradient(count + 1, softness=self.numbers["overlap"])
        else:
            self._weights(count)

    @property
    def fingerprint(self) -> str | None:
        """Of the mask's bytes: its name does not tell whether it was painted over."""
        if self.file is None:
            return None
        return hashlib.sha256(Path(self.file).read_bytes()).hexdigest()[:16]

    def __str__(self) -> str:
        words = [] if self.file is None else [self.file]
        for name, default in BLENDS[self.name].items():
            if self.numbers[name] != default:
                words.append(f"{name}={format_number(self.numbers[name])}")
        return f"{self.name}:{','.join(words)}" if words else self.name

    def _weights(self, count: int) -> Weights:
        n = self.numbers
        if self.name == "gradient":
            return Gradient(count, n["start"], n["stop"], n["angle"], n["softness"])
        if self.name == "radial":
            return Radial(count, n["inner"], n["outer"], (n["y"], n["x"]), n["softness"])
        if self.name == "stripes":
            return Stripes(count, n["width"], n["angle"], n["softness"])
        assert self.file is not None
        window = (n["y0"], n["x0"], n["y1"], n["x1"])
        if not (window[0] < window[2] and window[1] < window[3]):
            raise UsageError(f"blend {self}: expected y0 < y1 and x0 < x1")
        return load_mask(self.file, count, window=window)


def parse_blend(text: str) -> Blend:
    """The blend that a text such as `gradient:90` or `radial:inner=0.1,outer=0.3` stands for.

    The head of this module has the grammar.

    Raises:
        UsageError: for unknown names or parameters, and for numbers that are none.
    Example:
        >>> str(parse_blend("gradient:90,softness=0.5")), parse_blend("ring").across(3)
        ('gradient:angle=90,softness=0.5', 3)
    """
    name, _, parameters = text.strip().partition(":")
    if name not in BLENDS:
        raise UsageError(f"unknown blend {name!r}: {nearest(name, BLENDS)}")
    defaults = BLENDS[name]
    words = parameters.split(",") if parameters.strip() else []
    file = words.pop(0).strip() if name == "mask" and words else None
    if name == "mask" and not file:
        raise UsageError("blend mask: which? write mask:FILE, a gray picture or a .npy array")
    numbers: dict[str, float] = {}
    for place, word in enumerate(words):
        key, named, value = (part.strip() for part in word.rpartition("="))
        if not named:
            key = list(defaults)[place] if place < len(defaults) else ""
        if key not in defaults or key in numbers:
            raise UsageError(f"blend {name}, {word!r}: expected {_usage(name)}")
        try:
            numbers[key] = float(value)
        except ValueError:
            numbers[key] = math.nan
        if not math.isfinite(numbers[key]):
            raise UsageError(f"blend {name}, {word!r}: expected {_usage(name)}")
    return Blend(name, {**defaults, **numbers}, file)


def _usage(name: str) -> str:
    """How to write a blend."""
    words = [f"{key}={format_number(value)}" for key, value in BLENDS[name].items()]
    return f"{name}:{','.join((['FILE'] if name == 'mask' else []) + words)}"
