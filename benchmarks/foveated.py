"""How much faster a foveated picture is than drawing all of it, and how close it comes.

    python benchmarks/foveated.py [--sizes 512,1024] [--share 0.25] [--out results.jsonl]

Pictures of `portraits` on one core, in turn in one process, folding and lines included each time:
every pixel evaluated, sparsely evaluated as by default, and foveated. `ratio` and `sparse_ratio`
are the least processor times of foveated and of sparse pictures over that of all pixels, `psnr`
compares foveated pictures with all pixels, in decibels; all are means of some seeds. A minute.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from record import Record

import creps
from creps.networks.base import Generator
from creps.rendering import Picture

SEEDS = 7, 12, 3
TURNS = 4


def timed(
    generator: Generator, seed: int, work: Callable[[creps.Renderer], Picture]
) -> tuple[float, Picture]:
    """Seconds of processor time, and the picture."""
    started = time.process_time()
    picture = work(creps.Renderer(generator, seed=seed))
    return time.process_time() - started, picture


def measure(generator: Generator, seed: int, *, size: int, share: float) -> tuple[float, ...]:
    """Least seconds of all pixels, of sparse evaluation and of the foveated picture, which is so
    many decibels from the first."""
    view = creps.View(size=size)
    every = creps.View(size=size, tolerance=0)
    whole, sparse, part = [], [], []
    for _ in range(TURNS):
        seconds, expected = timed(generator, seed, lambda renderer: renderer.picture(every))
        whole.append(seconds)
        sparse.append(timed(generator, seed, lambda renderer: renderer.picture(view))[0])
        seconds, picture = timed(
            generator, seed, lambda renderer: renderer.foveated(view, share=share).pixels()
        )
        part.append(seconds)
    error = np.square(picture.astype(float) - expected).mean()
    return min(whole), min(sparse), min(part), float(10 * np.log10(255**2 / error))


def main(
    sizes: Annotated[str, typer.Option(help="Pixels a side, with commas.")] = "512,1024",
    share: Annotated[float, typer.Option(help="Of the pixels that are evaluated.")] = 0.25,
    out: Annotated[Path | None, typer.Option(help="Also append the JSON lines here.")] = None,
) -> None:
    """Measure foveated pictures beside whole ones."""
    record = Record("foveated", out)
    torch.set_num_threads(1)
    generator = creps.load("portraits")
    for size in map(int, sizes.split(",")):
        rows = [measure(generator, seed, size=size, share=share) for seed in SEEDS]
        whole, sparse, part, decibels = (
            statistics.mean(column) for column in zip(*rows, strict=True)
        )
        row = {"size": size, "share": share, "whole_seconds": round(whole, 3)}
        row |= {"ratio": round(part / whole, 3), "sparse_ratio": round(sparse / whole, 3)}
        record.write(row | {"psnr": round(decibels, 1)})


if __name__ == "__main__":
    typer.run(main)
