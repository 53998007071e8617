"""What a set of pictures asks of a training run: size, batch, gamma, levels, time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

SMALLEST, LARGEST = 32, 1024
"""Training resolutions that are advised."""

CPU_RATE = {32: 30.0, 64: 10.0, 128: 2.5, 256: 0.6}
"""Pictures a second that the small presets train on two CPU cores, about; above that, none."""


@dataclass(frozen=True)
class Advice:
    """Settings to start from.

    Attributes:
        resolution: pixels a side to train at, a power of two that nine of ten pictures have.
        batch: pictures a step, StyleGAN2-ADA's choice for one GPU.
        r1_gamma: weight of the gradient penalty: 0.0002 * resolution^2 / batch, the heuristic of
            StyleGAN2-ADA's automatic configuration. A start: try a fifth and five times of it.
        levels: of the generator: 4, 8, ..., resolution.
        zoom: how far beyond the training resolution half of the pictures have detail: patches at
            native resolution can teach it.
        few: whether the set is so small that adaptive augmentation is needed.
    """

    resolution: int
    batch: int
    r1_gamma: float
    levels: int
    zoom: float
    few: bool


def advise(short_sides: Sequence[int]) -> Advice:
    """Settings for pictures whose shorter sides are these, each >= 1 pixel.

    Example:
        >>> advise([300] * 9 + [64])
        Advice(resolution=256, batch=16, r1_gamma=0.82, levels=7, zoom=1.2, few=True)
    """
    ordered = sorted(short_sides)
    covered = ordered[len(ordered) // 10]
    resolution = 2 ** int(math.log2(max(covered, 1)))
    resolution = min(max(resolution, SMALLEST), LARGEST)
    batch = max(min(4096 // resolution, 32), 4)
    gamma = 0.0002 * resolution**2 / batch
    zoom = max(ordered[len(ordered) // 2] / resolution, 1.0)
    return Advice(
        resolution,
        batch,
        float(f"{gamma:.2g}"),
        int(math.log2(resolution)) - 1,
        round(zoom, 1),
        len(ordered) < 10_000,
    )


def cpu_hours(resolution: int, images: int) -> float | None:
    """Hours to show so many pictures to a small preset on two CPU cores; None: use a GPU."""
    rate = CPU_RATE.get(resolution)
    return None if rate is None else images / rate / 3600
