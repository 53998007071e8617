"""Other styles of portraits, for transfer learning: the same kind of picture by other hands.

As in the ToonHead set (`portrait_art`), skin, hair, clothes and background take colours from
continuous ranges, and the figure is scaled, shifted, turned or mirrored a little. The parts are as
their artists drew them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from creps.data.portraiture.art import optional
from creps.data.portraiture.colours import HAIR, SKIN, between, hexadecimal, hsv

if TYPE_CHECKING:
    from numpy.random import Generator

Options = dict[str, Any]
"""What DiceBear is asked to draw."""


def remix_svg(style: str, index: int, seed: int) -> str:
    """The SVG text of a portrait in one of the styles of `REMIXES`, licence and credit included.

    Raises:
        MissingExtraError: if the packages of the `data` extra are missing.
    """
    dicebear = optional("dicebear")
    draw = np.random.default_rng((seed, index))
    options = {"seed": f"{seed}-{index}", **_background(draw), **REMIXES[style](draw)}
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
    return _placed(1.0, 1.1, low=0, high=2) | {
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
    return _placed(1.02, 1.16, low=-1, high=2) | {
        "skinColor": hexadecimal(between(draw, SKIN)),
        "hairColor": hair,
        "facialHairColor": hair,
        "clothingColor": _cloth(draw),
        "facialHairProbability": 20,
    }


def _open_peeps(draw: Generator) -> Options:
    return _placed(0.84, 0.94, low=2, high=6) | {
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
    return _placed(0.92, 1.04, low=-1, high=3) | {
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


def _background(draw: Generator) -> Options:
    hue, saturation, value = draw.uniform(), draw.uniform(0.14, 0.42), draw.uniform(0.78, 0.98)
    near = hsv(hue, saturation, value)
    far = hsv(hue + draw.uniform(-0.12, 0.12), 1.4 * saturation, 0.8 * value)
    return {
        "backgroundColor": [hexadecimal(near), hexadecimal(far)],
        "backgroundColorFill": "linear",
        "backgroundColorOrder": "fixed",
        "backgroundColorAngle": [0, 360],
    }


def _placed(smallest: float, largest: float, *, low: float, high: float) -> Options:
    """How the figure lies: sizes as factors, heights in percent of the canvas, downwards."""
    return {
        "scale": [smallest, largest],
        "translateX": [-3, 3],
        "translateY": [low, high],
        "rotate": [-4, 4],
        "flip": ["none", "horizontal"],
    }


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
