"""The options of `creps train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

RECIPE, RUN, MACHINE = "What is trained", "The run", "This machine"
"""Groups of options in the help text."""

Data = Annotated[
    Path | None,
    typer.Option(
        help="Pictures of any size: a folder, a zip, or tar shards. \\[required]",
        show_default=False,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        help="The run's folder; an unfinished run there goes on. \\[required]",
        show_default=False,
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(help="Recipe to start from; see --list-presets. \\[required]", show_default=False),
]
ListPresets = Annotated[
    bool, typer.Option("--list-presets", help="Print the recipes and what to expect of them.")
]
DryRun = Annotated[
    bool, typer.Option(help="Say what would be done and how long it takes; write nothing.")
]
Start = Annotated[
    Path | None,
    typer.Option(
        "--from",
        help="Run or model that a new run goes on from: other data, settings or resolution; "
        "a larger generator.resolution adds levels.",
        rich_help_panel=RECIPE,
    ),
]
Loss = Annotated[
    Literal["relativistic", "nonsaturating"] | None,
    typer.Option(
        help="R3GAN's loss with R1 + R2, or the paper's with R1 + path lengths.",
        show_default="the preset's",
        rich_help_panel=RECIPE,
    ),
]
Augment = Annotated[
    Literal["ada", "diffaugment", "none"] | None,
    typer.Option(
        help="For less than about 30,000 pictures: ada adapts to them, diffaugment is lighter.",
        show_default="the preset's",
        rich_help_panel=RECIPE,
    ),
]
Mirror = Annotated[
    bool,
    typer.Option("--mirror", help="Add the mirror image of every picture.", rich_help_panel=RECIPE),
]
Labels = Annotated[
    bool,
    typer.Option(
        "--labels", help="Class-conditional, on the data's labels.", rich_help_panel=RECIPE
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Change any setting: --set loss.r1_gamma=2 --set height=192; RUN/config.json "
        "shows them all. May be repeated.",
        rich_help_panel=RECIPE,
    ),
]
Images = Annotated[
    int | None,
    typer.Option(help="Pictures to show before it ends.", rich_help_panel=RUN),
]
Seed = Annotated[int | None, typer.Option(help="Seed of the whole run.", rich_help_panel=RUN)]
TimeLimit = Annotated[
    str | None,
    typer.Option(help="Stop after so long (90s, 30m, 2h) with a snapshot.", rich_help_panel=RUN),
]
Loggers = Annotated[
    list[str] | None,
    typer.Option(
        "--logger",
        help="Also log to tensorboard (RUN/tensorboard), trackio or wandb. May be repeated.",
        show_default="RUN/log.jsonl alone",
        rich_help_panel=RUN,
    ),
]
Open = Annotated[
    bool,
    typer.Option(
        "--open",
        help="Keep RUN/report.html (curves, samples, the doctor's words) up to date at each "
        "preview, and open it in the browser.",
        rich_help_panel=RUN,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        help="auto (a GPU if there is one), cpu, cuda, cuda:1, mps.", rich_help_panel=MACHINE
    ),
]
Precision = Annotated[
    Literal["float32", "bfloat16", "float16"] | None,
    typer.Option(
        help="bfloat16 halves time and memory on newer GPUs; float16 on older ones.",
        show_default="the preset's",
        rich_help_panel=MACHINE,
    ),
]
Accumulate = Annotated[
    int | None,
    typer.Option(
        help="Compute a batch in so many parts, where it does not fit into memory at once.",
        show_default="the preset's",
        rich_help_panel=MACHINE,
    ),
]
