"""Scale consistency: one picture at every size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from creps.errors import UsageError
from creps.metrics._consistency import (
    EIGHT_BIT_CEILING,
    Consistency,
    scale_consistency,
    scale_pair,
)
from creps.metrics._models import model_ref
from creps.metrics._similarity import box_reduce, psnr, ssim
from creps.networks.base import Generator, Grid, build_generator
from creps.rendering._renderer import render


@pytest.fixture(scope="module")
def tiny() -> Generator:
    torch.manual_seed(0)
    config: dict[str, Any] = {"resolution": 8, "z_dim": 4, "w_dim": 8, "channel_base": 64}
    config |= {"channel_max": 8, "thickness": 2, "line_channels": 4, "bandwidth": 1.0}
    return build_generator("creps", config)


def agreement(generator: Generator, seed: int, **settings: Any) -> dict[str, float]:
    return Consistency(model=model_ref(generator), **settings).item(seed)


class Ramp(Generator):
    """Color is linear in the coordinates, so block means are exact up to 8-bit rounding."""

    def __init__(self, like: Generator) -> None:
        super().__init__(like.config, num_styles=like.num_styles)
        self.mapping = like.mapping

    def synthesize(self, styles: Tensor, grid: Grid) -> Tensor:
        plane = grid.ys[:, None] * 0.7 + grid.xs[None, :] * 0.9 - 0.8
        return plane.float().expand(len(styles), 3, -1, -1)


def test_pairs_are_the_renders_at_both_sizes(tiny: Generator) -> None:
    small, reduced = scale_pair(tiny, 3, size=(6, 10), factor=3, truncation=0.5)
    np.testing.assert_array_equal(small, render(tiny, seed=3, size=(6, 10), truncation=0.5))
    large = render(tiny, seed=3, size=(18, 30), truncation=0.5)
    np.testing.assert_allclose(reduced, box_reduce(large, 3))


def test_consistency_is_the_mean_over_seeds(tiny: Generator) -> None:
    each = [scale_consistency(tiny, [seed], size=8) for seed in (0, 1)]
    assert scale_consistency(tiny, [0, 1], size=8) == pytest.approx(sum(each) / 2)
    assert each[0] != each[1]


def test_a_linear_picture_is_consistent_up_to_rounding(tiny: Generator) -> None:
    assert scale_consistency(Ramp(tiny), [0], size=(12, 20)) > 54


def test_a_flat_picture_does_not_make_the_mean_infinite(tiny: Generator) -> None:
    class Flat(Ramp):
        def synthesize(self, styles: Tensor, grid: Grid) -> Tensor:
            return super().synthesize(styles, grid) * 0

    assert scale_consistency(Flat(tiny), [0], size=6) == EIGHT_BIT_CEILING


def test_consistency_refuses_nothing_to_compare(tiny: Generator) -> None:
    with pytest.raises(UsageError, match="no seeds"):
        scale_consistency(tiny, [], size=8)
    with pytest.raises(UsageError, match="factor 1"):
        scale_consistency(tiny, [0], size=8, factor=1)


def test_agreement_is_what_its_parts_say(tiny: Generator) -> None:
    found = agreement(tiny, 3, size=12)
    small, reduced = scale_pair(tiny, 3, size=12)
    assert found["psnr"] == psnr(small, reduced)
    assert found["ssim"] == ssim(small, reduced)
    assert np.isnan(found["perceptual"])
    assert found["cost"] == 1


def test_agreement_of_tiny_pictures_has_no_ssim(tiny: Generator) -> None:
    assert np.isnan(agreement(tiny, 3, size=6)["ssim"])


def test_the_perceptual_distance_sees_both_pictures(tiny: Generator) -> None:
    class Colors:
        has_layers = True

        def layered(self) -> Colors:
            return self

        def layers(self, images: Tensor, /) -> list[Tensor]:
            assert images.shape == (1, 3, 6, 6)
            assert float(images.abs().max()) <= 1
            return [images]

    assert agreement(tiny, 3, size=6, extractor=Colors())["perceptual"] > 0


def test_more_samples_agree_better_and_cost_more(tiny: Generator) -> None:
    plain = [agreement(tiny, seed, size=4)["psnr"] for seed in range(4)]
    found = [agreement(tiny, seed, size=4, supersample=4) for seed in range(4)]
    assert np.mean([each["psnr"] for each in found]) > np.mean(plain) + 3
    assert all(each["cost"] > 0 for each in found)


def test_opacity_is_judged_on_white(tiny: Generator) -> None:
    torch.manual_seed(0)
    changes = {"img_channels": 4, "resolution": 8, "z_dim": 4, "w_dim": 8, "channel_max": 8}
    clear = build_generator("creps", {**changes, "thickness": 2, "line_channels": 4})
    small, reduced = scale_pair(clear, 3, size=(6, 10))
    assert small.shape == reduced.shape == (6, 10, 3)
    assert agreement(clear, 3, size=8)["psnr"] > 0
