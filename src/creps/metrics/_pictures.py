"""Sets of pictures, and what is measured of each picture: features, spectra, artifacts.

Sets are a model's samples and real pictures, whole or in patches. Each is a small frozen dataclass
that makes its picture number i anywhere, in any process, from nothing but its fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from creps.errors import UsageError
from creps.metrics._artifacts import ARTIFACTS, artifact_measures, grid_artifact
from creps.metrics._extractors import ExtractorSpec, extract
from creps.metrics._measurements import SUM, Columns, Measurement
from creps.metrics._models import ModelRef, Size, draw
from creps.metrics._real_images import RealImages
from creps.metrics._spectra import SMALLEST, power_spectrum, radial_spectrum
from creps.rendering._painter import to_uint8
from creps.rendering._tiles import Tile
from creps.rendering._view import Samples

Picture = NDArray[np.uint8]
Filter = Literal["lanczos", "bicubic"]

PATCH_SEED_STEP = 1_000_003  # keeps the draws of patches apart from those of pictures


class PictureSet(Protocol):
    """Pictures 0, 1, 2, ... of one size."""

    @property
    def size(self) -> Size:
        """(height, width) of every picture."""

    def picture(self, index: int) -> Picture:
        """Picture number `index`, (H, W, C) uint8, C 1 or 3."""


@dataclass(frozen=True, kw_only=True)
class ModelPictures:
    """Samples of a model, whole: seeds first, first + 1, ...

    Attributes:
        model: the model.
        size: (height, width).
        first: the first seed.
        truncation, supersample: as for `render`.
    """

    model: ModelRef
    size: Size
    first: int = 0
    truncation: float = 1.0
    supersample: Samples = 1

    def picture(self, index: int, *, size: Size | None = None, part: Tile | None = None) -> Picture:
        """The sample of seed first + index; or at another size, or a part of it alone."""
        image = draw(
            self.model,
            self.first + index,
            size=size or self.size,
            part=part,
            truncation=self.truncation,
            supersample=self.supersample,
        )
        return to_uint8(image)


@dataclass(frozen=True, kw_only=True)
class RealPictures:
    """Real pictures, whole, resized to one size.

    Attributes:
        real: where they come from.
        size: (height, width).
        first: number of the first.
        enlarged: whether smaller ones are enlarged, or left out.
    """

    real: RealImages
    size: Size
    first: int = 0
    enlarged: bool = True

    def picture(self, index: int) -> Picture:
        """Real picture number first + index."""
        number = self.first + index
        if not self.enlarged:
            number, _ = self.real.large_enough(number, min(self.size), self.size)
        return self.real.picture(number, self.size)


@dataclass(frozen=True, kw_only=True)
class ResampledPictures:
    """Samples of one size resized by a filter: the alternative to an any-scale model.

    Attributes:
        drawn: the samples.
        size: (height, width) of the result.
        how: Lanczos of 3 lobes, or bicubic.
    """

    drawn: ModelPictures
    size: Size
    how: Filter = "lanczos"

    def picture(self, index: int) -> Picture:
        """Sample number `index` at the other size."""
        return resampled(self.drawn.picture(index), self.size, how=self.how)


def resampled(picture: Picture, size: Size, *, how: Filter = "lanczos") -> Picture:
    """A picture (H, W, C) uint8 at another size; made smaller, the filter is as much wider."""
    height, width = size
    flat = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
    return np.asarray(flat.resize((width, height), Image.Resampling[how.upper()])).reshape(
        height, width, -1
    )


class Place(NamedTuple):
    """Where a patch lies."""

    number: int
    """Of the real picture it is a part of."""
    shape: Size
    """(height, width) of the whole picture at the patch's scale."""
    tile: Tile


@dataclass(frozen=True, kw_only=True)
class PatchPlan:
    """Random scales and places of patches, the same for real and generated ones.

    Real pictures are reduced to a random size, never enlarged, and a patch is cut out at a random
    place; the generator paints the same patch of a picture of that size, so nothing is ever
    reduced to the size that the extractor sees (any-resolution paper, sections 4.1 and 7.2).

    Attributes:
        real: which pictures there are, and how large they are.
        side: pixels of a patch's sides.
        smallest, largest: shorter side of the whole pictures, drawn evenly between; the latter is
            the picture's own size where that is smaller. Equal: one fixed scale.
        frame: (height, width) whose proportions whole pictures have, the model's.
        seed: of the draws.
    """

    real: RealImages
    side: int
    smallest: int
    largest: int
    frame: Size
    seed: int = 0

    def __post_init__(self) -> None:
        if not 8 <= self.side <= self.smallest <= self.largest:
            raise UsageError(
                f"patches of {self.side} px from pictures of {self.smallest} to {self.largest} px: "
                f"pictures must be at least {self.side} px, the smaller size first"
            )

    @property
    def name(self) -> str:
        """The scales in a few characters: "224-896", or "896" for a fixed one."""
        if self.smallest == self.largest:
            return str(self.largest)
        return f"{self.smallest}-{self.largest}"

    def place(self, index: int) -> Place:
        """Where patch number `index` lies; depends on nothing but the plan and the index.

        A DataError if no picture is large enough.
        """
        number, native = self.real.large_enough(index, self.smallest, self.frame)
        rng = np.random.default_rng((PATCH_SEED_STEP + self.seed, index))
        largest = self.largest if native is None else min(self.largest, native)
        short = int(rng.integers(self.smallest, largest + 1))
        shorter = min(self.frame)
        height, width = (round(short * side / shorter) for side in self.frame)
        top = int(rng.integers(height - self.side + 1))
        left = int(rng.integers(width - self.side + 1))
        tile = Tile(top, left, self.side, self.side)
        return Place(number=number, shape=(height, width), tile=tile)


@dataclass(frozen=True, kw_only=True)
class _Patches:
    plan: PatchPlan

    @property
    def size(self) -> Size:
        """(height, width) of a patch."""
        return self.plan.side, self.plan.side


@dataclass(frozen=True, kw_only=True)
class RealPatches(_Patches):
    """Patches of real pictures at the places of a plan."""

    def picture(self, index: int) -> Picture:
        """Patch number `index`."""
        place = self.plan.place(index)
        return self.plan.real.patch(place.number, place.shape, place.tile)


@dataclass(frozen=True, kw_only=True)
class ModelPatches(_Patches):
    """Patches of samples at the places of a plan; patch i is of sample i, painted at its scale."""

    drawn: ModelPictures

    def picture(self, index: int) -> Picture:
        """Patch number `index`."""
        place = self.plan.place(index)
        return self.drawn.picture(index, size=place.shape, part=place.tile)


SPECTRUM_SIDE = 512
"""Pixels a side up to which the mean spectrum is kept as a plane; beyond only by radius."""


@dataclass(frozen=True, kw_only=True)
class Features(Measurement):
    """Features and power spectra of a set of pictures, in one pass.

    Columns: features (N, D) float32; sum_radial (K,), and sum_power (H, W // 2 + 1) for pictures up
    to `SPECTRUM_SIDE`, both of 0 .. 255 grays.

    Attributes:
        pictures: the set.
        extractor: of the features.
    """

    pictures: PictureSet
    extractor: ExtractorSpec
    chunk: ClassVar[int] = 25

    @property
    def seconds(self) -> float:
        return 0.06 + 1.5e-6 * self.pictures.size[0] * self.pictures.size[1]

    def run(self, first: int, count: int) -> Columns:
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
class Artifacts(Measurement):
    """`artifact_measures` of each picture of a set, a column each, and sum_power."""

    pictures: PictureSet

    @property
    def seconds(self) -> float:
        return 3e-6 * self.pictures.size[0] * self.pictures.size[1]

    def run(self, first: int, count: int) -> Columns:
        rows = []
        power: Any = 0.0
        for index in range(first, first + count):
            picture = self.pictures.picture(index)
            rows.append(artifact_measures(picture))
            power = power + power_spectrum(picture)
        columns = {name: np.array([row[name] for row in rows]) for name in ARTIFACTS}
        return {**columns, f"{SUM}power": power}


@dataclass(frozen=True, kw_only=True)
class GridArtifact(Measurement):
    """`grid_artifact` of each picture of a set, by the period of the training grid in pixels."""

    pictures: PictureSet
    period: float

    @property
    def seconds(self) -> float:
        return 1.5e-6 * self.pictures.size[0] * self.pictures.size[1]

    def item(self, index: int) -> dict[str, float]:
        return {"ratio": grid_artifact(self.pictures.picture(index), self.period)}
