"""`creps video ...`: films of a model: zoom, pan, rotate, interpolate, warp."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from creps.cli._options import (
    ComputeDevice,
    Dtype,
    Exact,
    parse_point,
    parse_seeds,
    parse_size,
    parse_supersample,
    parse_window,
    takes,
)
from creps.cli._progress import FULL, report
from creps.errors import CrepsError, UsageError

if TYPE_CHECKING:
    from creps.coordinates import Window
    from creps.networks.base import Generator
    from creps.rendering._painter import Picture
    from creps.rendering._renderer import Renderer
    from creps.rendering._styles import Recipe
    from creps.rendering.video._files import Film
    from creps.rendering.video._motion import Motion, Shot
    from creps.rendering.warps import Warp

# What the commands of `creps video` share: options, checks before the first frame, the bar.


DEFAULT_SECONDS = 4.0


class Space(StrEnum):
    """What `--space` takes."""

    w = "w"
    z = "z"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What every film is asked for with; `films` makes these fields options of its commands."""

    out: Annotated[
        Path,
        typer.Option(help="Film to write: .mp4, .webm, .gif; no suffix: a folder of PNG frames."),
    ]
    model: Annotated[str, typer.Option(help="A packaged model, a folder or a file.")] = "portraits"
    size: Annotated[str, typer.Option(help="Pixels: 512, or HEIGHTxWIDTH as 720x1280.")] = "512"
    seconds: Annotated[
        float | None, typer.Option(help="How long it lasts.", show_default=f"{DEFAULT_SECONDS:g}")
    ] = None
    fps: Annotated[float, typer.Option(help="Frames a second.")] = 30
    frames: Annotated[int | None, typer.Option(help="How many frames, instead of --seconds.")] = (
        None
    )
    easing: Annotated[
        str | None,
        typer.Option(
            help="linear, smoothstep, cosine, or cruise: soft ends only.",
            show_default="cruise for zoom, linear for rotate and interpolate, else smoothstep",
        ),
    ] = None
    loop: Annotated[
        bool,
        typer.Option("--loop", help="The last frame leads to the first: round, or to and fro."),
    ] = False
    truncation: Annotated[
        float, typer.Option(help="1: as drawn; towards 0: closer to the average picture.")
    ] = 1.0
    label: Annotated[
        int | None, typer.Option("--class", help="Class index, for class-conditional models.")
    ] = None
    supersample: Annotated[
        str,
        typer.Option(
            help="Average NxN samples a pixel; auto: as many as keep fine detail from shimmering."
        ),
    ] = "auto"
    crf: Annotated[
        int | None,
        typer.Option(help="Quality, the lower the better.", show_default="mp4 18, webm 24"),
    ] = None
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace a film that is there, or frames of another."),
    ] = False
    device: ComputeDevice = None
    dtype: Dtype = None
    exact: Exact = False

    @property
    def pixels(self) -> tuple[int, int]:
        """(height, width)."""
        return parse_size(self.size)

    def window(self, text: str | None) -> Window:
        """The window of a text; by default the unit square in the shape of the frames."""
        from creps.coordinates import undistorted_window

        if text is not None:
            return parse_window(text)
        return undistorted_window(*self.pixels)

    def film(self) -> Film:
        """The file to write; refuses options that make no sense."""
        from creps.rendering.video._files import Film

        parse_supersample(self.supersample)
        if self.frames is not None and self.seconds is not None:
            raise UsageError("--frames and --seconds given: expected one of them")
        seconds = DEFAULT_SECONDS if self.seconds is None else self.seconds
        if not (math.isfinite(seconds * self.fps) and seconds > 0):
            raise UsageError(
                f"{seconds:g} s at {self.fps:g} frames a second: expected finite times"
            )
        count = max(round(seconds * self.fps), 1) if self.frames is None else self.frames
        return Film(
            path=self.out, count=count, fps=self.fps, crf=self.crf, overwrite=self.overwrite
        )


films = takes(Order)
"""Of a command: the fields of `Order` as options in place of its first parameter."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What is filmed.

    Attributes:
        motion: what is seen when.
        easing: by default.
        seeds: one, or those that the film leads through.
        space: how it leads there.
        bend: a warp, in words.
    """

    motion: Motion
    easing: str
    seeds: tuple[int, ...]
    space: Space = Space.w
    bend: str | None = None


def shoot(order: Order, scene: Scene) -> None:
    """Check everything, load the model, render, write, and say where it is."""
    import torch

    from creps.rendering._renderer import Renderer
    from creps.rendering._styles import SeedPath, styles_of
    from creps.rendering.video._camera import render_shot
    from creps.rendering.video._motion import parse_easing, shots

    started = time.perf_counter()
    film = order.film()
    film.refuse_existing()
    easing = parse_easing(order.easing or scene.easing)
    script = shots(scene.motion, count=film.count, easing=easing, loop=order.loop)
    path = SeedPath(scene.seeds, closed=order.loop, space=scene.space.value)
    warp = _parse_warp(scene.bend)
    size = order.pixels
    _refuse(order, film, script, size)
    from creps.checkpoints import load

    generator = load(order.model)
    label = None if order.label is None else torch.tensor([order.label])

    @functools.lru_cache(maxsize=1)  # frames of one latent share its lines and tables
    @torch.inference_mode()
    def renderer(recipe: Recipe) -> Renderer:
        styles = styles_of(recipe, generator, label=label, truncation=order.truncation)
        return Renderer(generator, styles=styles, device=order.device, dtype=order.dtype)

    def frame(index: int) -> Picture:
        shot = script[index]
        return render_shot(
            renderer(path.at(shot.position)),
            shot,
            size=size,
            warp=warp,
            supersample=parse_supersample(order.supersample),
            exact=order.exact,
        )

    renderer(path.at(script[0].position))  # refuses what is none before anything is written
    rendered = _write(film, frame, size=size, settings=_settings(order, scene, generator))
    kept = film.count - rendered
    typer.echo(
        f"{film.path}: {film.count} frames of {size[0]}x{size[1]}"
        f"{f', {kept} of them were there' if kept else ''}, {time.perf_counter() - started:.1f} s"
    )


def _parse_warp(text: str | None) -> Warp | None:
    """The warp of a text, if there is one."""
    if text is None:
        return None
    from creps.rendering.warps import parse_warp

    return parse_warp(text)


def _refuse(order: Order, film: Film, script: list[Shot], size: tuple[int, int]) -> None:
    """Refuse frames that cannot be rendered or written, before any is made."""
    from creps.rendering._view import RenderRequest, refuse_beyond_memory, refuse_beyond_precision

    film.refuse_size(*size)
    for shot in script:
        RenderRequest(size=size, window=shot.window, truncation=order.truncation)
        refuse_beyond_precision(shot.window, *size)
    refuse_beyond_memory(*size)


def _settings(order: Order, scene: Scene, generator: Generator) -> dict[str, Any]:
    """What changes the pixels of a film; a render goes on only where all of it is the same."""
    from importlib.metadata import version

    from creps.checkpoints import weights_id

    settings = {
        "creps": version("creps"),
        "model": order.model,
        "weights": weights_id(generator),
        "seeds": list(scene.seeds),
        "space": scene.space.value if len(scene.seeds) > 1 else None,
        "class": order.label,
        "truncation": order.truncation,
        "motion": {"kind": type(scene.motion).__name__.lower(), **vars(scene.motion)},
        "warp": scene.bend,
        "easing": order.easing or scene.easing,
        "loop": order.loop,
        "supersample": parse_supersample(order.supersample),
        "exact": order.exact or None,
        "dtype": order.dtype,
        "credits": generator.record.get("credits"),
    }
    return {name: value for name, value in settings.items() if value is not None}


def _write(
    film: Film,
    frame: Callable[[int], Picture],
    *,
    size: tuple[int, int],
    settings: dict[str, Any],
) -> int:
    """`write_video` behind a bar; Ctrl-C is one line that says what is kept."""
    from creps.rendering.video._files import write_video

    with report("rendering", unit="frames", per_unit=1) as told:

        def show(done: int, count: int) -> None:
            told(done, count)
            told.describe("rendering" if done < count else "encoding")

        try:
            return write_video(film, frame, size=size, settings=settings, progress=show)
        except KeyboardInterrupt:
            stop = "interrupted"
        except OSError as error:
            if error.errno not in FULL:
                raise
            stop = f"{error.filename}: {error.strerror}"
    raise CrepsError(
        f"{stop}: {round(told.share * film.count)} of {film.count} frames are in "
        f"{film.frames_path}, the same command goes on"
    )


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
    from creps.rendering.video._motion import Pan, Zoom

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
    from creps.rendering.video._motion import Pan, window_about

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
    from creps.rendering.video._motion import Rotate

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
    from creps.rendering.video._motion import Interpolate

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
    from creps.rendering.video._motion import Distort

    motion = Distort(order.window(window))
    shoot(order, Scene(motion=motion, easing="smoothstep", seeds=(seed,), bend=bend))


COMMANDS = (zoom, pan, rotate, interpolate, warp)
"""The subcommands of `creps video`."""
