"""Whether a model draws the same picture at every size (CREPS, section 4.4)."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from creps.errors import UsageError
from creps.metrics._similarity import LayeredExtractor, box_reduce, perceptual_distance, psnr, ssim
from creps.networks.base import Generator
from creps.rendering._renderer import render
from creps.rendering._view import Samples

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
    """The picture at `size`, and the one at factor * size box-filtered to `size`.

    A scale-consistent model gives equal pairs. Both are rendered as users get them, in 8 bits, as
    in the paper. The rounding caps the PSNR of a perfect model near 58 dB for factor 2 and takes
    0.2 dB from one of 45 dB.

    Args:
        generator: the model.
        seed: which picture.
        size: pixels, one side for a square or (height, width).
        factor: >= 2.
        truncation, supersample: as for `render`, of both pictures.
    Returns:
        (small, reduced): (H, W, C), uint8 and float64, values 0 .. 255.
    Raises:
        UsageError: for a factor below 2.
    """
    if factor < 2:
        raise UsageError(f"factor {factor}: expected at least 2, to compare two different sizes")
    height, width = (size, size) if isinstance(size, int) else size
    small, large = (
        render(
            generator,
            seed=seed,
            size=(height * times, width * times),
            truncation=truncation,
            supersample=supersample,
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

    The measure of CREPS, Table 3; arguments and errors as `scale_pair`, and a UsageError if there
    are no seeds. A pair counts for at most `EIGHT_BIT_CEILING`, so that one flat picture does not
    make the mean infinite. A pattern between the training samples is consistent too and goes
    unseen here: look at `grid_artifact` as well.
    """
    values = [
        _psnr(
            *scale_pair(
                generator,
                seed,
                size=size,
                factor=factor,
                truncation=truncation,
                supersample=supersample,
            )
        )
        for seed in seeds
    ]
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
    """How well one seed agrees with itself at two sizes, and what antialiasing costs.

    Args:
        generator, seed, size, factor, truncation, supersample: as for `scale_pair`.
        extractor: of the perceptual distance.
    """
    small, reduced = scale_pair(
        generator, seed, size=size, factor=factor, truncation=truncation, supersample=supersample
    )
    distance = math.nan
    if extractor is not None:
        with torch.inference_mode():
            a, b = _as_tensor(small), _as_tensor(reduced)
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
        psnr=_psnr(small, reduced),
        ssim=ssim(small, reduced) if min(small.shape[:2]) > 10 else math.nan,
        perceptual=distance,
        cost=cost,
    )


def _psnr(small: NDArray[np.uint8], reduced: NDArray[np.float64]) -> float:
    return min(psnr(small, reduced), EIGHT_BIT_CEILING)


def _as_tensor(picture: NDArray[Any]) -> torch.Tensor:
    """(H, W, C) in 0 .. 255 as (1, C, H, W) in [-1, 1]."""
    return torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
