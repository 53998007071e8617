"""`creps video ...`: films of a model: zoom, pan, rotate, interpolate, warp."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from creps.cli._options import (
    DEFAULT_TOLERANCE,
    LEAST_BEYOND,
    ComputeDevice,
    Dtype,
    Exact,
    Tolerance,
    checked_size,
    parse_seeds,
    parse_size,
    parse_supersample,
    takes,
)
from creps.cli._progress import report, resumable
from creps.errors import UsageError
from creps.rendering._words import parse_point, parse_window

if TYPE_CHECKING:
    from creps.coordinates import Window
    from creps.networks.base import Generator
    from creps.rendering._styles import Stop
    from creps.rendering._view import Fit
    from creps.rendering.video import Film, Motion, VideoFile

DEFAULT_SEED = 7
DEFAULT_SECONDS = 4.0
DEFAULT_OCTAVES = 3.0
WHOLE = "0,0,1,1, widened to keep its shape"


class Space(StrEnum):
    """What `--space` takes."""

    w = "w"
    z = "z"


@dataclass(frozen=True, kw_only=True)
class FilmOptions:
    """Settings of every film; `takes` makes these fields options."""

    out: Annotated[
        Path,
        typer.Option(help="Film to write: .mp4, .webm, .gif; no suffix: a folder of PNG frames."),
    ]
    model: Annotated[str, typer.Option(help="A packaged model, a folder or a file.")] = "portraits"
    size: Annotated[
        str,
        typer.Option(help="Pixels: 512, or HEIGHTxWIDTH as 720x1280.", callback=checked_size),
    ] = "512"
    fit: Annotated[
        str,
        typer.Option(
            help="Of frames that are no squares, where no window is given. whole: the whole square "
            "that the model was trained on, and more at two sides; crop: its largest part of this "
            "shape."
        ),
    ] = "whole"
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
        str | None,
        typer.Option("--class", help="Name or index of a class, for class-conditional models."),
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
        typer.Option("--overwrite", help="Replace an existing film, or frames of another."),
    ] = False
    tolerance: Tolerance = DEFAULT_TOLERANCE
    device: ComputeDevice = "auto"
    dtype: Dtype = None
    exact: Exact = False

    @property
    def pixels(self) -> tuple[int, int]:
        """(height, width)."""
        return parse_size(self.size)

    def window(self, text: str | None) -> Window:
        """The window of a text; by default the unit square in the shape of the frames."""
        from creps.rendering import View

        if text is not None:
            return parse_window(text)
        view = View(size=self.pixels, fit=cast("Fit", self.fit), zoom=1)
        assert view.window is not None  # made of the zoom
        return view.window

    def file(self) -> VideoFile:
        """The file to write; refuses invalid options."""
        from creps.rendering.video import VideoFile

        if self.frames is not None and self.seconds is not None:
            raise UsageError("--frames and --seconds given: expected one of them")
        seconds = DEFAULT_SECONDS if self.seconds is None else self.seconds
        if not (math.isfinite(seconds * self.fps) and seconds > 0):
            raise UsageError(
                f"{seconds:g} s at {self.fps:g} frames a second: expected finite times"
            )
        count = max(round(seconds * self.fps), 1) if self.frames is None else self.frames
        return VideoFile(
            path=self.out, count=count, fps=self.fps, crf=self.crf, overwrite=self.overwrite
        )

    def _say_beyond(self, generator: Generator, film: Film) -> None:
        """Say how much of the first frame nothing has taught the model to draw."""
        from creps.rendering._painter import beyond_training

        first = film.frames(1)[0]
        beyond = beyond_training(generator, film.view(first))
        if beyond < LEAST_BEYOND:
            return
        helps = self.fit == "whole" and first.window == self.window(None)
        hint = "; --fit crop shows what was trained" if helps else ""
        typer.echo(
            f"{100 * beyond:.0f} % of the first frame lies beyond what was trained{hint}", err=True
        )

    def make(
        self,
        motion: Motion,
        *,
        easing: str,
        seeds: tuple[Stop, ...],
        space: Space = Space.w,
        warp: str | None = None,
    ) -> None:
        """Check everything, load the model, render, write, and say where it is.

        `easing` is the default; seeds, space and warp as for `Film`.
        """
        from creps.rendering import Evaluations
        from creps.rendering._styles import file_of
        from creps.rendering.video import Film, write_film

        started = time.perf_counter()
        file = self.file()
        film = Film(
            motion=motion,
            size=self.pixels,
            seeds=seeds,
            space=space.value,
            warp=warp,
            easing=self.easing or easing,
            loop=self.loop,
            label=self.label,
            truncation=self.truncation,
            supersample=parse_supersample(self.supersample),
            tolerance=self.tolerance,
            exact=self.exact,
        )
        film.refuse(file)
        for stop in seeds:
            if styles := file_of(stop):
                styles.read()  # refuses what is none before a model is loaded
        from creps.checkpoints import load

        generator = load(self.model)
        self._say_beyond(generator, film)
        evaluations = Evaluations()
        with report("rendering", unit="frames", per_unit=1) as told:

            def show(done: int, count: int) -> None:
                told(done, count)
                told.describe("rendering" if done < count else "encoding")

            def kept() -> str:
                return (
                    f"{round(told.share * file.count)} of {file.count} frames are in "
                    f"{file.frames_path}"
                )

            with resumable(kept):
                rendered = write_film(
                    generator,
                    film,
                    file,
                    device=self.device,
                    dtype=self.dtype,
                    settings={"model": self.model},
                    evaluations=evaluations,
                    progress=show,
                )
        before = file.count - rendered
        typer.echo(
            f"{file.path}: {file.count} frame{'s' * (file.count > 1)} of "
            f"{film.size[0]}x{film.size[1]}"
            f"{f', {before} of them were there' if before else ''}, "
            f"{f'{evaluations}, ' if rendered else ''}{time.perf_counter() - started:.1f} s"
        )


Seed = Annotated[
    int | None, typer.Option(help="The picture to film.", show_default=f"{DEFAULT_SEED}")
]
Styles = Annotated[
    str | None,
    typer.Option(
        help="Instead of a seed: 7..12@0.4, between two; 7+12:4-8, layers 4 to 8 from another; "
        "FILE.safetensors, found by creps project."
    ),
]
View = Annotated[
    str | None,
    typer.Option(help="Y0,X0,Y1,X1 that is seen.", show_default=WHOLE),
]
FirstView = Annotated[
    str | None,
    typer.Option(help="Y0,X0,Y1,X1 seen first.", show_default=WHOLE),
]
LastView = Annotated[str | None, typer.Option(help="Y0,X0,Y1,X1 seen last.")]


@takes(FilmOptions)
def zoom(
    film: FilmOptions,
    *,
    seed: Seed = None,
    styles: Styles = None,
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
    endless: Annotated[
        bool,
        typer.Option(
            "--endless",
            help="The picture comes again within itself, so many octaves smaller: the last frame "
            "leads to the first, always inwards.",
        ),
    ] = False,
) -> None:
    """Zoom into a picture, exactly and at constant speed, through as many octaves as you like."""
    from creps.rendering.video import PanMotion, ZoomMotion

    start = film.window(from_window)
    motion: Motion
    if endless and to_window is not None:
        raise UsageError("--endless and --to-window given: an endless zoom has no last window")
    if to_window is None:
        middle = (start[0] + start[2]) / 2, (start[1] + start[3]) / 2
        about = middle if focus is None else parse_point(focus, "focus")
        doublings = DEFAULT_OCTAVES if octaves is None else octaves
        motion = ZoomMotion(start, about, doublings, endless=endless)
        film = replace(film, loop=film.loop or endless)
    elif octaves is not None or focus is not None:
        raise UsageError("--to-window says where the zoom ends: leave --octaves and --focus out")
    else:
        motion = PanMotion(start, parse_window(to_window))
    film.make(motion, easing="linear" if endless else "cruise", seeds=(_filmed(seed, styles),))


@takes(FilmOptions)
def pan(
    film: FilmOptions,
    *,
    seed: Seed = None,
    styles: Styles = None,
    from_window: FirstView = None,
    to_window: LastView = None,
    to: Annotated[
        str | None, typer.Option(help="Y,X in the middle at last, instead of --to-window.")
    ] = None,
) -> None:
    """Move over a picture from one window to another."""
    from creps.rendering.video import PanMotion, window_about

    start = film.window(from_window)
    if (to is None) == (to_window is None):
        raise UsageError("end of the pan: expected either --to Y,X or --to-window")
    end = film.window(to_window) if to is None else window_about(start, parse_point(to, "to"))
    film.make(PanMotion(start, end), easing="smoothstep", seeds=(_filmed(seed, styles),))


@takes(FilmOptions)
def rotate(
    film: FilmOptions,
    *,
    seed: Seed = None,
    styles: Styles = None,
    degrees: Annotated[
        float, typer.Option(help="The whole turn, anticlockwise; below 0 clockwise.")
    ] = 360,
    window: View = None,
) -> None:
    """Turn a picture about the middle of the window."""
    from creps.rendering.video import RotateMotion

    film.make(
        RotateMotion(film.window(window), degrees), easing="linear", seeds=(_filmed(seed, styles),)
    )


@takes(FilmOptions)
def interpolate(
    film: FilmOptions,
    *,
    seeds: Annotated[
        str | None,
        typer.Option(help="Seeds to go through, such as 0-3,12.", show_default="0-3"),
    ] = None,
    styles: Annotated[
        str | None,
        typer.Option(
            help="Instead: files that creps project has made, and seeds, joined by two dots, such "
            "as a.safetensors..7..b.safetensors; or recipes, joined by slashes: 7+12:4-8/3."
        ),
    ] = None,
    space: Annotated[
        Space, typer.Option(help="w: straight between styles; z: great circles between latents.")
    ] = Space.w,
    window: View = None,
) -> None:
    """Change one picture into the next, through several seeds; each leg is eased on its own."""
    from creps.rendering._styles import parse_way
    from creps.rendering.video import InterpolateMotion

    if seeds is not None and styles is not None:
        raise UsageError("--seeds and --styles given: expected one of them")
    way: tuple[Stop, ...] = tuple(parse_seeds(seeds or "0-3"))
    if styles is not None:
        way = parse_way(styles)
    motion = InterpolateMotion(film.window(window), len(way), back=film.loop)
    film.make(motion, easing="linear", seeds=way, space=space)


@takes(FilmOptions)
def warp(
    film: FilmOptions,
    *,
    bend: Annotated[str, typer.Option("--warp", help="The warp, as in render: barrel:0.3.")],
    seed: Seed = None,
    styles: Styles = None,
    window: View = None,
) -> None:
    """Bend a picture, from as it is to the whole warp."""
    from creps.rendering.video import DistortMotion

    film.make(
        DistortMotion(film.window(window)),
        easing="smoothstep",
        seeds=(_filmed(seed, styles),),
        warp=bend,
    )


def _filmed(seed: int | None, styles: str | None) -> Stop:
    """Whose picture is filmed: of a seed, or of the words of a recipe."""
    from creps.rendering import parse_recipes

    if styles is None:
        return DEFAULT_SEED if seed is None else seed
    if seed is not None:
        raise UsageError("--seed and --styles given: expected one of them")
    recipes = parse_recipes(styles)
    if len(recipes) > 1:
        raise UsageError(
            f"styles {styles!r}: expected one picture; creps video interpolate goes through several"
        )
    return recipes[0]


COMMANDS = (zoom, pan, rotate, interpolate, warp)
"""The subcommands of `creps video`."""
