"""A generator as something to measure: named by the id of its weights, drawn unrounded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creps.checkpoints import load, weights_id
from creps.coordinates import WHOLE_PLANE, Window
from creps.errors import DataError, UsageError
from creps.networks.base import Generator
from creps.rendering._painter import to_uint8
from creps.rendering._renderer import Renderer
from creps.rendering._sampling import detail_resolution
from creps.rendering._tiles import Tile
from creps.rendering._view import Samples
from creps.rendering.warps import WarpLike

Size = tuple[int, int]

_HELD: dict[str, Generator] = {}


@dataclass(frozen=True, kw_only=True)
class ModelRef:
    """A model by where it lies: small enough to be sent to other processes, which load it.

    Attributes:
        path: a packaged name, a model directory or a file.
        weights_id: what numbers depend on.
    """

    path: str
    weights_id: str

    def generator(self) -> Generator:
        """The network on the CPU, loaded once a process."""
        return _loaded(self)

    def label(self, seed: int) -> int | None:
        """The class that a seed is drawn with: seeds go through all classes in turn."""
        classes = int(self.generator().config.label_dim)
        return seed % classes if classes else None

    @property
    def size(self) -> Size:
        """(height, width) the model was made for."""
        side = int(self.generator().config.resolution)
        return side, side

    @property
    def trained(self) -> Size:
        """(height, width) of the patches it was trained on, as its record tells; else `size`."""
        training = self.generator().record.get("training", {})
        if "size" in training:
            height, width = training["size"]
            return int(height), int(width)
        phases = training.get("phases") or [{}]
        side = int(training.get("resolution") or phases[-1].get("patch") or self.size[0])
        return side, side

    @property
    def detail(self) -> int:
        """Pixels a side of the finest detail it was trained on; see `detail_resolution`."""
        return detail_resolution(self.generator())


def model_ref(path: str) -> ModelRef:
    """A model on disk, checked.

    Raises:
        CheckpointError: for an unknown name, or a missing or damaged file.
        UsageError: for a model whose pictures have neither 1 nor 3 channels.
    """
    return _held(path, load(path))


def hold(generator: Generator) -> ModelRef:
    """A model in memory, for measuring without other processes (`workers=0`).

    It is kept for as long as the process lives or another one with the same weights is held.
    """
    return _held("in memory", generator)


def draw(
    model: ModelRef,
    seed: int,
    *,
    size: Size,
    window: Window = WHOLE_PLANE,
    truncation: float = 1.0,
    supersample: Samples = 1,
    warp: WarpLike = None,
    part: Tile | None = None,
) -> Tensor:
    """A sample, neither rounded nor clipped; the unit square fills it by default.

    Args:
        model: the model.
        seed: of the latent, and of the class where there are several.
        size: (height, width) of the whole picture.
        window: what fills it.
        truncation, supersample, warp: as for `render`; warps are exact, without tables.
        part: only this part of the picture.
    Returns:
        (C, H, W) float32, nominally in [-1, 1].
    Raises:
        DataError: if the model paints NaN or infinite values there.
        GridError, UsageError: as `render`.
    """
    renderer = _renderer(model, seed, truncation)
    part = Tile(0, 0, *size) if part is None else part
    painter = renderer.painter(
        size=size, window=window, supersample=supersample, warp=warp, exact=warp is not None
    )
    image = torch.empty(int(model.generator().config.img_channels), part.height, part.width)
    for tile, pixels in painter.images(part):
        top, left = tile.top - part.top, tile.left - part.left
        image[:, top : top + tile.height, left : left + tile.width] = pixels[0]
    if not bool(image.isfinite().all()):
        raise DataError(
            f"{model.path} paints NaN or infinite colours (seed {seed}, {size[0]}x{size[1]} px): "
            "its training broke down, take an earlier snapshot"
        )
    return image


def picture(image: Tensor) -> NDArray[np.uint8]:
    """(C, H, W) in [-1, 1] as users see it: (H, W, C) uint8."""
    return to_uint8(image)


def styles_between(
    model: ModelRef, seeds: tuple[int, int], places: tuple[float, float], *, space: str
) -> Tensor:
    """Styles at two places of the way between two latents.

    Args:
        model: the model.
        seeds: of the two ends.
        places: 0 is the first end, 1 the second.
        space: "z": along the great circle between latents; "w": straight between their styles.
    Returns:
        (2, K, D) styles.
    Raises:
        UsageError: for another space.
    """
    generator = model.generator()
    z = torch.cat([latents_of(model, seed) for seed in seeds]).double()
    classes = model.label(seeds[0])
    label = None if classes is None else torch.tensor([classes, classes])
    t = torch.tensor(places, dtype=torch.float64)[:, None]
    if space == "z":
        unit = z / z.norm(dim=1, keepdim=True)
        angle = torch.arccos((unit[0] @ unit[1]).clamp(-1, 1))
        way = torch.sin((1 - t) * angle) * z[0] + torch.sin(t * angle) * z[1]
        return generator.map((way / torch.sin(angle)).float(), label)
    if space == "w":
        ends = generator.map(z.float(), label).double()
        return (ends[:1] + t[:, :, None] * (ends[1:] - ends[:1])).float()
    raise UsageError(f"space {space!r}: expected z or w")


def latents_of(model: ModelRef, seed: int) -> Tensor:
    """(1, Z) latent of a seed."""
    from creps.rendering._styles import latents

    return latents([seed], model.generator())


def identity(model: ModelRef) -> dict[str, Any]:
    """What numbers of a model depend on, as JSON."""
    return {"weights_id": model.weights_id}


@cache
def _loaded(model: ModelRef) -> Generator:
    if model.weights_id in _HELD:
        return _HELD[model.weights_id]
    return load(model.path)


@lru_cache(maxsize=1)
def _renderer(model: ModelRef, seed: int, truncation: float) -> Renderer:
    """What several pictures of one latent share, for the latent drawn last."""
    return Renderer(
        model.generator(), seed=seed, truncation=truncation, label=model.label(seed), keep=None
    )


def _held(path: str, generator: Generator) -> ModelRef:
    """Keeps a model for this process, and refuses what cannot be measured."""
    model = ModelRef(path=path, weights_id=weights_id(generator))
    _HELD[model.weights_id] = generator
    _loaded.cache_clear()
    _renderer.cache_clear()
    channels = int(model.generator().config.img_channels)
    if channels not in (1, 3):
        raise UsageError(f"{model.path} paints {channels} channels: expected 1 or 3 to measure it")
    return model
