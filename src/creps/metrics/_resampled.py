"""Samples of one size brought to another by a filter: what there is without an any-scale model.

Enlarged they are the rivals of a model that paints larger pictures; reduced, those of one that
paints smaller ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image

from creps.metrics._models import Size
from creps.metrics._pictures import ModelPictures, PatchPlan, Picture

Filter = Literal["lanczos", "bicubic"]

_FILTERS = {"lanczos": Image.Resampling.LANCZOS, "bicubic": Image.Resampling.BICUBIC}


def resampled(picture: Picture, size: Size, *, how: Filter = "lanczos") -> Picture:
    """A picture (H, W, C) uint8 at another size; made smaller, the filter is as much wider."""
    height, width = size
    flat = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
    return np.asarray(flat.resize((width, height), _FILTERS[how])).reshape(height, width, -1)


@dataclass(frozen=True, kw_only=True)
class ResampledPictures:
    """Samples of one size at another one.

    Attributes:
        drawn: the samples.
        size: (height, width), what they are brought to.
        how: Lanczos of 3 lobes, or bicubic.
    """

    drawn: ModelPictures
    size: Size
    how: Filter = "lanczos"

    def picture(self, index: int) -> Picture:
        """Sample number `index` at the other size."""
        return resampled(self.drawn.picture(index), self.size, how=self.how)

    def identity(self) -> dict[str, Any]:
        """All that the pictures depend on."""
        drawn = self.drawn.identity()
        return {"kind": "resampled", "drawn": drawn, "size": self.size, "how": self.how}


@dataclass(frozen=True, kw_only=True)
class ResampledPatches:
    """Patches of samples that are brought to the sizes of a plan; patch i is of sample i.

    Attributes:
        drawn: the samples.
        plan: where the patches lie.
        how: Lanczos of 3 lobes, or bicubic.
    """

    drawn: ModelPictures
    plan: PatchPlan
    how: Filter = "lanczos"

    @property
    def size(self) -> Size:
        """(height, width) of a patch."""
        return self.plan.side, self.plan.side

    def picture(self, index: int) -> Picture:
        """Patch number `index`."""
        place = self.plan.place(index)
        whole = resampled(self.drawn.picture(index), place.shape, how=self.how)
        top, left = place.tile.top, place.tile.left
        return whole[top : top + place.tile.height, left : left + place.tile.width]

    def identity(self) -> dict[str, Any]:
        """All that the patches depend on."""
        drawn, plan = self.drawn.identity(), self.plan.identity()
        return {"kind": "resampled patches", "drawn": drawn, "plan": plan, "how": self.how}
