"""`creps project` and `creps fit`: a given picture as styles of a model, or as thick lines."""

from __future__ import annotations

import json
import re
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from creps.cli.options import ComputeDevice, Label, Model
from creps.cli.parsing import parse_window
from creps.cli.progress import Report, report
from creps.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from creps.data.framing import Pixels
    from creps.metrics.extractors.features import EffnetLite0
    from creps.networks.base import Generator
    from creps.training.fitting import Composition, Fit
    from creps.training.projection import Projection, Space

LOOKING, FITTING = "How it is looked for", "What is fitted"
THICKEST = 4096

Out = Annotated[Path, typer.Option(help="Folder for what is found.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a result that is there.")]


Window = Annotated[
    str | None,
    typer.Option(
        help="Y0,X0,Y1,X1: the part of the plane that the whole picture shows.",
        show_default="0,0,1,1, and the picture's largest centred square",
    ),
]
StyleSpace = Annotated[
    str,
    typer.Option(
        help="w: close to what the model paints; w+: other styles in each layer, closer to the "
        "picture.",
        rich_help_panel=LOOKING,
    ),
]
Starts = Annotated[int, typer.Option(help="Places to start from.", rich_help_panel=LOOKING)]
Compared = Annotated[
    int | None,
    typer.Option(
        min=8,
        help="Pixels of the longer side that are compared.",
        show_default="128, or the model's own if more",
        rich_help_panel=LOOKING,
    ),
]
Features = Annotated[
    str,
    typer.Option(
        help="What is compared beside pixels: effnet (extra metrics), none, or auto: effnet if it "
        "is there.",
        rich_help_panel=LOOKING,
    ),
]
Steps = Annotated[int, typer.Option(help="Of gradient descent.", rich_help_panel=LOOKING)]
Seed = Annotated[int, typer.Option(help="Of what it begins with.", rich_help_panel=LOOKING)]
Thickness = Annotated[
    str, typer.Option(help="Thickness D of the lines, one or several.", rich_help_panel=FITTING)
]
Composed = Annotated[
    str,
    typer.Option(
        help="lines: of each colour, as in the paper's Fig. 3; decoders: of several levels, fused "
        "as the generator does.",
        rich_help_panel=FITTING,
    ),
]
Levels = Annotated[int, typer.Option(help="Of decoders.", rich_help_panel=FITTING)]
Channels = Annotated[int, typer.Option(help="Of the lines of decoders.", rich_help_panel=FITTING)]
Longest = Annotated[
    int,
    typer.Option(
        min=1,
        max=THICKEST,
        help="The longer side is reduced to this many pixels.",
        rich_help_panel=FITTING,
    ),
]


def project(
    image: Annotated[Path, typer.Option(help="The picture to look for.")],
    out: Out = Path("out/projection"),
    model: Model = "portraits",
    window: Window = None,
    label: Label = None,
    space: StyleSpace = "w",
    steps: Steps = 300,
    starts: Starts = 4,
    seed: Seed = 0,
    size: Compared = None,
    features: Features = "auto",
    device: ComputeDevice = None,
    overwrite: Overwrite = False,
) -> None:
    """Find the styles of a picture: then the model paints it at any size, bent or mixed.

    \b
    creps project --image face.png --out found
    creps render --styles found/styles.safetensors --size 4096 --out big.png
    creps render --styles found/styles.safetensors+12:6-10 --out mixed.png

    docs/projection.md tells more.
    """
    started = time.perf_counter()
    _refuse_there(out, "styles.safetensors", overwrite=overwrite)
    where = None if window is None else parse_window(window)
    from creps.coordinates import WHOLE_PLANE, Canvas
    from creps.training.projection import ProjectionSettings
    from creps.training.projection import project as look

    plane = where or WHOLE_PLANE
    Canvas(1, 1, plane)  # refuses an empty window
    settings = ProjectionSettings(space=cast("Space", space), steps=steps, starts=starts, seed=seed)
    extractor = _extractor(features, device)
    generator, picture = _opened(model, image, device=device, whole=where is not None)
    with report("projecting", unit="steps", per_unit=1) as bar:
        found = look(
            generator,
            picture,
            settings=settings,
            window=plane,
            size=size,
            label=_label(label),
            extractor=extractor,
            progress=bar,
        )
    record = {
        "model": model,
        "image": image.name,
        "window": plane,
        "class": label,
        **vars(settings),
        "compared": list(found.target.shape[2:]),
        "features": "none, pixels alone" if extractor is None else extractor.name,
        "psnr": round(found.psnr, 3),
        "seconds": round(time.perf_counter() - started, 1),
    }
    _write_projection(out, generator, found, record=record)
    typer.echo(
        f"{out}: {found.psnr:.2f} dB at {'x'.join(map(str, record['compared']))} pixels, "
        f"features: {record['features']}, {record['seconds']:.0f} s\n"
        f"now: creps render --model {model} --styles {out / 'styles.safetensors'} --size 1024 "
        f"--out {out / 'large.png'}"
    )


def fit(
    photo: Annotated[Path, typer.Argument(help="The picture to fit.")],
    out: Out = Path("out/fit"),
    thickness: Thickness = "1,8,32",
    composition: Composed = "lines",
    levels: Levels = 3,
    channels: Channels = 4,
    longest: Longest = 512,
    steps: Steps = 1000,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Write a picture as products of few rows and columns (CREPS, Fig. 3): what is lost?

    \b
    creps fit photo.jpg --thickness 1,8,32 --out fitted

    docs/projection.md tells more.
    """
    _refuse_there(out, "results.json", overwrite=overwrite)
    from creps.training.fitting import FitSettings, fit_picture

    chosen = [
        FitSettings(
            thickness=each,
            composition=cast("Composition", composition),
            levels=levels,
            channels=channels,
            steps=steps,
            seed=seed,
        )
        for each in _thicknesses(thickness)
    ]
    picture = _reduced(photo, longest)
    fits = []
    with report("fitting", unit="steps", per_unit=1) as bar:
        for number, settings in enumerate(chosen):
            bar.describe(f"fitting D = {settings.thickness}")
            told = partial(_tell, bar, number * steps, len(chosen) * steps)
            fits.append(fit_picture(picture, settings, progress=told))
    _write_fits(out, photo, picture, fits)


def _tell(bar: Report, before: int, total: int, done: int, _: int) -> None:
    """Tell how far one of several fits is."""
    bar(before + done, total)


def _thicknesses(text: str) -> list[int]:
    """Numbers of `1,8,32`, in order, each once."""
    words = [word.strip() for word in text.split(",")]
    if not all(re.fullmatch(r"[0-9]{1,4}", word) and 0 < int(word) <= THICKEST for word in words):
        raise UsageError(
            f"thickness {text!r}: expected numbers from 1 to {THICKEST} such as 1,8,32"
        )
    return list(dict.fromkeys(map(int, words)))


def _refuse_there(out: Path, name: str, *, overwrite: bool) -> None:
    """Raise where a result would be replaced unasked."""
    if out.is_file():
        raise UsageError(f"--out {out} is a file: expected a folder")
    if (out / name).exists() and not overwrite:
        raise UsageError(f"{out / name} is there already: choose another --out, or --overwrite")


def _extractor(features: str, device: str | None) -> EffnetLite0 | None:
    """What `--features` asks for."""
    if features not in ("auto", "effnet", "none"):
        raise UsageError(f"features {features!r}: expected auto, effnet or none")
    if features == "none":
        return None
    from creps.metrics.extractors.features import effnet

    try:
        return effnet(device=device or "cpu")
    except MissingExtraError:
        if features == "effnet":
            raise
        return None


def _label(label: int | None) -> Tensor | None:
    if label is None:
        return None
    import torch

    return torch.tensor([label])


def _opened(model: str, path: Path, *, device: str | None, whole: bool) -> tuple[Generator, Pixels]:
    """The model where it is to work, and the picture or its largest centred square."""
    from creps.checkpoints.native import load
    from creps.data.framing import square
    from creps.data.reading.single import read_picture
    from creps.rendering.requests import checked_device

    generator = load(model)
    picture = read_picture(path, channels=generator.config.img_channels, precise=True)
    if not whole:
        picture = square(picture, min(picture.shape[:2]))
    return generator.to(checked_device(device, generator)), picture


def _reduced(path: Path, longest: int) -> Pixels:
    """The picture by area averages, where it is larger."""
    from creps.data.framing import area_average
    from creps.data.reading.single import read_picture

    picture = read_picture(path, shortest=2 * longest, precise=True)
    height, width = picture.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return picture
    size = max(round(scale * height), 1), max(round(scale * width), 1)
    return area_average(picture, (0.0, 0.0, float(height), float(width)), size)


def _write_projection(
    out: Path, generator: Generator, found: Projection, *, record: dict[str, Any]
) -> None:
    """The styles, the picture, both beside each other, and the record, which comes last."""
    import numpy as np

    from creps.checkpoints.fingerprints import fingerprint
    from creps.files import write_atomically
    from creps.rendering.renderer import to_uint8
    from creps.rendering.sheets import contact_sheet
    from creps.rendering.styling.stored import save_styles
    from creps.rendering.writers import save_picture

    out.mkdir(parents=True, exist_ok=True)
    record["weights"] = fingerprint(generator)
    if credits := generator.record.get("credits"):
        record["credits"] = credits
    save_styles(out / "styles.safetensors", found.styles, record=record)
    target, image = (to_uint8(each[0]) for each in (found.target, found.image))
    save_picture(out / "picture.png", image, settings=record)
    difference = np.abs(image.astype(np.int16) - target)
    beside = contact_sheet([target, image, difference.astype(np.uint8)], columns=3)
    save_picture(out / "comparison.png", beside, settings=record)
    lines = {**record, "losses": [float(f"{loss:.4g}") for loss in found.losses]}
    write_atomically(out / "record.json", (json.dumps(lines, indent=1) + "\n").encode())


def _write_fits(out: Path, photo: Path, picture: Pixels, fits: list[Fit]) -> None:
    """A picture of each thickness, all beside each other, a table on screen and as JSON."""
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    from creps.data.framing import like
    from creps.files import write_atomically
    from creps.rendering.sheets import Panel, captioned_sheet
    from creps.rendering.writers import save_picture
    from creps.training.fitting import least_error

    out.mkdir(parents=True, exist_ok=True)
    byte = np.zeros(1, np.uint8)
    rounded = like(np.asarray(picture, np.float32), byte)
    height, width = picture.shape[:2]
    panels = [Panel(rounded, "the picture", f"{height}x{width} pixels")]
    table = Table("D", "MSE", "PSNR", "least MSE", "numbers", "of the picture's")
    rows: list[dict[str, Any]] = []
    for each in fits:
        plain = each.settings.composition == "lines"
        row = {
            "thickness": each.settings.thickness,
            "mse": each.mse,
            "psnr": each.psnr,
            "least_mse": least_error(picture, each.settings.thickness) if plain else None,
            "values": each.values,
            "share": each.share,
        }
        rows.append(row)
        name = f"thickness-{row['thickness']}"
        shown = like(each.image, byte)
        save_picture(out / f"{name}.png", shown, settings={"photo": photo.name, **row})
        panels.append(
            Panel(shown, f"D = {row['thickness']}", f"MSE {each.mse:.5f}, {each.share:.1%}")
        )
        least = f"{row['least_mse']:.5f}" if plain else "-"
        table.add_row(
            str(row["thickness"]),
            f"{each.mse:.5f}",
            f"{each.psnr:.2f} dB",
            least,
            f"{each.values:,}",
            f"{each.share:.2%}",
        )
    heading = f"{fits[0].settings.composition}, {fits[0].settings.steps} steps"
    save_picture(out / "comparison.png", captioned_sheet([panels], heading=heading))
    document = {
        "photo": photo.name,
        "size": [height, width],
        "unit": "squared error of colours from 0 to 1",
        "settings": vars(fits[0].settings) | {"thickness": [row["thickness"] for row in rows]},
        "fits": rows,
    }
    write_atomically(out / "results.json", (json.dumps(document, indent=1) + "\n").encode())
    console = Console()
    console.print(table)
    console.print(f"wrote {out}", highlight=False)
