"""Real pictures to batches: the patches of every step, on the training device."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from creps.coordinates import Canvas, Window
from creps.data._batches import Batch, Pictures, load_batches, take_window
from creps.data._native_patches import NativePatches, Scales, load_patches, patch_batch
from creps.data._sources import open_images
from creps.data._textures import Textures, load_textures
from creps.errors import ConfigError, DataError
from creps.networks.base import MAPS
from creps.training._config import TrainConfig
from creps.training._distributed import SINGLE, ProcessGroup
from creps.training._periods import turned
from creps.training._state import largest_zoom, step_random

TrainingSet = Pictures | NativePatches | Textures


def open_training_set(
    config: TrainConfig,
    path: Path,
    *,
    maps: Mapping[str, Path] = MappingProxyType({}),
    colors_alone: bool = False,
) -> TrainingSet:
    """The pictures at `path` as `config` wants them, and the maps of a material where they lie.

    With `colors_alone` maps that the networks have are left out: to look at pictures.

    A DataError if there are no images, or fewer classes than the networks have; a ConfigError for
    other maps than those of the networks.
    """
    data = config.data
    if not colors_alone and tuple(maps) != config.generator.map_names:
        expected = " ".join(f"--channels {name}=FOLDER" for name in config.generator.map_names)
        raise ConfigError(
            f"further channels given: {', '.join(maps) or 'none'}, expected "
            f"{expected or 'none, the pictures of this run have no maps'}"
        )
    source = open_images(
        path,
        channels=config.generator.colors,
        labels=data.labels,
        keep_colors=data.keep_colors,
    )
    classes = source.num_classes if data.labels else 0
    if config.generator.label_dim != classes:
        raise DataError(
            f"{path} has {classes} classes, the networks {config.generator.label_dim}: set "
            f"generator.label_dim and discriminator.label_dim to {classes}, or give --labels"
        )
    cache = data.cache_megabytes * 1_000_000
    own = cache // max(data.workers, 1)  # of each loading process
    if data.textures:
        return Textures(
            source,
            size=config.size,
            most=data.zoom / data.zoom_from,
            mirror=data.mirror,
            labels=data.labels,
            precise=data.precise,
            maps={
                # Vectors and heights are no colors: no profile applies.
                name: open_images(place, channels=MAPS[name], keep_colors=True)
                for name, place in maps.items()
            },
            cache=own,
        )
    if data.native:
        return NativePatches(
            source,
            size=config.size,
            mirror=data.mirror,
            labels=data.labels,
            precise=data.precise,
            cache=own,
        )
    height, width = (pixels * data.detail for pixels in config.size)
    return Pictures(
        source,
        size=height if height == width else (height, width),
        mirror=data.mirror,
        labels=data.labels,
        precise=data.precise,
        cache=cache,
    )


def shown_picture(pictures: TrainingSet, index: int, size: tuple[int, int]) -> tuple[Tensor, bool]:
    """A picture as a step shows all of it: not shifted, not augmented.

    Args:
        pictures: the training set.
        index: which picture.
        size: (height, width) of the patches of a step.
    Returns:
        (C, H, W) in [-1, 1], and whether it is another picture, because that one is broken.
    """
    whole = (0.0, 0.0, 1.0, 1.0)
    if isinstance(pictures, Textures):
        pixels, _, broken = pictures[index, 0.5, 0.5, 1.0]
        return torch.from_numpy(pixels).float() / 127.5 - 1, broken >= 0
    if isinstance(pictures, NativePatches):
        pixels, _, broken = pictures[index, whole]
        return torch.from_numpy(pixels).float() / 127.5 - 1, broken >= 0
    pixels, _, broken = pictures[index]
    image = torch.from_numpy(pixels)[None].float() / 127.5 - 1
    return take_window(image, Canvas(*size, whole))[0], broken >= 0


def load_training_batches(
    pictures: TrainingSet,
    config: TrainConfig,
    *,
    first_step: int,
    device: torch.device,
    on_broken: Callable[[str], None] = lambda name: None,
    group: ProcessGroup = SINGLE,
) -> Generator[Batch, None, None]:
    """This process's share of the batch of each step from `first_step` on, on a device.

    Step k is the same whatever came before. `on_broken` is called with the name of each
    picture that cannot be decoded.
    """
    how: dict[str, Any] = {
        "batch": config.batch,
        "seed": config.seed,
        "first_step": first_step,
        "workers": config.data.workers,
        "on_broken": on_broken,
        "part": (group.rank, group.count),
    }
    if isinstance(pictures, Textures):
        seen = load_textures(pictures, **how, times=partial(_reduction, config))
        for step, (images, labels) in enumerate(seen, first_step):
            yield _texture_batch(config, step, on(device, images), on(device, labels))
    elif isinstance(pictures, NativePatches):
        patches = load_patches(pictures, **how, **_windows(config))
        for step, (images, labels, windows) in enumerate(patches, first_step):
            batch = patch_batch(on(device, images), windows, _labels(config, on(device, labels)))
            yield turned(config, _on_the_plane(config, batch), step)
    else:
        for step, (images, labels) in enumerate(load_batches(pictures, **how), first_step):
            yield make_batch(config, step, on(device, images), on(device, labels))


def on(device: torch.device, tensor: Tensor) -> Tensor:
    """A tensor on the training device; a GPU copies it from pinned memory while others compute."""
    if device.type != "cuda":
        return tensor.to(device)
    # The pinned copy is not given to another tensor before the GPU has read it.
    return tensor.pin_memory().to(device, non_blocking=True)


def draw_region(config: TrainConfig, step: int) -> Canvas:
    """The part of a picture that a step trains, shared by its batch: a window of [0, 1] x [0, 1].

    The whole, moved by up to half a pixel; or, in a share of the steps, a window of the picture's
    proportions anywhere in it, its magnification from 1 to the largest.
    """
    data, (height, width) = config.data, config.size
    random = step_random(config.seed, step, "region")
    y, x, chance, magnitude = torch.rand(4, generator=random, dtype=torch.float64).tolist()
    window = (0.0, 0.0, 1.0, 1.0)
    if data.textures or (data.zoom > 1 and chance < data.window_share):
        even = data.window_spread == "uniform"
        low, high = data.zoom_from, largest_zoom(config, step)
        side = 1 / (low + (high - low) * magnitude) if even else (high / low) ** -magnitude / low
        top, left = y * (1 - side), x * (1 - side)
        window = (top, left, top + side, left + side)
    elif data.subpixel_shift:
        dy, dx = (y - 0.5) / height, (x - 0.5) / width
        window = (0.0 + dy, 0.0 + dx, 1.0 + dy, 1.0 + dx)
    return config.canvas(window)


def make_batch(config: TrainConfig, step: int, pictures: Tensor, labels: Tensor) -> Batch:
    """Whole pictures (B, C, S, S') of 0 to 255 on the training device to the patches of a step."""
    seen = draw_region(config, step)
    image = take_window(pictures.float() / 127.5 - 1, seen)
    batch = _on_the_plane(config, Batch(image, seen, _labels(config, labels)))
    return turned(config, batch, step)


def _reduction(config: TrainConfig, step: int) -> float:
    """How many pixels a side of a texture's file become one in a step."""
    y0, _, y1, _ = draw_region(config, step).window
    return max(round((y1 - y0) * config.data.zoom, 9), 1.0)  # the file's pixels, if it can be


def _texture_batch(config: TrainConfig, step: int, images: Tensor, labels: Tensor) -> Batch:
    """Windows (B, C, H, W) of 0 to 255 from anywhere in textures as the patches of a step."""
    batch = Batch(images.float() / 127.5 - 1, draw_region(config, step), _labels(config, labels))
    return turned(config, _on_the_plane(config, batch), step)


def _windows(config: TrainConfig) -> dict[str, Any]:
    """How the windows of native patches are drawn: one a step, or one a group."""
    data = config.data
    if not data.window_group:
        return {"region": lambda step: draw_region(config, step)}
    share = 1 - data.window_share if data.zoom > 1 else 1.0
    scales = Scales(
        base_share=share,
        smallest=data.zoom_from,
        largest=data.zoom,
        spread=data.window_spread,
        group=data.window_group,
    )
    return {"scales": scales}


def _labels(config: TrainConfig, labels: Tensor) -> Tensor | None:
    return labels if config.generator.label_dim else None


def _on_the_plane(config: TrainConfig, batch: Batch) -> Batch:
    """A batch with windows of pictures as one with windows of the plane.

    The two are the same for square pictures; others reach beyond [0, 1] with their longer side.
    """
    canvas = config.canvas(_placed(config.whole, batch.region.window))
    if batch.windows is None:
        return replace(batch, region=canvas)
    y0, x0, y1, x1 = config.whole
    start = torch.tensor([y0, x0, y0, x0], dtype=torch.float64)
    extent = torch.tensor([y1 - y0, x1 - x0, y1 - y0, x1 - x0], dtype=torch.float64)
    return replace(batch, region=canvas, windows=start + batch.windows * extent)


def _placed(whole: Window, window: Window) -> Window:
    """A window of a picture that covers `whole`, in the same units as that."""
    (y0, x0, y1, x1), (top, left, bottom, right) = whole, window
    height, width = y1 - y0, x1 - x0
    return (y0 + top * height, x0 + left * width, y0 + bottom * height, x0 + right * width)
