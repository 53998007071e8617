"""Measure a model: one protocol, shared features, a record with all that it takes to repeat it."""

from __future__ import annotations

import json
import math
import os
import platform
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from creps.config import to_dict
from creps.files import write_atomically
from creps.metrics.evaluation.collecting import Progress, collect
from creps.metrics.evaluation.models import ModelRef
from creps.metrics.evaluation.planning import Task, plan
from creps.metrics.evaluation.protocol import Protocol
from creps.metrics.evaluation.realities import Images, Portraits
from creps.metrics.evaluation.scoring import Value, score
from creps.metrics.extractors.by_name import ExtractorSpec

__all__ = ["Evaluation", "Protocol", "Value", "evaluate", "write_record"]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was measured.

    Attributes:
        values: the numbers, in the order to show them in.
        notes: what was left out and why, and what else people should know.
        record: everything it takes to repeat it, as JSON, the numbers included.
    """

    values: list[Value]
    notes: list[str]
    record: dict[str, Any]


def evaluate(
    model: ModelRef,
    real: Portraits | Images | None,
    protocol: Protocol,
    *,
    extractor: ExtractorSpec,
    cache: Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a model against real pictures.

    What was worked out before is kept: an interrupted call goes on, and another protocol shares
    what it can.

    Args:
        model: from `model_ref`, or `hold` for one in memory (with workers=0).
        real: from `open_reality`; None leaves out what compares with real pictures.
        protocol: what is measured, and how.
        extractor: from `extractor_spec`.
        cache: folder; in the user's cache folder by default.
        workers: processes, one thread each; 0: this one. See `collect`.
        progress: called with the seconds of work done and those in all, roughly.
    Raises:
        UsageError: for what makes no sense, such as too few pictures.
        DataError: for pictures that cannot be read, or a model that paints NaN.
    """
    started = time.perf_counter()
    made = plan(Task(model=model, real=real, protocol=protocol, extractor=extractor))
    columns = collect(made.works, made.counts, folder=cache, workers=workers, progress=progress)
    values = score(made, columns, protocol, extractor=extractor.name)
    width = extractor.load().width
    counts = [count for name, count in made.counts.items() if name.startswith("model ")]
    if counts and min(counts) <= width:
        made.notes.append(
            f"fd of {min(counts)} pictures is far above that of many: compare with equal n only"
        )
    record = {
        "format": "creps evaluation",
        "version": 1,
        "creps": version("creps"),
        "machine": machine(),
        "model": {"path": model.path, "weights_sha256": model.sha256},
        "data": None if real is None else real.identity(),
        "extractor": extractor.identity(),
        "protocol": to_dict(protocol),
        "counts": made.counts,
        "patches": [_without_data(asdict(patches)) for patches in made.patches],
        "notes": made.notes,
        "seconds": round(time.perf_counter() - started, 1),
        "values": {value.name: finite_or_none(value.value) for value in values},
        "spreads": {v.name: finite_or_none(v.spread) for v in values if v.spread is not None},
    }
    return Evaluation(values=values, notes=made.notes, record=record)


def machine() -> str:
    """What this is measured on: processor, cores, GPU and torch, for records."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{platform.machine()}, {os.cpu_count()} cores, {device}, torch {torch.__version__}"


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a record as JSON; to a name ending in .jsonl, as one more line.

    Raises:
        OSError: if it cannot be written; a file that is there stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        before = path.read_bytes() if path.exists() else b""
        line = json.dumps(record, ensure_ascii=False, allow_nan=False)
        write_atomically(path, before + line.encode() + b"\n")
    else:
        text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)
        write_atomically(path, text.encode() + b"\n")


def finite_or_none(value: float) -> float | None:
    """A number as JSON can hold it: None where it is not finite."""
    return value if math.isfinite(value) else None


def _without_data(patches: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in patches.items() if name != "real"}
