"""`creps info`, `convert` and `export`: what a model is, models from and for other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from creps.cli import _options as options
from creps.errors import UsageError, one_line, printable, shortened

if TYPE_CHECKING:
    from creps.checkpoints import ModelSummary


def info(
    model: Annotated[str, typer.Argument(help="A packaged name, a model directory or a file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Say what a model is: its network, its size, how it was trained and whom to credit."""
    from creps.checkpoints import load, summarize, weights_id

    summary, weights = summarize(model), weights_id(load(model))
    if as_json:
        document = summary.document
        values = {
            "path": str(summary.path),
            "family": document.family,
            "parameters": summary.parameters,
            "file_bytes": summary.file_bytes,
            "stored_as": summary.stored_as,
            "weights_id": weights,
            "config": dict(document.config),
            "record": dict(document.record),
        }
        print(json.dumps(values, indent=2, ensure_ascii=False))
        return
    table = Table(title=Text(printable(model)), show_header=False)
    for name, value in _facts(summary, weights):
        lines = shortened(value, _LONGEST).splitlines()[:_MOST_LINES]
        shown = Text("\n".join(map(printable, lines)), overflow="fold")
        table.add_row(Text(one_line(name)), shown)
    Console().print(table)


def convert(
    source: Annotated[
        Path,
        typer.Argument(help="An official network-snapshot-*.pkl, or a .pt of state dictionaries."),
    ],
    out: Annotated[Path, typer.Option(help="Directory to write, or a .safetensors file.")],
    which: Annotated[str, typer.Option(help="G_ema (the averaged one) or G.")] = "G_ema",
    overwrite: Annotated[bool, typer.Option(help="Replace an existing model.")] = False,
) -> None:
    """Convert an official model of any family known here; nothing in its file is run."""
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists: give another --out, or --overwrite to replace the model")
    from creps.checkpoints import convert as convert_official
    from creps.checkpoints import save, weights_id

    generator, record = convert_official(source, which=which)
    save(generator, out, record=record)
    print(f"wrote {out}")
    print(f"weights id {weights_id(generator)}")
    print(record["credits"])


def export(
    model: options.Model = "portraits",
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("model.onnx"),
    format: Annotated[str, typer.Option(help="onnx.")] = "onnx",
    start: Annotated[
        str, typer.Option(help="What the file draws from: styles, or z, which maps inside.")
    ] = "styles",
    mapping: Annotated[
        Path | None, typer.Option(help="Also write the way from z to styles, to this file.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace existing files.")] = False,
) -> None:
    """Write a CREPS or CIPS model for other programs: ONNX, of any height and width."""
    if format != "onnx":
        raise UsageError(f"format {format!r}: expected onnx")
    for file in (out, mapping):
        if file is not None and file.suffix != ".onnx":
            raise UsageError(f"{file}: expected a name that ends with .onnx")
    if start not in ("styles", "z"):
        raise UsageError(f"start {start!r}: expected styles or z")
    if mapping == out:
        raise UsageError(f"--out and --mapping are both {out}: give two files")
    for file in (out, mapping):
        if file is not None and file.exists() and not overwrite:
            raise UsageError(f"{file} exists: give another name, or --overwrite to replace it")
    from creps.checkpoints import export_mapping, export_onnx, load

    generator = load(model)
    error = export_onnx(generator, out, start="z" if start == "z" else "styles")
    print(f"wrote {out}: {error:.1e} from PyTorch at worst, at three sizes")
    if mapping is not None:
        error = export_mapping(generator, mapping)
        print(f"wrote {mapping}: {error:.1e} from PyTorch at worst")


def _facts(summary: ModelSummary, weights: str) -> list[tuple[str, str]]:
    """Rows of the table: the config's main numbers, the file, then the record."""
    config, record = summary.document.config, summary.document.record
    by_latent = ", by the latent where none is chosen" * bool(config.get("class_from_latent"))
    # A stored config may leave out what is the family's default.
    shown = {
        "natural size": ("resolution", "{0} x {0} pixels"),
        "colors": ("img_channels", "{} channels"),
        "latent": ("z_dim", "{} numbers"),
        "classes": ("label_dim", "{}" + by_latent),
        "sampling": ("sampling", "{}"),
        "thickness": ("thickness", "{}"),
        "composition": ("composition", "{}"),
    }
    rows = [("family", summary.document.family)]
    rows += [
        (name, form.format(config[key])) for name, (key, form) in shown.items() if key in config
    ]
    if any(period := config.get("period", ())):
        rows.append(("repeats after", "{:g} x {:g} plane units".format(*period)))
    rows += [
        ("parameters", f"{summary.parameters:,}"),
        ("weights", f"{summary.file_bytes / 1e6:.1f} MB, {summary.stored_as}"),
        ("weights id", weights),
        ("file", str(summary.path)),
    ]
    told = _record_rows(record, "")
    rows += told[:_MOST_ROWS]
    if len(told) > _MOST_ROWS:
        rows.append(("and more", f"{len(told) - _MOST_ROWS:,} entries: --json shows them"))
    return rows


_MOST_ROWS = 200
"""Of a record: tables of strangers' megabytes take minutes."""
_MOST_LINES, _LONGEST = 50, 2000
"""Lines and characters of a value."""


def _record_rows(record: Any, name: str) -> list[tuple[str, str]]:
    """One row for each leaf of the record, named by its path."""
    if isinstance(record, dict):
        prefix = f"{name}." if name else ""
        return [row for key, value in record.items() for row in _record_rows(value, prefix + key)]
    if isinstance(record, list):
        if any(isinstance(each, dict | list) for each in record):
            return _record_rows({str(k): each for k, each in enumerate(record, 1)}, name)
        return [(name, ", ".join(map(str, record)))]
    return [(name, str(record))]
