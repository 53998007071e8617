"""Samples beside the real pictures most like them, as one picture (CIPS, Fig. 18)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from creps.errors import UsageError
from creps.metrics import RealImages
from creps.metrics._distances import nearest
from creps.metrics._extractors import ExtractorSpec
from creps.metrics._measurements import Progress, measure
from creps.metrics._models import ModelRef, Size
from creps.metrics._pictures import Features, ModelPictures, RealPictures
from creps.rendering import Panel, captioned_sheet


def neighbour_sheet(
    model: ModelRef,
    real: RealImages,
    *,
    extractor: ExtractorSpec,
    samples: int = 6,
    neighbours: int = 5,
    searched: int | None = None,
    size: Size | None = None,
    shown: Size | None = None,
    cache: Path | None = None,
    workers: int = 0,
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
        cache, workers, progress: as for `measure`.
    Returns:
        (H, W, 3) uint8.
    Raises:
        UsageError: for endless real pictures without `searched`, or too few of them.
    """
    count = real.count if searched is None else searched
    if count is None:
        raise UsageError("drawn portraits are endless: say how many to look through (searched)")
    size = size or model.size
    ours = Features(pictures=ModelPictures(model=model, size=size), extractor=extractor)
    theirs = Features(pictures=RealPictures(real=real, size=size), extractor=extractor)
    found = measure({ours: samples, theirs: count}, cache=cache, workers=workers, progress=progress)
    x, y = (found[each]["features"].astype(np.float64) for each in (ours, theirs))
    numbers, distances = nearest(x, y, count=neighbours)
    shown = shown or size
    drawn = ModelPictures(model=model, size=shown)
    rows = [
        [
            Panel(drawn.picture(seed), f"sample, seed {seed}"),
            *(
                Panel(real.picture(int(number), shown), f"distance {distance:.2f}")
                for number, distance in zip(numbers[seed], distances[seed], strict=True)
            ),
        ]
        for seed in range(samples)
    ]
    name = extractor.load().name
    return captioned_sheet(
        rows, heading=f"Samples, and the nearest of {count:,} real pictures by {name} features"
    )
