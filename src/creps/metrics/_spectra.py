"""Power spectra of pictures and their mean over all directions.

CIPS, section 4.5 and Fig. 7; any-resolution paper, Fig. 14. Frequencies are in cycles a pixel.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from creps.errors import UsageError

Array = NDArray[Any]

SMALLEST = 8
"""Pixels a side of the smallest picture that has a spectrum worth looking at."""


class RadialSpectrum(NamedTuple):
    """Power by distance from frequency 0.

    Attributes:
        frequency: (K,) middles of the rings, 0 .. 0.5 cycles a pixel.
        average: (K,) mean power in each ring.
        integral: (K,) power in each ring added up, both halves of the plane.
    """

    frequency: NDArray[np.float64]
    average: NDArray[np.float64]
    integral: NDArray[np.float64]


def power_spectrum(picture: Array, *, window: bool = True) -> NDArray[np.float64]:
    """Power at each frequency of a picture in gray.

    Args:
        picture: (H, W) or (H, W, C), sides >= 8, any numeric type; colors are averaged and their
            mean is subtracted.
        window: weigh with a Hann window first: without it the jump between opposite borders lays a
            cross over everything faint. CIPS' Fig. 7 is without.
    Returns:
        (H, W // 2 + 1) power |FFT|^2 / (sum of squared weights), so that white noise of variance v
        has the mean v; frequencies as `numpy.fft.rfft2` orders them.
    Raises:
        UsageError: for another layout, too few pixels or values that are not finite.
    """
    if picture.ndim not in (2, 3) or min(picture.shape[:2]) < SMALLEST:
        raise UsageError(
            f"picture of shape {picture.shape}: expected (H, W) or (H, W, C), sides of {SMALLEST} "
            "pixels or more"
        )
    gray = picture.astype(np.float64)
    gray = gray if gray.ndim == 2 else gray.mean(2)
    if not np.isfinite(gray).all():
        raise UsageError("a picture holds NaN or infinite values: it has no spectrum")
    gray = gray - gray.mean()
    if window:
        rows, columns = (np.hanning(side + 2)[1:-1] for side in gray.shape)
        weights = rows[:, None] * columns
        gray = gray * weights
        total = float(np.square(weights).sum())
    else:
        total = float(gray.size)
    power: NDArray[np.float64] = np.square(np.abs(np.fft.rfft2(gray))) / total
    return power


def radial_spectrum(power: NDArray[np.float64], width: int) -> RadialSpectrum:
    """A spectrum over all directions: azimuthal average and azimuthal integral.

    The rings are as wide as one frequency step of the shorter side; corners beyond 0.5 cycles a
    pixel are left out. The integral is CIPS' "azimuthal integration" (after Durall et al. 2020).

    Args:
        power: (H, W // 2 + 1) from `power_spectrum`, or a mean of several.
        width: W of the pictures.
    Raises:
        UsageError: if the shapes do not belong together.
    """
    if power.ndim != 2 or power.shape[1] != width // 2 + 1:
        raise UsageError(f"spectrum of shape {power.shape}: expected (H, {width // 2 + 1})")
    side = min(len(power), width)
    rings = side // 2 + 1
    _, ring = rings_of(power, width)
    inside = ring < rings
    # Columns between the first and the Nyquist one represent their mirror images too.
    twice = np.full(power.shape[1], 2.0)
    twice[0] = 1.0
    if width % 2 == 0:
        twice[-1] = 1.0
    weight = np.broadcast_to(twice, power.shape)
    count = np.bincount(ring[inside], weight[inside], rings)
    total = np.bincount(ring[inside], (weight * power)[inside], rings).astype(np.float64)
    return RadialSpectrum(np.arange(rings) / side, total / count, total)


def rings_of(
    power: NDArray[np.float64], width: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distance of each frequency from 0, in cycles a pixel, and the number of its ring."""
    radius = np.hypot(np.fft.fftfreq(len(power))[:, None], np.fft.rfftfreq(width))
    return radius, np.rint(radius * min(len(power), width)).astype(np.int64)


class SpectrumDifference(NamedTuple):
    """How far one radial spectrum is from another, in decibels.

    Attributes:
        rms: root mean square over the rings, the first (the window's own width) left out.
        tail: mean over the upper half of the frequencies: above 0 too much fine detail or noise,
            below 0 too little, blur.
    """

    rms: float
    tail: float


def spectrum_difference(
    generated: NDArray[np.float64], real: NDArray[np.float64]
) -> SpectrumDifference:
    """The difference of two azimuthal averages (K,) of pictures of one size, in decibels."""
    if generated.shape != real.shape or generated.ndim != 1 or len(real) < 4:
        raise UsageError(
            f"spectra of shapes {generated.shape} and {real.shape}: expected one, of 4 rings or "
            "more: measure pictures of one size"
        )
    # Nothing is blacker than a thousandth of the rounding of 8-bit pictures, 1/12 gray level^2.
    floor = 1e-3 / 12
    decibels = 10 * np.log10(np.maximum(generated, floor) / np.maximum(real, floor))[2:]
    upper = decibels[len(decibels) // 2 :]
    return SpectrumDifference(float(np.sqrt(np.square(decibels).mean())), float(upper.mean()))


def whole_plane(power: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """A half spectrum (H, W // 2 + 1) as the whole (H, W) plane, frequency 0 in the middle."""
    height = power.shape[0]
    whole = np.empty((height, width))
    half = power.shape[1]
    whole[:, :half] = power
    # A real picture's power at -f is that at f.
    rows = -np.arange(height) % height
    whole[:, half:] = power[rows][:, width - np.arange(half, width)]
    return np.fft.fftshift(whole)
