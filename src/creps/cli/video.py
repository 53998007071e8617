"""`creps video ...`: films of a model: zoom, pan, rotate, interpolate, warp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from creps.cli.filming import Order, Scene, Space, films, shoot
from creps.cli.parsing import parse_point, parse_seeds, parse_window
from creps.errors import UsageError

if TYPE_CHECKING:
    from creps.rendering.film.motion import Motion

DEFAULT_OCTAVES = 3.0
WHOLE = "0,0,1,1, widened to keep its shape"

Seed = Annotated[int, typer.Option(help="The picture to film.")]
View = Annotated[
    str | None,
    typer.Option(help="Y0,X0,Y1,X1 that is seen.", show_default=WHOLE),
]
FirstView = Annotated[
    str | None,
    typer.Option(help="Y0,X0,Y1,X1 seen first.", show_default=WHOLE),
]
LastView = Annotated[str | None, typer.Option(help="Y0,X0,Y1,X1 seen last.")]


@films
def zoom(
    order: Order,
    *,
    seed: Seed = 7,
    octaves: Annotated[
        float | None,
        typer.Option(
            help="Doublings of the scale; below 0 zooms out.",
            show_default=f"{DEFAULT_OCTAVES:g}",
        ),
    ] = None,
    focus: Annotated[
        str | None,
        typer.Option(help="Y,X that stays where it is.", show_default="the middle of the window"),
    ] = None,
    from_window: FirstView = None,
    to_window: LastView = None,
) -> None:
    """Zoom into a picture, exactly and at constant speed, through as many octaves as you like."""
    from creps.rendering.film.motion import Pan, Zoom

    start = order.window(from_window)
    motion: Motion
    if to_window is None:
        middle = (start[0] + start[2]) / 2, (start[1] + start[3]) / 2
        about = middle if focus is None else parse_point(focus, "focus")
        motion = Zoom(start, about, DEFAULT_OCTAVES if octaves is None else octaves)
    elif octaves is not None or focus is not None:
        raise UsageError("--to-window says where the zoom ends: leave --octaves and --focus out")
    else:
        motion = Pan(start, parse_window(to_window))
    shoot(order, Scene(motion=motion, easing="cruise", seeds=(seed,)))


@films
def pan(
    order: Order,
    *,
    seed: Seed = 7,
    from_window: FirstView = None,
    to_window: LastView = None,
    to: Annotated[
        str | None, typer.Option(help="Y,X in the middle at last, instead of --to-window.")
    ] = None,
) -> None:
    """Move over a picture from one window to another."""
    from creps.rendering.film.motion import Pan, window_about

    start = order.window(from_window)
    if (to is None) == (to_window is None):
        raise UsageError("where does the pan end? expected either --to Y,X or --to-window")
    end = order.window(to_window) if to is None else window_about(start, parse_point(to, "to"))
    shoot(order, Scene(motion=Pan(start, end), easing="smoothstep", seeds=(seed,)))


@films
def rotate(
    order: Order,
    *,
    seed: Seed = 7,
    degrees: Annotated[
        float, typer.Option(help="The whole turn, anticlockwise; below 0 clockwise.")
    ] = 360,
    window: View = None,
) -> None:
    """Turn a picture about the middle of the window."""
    from creps.rendering.film.motion import Rotate

    motion = Rotate(order.window(window), degrees)
    shoot(order, Scene(motion=motion, easing="linear", seeds=(seed,)))


@films
def interpolate(
    order: Order,
    *,
    seeds: Annotated[str, typer.Option(help="Seeds to go through, such as 0-3,12.")] = "0-3",
    space: Annotated[
        Space, typer.Option(help="w: straight between styles; z: great circles between latents.")
    ] = Space.w,
    window: View = None,
) -> None:
    """Change one picture into the next, through several seeds; each leg is eased by itself."""
    from creps.rendering.film.motion import Interpolate

    way = tuple(parse_seeds(seeds))
    motion = Interpolate(order.window(window), len(way), back=order.loop)
    shoot(order, Scene(motion=motion, easing="linear", seeds=way, space=space))


@films
def warp(
    order: Order,
    *,
    bend: Annotated[str, typer.Option("--warp", help="The warp, as in render: barrel:0.3.")],
    seed: Seed = 7,
    window: View = None,
) -> None:
    """Bend a picture, from as it is to the whole warp."""
    from creps.rendering.film.motion import Distort

    motion = Distort(order.window(window))
    shoot(order, Scene(motion=motion, easing="smoothstep", seeds=(seed,), bend=bend))


COMMANDS = (zoom, pan, rotate, interpolate, warp)
"""The subcommands of `creps video`."""
