"""A film: a motion through pictures of a model."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from torch import Tensor

from creps._devices import Device
from creps.coordinates import Canvas, Window
from creps.networks.base import Generator
from creps.rendering._evaluations import Evaluations
from creps.rendering._latents import Latent
from creps.rendering._painter import Picture, Progress
from creps.rendering._provenance import made_by, warp_about
from creps.rendering._renderer import Renderer
from creps.rendering._styles import Recipe, SeedPath, Stop, file_of
from creps.rendering._tiles import Tile
from creps.rendering._view import (
    TOLERANCE,
    Precision,
    Samples,
    View,
    refuse_beyond_memory,
    refuse_beyond_precision,
)
from creps.rendering.video._files import VideoFile, write_video
from creps.rendering.video._motion import Frame, Motion, Nest, frames_of, parse_easing
from creps.rendering.warps import Chain, Rotate, Swirl, Warp, chain, parse_warp


@dataclass(frozen=True, kw_only=True)
class Film:
    """What a film shows; checked without a model.

    Args:
        motion: what is seen when.
        size: (height, width) of every frame.
        seeds: one, or those that the motion leads through; files of styles and recipes may be
            among them.
        space: how it leads there: "w", straight between styles, or "z", on great circles between
            latents.
        warp: the text of the warp that the motion grows from nothing.
        easing: of each leg of the way, one of `EASINGS`.
        loop: the last frame leads to the first, see `frames_of`.
        label, truncation: as for `Latent`.
        supersample, tolerance, exact: as for `View`.
    Raises:
        UsageError, GridError: for what cannot be rendered.
    """

    motion: Motion
    size: tuple[int, int]
    seeds: tuple[Stop, ...] = (0,)
    space: Literal["w", "z"] = "w"
    warp: str | None = None
    easing: str = "linear"
    loop: bool = False
    label: int | str | None = None
    truncation: float = 1.0
    supersample: Samples = "auto"
    tolerance: float = TOLERANCE
    exact: bool = False

    def __post_init__(self) -> None:
        for frame in frames_of(self.motion, count=2, easing=parse_easing(self.easing)):
            self.view(frame)
            self.latent(frame)

    def frames(self, count: int) -> list[Frame]:
        """What each of `count` frames shows."""
        easing = parse_easing(self.easing)
        return frames_of(self.motion, count=count, easing=easing, loop=self.loop)

    def view(self, frame: Frame) -> View:
        """What is seen of the plane."""
        refuse_beyond_precision(frame.window, *self.size)  # before it counts as an empty window
        return View(
            size=self.size,
            window=frame.window,
            warp=frame_warp(frame, self._whole_warp),
            supersample=self.supersample,
            tolerance=self.tolerance,
            exact=self.exact,
        )

    def latent(self, frame: Frame) -> Latent:
        """Whose picture it is."""
        return self._latent(self._path.at(frame.position))

    def refuse(self, file: VideoFile) -> None:
        """Raise the errors of `write_film` that need no model."""
        file.refuse(*self.size)
        refuse_beyond_memory(*self.size)
        for frame in self.frames(file.count):
            self.view(frame)

    def about(self, generator: Generator, *, dtype: Precision = None) -> dict[str, Any]:
        """What changes the pixels of its frames; a stopped film resumes only with the same."""
        settings = {
            **made_by(generator),
            "seeds": [stop if isinstance(stop, int) else str(stop) for stop in self.seeds],
            "files": [file.fingerprint for file in map(file_of, self.seeds) if file] or None,
            "space": self.space if len(self.seeds) > 1 else None,
            "class": self._class(generator),
            "truncation": self.truncation,
            "size": list(self.size),
            "motion": {
                "kind": type(self.motion).__name__.removesuffix("Motion").lower(),
                **vars(self.motion),
            },
            **warp_about(self._whole_warp),
            "easing": self.easing,
            "loop": self.loop,
            "supersample": self.supersample,
            "tolerance": None if self.exact else self.tolerance,
            "exact": self.exact or None,
            "dtype": None if dtype is None else str(dtype),
        }
        return {name: value for name, value in settings.items() if value is not None}

    def _class(self, generator: Generator) -> int | None:
        """The index of its class."""
        return None if self.label is None else generator.class_index(self.label)

    @functools.cached_property  # a map is read from its file once
    def _whole_warp(self) -> Warp | None:
        return None if self.warp is None else parse_warp(self.warp)

    @property
    def _path(self) -> SeedPath:
        return SeedPath(self.seeds, closed=self.loop, space=self.space)

    def _latent(self, recipe: Recipe) -> Latent:
        return Latent(styles=recipe, label=self.label, truncation=self.truncation)


def write_film(
    generator: Generator,
    film: Film,
    file: VideoFile,
    *,
    device: Device = None,
    dtype: Precision = None,
    settings: Mapping[str, Any] | None = None,
    evaluations: Evaluations | None = None,
    progress: Progress | None = None,
) -> int:
    """Render a film and write it, or resume one that was stopped.

    Args:
        generator: the model.
        film: what to show.
        file: where to, and how.
        device, dtype: as for `render`.
        settings: what the file records in addition to the film's own, such as the model's name.
        evaluations: counts the pixels of the frames, and those of them that were evaluated.
        progress: as for `write_video`.
    Returns:
        how many frames were rendered; 0 if all existed.
    Raises:
        GridError, UsageError, LabelError: for what cannot be rendered or written.
        CrepsError, OSError: as `write_video`.
    """
    film.refuse(file)
    frames, path = film.frames(file.count), film._path

    @functools.lru_cache(maxsize=1)  # frames of one latent share its lines and tables
    def renderer(recipe: Recipe) -> Renderer:
        return Renderer(generator, film._latent(recipe), device=device, dtype=dtype)

    def picture(index: int) -> Picture:
        frame = frames[index]
        drawing = renderer(path.at(frame.position))
        seen = drawing.evaluations
        evaluated, painted = seen.evaluated, seen.painted
        if frame.nest is None:
            pixels = drawing.picture(film.view(frame))
        else:
            pixels = _nested_picture(drawing, film, frame, frame.nest)
        if evaluations is not None:
            evaluations.add(seen.evaluated - evaluated, seen.painted - painted)
        return pixels

    renderer(path.at(frames[0].position))  # refuses what does not suit the model
    about = {**film.about(generator, dtype=dtype), **(settings or {})}
    return write_video(file, picture, size=film.size, settings=about, progress=progress)


def _nested_picture(drawing: Renderer, film: Film, frame: Frame, nest: Nest) -> Picture:
    """A frame of a picture that holds itself: a ring of each copy, each fading into the next."""
    canvas = Canvas(*film.size, frame.window)
    rings, weights = nest.rings(canvas)
    total = np.zeros((*film.size, drawing.generator.config.img_channels))
    for copy in range(int(rings.min()) - 1, int(rings.max()) + 1):
        share = np.where(rings == copy, weights, 0) + np.where(rings == copy + 1, 1 - weights, 0)
        rows, columns = (np.flatnonzero(share.any(axis)) for axis in (1, 0))
        if not len(rows):
            continue
        part = Tile(int(rows[0]), int(columns[0]), int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1)
        view = film.view(replace(frame, window=nest.copied(frame.window, copy), nest=None))
        inside = part.rows, part.columns
        total[inside] += share[inside][..., None] * drawing.region(part, view)
    return np.rint(total).astype(np.uint8)  # the shares of every pixel sum to 1


@dataclass(frozen=True)
class PartialWarp(Warp):
    """A part of another warp: every point goes straight towards where the whole would take it."""

    whole: Warp
    amount: float

    def __call__(self, points: Tensor) -> Tensor:
        return (1 - self.amount) * points + self.amount * self.whole(points)

    def over(self, window: Window) -> Warp:
        return PartialWarp(self.whole.over(window), self.amount)


def partly(warp: Warp, amount: float) -> Warp:
    """A part of a warp, for films in which it grows; of 0 and 1 none and the whole, exactly.

    What turns, turns by less; of all others, a user's own map included, every point goes a part of
    the straight way (which would squeeze a turning picture). Warps that follow one another grow
    together.

    Example:
        >>> str(partly(Rotate(90), 0.5))
        'rotate:45'
    """
    if isinstance(warp, Chain):
        return chain(*(partly(part, amount) for part in warp.warps))
    if isinstance(warp, Rotate | Swirl):
        return replace(warp, degrees=amount * warp.degrees)
    return PartialWarp(warp, amount)


def frame_warp(frame: Frame, warp: Warp | None = None) -> Warp | None:
    """How a frame changes the picture of its window: bent first, then turned about the middle."""
    changes: list[Warp] = []
    if warp is not None and frame.amount:
        changes.append(partly(warp, frame.amount))
    if frame.degrees % 360:
        y0, x0, y1, x1 = frame.window
        changes.append(Rotate(frame.degrees, (y0 + y1) / 2, (x0 + x1) / 2))
    return chain(*changes) if changes else None
