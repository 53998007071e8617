"""Measure a model: one protocol, shared features, a record with all that it takes to repeat it."""

from __future__ import annotations

import json
import math
import platform
import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from creps._code import code_id
from creps._devices import Device
from creps._files import cores, write_atomically
from creps.config import to_dict
from creps.metrics._extractors import ExtractorSpec, extractor_spec
from creps.metrics._measurements import MEASURING, Progress, identity, measure
from creps.metrics._metrics import Protocol, Task, Value, patch_plans, plan, values_of
from creps.metrics._models import ModelRef, model_ref
from creps.metrics._real_images import RealImages, real_images
from creps.networks.base import Generator


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was measured.

    Attributes:
        values: the numbers, in the order to show them in.
        notes: what was left out and why, and other remarks.
        record: everything it takes to repeat it, as JSON, the numbers included.
    """

    values: list[Value]
    notes: list[str]
    record: dict[str, Any]

    def __getitem__(self, name: str) -> float:
        """A number by its name, such as "fd_effnet@64"."""
        return next(value.value for value in self.values if value.name == name)


def evaluate(
    model: Generator | ModelRef | str | Path,
    data: RealImages | str | Path | None = None,
    protocol: Protocol | None = None,
    *,
    extractor: ExtractorSpec | str = "effnet",
    weights: str | Path | None = None,
    device: Device = None,
    cache: str | Path | None = None,
    workers: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a model, alone and against real pictures.

    What was computed before is kept: an interrupted call resumes, and another protocol shares
    what it can.

    Args:
        model: a generator, a packaged name, a model directory or a file.
        data: a folder, ZIP or tar of images of any size, or "portraits"; None leaves out what
            compares with real pictures.
        protocol: what is measured, and how; all that suits by default.
        extractor: "effnet" (offline), "portraits" (for drawn portraits), "inception" (FID's) or
            "dinov2".
        weights: weights file of the extractor, for the last two.
        device: where to draw and to take features, such as "cuda", or "auto"; None: where the model
            is, on the CPU if it is a name or path. Numbers of another kind of device differ by
            rounding, and are kept apart.
        cache: folder; in the user's cache folder by default.
        workers: processes, one thread each, spawned: a script that calls this needs the usual
            `if __name__ == "__main__":`. 0: this process, as a generator in memory needs it.
        progress: called with the seconds of work done and those in all, roughly.
    Raises:
        UsageError: for invalid requests, such as too few pictures or an absent device.
        DataError: for pictures that cannot be read, or a model that paints NaN.
        CheckpointError, MissingExtraError: if the model, weights or packages are missing.
    """
    started = time.perf_counter()
    protocol = Protocol() if protocol is None else protocol
    ref = model_ref(model, device=device)
    spec = replace(extractor_spec(extractor, weights=weights), device=ref.device)
    real = None
    if data is not None:
        real = real_images(data, channels=ref.channels, seed=protocol.seed)
    task = Task(model=ref, data=real, protocol=protocol, extractor=spec)
    if ref.taught_by == spec.name:
        task.note(
            f"{ref.path} was trained with the features of {spec.name}: its distances in them "
            "(fd, kid, precision and recall) are void; take another extractor"
        )
    begun, wanted = plan(task)
    found = measure(wanted, cache=cache, workers=workers, progress=progress)
    values = [value for steps in begun.values() for value in values_of(steps, found)]
    record = {
        "format": "creps evaluation",
        "version": 2,
        "creps": version("creps"),
        "code": code_id(*MEASURING),
        "machine": machine(),
        "model": {"path": ref.path, **ref.identity()},
        "data": identity(real),
        "extractor": spec.identity(),
        "protocol": to_dict(protocol),
        "metrics": list(begun),
        "real_pictures": None if real is None else task.real_count,
        "patches": [identity(each) for each in patch_plans(task)] if "patches" in begun else [],
        "notes": task.notes,
        "seconds": round(time.perf_counter() - started, 1),
        "values": {value.name: finite_or_none(value.value) for value in values},
        "spreads": {v.name: finite_or_none(v.spread) for v in values if v.spread is not None},
    }
    return Evaluation(values=values, notes=task.notes, record=record)


def machine() -> str:
    """What this is measured on: processor, cores, GPU and torch, for records."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{platform.machine()}, {cores()} cores, {device}, torch {torch.__version__}"


def write_record(path: str | Path, record: dict[str, Any]) -> None:
    """Write a record as JSON; to a name ending in .jsonl, as one more line.

    Raises:
        OSError: if it cannot be written; an existing file stays as it was.
    """
    path = Path(path)
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
