"""One picture to one file, as `creps render` is asked for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from creps.cli._generate import settings_of
from creps.cli._options import View
from creps.cli._progress import FULL, Report, report
from creps.errors import CrepsError, UsageError

if TYPE_CHECKING:
    from creps.coordinates import Canvas
    from creps.networks.base import Generator
    from creps.rendering._blends import StyleBlend
    from creps.rendering._painter import Picture
    from creps.rendering._styles import FileRecipe, Recipe
    from creps.rendering._tiles import Tile
    from creps.rendering._view import RenderRequest, Samples
    from creps.rendering.output._save import Outcome
    from creps.rendering.output._shards import Shard
    from creps.rendering.warps import Warp

    Make = Callable[[Tile], Picture]

STARTED = time.time()
"""When this process began, near enough: before torch is imported."""


@dataclass(frozen=True, kw_only=True)
class Fovea:
    """What is evaluated of a foveated picture.

    Attributes:
        share: of the pixels, above 0 and up to 1.
        gaze: (y, x) that is looked at; None: the middle of the picture.
    """

    share: float
    gaze: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """One picture to be made, checked as far as it can be without its model.

    Attributes:
        model: its name.
        out: the file.
        view: what is seen at which size.
        truncation, cutoff, label: of the styles.
        recipes: whose styles.
        blend: how several share the picture; None for one.
        warp: None for none.
        fovea: None evaluates all pixels.
        supersample: samples a side of a pixel.
        shard: which share; None for all.
        overwrite: replace what is there.
        device, dtype, exact: as for `Drawer`.
    Raises:
        UsageError: for what does not go together.
    """

    model: str
    out: Path
    view: View
    truncation: float
    cutoff: int | None
    label: int | None
    recipes: tuple[Recipe | FileRecipe, ...]
    blend: StyleBlend | None
    warp: Warp | None
    fovea: Fovea | None
    supersample: Samples
    shard: Shard | None
    overwrite: bool
    device: str | None = None
    dtype: str | None = None
    exact: bool = False

    def __post_init__(self) -> None:
        if self.blend is not None:
            self.blend.check(len(self.recipes))
        elif len(self.recipes) > 1:
            raise UsageError(
                f"{len(self.recipes)} styles: say how they share the picture, such as "
                "--blend gradient, --blend radial or --blend panorama"
            )
        if self.blend is not None and self.warp is not None:
            raise UsageError("--blend and --warp given: several styles share an unwarped picture")
        fine = {"--dtype": self.dtype is not None, "--exact": self.exact}
        if self.blend is not None:
            self._refuse("--blend", fine, "several styles are mixed in the model's precision")
        if self.fovea is not None:
            others = {
                "--blend": self.blend is not None,
                "--warp": self.warp is not None,
                "--supersample": self.supersample != 1,
                "--shard": self.shard is not None,
                **fine,
            }
            self._refuse("--foveated", others, "a foveated picture is made plain")

    def _refuse(self, name: str, others: dict[str, bool], reason: str) -> None:
        """Raise where an option and others that do not go with it are given."""
        if any(others.values()):
            given = " and ".join(other for other, there in others.items() if there)
            raise UsageError(f"{name} and {given} given: {reason}")

    def request(self, own: int | None = None) -> RenderRequest:
        """What is asked of the renderer; `own` is the model's resolution, once it is known."""
        return self.view.request(truncation=self.truncation, truncation_cutoff=self.cutoff, own=own)


def write_job(job: Job) -> None:
    """Load the model, render, write, and say where the picture is."""
    from creps.rendering.output._save import refuse_target

    started = time.perf_counter()
    job.request()
    height, width = job.view.pixels or (1, 1)
    refuse_target(job.out, height=height, width=width, shard=job.shard, overwrite=job.overwrite)
    from creps.checkpoints import load

    generator = load(job.model)
    _note_strange_styles(job, generator)
    request = job.request(generator.config.resolution)
    work = _work(job, generator, request.canvas(generator))
    outcome = _write(job, work, settings=_settings(job, work, request))
    typer.echo(f"{_result(job, work.canvas, outcome)}, {time.perf_counter() - started:.1f} s")


def _note_strange_styles(job: Job, generator: Generator) -> None:
    """Say which files of styles were made with other weights: the picture is another there."""
    from creps.checkpoints import weights_id
    from creps.rendering._styles import FileRecipe

    for recipe in job.recipes:
        if not isinstance(recipe, FileRecipe):
            continue
        _, record = recipe.base.read()
        if record.get("weights") not in (None, weights_id(generator)):
            typer.echo(
                f"note: {recipe.base} was found with other weights than {job.model} has now, "
                "so this is not the picture it was found for",
                err=True,
            )


@dataclass(frozen=True)
class _Work:
    """How the pixels of a picture come about."""

    generator: Generator
    canvas: Canvas
    make: Make
    samples: int = 1  # at most, a side of a pixel
    sampling: int | str = 1  # what is noted in the file


def _work(job: Job, generator: Generator, canvas: Canvas) -> _Work:
    """The way of this picture: plain or warped, of several styles, or foveated."""
    from creps.rendering._latents import Latent
    from creps.rendering._painter import TileSource
    from creps.rendering._renderer import Renderer
    from creps.rendering._view import View

    latent = Latent(
        styles=job.recipes,
        blend=job.blend,
        label=job.label,
        truncation=job.truncation,
        truncation_cutoff=job.cutoff,
    )
    view = View(
        size=(canvas.height, canvas.width),
        window=canvas.window,
        warp=job.warp,
        supersample=job.supersample,
        exact=job.exact,
    )
    renderer = Renderer(generator, latent, device=job.device, dtype=job.dtype, keep=None)
    source: TileSource = renderer.painter(view)
    if job.fovea is not None:
        source = renderer.foveated(view, share=job.fovea.share, gaze=job.fovea.gaze)
    return _Work(generator, canvas, source.pixels, source.samples, source.sampling)


def _settings(job: Job, work: _Work, request: RenderRequest) -> dict[str, Any]:
    """All that the pixels depend on; only where it is the same, unfinished work goes on."""
    from creps.checkpoints import weights_id
    from creps.rendering._styles import FileRecipe
    from creps.rendering.warps import PointMap

    recipe = "/".join(map(str, job.recipes))
    warps = getattr(job.warp, "warps", (job.warp,))
    maps = [warp.fingerprint for warp in warps if isinstance(warp, PointMap)]
    files = [each.base.fingerprint for each in job.recipes if isinstance(each, FileRecipe)]
    settings = {
        **settings_of(job.model, work.generator, request, label=job.label),
        **({"seed": int(recipe)} if recipe.isdecimal() else {"styles": recipe}),
        "files": files or None,
        "weights": weights_id(work.generator),
        "dpi": job.view.resolution,
        "blend": None if job.blend is None else str(job.blend),
        "mask": None if job.blend is None else job.blend.fingerprint,
        "warp": None if job.warp is None else str(job.warp),
        "maps": maps or None,
        "foveated": None if job.fovea is None else job.fovea.share,
        "gaze": None if job.fovea is None else job.fovea.gaze,
        "supersample": work.sampling,
        "dtype": job.dtype,
        "exact": job.exact or None,
    }
    return {name: value for name, value in settings.items() if value is not None}


def _write(job: Job, work: _Work, *, settings: dict[str, Any]) -> Outcome:
    """`save_picture` behind a bar; what stops it is one line that says what is kept."""
    from creps.rendering.output._save import Tiles, is_streamed, save_picture, unfinished

    height, width = work.canvas.height, work.canvas.width
    streamed = is_streamed(
        job.out, height=height, width=width, samples=work.samples, shard=job.shard
    )
    with report("rendering") as told:
        try:
            return save_picture(
                Tiles(
                    height=height,
                    width=width,
                    channels=work.generator.config.img_channels,
                    make=work.make,
                    samples=work.samples,
                ),
                job.out,
                settings=settings,
                shard=job.shard,
                overwrite=job.overwrite,
                started=STARTED,
                progress=partial(_show, told, announce=streamed and job.shard is None, to=job.out),
            )
        except KeyboardInterrupt:
            if not streamed:
                raise
            stop = "interrupted"
        except OSError as error:
            if not streamed or error.errno not in FULL:
                raise
            stop = f"{error.filename}: {error.strerror}"
    goes_on = "the same command goes on"
    raise CrepsError(
        f"{stop}: {told.share:.0%} of the pixels are in {unfinished(job.out)}, {goes_on}"
    )


def _show(told: Report, done: int, total: int, *, announce: bool, to: Path) -> None:
    """Tell how far it is, and when only the file is still to be made."""
    told(done, total)
    if done == total:
        told.describe("writing")
        if announce:
            told.say(f"all pixels are there, writing {to.name}")


def _result(job: Job, canvas: Canvas, outcome: Outcome) -> str:
    """What there is now, in words."""
    size = f"{canvas.height}x{canvas.width} pixels"
    if outcome.path is not None:
        return f"{outcome.path}: {size}, {_amount(_bytes_in(outcome.path))}"
    share = "" if job.shard is None else f" share {job.shard} is done,"
    if outcome.missing:
        return f"{job.out}:{share} {outcome.missing} of {outcome.chunks} chunks are left to others"
    return f"{job.out}:{share} another process writes the file of {size}"


def _amount(count: int) -> str:
    """A number of bytes in words."""
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.1f} kB"


def _bytes_in(path: Path) -> int:
    """Bytes of a picture that is a file, a folder, or a file with a folder of tiles (.dzi)."""
    tiles = path.with_name(f"{path.stem}_files")
    places = [path, *path.rglob("*")]
    if path.suffix.lower() == ".dzi":
        places += tiles.rglob("*")
    return sum(place.stat().st_size for place in places if place.is_file())
