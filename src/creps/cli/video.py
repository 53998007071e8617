"""`creps video ...`: films of a model: zoom, pan, rotate, interpolate, warp."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from creps.cli.parsing import parse_seeds, parse_size, parse_window
from creps.errors import CrepsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress

    from creps.networks.base import Generator
    from creps.rendering.camera import PointMap
    from creps.rendering.motion import Motion, Point, Shot, Window
    from creps.rendering.renderer import Picture
    from creps.rendering.styles import SeedPath
    from creps.rendering.video import Film

DEFAULT_SECONDS = 4.0
DEFAULT_OCTAVES = 3.0
INTERRUPTED = 130
"""The exit code of Ctrl-C."""


class Space(StrEnum):
    """What `--space` takes."""

    w = "w"
    z = "z"


Out = Annotated[
    Path,
    typer.Option(help="Film to write: .mp4, .webm, .gif; without a suffix a folder of PNG frames."),
]
Model = Annotated[str, typer.Option(help="A packaged model, a folder or a file.")]
Seed = Annotated[int, typer.Option(help="The picture to film.")]
Size = Annotated[
    str | None,
    typer.Option(help="Pixels: 512, or HEIGHTxWIDTH as 720x1280.  [default: the model's own]"),
]
Seconds = Annotated[float | None, typer.Option(help="How long it lasts.  [default: 4]")]
Fps = Annotated[float, typer.Option(help="Frames a second.")]
Frames = Annotated[int | None, typer.Option(help="How many frames, instead of --seconds.")]
EasingName = Annotated[
    str, typer.Option("--easing", help="linear, smoothstep, cosine, or cruise: soft ends only.")
]
Loop = Annotated[
    bool, typer.Option("--loop", help="The last frame leads back to the first: round, or to and fro.")
]
FromWindow = Annotated[
    str | None,
    typer.Option(help="Y0,X0,Y1,X1 seen first.  [default: 0,0,1,1, widened to keep its shape]"),
]
ToWindow = Annotated[str | None, typer.Option(help="Y0,X0,Y1,X1 seen last.")]
View = Annotated[
    str | None,
    typer.Option("--window", help="Y0,X0,Y1,X1 that is seen.  [default: as in generate]"),
]
Truncation = Annotated[
    float, typer.Option(help="1: as drawn; towards 0: closer to the average picture.")
]
Label = Annotated[
    int | None, typer.Option("--class", help="Class index, for class-conditional models.")
]
Supersample = Annotated[
    int, typer.Option(help="Pixels are means of NxN samples: less shimmer where details are small.")
]
Crf = Annotated[
    int | None,
    typer.Option(help="Quality of mp4 and webm, the lower the better.  [default: 18, webm 24]"),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace a film that is there, and frames of another.")
]


@dataclass(frozen=True, kw_only=True)
class _Order:
    """What every kind of film is asked for with, as it was typed."""

    out: Path
    model: str
    size: str | None
    seconds: float | None
    fps: float
    frames: int | None
    easing: str
    loop: bool
    truncation: float
    label: int | None
    supersample: int
    crf: int | None
    overwrite: bool

    @property
    def pixels(self) -> tuple[int, int] | None:
        """(height, width), or None for the model's own resolution, which is square."""
        return None if self.size is None else parse_size(self.size)

    def window(self, text: str | None) -> Window:
        """The window of a text; by default the unit square in the shape of the frames."""
        from creps.coordinates import undistorted_window

        return parse_window(text) if text is not None else undistorted_window(*self.pixels or (1, 1))

    def film(self) -> Film:
        """The file to write; refuses what makes no sense of it."""
        from creps.rendering.video import Film

        if self.frames is not None and self.seconds is not None:
            raise UsageError("--frames and --seconds given: expected one of them")
        seconds = DEFAULT_SECONDS if self.seconds is None else self.seconds
        if not (math.isfinite(seconds * self.fps) and seconds > 0):
            raise UsageError(f"{seconds:g} s at {self.fps:g} frames a second: expected finite times")
        count = max(round(seconds * self.fps), 1) if self.frames is None else self.frames
        return Film(
            path=self.out, count=count, fps=self.fps, crf=self.crf, overwrite=self.overwrite
        )


def zoom(
    *,
    out: Out,
    model: Model = "portraits",
    seed: Seed = 7,
    octaves: Annotated[
        float | None,
        typer.Option(help="Doublings of the scale; below 0 zooms out.  [default: 3]"),
    ] = None,
    focus: Annotated[
        str | None, typer.Option(help="Y,X that stays where it is.  [default: the middle]")
    ] = None,
    from_window: FromWindow = None,
    to_window: ToWindow = None,
    size: Size = None,
    seconds: Seconds = None,
    fps: Fps = 30,
    frames: Frames = None,
    easing: EasingName = "cruise",
    loop: Loop = False,
    truncation: Truncation = 1.0,
    label: Label = None,
    supersample: Supersample = 1,
    crf: Crf = None,
    overwrite: Overwrite = False,
) -> None:
    """Zoom into a picture, exactly and at constant speed, through as many octaves as you like."""
    from creps.rendering.motion import Motion, Pan, Zoom

    order = _Order(
        out=out, model=model, size=size, seconds=seconds, fps=fps, frames=frames, easing=easing,
        loop=loop, truncation=truncation, label=label, supersample=supersample, crf=crf,
        overwrite=overwrite,
    )  # fmt: skip
    start = order.window(from_window)
    motion: Motion
    if to_window is None:
        middle = (start[0] + start[2]) / 2, (start[1] + start[3]) / 2
        about = middle if focus is None else _parse_point(focus, "focus")
        motion = Zoom(start, about, DEFAULT_OCTAVES if octaves is None else octaves)
    elif octaves is not None or focus is not None:
        raise UsageError("--to-window says where the zoom ends: leave --octaves and --focus out")
    else:
        motion = Pan(start, parse_window(to_window))
    _shoot(order, motion, seeds=(seed,))


def pan(
    *,
    out: Out,
    model: Model = "portraits",
    seed: Seed = 7,
    from_window: FromWindow = None,
    to_window: ToWindow = None,
    to: Annotated[
        str | None, typer.Option(help="Y,X in the middle at last, instead of --to-window.")
    ] = None,
    size: Size = None,
    seconds: Seconds = None,
    fps: Fps = 30,
    frames: Frames = None,
    easing: EasingName = "smoothstep",
    loop: Loop = False,
    truncation: Truncation = 1.0,
    label: Label = None,
    supersample: Supersample = 1,
    crf: Crf = None,
    overwrite: Overwrite = False,
) -> None:
    """Move over a picture from one window to another."""
    from creps.rendering.motion import Pan, window_about

    order = _Order(
        out=out, model=model, size=size, seconds=seconds, fps=fps, frames=frames, easing=easing,
        loop=loop, truncation=truncation, label=label, supersample=supersample, crf=crf,
        overwrite=overwrite,
    )  # fmt: skip
    start = order.window(from_window)
    if (to is None) == (to_window is None):
        raise UsageError("where does the pan end? expected one of --to Y,X and --to-window Y0,X0,Y1,X1")
    if to is not None:
        end = window_about(start, _parse_point(to, "to"))
    else:
        end = order.window(to_window)
    _shoot(order, Pan(start, end), seeds=(seed,))


def rotate(
    *,
    out: Out,
    model: Model = "portraits",
    seed: Seed = 7,
    degrees: Annotated[
        float, typer.Option(help="The whole turn, anticlockwise; below 0 clockwise.")
    ] = 360,
    window: View = None,
    size: Size = None,
    seconds: Seconds = None,
    fps: Fps = 30,
    frames: Frames = None,
    easing: EasingName = "linear",
    loop: Loop = False,
    truncation: Truncation = 1.0,
    label: Label = None,
    supersample: Supersample = 1,
    crf: Crf = None,
    overwrite: Overwrite = False,
) -> None:
    """Turn a picture about the middle of the window."""
    from creps.rendering.motion import Rotate

    order = _Order(
        out=out, model=model, size=size, seconds=seconds, fps=fps, frames=frames, easing=easing,
        loop=loop, truncation=truncation, label=label, supersample=supersample, crf=crf,
        overwrite=overwrite,
    )  # fmt: skip
    _shoot(order, Rotate(order.window(window), degrees), seeds=(seed,))


def interpolate(
    *,
    out: Out,
    model: Model = "portraits",
    seeds: Annotated[str, typer.Option(help="Seeds to go through, such as 0-3,12.")] = "0-3",
    space: Annotated[
        Space, typer.Option(help="w: straight between styles; z: great circles between latents.")
    ] = Space.w,
    window: View = None,
    size: Size = None,
    seconds: Seconds = None,
    fps: Fps = 30,
    frames: Frames = None,
    easing: EasingName = "linear",
    loop: Loop = False,
    truncation: Truncation = 1.0,
    label: Label = None,
    supersample: Supersample = 1,
    crf: Crf = None,
    overwrite: Overwrite = False,
) -> None:
    """Change one picture into the next, through several seeds; each leg is eased by itself."""
    from creps.rendering.motion import Interpolate

    order = _Order(
        out=out, model=model, size=size, seconds=seconds, fps=fps, frames=frames, easing=easing,
        loop=loop, truncation=truncation, label=label, supersample=supersample, crf=crf,
        overwrite=overwrite,
    )  # fmt: skip
    way = tuple(parse_seeds(seeds))
    motion = Interpolate(order.window(window), len(way), back=loop)
    _shoot(order, motion, seeds=way, space=space)


def warp(
    *,
    out: Out,
    bend: Annotated[str, typer.Option("--warp", help="A warp, such as barrel:0.3 (see render).")],
    model: Model = "portraits",
    seed: Seed = 7,
    window: View = None,
    size: Size = None,
    seconds: Seconds = None,
    fps: Fps = 30,
    frames: Frames = None,
    easing: EasingName = "smoothstep",
    loop: Loop = False,
    truncation: Truncation = 1.0,
    label: Label = None,
    supersample: Supersample = 1,
    crf: Crf = None,
    overwrite: Overwrite = False,
) -> None:
    """Bend a picture, from as it is to the whole warp: every point moves straight to its new place."""
    from creps.rendering.motion import Distort
    from creps.rendering.warps import parse_warp

    order = _Order(
        out=out, model=model, size=size, seconds=seconds, fps=fps, frames=frames, easing=easing,
        loop=loop, truncation=truncation, label=label, supersample=supersample, crf=crf,
        overwrite=overwrite,
    )  # fmt: skip
    bent = parse_warp(bend)
    _shoot(order, Distort(order.window(window)), seeds=(seed,), warp=bent, warp_text=bend)


COMMANDS = (zoom, pan, rotate, interpolate, warp)
"""The subcommands of `creps video`."""


def _shoot(
    order: _Order,
    motion: Motion,
    *,
    seeds: tuple[int, ...],
    space: Space = Space.w,
    warp: PointMap | None = None,
    warp_text: str | None = None,
) -> None:
    """Check everything, load the model, render, write, and say where it is."""
    from creps.rendering.motion import parse_easing, shots
    from creps.rendering.requests import RenderRequest
    from creps.rendering.styles import SeedPath
    from creps.rendering.video import write_video

    started = time.perf_counter()
    film = order.film()
    film.refuse_existing()
    ease = parse_easing(order.easing)
    script = shots(motion, count=film.count, easing=ease, loop=order.loop)
    path = SeedPath(seeds, closed=order.loop and len(seeds) > 1, space=space.value)
    for shot in script:
        RenderRequest(size=order.pixels, window=shot.window, truncation=order.truncation)
    if order.pixels is not None:
        _refuse_size(film, order.pixels, script)
    from creps.checkpoints.native import load

    generator = load(order.model)
    size = order.pixels or (generator.config.resolution,) * 2
    _refuse_size(film, size, script)
    settings = {
        **_settings(order, generator),
        "seeds": list(seeds),
        **({"space": space.value} if len(seeds) > 1 else {}),
        "motion": {"kind": type(motion).__name__.lower(), **asdict(motion)},  # type: ignore[call-overload]  # every motion is a dataclass
        **({"warp": warp_text} if warp_text else {}),
    }
    frame = _frame_maker(generator, script, path, order=order, size=size, warp=warp)
    rendered = _write_with_progress(film, frame, size=size, settings=settings)
    kept = f", {film.count - rendered} of them were there" if rendered < film.count else ""
    typer.echo(
        f"{film.path}: {film.count} frames of {size[0]}x{size[1]}{kept}, "
        f"{time.perf_counter() - started:.1f} s"
    )
