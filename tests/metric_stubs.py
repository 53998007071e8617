"""An extractor that costs nothing, in the place of the real ones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from creps.metrics import _extractors as extractors
from creps.metrics._extractors import ExtractorSpec


class Means:
    """Features are means of the quarters of a picture, by color."""

    name, width, side, resize = "means", 12, 16, "none"

    def __call__(self, images: Tensor, /) -> Tensor:
        pooled = torch.nn.functional.adaptive_avg_pool2d(images.expand(-1, 3, -1, -1).float(), 2)
        return pooled.flatten(1)

    def layers(self, images: Tensor, /) -> list[Tensor]:
        return [images.expand(-1, 3, -1, -1) + 2]


class Shallow(Means):
    """The same without layers."""

    layers = property()  # type: ignore[assignment]


def stub(monkeypatch: pytest.MonkeyPatch, extractor: Means | None = None) -> ExtractorSpec:
    """A spec that loads a stub."""
    found = extractor or Means()
    monkeypatch.setattr(extractors, "_loaded", lambda spec: found)
    return ExtractorSpec(name="means", sha256="0")
