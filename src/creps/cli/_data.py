"""`creps data ...`: sets that the package can make itself, and checks of any set."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from creps.cli._progress import report
from creps.errors import one_line, printable

if TYPE_CHECKING:
    from creps.data._checking import Report

_OUT = Annotated[Path, typer.Option(help="File to write, NAME.zip.")]
_SEED = Annotated[int, typer.Option(help="Another seed, other pictures.")]
_WORKERS = Annotated[int | None, typer.Option(help="Pictures at once; all cores by default.")]
_KEEP_COLORS = Annotated[
    bool,
    typer.Option(
        "--keep-colors", help="Take values as they are, whatever color profile a picture has."
    ),
]
_OVERWRITE = Annotated[
    bool, typer.Option("--overwrite", help="Replace a file that holds something else.")
]


def portraits(
    *,
    count: Annotated[int, typer.Option(help="How many portraits.")],
    size: Annotated[int, typer.Option(help="Pixels of each side.")],
    out: _OUT,
    style: Annotated[
        str,
        typer.Option(
            help="Whose drawings: toon-head, micah, personas, open-peeps or adventurer. The others "
            "than the first are for transfer learning."
        ),
    ] = "toon-head",
    labels: Annotated[
        str | None,
        typer.Option(
            help="Classes, for creps train --labels: by the drawings of hair, rearHair, eyes, "
            "eyebrows, mouth, beard or clothes; hair,clothes combines them."
        ),
    ] = None,
    seed: _SEED = 0,
    workers: _WORKERS = None,
    overwrite: _OVERWRITE = False,
) -> None:
    """Draw portraits into a ZIP file: the same ones for the same seed, on every machine."""
    from creps.data.portraits._drawing import write_portraits
    from creps.data.portraits._styles import portrait_style

    credit = portrait_style(style).credit
    with report("drawing portraits", unit="pictures", per_unit=1) as told:
        drawn = write_portraits(
            out,
            count=count,
            size=size,
            seed=seed,
            style=style,
            labels=() if labels is None else [word.strip() for word in labels.split(",")],
            workers=workers,
            overwrite=overwrite,
            progress=lambda done: told(done, count),
        )
    typer.echo(f"{_written(out, f'{count} portraits of {size} px', drawn)} {credit}")


def earth(
    *,
    count: Annotated[int, typer.Option(help="How many pictures.")],
    out: _OUT,
    map_name: Annotated[
        str,
        typer.Option(
            "--map", help="bmng (satellite), shadedrelief (twice as fine) or etopo1 (heights)."
        ),
    ] = "bmng",
    size: Annotated[
        str,
        typer.Option(
            help="Pixels of each side, or the range of mixed native sizes, such as 128-512."
        ),
    ] = "128-512",
    view: Annotated[
        int | None,
        typer.Option(help="Pixels of the map that a picture shows; its largest size by default."),
    ] = None,
    cylinder: Annotated[
        bool,
        typer.Option(
            "--cylinder",
            help="Slices of a belt around the Earth, at all angles, as for 360 degree panoramas.",
        ),
    ] = False,
    degrees: Annotated[float, typer.Option(help="Longitude that a slice spans.")] = 60.0,
    seed: _SEED = 0,
    workers: _WORKERS = None,
    overwrite: _OVERWRITE = False,
) -> None:
    """Cut pictures of the Earth out of a map into a ZIP file, at places with something to see."""
    from creps.data._earth import MAPS, write_earth
    from creps.errors import UsageError

    first, _, last = size.partition("-")
    if not (first.isdecimal() and (last or first).isdecimal()):
        raise UsageError(f"size {size!r}: expected pixels such as 256, or a range such as 128-512")
    sizes = (int(first), int(last or first))
    with report("cutting out pictures", unit="pictures", per_unit=1) as told:
        drawn = write_earth(
            out,
            map_name=map_name,
            count=count,
            sizes=sizes,
            seed=seed,
            view=view,
            degrees=degrees if cylinder else None,
            workers=workers,
            overwrite=overwrite,
            progress=lambda done: told(done, count),
        )
    kind = f"slices of {degrees:g} degrees" if cylinder else "pictures of the Earth"
    typer.echo(f"{_written(out, f'{count} {kind}, {size} px', drawn)} {MAPS[map_name].credit}.")


def check(
    path: Annotated[
        str,
        typer.Argument(
            help="Folder, ZIP, tar or parquet file, shards as data-{000..012}.tar, or LMDB."
        ),
    ],
    *,
    keep_colors: _KEEP_COLORS = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of text.")
    ] = False,
    workers: _WORKERS = None,
) -> None:
    """Check every picture of a set: sizes, classes, broken files, duplicates, what to train with.

    Exit code 1 if files are broken or pictures are duplicates.
    """
    import json

    from creps.data._checking import check as check_set

    with report("reading pictures", unit="pictures", per_unit=1) as told:
        found = check_set(path, workers=workers, keep_colors=keep_colors, progress=told)
    if as_json:
        typer.echo(json.dumps(found.document() | {"presets": _presets(found)}))
    else:
        _print(found)
    if not found.clean:
        raise typer.Exit(1)


def show(
    path: Annotated[str, typer.Argument(help="The set, as creps train takes it.", metavar="SET")],
    *,
    out: Annotated[Path, typer.Option(help="Folder for the pictures; made if missing.")],
    count: Annotated[int, typer.Option(min=1, help="How many, evenly from the set.")] = 16,
    run: Annotated[
        Path | None,
        typer.Option(help="As this run sees them: its size, channels, colors and framing."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="Training size: 128, or HEIGHTxWIDTH.",
            show_default="as creps data check advises",
        ),
    ] = None,
    channels: Annotated[int, typer.Option(help="1 gray, 3 color, 4 with opacity.")] = 3,
    keep_colors: _KEEP_COLORS = False,
) -> None:
    """Write pictures exactly as training sees them: after color profiles and framing, as PNG."""
    from creps.cli._options import parse_size
    from creps.data._checking import advise
    from creps.errors import UsageError

    wanted = None if size is None else parse_size(size)
    if out.is_file():
        raise UsageError(f"--out {out} is a file: expected a folder")
    if run is not None and (size is not None or channels != 3 or keep_colors):
        raise UsageError("--run says how pictures are seen: leave the other options out")
    from creps.data._batches import Pictures
    from creps.data._sources import open_images
    from creps.rendering import save_picture, to_uint8
    from creps.training._batches import TrainingSet, open_training_set, shown_picture
    from creps.training._config import DataSettings, stored_settings

    pictures: TrainingSet
    if run is not None:
        config = stored_settings(run)[0]
        pictures, wanted = open_training_set(config, Path(path), colors_alone=True), config.size
        if names := config.generator.map_names:
            typer.echo(f"colors alone: not {' and '.join(names)}, which this run has too", err=True)
    else:
        source = open_images(path, channels=channels, keep_colors=keep_colors)
        side = advise(source.sizes.min(1).tolist()).resolution
        wanted = wanted or (side, side)
        height, width = (DataSettings().detail * pixels for pixels in wanted)
        framed = height if height == width else (height, width)
        pictures = Pictures(source, size=framed, mirror=False, labels=False)
    source = pictures.source
    out.mkdir(parents=True, exist_ok=True)
    chosen = [k * len(source) // min(count, len(source)) for k in range(min(count, len(source)))]
    with report("writing pictures", unit="pictures", per_unit=1) as told:
        for done, index in enumerate(chosen, 1):
            image, other = shown_picture(pictures, index, wanted)
            name = source.names[index]
            stem = re.sub(r"[^\w.-]+", "_", Path(name).stem)[-60:]
            save_picture(to_uint8(image), out / f"{index:06d}-{stem}.png", settings={"image": name})
            if other:
                told.say(f"{name} is broken, gone or changed: the next picture takes its place")
            told(done, len(chosen))
    for remark in source.remarks():
        typer.echo(remark)
    typer.echo(
        f"{out}: {len(chosen)} of {len(source):,} pictures, {wanted[0]}x{wanted[1]} px, as "
        "training sees them"
    )


COMMANDS = (portraits, earth, check, show)


def _print(report: Report) -> None:
    """The report as text."""
    from creps.data._store import passed_over_text

    say = _say
    pictures = f"{report.images:,} picture{'s' * (report.images != 1)}"
    say(f"{report.path}: {pictures}, {_counts(report.formats)}")
    say(f"Color: {_counts(report.modes)}")
    if report.turned:
        say(f"{report.turned:,} files are turned upright by their EXIF data")
    if report.converted or report.profiles_left:
        say(_colors(report))
    if report.passed_over:
        say(passed_over_text(report.passed_over))
    if report.classes:
        say(f"{len(report.classes)} classes: {_counts(report.classes)}")
    else:
        say(f"Classes: none ({report.labels_problem})")
    sides = sorted(min(size) for size in report.sizes)
    shapes = sum(height != width for height, width in report.sizes)
    say(
        f"Shorter side: {sides[0]:,} to {sides[-1]:,} px, half of them from "
        f"{sides[len(sides) // 2]:,} px; {shapes:,} of {len(sides):,} are not square\n"
    )
    _print_groups("broken file{s}", [[f"{n}: {why}"] for n, why in report.broken.items()])
    if report.cut_short:
        found = [[f"{name}: {why}"] for name, why in report.cut_short.items()]
        _print_groups("file{s} of pictures that cannot be read to the end", found)
    _print_groups("group{s} of equal pictures", report.same)
    _print_groups("group{s} of pictures that look alike", report.similar)
    _print_advice(report)
    if report.attribution:
        credit = one_line(report.attribution.splitlines()[0])
        say(f"\nThe set requires this credit: {credit} ...")


def _say(text: str) -> None:
    """Print lines that may hold names of strangers' files."""
    for line in text.split("\n"):
        typer.echo(printable(line))


def _colors(report: Report) -> str:
    """What becomes of color profiles."""
    total, left = sum(report.converted.values()), report.profiles_left
    parts = [f"{total:,} are converted to sRGB ({_counts(report.converted)})"] if total else []
    parts += [f"{left:,} leave values as they are"] if left else []
    return "Color profiles: " + ", ".join(parts)


def _print_groups(what: str, groups: list[list[str]], most: int = 8) -> None:
    counted = what.format(s="" if len(groups) == 1 else "s")
    _say(f"{len(groups) or 'No'} {counted}{':' if groups else ''}")
    for group in groups[:most]:
        _say(f"  {'  =  '.join(map(one_line, group[:6]))}{' ...' if len(group) > 6 else ''}")
    if len(groups) > most:
        _say(f"  and {len(groups) - most:,} more (--json lists all)")


def _print_advice(report: Report) -> None:
    """What to train with."""
    from creps.data._checking import cpu_hours
    from creps.data._sources import few_text
    from creps.training._presets import PRESETS

    advice, say = report.advice, _say
    size, batch, path = advice.resolution, advice.batch, shlex.quote(report.path)
    say(f"\nTo start with: {size} px, {advice.levels} levels, batch {batch}")
    say(
        f"  R1 gamma for the papers' loss: {advice.r1_gamma:g} (StyleGAN2-ADA's rule of thumb "
        "0.0002 x pixels^2 / batch; try a fifth and five times of it)"
    )
    for machine, preset in _presets(report).items():
        wanted = _wanted(report, preset, machine)
        say(f"  on a {machine.upper()}: creps train --data {path} --preset {preset} {wanted}")
        if better := PRESETS[preset].features:
            say(f"    with the extra metrics: --preset {better}, which learns more in that time")
    if advice.few:
        say("    without --mirror where left and right differ, as in writing")
    if told := few_text(report.images):
        say(f"  {told}")
    if advice.zoom > 1.5:
        say(f"  half of them have {advice.zoom:g} times that detail, which patches can teach")
    small = _presets(report)["cpu"]
    hours = cpu_hours(PRESETS[small].config.resolution, 400_000)
    cost = "a GPU is needed" if hours is None else f"about {hours:.0f} hours on two CPU cores"
    say(f"  showing {small} 400,000 pictures: {cost}")
    say(f"  one core reads {report.decode_rate:,.0f} pictures a second")


def _wanted(report: Report, preset: str, machine: str) -> str:
    """The options that go with a preset for a set."""
    from creps.training._presets import PRESETS

    config, words = PRESETS[preset].config, ["--out run"]
    if report.advice.few and not config.data.mirror:
        words.append("--mirror")
    if report.advice.few and config.augment.kind == "none":
        words.append(f"--augment {'diffaugment' if machine == 'cpu' else 'ada'}")
    return " ".join(words)


def _presets(report: Report) -> dict[str, str]:
    """The largest presets for any set that are not larger than advised: on a CPU, on a GPU.

    With frozen features where those are installed.
    """
    from creps.training._presets import PRESETS, recommended

    fitting = {
        name: recipe.config.resolution for name, recipe in PRESETS.items() if name.count("-") == 1
    }
    chosen = {}
    for machine, kinds in (("cpu", ("small",)), ("gpu", ("gpu", "paper"))):
        names = [
            name
            for name, resolution in fitting.items()
            if name.split("-")[0] in kinds and resolution <= report.advice.resolution
        ]
        if names:
            chosen[machine] = recommended(max(names, key=lambda name: fitting[name]))
    return chosen


def _counts(counted: dict[str, int], most: int = 12) -> str:
    words = [f"{count:,} {one_line(name)}" for name, count in list(counted.items())[:most]]
    return "; ".join([*words, "..."] if len(counted) > most else words)


def _written(out: Path, what: str, drawn: bool) -> str:
    state = "drawn" if drawn else "already there, nothing to do"
    return f"{out}: {what}, {out.stat().st_size / 1e6:.1f} MB, {state}."
