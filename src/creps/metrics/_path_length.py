"""How evenly pictures change on the way between two latents.

The perceptual path length of StyleGAN (Karras et al. 2019, section 4.1), with the perceptual
distance of `_similarity`: its numbers are not the field's PPL, compare them with each other only.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creps.coordinates import Canvas
from creps.errors import UsageError
from creps.metrics._models import ModelRef, Size
from creps.metrics._similarity import LayeredExtractor, perceptual_distance
from creps.rendering._styles import latents, slerp

STEP = 1e-4
OUTLIERS = 1.0
"""Percent of the shortest and of the longest paths that do not count, as in the field."""


def path_step(
    model: ModelRef,
    seeds: tuple[int, int],
    *,
    space: str,
    size: Size,
    extractor: LayeredExtractor,
    generator: np.random.Generator,
    step: float = STEP,
) -> float:
    """d(G(t), G(t + step)) / step^2 at a random place t on the way between two latents.

    Args:
        model: the model.
        seeds: of the two ends.
        space: "z" along the great circle of latents, "w" straight between their styles.
        size: (height, width) of the pictures.
        extractor: of the perceptual distance, which grows with the square of small steps.
        generator: draws t in 0 .. 1.
        step: of t.
    Raises:
        UsageError: for another space.
    """
    t = float(generator.uniform())
    with torch.inference_mode():
        styles = styles_between(model, seeds, (t, t + step), space=space)
        network = model.generator()
        grid = Canvas(*size, sampling=network.sampling).grid()
        images = network.synthesize(styles.to(network.device), grid).float().cpu()
        distance = perceptual_distance(images[:1], images[1:], extractor=extractor)
    return float(distance) / step**2


def path_length(steps: NDArray[np.float64]) -> float:
    """Mean of the steps (N,) without the shortest and the longest percent."""
    low, high = np.percentile(steps, [OUTLIERS, 100 - OUTLIERS], method="nearest")
    return float(steps[(steps >= low) & (steps <= high)].mean())


def styles_between(
    model: ModelRef, seeds: tuple[int, int], places: tuple[float, float], *, space: str
) -> Tensor:
    """(2, K, D) styles at two places of the way between two latents; 0 is the first, 1 the second.

    Args:
        model: the model.
        seeds: of the two ends.
        places: on the way.
        space: as for `path_step`.
    """
    if space not in ("z", "w"):
        raise UsageError(f"space {space!r}: expected z or w")
    generator = model.generator()
    z = latents(seeds, generator).double()
    classes = model.label(seeds[0])
    label = None if classes is None else torch.tensor([classes, classes])
    if space == "z":
        way = torch.cat([slerp(z[:1], z[1:], t) for t in places])
        return generator.map(way.float(), label)
    first, last = generator.map(z.float(), label).double().split(1)
    return torch.cat([torch.lerp(first, last, t) for t in places]).float()
