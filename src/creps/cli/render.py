"""`creps render`: one picture of any size, warped or not, which goes on after a stop."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from creps.cli.generate import fingerprint, settings_of
from creps.cli.options import Cutoff, Label, Model, Truncation
from creps.cli.parsing import parse_size, parse_supersample, parse_window
from creps.errors import CrepsError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from creps.networks.base import Generator
    from creps.rendering.drawing import Drawer, Samples
    from creps.rendering.requests import RenderRequest
    from creps.rendering.streams.shards import Shard
    from creps.rendering.streams.streaming import Outcome
    from creps.rendering.styling.styles import Recipe
    from creps.rendering.warps import Warp

DEFAULT_SEED = 7
INTERRUPTED = 1
"""The exit code of Ctrl-C."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One picture to be made, checked as far as it can be without its model.

    Attributes:
        model: its name.
        out: the file.
        request: size, window and truncation.
        recipe: whose styles.
        label: class index.
        warp: None for none.
        supersample: samples a side of a pixel.
        shard: which share; None for all.
        overwrite: replace what is there.
    """

    model: str
    out: Path
    request: RenderRequest
    recipe: Recipe
    label: int | None
    warp: Warp | None
    supersample: Samples
    shard: Shard | None
    overwrite: bool


def render(
    out: Annotated[
        Path, typer.Option(help="Picture to write: .tif, .dzi, .zarr, .png, .jpg or .webp.")
    ],
    model: Model = "portraits",
    seed: Annotated[
        int | None, typer.Option(help="Which picture.", show_default=f"{DEFAULT_SEED}")
    ] = None,
    styles: Annotated[
        str | None,
        typer.Option(help="Instead of a seed: 7..12@0.4, between two, or 7+12:4-8, by layers."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="Pixels: 32768, or HEIGHTxWIDTH as 768x1280.", show_default="the model's own"
        ),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(
            help="Y0,X0,Y1,X1: this part of the plane fills the picture.",
            show_default="0,0,1,1, widened to fit",
        ),
    ] = None,
    truncation: Truncation = 1.0,
    cutoff: Cutoff = None,
    label: Label = None,
    warp: Annotated[
        str | None, typer.Option(help="Change the picture: rotate:30, or rotate:30+barrel:0.2.")
    ] = None,
    supersample: Annotated[
        str,
        typer.Option(help="Average NxN samples a pixel; auto: as many as small pictures need."),
    ] = "1",
    shard: Annotated[
        str | None,
        typer.Option(
            help="Make a share only: 2/8 is the second of eight, on any machine that sees OUT.",
            show_default="all; under torchrun the share of the process",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file or unfinished work that is there.")
    ] = False,
) -> None:
    """Make one picture of any size, in bounded memory.

    Finished parts wait in OUT.part.zarr until the picture is whole: after a stop or a crash, the
    same command goes on.
    """
    from creps.rendering.requests import RenderRequest
    from creps.rendering.streams.shards import parse_shard, shard_from_environment
    from creps.rendering.warps import parse_warp

    _write(
        Job(
            model=model,
            out=out,
            request=RenderRequest(
                size=None if size is None else parse_size(size),
                window=None if window is None else parse_window(window),
                truncation=truncation,
                truncation_cutoff=cutoff,
            ),
            recipe=_parse_source(seed, styles),
            label=label,
            warp=None if warp is None else parse_warp(warp),
            supersample=parse_supersample(supersample),
            shard=shard_from_environment() if shard is None else parse_shard(shard),
            overwrite=overwrite,
        )
    )


def _parse_source(seed: int | None, styles: str | None) -> Recipe:
    """What `--seed` or `--styles` asks for."""
    from creps.rendering.styling.styles import Recipe, Walk, parse_styles

    if styles is None:
        return Recipe(Walk((DEFAULT_SEED if seed is None else seed,)))
    if seed is not None:
        raise UsageError("--seed and --styles given: expected one of them")
    return parse_styles(styles)


def _write(job: Job) -> None:
    """Load the model, render, write, and say where the picture is."""
    from creps.rendering.drawing import Drawer
    from creps.rendering.streams.streaming import refuse_target

    started = time.perf_counter()
    height, width = job.request.size or (1, 1)  # type: ignore[misc]  # parse_size gives both
    refuse_target(job.out, height=height, width=width, overwrite=job.overwrite)
    from creps.checkpoints.native import load

    generator = load(job.model)
    drawer = Drawer(
        generator,
        _styles(job, generator),
        job.request.canvas(generator),
        warp=job.warp,
        supersample=job.supersample,
    )
    outcome = _fill(job, drawer, settings=_settings(job, drawer))
    typer.echo(f"{_result(job, drawer, outcome)}, {time.perf_counter() - started:.1f} s")


def _styles(job: Job, generator: Generator) -> Tensor:
    """(1, K, D) styles of the picture."""
    import torch

    from creps.rendering.styling.styles import styles_of

    with torch.inference_mode():
        return styles_of(
            job.recipe,
            generator,
            label=None if job.label is None else torch.tensor([job.label]),
            truncation=job.request.truncation,
            truncation_cutoff=job.request.truncation_cutoff,
        )


def _settings(job: Job, drawer: Drawer) -> dict[str, Any]:
    """All that the pixels depend on; only where it is the same, unfinished work goes on."""
    from creps.rendering.warps.point_maps import PointMap

    recipe = str(job.recipe)
    warps = getattr(job.warp, "warps", (job.warp,))
    maps = [warp.fingerprint for warp in warps if isinstance(warp, PointMap)]
    settings = {
        **settings_of(job.model, drawer.generator, job.request, label=job.label),
        **({"seed": int(recipe)} if recipe.isdecimal() else {"styles": recipe}),
        "weights": fingerprint(drawer.generator),
        "warp": None if job.warp is None else str(job.warp),
        "maps": maps or None,
        "supersample": drawer.samples,
    }
    return {name: value for name, value in settings.items() if value is not None}


def _fill(job: Job, drawer: Drawer, *, settings: dict[str, Any]) -> Outcome:
    """`write_big` behind a bar; Ctrl-C is one line that says what is kept."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from creps.rendering.renderer import paint
    from creps.rendering.streams.streaming import unfinished, write_big

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %  {task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    pace = _Pace()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("rendering", total=None, rate="")

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, rate=pace.rate(done, total))
            if done == total:
                bar.update(task, description="writing")
                if job.shard is None:
                    bar.console.print(f"all pixels are there, writing {job.out.name}")

        try:
            return write_big(
                job.out,
                partial(paint, drawer),
                height=drawer.canvas.height,
                width=drawer.canvas.width,
                channels=drawer.generator.config.img_channels,
                settings=settings,
                shard=job.shard,
                overwrite=job.overwrite,
                progress=show,
            )
        except KeyboardInterrupt:
            stopped = CrepsError(
                f"interrupted: {pace.share:.0%} of the pixels are in {unfinished(job.out)}, "
                "the same command goes on"
            )
            stopped.exit_code = INTERRUPTED
            raise stopped from None


def _result(job: Job, drawer: Drawer, outcome: Outcome) -> str:
    """What there is now, in words."""
    size = f"{drawer.canvas.height}x{drawer.canvas.width} pixels"
    if outcome.path is not None:
        return f"{outcome.path}: {size}, {_bytes_in(outcome.path) / 1e6:,.1f} MB"
    share = "" if job.shard is None else f" share {job.shard} is done,"
    if outcome.missing:
        return f"{job.out}:{share} {outcome.missing} of {outcome.chunks} chunks are left to others"
    return f"{job.out}:{share} another process writes the file of {size}"


def _bytes_in(path: Path) -> int:
    """Bytes of a picture that is a file, a folder, or a file with a folder of tiles (.dzi)."""
    tiles = path.with_name(f"{path.stem}_files")
    places = [path, *path.rglob("*")]
    if path.suffix.lower() == ".dzi":
        places += tiles.rglob("*")
    return sum(place.stat().st_size for place in places if place.is_file())


class _Pace:
    """How far a render is, and pixels a second since the first report."""

    def __init__(self) -> None:
        self.share = 0.0
        self.first: int | None = None
        self.started = 0.0

    def rate(self, done: int, total: int) -> str:
        """Note that so many pixels are there; the pace as text."""
        self.share = done / max(total, 1)
        if self.first is None:
            self.first, self.started = done, time.perf_counter()
            return ""
        return f"{(done - self.first) / (time.perf_counter() - self.started) / 1e6:.2f} MP/s"
