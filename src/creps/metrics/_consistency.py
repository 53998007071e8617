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
from creps.metrics._grid_artifact import lattice_ratio
from creps.metrics._similarity import LayeredExtractor, perceptual_distance, psnr, ssim
from creps.metrics._spectra import power_spectrum
from creps.networks.base import Generator
from creps.rendering._renderer import render
from creps.rendering._view import Samples

# Pictures at a fraction of their size, by exact box filters.


Array = NDArray[Any]


def box_reduce(image: Array, factor: int) -> NDArray[np.float64]:
    """A picture at 1/factor of its size: each pixel the mean of the block it covers.

    Args:
        image: (H, W) or (H, W, C), H and W multiples of factor.
        factor: >= 1.
    Returns:
        (H / factor, W / factor[, C]) float64, not rounded.
    Raises:
        UsageError: for another layout, or a factor that does not divide the size.
    Example:
        >>> box_reduce(np.array([[0, 2, 10, 10], [4, 6, 10, 10]]), 2).tolist()
        [[3.0, 10.0]]
    """
    if image.ndim not in (2, 3):
        raise UsageError(f"picture of shape {image.shape}: expected (H, W) or (H, W, C)")
    height, width = image.shape[:2]
    if factor < 1 or not image.size or height % factor or width % factor:
        raise UsageError(f"size {height}x{width} cannot be divided by {factor} into whole pixels")
    blocks = image.reshape(height // factor, factor, width // factor, factor, *image.shape[2:])
    reduced: NDArray[np.float64] = blocks.mean((1, 3), dtype=np.float64)
    return reduced


# Measures of the artifacts that pixel-wise generators are known for (CREPS 4.8, CIPS 4.9).
#
# Waves, mirror symmetry and glowing blobs, and the rows and columns that thick lines leave
# behind. Real pictures have waves, symmetry and bright spots too: a number says something only
# beside that of real pictures of the same size.


ARTIFACTS = ("waves", "symmetry", "blobs", "stripes")

SMALLEST = 32
"""Pixels a side that these measures need."""

_FINE = 1 / 12  # cycles a pixel: what is finer is texture rather than shape
_BLOB = 1 / 20  # of the picture: the radius of blobs that are looked for


def artifact_measures(picture: Array) -> dict[str, float]:
    """All measures of one picture, by the names of `ARTIFACTS`.

    Args:
        picture: (H, W) or (H, W, C), sides >= 32, values 0 .. 255.
    Raises:
        UsageError: for another layout, too few pixels or values that are not finite.
    """
    if picture.ndim not in (2, 3) or min(picture.shape[:2]) < SMALLEST:
        raise UsageError(
            f"picture of shape {picture.shape}: artifacts are looked for in (H, W[, C]) of "
            f"{SMALLEST} pixels or more a side"
        )
    gray = picture.astype(np.float64)
    gray = gray if gray.ndim == 2 else gray.mean(2)
    power = power_spectrum(gray)
    return {
        "waves": wave_peak(power, gray.shape[1]),
        "symmetry": mirror_symmetry(gray),
        "blobs": blob_strength(gray),
        "stripes": stripe_share(power, gray.shape[1]),
    }


def wave_peak(power: NDArray[np.float64], width: int) -> float:
    """How far the strongest wave stands out of the spectrum, in decibels.

    The power of each frequency finer than 12 pixels, smoothed over 3 x 3 frequencies, over the mean
    of its ring; the largest of these. Repeated strands and ripples make one frequency stand out.

    Args:
        power: (H, W // 2 + 1) from `power_spectrum`.
        width: W.
    """
    frequency, ring = _rings(power, width)
    smooth = _smoothed(power)
    count = np.bincount(ring.ravel(), minlength=1)
    mean = np.bincount(ring.ravel(), smooth.ravel()) / np.maximum(count, 1)
    fine = (frequency > _FINE) & (frequency < 0.5)
    expected = mean[ring]
    ratio = np.where(fine & (expected > 0), smooth / np.maximum(expected, 1e-300), 0.0)
    return float(10 * np.log10(max(ratio.max(), 1e-3)))


def stripe_share(power: NDArray[np.float64], width: int) -> float:
    """Share of the fine power that lies close to the axes: exact rows and columns, 0 .. 1.

    Args:
        power: (H, W // 2 + 1) from `power_spectrum`.
        width: W.
    """
    frequency, _ = _rings(power, width)
    y = np.abs(np.fft.fftfreq(len(power)))[:, None]
    x = np.fft.rfftfreq(width)[None]
    fine = (frequency > _FINE) & (frequency < 0.5)
    close = np.minimum(y, x) < 0.08 * frequency  # within five degrees of an axis
    total = float(power[fine].sum())
    return float(power[fine & close].sum()) / total if total > 0 else 0.0


def mirror_symmetry(gray: NDArray[np.float64]) -> float:
    """How much of the detail is mirrored at an upright line near the middle, -1 .. 1.

    The largest correlation of the picture without its coarse shades with its mirror image, over
    mirror lines within an eighth of the width from the middle.
    """
    detail = gray - _blurred(gray, gray.shape[1] / 24)
    energy = float(np.square(detail).sum())
    if energy <= 1e-9 * detail.size:
        return 0.0
    # Correlation of each row with its mirror image, for all shifts at once.
    width = gray.shape[1]
    spectrum = np.fft.rfft(detail, 2 * width, axis=1)
    mirrored = np.fft.rfft(detail[:, ::-1], 2 * width, axis=1)
    correlation = np.fft.irfft(spectrum * mirrored.conj(), 2 * width, axis=1).sum(0)
    reach = width // 4
    near = np.concatenate([correlation[: reach + 1], correlation[-reach:]])
    return float(near.max() / energy)


def blob_strength(gray: NDArray[np.float64]) -> float:
    """How bright the strongest round spot is, in standard deviations of the picture.

    The largest difference of a blur over a 20th of the picture and one over twice that.
    """
    spread = float(gray.std())
    if spread <= 1e-9:
        return 0.0
    radius = _BLOB * min(gray.shape)
    return float((_blurred(gray, radius) - _blurred(gray, 2 * radius)).max() / spread)


def _rings(power: NDArray[np.float64], width: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distance from frequency 0, in cycles a pixel, and number of the ring."""
    radius = np.hypot(np.fft.fftfreq(len(power))[:, None], np.fft.rfftfreq(width))
    return radius, np.rint(radius * min(len(power), width)).astype(np.int64)


def _smoothed(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over 3 x 3 frequencies; rows wrap around, columns end."""
    down = power + np.roll(power, 1, 0) + np.roll(power, -1, 0)
    padded = np.pad(down, ((0, 0), (1, 1)), mode="edge")
    total: NDArray[np.float64] = (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 9
    return total


def _blurred(gray: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """A Gaussian blur; the borders are mirrored."""
    pad = [min(int(np.ceil(4 * sigma)), side) for side in gray.shape]
    padded = np.pad(gray, [(p, p) for p in pad], mode="symmetric")
    y = np.fft.fftfreq(padded.shape[0])[:, None]
    x = np.fft.rfftfreq(padded.shape[1])
    kernel = np.exp(-2 * (np.pi * sigma) ** 2 * (y**2 + x**2))
    blurred = np.fft.irfft2(np.fft.rfft2(padded) * kernel, s=padded.shape)
    result: NDArray[np.float64] = blurred[
        pad[0] : pad[0] + gray.shape[0], pad[1] : pad[1] + gray.shape[1]
    ]
    return result


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
