"""A statistic of a picture that is never there as a whole, by dask, in memory that does not grow.

    python examples/statistic.py 65536

Mean color, and how many of the pixels are nearly white, of a portrait of so many pixels a side
(2,048 by default). Blocks are drawn, counted and dropped, as many at a time as there are cores.
"""

from __future__ import annotations

import resource
import sys

import dask
import numpy as np
import torch
from dask.diagnostics import ProgressBar

import creps

BLOCK = 2048
"""Pixels of a block's side: of 1,024, dask's list of tasks would be four times as long."""

WHITE = 250
"""Levels from which on a channel counts as white."""


def main() -> None:
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 2048
    torch.set_num_threads(1)  # dask draws blocks side by side, one a core
    picture = creps.dask_array("portraits", seed=7, size=side, chunk=BLOCK)
    mean = picture.mean(axis=(1, 2))
    white = (picture >= WHITE).all(axis=0).sum(dtype=np.int64)
    with ProgressBar(out=sys.stderr):
        mean, white = dask.compute(mean, white)
    color = ", ".join(f"{value:.2f}" for value in mean)
    print(f"{side} x {side} pixels in {picture.npartitions} blocks")
    print(f"mean color {color}; {white / side**2:.2%} of the pixels are nearly white")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{side**2 * 3 / 2**20:,.0f} MiB of pixels, at most {peak:,.0f} MiB of memory in use")


if __name__ == "__main__":
    main()
