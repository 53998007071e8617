"""Measures of the artifacts that pixel-wise generators are known for (CREPS 4.8, CIPS 4.9).

Waves, mirror symmetry and glowing blobs, and the rows and columns that thick lines leave behind.
Real pictures have waves, symmetry and bright spots too: a number says something only beside that of
real pictures of the same size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from creps.errors import UsageError
from creps.metrics.measures.spectra import power_spectrum

Array = NDArray[Any]

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
