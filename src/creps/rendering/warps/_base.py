"""What a warp is: a map from places of the output picture to places of the plane, with a text form.

Every warp is named for what it does to the picture, and computes the opposite: where to sample. A
place's image must depend on that place alone, to the last bit, so that tiles meet exactly. So warps
use only operations that round alike in tensors of any shape: additions, products, quotients, square
roots, sines. Reductions and torch.atan2 do not (see `angle_of`).
"""

from __future__ import annotations

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, Self, TypeVar, get_type_hints

import torch
from torch import Tensor

from creps.coordinates import Window
from creps.errors import GridError, UsageError
from creps.rendering._words import parameters_text, parse_parameters, usage_text

Axes = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Warp(ABC):
    """A geometric change of the picture (CREPS, section 4.6), as the inverse map.

    Warps are frozen, comparable and checked when made. `str(warp)` is the text that `parse_warp`
    turns into an equal warp.

    Raises:
        GridError: from every kind, for parameters that are not finite numbers of their range.
    """

    name: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Make plain numbers of number fields; refuse anything else in them."""
        hints = get_type_hints(type(self))
        for field in fields(self):
            kind = hints[field.name]
            if kind in (float, int):
                value = getattr(self, field.name)
                object.__setattr__(self, field.name, self._number(value, field.name, kind))

    @abstractmethod
    def __call__(self, points: Tensor) -> Tensor:
        """Where to sample the plane.

        Args:
            points: (..., 2) float64 places (y, x) of the output picture, in plane units.
        Returns:
            (..., 2) float64 places (y, x) of the plane; NaN where nothing is to be seen.
        """

    def axes(self, ys: Tensor, xs: Tensor) -> Axes | None:
        """The warped (rows, columns) of an axis-aligned grid where they stay aligned; else None."""
        return None

    def over(self, window: Window) -> Warp:
        """This warp for a picture of a window; only maps without their own window differ."""
        return self

    def _require(self, holds: bool, given: str, *, expected: str) -> None:
        """Refuse what a parameter was `given` unless it `holds`."""
        if not holds:
            raise GridError(f"warp {self.name}, {given}: expected {expected}")

    @classmethod
    def from_text(cls, text: str) -> Self:
        """A warp of its parameters, such as `30` or `30,x=0.2`: in order first, then by name."""
        return cls(**parse_parameters(text, cls._defaults(), f"warp {cls.name}", cls.usage()))

    @classmethod
    def usage(cls) -> str:
        """How to write this warp: `rotate:DEGREES,y=0.5,x=0.5`; defaults may be left out."""
        return usage_text(cls.name, cls._defaults())

    def __str__(self) -> str:
        defaults = self._defaults()
        return parameters_text(self.name, {key: getattr(self, key) for key in defaults}, defaults)

    @classmethod
    def _defaults(cls) -> dict[str, float | None]:
        return {f.name: None if f.default is MISSING else f.default for f in fields(cls)}

    @classmethod
    def _misuse(cls, problem: str) -> UsageError:
        return UsageError(f"warp {cls.name}: {problem}; write {cls.usage()}")

    @classmethod
    def _number(cls, value: Any, name: str, kind: type) -> float:
        try:
            number = operator.index(value) if kind is int else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if isinstance(value, bool | str) or not math.isfinite(number):
            wanted = "a whole number" if kind is int else "a finite number"
            raise GridError(f"warp {cls.name}, {name} {value!r}: expected {wanted}")
        return number


W = TypeVar("W", bound=type[Warp])
_KINDS: dict[str, type[Warp]] = {}


def register_warp(name: str) -> Callable[[W], W]:
    """Class decorator: makes a kind of warp known to the text form under `name`."""

    def register(kind: W) -> W:
        kind.name = name
        _KINDS[name] = kind
        return kind

    return register


def warp_kinds() -> dict[str, type[Warp]]:
    """The known kinds of warps by name, in alphabetical order."""
    return dict(sorted(_KINDS.items()))


def cosine_sine(degrees: float) -> tuple[float, float]:
    """Cosine and sine of an angle, exact at multiples of 90 degrees.

    Example:
        >>> cosine_sine(-270)
        (0.0, 1.0)
    """
    turn = math.fmod(degrees, 360)
    if turn % 90 == 0:
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(turn // 90) % 4]
    return math.cos(math.radians(turn)), math.sin(math.radians(turn))


def angle_of(y: Tensor, x: Tensor) -> Tensor:
    """The angle of (y, x) in radians, in [-pi, pi]: atan2, the same to the last bit in any tensor.

    torch.atan2 rounds the last few elements of a tensor by another code path than the rest (about
    one place in a hundred differs in the last bit), and a place would depend on its tile.
    """
    y, x = y + 0.0, x + 0.0  # -0.0 becomes 0.0
    half_turn = torch.full_like(y, math.pi).copysign(y)
    angle = torch.atan(y / x) + torch.where(x < 0, half_turn, 0.0)
    return torch.where((x == 0) & (y == 0), 0.0, angle)
