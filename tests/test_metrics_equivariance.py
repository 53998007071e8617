"""EQ-T, EQ-R and path lengths of a generator whose pictures are known waves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from creps.errors import GridError, UsageError
from creps.metrics._equivariance import (
    Equivariance,
    equivariance_decibels,
    lanczos_at,
)
from creps.metrics._models import ModelRef, model_ref
from creps.metrics._path_length import PathSteps, path_length, styles_between
from smooth_model import SmoothModel


def errors(model: ModelRef, movement, *, count: int = 4) -> np.ndarray:
    return np.array(
        [
            Equivariance(model=model, movement=movement, size=(32, 32)).item(seed)["error"]
            for seed in range(count)
        ]
    )


@pytest.mark.parametrize("movement", ["translation", "rotation"])
def test_smooth_pictures_move_with_the_plane(movement: str) -> None:
    # Slow waves: a Lanczos kernel moves them to a thousandth.
    assert equivariance_decibels(errors(model_ref(SmoothModel()), movement)) > 55


@pytest.mark.parametrize("movement", ["translation", "rotation"])
def test_detail_beyond_the_samples_does_not(movement: str) -> None:
    # 15 waves over 32 pixels are just below what samples can model_ref.
    assert equivariance_decibels(errors(model_ref(SmoothModel(waves=15)), movement)) < 35


def test_details_that_stick_to_the_pixels_are_found() -> None:
    class Stuck(SmoothModel):
        def synthesize(self, styles: Tensor, grid) -> Tensor:
            image = super().synthesize(styles, grid)
            rows = torch.arange(image.shape[2])[:, None] % 2
            return image + 0.5 * rows

    model = model_ref(Stuck())
    found = equivariance_decibels(errors(model, "translation"))
    assert found < equivariance_decibels(errors(model_ref(SmoothModel()), "translation")) - 20


def test_decibels_by_hand() -> None:
    assert equivariance_decibels(np.array([0.0, 0.08])) == pytest.approx(20)
    assert equivariance_decibels(np.zeros(3)) == math.inf


def test_lanczos_gives_pixels_back_and_keeps_waves() -> None:
    y, x = np.mgrid[:20, :24].astype(float)
    picture = np.stack([np.sin(0.5 * y), np.cos(0.4 * x)])
    rows, columns = np.array([5.0, 9.0, 12.0]), np.array([7.0, 3.0, 20.0])
    np.testing.assert_allclose(
        lanczos_at(picture, rows, columns), picture[:, [5, 9, 12], [7, 3, 20]], atol=1e-12
    )
    between = lanczos_at(picture, rows + 0.5, columns - 0.3)
    expected = np.stack([np.sin(0.5 * (rows + 0.5)), np.cos(0.4 * (columns - 0.3))])
    np.testing.assert_allclose(between, expected, atol=0.01)


def test_what_cannot_be_measured_is_refused() -> None:
    model = model_ref(SmoothModel())
    with pytest.raises(UsageError, match="16 pixels"):
        Equivariance(model=model, movement="rotation", size=(8, 8)).item(0)
    with pytest.raises(UsageError, match="square"):
        Equivariance(model=model, movement="rotation", size=(16, 20)).item(0)

    class Fixed(SmoothModel):
        def synthesize(self, styles: Tensor, grid) -> Tensor:
            raise GridError("one grid only")

    fixed = model_ref(Fixed())
    with pytest.raises(GridError, match="one grid"):
        Equivariance(model=fixed, movement="translation", size=(16, 16)).item(0)


class Pixels:
    def layered(self) -> Pixels:
        return self

    def layers(self, images: Tensor, /) -> list[Tensor]:
        # The third channel makes lengths nearly equal, so that differences stay differences.
        return [torch.cat([images, torch.full_like(images[:, :1], 10.0)], dim=1).double()]


@pytest.mark.parametrize("space", ["z", "w"])
def test_a_step_does_not_depend_on_its_length(space: str) -> None:
    model = model_ref(SmoothModel())

    def step(length: float) -> float:
        spec: Any = Pixels()
        steps = PathSteps(model=model, space=space, size=(8, 10), extractor=spec, step=length)
        return steps.item(0)["step"]

    assert step(1e-2) == pytest.approx(step(2e-2), rel=0.1)
    assert step(1e-2) > 0


@pytest.mark.parametrize("space", ["z", "w"])
def test_ways_begin_and_end_at_the_latents(space: str) -> None:
    model = model_ref(SmoothModel())
    found = styles_between(model, (3, 4), (0.0, 1.0), space=space)
    ends = [styles_between(model, (seed, seed + 9), (0.0, 0.0), space="w")[:1] for seed in (3, 4)]
    torch.testing.assert_close(found, torch.cat(ends), rtol=1e-4, atol=1e-5)


def test_outliers_do_not_count() -> None:
    steps = np.concatenate([[1e9], np.ones(198), [-1e9]])
    assert path_length(steps) == 1
