"""Decoded pictures that a loading process keeps, where many patches come from each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

import numpy as np

Layers = tuple[np.ndarray[Any, Any], ...]
"""The colors of a picture, and its maps."""


class Decoded:
    """The latest pictures that fit into so many bytes, and the last one whatever it takes."""

    def __init__(self, most: int) -> None:
        self._most, self._taken = most, 0
        self._pictures: OrderedDict[Hashable, Layers] = OrderedDict()

    def recall(self, key: Hashable) -> Layers | None:
        """A picture, if it is still kept."""
        if key in self._pictures:
            self._pictures.move_to_end(key)
        return self._pictures.get(key)

    def keep(self, key: Hashable, picture: Layers) -> None:
        """Keep a picture, in place of the oldest ones where they leave no room."""
        if not self._most:
            return
        self._taken += _bytes(picture) - _bytes(self._pictures.pop(key, ()))
        self._pictures[key] = picture
        while self._taken > self._most and len(self._pictures) > 1:
            self._taken -= _bytes(self._pictures.popitem(last=False)[1])


def _bytes(picture: Layers) -> int:
    return sum(each.nbytes for each in picture)
