"""A generator as something to measure: named by the id of its weights, drawn unrounded."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from creps._devices import Device, find_device
from creps.checkpoints import load, weights_id
from creps.coordinates import WHOLE_PLANE, Window
from creps.errors import DataError, UsageError
from creps.metrics._measurements import elsewhere
from creps.networks.base import Generator
from creps.rendering._renderer import Renderer
from creps.rendering._sampling import detail_resolution
from creps.rendering._tiles import Tile
from creps.rendering._view import Samples
from creps.rendering.warps import WarpLike

Size = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class ModelRef:
    """A model to measure; other processes load it from where it lies. `model_ref` makes one.

    Attributes:
        path: a packaged name, a model directory or a file; "in memory" for one that is nowhere.
        weights_id: of its weights, what numbers depend on.
        device: where it draws.
    """

    path: str
    weights_id: str
    device: str = "cpu"
    _generator: Generator | None = field(default=None, compare=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        if self.path == IN_MEMORY:
            raise UsageError("a model in memory cannot go to other processes: give workers=0")
        return {**vars(self), "_generator": None}

    def generator(self) -> Generator:
        """The network, loaded once a process."""
        return _loaded(self.path, self.device) if self._generator is None else self._generator

    def identity(self) -> dict[str, Any]:
        """What numbers depend on, as JSON: another device rounds otherwise."""
        return {"weights_id": self.weights_id} | elsewhere(self.device)

    def label(self, seed: int) -> int | None:
        """The class that a seed is drawn with: seeds go through all classes in turn."""
        return class_of(self.generator(), seed)

    @property
    def size(self) -> Size:
        """(height, width) the model was made for."""
        side = int(self.generator().config.resolution)
        return side, side

    @property
    def channels(self) -> int:
        """Of its pictures as they are measured: 1 or 3. Those with opacity are laid on white."""
        return min(self.generator().config.colors, 3)

    @property
    def trained(self) -> Size:
        """(height, width) of the patches it was trained on, if recorded; else `size`."""
        training = self.generator().record.get("training", {})
        if "size" in training:
            height, width = training["size"]
            return int(height), int(width)
        phases = training.get("phases") or [{}]
        side = int(training.get("resolution") or phases[-1].get("patch") or self.size[0])
        return side, side

    @property
    def taught_by(self) -> str:
        """The extractor whose features it was trained with, if recorded: it is no judge."""
        return str(self.generator().record.get("training", {}).get("perceptual", ""))

    @property
    def detail(self) -> int:
        """Pixels a side of the finest detail it was trained on; see `detail_resolution`."""
        return detail_resolution(self.generator())


IN_MEMORY = "in memory"


def class_of(generator: Generator, seed: int) -> int | None:
    """The class that a seed is measured with: all in turn, where one must be chosen."""
    return seed % int(generator.config.label_dim) if generator.needs_class else None


def model_ref(model: ModelRef | Generator | str | Path, *, device: Device = None) -> ModelRef:
    """A model to measure: of a path or packaged name, or one in memory, as it is now.

    Args:
        model: stays where it is.
        device: where it is to draw; None: where it is, on the CPU if it is loaded.
    Raises:
        CheckpointError: for an unknown name, or a missing or damaged file.
        UsageError: for a model whose pictures have other than 1, 3 or 4 channels, or a device that
            is not here.
    """
    if isinstance(model, ModelRef):
        return model if device is None else _moved(model, device)
    path = IN_MEMORY if isinstance(model, Generator) else str(model)
    generator = model if isinstance(model, Generator) else load(path)
    ref = ModelRef(
        path=path,
        weights_id=weights_id(generator),
        device=str(generator.device),
        _generator=generator,
    )
    channels = generator.config.colors
    if channels not in (1, 3, 4):
        raise UsageError(f"{path} paints {channels} channels: expected 1, 3 or 4 to measure it")
    return ref if device is None else _moved(ref, device)


def _moved(ref: ModelRef, device: str | torch.device) -> ModelRef:
    """The model on another device."""
    there = find_device(device)
    if str(there) == ref.device:
        return ref
    generator = copy.deepcopy(ref.generator()).to(there)
    return replace(ref, device=str(there), _generator=generator)


def on_white(images: Tensor) -> Tensor:
    """Pictures (..., 4, H, W) of colors and opacity in [-1, 1] as (..., 3, H, W) on white paper.

    Others are as they are.
    """
    if images.shape[-3] != 4:
        return images
    seen = (images[..., 3:, :, :].clamp(-1, 1) + 1) / 2
    return images[..., :3, :, :] * seen + (1 - seen)


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
    """A sample or a part of it, (C, H, W) float32, neither rounded nor clipped.

    The unit square fills it by default, whatever its shape. Other arguments are as for `render`;
    every pixel is evaluated, of warped pictures without tables. A DataError if the model paints
    NaN or infinite values there.
    """
    renderer = _renderer(model.generator(), model, seed, truncation)
    part = Tile(0, 0, *size) if part is None else part
    painter = renderer.painter(
        size=size,
        window=window,
        supersample=supersample,
        warp=warp,
        tolerance=0,
        exact=warp is not None,
    )
    image = torch.empty(model.channels, part.height, part.width)
    for tile, pixels in painter.images(part):
        top, left = tile.top - part.top, tile.left - part.left
        image[:, top : top + tile.height, left : left + tile.width] = on_white(pixels[0].cpu())
    if not bool(image.isfinite().all()):
        raise DataError(
            f"{model.path} paints NaN or infinite colors (seed {seed}, {size[0]}x{size[1]} px): "
            "its training broke down, take an earlier snapshot"
        )
    return image


@cache
def _loaded(path: str, device: str) -> Generator:
    return load(path, device=device)


@lru_cache(maxsize=1)
def _renderer(generator: Generator, model: ModelRef, seed: int, truncation: float) -> Renderer:
    """What several pictures of one latent share, for the latent drawn last."""
    return Renderer(generator, seed=seed, truncation=truncation, label=model.label(seed), keep=None)
