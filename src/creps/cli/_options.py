"""What several commands share: options, and how their values are parsed."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast, get_type_hints

import typer
from typer.models import OptionInfo

from creps.errors import UsageError
from creps.rendering._words import parse_point, parse_window

if TYPE_CHECKING:
    from creps.networks.base import Generator
    from creps.rendering import Latent, Painter, Renderer, View
    from creps.rendering._view import Fit

MOST_SEEDS = 1_000_000
"""More pictures than this in one command are taken for a mistake."""

UNITS: dict[str | None, float] = {"cm": 2.54, "mm": 25.4, "in": 1.0}
"""How many of a unit of length make an inch."""

MOST_DPI = 65_535
"""What the 16 bits of a JPEG's density can hold."""


def parse_seeds(text: str) -> list[int]:
    """Seeds of `7`, `0-7` or `0-7,12`, in order, each once.

    Example:
        >>> parse_seeds("0-2,12,1")
        [0, 1, 2, 12]
    """
    ranges = []
    for word in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,10})\s*(?:-\s*(\d{1,10})\s*)?", word)
        if not match or int(match[2] or match[1]) < int(match[1]):
            raise UsageError(f"seeds {text!r}: expected numbers and ranges such as 0-7,12")
        ranges.append(range(int(match[1]), int(match[2] or match[1]) + 1))
    count = sum(map(len, ranges))
    if count > MOST_SEEDS:
        raise UsageError(f"seeds {text!r} are {count:,} pictures: expected at most {MOST_SEEDS:,}")
    return list(dict.fromkeys(seed for part in ranges for seed in part))


def parse_size(text: str, *, dpi: float | None = None, across: int = 1) -> tuple[int, int]:
    """(height, width) in pixels of `1024` (of `count` squares side by side), `768x1280`, `30x40cm`.

    Example:
        >>> parse_size("768x1280"), parse_size("10x15cm", dpi=300), parse_size("256", across=3)
        ((768, 1280), (1181, 1772), (256, 768))
    """
    sides, unit = _sides(text)
    if unit not in UNITS:
        pixels = [int(side) for side in sides]
    elif dpi is None:
        raise UsageError(
            f"size {text!r} is a length: say how many pixels an inch too, such as --dpi 300"
        )
    else:
        pixels = [round(float(side) / UNITS[unit] * dpi) for side in sides]
    return pixels[0], pixels[1] if len(pixels) > 1 else pixels[0] * across


def _sides(text: str) -> tuple[list[str], str]:
    """The one or two numbers of a size, and their unit: px, cm, mm or in."""
    match = re.fullmatch(
        r"\s*(\d{1,9}(?:\.\d+)?)\s*(?:[x×]\s*(\d{1,9}(?:\.\d+)?)\s*)?(cm|mm|in|px)?\s*",
        text.lower(),
    )
    sides = [side for side in match.groups()[:2] if side] if match else []
    unit = (match[3] if match else None) or "px"
    if not sides or (unit not in UNITS and any("." in side for side in sides)):
        raise UsageError(
            f"size {text!r}: expected pixels such as 1024 or HEIGHTxWIDTH as 768x1280, "
            "or a print size as 30x40cm, 300x400mm, 8x10in"
        )
    return sides, unit


def checked_size(text: str | None) -> str | None:
    """Refuse a size while options are read, before anything is imported or drawn."""
    if text is not None:
        parse_size(text, dpi=1)
    return text


def joined_size(width: str, height: str) -> str:
    """The text of a size, height first, of a width and a height such as 90cm and 60cm.

    Example:
        >>> joined_size("90cm", "60cm"), joined_size("1280", "768")
        ('60x90cm', '768x1280px')
    """
    (down, unit), (across, other) = _sides(height), _sides(width)
    if unit != other or len(down + across) > 2:
        raise UsageError(
            f"width {width!r} and height {height!r}: expected pixels, or lengths of one unit, such "
            "as --width 90cm --height 60cm"
        )
    return f"{down[0]}x{across[0]}{unit}"


def print_size(text: str, *, dpi: float, across: int = 1) -> str | None:
    """A size in words if it is a length, as print people say it: width first; None for pixels.

    Example:
        >>> print_size("60x90cm", dpi=300)
        '90 cm wide, 60 cm high: 7087 rows of 10630 pixels'
    """
    sides, unit = _sides(text)
    if unit not in UNITS:
        return None
    height = float(sides[0])
    width = float(sides[1]) if len(sides) > 1 else height * across
    rows, columns = parse_size(text, dpi=dpi, across=across)
    return f"{width:g} {unit} wide, {height:g} {unit} high: {rows} rows of {columns} pixels"


def parse_tile(text: str) -> tuple[int, int]:
    """Whole periods (down, across) of `2` or `2x3`.

    Example:
        >>> parse_tile("2x3"), parse_tile("2")
        ((2, 3), (2, 2))
    """
    match = re.fullmatch(r"\s*(\d{1,6})\s*(?:[x×]\s*(\d{1,6})\s*)?", text)
    repeats = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if min(repeats) < 1:
        raise UsageError(f"tile {text!r}: expected whole periods, DOWNxACROSS such as 2x3")
    return repeats


def parse_dpi(text: str) -> float:
    """Pixels an inch, 1 to 65,535, which all formats can note.

    Example:
        >>> parse_dpi("300")
        300.0
    """
    try:
        dpi = float(text)
    except ValueError:
        dpi = 0.0
    if not 1 <= dpi <= MOST_DPI:  # also refuses NaN
        raise UsageError(f"dpi {text!r}: expected pixels an inch, 1 to {MOST_DPI}, such as 300")
    return dpi


def parse_depth(text: str) -> Literal[8, 16]:
    """Bits of a channel.

    Example:
        >>> parse_depth("16")
        16
    """
    if text.strip() not in ("8", "16"):
        raise UsageError(f"depth {text!r}: expected 8 or 16 bits a channel")
    return 16 if text.strip() == "16" else 8


def parse_supersample(text: str) -> int | Literal["auto"]:
    """Samples a side of a pixel: `auto`, or a number from 1 to 16.

    Example:
        >>> parse_supersample("4"), parse_supersample("auto")
        (4, 'auto')
    """
    from creps.rendering._sampling import MOST_SAMPLES

    if text.strip().lower() == "auto":
        return "auto"
    samples = int(text) if re.fullmatch(r"[0-9]{1,9}", text.strip()) else 0
    if not 1 <= samples <= MOST_SAMPLES:
        raise UsageError(
            f"supersample {text!r}: expected auto, or a number from 1 to {MOST_SAMPLES}"
        )
    return samples


LEAST_BEYOND = 0.005
"""Share of a picture beyond what was trained that is worth a word."""

PICTURE = "Which picture"
VIEW = "What is seen of it"
CHANGE = "What is done to it"
MAKING = "How it is made"
"""Groups of options in the help texts."""

Model = Annotated[
    str, typer.Option(help="A packaged model, a folder or a file.", rich_help_panel=PICTURE)
]
Truncation = Annotated[
    float,
    typer.Option(
        help="1: as drawn; towards 0: closer to the average picture.", rich_help_panel=PICTURE
    ),
]
Label = Annotated[
    str | None,
    typer.Option(
        "--class",
        help="Name or index of a class, for class-conditional models: creps info shows them.",
        rich_help_panel=PICTURE,
    ),
]
ComputeDevice = Annotated[
    str,
    typer.Option(
        "--device",
        help="Where to compute: auto (a GPU if there is one), cpu, cuda, cuda:1, mps.",
        rich_help_panel=MAKING,
    ),
]
Dtype = Annotated[
    str | None,
    typer.Option(
        help="Precision: float32, float64; bfloat16 or float16 on accelerators.",
        show_default="the model's own",
        rich_help_panel=MAKING,
    ),
]
DEFAULT_TOLERANCE = 0.5
"""As `rendering._view.TOLERANCE`, which is not imported for a help text."""

Tolerance = Annotated[
    float,
    typer.Option(
        help="How far colors may be off, in gray levels of 255: smooth parts are interpolated from "
        "fewer pixels. 0: evaluate every pixel.",
        rich_help_panel=MAKING,
    ),
]
Exact = Annotated[
    bool,
    typer.Option(
        "--exact",
        help="Evaluate every pixel, and warped pictures without tables of lines: much slower, "
        "closer by a gray level at most.",
        rich_help_panel=MAKING,
    ),
]


Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace an existing file or unfinished work.",
        rich_help_panel=MAKING,
    ),
]


@dataclass(frozen=True, kw_only=True)
class PictureOptions:
    """What `generate` and `render` have in common; `takes` makes these fields options."""

    model: Model = "portraits"
    truncation: Truncation = 1.0
    cutoff: Annotated[
        int | None,
        typer.Option(help="Truncate only this many leading styles.", rich_help_panel=PICTURE),
    ] = None
    label: Label = None
    size: Annotated[
        str | None,
        typer.Option(
            help="Pixels: 1024, or HEIGHTxWIDTH as 768x1280; with --dpi also 30x40cm, 8x10in.",
            show_default="the model's own",
            rich_help_panel=VIEW,
            callback=checked_size,
        ),
    ] = None
    width: Annotated[
        str | None,
        typer.Option(
            help="With --height, instead of --size: pixels, or 90cm.", rich_help_panel=VIEW
        ),
    ] = None
    height: Annotated[
        str | None,
        typer.Option(help="With --width: pixels, or 60cm.", rich_help_panel=VIEW),
    ] = None
    dpi: Annotated[
        str | None,
        typer.Option(help="Pixels an inch, noted in the file, for prints.", rich_help_panel=VIEW),
    ] = None
    zoom: Annotated[
        float | None,
        typer.Option(
            help="4 shows everything four times as large, 0.5 half as large.",
            show_default="1",
            rich_help_panel=VIEW,
        ),
    ] = None
    pan: Annotated[
        str | None,
        typer.Option(
            help="Y,X: this point comes to the middle of the picture; 0,0 is the top left of what "
            "the model was trained on, 1,1 its bottom right.",
            show_default="0.5,0.5",
            rich_help_panel=VIEW,
        ),
    ] = None
    fit: Annotated[
        str,
        typer.Option(
            help="Of pictures that are no square. whole: the whole square that the model was "
            "trained on, and more at two sides; crop: its largest part of this shape.",
            rich_help_panel=VIEW,
        ),
    ] = "whole"
    window: Annotated[
        str | None,
        typer.Option(
            help="Y0,X0,Y1,X1: exactly this part of the plane fills the picture, instead of --zoom "
            "and --pan.",
            show_default="0,0,1,1, widened to fit",
            rich_help_panel=VIEW,
        ),
    ] = None
    supersample: Annotated[
        str,
        typer.Option(
            help="Average NxN samples a pixel; auto: as many as small pictures need.",
            rich_help_panel=CHANGE,
        ),
    ] = "1"
    tolerance: Tolerance = DEFAULT_TOLERANCE
    device: ComputeDevice = "auto"
    dtype: Dtype = None

    @property
    def sides(self) -> str | None:
        """The size as text, height first, of --size or of --width and --height."""
        if self.width is None and self.height is None:
            return self.size
        if self.size is not None or self.width is None or self.height is None:
            raise UsageError("expected --size, or both --width and --height")
        return joined_size(self.width, self.height)

    def announce(self, *, across: int = 1) -> None:
        """Say a print size before hours may go into it."""
        if self.sides is None or self.density is None:
            return
        if words := print_size(self.sides, dpi=self.density, across=across):
            typer.echo(words, err=True)

    def say_beyond(self, painter: Painter, *, warp: str | None = None) -> None:
        """Say how much of a picture nothing has taught the model to draw."""
        share = painter.beyond_training
        if share < LEAST_BEYOND:
            return
        long = painter.height != painter.width and (self.zoom is None or self.zoom >= 1)
        helps = long and self.fit == "whole" and self.window is None and warp is None
        hint = "; --fit crop shows what was trained" if helps else ""
        typer.echo(f"{100 * share:.0f} % of this lies beyond what was trained{hint}", err=True)

    @property
    def density(self) -> float | None:
        """Pixels an inch that the file is to note."""
        return None if self.dpi is None else parse_dpi(self.dpi)

    def latent(
        self, *, seed: int | None = None, styles: str | None = None, blend: str | None = None
    ) -> Latent:
        """Whose picture it is."""
        from creps.rendering import Latent

        return Latent(
            seed=seed,
            styles=styles,
            blend=blend,
            label=self.label,
            truncation=self.truncation,
            truncation_cutoff=self.cutoff,
        )

    def view(
        self,
        *,
        across: int = 1,
        warp: str | None = None,
        exact: bool = False,
        tile: tuple[int, int] | None = None,
        tile_edge: int | None = None,
        depth: Literal[8, 16] = 8,
        dither: bool = False,
        map_name: str = "",
    ) -> View:
        """What is seen of it."""
        from creps.rendering import View

        beside = {"--zoom": self.zoom, "--pan": self.pan, "--fit": self.fit != "whole" or None}
        if self.window is not None and any(given is not None for given in beside.values()):
            raise UsageError("--window given with --zoom, --pan or --fit: expected one of them")
        size = self.sides
        return View(
            size=None if size is None else self._pixels(size, across=across, tiled=bool(tile)),
            zoom=self.zoom,
            pan=None if self.pan is None else parse_point(self.pan, "pan"),
            window=None if self.window is None else parse_window(self.window),
            fit=cast("Fit", self.fit),
            across=across,
            warp=warp,
            supersample=parse_supersample(self.supersample),
            tolerance=self.tolerance,
            exact=exact,
            tile=tile,
            tile_edge=tile_edge,
            depth=depth,
            dither=dither,
            map=map_name,
        )

    def _pixels(self, size: str, *, across: int, tiled: bool) -> int | tuple[int, int]:
        """The size in pixels; of a tile the height alone where it is one number."""
        pixels = parse_size(size, dpi=self.density, across=across)
        return pixels[0] if tiled and len(_sides(size)[0]) == 1 else pixels

    def renderer(self, generator: Generator, latent: Latent) -> Renderer:
        """What makes its pixels, once."""
        from creps.rendering import Renderer

        return Renderer(generator, latent, device=self.device, dtype=self.dtype, keep=None)


def takes(
    kind: type[Any], flags: Mapping[str, OptionInfo] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make the fields of a dataclass options of a command, in place of its first parameter.

    `flags` are the fields that become options, and how; None: all, as their annotations say.
    """
    types = get_type_hints(kind, include_extras=True)
    shown = {each.name: types[each.name] for each in fields(kind)}
    if flags is not None:
        shown = {name: Annotated[types[name], flag] for name, flag in flags.items()}
    shared = [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if each.default is MISSING else each.default,
            annotation=shown[each.name],
        )
        for each in fields(kind)
        if each.name in shown
    ]

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]

        @functools.wraps(command)
        def _command(*first: Any, **given: Any) -> None:
            command(
                kind(**{name: given.pop(name) for name in shown if name in given}), *first, **given
            )

        _command.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
        return _command

    return decorated
