"""Whether a model draws the same picture at every size, and no lattice between its samples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creps.errors import UsageError
from creps.networks.base import Generator
from creps.rendering.renderer import render

Array = NDArray[Any]

EIGHT_BIT_CEILING = 10 * math.log10(12 * 255**2)
"""58.9 dB, the PSNR of a picture and its rounding to 8 bits: 8-bit pictures show nothing beyond."""

_HALF_BAND = 1 / 8  # of the lattice frequency: half the width of the bands that are compared


def psnr(a: Array, b: Array, *, peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio of two pictures, in decibels.

    Args:
        a, b: arrays of one shape, any numeric type.
        peak: the range of values, > 0: 255 for 8-bit pictures, 2 for pictures in [-1, 1].
    Returns:
        10 log10(peak^2 / mean squared difference); infinite for equal pictures.
    Raises:
        UsageError: for differing shapes, empty pictures or a peak that is not positive.
    Example:
        >>> round(psnr(np.zeros((2, 3)), np.full((2, 3), 25.5)), 9)
        20.0
    """
    if a.shape != b.shape or not a.size:
        raise UsageError(f"pictures of shapes {a.shape} and {b.shape}: expected one, not empty")
    if not peak > 0:
        raise UsageError(f"peak {peak}: expected a positive number, 255 for 8-bit pictures")
    error = float(np.square(a.astype(np.float64) - b.astype(np.float64)).mean())
    return math.inf if error == 0 else 10 * math.log10(peak**2 / error)


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


def scale_pairs(
    generator: Generator,
    seeds: Iterable[int],
    *,
    size: int | tuple[int, int],
    factor: int = 2,
    truncation: float = 1.0,
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
        truncation: as in `map`.
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
        small = render(generator, seed=seed, size=(height, width), truncation=truncation)
        large = render(generator, seed=seed, size=larger, truncation=truncation)
        yield small, box_reduce(large, factor)


def scale_consistency(
    generator: Generator,
    seeds: Iterable[int],
    *,
    size: int | tuple[int, int],
    factor: int = 2,
    truncation: float = 1.0,
) -> float:
    """Mean PSNR of pictures at `size` against box-filtered ones at factor * size, in decibels.

    The measure of CREPS, Table 3 (section 4.4); arguments and errors as `scale_pairs`, and a
    UsageError if there are no seeds. A pair counts for at most `EIGHT_BIT_CEILING`, so that one
    flat picture does not make the mean infinite. A lattice between the training samples is
    consistent too and goes unseen here: look at `lattice_ratio` as well.
    """
    pairs = scale_pairs(generator, seeds, size=size, factor=factor, truncation=truncation)
    values = [min(psnr(small, reduced), EIGHT_BIT_CEILING) for small, reduced in pairs]
    if not values:
        raise UsageError("no seeds to compare sizes of: expected at least 1")
    return math.fsum(values) / len(values)


def lattice_ratio(picture: Array, period: float) -> float:
    """How much a picture repeats with the training grid: 1 is no lattice, above 1 is one.

    A generator trained on one fixed grid is free between its samples; rendered larger, it may show
    a pattern whose period is the training pixel. It stands out from the picture's spectrum, which
    falls smoothly: so the power in narrow bands around the lattice frequency and its harmonics is
    divided by the power expected there from the bands half-way between them, interpolated as a
    power law (log power against log frequency). Both axes count together, all lines of each.

    Args:
        picture: (H, W), at least 4 periods on each axis.
        period: of the lattice in pixels, >= 4: rendered size / training resolution.
    Returns:
        measured / expected power, >= 0; 1 for a picture without any power there. One picture's
        own details move it by some tens of percent: take the mean of many, beside real pictures.
    Raises:
        UsageError: for another layout, a period below 4 or a picture of fewer than 4 periods.
    """
    if picture.ndim != 2:
        raise UsageError(f"picture of shape {picture.shape}: expected one channel, (H, W)")
    if not (4 <= period < math.inf):
        raise UsageError(f"period {period}: expected at least 4 pixels, render the picture larger")
    if min(picture.shape) < 4 * period:
        raise UsageError(
            f"picture of shape {picture.shape} holds fewer than 4 periods of {period} pixels: "
            "render it larger"
        )
    values = picture.astype(np.float64)
    values = values - values.mean()
    measured = expected = 0.0
    for lines in (values, values.T):
        spectrum = _line_spectrum(lines)
        fundamental = lines.shape[1] / period  # the lattice frequency, in bins of the spectrum
        harmonic = 1
        while harmonic + 0.5 + _HALF_BAND <= period / 2:  # the upper neighbour is below Nyquist
            measured += _band_power(spectrum, harmonic, fundamental)
            expected += _expected_power(spectrum, harmonic, fundamental)
            harmonic += 1
    return measured / expected if expected > 0 else 1.0


def _line_spectrum(lines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean power spectrum of the rows (M, L): (L // 2 + 1,), bin k is k / L cycles a pixel."""
    # A Hann window: without it the jump between a line's ends hides everything faint.
    window = np.hanning(lines.shape[1] + 2)[1:-1]
    power: NDArray[np.float64] = np.square(np.abs(np.fft.rfft(lines * window, axis=1))).mean(0)
    return power


def _band_power(spectrum: NDArray[np.float64], multiple: float, fundamental: float) -> float:
    """Mean power in the band around `multiple` lattice frequencies."""
    low, high = ((multiple + side * _HALF_BAND) * fundamental for side in (-1, 1))
    return float(spectrum[math.ceil(low) : math.floor(high) + 1].mean())


def _expected_power(spectrum: NDArray[np.float64], harmonic: int, fundamental: float) -> float:
    """Power at a harmonic, from its neighbours half-way, if the spectrum is a power law there."""
    below, above = harmonic - 0.5, harmonic + 0.5
    share = math.log(harmonic / below) / math.log(above / below)
    low, high = (_band_power(spectrum, place, fundamental) for place in (below, above))
    return float(low ** (1 - share) * high**share)
