"""`creps project`: a given picture as styles of a model."""

from __future__ import annotations

import time
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, cast

import typer

from creps._files import refuse_foreign_name
from creps.cli._options import ComputeDevice, Label, Model, Overwrite
from creps.cli._progress import report
from creps.errors import MissingExtraError, UsageError, utf8
from creps.rendering._words import parse_window

if TYPE_CHECKING:
    from creps.data._framing import Pixels
    from creps.inversion import Space
    from creps.metrics._extractors import EffnetLite0
    from creps.networks.base import Generator

LOOKING = "How to search"
STYLES = "styles.safetensors"

Out = Annotated[Path, typer.Option(help="Folder for what is found.")]

Window = Annotated[
    str | None,
    typer.Option(
        help="Y0,X0,Y1,X1: the part of the plane that the whole picture shows.",
        show_default="0,0,1,1, and the picture's largest centered square",
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
        help="What is compared besides pixels: effnet (extra metrics), none, or auto: effnet if "
        "installed.",
        rich_help_panel=LOOKING,
    ),
]
Steps = Annotated[int, typer.Option(help="Of gradient descent.", rich_help_panel=LOOKING)]
KeepColors = Annotated[
    bool,
    typer.Option(
        "--keep-colors",
        help="Take the picture's values as they are, whatever color profile it has.",
    ),
]
Seed = Annotated[int, typer.Option(help="Of what it begins with.", rich_help_panel=LOOKING)]


def project(
    image: Annotated[Path, typer.Option(help="The picture to find.")],
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
    device: ComputeDevice = "auto",
    keep_colors: KeepColors = False,
    overwrite: Overwrite = False,
) -> None:
    """Find the styles of a picture: then the model paints it at any size, bent or mixed.

    \b
    creps project --image face.png --out found
    creps render --styles found/styles.safetensors --size 4096 --out big.png
    creps render --styles found/styles.safetensors+12:6-10 --out mixed.png

    See docs/projection.md.
    """
    started = time.perf_counter()
    _refuse_there(out, STYLES, overwrite=overwrite)
    where = None if window is None else parse_window(window)
    from creps._devices import find_device
    from creps.coordinates import WHOLE_PLANE, Canvas
    from creps.inversion import InversionSettings, invert, save_inversion

    plane = where or WHOLE_PLANE
    Canvas(1, 1, plane)  # refuses an empty window
    settings = InversionSettings(space=cast("Space", space), steps=steps, starts=starts, seed=seed)
    device = str(find_device(device))
    extractor = _extractor(features, device)
    generator, picture = _opened(
        model, image, device=device, whole=where is not None, keep_colors=keep_colors
    )
    with report("projecting", unit="steps", per_unit=1) as bar:
        found = invert(
            generator,
            picture,
            settings=settings,
            window=plane,
            size=size,
            label=label,
            extractor=extractor,
            progress=bar,
        )
    record = {
        "model": utf8(model),
        "image": utf8(image.name),
        "window": plane,
        "class": None if label is None else generator.class_index(label),
        **vars(settings),
        "compared": list(found.target.shape[2:]),
        "features": "none, pixels alone" if extractor is None else extractor.name,
        "psnr": round(found.psnr, 3),
        "seconds": round(time.perf_counter() - started, 1),
    }
    record, styles = save_inversion(found, out, generator, record=record), out / STYLES
    typer.echo(
        f"{out}: {found.psnr:.2f} dB at {'x'.join(map(str, record['compared']))} pixels, "
        f"features: {record['features']}, {record['seconds']:.0f} s\n"
        f"now: creps render --model {quote(model)} --styles {quote(str(styles))} --size 1024 "
        f"--out {quote(str(out / 'large.png'))}"
    )


def _refuse_there(out: Path, name: str, *, overwrite: bool) -> None:
    """Raise if a result would be replaced without --overwrite."""
    if out.is_file():
        raise UsageError(f"--out {out} is a file: expected a folder")
    if any(part.endswith(Path(STYLES).suffix) for part in out.parts):  # a file, to --styles
        raise UsageError(f"--out {out}: expected a folder, {STYLES} is written into it")
    refuse_foreign_name(out, "safetensors")
    if (out / name).exists() and not overwrite:
        raise UsageError(f"{out / name} exists already: choose another --out, or --overwrite")


def _extractor(features: str, device: str) -> EffnetLite0 | None:
    """The extractor that `--features` names."""
    if features not in ("auto", "effnet", "none"):
        raise UsageError(f"features {features!r}: expected auto, effnet or none")
    if features == "none":
        return None
    from creps.metrics._extractors import effnet

    try:
        return effnet(device=device)
    except MissingExtraError:
        if features == "effnet":
            raise
        return None


def _opened(
    model: str, path: Path, *, device: str, whole: bool, keep_colors: bool
) -> tuple[Generator, Pixels]:
    """The model where it is to work, and the picture or its largest centered square."""
    from creps.checkpoints import load
    from creps.data._framing import square
    from creps.pixels import read_picture

    generator = load(model)
    channels = generator.config.img_channels
    picture = read_picture(path, channels=channels, precise=True, keep_colors=keep_colors)
    if not whole:
        picture = square(picture, min(picture.shape[:2]))
    return generator.to(device), picture
