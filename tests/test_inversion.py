"""Inversion: a model finds its own pictures again, on any grid; misuse is one line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from creps.coordinates import Canvas
from creps.errors import ConfigError, GridError, LabelError, UsageError
from creps.inversion import InversionSettings, _pyramid_error, invert
from creps.networks.base import build_generator
from smooth_model import CONFIG, SmoothModel
from tiny_creps import random_styles, tiny_creps

QUICK = InversionSettings(steps=60, starts=3, learning_rate=0.1)


class Means:
    """Features that are the means of quarters of the picture; counts what it looks at."""

    name = "means"

    def __init__(self) -> None:
        self.seen = 0

    def layers(self, images: Tensor, /) -> list[Tensor]:
        self.seen += len(images)
        quarters = torch.nn.functional.adaptive_avg_pool2d(images, 2)
        return [torch.cat([quarters, torch.ones_like(quarters)], 1)]


def painted(model, z: Tensor, canvas: Canvas) -> np.ndarray:
    image = model.synthesize(model.map(z), canvas.grid())[0]
    return ((image + 1) * 127.5).permute(1, 2, 0).float().numpy()


def latent(model, seed: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(1, model.config.z_dim, generator=draw)


@pytest.mark.parametrize("window", [(0.0, 0.0, 1.0, 1.0), (0.1, -0.4, 0.7, 1.2)])
def test_a_model_finds_its_own_picture_in_any_window(window) -> None:
    model = SmoothModel()
    picture = painted(model, latent(model, 11), Canvas(24, 40, window))
    found = invert(model, picture, settings=QUICK, window=window)
    assert found.psnr > 30
    assert found.styles.shape == (1, model.num_styles, 4)
    assert found.image.shape == found.target.shape == (1, 3, 24, 40)
    # The styles hold for sizes that were never compared.
    large = model.synthesize(found.styles, Canvas(50, 60, window).grid())
    truth = painted(model, latent(model, 11), Canvas(50, 60, window)) / 127.5 - 1
    assert (large[0].permute(1, 2, 0) - torch.from_numpy(truth)).abs().mean() < 0.05


@pytest.mark.slow
def test_layers_of_their_own_come_closer_to_foreign_pictures() -> None:
    network = tiny_creps().float()
    styles = network.mapping.average + 0.8 * random_styles(network, 1).float()
    image = network.synthesize(styles, Canvas(16, 24).grid())[0].clamp(-1, 1)
    picture = ((image + 1) * 127.5).permute(1, 2, 0).numpy()
    together, apart = (
        invert(network, picture, settings=replace(QUICK, space=space)) for space in ("w", "w+")
    )
    assert bool((together.styles == together.styles[:, :1]).all())
    assert not bool((apart.styles == apart.styles[:, :1]).all())
    assert apart.psnr > together.psnr


@pytest.mark.slow
def test_nothing_but_the_seed_decides_and_the_model_stays() -> None:
    model = tiny_creps().float()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    picture = painted(model, latent(model, 3), Canvas(16, 12))
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = invert(model, picture, settings=QUICK)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    again = invert(model, picture, settings=QUICK)
    assert torch.equal(first.styles, again.styles)
    assert first.losses == again.losses
    other = invert(model, picture, settings=replace(QUICK, seed=1))
    assert not torch.equal(first.styles, other.styles)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_progress_and_losses_count_every_step() -> None:
    model, told = SmoothModel(), []
    picture = painted(model, latent(model, 4), Canvas(20, 16))
    settings = replace(QUICK, steps=7)
    found = invert(
        model, picture, settings=settings, progress=lambda done, total: told.append((done, total))
    )
    assert told == [(step, 7) for step in range(1, 8)]
    assert len(found.losses) == 7


def test_features_count_and_those_of_the_target_are_taken_once_a_stage() -> None:
    model, extractor = SmoothModel(), Means()
    picture = painted(model, latent(model, 5), Canvas(32, 48))
    settings = replace(QUICK, steps=8, starts=2, perceptual=5.0)
    with_features = invert(model, picture, settings=settings, extractor=extractor)
    # Stages of 2, 2 and 4 steps, the first by pixels. Then one start is left: at the beginning of
    # the second stage two are judged, of the third one; the target is looked at once in each.
    assert extractor.seen == (2 + 1 + 2) + (1 + 1 + 4)
    without = invert(model, picture, settings=settings)
    assert not torch.equal(with_features.styles, without.styles)
    none = invert(model, picture, settings=replace(settings, perceptual=0), extractor=extractor)
    assert torch.equal(none.styles, without.styles)


def test_fewer_pixels_are_compared_than_a_large_picture_has() -> None:
    model = SmoothModel()
    picture = painted(model, latent(model, 6), Canvas(60, 100))
    settings = replace(QUICK, steps=1)
    assert invert(model, picture, settings=settings, size=50).target.shape == (1, 3, 30, 50)
    assert invert(model, picture, settings=settings, size=500).target.shape == (1, 3, 60, 100)
    means = picture.reshape(30, 2, 50, 2, 3).mean((1, 3)) / 127.5 - 1
    target = invert(model, picture, settings=settings, size=50).target[0].permute(1, 2, 0)
    np.testing.assert_allclose(target.numpy(), means, atol=1e-5)


def test_margins_of_families_are_cut_off() -> None:
    class Wide(SmoothModel):
        margin = 3

    models = SmoothModel(), Wide()
    picture = painted(models[0], latent(models[0], 7), Canvas(16, 20))
    found = [invert(each, picture, settings=replace(QUICK, steps=5)) for each in models]
    assert found[0].image.shape == found[1].image.shape
    again = models[0].synthesize(found[1].styles, Canvas(16, 20).grid())
    torch.testing.assert_close(found[1].image, again, rtol=0, atol=1e-5)


def test_means_of_pixels_count_in_the_error() -> None:
    a = torch.zeros(1, 1, 16, 16)
    checkered = torch.ones(16, 16)
    checkered[::2, ::2] = checkered[1::2, 1::2] = -1
    assert _pyramid_error(a, checkered[None, None]).item() == pytest.approx(1 / 2)  # two sizes
    assert _pyramid_error(a, torch.ones_like(a)).item() == pytest.approx(1)


def test_classes_are_asked_for() -> None:
    network = build_generator("creps", CONFIG | {"label_dim": 2})
    picture = np.zeros((16, 16, 3), np.uint8)
    settings = replace(QUICK, steps=1, starts=1)
    assert invert(network, picture, settings=settings, label=torch.tensor([1])).styles.ndim == 3
    with pytest.raises(LabelError):
        invert(network, picture, settings=settings)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"space": "z"}, "space 'z': expected w or w\\+"),
        ({"steps": 0}, "steps 0: expected at least 1"),
        ({"starts": 100}, "starts 100: expected at most"),
        ({"seed": 2**63}, "seed 9223372036854775808: expected less than"),
        ({"learning_rate": float("nan")}, "learning_rate nan"),
    ],
)
def test_settings_that_make_no_sense(change, words) -> None:
    with pytest.raises(ConfigError, match=words):
        replace(QUICK, **change)


def test_pictures_that_cannot_be_looked_for() -> None:
    model = SmoothModel()
    with pytest.raises(UsageError, match=r"expected \(H, W, 3\)"):
        invert(model, np.zeros((16, 16, 1), np.uint8))
    with pytest.raises(UsageError, match="4x40 pixels to compare: expected at least 8"):
        invert(model, np.zeros((4, 40, 3), np.uint8))
    with pytest.raises(GridError, match="empty"):
        invert(model, np.zeros((16, 16, 3), np.uint8), window=(0, 1, 1, 1))
