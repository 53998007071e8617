"""Pictures that are the same, or nearly: by their pixels, and by how they look small.

The look of a picture is its difference hash, 16 x 16 signs of the change from each gray cell to its
right neighbour, and its colours on an 8 x 8 grid. Both must agree for two pictures to be near-
duplicates: flat art of one style shares its outlines, but not its colours.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_BITS = 15
"""Signs of 256 in which near-duplicates may differ."""

MOST_COLOUR = 4.0
"""Mean difference of colours, of 255, that near-duplicates may have."""

_GRID, _COLOURS = 16, 8
_STEP = 2  # of 255, that counts as a change: in flat parts noise alone would set the signs
_PIECES = 16  # of 16 bits of a hash: with less than 16 differences one piece at least is the same
_CROWD = 200  # pictures that share a piece, from which on it says nothing


@dataclass(frozen=True)
class Look:
    """What tells a picture from others.

    Attributes:
        exact: digest of its size and pixels, whatever file they lie in.
        signs: (16,) uint16, the difference hash.
        colours: (192,) uint8, an 8 x 8 reduction.
    """

    exact: bytes
    signs: NDArray[np.uint16]
    colours: NDArray[np.uint8]


def look_of(pixels: NDArray[Any]) -> Look:
    """The look of a picture (H, W, 3) uint8."""
    exact = hashlib.blake2b(np.ascontiguousarray(pixels).tobytes(), digest_size=16)
    exact.update(repr(pixels.shape).encode())
    image = Image.fromarray(pixels)
    if min(image.size) >= 8 * _GRID:  # whole blocks first: most of the work, little of the look
        image = image.reduce(min(image.size) // (4 * _GRID))
    box = Image.Resampling.BOX
    gray = np.asarray(image.convert("L").resize((_GRID + 1, _GRID), box), np.int16)
    signs = np.packbits(gray[:, 1:] > gray[:, :-1] + _STEP)
    colours = np.asarray(image.resize((_COLOURS, _COLOURS), box)).reshape(-1)
    return Look(exact.digest(), signs.view(np.uint16), colours)


def same_pictures(looks: Sequence[Look]) -> list[list[int]]:
    """Groups of pictures with the same pixels, by index."""
    by_digest: dict[bytes, list[int]] = defaultdict(list)
    for index, look in enumerate(looks):
        by_digest[look.exact].append(index)
    return [group for group in by_digest.values() if len(group) > 1]


def similar_pictures(looks: Sequence[Look]) -> list[list[int]]:
    """Groups of pictures that look alike without being the same, by index.

    Of pictures with the same pixels the first stands for all. Pictures with hardly any structure
    (a clear sky, the open sea) are passed over: they all look alike.
    """
    first = {look.exact: index for index, look in reversed(list(enumerate(looks)))}
    indices = [index for index in sorted(first.values()) if _ones(looks[index].signs) > MOST_BITS]
    if not indices:
        return []
    signs = np.stack([looks[index].signs for index in indices])
    colours = np.stack([looks[index].colours for index in indices]).astype(np.int16)
    leader = list(range(len(indices)))

    def find(k: int) -> int:
        while leader[k] != k:
            leader[k] = leader[leader[k]]
            k = leader[k]
        return k

    for a, b in _candidates(signs):
        if (
            _ones(signs[a] ^ signs[b]) <= MOST_BITS
            and np.abs(colours[a] - colours[b]).mean() <= MOST_COLOUR
        ):
            leader[find(b)] = find(a)
    groups: dict[int, list[int]] = defaultdict(list)
    for k, index in enumerate(indices):
        groups[find(k)].append(index)
    return [group for group in groups.values() if len(group) > 1]


def _ones(signs: NDArray[np.uint16]) -> int:
    return int(np.unpackbits(signs.view(np.uint8)).sum())


def _candidates(signs: NDArray[np.uint16]) -> set[tuple[int, int]]:
    """Pairs that share one of the pieces of their hashes: all pairs of at most 15 differences.

    Pieces that very many pictures share (a plain corner) are passed over.
    """
    pairs: set[tuple[int, int]] = set()
    for piece in range(_PIECES):
        order = np.argsort(signs[:, piece], kind="stable")
        values = signs[order, piece]
        starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
        stops = np.r_[starts[1:], len(values)]
        for start, stop in zip(starts, stops, strict=True):
            if 1 < stop - start <= _CROWD:
                members = sorted(int(k) for k in order[start:stop])
                pairs.update(combinations(members, 2))
    return pairs
