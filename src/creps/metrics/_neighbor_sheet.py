"""Samples beside the real pictures most like them, as one picture (CIPS, Fig. 18)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from creps.errors import UsageError
from creps.metrics._cache import Progress, collect
from creps.metrics._extractor_names import ExtractorSpec
from creps.metrics._jobs import Features
from creps.metrics._manifolds import nearest
from creps.metrics._models import ModelRef, Size
from creps.metrics._pictures import ModelPictures, RealPictures
from creps.metrics._real_images import Images, Portraits
from creps.rendering._sheets import Panel, captioned_sheet


def neighbour_sheet(
    model: ModelRef,
    real: Portraits | Images,
    *,
    extractor: ExtractorSpec,
    samples: int = 6,
    neighbours: int = 5,
    searched: int | None = None,
    size: Size | None = None,
    shown: Size | None = None,
    cache: Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> NDArray[np.uint8]:
    """Samples of the seeds 0, 1, ... in a column, with the nearest real pictures beside each.

    Args:
        model: the model.
        real: what it was trained on.
        extractor: pictures are alike where its features are.
        samples, neighbours: rows, and real pictures in each.
        searched: real pictures that are looked through; all by default.
        size: (height, width) of pictures that are compared; the model's own by default.
        shown: of those shown; as compared by default.
        cache, workers, progress: as for `collect`.
    Returns:
        (H, W, 3) uint8.
    Raises:
        UsageError: for endless real pictures without `searched`, or too few of them.
    """
    count = real.count if searched is None else searched
    if count is None:
        raise UsageError("drawn portraits are endless: say how many to look through (searched)")
    size = size or model.size
    shown = shown or size
    works = {
        "model": Features(pictures=ModelPictures(model=model, size=size), extractor=extractor),
        "real": Features(pictures=RealPictures(real=real, size=size), extractor=extractor),
    }
    columns = collect(
        works,
        {"model": samples, "real": count},
        folder=cache,
        workers=workers,
        progress=progress,
    )
    ours, theirs = (columns[name]["features"].astype(np.float64) for name in ("model", "real"))
    numbers, distances = nearest(ours, theirs, count=neighbours)
    rows = [
        _row(seed, numbers[seed], distances[seed], (model, real), shown) for seed in range(samples)
    ]
    name = extractor.load().name
    return captioned_sheet(
        rows, heading=f"Samples, and the nearest of {count:,} real pictures by {name} features"
    )


def _row(
    seed: int,
    numbers: Sequence[int] | NDArray[np.int64],
    distances: NDArray[np.float64],
    sources: tuple[ModelRef, Portraits | Images],
    size: Size,
) -> list[Panel]:
    """A sample and its neighbours."""
    model, real = sources
    sample = ModelPictures(model=model, size=size).picture(seed)
    return [Panel(sample, f"sample, seed {seed}")] + [
        Panel(real.picture(int(number), size), f"distance {distance:.2f}")
        for number, distance in zip(numbers, distances, strict=True)
    ]
