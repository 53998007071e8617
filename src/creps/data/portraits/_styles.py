"""The styles of portraits: the default, and others for transfer learning, by other hands.

As in the ToonHead set (`_art`), skin, hair, clothes and background take colors from
continuous ranges, and the figure is scaled, shifted, turned or mirrored a little. The parts are as
their artists drew them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from creps.data.portraits._art import (
    CANVAS,
    HAIR,
    SKIN,
    background,
    between,
    hexadecimal,
    hsv,
    optional,
    placed,
    toon_head_svg,
)
from creps.errors import ConfigError, GridError, nearest

if TYPE_CHECKING:
    from numpy.random import Generator

DEFAULT_STYLE = "toon-head"
"""The style of the packaged model."""


@dataclass(frozen=True, kw_only=True)
class PortraitStyle:
    """A style of drawing.

    Attributes:
        title, artist: what is remixed, and whose it is.
        source: where the original lies.
        license, license_url: of the original.
        canvas: side of the art in its own units.
        modified: what differs from the original, as the license asks to say.
    """

    title: str
    artist: str
    source: str
    license: str
    license_url: str
    canvas: int
    modified: str

    @property
    def credit(self) -> str:
        """The credit in one line."""
        return (
            f"Portraits: a remix of {self.title} by {self.artist}, {self.license}, "
            "drawn with DiceBear."
        )

    @property
    def attribution(self) -> str:
        """The text that travels with the pictures."""
        return f"""\
These portraits are a remix of {self.title} by {self.artist}
    {self.source}
licensed under {_LICENSES[self.license]} ({self.license})
    {self.license_url}
as packaged by DiceBear (https://www.dicebear.com; its code is under the MIT licence).

What was modified: {self.modified}

Whoever passes these pictures on, or a model trained on them, passes on this credit as well.
"""


_BY, _ZERO = "CC BY 4.0", "CC0 1.0"
_LICENSES = {
    _BY: "Creative Commons Attribution 4.0 International",
    _ZERO: "Creative Commons Zero 1.0 Universal",
}
_BY_URL = "https://creativecommons.org/licenses/by/4.0/"
_ZERO_URL = "https://creativecommons.org/publicdomain/zero/1.0/"
_RECOLORED = """\
colors of skin, hair, clothes and background are drawn from continuous
ranges; the whole figure is scaled, shifted, turned or mirrored."""

STYLES: dict[str, PortraitStyle] = {
    "toon-head": PortraitStyle(
        title="ToonHead",
        artist="Johan Melin",
        source="https://www.figma.com/community/file/1589627891082866389",
        license=_BY,
        license_url=_BY_URL,
        canvas=CANVAS,
        modified="""\
colors of skin, hair, clothes and background are drawn from continuous ranges;
eyes have colored irises, pupils and highlights; cheeks have blush; eyes, eyebrows, mouth and hair
vary in size, place and angle; the whole figure is scaled, shifted, turned or mirrored.""",
    ),
    "micah": PortraitStyle(
        title="Avatar Illustration System",
        artist="Micah Lanier",
        source="https://www.figma.com/community/file/829741575478342595",
        license=_BY,
        license_url=_BY_URL,
        canvas=360,
        modified=_RECOLORED,
    ),
    "personas": PortraitStyle(
        title="Personas by Draftbit",
        artist="Draftbit",
        source="https://personas.draftbit.com/",
        license=_BY,
        license_url=_BY_URL,
        canvas=64,
        modified=_RECOLORED,
    ),
    "open-peeps": PortraitStyle(
        title="Open Peeps",
        artist="Pablo Stanley",
        source="https://www.openpeeps.com/",
        license=_ZERO,
        license_url=_ZERO_URL,
        canvas=704,
        modified=_RECOLORED,
    ),
    "adventurer": PortraitStyle(
        title="Adventurer",
        artist="Lisa Wischofsky",
        source="https://www.figma.com/community/file/1184595184137881796",
        license=_BY,
        license_url=_BY_URL,
        canvas=762,
        modified=_RECOLORED,
    ),
}
"""Styles by name: the first is the default, the others are for transfer learning."""


def portrait_style(name: str) -> PortraitStyle:
    """The style of a name; a ConfigError for an unknown one."""
    if name not in STYLES:
        raise ConfigError(f"unknown portrait style {name!r}: {nearest(name, STYLES)}")
    return STYLES[name]


def portrait_svg(index: int, seed: int = 0, *, style: str = DEFAULT_STYLE) -> str:
    """The SVG text of a portrait, its license and credit included.

    Args:
        index: which portrait, >= 0.
        seed: which family of portraits, >= 0.
        style: one of `STYLES`.
    Raises:
        GridError: for a negative index or seed.
        ConfigError: for an unknown style.
        MissingExtraError: if the packages of the `data` extra are missing.
    """
    if index < 0 or seed < 0:
        raise GridError(f"portrait {index} of seed {seed}: both must be at least 0")
    portrait_style(style)
    if style == DEFAULT_STYLE:
        return toon_head_svg(index, seed)
    return remix_svg(style, index, seed)


Options = dict[str, Any]
"""What DiceBear is asked to draw."""


def remix_svg(style: str, index: int, seed: int) -> str:
    """The SVG text of a portrait in one of the styles of `REMIXES`, license and credit included."""
    dicebear = optional("dicebear")
    draw = np.random.default_rng((seed, index))
    options = {"seed": f"{seed}-{index}", **background(draw), **REMIXES[style](draw)}
    svg: str = dicebear.Avatar(_style(style), options).to_string()
    return svg


@cache
def _style(name: str) -> Any:
    dicebear = optional("dicebear")
    optional("dicebear_styles")
    text = files("dicebear_styles").joinpath(f"{name}.json").read_text("utf-8")
    return dicebear.Style(json.loads(text))


def _micah(draw: Generator) -> Options:
    hair = _hair(draw)
    return placed(1.0, 1.1, low=0, high=2) | {
        "baseColor": hexadecimal(between(draw, SKIN)),
        "hairColor": hair,
        "facialHairColor": hair,
        "eyebrowsColor": hexadecimal(between(draw, HAIR[:3])),
        "shirtColor": _cloth(draw),
        "earringColor": _cloth(draw),
        "glassesColor": _cloth(draw),
        "eyeShadowColor": _cloth(draw),
        "facialHairProbability": 15,
    }


def _personas(draw: Generator) -> Options:
    hair = _hair(draw)
    return placed(1.02, 1.16, low=-1, high=2) | {
        "skinColor": hexadecimal(between(draw, SKIN)),
        "hairColor": hair,
        "facialHairColor": hair,
        "clothingColor": _cloth(draw),
        "facialHairProbability": 20,
    }


def _open_peeps(draw: Generator) -> Options:
    return placed(0.84, 0.94, low=2, high=6) | {
        "skinColor": hexadecimal(between(draw, SKIN)),
        "headContrastColor": _hair(draw),
        "clothingColor": _cloth(draw),
        "facialHairProbability": 15,
        "maskProbability": 0,
        # Without bears, cyclopes and monsters: people.
        "headVariant": list(_all_but("open-peeps", "head", "bear")),
        "expressionVariant": list(
            _all_but("open-peeps", "expression", "cyclops", "monster", "hectic")
        ),
    }


def _adventurer(draw: Generator) -> Options:
    return placed(0.92, 1.04, low=-1, high=3) | {
        "skinColor": hexadecimal(between(draw, SKIN)),
        "hairColor": _hair(draw),
        "eyesColor": hexadecimal(between(draw, HAIR[:4])),
    }


REMIXES: dict[str, Callable[[Generator], Options]] = {
    "micah": _micah,
    "personas": _personas,
    "open-peeps": _open_peeps,
    "adventurer": _adventurer,
}
"""What varies, and how, by style."""


def _hair(draw: Generator) -> str:
    if draw.uniform() < 0.15:  # now and then dyed
        return hexadecimal(hsv(draw.uniform(), draw.uniform(0.3, 0.7), draw.uniform(0.4, 0.95)))
    return hexadecimal(between(draw, HAIR))


def _cloth(draw: Generator) -> str:
    return hexadecimal(hsv(draw.uniform(), draw.uniform(0.2, 0.8), draw.uniform(0.35, 0.98)))


@cache
def _all_but(style: str, part: str, *names: str) -> tuple[str, ...]:
    """The variants of a part of a style, some left out."""
    text = files("dicebear_styles").joinpath(f"{style}.json").read_text("utf-8")
    return tuple(n for n in json.loads(text)["components"][part]["variants"] if n not in names)
