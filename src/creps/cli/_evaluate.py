"""`creps evaluate`, `creps compare`, `creps diagnose`: how good models are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from creps.cli._options import parse_seeds, parse_size, parse_supersample
from creps.cli._progress import report
from creps.errors import UsageError

if TYPE_CHECKING:
    from creps.metrics._evaluate import Evaluation
    from creps.metrics._extractor_names import ExtractorSpec
    from creps.metrics._models import ModelRef
    from creps.metrics._protocol import Protocol

PROTOCOL, MACHINE = "What is measured", "This machine"

Data = Annotated[
    str | None,
    typer.Option(
        help="Real pictures: a folder, ZIP or tar; or portraits, drawn at any size.",
        rich_help_panel=PROTOCOL,
    ),
]
Metrics = Annotated[
    str,
    typer.Option(
        help="all, or some of fd,kid,pr,neighbours,spectrum,patches,consistency,"
        "lattice,equivariance,path.",
        rich_help_panel=PROTOCOL,
    ),
]
Count = Annotated[
    int,
    typer.Option("--n", help="Pictures of each set: compare equal n.", rich_help_panel=PROTOCOL),
]
Sizes = Annotated[
    str | None,
    typer.Option(
        "--size",
        help="Sizes of whole pictures: 64,256.",
        show_default="the model's own",
        rich_help_panel=PROTOCOL,
    ),
]
PatchSizes = Annotated[
    str | None,
    typer.Option(
        help="Patches of pictures of 224-896 pixels a side, or of 4096: 224-896,4096.",
        show_default="1 to 4 patches",
        rich_help_panel=PROTOCOL,
    ),
]
PatchSide = Annotated[
    int | None,
    typer.Option(
        min=8,
        help="Pixels a side of patches; smaller ones suit small pictures.",
        show_default="what the extractor sees",
        rich_help_panel=PROTOCOL,
    ),
]
Probes = Annotated[
    int,
    typer.Option(help="Seeds of consistency, lattice and equivariance.", rich_help_panel=PROTOCOL),
]
Extractor = Annotated[
    str,
    typer.Option(
        help="effnet (offline), inception (the field's FID) or dinov2.", rich_help_panel=PROTOCOL
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(help="Weights file of inception or dinov2.", rich_help_panel=PROTOCOL),
]
Seed = Annotated[
    int, typer.Option(help="First seed of samples, and of every draw.", rich_help_panel=PROTOCOL)
]
Truncation = Annotated[
    float, typer.Option(help="Of samples; 1: as drawn.", rich_help_panel=PROTOCOL)
]
Workers = Annotated[
    int,
    typer.Option(
        min=0,
        help="Processes; 0: this one.",
        show_default="one a core, 8 at most",
        rich_help_panel=MACHINE,
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        help="Where features are kept.", show_default="the user's cache", rich_help_panel=MACHINE
    ),
]

_CORES = min(os.cpu_count() or 1, 8)


def evaluate(
    model: Annotated[str, typer.Argument(help="A packaged model, a folder or a file.")],
    data: Data = None,
    metrics: Metrics = "all",
    n: Count = 2000,
    size: Sizes = None,
    patch_sizes: PatchSizes = None,
    patch_side: PatchSide = None,
    probes: Probes = 50,
    extractor: Extractor = "effnet",
    weights: Weights = None,
    seed: Seed = 0,
    truncation: Truncation = 1.0,
    supersample: Annotated[
        str, typer.Option(help="Samples a pixel, or auto.", rich_help_panel=PROTOCOL)
    ] = "1",
    references: Annotated[
        bool,
        typer.Option(
            "--references",
            help="Also measure other real pictures (as good as it gets), and enlarged small "
            "samples.",
            rich_help_panel=PROTOCOL,
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write the record here: JSON, or a line of .jsonl.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record instead.")] = False,
    workers: Workers = _CORES,
    cache: Cache = None,
) -> None:
    """Measure a model: distances to real pictures, consistency, spectra and more."""
    from creps.metrics._evaluate import write_record

    protocol = _protocol(
        metrics,
        n=n,
        size=size,
        patch_sizes=patch_sizes,
        patch_side=patch_side,
        probes=probes,
        seed=seed,
        truncation=truncation,
        supersample=supersample,
        references=references,
    )
    spec = _extractor(extractor, weights)
    found = _evaluate(_model(model), data, protocol, spec=spec, cache=cache, workers=workers)
    if out is not None:
        write_record(out, found.record)
    if as_json:
        print(json.dumps(found.record, indent=1, ensure_ascii=False))
        return
    console = Console()
    console.print(_table(model, found))
    for note in found.notes:
        console.print(Text(note, style="dim"))
    if out is not None:
        console.print(Text(f"wrote {out}"))


def compare(
    models: Annotated[list[str], typer.Argument(help="Two or more models.")],
    data: Data = None,
    metrics: Metrics = "all",
    n: Count = 2000,
    size: Sizes = None,
    patch_sizes: PatchSizes = None,
    patch_side: PatchSide = None,
    probes: Probes = 50,
    extractor: Extractor = "effnet",
    weights: Weights = None,
    seed: Seed = 0,
    truncation: Truncation = 1.0,
    seeds: Annotated[str, typer.Option(help="Of the samples shown: 0-7.")] = "0-7",
    shown_size: Annotated[
        int | None,
        typer.Option(min=8, help="Pixels of samples shown.", show_default="each model's own"),
    ] = None,
    out: Annotated[Path, typer.Option(help="The HTML page to write.")] = Path("comparison.html"),
    workers: Workers = _CORES,
    cache: Cache = None,
) -> None:
    """Put models side by side: a table, and a page with samples of the same seeds.

    Without --data only what needs no real pictures is measured.
    """
    if len(models) < 2:
        raise UsageError(f"one model, {models[0]}: give two or more to compare")
    from creps.metrics._comparison import (
        comparison_rows,
        number_text,
        short_names,
        write_comparison,
    )

    protocol = _protocol(
        metrics,
        n=n,
        size=size,
        patch_sizes=patch_sizes,
        patch_side=patch_side,
        probes=probes,
        seed=seed,
        truncation=truncation,
    )
    wanted = parse_seeds(seeds)
    spec, refs = _extractor(extractor, weights), [_model(model) for model in models]
    found = [
        _evaluate(ref, data, protocol, spec=spec, cache=cache, workers=workers) for ref in refs
    ]
    names = short_names(models)
    table = Table("", *names)
    for like, numbers, best in comparison_rows(found):
        cells = [
            Text(number_text(number), style="bold" if k == best else "")
            for k, number in enumerate(numbers)
        ]
        table.add_row(Text(like.name), *cells)
    write_comparison(out, refs, found, seeds=wanted, size=shown_size, truncation=truncation)
    console = Console()
    console.print(table)
    console.print(Text(f"wrote {out}: the same table, and samples of seeds {seeds}"))


def diagnose(
    model: Annotated[str, typer.Argument(help="A packaged model, a folder or a file.")],
    data: Annotated[
        str, typer.Option(help="Real pictures to compare with: a folder, ZIP, tar; or portraits.")
    ],
    n: Annotated[int, typer.Option("--n", min=2, help="Pictures of each set.")] = 50,
    size: Annotated[
        str | None,
        typer.Option(help="Of the pictures.", show_default="4 times the training size or more"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The first of the samples.")] = 0,
    out: Annotated[Path, typer.Option(help="The HTML page to write.")] = Path("diagnosis.html"),
    workers: Workers = _CORES,
    cache: Cache = None,
) -> None:
    """Look for waves, mirror symmetry, blobs, stripes, a lattice, blur; say what to change."""
    from creps.metrics._diagnosis import diagnose as look
    from creps.metrics._diagnosis import write_diagnosis
    from creps.metrics._real_images import open_reality

    ref = _model(model)
    real = open_reality(data, channels=_channels(ref))
    pixels = None if size is None else parse_size(size)
    with report("looking", unit=None) as bar:
        found = look(
            ref,
            real,
            count=n,
            size=pixels,
            seed=seed,
            cache=cache,
            workers=workers,
            progress=bar,
        )
    write_diagnosis(out, ref, found)
    console = Console()
    table = Table("artifact", "model", "real", "verdict", "what it is")
    for each in found.findings:
        table.add_row(
            each.name, f"{each.model:.3g}", f"{each.real:.3g}", each.verdict, each.meaning
        )
    console.print(table)
    for each in found.findings:
        if each.advice:
            console.print(Text(f"{each.name} ({each.verdict}): {each.advice}"))
    console.print(Text(f"wrote {out}: spectra, and the samples that show most of it"))


def _protocol(
    metrics: str,
    *,
    n: int,
    size: str | None,
    patch_sizes: str | None,
    patch_side: int | None,
    probes: int,
    seed: int,
    truncation: float,
    supersample: str = "1",
    references: bool = False,
) -> Protocol:
    """The protocol that the options ask for."""
    from creps.metrics._protocol import Protocol, parse_measures

    return Protocol(
        measures=parse_measures(metrics),
        n=n,
        sizes=None if size is None else tuple(parse_size(word) for word in size.split(",")),
        patch_sizes=None if patch_sizes is None else _patch_sizes(patch_sizes),
        patch_side=patch_side,
        probes=probes,
        seed=seed,
        truncation=truncation,
        supersample=parse_supersample(supersample),
        references=references,
    )


def _patch_sizes(text: str) -> tuple[tuple[int, int], ...]:
    """(smallest, largest) of each part of `224-896,4096`."""
    pairs = []
    for part in text.split(","):
        words = [word.strip() for word in part.split("-")]
        if not 1 <= len(words) <= 2 or not all(word.isdecimal() for word in words):
            raise UsageError(f"patch sizes {text!r}: expected pixels such as 1024, or 224-896")
        pairs.append((int(words[0]), int(words[-1])))
    return tuple(pairs)


def _extractor(name: str, weights: Path | None) -> ExtractorSpec:
    from creps.metrics._extractor_names import extractor_spec

    return extractor_spec(name, weights=weights)


def _model(path: str) -> ModelRef:
    from creps.metrics._models import model_ref

    return model_ref(path)


def _channels(model: ModelRef) -> int:
    return int(model.generator().config.img_channels)


def _evaluate(
    model: ModelRef,
    data: str | None,
    protocol: Protocol,
    *,
    spec: ExtractorSpec,
    cache: Path | None,
    workers: int,
) -> Evaluation:
    """Measure behind a bar."""
    from creps.metrics._evaluate import evaluate as measure
    from creps.metrics._real_images import open_reality

    real = (
        None if data is None else open_reality(data, channels=_channels(model), seed=protocol.seed)
    )
    with report(f"measuring {Path(model.path).name}", unit=None) as bar:
        return measure(
            model,
            real,
            protocol,
            extractor=spec,
            cache=cache,
            workers=workers,
            progress=bar,
        )


def _table(model: str, found: Evaluation) -> Table:
    from creps.metrics._comparison import number_text

    protocol = found.record["protocol"]
    extractor = found.record["extractor"]["name"]
    arrows = {"lower": "↓ ", "higher": "↑ ", "": "  "}
    rows = [
        (
            value.name,
            number_text(value.value),
            "" if value.spread is None else f"± {number_text(value.spread)}",
            arrows[value.better] + value.about,
        )
        for value in found.values
    ]
    table = Table(title=Text(f"{model}, n = {protocol['n']}, {extractor}"), box=None)
    # Where there is little room, words are cut off, numbers never are.
    for k, name in enumerate(("metric", "value", "")):
        table.add_column(name, justify="right" if k == 1 else "left", no_wrap=True)
    table.add_column("meaning", style="dim")
    for *numbers, about in rows:
        meaning = Text(about, no_wrap=True, overflow="ellipsis")
        table.add_row(*map(Text, numbers), meaning)
    return table
