"""What is known exactly of a drawn portrait: which drawing each part is, colors, places.

Nobody labels these pictures: DiceBear says what it chose, and how it placed it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from creps.data.portraits._art import CANVAS, optional, toon_head_options, toon_head_style
from creps.errors import GridError

NONE = "none"
"""The drawing of a part that a portrait does not have: no beard, no hair behind the head."""

DRAWINGS: Mapping[str, tuple[str, ...]] = {
    "hair": ("bun", "sideComed", "spiky", "undercut"),
    "rearHair": (NONE, "longStraight", "longWavy", "neckHigh", "shoulderHigh"),
    "eyes": ("bow", "happy", "humble", "wide", "wink"),
    "eyebrows": ("angry", "happy", "neutral", "raised", "sad"),
    "mouth": ("agape", "angry", "laugh", "sad", "smile"),
    "beard": (NONE, "chin", "chinMoustache", "fullBeard", "longBeard", "moustacheTwirl"),
    "clothes": ("dress", "openJacket", "shirt", "tShirt", "turtleNeck"),
}
"""The parts that are drawn in several ways, and their drawings, by DiceBear's names."""

COLORED = ("skin", "hair", "clothes", "iris", "near", "far")
"""What has a color of its own; near and far are the two ends of the background."""

PLACED = ("eyes", "eyebrows", "mouth")
"""Parts that move on the face."""

# Upper left corner and half of the size of each of these parts, in units of the art.
_BOXES = {
    "eyes": ((253.0, 367.0), (130.575, 36.735)),
    "eyebrows": ((265.82, 287.36), (118.915, 46.975)),
    "mouth": ((326.0, 487.0), (58.5, 26.0)),
}


class Placement(NamedTuple):
    """Where a part lies in the picture.

    Attributes:
        y, x: its middle, in plane units.
        scale: how large it is, 1 as the artist drew it.
        angle: clockwise, in degrees.
    """

    y: float
    x: float
    scale: float
    angle: float


class PortraitTruth(NamedTuple):
    """What is known of a portrait.

    Attributes:
        drawings: which of `DRAWINGS` each part is: {"hair": "bun", "beard": "none", ...}.
        colors: of `COLORED`, (red, green, blue), 0 to 255; closed eyes have no iris.
        places: of the parts that move (`PLACED`).
        mirrored: whether the figure is drawn mirrored.
    """

    drawings: dict[str, str]
    colors: dict[str, tuple[int, int, int]]
    places: dict[str, Placement]
    mirrored: bool


def portrait_truth(index: int, seed: int = 0) -> PortraitTruth:
    """What is known of a portrait of the default style (ToonHead), without drawing pixels.

    Args:
        index: which portrait, >= 0.
        seed: which family of portraits, >= 0.
    Raises:
        GridError: for a negative index or seed.
        MissingExtraError: if the packages of the `data` extra are missing.
    Example:
        >>> portrait_truth(3).drawings["mouth"]
        'sad'
    """
    if index < 0 or seed < 0:
        raise GridError(f"portrait {index} of seed {seed}: both must be at least 0")
    avatar = optional("dicebear").Avatar(toon_head_style(), toon_head_options(index, seed))
    chosen = avatar.to_json()["options"]
    drawn = [name for name in COLORED[:4] if f"{name}Color" in chosen]
    colors = {name: _rgb(chosen[f"{name}Color"][0]) for name in drawn}
    near, far = map(_rgb, chosen["backgroundColor"])
    return PortraitTruth(
        drawings={part: chosen.get(f"{part}Variant") or NONE for part in DRAWINGS},
        colors=colors | {"near": near, "far": far},
        places={part: _placement(part, chosen) for part in PLACED},
        mirrored=chosen["flip"] == "horizontal",
    )


def _rgb(text: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return red, green, blue


def _placement(part: str, chosen: Mapping[str, Any]) -> Placement:
    """The middle of a part: moved on the face, then scaled, mirrored, turned, shifted with it."""
    (left, top), (half_width, half_height) = _BOXES[part]
    # Shifts are in percent: of the part's own box, and of the canvas.
    x = left + half_width * (1 + chosen[f"{part}TranslateX"] / 50) - CANVAS / 2
    y = top + half_height * (1 + chosen[f"{part}TranslateY"] / 50) - CANVAS / 2
    side = -1 if chosen["flip"] == "horizontal" else 1
    x, y = side * chosen["scale"] * x, chosen["scale"] * y
    turn = math.radians(chosen["rotate"])
    x, y = x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)
    return Placement(
        y=0.5 + y / CANVAS + chosen["translateY"] / 100,
        x=0.5 + x / CANVAS + chosen["translateX"] / 100,
        scale=chosen["scale"] * chosen[f"{part}Scale"],
        angle=chosen["rotate"] + side * chosen[f"{part}Rotate"],
    )
