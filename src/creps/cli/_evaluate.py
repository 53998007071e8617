"""`creps evaluate`, `creps compare`, `creps diagnose`: how good models are."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from creps._files import cores
from creps.cli._options import parse_seeds, parse_size, parse_supersample, takes
from creps.cli._progress import report
from creps.errors import UsageError

if TYPE_CHECKING:
    from creps.metrics import Evaluation, Protocol

_PIXELS = re.compile(r"\d{1,9}")
_CORES = min(cores(), 8)
_measured = functools.partial(typer.Option, rich_help_panel="What is measured")
_machine = functools.partial(typer.Option, rich_help_panel="This machine")

ComputeDevice = Annotated[
    str,
    _machine(
        "--device",
        help="Where to draw and to take features: auto (a GPU if there is one), cpu, cuda, "
        "cuda:1, mps.",
    ),
]
Workers = Annotated[
    int,
    _machine(min=0, help="Processes; 0: this one.", show_default="one a core, 8 at most"),
]
Cache = Annotated[
    Path | None,
    _machine(help="Where features are kept.", show_default="the user's cache"),
]


@dataclass(frozen=True, kw_only=True)
class Measuring:
    """Settings of `evaluate` and `compare`."""

    data: Annotated[
        str | None,
        _measured(help="Real pictures: a folder, ZIP or tar; or portraits, drawn at any size."),
    ] = None
    metrics: Annotated[
        str,
        _measured(
            help="all, or some of fd,kid,pr,attributes,neighbors,spectrum,patches,consistency,"
            "grid,equivariance,path."
        ),
    ] = "all"
    n: Annotated[
        int,
        _measured("--n", help="Pictures of each set: compare equal n."),
    ] = 2000
    size: Annotated[
        str | None,
        _measured(help="Sizes of whole pictures: 64,256.", show_default="the model's own"),
    ] = None
    patch_sizes: Annotated[
        str | None,
        _measured(
            help="Patches of pictures of 224-896 pixels a side, or of 4096: 224-896,4096.",
            show_default="1 to 4 patches",
        ),
    ] = None
    patch_side: Annotated[
        int | None,
        _measured(
            min=8,
            help="Pixels a side of patches; smaller ones suit small pictures.",
            show_default="what the extractor sees",
        ),
    ] = None
    probes: Annotated[
        int,
        _measured(help="Seeds of consistency, grid and equivariance."),
    ] = 50
    extractor: Annotated[
        str,
        _measured(
            help="effnet (offline), portraits (drawn ones alone; knows no ImageNet), inception "
            "(the field's FID) or dinov2."
        ),
    ] = "effnet"
    weights: Annotated[
        Path | None,
        _measured(help="Weights file of inception or dinov2."),
    ] = None
    seed: Annotated[
        int,
        _measured(help="First seed of samples, and of every draw."),
    ] = 0
    truncation: Annotated[float, _measured(help="Of samples; 1: as drawn.")] = 1.0
    device: ComputeDevice = "auto"
    workers: Workers = _CORES
    cache: Cache = None

    def protocol(self, *, supersample: str = "1", references: bool = False) -> Protocol:
        """The protocol of these words."""
        from creps.metrics import Protocol, parse_metrics

        sizes = self.size and tuple(parse_size(word) for word in self.size.split(","))
        return Protocol(
            metrics=parse_metrics(self.metrics),
            n=self.n,
            sizes=sizes or None,
            patch_sizes=None if self.patch_sizes is None else _patch_sizes(self.patch_sizes),
            patch_side=self.patch_side,
            probes=self.probes,
            seed=self.seed,
            truncation=self.truncation,
            supersample=parse_supersample(supersample),
            references=references,
        )


@takes(Measuring)
def evaluate(
    asked: Measuring,
    model: Annotated[str, typer.Argument(help="A packaged model, a folder or a file.")],
    supersample: Annotated[str, _measured(help="Samples a pixel, or auto.")] = "1",
    references: Annotated[
        bool,
        _measured(
            "--references",
            help="Also measure other real pictures (as good as it gets), and enlarged small "
            "samples.",
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write the record here: JSON, or a line of .jsonl.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record instead.")] = False,
) -> None:
    """Measure a model: distances to real pictures, consistency, spectra and more."""
    from creps import metrics

    protocol = asked.protocol(supersample=supersample, references=references)
    with report(f"measuring {Path(model).name}", unit=None) as bar:
        found = metrics.evaluate(
            model,
            asked.data,
            protocol,
            extractor=asked.extractor,
            weights=asked.weights,
            device=asked.device,
            cache=asked.cache,
            workers=asked.workers,
            progress=bar,
        )
    if out is not None:
        metrics.write_record(out, found.record)
    if as_json:
        print(json.dumps(found.record, indent=1, ensure_ascii=False))
        return
    console = Console()
    console.print(_table(model, found))
    for note in found.notes:
        console.print(Text(note, style="dim"))
    if out is not None:
        console.print(Text(f"wrote {out}"))


@takes(Measuring)
def compare(
    asked: Measuring,
    models: Annotated[list[str], typer.Argument(help="Two or more models.")],
    seeds: Annotated[str, typer.Option(help="Of the samples shown: 0-7.")] = "0-7",
    shown_size: Annotated[
        int | None,
        typer.Option(
            min=8,
            max=4096,
            help="Pixels of samples shown.",
            show_default="the models' own, or the largest",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The HTML page to write.")] = Path("comparison.html"),
) -> None:
    """Put models side by side: a table, and a page with samples of the same seeds.

    Without --data only what needs no real pictures is measured. Models of different natural sizes
    are measured at the largest of them, unless --size says otherwise.
    """
    from creps import metrics

    protocol, wanted = asked.protocol(), parse_seeds(seeds)
    with report("measuring", unit=None) as bar:
        found = metrics.compare(
            models,
            asked.data,
            protocol,
            extractor=asked.extractor,
            weights=asked.weights,
            device=asked.device,
            cache=asked.cache,
            workers=asked.workers,
            progress=bar,
        )
    found.write_page(out, seeds=wanted, size=shown_size, truncation=asked.truncation)
    table = Table("", *found.names)
    for row in found.rows:
        cells = [
            Text(metrics.number_text(number), style="bold" if k == row.best else "")
            for k, number in enumerate(row.numbers)
        ]
        table.add_row(Text(row.like.name), *cells)
    console = Console()
    console.print(table)
    if protocol.sizes is None and found.size is not None:
        height, width = found.size
        console.print(Text(f"their own sizes differ: all were measured at {height}x{width} px"))
    console.print(Text(f"wrote {out}: the same table, and samples of seeds {seeds}"))


def diagnose(
    model: Annotated[str, typer.Argument(help="A packaged model, a folder or a file.")],
    data: Annotated[
        str, typer.Option(help="Real pictures to compare with: a folder, ZIP, tar; or portraits.")
    ],
    n: Annotated[int, typer.Option("--n", min=2, max=10**6, help="Pictures of each set.")] = 50,
    size: Annotated[
        str | None,
        typer.Option(help="Of the pictures.", show_default="4 times the training size or more"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The first of the samples.")] = 0,
    out: Annotated[Path, typer.Option(help="The HTML page to write.")] = Path("diagnosis.html"),
    device: ComputeDevice = "auto",
    workers: Workers = _CORES,
    cache: Cache = None,
) -> None:
    """Search for waves, mirror symmetry, blobs, stripes, a grid, blur; say what to change."""
    from creps import metrics

    pixels = None if size is None else parse_size(size)
    with report("looking", unit=None) as bar:
        found = metrics.diagnose(
            model,
            data,
            count=n,
            size=pixels,
            seed=seed,
            device=device,
            cache=cache,
            workers=workers,
            progress=bar,
        )
    found.write_page(out)
    console = Console()
    table = Table("artifact", "model", "real", "verdict", "what it is")
    for each in found.findings:
        numbers = (f"{number:.3g}" for number in (each.model, each.real))
        table.add_row(each.name, *numbers, each.verdict, each.meaning)
    console.print(table)
    for each in found.findings:
        if each.advice:
            console.print(Text(f"{each.name} ({each.verdict}): {each.advice}"))
    console.print(Text(f"wrote {out}: spectra, and the samples that show most of it"))


def _patch_sizes(text: str) -> tuple[tuple[int, int], ...]:
    """(smallest, largest) of each part of `224-896,4096`."""
    pairs = []
    for part in text.split(","):
        words = [word.strip() for word in part.split("-")]
        if not 1 <= len(words) <= 2 or not all(map(_PIXELS.fullmatch, words)):
            raise UsageError(f"patch sizes {text!r}: expected pixels such as 1024, or 224-896")
        pairs.append((int(words[0]), int(words[-1])))
    return tuple(pairs)


def _table(model: str, found: Evaluation) -> Table:
    from creps.metrics import number_text

    n, extractor = found.record["protocol"]["n"], found.record["extractor"]["name"]
    arrows = {"lower": "↓ ", "higher": "↑ ", "": "  "}
    table = Table(title=Text(f"{model}, n = {n}, {extractor}"), box=None)
    # Where there is little room, words are cut off, numbers never are.
    for k, name in enumerate(("metric", "value", "")):
        table.add_column(name, justify="right" if k == 1 else "left", no_wrap=True)
    table.add_column("meaning", style="dim")
    for value in found.values:
        spread = "" if value.spread is None else f"± {number_text(value.spread)}"
        about = Text(arrows[value.better] + value.about, no_wrap=True, overflow="ellipsis")
        table.add_row(Text(value.name), Text(number_text(value.value)), Text(spread), about)
    return table
