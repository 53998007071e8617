"""How far a small picture is from a larger one of the same plane, plain and antialiased.

    python benchmarks/antialias.py [--sizes 64,128,256,512] [--out results.jsonl]

Pictures of `portraits`, seeds 0 to 23, beside the box-filtered ones of twice the size, 8 bits:
`plain` and `auto` are the mean PSNR with one sample a pixel and with `supersample="auto"`, in
decibels (58.9 at most). `times` is the processor time of "auto" over that of plain pictures, the
median of the seeds. Four minutes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from record import Record

from creps.metrics._consistency import Consistency
from creps.metrics._measurements import measure
from creps.metrics._models import model_ref

SEEDS = 24


def main(
    sizes: Annotated[str, typer.Option(help="Pixels a side, with commas.")] = "64,128,256,512",
    seeds: Annotated[int, typer.Option(help="How many pictures of each size.")] = SEEDS,
    out: Annotated[Path | None, typer.Option(help="Also append the JSON lines here.")] = None,
) -> None:
    """Measure plain and antialiased pictures."""
    record = Record("antialias", out)
    torch.set_num_threads(1)
    model = model_ref("portraits")
    for size in map(int, sizes.split(",")):
        plain, auto = (
            Consistency(model=model, size=size, supersample=samples) for samples in (1, "auto")
        )
        with tempfile.TemporaryDirectory() as cache:  # times of today
            found = measure(dict.fromkeys((plain, auto), seeds), cache=cache)
        row = {"size": size, "n": seeds}
        for name, kind in (("plain", plain), ("auto", auto)):
            row[name] = round(float(found[kind]["psnr"].mean()), 1)
        record.write(row | {"times": round(float(np.median(found[auto]["cost"])), 2)})


if __name__ == "__main__":
    typer.run(main)
