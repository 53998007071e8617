"""The paper's recipe against this package's, at equal images seen: Frechet distance over training.

    python benchmarks/recipes.py --data portraits-256.zip --out FOLDER

Trains the networks of the `small-64` preset twice on whole 64 px pictures. "paper": non-saturating
loss, R1 every 16 steps, path length penalty, frequencies of deviation 10, no sub-pixel shift
(CREPS, supplement 1.3; gamma 0.5 as at 128 px there). "ours": the preset as it is. After every so
many images `fd_effnet` of 2,000 samples (seeds 0 .., truncation 1) to 2,000 training pictures at
64 px, and at the end between the samples, at 128 px. Writes one JSON line a point to
FOLDER/recipes.jsonl and the curves to FOLDER/recipes.svg. An interrupted benchmark goes on.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from record import Record
from rich.progress import track
from samples import real_pictures, samples

from creps.checkpoints import load
from creps.metrics._distances import frechet_distance
from creps.metrics._extractors import EffnetLite0, effnet, extract
from creps.metrics._pages import line_chart, standalone

RECIPES = {
    "paper": [
        "loss.kind=nonsaturating",
        "loss.r1_gamma=0.5",
        "loss.r2_gamma=0",
        "loss.path_length_weight=2",
        "loss.discriminator_interval=16",
        "generator.bandwidth=10",
        "data.subpixel_shift=false",
    ],
    "ours": [],
}
SIZES = (64, 128)


def features(
    images: Iterator[torch.Tensor], extractor: EffnetLite0, *, what: str
) -> NDArray[np.float64]:
    """(N, width) features, with a bar."""
    return extract(track(images, what, total=None), extractor)


def train(data: Path, run: Path, images: int, changes: list[str]) -> None:
    """Train on, or from the start, until so many images were seen."""
    command = [sys.executable, "-m", "creps", "train", "--preset", "small-64", "--data", str(data)]
    command += ["--out", str(run), "--set", f"images={images}", "--set", "preview_every=0"]
    for change in changes:
        command += ["--set", change]
    subprocess.run(command, check=True)


def plot(lines: list[dict[str, float | str]], out: Path) -> None:
    """The curves at 64 px."""
    images = sorted({int(line["images"]) for line in lines})
    curves = {}
    for name in RECIPES:
        values = {line["images"]: line["fd_effnet_64"] for line in lines if line["recipe"] == name}
        if set(values) == set(images):
            curves[name] = np.array([float(values[k]) for k in images])
    if len(images) > 1 and curves:
        x = np.array(images, dtype=np.float64)
        svg = line_chart(x, curves, x_name="images seen", y_name="fd_effnet (N = 2,000), 64 px")
        out.write_text(standalone(svg) + "\n", encoding="utf-8")


def main(
    data: Annotated[Path, typer.Option(help="Pictures of 128 px or more: folder, zip, shards.")],
    out: Annotated[Path, typer.Option(help="Folder of the runs and results.")],
    images: Annotated[int, typer.Option(help="Images seen in all.")] = 9_000,
    every: Annotated[int, typer.Option(help="Images between two points.")] = 3_000,
    count: Annotated[int, typer.Option(help="Pictures a set.")] = 2_000,
) -> None:
    """Train both recipes and judge them on the way."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "recipes.jsonl"
    record = Record("recipes", path)
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {(line["recipe"], line["images"]) for line in lines}
    extractor = effnet()
    real: dict[int, NDArray[np.float64]] = {}
    for seen in range(every, images + 1, every):
        for name, changes in RECIPES.items():
            if (name, seen) in done:
                continue
            train(data, out / name, seen, changes)
            line: dict[str, float | str] = {"recipe": name, "images": seen, "n": count}
            for size in SIZES if seen == images else SIZES[:1]:
                if size not in real:
                    pictures = real_pictures(data, size=size, count=count)
                    real[size] = features(pictures, extractor, what=f"real {size}")
                drawn = samples(load(out / name / "model"), size=size, count=count)
                made = features(drawn, extractor, what=f"{name} {size}")
                line[f"fd_effnet_{size}"] = round(frechet_distance(made, real[size]), 2)
            lines.append(record.write(line))
            plot(lines, out / "recipes.svg")


if __name__ == "__main__":
    typer.run(main)
