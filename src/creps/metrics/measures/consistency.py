"""Whether a model draws the same picture at every size."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creps.errors import UsageError
from creps.metrics.measures.lattice import lattice_ratio
from creps.metrics.measures.reducing import box_reduce
from creps.metrics.measures.similarity import LayeredExtractor, perceptual_distance, psnr, ssim
from creps.networks.base import Generator
from creps.rendering.drawing.drawer import Samples
from creps.rendering.renderer import render

__all__ = [
    "EIGHT_BIT_CEILING",
    "ScaleAgreement",
    "box_reduce",
    "lattice_ratio",
    "psnr",
    "scale_agreement",
    "scale_consistency",
    "scale_pairs",
]

Array = NDArray[Any]

EIGHT_BIT_CEILING = 10 * math.log10(12 * 255**2)
"""58.9 dB, the PSNR of a picture and its rounding to 8 bits: 8-bit pictures show nothing beyond."""


def scale_pairs(
    generator: Generator,
    seeds: Iterable[int],
    *,
    size: int | tuple[int, int],
    factor: int = 2,
    truncation: float = 1.0,
    supersample: Samples = 1,
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float64]]]:
    """For each seed, the picture at `size` and the one at factor * size, box-filtered to `size`.

    A scale-consistent model gives equal pairs (CREPS, section 4.4). Both are rendered as users get
    them, in 8 bits, as in the paper. The rounding caps the PSNR of a perfect model near 58 dB for
    factor 2 and takes 0.2 dB from one of 45 dB.

    Args:
        generator: the model.
        seeds: which pictures.
        size: pixels, one side for a square or (height, width).
        factor: >= 2.
        truncation, supersample: as for `render`, of both pictures.
    Yields:
        (small, reduced): (H, W, C), uint8 and float64, values 0 .. 255.
    Raises:
        UsageError: for a factor below 2.
    """
    if factor < 2:
        raise UsageError(f"factor {factor}: expected at least 2, to compare two different sizes")
    height, width = (size, size) if isinstance(size, int) else size
    larger = (height * factor, width * factor)
    for seed in seeds:
        small, large = (
            render(generator, seed=seed, size=each, truncation=truncation, supersample=supersample)
            for each in ((height, width), larger)
        )
        yield small, box_reduce(large, factor)


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

    The measure of CREPS, Table 3 (section 4.4); arguments and errors as `scale_pairs`, and a
    UsageError if there are no seeds. A pair counts for at most `EIGHT_BIT_CEILING`, so that one
    flat picture does not make the mean infinite. A lattice between the training samples is
    consistent too and goes unseen here: look at `lattice.lattice_ratio` as well.
    """
    pairs = scale_pairs(
        generator,
        seeds,
        size=size,
        factor=factor,
        truncation=truncation,
        supersample=supersample,
    )
    values = [min(psnr(small, reduced), EIGHT_BIT_CEILING) for small, reduced in pairs]
    if not values:
        raise UsageError("no seeds to compare sizes of: expected at least 1")
    return math.fsum(values) / len(values)


class ScaleAgreement(NamedTuple):
    """One seed at two sizes.

    Attributes:
        psnr: decibels, at most `EIGHT_BIT_CEILING`.
        ssim: structural similarity, 1 for equal pictures; NaN below 11 pixels.
        perceptual: distance of the extractor's layers; NaN without an extractor.
        cost: processor time of the small picture over its time with one sample a pixel.
    """

    psnr: float
    ssim: float
    perceptual: float
    cost: float


def scale_agreement(
    generator: Generator,
    seed: int,
    *,
    size: int,
    factor: int = 2,
    truncation: float = 1.0,
    supersample: Samples = 1,
    extractor: LayeredExtractor | None = None,
) -> ScaleAgreement:
    """The measures of CREPS, section 4.4 for one seed, and what antialiasing costs.

    Args:
        generator, factor, truncation, supersample: as for `scale_pairs`.
        seed: which picture.
        size: pixels a side of the smaller picture.
        extractor: of the perceptual distance.
    """
    pairs = scale_pairs(
        generator, [seed], size=size, factor=factor, truncation=truncation, supersample=supersample
    )
    [(small, reduced)] = pairs
    distance = math.nan
    if extractor is not None:
        a, b = (_as_tensor(picture) for picture in (small, reduced))
        with torch.inference_mode():
            distance = float(perceptual_distance(a, b, extractor=extractor))
    cost = 1.0
    if supersample != 1:
        times = []
        for samples in (1, supersample):
            started = time.process_time()
            render(generator, seed=seed, size=size, truncation=truncation, supersample=samples)
            times.append(time.process_time() - started)
        cost = times[1] / max(times[0], 1e-9)
    return ScaleAgreement(
        psnr=min(psnr(small, reduced), EIGHT_BIT_CEILING),
        ssim=ssim(small, reduced) if min(small.shape[:2]) > 10 else math.nan,
        perceptual=distance,
        cost=cost,
    )


def _as_tensor(picture: Array) -> Tensor:
    """(H, W, C) in 0 .. 255 as (1, C, H, W) in [-1, 1]."""
    return torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
