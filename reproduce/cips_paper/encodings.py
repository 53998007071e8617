"""What a network is told of places, looked at as pictures: components and spectra (CIPS, 4.4).

Maps are (H, W, F): F features for each place of a grid.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from creps.errors import UsageError
from creps.metrics._spectra import power_spectrum

Array = NDArray[Any]


def main_components(maps: Array, *, count: int = 3) -> NDArray[np.float64]:
    """The first principal components over all places, as pictures of 0 to 1 each.

    A component's sign is the one that makes its largest weight positive.

    Args:
        maps: (H, W, F), F >= count.
        count: of components.
    Returns:
        (H, W, count), the most varied first; 0.5 everywhere where nothing varies.
    Raises:
        UsageError: for another layout or too few features.
    """
    if maps.ndim != 3 or not 1 <= count <= maps.shape[2]:
        raise UsageError(f"maps of shape {maps.shape}: expected (H, W, F) with F of {count} up")
    rows = maps.reshape(-1, maps.shape[2]).astype(np.float64)
    rows = rows - rows.mean(0)
    values, vectors = np.linalg.eigh(rows.T @ rows)
    chosen = vectors[:, np.argsort(-values, kind="stable")[:count]]  # (F, count)
    strongest = np.take_along_axis(chosen, np.abs(chosen).argmax(0)[None], axis=0)
    found = rows @ (chosen * np.where(strongest < 0, -1.0, 1.0))
    low, high = found.min(0), found.max(0)
    flat = high - low <= 1e-12 * max(np.abs(rows).max(), 1e-300)
    shares = np.where(flat, 0.5, (found - low) / np.where(flat, 1.0, high - low))
    return shares.reshape(*maps.shape[:2], count)


def mean_spectrum(maps: Array) -> NDArray[np.float64]:
    """(H, W // 2 + 1) power of the features of (H, W, F) maps, their mean; no window.

    Raises:
        UsageError: as `power_spectrum`.
    """
    total = sum(power_spectrum(maps[:, :, k], window=False) for k in range(maps.shape[2]))
    mean: NDArray[np.float64] = np.asarray(total) / maps.shape[2]
    return mean


def mean_frequency(power: NDArray[np.float64], width: int) -> float:
    """How fine a spectrum is: the mean distance from frequency 0 by power, cycles a pixel.

    White noise has 0.38.

    Args:
        power: (H, W // 2 + 1) from `power_spectrum` or `mean_spectrum`.
        width: W.
    """
    radius = np.hypot(np.fft.fftfreq(len(power))[:, None], np.fft.rfftfreq(width))
    twice = np.full(power.shape[1], 2.0)  # all but the outermost columns stand for two
    twice[0] = 1.0
    if width % 2 == 0:
        twice[-1] = 1.0
    weight = power * twice
    total = float(weight.sum())
    return float((radius * weight).sum()) / total if total > 0 else 0.0
