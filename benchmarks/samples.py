"""What benchmarks compare: samples of a model, and real pictures of the same size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from creps.coordinates import Canvas
from creps.data import open_images, square
from creps.networks.base import Generator
from creps.rendering._styles import latents

BATCH = 50


def samples(model: Generator, *, size: int, count: int) -> Iterator[Tensor]:
    """Batches (B, 3, size, size) uint8 of samples, seeds 0 to count - 1; classes in turn."""
    grid = Canvas(size, size, sampling=model.sampling).grid()
    classes = int(model.config.label_dim) if model.needs_class else 0
    for first in range(0, count, BATCH):
        seeds = list(range(first, min(first + BATCH, count)))
        label = torch.tensor([seed % classes for seed in seeds]) if classes else None
        with torch.inference_mode():
            images = model.synthesize(model.map(latents(seeds, model), label), grid)
        yield ((images + 1) * 127.5).clamp(0, 255).round().to(torch.uint8)


def real_pictures(data: Path, *, size: int, count: int) -> Iterator[Tensor]:
    """The first training pictures, reduced to `size`: (1, 3, size, size) uint8 each."""
    source = open_images(data)
    for index in range(min(count, len(source))):
        picture = square(source.image(index), size)
        yield torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]
