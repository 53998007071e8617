"""The teacher of any-resolution training: patches stay faithful to whole pictures (section 3.2).

A frozen copy of the first phase's model paints the whole picture of the same latent. The loss holds
the patch to its part of it: at the teacher's density of pixels ("inverse", eq. 4) or at the patch's
("forward").
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from creps.checkpoints.native import load, save
from creps.coordinates import Canvas
from creps.data.patches import Batch
from creps.errors import CheckpointError, ConfigError
from creps.metrics.measures.similarity import LayeredExtractor, perceptual_distance
from creps.networks.base import Generator
from creps.training.config import TrainConfig
from creps.training.schemes.lanczos import resampled
from creps.training.schemes.settings import TeacherDirection

TEACHER_FOLDER = "teacher"
"""Of a run: the teacher as an ordinary model, so that it goes on without what it started from."""

Distance = Callable[[Tensor, Tensor], Tensor]
"""Two batches of pictures to how different they are, a scalar."""


class Teacher:
    """A frozen model and how a run listens to it.

    Args:
        network: the model, on the device of the run.
        config: the run; its `teacher` says how.
    Raises:
        MissingExtraError: if the perceptual distance needs packages that are missing.
    """

    def __init__(self, network: Generator, config: TrainConfig) -> None:
        self.network = network.eval().requires_grad_(False)
        self._config, self._settings = config, config.teacher
        extractor = None
        if self._settings.perceptual == "effnet":
            from creps.metrics.extractors.features import effnet

            extractor = effnet(device=network.device)
        self._distance = _distance(extractor)

    def loss(self, images: Tensor, z: Tensor, batch: Batch) -> Tensor:
        """How far pictures are from the teacher's, times the weight of the loss.

        Args:
            images: (B, C, H, W), painted on the windows of a batch.
            z: (B, Z) their latents.
            batch: gives windows and labels.
        Returns:
            scalar; gradients flow into the pictures.
        """
        with torch.no_grad():
            styles = self.network.map(z, batch.label)
        total = images.new_zeros(())
        for members, canvas in batch.parts():
            frame = frame_of(canvas, self._config)
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


def frame_of(patch: Canvas, config: TrainConfig) -> Canvas:
    """The whole picture that a patch is part of, at the training size.

    On a cylinder, whose pictures begin at any angle, the patch is in the middle of it.
    """
    if not config.period:
        return config.canvas()
    y0, x0, y1, x1 = config.whole
    shift = (patch.window[1] + patch.window[3] - x0 - x1) / 2
    return config.canvas((y0, x0 + shift, y1, x1 + shift))


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
    patch that covers little of the picture weighs little.

    Args:
        images: (B, C, H, W) patches.
        wholes: (B, C, H', W') the teacher's pictures.
        patch, frame: the canvases of both.
        direction: "inverse" or "forward" (section 4.2).
        distance: d.
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

    Args:
        config: the run.
        folder: of the run.
        start: run or model that a new run starts from.
        device: of the run.
    Raises:
        ConfigError: if a new run has nothing to start from.
        CheckpointError: if the copy cannot be read, or the teacher takes other latents.
    """
    if not config.teacher.weight:
        return None
    own = folder / TEACHER_FOLDER
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
            raise CheckpointError(f"{start} is no teacher: {name} is {there} there, {here} here")
    return teacher.to(device)


def keep_teacher(teacher: Generator, folder: Path) -> None:
    """Write a run's own copy of its teacher, if it has none yet."""
    own = folder / TEACHER_FOLDER
    if not own.exists():
        save(teacher, own, record=dict(teacher.record))


def mean_difference(a: Tensor, b: Tensor) -> Tensor:
    """The mean absolute difference of two batches of pictures."""
    return (a - b).abs().mean()


def _distance(extractor: LayeredExtractor | None) -> Distance:
    if extractor is None:
        return mean_difference
    seen = extractor

    def both(a: Tensor, b: Tensor) -> Tensor:
        return mean_difference(a, b) + perceptual_distance(a, b, extractor=seen).mean()

    return both
