"""What is worked out picture by picture: features, spectra, consistency, lattice, equivariance.

Each is a small frozen object that `collecting` sends to processes; see there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from creps.errors import UsageError
from creps.metrics._cache import SUM, Columns
from creps.metrics._consistency import ARTIFACTS, artifact_measures, scale_agreement
from creps.metrics._equivariance import Movement, equivariance_error
from creps.metrics._extractor_names import ExtractorSpec
from creps.metrics._extractors import extract
from creps.metrics._grid_artifact import lattice_ratio
from creps.metrics._models import ModelRef, Size, identity
from creps.metrics._path_length import path_step
from creps.metrics._pictures import Picture, PictureSet
from creps.metrics._similarity import LayeredExtractor
from creps.metrics._spectra import SMALLEST, power_spectrum, radial_spectrum
from creps.rendering._view import Samples

SPECTRUM_SIDE = 512
"""Pixels a side up to which the mean spectrum is kept as a plane; beyond only by radius."""


@dataclass(frozen=True, kw_only=True)
class Features:
    """Features and power spectra of a set of pictures, in one pass.

    Columns: features (N, D) float32; sum_radial (K,), and sum_power (H, W // 2 + 1) for pictures up
    to `SPECTRUM_SIDE`, both of 0 .. 255 grays.

    Attributes:
        pictures: the set.
        extractor: of the features.
    """

    pictures: PictureSet
    extractor: ExtractorSpec
    chunk: int = 25

    @property
    def weight(self) -> float:
        """Seconds a picture."""
        return 0.06 + 1.5e-6 * self.pictures.size[0] * self.pictures.size[1]

    def identity(self) -> dict[str, Any]:
        """All that the columns depend on."""
        return {"pictures": self.pictures.identity(), "extractor": self.extractor.identity()}

    def run(self, first: int, count: int) -> Columns:
        """Columns of so many pictures."""
        height, width = self.pictures.size
        with_spectrum = min(height, width) >= SMALLEST
        power = np.zeros((height, width // 2 + 1))
        radial = np.zeros(min(height, width) // 2 + 1)

        def pictures() -> Iterator[Picture]:
            for index in range(first, first + count):
                picture = self.pictures.picture(index)
                if with_spectrum:
                    spectrum = power_spectrum(picture)
                    radial[:] += radial_spectrum(spectrum, width).average
                    power[:] += spectrum
                yield picture

        features = extract(pictures(), self.extractor.load())
        columns: Columns = {"features": features.astype(np.float32)}
        if with_spectrum:
            columns[f"{SUM}radial"] = radial
            if max(height, width) <= SPECTRUM_SIDE:
                columns[f"{SUM}power"] = power
        return columns


@dataclass(frozen=True, kw_only=True)
class Consistency:
    """Scale consistency of each seed; columns psnr, ssim, perceptual, cost.

    Attributes:
        model, truncation: what is drawn.
        size, factor, supersample: as for `scale_agreement`.
        extractor: of the perceptual distance; its layers are compared if it shows them.
        first: the first seed.
    """

    model: ModelRef
    size: int
    extractor: ExtractorSpec
    factor: int = 2
    truncation: float = 1.0
    supersample: Samples = 1
    first: int = 0
    chunk: int = 10

    @property
    def weight(self) -> float:
        """Seconds a seed."""
        return 0.1 + 1.5e-6 * self.size**2 * (1 + self.factor**2)

    def identity(self) -> dict[str, Any]:
        """All that the columns depend on."""
        return _identity(self)

    def run(self, first: int, count: int) -> Columns:
        """Columns of so many seeds."""
        extractor = layered(self.extractor) if shows_layers(self.extractor) else None
        rows = [
            scale_agreement(
                self.model.generator(),
                self.first + index,
                size=self.size,
                factor=self.factor,
                truncation=self.truncation,
                supersample=self.supersample,
                extractor=extractor,
            )
            for index in range(first, first + count)
        ]
        return {name: np.array([getattr(row, name) for row in rows]) for name in rows[0]._fields}


@dataclass(frozen=True, kw_only=True)
class Lattice:
    """The lattice ratio of each picture of a set, by the period of the training grid; one column.

    Attributes:
        pictures: the set.
        period: pixels.
    """

    pictures: PictureSet
    period: float
    chunk: int = 10

    @property
    def weight(self) -> float:
        """Seconds a picture."""
        return 1.5e-6 * self.pictures.size[0] * self.pictures.size[1]

    def identity(self) -> dict[str, Any]:
        """All that the column depends on."""
        return {"pictures": self.pictures.identity(), "period": self.period}

    def run(self, first: int, count: int) -> Columns:
        """The column of so many pictures."""
        drawn = (self.pictures.picture(index) for index in range(first, first + count))
        return {"ratio": np.array([lattice_ratio(p.mean(2), self.period) for p in drawn])}


@dataclass(frozen=True, kw_only=True)
class Equivariance:
    """Squared differences of moved samples; one column.

    Attributes:
        model, truncation: what is drawn.
        movement, size: as for `equivariance_error`.
        seed: of the moves; the first sample's too.
    """

    model: ModelRef
    movement: Movement
    size: Size
    truncation: float = 1.0
    seed: int = 0
    chunk: int = 10

    @property
    def weight(self) -> float:
        """Seconds a sample: turned pictures cannot share lines."""
        return (8e-5 if self.movement == "rotation" else 6e-6) * self.size[0] * self.size[1]

    def identity(self) -> dict[str, Any]:
        """All that the column depends on."""
        return _identity(self)

    def run(self, first: int, count: int) -> Columns:
        """The column of so many samples."""
        errors = [
            equivariance_error(
                self.model,
                self.seed + index,
                movement=self.movement,
                size=self.size,
                generator=np.random.default_rng((self.seed, index)),
                truncation=self.truncation,
            )
            for index in range(first, first + count)
        ]
        return {"error": np.array(errors)}


@dataclass(frozen=True, kw_only=True)
class PathSteps:
    """Steps of perceptual paths between pairs of latents; one column.

    Attributes:
        model, space, size: as for `path_step`.
        extractor: one that shows its layers.
        seed: of the places; pair i is of the seeds seed + 2 i and the next.
    """

    model: ModelRef
    space: str
    size: Size
    extractor: ExtractorSpec
    seed: int = 0
    chunk: int = 20

    @property
    def weight(self) -> float:
        """Seconds a pair."""
        return 0.15 + 3e-6 * self.size[0] * self.size[1]

    def identity(self) -> dict[str, Any]:
        """All that the column depends on."""
        return _identity(self)

    def run(self, first: int, count: int) -> Columns:
        """The column of so many pairs."""
        extractor = layered(self.extractor)
        steps = [
            path_step(
                self.model,
                (self.seed + 2 * index, self.seed + 2 * index + 1),
                space=self.space,
                size=self.size,
                extractor=extractor,
                generator=np.random.default_rng((self.seed, index)),
            )
            for index in range(first, first + count)
        ]
        return {"step": np.array(steps)}


@dataclass(frozen=True, kw_only=True)
class Artifacts:
    """Measures of typical artifacts of each picture of a set; a column each, and spectra.

    Attributes:
        pictures: the set.
    """

    pictures: PictureSet
    chunk: int = 10

    @property
    def weight(self) -> float:
        """Seconds a picture."""
        return 3e-6 * self.pictures.size[0] * self.pictures.size[1]

    def identity(self) -> dict[str, Any]:
        """All that the columns depend on."""
        return {"pictures": self.pictures.identity(), "measures": list(ARTIFACTS)}

    def run(self, first: int, count: int) -> Columns:
        """Columns of so many pictures."""
        rows = []
        power: Any = 0.0
        for index in range(first, first + count):
            picture = self.pictures.picture(index)
            rows.append(artifact_measures(picture))
            power = power + power_spectrum(picture)
        columns = {name: np.array([row[name] for row in rows]) for name in ARTIFACTS}
        return {**columns, f"{SUM}power": power}


def shows_layers(spec: ExtractorSpec) -> bool:
    """Whether an extractor has layers to compare."""
    return hasattr(spec.load(), "layers")


def layered(spec: ExtractorSpec) -> LayeredExtractor:
    """An extractor that shows its layers.

    Raises:
        UsageError: for one that does not.
    """
    if not shows_layers(spec):
        raise UsageError(f"{spec.name} shows no layers to compare: path lengths need effnet")
    extractor: Any = spec.load()
    shown: LayeredExtractor = extractor
    return shown


def _identity(work: Any) -> dict[str, Any]:
    """The fields of a work, with what stands for its model and its extractor."""
    rest = {k: v for k, v in asdict(work).items() if k not in ("model", "extractor", "chunk")}
    if hasattr(work, "extractor"):
        rest["extractor"] = work.extractor.identity()
    return {**identity(work.model), **rest}
