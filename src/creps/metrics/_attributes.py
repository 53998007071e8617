"""What can be read in generated portraits: which parts are readable, and drawn as often as real.

The packaged reader (`_reader`) says for each part which drawing it is, and how sure it is. A part
counts as readable where it is surer than of all but a twentieth of real portraits at 128 px.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from creps.data.portraits._truth import DRAWINGS, portrait_truth
from creps.metrics._extractors import Picture, extract, portrait_features
from creps.metrics._measurements import Measurement
from creps.metrics._reader import hidden_of, portrait_reader, reader_record


class Readings(NamedTuple):
    """What the reader says of N portraits.

    Attributes:
        drawings: of each part, the most probable drawing as (N,) indices into `DRAWINGS[part]`.
        readable: of each part, whether the reader is sure of it, (N,).
    """

    drawings: dict[str, NDArray[np.int64]]
    readable: dict[str, NDArray[np.bool_]]

    def names(self, part: str) -> list[str]:
        """Names of the drawings of a part: "smile", "sad", ...; "" where it cannot be read."""
        pairs = zip(self.drawings[part], self.readable[part], strict=True)
        return [DRAWINGS[part][index] if sure else "" for index, sure in pairs]


def read_portraits(images: Iterable[Picture]) -> Readings:
    """Read which drawing each part of a portrait is, and whether that can be told.

    Args:
        images: uint8 pictures of portraits in the ToonHead style, of one size, as for `extract`.
    Raises:
        UsageError: for a picture of another type, layout or size, or if there are none.
    Example:
        >>> from creps.data import portrait
        >>> read_portraits([portrait(3, 128)]).names("mouth")
        ['sad']
    """
    return readings_of(extract(images, portrait_features()))


def readings_of(features: NDArray[np.floating]) -> Readings:
    """The same from (N, D) features of `portrait_features`."""
    with torch.inference_mode():
        hidden = hidden_of(torch.from_numpy(np.asarray(features, np.float32)))
        chances = portrait_reader().chances(hidden)
    sure: Mapping[str, float] = reader_record()["sure"]
    return Readings(
        {part: found.argmax(1).numpy() for part, found in chances.items()},
        {part: found.amax(1).numpy() >= sure[part] for part, found in chances.items()},
    )


@dataclass(frozen=True, kw_only=True)
class Drawings(Measurement):
    """Which drawing each part of real portrait number i is, a column of indices for each part.

    Attributes:
        seed: which family of portraits.
    """

    seed: int

    @property
    def seconds(self) -> float:
        return 0.002

    def item(self, index: int) -> dict[str, int]:
        drawn = portrait_truth(index, self.seed).drawings
        return {part: names.index(drawn[part]) for part, names in DRAWINGS.items()}


def total_variation(a: NDArray[np.int64], b: NDArray[np.int64], kinds: int) -> float:
    """Half the sum of |differences| of the shares of each kind; NaN if one set is empty."""
    if not len(a) or not len(b):
        return float("nan")
    shares = [np.bincount(each.astype(np.int64), minlength=kinds) / len(each) for each in (a, b)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)
