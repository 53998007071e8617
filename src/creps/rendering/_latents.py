"""Latents of seeds, by the field's convention: seed 7 is the picture other tools call seed 7."""

from __future__ import annotations

import operator
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from creps.errors import UsageError
from creps.networks.base import Generator

LAST_SEED = 2**32 - 1


def latents(seeds: Iterable[int], generator: Generator) -> Tensor:
    """Standard normal latents, one row a seed; a row does not depend on the other seeds.

    Row k is `numpy.random.RandomState(seeds[k]).randn(1, Z)`, as in the official StyleGAN and CREPS
    tools.

    Args:
        seeds: integers 0 .. 2**32 - 1.
        generator: the model, for the width Z of its latents.
    Returns:
        (len(seeds), Z) float32 tensor on the CPU.
    Raises:
        UsageError: for a seed that is not an integer in range.
    """
    width = generator.config.z_dim
    rows = [np.random.RandomState(checked_seed(seed)).randn(1, width) for seed in seeds]
    return torch.from_numpy(np.concatenate([np.empty((0, width)), *rows])).float()


def checked_seed(seed: int) -> int:
    """`seed` as a plain integer; a UsageError if it is none of 0 .. 2**32 - 1."""
    try:
        number = operator.index(seed)
    except TypeError:
        raise UsageError(f"seed {seed!r}: expected an integer") from None
    if not 0 <= number <= LAST_SEED:
        raise UsageError(f"seed {number}: expected an integer from 0 to {LAST_SEED}")
    return number
