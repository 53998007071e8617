"""Presets: every row of the paper, with the numbers that the paper gives."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch

from creps.coordinates import AxisGrid, Canvas
from creps.data import Batch
from creps.errors import ConfigError
from creps.training import _precision, _presets
from creps.training._engine import Engine
from creps.training._presets import PRESETS, preset, with_augmentation, with_loss
from creps.training._state import initial_state
from creps.training._steps import train_step


@pytest.mark.parametrize(
    ("name", "resolution", "batch", "gamma", "score"),
    [
        ("paper-ffhq-512", 512, 32, 10, "4.43"),
        ("paper-church-256", 256, 32, 10, "5.50"),
        ("paper-scenery-256", 256, 32, 10, "7.21"),
        ("paper-metfaces-1024", 1024, 8, 32, "20.52"),
        ("paper-afhq-dog-1024", 1024, 8, 32, "9.7"),
        ("ablation-dense", 128, 128, 0.5, "5.98"),
        ("ablation-once-d1", 128, 128, 0.5, "11.37"),
        ("ablation-once-d8", 128, 128, 0.5, "8.23"),
        ("ablation-sum-d8", 128, 128, 0.5, "6.91"),
        ("ablation-layerwise-d4", 128, 128, 0.5, "6.46"),
        ("ablation-layerwise-d8", 128, 128, 0.5, "4.66"),
    ],
)
def test_rows_of_the_paper(
    name: str, resolution: int, batch: int, gamma: float, score: str
) -> None:
    recipe = PRESETS[name]
    config, loss = recipe.config, recipe.config.loss
    assert (config.resolution, config.batch, loss.r1_gamma) == (resolution, batch, gamma)
    assert score in recipe.expects
    assert (loss.kind, loss.r2_gamma, loss.path_length_weight) == ("nonsaturating", 0, 2)
    assert (loss.generator_interval, loss.discriminator_interval) == (4, 16)
    assert config.ema_half_life == batch * 10_000 // 32
    optimizer = config.optimizer
    assert (optimizer.learning_rate, optimizer.beta1, optimizer.beta2) == (2e-3, 0, 0.99)
    assert config.augment.kind == "ada"
    assert config.augment.target == 0.6
    assert config.canvas().sampling == "centers"


def test_transfer_at_1024_px_takes_the_network_of_512_px() -> None:
    taught, teacher = PRESETS["paper-metfaces-1024"], PRESETS["paper-ffhq-512"]
    assert taught.config.generator == teacher.config.generator
    assert taught.config.size == (1024, 1024)
    assert "paper-ffhq-512" in taught.start


def test_every_recipe_says_what_it_is_for() -> None:
    assert all(recipe.about for recipe in PRESETS.values())
    for size in (128, 256):
        data = preset(f"gpu-{size}").data
        assert data.zoom * size >= 1024


def test_a_loss_brings_its_regularizers() -> None:
    paper = preset("paper-512")
    paired = with_loss(paper, "relativistic").loss
    assert (paired.kind, paired.r1_gamma, paired.r2_gamma) == ("relativistic", 10, 10)
    assert paired.path_length_weight == 0
    plain = with_loss(preset("small-32"), "nonsaturating").loss
    assert (plain.kind, plain.r1_gamma, plain.r2_gamma) == ("nonsaturating", 0.5, 0)
    assert plain.path_length_weight == 2
    assert with_loss(paper, "nonsaturating") == paper
    assert with_augmentation(paper, "none").augment.kind == "none"
    augmented = with_augmentation(preset("projected-32"), "ada").augment
    assert (augmented.kind, augmented.blur, augmented.blur_images) == ("ada", 4, 4000)


def test_projected_presets_say_which_extra_they_need() -> None:
    for name, recipe in PRESETS.items():
        if recipe.config.projected.weight:
            assert "extra metrics" in recipe.about or recipe.start.startswith("a run of projected")
            assert recipe.config.perceptual == "effnet", name
    detail = preset("projected-64-detail")
    assert detail.data.zoom * detail.resolution == 1024
    assert detail.generator == preset("projected-64").generator
    assert detail.anneal.images == detail.images
    assert (preset("projected-64").augment.blur, detail.augment.blur) == (4, 0)  # no start of one
    assert detail.projected.moments == preset("projected-32").projected.moments == 0.3


def test_frozen_features_are_recommended_where_they_are_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for installed, taken in ((True, "projected-64"), (False, "small-64")):
        monkeypatch.setattr(_presets, "has_effnet", lambda there=installed: there)
        assert _presets.recommended("small-64") == taken
        assert _presets.recommended("paper-512") == "paper-512"
    for name, recipe in PRESETS.items():
        if recipe.features:
            other = preset(recipe.features)
            assert (other.perceptual, other.resolution) == ("effnet", recipe.config.resolution)
            assert recipe.config.perceptual == "none", name


def test_unknown_presets_name_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean"):
        preset("paper-fhq-512")


def test_presets_can_be_changed_in_the_words_of_the_command() -> None:
    config = preset("small-32", "images=1000", "data.mirror=true")
    assert (config.images, config.data.mirror) == (1000, True)
    assert preset("small-32").images == 400_000


LARGE = {
    recipe.config: name
    for name, recipe in PRESETS.items()
    if name.startswith(("paper", "ablation", "gpu", "cips-paper", "anyres-paper"))
}
"""What no test can train, each configuration once."""


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE.values())
def test_large_presets_build_and_step(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shapes alone, without memory or arithmetic (the "meta" device)."""
    meta, config = (
        torch.device("meta"),
        preset(name, "batch=4", "augment.kind=none", "discriminator_warmup=0"),
    )

    def grid_on(canvas: Canvas, device: torch.device) -> AxisGrid:
        grid = canvas.grid()  # alias-free networks look at its values
        values = config.family not in ("creps", "cips")
        return grid if values else AxisGrid(grid.ys.to(meta), grid.xs.to(meta))

    monkeypatch.setattr(_precision, "grid_on", grid_on)
    monkeypatch.setattr(torch, "autocast", lambda *args, **settings: nullcontext())
    with meta:
        state = initial_state(config, meta)
    state.step = 1  # no path lengths: their noise needs a device that draws
    state.teacher = state.average if config.teacher.weight else None
    batch = Batch(torch.zeros(4, 3, *config.size, device=meta), config.canvas(), None)
    stats = train_step(Engine(state, config), batch)
    assert stats["loss/generator"].shape == stats["loss/discriminator"].shape == ()
    assert state.step == 2
