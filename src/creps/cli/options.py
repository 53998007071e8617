"""Options that several commands take, said once."""

from __future__ import annotations

from typing import Annotated

import typer

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
Cutoff = Annotated[
    int | None,
    typer.Option(help="Truncate only this many leading styles.", rich_help_panel=PICTURE),
]
Label = Annotated[
    int | None,
    typer.Option(
        "--class", help="Class index, for class-conditional models.", rich_help_panel=PICTURE
    ),
]
Size = Annotated[
    str | None,
    typer.Option(
        help="Pixels: 1024, or HEIGHTxWIDTH as 768x1280; with --dpi also 30x40cm, 8x10in.",
        show_default="the model's own",
        rich_help_panel=VIEW,
    ),
]
Dpi = Annotated[
    str | None,
    typer.Option(help="Pixels an inch, noted in the file, for prints.", rich_help_panel=VIEW),
]
Zoom = Annotated[
    float | None,
    typer.Option(
        help="4 shows everything four times as large, 0.5 half as large.",
        show_default="1",
        rich_help_panel=VIEW,
    ),
]
Pan = Annotated[
    str | None,
    typer.Option(
        help="Y,X: this point comes to the middle of the picture; 0,0 is the top left of what the "
        "model was trained on, 1,1 its bottom right.",
        show_default="0.5,0.5",
        rich_help_panel=VIEW,
    ),
]
Window = Annotated[
    str | None,
    typer.Option(
        help="Y0,X0,Y1,X1: exactly this part of the plane fills the picture, instead of --zoom and "
        "--pan.",
        show_default="0,0,1,1, widened to fit",
        rich_help_panel=VIEW,
    ),
]
Supersample = Annotated[
    str,
    typer.Option(
        help="Average NxN samples a pixel; auto: as many as small pictures need.",
        rich_help_panel=CHANGE,
    ),
]
ComputeDevice = Annotated[
    str | None,
    typer.Option(
        "--device",
        help="Where to compute: cpu, cuda, cuda:1, mps.",
        show_default="cpu",
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
Exact = Annotated[
    bool,
    typer.Option(
        "--exact",
        help="Warped pictures without tables of lines: much slower, closer by less than a grey "
        "level.",
        rich_help_panel=MAKING,
    ),
]
