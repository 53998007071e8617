"""Portraits in the ToonHead style as vector art: the SVG text of the picture of an index.

The drawings are a remix of the ToonHead avatars by Johan Melin (CC BY 4.0) as packaged by DiceBear.
Here skin, hair, clothes, irises, blush and background take colors from continuous ranges, and
the parts of the face move, turn and grow a little, so that no two portraits are alike.
"""

from __future__ import annotations

import colorsys
import json
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from creps.errors import MissingExtraError

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Color = NDArray[np.float64]  # (3,) red, green, blue in 0..255, unclipped

# Colors of drawn people: ramps that are mixed continuously.


SKIN = (
    (255, 224, 196),
    (245, 205, 170),
    (236, 185, 142),
    (214, 155, 110),
    (190, 126, 84),
    (158, 100, 66),
    (122, 76, 50),
    (92, 56, 41),
)
HAIR = (
    (28, 22, 24),
    (58, 38, 30),
    (92, 58, 38),
    (132, 82, 46),
    (165, 87, 40),
    (196, 120, 60),
    (214, 179, 112),
    (232, 216, 180),
    (190, 190, 196),
)


def between(draw: Generator, stops: Sequence[tuple[int, int, int]]) -> Color:
    """A color somewhere along a ramp of colors, with a little noise."""
    place = draw.uniform(0, len(stops) - 1)
    first = min(int(place), len(stops) - 2)
    part = place - first
    mixed: Color = (1 - part) * np.array(stops[first]) + part * np.array(stops[first + 1])
    return mixed + draw.normal(0.0, 6.0, size=3)


def hsv(hue: float, saturation: float, value: float) -> Color:
    """The color of a hue (in turns, any number), saturation and value."""
    return 255 * np.array(colorsys.hsv_to_rgb(hue % 1, min(1.0, saturation), value))


def hexadecimal(color: Color) -> str:
    """A color as SVG writes it, clipped and rounded down: "#e0a382"."""
    red, green, blue = (int(part) for part in np.clip(color, 0, 255))
    return f"#{red:02x}{green:02x}{blue:02x}"


ART_VERSION = 1
"""Raised whenever the same index would give another picture."""

CANVAS = 768
"""Side of the art in its own units."""

_IRIS = (
    (74, 46, 36),
    (104, 64, 40),
    (136, 92, 48),
    (118, 122, 70),
    (72, 128, 98),
    (74, 124, 150),
    (84, 112, 168),
    (128, 138, 152),
)
_BLUSH = np.array((228.0, 84.0, 72.0))

# How far each part may stray: factors of size, degrees, and percent of the part's own box.
_PLAY: dict[str, dict[str, Any]] = {
    "eyes": {"scale": (0.88, 1.14), "translate": {"y": (-10, 8)}},
    "eyebrows": {"scale": (0.9, 1.1), "rotate": (-4, 4), "translate": {"y": (-8, 8)}},
    "mouth": {
        "scale": (0.85, 1.3),
        "rotate": (-4, 4),
        "translate": {"x": (-4, 4), "y": (-14, 12)},
    },
    "hair": {"scale": (0.98, 1.06)},
    "rearHair": {"scale": (0.92, 1.1)},
}


def background(draw: Generator) -> dict[str, Any]:
    """Two colors near each other, as DiceBear is asked to draw them."""
    hue, saturation, value = draw.uniform(), draw.uniform(0.14, 0.42), draw.uniform(0.78, 0.98)
    near = hsv(hue, saturation, value)
    far = hsv(hue + draw.uniform(-0.12, 0.12), 1.4 * saturation, 0.8 * value)
    return {
        "backgroundColor": [hexadecimal(near), hexadecimal(far)],
        "backgroundColorFill": "linear",
        "backgroundColorOrder": "fixed",
        "backgroundColorAngle": [0, 360],
    }


def placed(smallest: float, largest: float, *, low: float, high: float) -> dict[str, Any]:
    """How the figure lies: sizes as factors, heights in percent of the canvas, downwards."""
    return {
        "scale": [smallest, largest],
        "translateX": [-3, 3],
        "translateY": [low, high],
        "rotate": [-4, 4],
        "flip": ["none", "horizontal"],
    }


def toon_head_svg(index: int, seed: int) -> str:
    """The SVG text of a portrait, its license and credit included; both numbers >= 0."""
    dicebear = optional("dicebear")
    svg: str = dicebear.Avatar(toon_head_style(), toon_head_options(index, seed)).to_string()
    return svg


def toon_head_options(index: int, seed: int) -> dict[str, Any]:
    """What DiceBear is asked to draw: colors and placement of one portrait."""
    draw = np.random.default_rng((seed, index))
    skin = between(draw, SKIN)
    hair = between(draw, HAIR)
    if draw.uniform() < 0.12:  # now and then dyed
        hair = hsv(draw.uniform(), draw.uniform(0.35, 0.75), draw.uniform(0.4, 0.95))
    behind = background(draw)
    clothes = hsv(draw.uniform(), draw.uniform(0.2, 0.8), draw.uniform(0.3, 0.98))
    return {
        "seed": f"{seed}-{index}",
        "skinColor": hexadecimal(skin),
        "hairColor": hexadecimal(hair),
        "clothesColor": hexadecimal(clothes),
        "irisColor": hexadecimal(between(draw, _IRIS)),
        "blushColor": hexadecimal(skin + draw.uniform(0.0, 0.3) * (_BLUSH - skin)),
        "beardProbability": 25,
        **behind,
        # A little smaller and lower than the original, so that hair fits in.
        **placed(0.96, 1.12, low=3, high=7),
    }


@lru_cache(maxsize=1)
def toon_head_style() -> Any:
    """The ToonHead style with moving parts, colored irises and blush."""
    dicebear = optional("dicebear")
    optional("dicebear_styles")
    art = json.loads(files("dicebear_styles").joinpath("toon-head.json").read_text("utf-8"))
    parts = art["components"]
    for name, play in _PLAY.items():
        parts[name] |= _ranges(play)
    for eyes in parts["eyes"]["variants"].values():
        eyes["elements"] = [
            layer
            for element in eyes["elements"]
            for layer in ([element, *_iris(element)] if element["name"] == "circle" else [element])
        ]
    parts["head"]["variants"]["head"]["elements"] += [_cheek(98.0), _cheek(296.95)]
    for name in ("iris", "blush"):  # the value of portraits drawn without these options
        art["colors"][name] = {"notEqualTo": [], "values": ["#4b2422"]}
    return dicebear.Style(art)


def _iris(eyeball: dict[str, Any]) -> list[dict[str, Any]]:
    """Iris, pupil and highlight on the plain dark circle of an eye (radius 27)."""
    place = eyeball["attributes"]
    x, y = float(place["cx"]), float(place["cy"])
    # The other eye is drawn mirrored; its highlight moves back to where the light comes from.
    light = 8.0 if "transform" in place else -8.0
    return [
        _disc(place, (x, y), 20.0, {"type": "color", "name": "iris"}),
        _disc(place, (x, y), 11.5, "#2A1614"),
        _disc(place, (x + light, y - 9.0), 6.5, "#FBF8F0"),
    ]


def _disc(
    like: dict[str, Any], center: tuple[float, float], radius: float, fill: Any
) -> dict[str, Any]:
    """A circle in the place (and with the transform) of another one."""
    attributes = dict(like, cx=f"{center[0]:g}", cy=f"{center[1]:g}", r=f"{radius:g}", fill=fill)
    return {"name": "circle", "type": "element", "attributes": attributes}


def _cheek(x: float) -> dict[str, Any]:
    fill = {"type": "color", "name": "blush"}
    attributes = {"cx": f"{x:g}", "cy": "322", "rx": "31", "ry": "19", "fill": fill}
    return {"name": "ellipse", "type": "element", "attributes": attributes}


def _ranges(play: Any) -> Any:
    """(low, high) pairs as DiceBear writes them."""
    if isinstance(play, dict):
        return {name: _ranges(value) for name, value in play.items()}
    return {"min": play[0], "max": play[1]}


def optional(name: str) -> Any:
    """A package of the `data` extra, or a MissingExtraError that says how to install it."""
    try:
        return import_module(name)
    except ImportError:
        raise MissingExtraError("drawing portraits", "data") from None
