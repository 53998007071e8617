"""The camera: one shot of a motion to one picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from creps.coordinates import Window
from creps.rendering._painter import Picture
from creps.rendering._renderer import Renderer
from creps.rendering._view import Samples
from creps.rendering.video._motion import Shot
from creps.rendering.warps import Chain, Rotate, Swirl, Warp, chain


@dataclass(frozen=True)
class Blend(Warp):
    """A part of another warp: every point goes straight towards where the whole would take it.

    It has no text form.

    Args:
        whole: the other warp.
        amount: 0 changes nothing, 1 is the whole, both exactly.
    """

    whole: Warp
    amount: float

    def __call__(self, points: Tensor) -> Tensor:
        return (1 - self.amount) * points + self.amount * self.whole(points)

    def over(self, window: Window) -> Warp:
        return Blend(self.whole.over(window), self.amount)


def render_shot(
    renderer: Renderer,
    shot: Shot,
    *,
    size: tuple[int, int],
    warp: Warp | None = None,
    supersample: Samples = 1,
    exact: bool = False,
) -> Picture:
    """The picture of one shot.

    Args:
        renderer: of the styles; the same one for all shots of one latent saves most of the work.
        shot: what is seen.
        size: (height, width) in pixels.
        warp: what `shot.amount` is an amount of.
        supersample, exact: as for `render`.
    Returns:
        (H, W, C) uint8.
    Raises:
        GridError: for sizes or windows that cannot be rendered.
    """
    return renderer.picture(
        size=size,
        window=shot.window,
        warp=shot_warp(shot, warp),
        supersample=supersample,
        exact=exact,
    )


def partly(warp: Warp, amount: float) -> Warp:
    """A part of a warp, for films in which it grows.

    What turns, turns by less; of all others, a user's own map included, every point goes a part of
    the straight way (which would squeeze a turning picture). Warps that follow one another grow
    together.

    Args:
        warp: the whole.
        amount: 0 changes nothing, 1 is the whole, both exactly.
    Example:
        >>> str(partly(Rotate(90), 0.5))
        'rotate:45'
    """
    if isinstance(warp, Chain):
        return chain(*(partly(part, amount) for part in warp.warps))
    if isinstance(warp, Rotate | Swirl):
        return replace(warp, degrees=amount * warp.degrees)
    return Blend(warp, amount)


def shot_warp(shot: Shot, warp: Warp | None = None) -> Warp | None:
    """How a shot changes the picture of its window: bent first, then turned about the middle.

    Args:
        shot: its rotation, and its amount of the warp.
        warp: the whole warp.
    Returns:
        one warp; None if the picture is as it is.
    """
    changes: list[Warp] = []
    if warp is not None and shot.amount:
        changes.append(partly(warp, shot.amount))
    if shot.degrees % 360:
        y0, x0, y1, x1 = shot.window
        changes.append(Rotate(shot.degrees, (y0 + y1) / 2, (x0 + x1) / 2))
    return chain(*changes) if changes else None
