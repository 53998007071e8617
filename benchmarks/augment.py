"""What augmentation costs beside the discriminator that it feeds.

    python benchmarks/augment.py [--size 32] [--batch 64] [--channels 48] [--out results.jsonl]

One thread, processor time, in turns in one process: the discriminator's forward and backward pass
(the default is that of the preset small-32), then each augmentation forward, and forward and
backward to the pictures. `ratio` is over the discriminator's time. `ada filters` is ADA without the
matrices that stand for its filters on a CPU. Prints one JSON line a row. Half a minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer
from record import Record
from torch import Tensor

from creps.networks.discriminator import Discriminator, DiscriminatorConfig
from creps.training.augment import AugmentSettings, augment
from creps.training.augment import _geometry as augment_sampling

STRENGTHS = (0.2, 0.6, 1.0)
REPEATS = 5


def seconds(work: Callable[[], object]) -> float:
    """Processor time of the fastest of a few calls."""
    work()
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def measure(images: Tensor, name: str, strength: float) -> tuple[float, float]:
    """Seconds of an augmentation: (forward, forward and backward)."""
    settings = AugmentSettings(kind="diffaugment" if name == "diffaugment" else "ada")
    source = images.clone().requires_grad_()

    def run(pictures: Tensor) -> Tensor:
        draw = torch.Generator().manual_seed(0)
        return augment(pictures, strength, settings, generator=draw)

    return seconds(lambda: run(images)), seconds(lambda: run(source).sum().backward())


def main(
    size: Annotated[int, typer.Option(help="Pixels a side: a power of two.")] = 32,
    batch: Annotated[int, typer.Option(help="Pictures.")] = 64,
    channels: Annotated[int, typer.Option(help="Of the discriminator at its full size.")] = 48,
    out: Annotated[Path | None, typer.Option(help="Also append the JSON lines here.")] = None,
) -> None:
    """Measure ADA and DiffAugment beside the discriminator."""
    record = Record("augment", out)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = DiscriminatorConfig(
        resolution=size, channel_base=size * channels, channel_max=4 * channels
    )
    discriminator = Discriminator(config)
    images = torch.rand(batch, 3, size, size) * 2 - 1
    judge = seconds(lambda: discriminator(images.requires_grad_(), None).sum().backward())
    images = images.detach()
    head = {"size": size, "batch": batch}
    record.write(head | {"part": "discriminator", "ms": round(judge * 1e3, 1)})
    dense = augment_sampling.DENSE_SIZE
    for name in ("ada", "ada filters", "diffaugment"):
        augment_sampling.DENSE_SIZE = 0 if name == "ada filters" else dense
        for strength in STRENGTHS if name == "ada" else (1.0,):
            forward, both = measure(images, name, strength)
            row = {"part": name, "strength": strength}
            row |= {"ms": round(forward * 1e3, 1), "ms_backward": round(both * 1e3, 1)}
            row |= {"ratio": round(forward / judge, 3), "ratio_backward": round(both / judge, 3)}
            record.write(head | row)


if __name__ == "__main__":
    typer.run(main)
