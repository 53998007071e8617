"""Measure a model: one protocol, shared features, a record with all that it takes to repeat it."""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from creps._files import write_atomically
from creps.config import to_dict
from creps.metrics._cache import SUM, Columns, Progress, collect
from creps.metrics._distances import (
    frechet_distance,
    kernel_distance,
    kernel_distance_subsets,
)
from creps.metrics._equivariance import equivariance_decibels
from creps.metrics._extractor_names import ExtractorSpec
from creps.metrics._manifolds import manifold_scores
from creps.metrics._models import ModelRef
from creps.metrics._neighbors import novelty
from creps.metrics._path_length import path_length
from creps.metrics._plan import Plan, Task, consistency_name, plan, size_name
from creps.metrics._protocol import Protocol
from creps.metrics._real_images import Images, Portraits
from creps.metrics._spectra import spectrum_difference

# From features, spectra and probes to named numbers.


Better = Literal["lower", "higher", ""]

REFERENCES = {"floor": "other real pictures", "enlarged": "small samples, enlarged"}
"""Rivals that are measured like the model."""

SUBSETS = 20
SUBSET = 1000


class Value(NamedTuple):
    """A number with its name.

    Attributes:
        name: what, extractor and size: "fd_effnet@64".
        value: the number; NaN where there is none.
        better: which way is better; empty where real pictures are the measure.
        about: one line for people.
        spread: standard deviation over subsets or probes; None where there is none.
    """

    name: str
    value: float
    better: Better
    about: str
    spread: float | None = None


def score(
    plan: Plan, columns: dict[str, Columns], protocol: Protocol, *, extractor: str
) -> list[Value]:
    """All numbers of a plan whose works are done, in the order of the measures."""
    values: list[Value] = []
    for size in plan.sizes:
        name = size_name(size)
        if f"real {name}" in columns:
            values += _whole(plan, columns, protocol, extractor=extractor, size=name)
    for patches in plan.patches:
        values += _patches(patches.name, columns, protocol, extractor=extractor)
    values += _consistency(plan, columns, extractor=extractor)
    values += _probes(plan, columns, extractor=extractor)
    return values


def _whole(
    plan: Plan, columns: dict[str, Columns], protocol: Protocol, *, extractor: str, size: str
) -> Iterator[Value]:
    """Whole pictures of one size against real ones."""
    real, model = (columns[f"{kind} {size}"] for kind in ("real", "model"))
    x, y = model["features"], real["features"]
    end = f"_{extractor}@{size}"
    yield from _distances(plan.measures, columns=(model, real), seed=protocol.seed, end=end)
    for kind, what in REFERENCES.items():
        if f"{kind} {size}" in columns:
            pair = columns[f"{kind} {size}"], real
            for value in _distances(plan.measures, columns=pair, seed=protocol.seed, end=end):
                yield value._replace(name=f"{kind}_{value.name}", about=f"{what}: {value.about}")
    if "neighbours" in plan.measures:
        near = novelty(x, y)
        yield Value(
            f"novelty{end}",
            near.ratio,
            "",
            "distance to the nearest real picture, over "
            "theirs among themselves: 1 or more for new ones, 0 for copies",
        )
        yield Value(
            f"copies{end}",
            near.copies,
            "lower",
            "share of samples at less than half of that distance",
        )
    if "spectrum" in plan.measures and f"{SUM}radial" in model:
        ours, theirs = (part[f"{SUM}radial"] / len(part["features"]) for part in (model, real))
        apart = spectrum_difference(ours, theirs)
        yield Value(
            f"spectrum_db@{size}",
            apart.rms,
            "lower",
            "radial power spectrum, rms dB from real pictures",
        )
        yield Value(
            f"spectrum_tail_db@{size}",
            apart.tail,
            "",
            "its upper half: below 0 blur, above 0 noise or aliasing",
        )


def _distances(
    measures: list[str], *, columns: tuple[Columns, Columns], seed: int, end: str, start: str = ""
) -> Iterator[Value]:
    """fd, kid and pr of two sets, as far as they are wanted."""
    x, y = (part["features"] for part in columns)
    if "fd" in measures:
        yield Value(
            f"{start}fd{end}", frechet_distance(x, y), "lower", "Frechet distance of features"
        )
    if "kid" in measures:
        size = min(SUBSET, len(x) // 2, len(y) // 2)
        spread = None
        if size >= 2:
            rng = np.random.default_rng(seed)
            drawn = kernel_distance_subsets(x, y, generator=rng, subsets=SUBSETS, size=size)
            spread = drawn.deviation
        yield Value(
            f"{start}kid{end}",
            kernel_distance(x, y),
            "lower",
            "kernel distance of features, unbiased",
            spread,
        )
    if "pr" in measures:
        found = manifold_scores(x, y)
        yield Value(
            f"{start}precision{end}",
            found.precision,
            "higher",
            "samples that lie among real pictures, k = 3",
        )
        yield Value(
            f"{start}recall{end}",
            found.recall,
            "higher",
            "real pictures that lie among samples, k = 3",
        )
        yield Value(
            f"{start}density{end}",
            found.density,
            "higher",
            "precision without the pull of outliers, about 1 for real ones",
        )
        yield Value(
            f"{start}coverage{end}", found.coverage, "higher", "real pictures with a sample near"
        )


def _patches(
    name: str, columns: dict[str, Columns], protocol: Protocol, *, extractor: str
) -> Iterator[Value]:
    """Patches of the model against real ones at the same places."""
    yield from _distances(
        ["fd", "kid", "pr"],
        columns=(columns[f"model patches {name}"], columns[f"real patches {name}"]),
        seed=protocol.seed,
        end=f"_{extractor}@{name}",
        start="patch_",
    )


def _consistency(plan: Plan, columns: dict[str, Columns], *, extractor: str) -> Iterator[Value]:
    """Each size against twice that, plain and antialiased."""
    for work in sorted(
        (n for n in columns if n.startswith("consistency ")), key=lambda n: int(n.split()[1])
    ):
        _, size, samples = work.split()
        assert work == consistency_name(int(size), samples)
        rows = columns[work]
        extra = "" if samples == "1" else f"_{samples}"
        end = f"{extra}@{size}"
        how = f"{size} px against {2 * int(size)} px reduced"
        how += ", antialiased" if extra else ""
        yield Value(
            f"consistency_db{end}",
            float(rows["psnr"].mean()),
            "higher",
            f"PSNR: {how}",
            float(rows["psnr"].std()),
        )
        yield Value(f"consistency_ssim{end}", float(rows["ssim"].mean()), "higher", f"SSIM: {how}")
        if np.isfinite(rows["perceptual"]).all():
            yield Value(
                f"consistency_pd_{extractor}{end}",
                float(rows["perceptual"].mean()),
                "lower",
                f"perceptual distance: {how}",
            )
        if extra:
            yield Value(
                f"consistency_cost{end}",
                float(np.median(rows["cost"])),
                "lower",
                "processor time of antialiasing, over plain pictures",
            )


def _probes(plan: Plan, columns: dict[str, Columns], *, extractor: str) -> Iterator[Value]:
    """Lattice, equivariance and path lengths."""
    if plan.lattice is not None:
        size, _ = plan.lattice
        for kind in ("model", "real"):
            if f"lattice {kind}" in columns:
                ratios = columns[f"lattice {kind}"]["ratio"]
                about = f"power at the training grid's frequency, {kind} pictures at {size} px"
                name = "lattice" if kind == "model" else "lattice_real"
                yield Value(
                    f"{name}@{size}",
                    float(ratios.mean()),
                    "",
                    f"{about}; 1: none",
                    float(ratios.std()),
                )
    for movement, name in (("translation", "eq_t"), ("rotation", "eq_r")):
        if f"equivariance {movement}" in columns:
            errors = columns[f"equivariance {movement}"]["error"]
            yield Value(
                f"{name}_db",
                equivariance_decibels(errors),
                "higher",
                f"the plane's {movement} against the picture's, PSNR",
            )
    for space in ("z", "w"):
        if f"path {space}" in columns:
            steps = columns[f"path {space}"]["step"]
            yield Value(
                f"path_{space}_{extractor}",
                path_length(steps),
                "lower",
                f"perceptual path length in {space}",
                float(steps.std()),
            )


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
        "model": {"path": model.path, "weights_id": model.weights_id},
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
