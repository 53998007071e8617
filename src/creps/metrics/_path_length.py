"""How evenly pictures change on the way between two latents.

The perceptual path length of StyleGAN (Karras et al. 2019, section 4.1), with the perceptual
distance of `_similarity`: its numbers are not the field's PPL, compare them with each other only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creps.coordinates import Canvas
from creps.metrics._extractors import ExtractorSpec
from creps.metrics._measurements import Measurement
from creps.metrics._models import ModelRef, Size, on_white
from creps.metrics._similarity import perceptual_distance
from creps.rendering._styles import latents, slerp

STEP = 1e-4
OUTLIERS = 1.0
"""Percent of the shortest and of the longest paths that do not count, as in the field."""


@dataclass(frozen=True, kw_only=True)
class PathSteps(Measurement):
    """d(G(t), G(t + step)) / step^2 at a random place t on the way between two latents.

    Attributes:
        model: the model.
        space: "z" along the great circle of latents, "w" straight between their styles.
        size: (height, width) of the pictures.
        extractor: of the perceptual distance, which grows with the square of small steps.
        seed: of the places; pair i is of the seeds seed + 2 i and the next.
        step: of t.
    """

    model: ModelRef
    space: str
    size: Size
    extractor: ExtractorSpec
    seed: int = 0
    step: float = STEP
    chunk: ClassVar[int] = 20

    @property
    def seconds(self) -> float:
        return 0.15 + 3e-6 * self.size[0] * self.size[1]

    def item(self, index: int) -> dict[str, float]:
        t = float(np.random.default_rng((self.seed, index)).uniform())
        seeds = (self.seed + 2 * index, self.seed + 2 * index + 1)
        with torch.inference_mode():
            styles = styles_between(self.model, seeds, (t, t + self.step), space=self.space)
            network = self.model.generator()
            grid = Canvas(*self.size, sampling=network.sampling).grid()
            images = on_white(network.synthesize(styles.to(network.device), grid).float().cpu())
            distance = perceptual_distance(
                images[:1], images[1:], extractor=self.extractor.layered()
            )
        return {"step": float(distance) / self.step**2}


def path_length(steps: NDArray[np.float64]) -> float:
    """Mean of the steps (N,) without the shortest and the longest percent."""
    low, high = np.percentile(steps, [OUTLIERS, 100 - OUTLIERS], method="nearest")
    return float(steps[(steps >= low) & (steps <= high)].mean())


def styles_between(
    model: ModelRef, seeds: tuple[int, int], places: tuple[float, float], *, space: str
) -> Tensor:
    """(2, K, D) styles at two places of the way between two latents: 0 is the first, 1 the second.

    The way is as for `PathSteps`, in the space z or w.
    """
    generator = model.generator()
    z = latents(seeds, generator).double()
    classes = model.label(seeds[0])
    label = None if classes is None else torch.tensor([classes, classes])
    if space == "z":
        way = torch.cat([slerp(z[:1], z[1:], t) for t in places])
        return generator.map(way.float(), label)
    ends = generator.map(z.float(), label).cpu().double()
    return torch.cat([torch.lerp(ends[:1], ends[1:], t) for t in places]).float()
