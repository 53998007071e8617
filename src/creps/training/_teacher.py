"""The teacher of any-resolution training: patches stay faithful to whole pictures (section 3.2).

A frozen copy of the first phase's model paints the whole picture of the same latent. The loss holds
the patch to its part of it: at the teacher's density of pixels ("inverse", eq. 4) or at the patch's
("forward").
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from creps.checkpoints import load, save
from creps.coordinates import Canvas
from creps.data import Batch
from creps.errors import CheckpointError, ConfigError
from creps.metrics._similarity import LayeredExtractor, perceptual_distance
from creps.networks.base import Generator
from creps.training._config import TeacherDirection, TrainConfig
from creps.training._periods import moved

_LOBES = 3
"""Of the kernel, on each side; it is stretched by the reduction, so that nothing aliases."""
_ROUNDING = 1e-6
"""Share of a pixel by which its area may stick out of a window and still count as inside."""


class Axis(NamedTuple):
    """An axis of a canvas, `start` to `stop` in plane units."""

    start: float
    stop: float
    pixels: int


def lanczos_weights(source: Axis, target: Axis) -> tuple[Tensor, Tensor]:
    """How much of each source pixel the target pixels of an axis are made of, a row for each.

    Rows sum to 1, or are 0 where the kernel covers no pixel. The second result says of each target
    pixel whether its whole area lies within the source.

    Example:
        >>> weights, inside = lanczos_weights(Axis(0, 1, 2), Axis(0, 2, 4))
        >>> weights.round(decimals=6).tolist()[:2], inside.tolist()
        ([[1.0, 0.0], [0.0, 1.0]], [True, True, False, False])
    """
    spacing = (source.stop - source.start) / source.pixels
    wanted = (target.stop - target.start) / target.pixels
    places = target.start + (torch.arange(target.pixels, dtype=torch.float64) + 0.5) * wanted
    among = (places - source.start) / spacing - 0.5
    stretch = max(1.0, wanted / spacing)
    distance = (among[:, None] - torch.arange(source.pixels, dtype=torch.float64)) / stretch
    weights = torch.sinc(distance) * torch.sinc(distance / _LOBES) * (distance.abs() < _LOBES)
    total = weights.sum(1, keepdim=True)
    # Far outside only the small lobes are met, whose sum may be anything: nothing is taken there.
    met = (among[:, None] > -1) & (among[:, None] < source.pixels)
    weights = torch.where(met, weights / total, torch.zeros_like(weights))
    slack = _ROUNDING * wanted
    inside = (places - wanted / 2 >= source.start - slack) & (
        places + wanted / 2 <= source.stop + slack
    )
    return weights, inside


def resampled(pictures: Tensor, source: Canvas, target: Canvas) -> tuple[Tensor, Tensor]:
    """Pictures (B, C, H, W) on the pixels of another canvas, by a Lanczos filter; differentiable.

    Returns (B, C, H', W'), and the mask (H', W') of pixels that lie within the source, 1 or 0.
    """
    rows, tall = lanczos_weights(_axis(source, 0), _axis(target, 0))
    columns, wide = lanczos_weights(_axis(source, 1), _axis(target, 1))
    mask = (tall[:, None] & wide).to(pictures)
    return rows.to(pictures) @ pictures @ columns.T.to(pictures), mask


def _axis(canvas: Canvas, axis: int) -> Axis:
    start, stop = canvas.window[axis], canvas.window[axis + 2]
    return Axis(start, stop, (canvas.height, canvas.width)[axis])


_TEACHER_FOLDER = "teacher"
"""Of a run: the teacher as an ordinary model, so that it resumes without what it started from."""

Distance = Callable[[Tensor, Tensor], Tensor]
"""Two batches of pictures to how different they are, a scalar."""


class Teacher:
    """A frozen model, on the device of a run, and its loss.

    A MissingExtraError if the perceptual distance needs packages that are missing.
    """

    def __init__(self, network: Generator, config: TrainConfig) -> None:
        self.network = network.eval().requires_grad_(False)
        self._config, self._settings = config, config.teacher
        self._distance: Distance = mean_difference
        if self._settings.perceptual == "effnet":
            from creps.metrics._extractors import effnet

            self._distance = partial(_perceptual, extractor=effnet(device=network.device))

    def loss(self, images: Tensor, z: Tensor, batch: Batch) -> Tensor:
        """How far pictures (B, C, H, W) of latents (B, Z) in the windows of a batch are from the
        teacher's, times the weight of the loss: a scalar.
        """
        with torch.no_grad():
            styles = self.network.map(z, batch.label)
        total = images.new_zeros(())
        for members, canvas in batch.parts():
            frame = _frame_of(canvas, self._config)
            with torch.no_grad():
                whole = self.network.synthesize(styles[members], frame.grid())
            part = teacher_loss(
                images[members],
                whole.to(images),
                patch=canvas,
                frame=frame,
                direction=self._settings.direction,
                distance=self._distance,
            )
            total = total + part * len(styles[members])
        return total * (self._settings.weight / len(images))


def _frame_of(patch: Canvas, config: TrainConfig) -> Canvas:
    """The whole picture that a patch is part of, at the training size.

    Along an axis with a period, where pictures begin anywhere, the patch is in the middle of it.
    """
    whole = config.whole
    down, right = (
        (patch.window[k] + patch.window[k + 2] - whole[k] - whole[k + 2]) / 2 if each else 0.0
        for k, each in enumerate(config.period)
    )
    return moved(config.canvas(), down, right)


def teacher_loss(
    images: Tensor,
    wholes: Tensor,
    *,
    patch: Canvas,
    frame: Canvas,
    direction: TeacherDirection,
    distance: Distance,
) -> Tensor:
    """Any-resolution GAN, eq. 4: d(m * w(patch), m * teacher's picture), scalar.

    As in the equation the mask multiplies both pictures, and d is a mean over the whole frame: a
    patch that covers little of the picture weighs little. `patch` and `frame` are the canvases of
    the patches (B, C, H, W) and of the teacher's pictures (B, C, H', W'); direction: section 4.2.
    """
    if direction == "inverse":
        images, mask = resampled(images, patch, frame)
    else:
        wholes, mask = resampled(wholes, frame, patch)
    return distance(mask * images, mask * wholes)


def open_teacher(
    config: TrainConfig, folder: Path, *, start: Path | None, device: torch.device
) -> Generator | None:
    """The teacher of a run: its own copy, or for a new run what it starts from; None without one.

    Raises:
        ConfigError: if a new run has nothing to start from.
        CheckpointError: if the copy cannot be read, or the teacher takes other latents.
    """
    if not config.teacher.weight:
        return None
    own = folder / _TEACHER_FOLDER
    if own.exists():
        return load(own).to(device)
    if start is None:
        raise ConfigError(
            f"teacher.weight {config.teacher.weight:g} and no teacher: give the first phase's run "
            "or model as --from, or set teacher.weight=0"
        )
    teacher = load(start / "model" if (start / "model").is_dir() else start)
    for name in ("z_dim", "label_dim", "img_channels"):
        here, there = getattr(config.generator, name), getattr(teacher.config, name)
        if here != there:
            differs = f"{name} is {there} there, {here} here"
            raise CheckpointError(f"{start} cannot be the teacher: {differs}")
    return teacher.to(device)


def keep_teacher(teacher: Generator, folder: Path) -> None:
    """Write a run's own copy of its teacher, if it has none yet."""
    own = folder / _TEACHER_FOLDER
    if not own.exists():
        save(teacher, own, record=dict(teacher.record))


def mean_difference(a: Tensor, b: Tensor) -> Tensor:
    """The mean absolute difference of two batches of pictures."""
    return (a - b).abs().mean()


def _perceptual(a: Tensor, b: Tensor, *, extractor: LayeredExtractor) -> Tensor:
    """The mean difference, and that of an extractor's features."""
    return mean_difference(a, b) + perceptual_distance(a, b, extractor=extractor).mean()
