"""A lattice between the training samples: a pattern that repeats with the training grid."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creps.errors import UsageError

Array = NDArray[Any]

_HALF_BAND = 1 / 8  # of the lattice frequency: half the width of the bands that are compared


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
