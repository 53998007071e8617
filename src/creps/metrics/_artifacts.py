"""Artifacts that pixel-wise generators are known for (CREPS, section 4.8; CIPS, section 4.9).

Waves, mirror symmetry, glowing blobs, the rows and columns that thick lines leave behind, and a
pattern that repeats with the training grid. Real pictures have waves, symmetry and bright spots
too: a number means something only next to that of real pictures of the same size.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creps.errors import UsageError
from creps.metrics._spectra import power_spectrum, rings_of

Array = NDArray[Any]

ARTIFACTS = ("waves", "symmetry", "blobs", "stripes")

SMALLEST = 32
"""Pixels a side that these measures need."""

_FINE = 1 / 12  # cycles a pixel: what is finer is texture rather than shape
_BLOB = 1 / 20  # of the picture: the radius of blobs to search for
_HALF_BAND = 1 / 8  # of the grid's frequency: half the width of the bands that are compared


def artifact_measures(picture: Array) -> dict[str, float]:
    """How much of each of `ARTIFACTS` there is in one picture.

    Args:
        picture: (H, W) or (H, W, C), sides >= 32, values 0 .. 255.
    Returns:
        waves: decibels by which the strongest wave stands out of its ring of the spectrum.
        symmetry: share of the detail that is mirrored at an upright line near the middle, -1 .. 1.
        blobs: brightness of the strongest round spot, in standard deviations of the picture.
        stripes: share of the fine power in exact rows and columns, 0 .. 1.
    Raises:
        UsageError: for another layout, too few pixels or values that are not finite.
    """
    if picture.ndim not in (2, 3) or min(picture.shape[:2]) < SMALLEST:
        raise UsageError(
            f"picture of shape {picture.shape}: expected (H, W[, C]) of "
            f"{SMALLEST} pixels or more a side"
        )
    gray = picture.astype(np.float64)
    gray = gray if gray.ndim == 2 else gray.mean(2)
    power = power_spectrum(gray)
    frequency, ring = rings_of(power, gray.shape[1])
    fine = (frequency > _FINE) & (frequency < 0.5)
    return {
        "waves": _waves(power, ring, fine),
        "symmetry": _symmetry(gray),
        "blobs": _blobs(gray),
        "stripes": _stripes(power, frequency, fine, gray.shape[1]),
    }


def _waves(power: NDArray[np.float64], ring: NDArray[np.int64], fine: NDArray[np.bool_]) -> float:
    """Largest fine power, smoothed over 3 x 3 frequencies, over the mean of its ring."""
    smooth = power + np.roll(power, 1, 0) + np.roll(power, -1, 0)  # rows wrap around
    smooth = np.pad(smooth, ((0, 0), (1, 1)), mode="edge")
    smooth = (smooth[:, :-2] + smooth[:, 1:-1] + smooth[:, 2:]) / 9
    count = np.bincount(ring.ravel(), minlength=1)
    mean = np.bincount(ring.ravel(), smooth.ravel()) / np.maximum(count, 1)
    expected = mean[ring]
    ratio = np.where(fine & (expected > 0), smooth / np.maximum(expected, 1e-300), 0.0)
    return float(10 * np.log10(max(ratio.max(), 1e-3)))


def _stripes(
    power: NDArray[np.float64],
    frequency: NDArray[np.float64],
    fine: NDArray[np.bool_],
    width: int,
) -> float:
    y, x = np.abs(np.fft.fftfreq(len(power)))[:, None], np.fft.rfftfreq(width)[None]
    close = np.minimum(y, x) < 0.08 * frequency  # within five degrees of an axis
    total = float(power[fine].sum())
    return float(power[fine & close].sum()) / total if total > 0 else 0.0


def _symmetry(gray: NDArray[np.float64]) -> float:
    """Largest correlation of the detail with its mirror image, near the middle."""
    detail = gray - _blurred(gray, gray.shape[1] / 24)
    energy = float(np.square(detail).sum())
    if energy <= 1e-9 * detail.size:
        return 0.0
    # Correlation of each row with its mirror image, for all shifts at once.
    width = gray.shape[1]
    spectrum = np.fft.rfft(detail, 2 * width, axis=1)
    mirrored = np.fft.rfft(detail[:, ::-1], 2 * width, axis=1)
    correlation = np.fft.irfft(spectrum * mirrored.conj(), 2 * width, axis=1).sum(0)
    reach = width // 4  # a mirror line moves by half of that
    near = np.concatenate([correlation[: reach + 1], correlation[-reach:]])
    return float(near.max() / energy)


def _blobs(gray: NDArray[np.float64]) -> float:
    """Largest difference of a blur over a 20th of the picture and one over twice that."""
    spread = float(gray.std())
    if spread <= 1e-9:
        return 0.0
    radius = _BLOB * min(gray.shape)
    return float((_blurred(gray, radius) - _blurred(gray, 2 * radius)).max() / spread)


def _blurred(gray: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """A Gaussian blur; the borders are mirrored."""
    pad = [min(int(np.ceil(4 * sigma)), side) for side in gray.shape]
    padded = np.pad(gray, [(p, p) for p in pad], mode="symmetric")
    y = np.fft.fftfreq(padded.shape[0])[:, None]
    x = np.fft.rfftfreq(padded.shape[1])
    kernel = np.exp(-2 * (np.pi * sigma) ** 2 * (y**2 + x**2))
    blurred: NDArray[np.float64] = np.fft.irfft2(np.fft.rfft2(padded) * kernel, s=padded.shape)
    return blurred[pad[0] : pad[0] + gray.shape[0], pad[1] : pad[1] + gray.shape[1]]


def grid_artifact(picture: Array, period: float) -> float:
    """How much a picture repeats with the training grid: 1 is not at all, above 1 it does.

    A generator trained on one fixed grid is free between its samples; rendered larger, it may show
    a pattern whose period is the training pixel. It stands out from the picture's spectrum, which
    falls smoothly: so the power in narrow bands around the grid's frequency and its harmonics is
    divided by the power expected there from the bands half-way between them, interpolated as a
    power law (log power against log frequency). Both axes count together, all lines of each.

    Args:
        picture: (H, W) or (H, W, C), whose colors are averaged; at least 4 periods on each axis.
        period: of the grid in pixels, >= 4: rendered size / training resolution.
    Returns:
        measured / expected power, >= 0; 1 for a picture without any power there. One picture's
        own details move it by some tens of percent: compare means of many with real ones.
    Raises:
        UsageError: for another layout, a period below 4 or a picture of fewer than 4 periods.
    """
    if picture.ndim not in (2, 3):
        raise UsageError(f"picture of shape {picture.shape}: expected (H, W) or (H, W, C)")
    if not (4 <= period < math.inf):
        raise UsageError(f"period {period}: expected at least 4 pixels, render the picture larger")
    if min(picture.shape[:2]) < 4 * period:
        raise UsageError(
            f"picture of shape {picture.shape} holds fewer than 4 periods of {period} pixels: "
            "render it larger"
        )
    values = picture.astype(np.float64) if picture.ndim == 2 else picture.mean(2)
    values = values - values.mean()
    measured = expected = 0.0
    for lines in (values, values.T):
        spectrum = _line_spectrum(lines)
        fundamental = lines.shape[1] / period  # the grid's frequency, in bins of the spectrum
        harmonic = 1
        while harmonic + 0.5 + _HALF_BAND <= period / 2:  # the upper neighbor is below Nyquist
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
    """Mean power in the band around a multiple of the grid's frequency."""
    low, high = ((multiple + side * _HALF_BAND) * fundamental for side in (-1, 1))
    return float(spectrum[math.ceil(low) : math.floor(high) + 1].mean())


def _expected_power(spectrum: NDArray[np.float64], harmonic: int, fundamental: float) -> float:
    """Power at a harmonic, from its neighbors half-way, if the spectrum is a power law there."""
    below, above = harmonic - 0.5, harmonic + 0.5
    share = math.log(harmonic / below) / math.log(above / below)
    low, high = (_band_power(spectrum, place, fundamental) for place in (below, above))
    return float(low ** (1 - share) * high**share)
