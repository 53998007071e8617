"""Parts of large portraits: the model beside an enlargement of its own small pictures.

    python benchmarks/patches.py --model portraits [--sizes 128,256,512,1024] [--count 500]

Windows of 64 x 64 pixels at random places of pictures of a size, each kind against the same
windows of as many real portraits. Networks with ImageNet features judge no model that was trained
with them, and the judge of portraits sees whole ones alone; so these are statistics of pixels:

- `swd`: sliced Wasserstein distance of patches of 7 x 7 pixels (`cpu_hours.py`);
- `detail`: the same of what a blur of 3 x 3 pixels takes away: edges and fine parts;
- `spectrum_db`, `tail_db`: radial power, decibels from real, rms and mean of the upper half.

`floor` are other real portraits: as good as it gets for that many.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
import typer
from cpu_hours import mean_spectrum, sliced_wasserstein
from record import Record
from torch import Tensor

import creps
from creps.metrics._pictures import resampled
from creps.metrics._real_images import HELD_OUT, Portraits
from creps.metrics._spectra import spectrum_difference

SIDE = 64


def main(
    model: Annotated[str, typer.Option(help="A model of portraits.")] = "portraits",
    sizes: Annotated[str, typer.Option(help="Pixels a side of the whole pictures.")] = (
        "128,256,512,1024"
    ),
    count: Annotated[int, typer.Option(help="Windows of each kind.")] = 500,
    out: Annotated[Path | None, typer.Option(help="JSON lines; of committed code only.")] = None,
) -> None:
    """Measure windows; see the head of this file."""
    record = Record("patches", out)
    generator = creps.load(model)
    for size in map(int, sizes.split(",")):
        kinds = windows(generator, size, count)
        real = kinds.pop("real")
        rows = {name: distances(made, real) for name, made in kinds.items()}
        for name, row in rows.items():
            record.write({"size": size, "kind": name, "n": count, "model": model} | row)


def windows(generator: creps.Generator, size: int, count: int) -> dict[str, Tensor]:
    """(count, 3, 64, 64) uint8 of each kind, at the same places."""
    corners = np.random.default_rng(size).integers(0, size - SIDE + 1, (count, 2)).tolist()
    portraits, trained = Portraits(), generator.config.resolution
    kinds: dict[str, list[np.ndarray]] = {"real": [], "floor": [], "model": [], "enlarged": []}
    for k, (y, x) in enumerate(corners):
        tile = creps.Tile(y, x, SIDE, SIDE)
        for name, first in (("real", HELD_OUT), ("floor", 0)):
            kinds[name].append(portraits.patch(first + k, (size, size), tile))
        renderer = creps.Renderer(generator, seed=k)
        kinds["model"].append(renderer.region(tile, size=size))
        whole = resampled(renderer.picture(size=trained), (size, size))
        kinds["enlarged"].append(whole[y : y + SIDE, x : x + SIDE])
    return {
        name: torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2) for name, made in kinds.items()
    }


def distances(made: Tensor, real: Tensor) -> dict[str, Any]:
    """How far windows are from real ones."""
    apart = spectrum_difference(mean_spectrum(made), mean_spectrum(real))
    return {
        "swd": round(sliced_wasserstein(made, real), 4),
        "detail": round(sliced_wasserstein(detail(made), detail(real)), 4),
        "spectrum_db": round(apart.rms, 2),
        "tail_db": round(apart.tail, 2),
    }


def detail(images: Tensor) -> Tensor:
    """What a blur takes away, about the middle gray."""
    exact = images.float()
    blurred = F.avg_pool2d(F.pad(exact, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return (exact - blurred + 128).round().clamp(0, 255).to(torch.uint8)


if __name__ == "__main__":
    typer.run(main)
