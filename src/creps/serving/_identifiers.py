"""Identifiers: which picture a URL names, `MODEL[@PIN]:RECIPE[;OPTION]...`.

    portraits:7                      seed 7
    portraits:7;t=0.7                the same, truncated
    portraits:7..12@0.4              40 % of the way from seed 7 to seed 12
    portraits:7+12:4-8;t=0.7         with the styles of layers 4 to 8 of seed 12
    portraits@1a2b3c4d:7             these very pixels: what it names never changes

RECIPE is one recipe of `rendering._styles`. Options: `t` truncation, `k` leading styles that
are truncated, `c` class, `w=Y0,X0,Y1,X1` the window of the plane that is the whole picture, `by` a
filter that enlarges the model's native picture, for comparison.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import quote

from creps.coordinates import WHOLE_PLANE, Window
from creps.errors import UsageError
from creps.rendering._latents import Latent
from creps.rendering._styles import Recipe, parse_styles
from creps.rendering._view import View
from creps.rendering._words import Fields, number_text, numbers_text, parse_fields, parse_window

LONGEST = 400
"""Characters of an identifier."""
MOST_PARTS = 32
"""Seeds and mixes of one recipe, together."""
STRONGEST_TRUNCATION = 4.0
NARROWEST = 1000
"""Largest aspect ratio of a window, either way."""

FILTERS = ("nearest", "bicubic", "lanczos")
"""What can enlarge a native picture."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a model may be called in an address."""

_WHOLE = re.compile(rf"({NAME.pattern})(?:@([0-9a-f]{{8}}))?:([^;]*)((?:;[^;]*)*)")


@dataclass(frozen=True, kw_only=True)
class PictureId:
    """A picture of a model, as an address names it; `str` gives the canonical form.

    Attributes:
        model: its name.
        recipe: whose styles.
        pin: 8 hexadecimal digits of weights, precision and code, if the address has them.
        truncation, cutoff, label: of the styles.
        window: of the plane, that is the whole picture.
        by: a filter of FILTERS that enlarges the native picture; None: drawn at any size.
    """

    model: str
    recipe: Recipe
    pin: str | None = None
    truncation: float = 1.0
    cutoff: int | None = None
    label: int | None = None
    window: Window = WHOLE_PLANE
    by: str | None = None

    def __str__(self) -> str:
        pin = "" if self.pin is None else f"@{self.pin}"
        given = {
            "t": None if self.truncation == 1 else number_text(self.truncation),
            "k": self.cutoff,
            "c": self.label,
            "w": None if self.window == WHOLE_PLANE else numbers_text(self.window),
            "by": self.by,
        }
        options = "".join(f";{name}={value}" for name, value in given.items() if value is not None)
        return f"{self.model}{pin}:{self.recipe}{options}"

    @property
    def in_url(self) -> str:
        """The identifier as one segment of a path."""
        return quote(str(self), safe=":@,+~=")

    @property
    def latent(self) -> Latent:
        """Whose styles it has."""
        return Latent(
            styles=self.recipe,
            label=self.label,
            truncation=self.truncation,
            truncation_cutoff=self.cutoff,
        )

    @property
    def content(self) -> PictureId:
        """The picture without pin and window, which change no pixel of a view of it."""
        return replace(self, pin=None, window=WHOLE_PLANE)


def parse_identifier(text: str) -> PictureId:
    """The picture that an identifier names.

    Raises:
        UsageError: for anything else; names the invalid part.
    Example:
        >>> str(parse_identifier("portraits:07;by=lanczos;t=0.70"))
        'portraits:7;t=0.7;by=lanczos'
    """
    match = _WHOLE.fullmatch(text) if len(text) <= LONGEST and text.isascii() else None
    if match is None:
        raise UsageError(
            f"picture {text[:80]!r}: expected MODEL:RECIPE with options, such as portraits:7 or "
            "portraits:7..12@0.4;t=0.7"
        )
    recipe = parse_styles(match[3])
    if sum(len(walk.seeds) for walk in recipe.walks) > MOST_PARTS:
        raise UsageError(f"picture {text[:80]!r}: more than {MOST_PARTS} seeds")
    picture = PictureId(
        model=match[1],
        pin=match[2],
        recipe=recipe,
        **parse_fields(map(_parted, match[4].split(";")[1:]), _OPTIONS, where=text),
    )
    View(window=picture.window)  # refuses what is empty or too far out
    y0, x0, y1, x1 = picture.window
    if not 1 / NARROWEST <= (x1 - x0) / (y1 - y0) <= NARROWEST:
        raise UsageError(f"window {picture.window}: one side is over {NARROWEST} times the other")
    return picture


def _parted(option: str) -> tuple[str, str]:
    name, _, value = option.partition("=")
    return name, value


def number(text: str, what: str) -> float:
    """A finite number; `what` is what errors call it."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{what} {text[:40]!r}: expected a finite number")
    return value


def whole_number(text: str, what: str) -> int:
    """A number of up to nine digits; `what` is what errors call it."""
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise UsageError(f"{what} {text[:40]!r}: expected a whole number")
    return int(text)


def _truncation(text: str) -> float:
    value = number(text, "truncation")
    if abs(value) > STRONGEST_TRUNCATION:
        raise UsageError(
            f"truncation {text}: expected -{STRONGEST_TRUNCATION:g} to {STRONGEST_TRUNCATION:g}"
        )
    return value


def _filter(text: str) -> str:
    if text not in FILTERS:
        raise UsageError(f"filter {text[:40]!r}: expected {' or '.join(FILTERS)}")
    return text


_OPTIONS: Fields = {
    "t": ("truncation", _truncation),
    "k": ("cutoff", partial(whole_number, what="truncation cutoff")),
    "c": ("label", partial(whole_number, what="class")),
    "w": ("window", parse_window),
    "by": ("by", _filter),
}
