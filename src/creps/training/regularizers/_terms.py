"""What is added to the generator's loss: the teacher's and the consistency of scales."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from creps.training._consistency import cross_scale_loss, refined

if TYPE_CHECKING:
    from creps.training._engine import Engine, Means, Part


def other_losses(
    engine: Engine, part: Part, *, z: Tensor, styles: Tensor, image: Tensor, means: Means
) -> Tensor:
    """The sum of a part's other losses, a scalar; noted in `means` without their weights.

    Args:
        engine: the run.
        part: whose pictures were painted.
        z: (B, Z) latents of the pictures.
        styles: (B, K, D) of them.
        image: (B, C, H, W) the pictures, with their graph.
        means: takes what is worth logging.
    """
    total = torch.zeros((), device=image.device)
    config, consistency = engine.config, engine.config.consistency
    if engine.teacher is not None:
        taught = engine.teacher.loss(image, z, part.batch)
        means.add("loss/teacher", taught / config.teacher.weight)
        total = total + taught
    if consistency.weight and engine.state.step % consistency.interval == 0:
        finer = replace(part.batch, region=refined(part.batch.region, consistency.factor))
        loss = cross_scale_loss(image, engine.passes.synthesize(styles, finer))
        means.add("loss/consistency", loss)
        total = total + loss * (consistency.weight * consistency.interval)
    return total
