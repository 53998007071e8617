"""Whether a model draws the same picture at every size (CREPS, section 4.4)."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from creps.errors import UsageError
from creps.metrics._extractors import ExtractorSpec
from creps.metrics._measurements import Measurement
from creps.metrics._models import ModelRef, class_of
from creps.metrics._similarity import box_reduce, perceptual_distance, psnr, ssim
from creps.networks.base import Generator
from creps.rendering._renderer import render
from creps.rendering._view import Samples
from creps.rendering.output._images import on_white

EIGHT_BIT_CEILING = 10 * math.log10(12 * 255**2)
"""58.9 dB, the PSNR of a picture and its rounding to 8 bits: 8-bit pictures show nothing beyond."""


def scale_pair(
    generator: Generator,
    seed: int,
    *,
    size: int | tuple[int, int],
    factor: int = 2,
    truncation: float = 1.0,
    supersample: Samples = 1,
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The picture at `size` (H, W, C), and the one at factor * size box-filtered to `size`.

    A scale-consistent model gives equal pairs. Both are rendered as users get them, in 8 bits, as
    in the paper, opacity on white. The rounding caps the PSNR of a perfect model near 58 dB for
    factor 2 and takes 0.2 dB from one of 45 dB. A UsageError for a factor below 2.
    """
    if factor < 2:
        raise UsageError(f"factor {factor}: expected at least 2, to compare two different sizes")
    height, width = (size, size) if isinstance(size, int) else size
    small, large = (
        _seen(
            render(
                generator,
                seed=seed,
                label=class_of(generator, seed),
                size=(height * times, width * times),
                truncation=truncation,
                supersample=supersample,
            )
        )
        for times in (1, factor)
    )
    return small, box_reduce(large, factor)


def scale_consistency(
    generator: Generator,
    seeds: Iterable[int],
    *,
    size: int | tuple[int, int],
    factor: int = 2,
    truncation: float = 1.0,
    supersample: Samples = 1,
) -> float:
    """Mean PSNR of pictures at `size` against box-filtered ones at factor * size, in decibels.

    The measure of CREPS, Table 3. A pair counts for at most `EIGHT_BIT_CEILING`, so that one flat
    picture does not make the mean infinite. A pattern between the training samples is consistent
    too and not detected here: see `grid_artifact`.

    Args:
        generator: the model.
        seeds: which pictures.
        size: pixels, one side for a square or (height, width).
        factor: >= 2.
        truncation, supersample: as for `render`, of both pictures.
    Raises:
        UsageError: for a factor below 2, or without seeds.
    """
    pair = partial(
        scale_pair,
        generator,
        size=size,
        factor=factor,
        truncation=truncation,
        supersample=supersample,
    )
    values = [min(psnr(*pair(seed)), EIGHT_BIT_CEILING) for seed in seeds]
    if not values:
        raise UsageError("no seeds to compare sizes of: expected at least 1")
    return math.fsum(values) / len(values)


@dataclass(frozen=True, kw_only=True)
class Consistency(Measurement):
    """How well each seed agrees with itself at two sizes, and what antialiasing costs.

    Columns: psnr, at most `EIGHT_BIT_CEILING`; ssim, NaN below 11 pixels; perceptual, the distance
    of the extractor's layers, NaN without; cost, processor time of the small picture (elapsed time
    on a device other than the CPU) over its time with one sample a pixel.

    Attributes:
        model, truncation: what is drawn.
        size: pixels a side of the smaller picture.
        factor, supersample: as for `scale_pair`.
        extractor: of the perceptual distance, if it shows its layers.
        first: the first seed.
    """

    model: ModelRef
    size: int
    extractor: ExtractorSpec | None = None
    factor: int = 2
    truncation: float = 1.0
    supersample: Samples = 1
    first: int = 0

    @property
    def seconds(self) -> float:
        return 0.1 + 1.5e-6 * self.size**2 * (1 + self.factor**2)

    def item(self, index: int) -> dict[str, float]:
        generator, seed = self.model.generator(), self.first + index
        small, reduced = scale_pair(
            generator,
            seed,
            size=self.size,
            factor=self.factor,
            truncation=self.truncation,
            supersample=self.supersample,
        )
        distance, cost = math.nan, 1.0
        if self.extractor is not None and self.extractor.has_layers:
            with torch.inference_mode():
                a, b = _as_tensor(small), _as_tensor(reduced)
                distance = float(perceptual_distance(a, b, extractor=self.extractor.layered()))
        if self.supersample != 1:
            clock = time.process_time if generator.device.type == "cpu" else time.perf_counter
            times = [clock()]
            for samples in (1, self.supersample):
                render(
                    generator,
                    seed=seed,
                    label=class_of(generator, seed),
                    size=self.size,
                    truncation=self.truncation,
                    supersample=samples,
                )
                times.append(clock())
            cost = (times[2] - times[1]) / max(times[1] - times[0], 1e-9)
        return {
            "psnr": min(psnr(small, reduced), EIGHT_BIT_CEILING),
            "ssim": ssim(small, reduced) if min(small.shape[:2]) > 10 else math.nan,
            "perceptual": distance,
            "cost": cost,
        }


def _seen(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture (H, W, C) uint8 as other measures see it: with opacity, on white."""
    return np.asarray(on_white(Image.fromarray(picture))) if picture.shape[2] == 4 else picture


def _as_tensor(picture: NDArray[Any]) -> torch.Tensor:
    """(H, W, C) in 0 .. 255 as (1, C, H, W) in [-1, 1]."""
    return torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
