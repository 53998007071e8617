"""Sets of pictures to measure: a model's samples and real ones, whole or in patches.

A set is a small frozen object that makes its picture number i anywhere, in any process, and says in
`identity` all that its pictures depend on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from creps.errors import UsageError
from creps.metrics._models import ModelRef, Size, draw, identity, picture
from creps.metrics._real_images import Reality
from creps.rendering._tiles import Tile
from creps.rendering._view import Samples

Picture = NDArray[np.uint8]

PATCH_SEED_STEP = 1_000_003  # keeps the draws of patches apart from those of pictures


class PictureSet(Protocol):
    """Pictures 0, 1, 2, ... of one size."""

    @property
    def size(self) -> Size:
        """(height, width) of every picture."""

    def picture(self, index: int) -> Picture:
        """Picture number `index`, (H, W, C) uint8, C 1 or 3."""

    def identity(self) -> dict[str, Any]:
        """All that the pictures depend on, as JSON."""


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

    def picture(self, index: int) -> Picture:
        """The sample of seed first + index."""
        image = draw(
            self.model,
            self.first + index,
            size=self.size,
            truncation=self.truncation,
            supersample=self.supersample,
        )
        return picture(image)

    def identity(self) -> dict[str, Any]:
        """All that the pictures depend on."""
        rest = {k: v for k, v in asdict(self).items() if k != "model"}
        return {"kind": "model", **identity(self.model), **rest}


@dataclass(frozen=True, kw_only=True)
class RealPictures:
    """Real pictures, whole, brought to one size.

    Attributes:
        real: where they come from.
        size: (height, width).
        first: number of the first.
        enlarged: whether smaller ones are enlarged, or left out.
    """

    real: Reality
    size: Size
    first: int = 0
    enlarged: bool = True

    def picture(self, index: int) -> Picture:
        """Real picture number first + index."""
        number = self.first + index
        if not self.enlarged:
            number, _ = self.real.large_enough(number, min(self.size), self.size)
        return self.real.picture(number, self.size)

    def identity(self) -> dict[str, Any]:
        """All that the pictures depend on."""
        return {
            "kind": "real",
            **self.real.identity(),
            "size": self.size,
            "first": self.first,
            "enlarged": self.enlarged,
        }


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a patch lies.

    Attributes:
        number: of the real picture it is a part of, and of the sample.
        shape: (height, width) of the whole picture at the patch's scale.
        tile: the patch, in its pixels.
    """

    number: int
    shape: Size
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

    real: Reality
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

        Raises:
            DataError: if no picture is large enough.
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

    def identity(self) -> dict[str, Any]:
        """All that the places depend on."""
        rest = {k: v for k, v in asdict(self).items() if k != "real"}
        return {**self.real.identity(), **rest}


@dataclass(frozen=True, kw_only=True)
class ModelPatches:
    """Patches of a model's samples at the places of a plan; patch i is of seed first + i.

    Attributes:
        model, first, truncation, supersample: as for `ModelPictures`.
        plan: where the patches lie.
    """

    model: ModelRef
    plan: PatchPlan
    first: int = 0
    truncation: float = 1.0
    supersample: Samples = 1

    @property
    def size(self) -> Size:
        """(height, width) of a patch."""
        return self.plan.side, self.plan.side

    def picture(self, index: int) -> Picture:
        """The patch of seed first + index."""
        place = self.plan.place(index)
        image = draw(
            self.model,
            self.first + index,
            size=place.shape,
            part=place.tile,
            truncation=self.truncation,
            supersample=self.supersample,
        )
        return picture(image)

    def identity(self) -> dict[str, Any]:
        """All that the patches depend on."""
        rest = {k: v for k, v in asdict(self).items() if k not in ("model", "plan")}
        plan = self.plan.identity()
        return {"kind": "model patches", **identity(self.model), "plan": plan, **rest}


@dataclass(frozen=True, kw_only=True)
class RealPatches:
    """Patches of real pictures at the places of a plan."""

    plan: PatchPlan

    @property
    def size(self) -> Size:
        """(height, width) of a patch."""
        return self.plan.side, self.plan.side

    def picture(self, index: int) -> Picture:
        """Patch number `index`."""
        place = self.plan.place(index)
        return self.plan.real.patch(place.number, place.shape, place.tile)

    def identity(self) -> dict[str, Any]:
        """All that the patches depend on."""
        return {"kind": "real patches", "plan": self.plan.identity()}
