"""Training by the statistics of textures: the loss, its step, and what it does not go with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

import creps
from creps.config import replace
from creps.errors import ConfigError
from creps.networks.cips import CipsConfig, FourierFeatures
from creps.training._config import TrainConfig
from creps.training._presets import preset, tiling, with_loss
from creps.training._state import initial_state
from creps.training._statistics import likeness, statistics_loss
from creps.training.monitoring._doctor import diagnose_run
from training_pictures import SHORT, draw_pictures, few_steps, largest_difference, run_to

SMALLEST = [
    "resolution=16",
    "discriminator.resolution=16",
    "generator.resolution=32",
    "generator.features=24",
    "generator.widths=[12]",
    "generator.z_dim=8",
    "generator.w_dim=8",
    *SHORT,
]


def texture(*changes: str) -> TrainConfig:
    return tiling(preset("texture-64", *SMALLEST, *changes))


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 0.3


def distance(images: Tensor, real: Tensor, seed: int = 0) -> float:
    """Of pictures and of their colors as the only features."""
    random = torch.Generator().manual_seed(seed)
    return float(
        statistics_loss(images, real, maps=[images], real_maps=[real], random=random, group=1)
    )


def test_what_is_moved_round_is_alike_and_what_is_blurred_is_not() -> None:
    real = noise(0, 2, 3, 112, 96)
    assert distance(real, real) == 0
    moved = distance(real.roll((7, 13), (2, 3)), real)
    blurred = distance(torch.nn.functional.avg_pool2d(real, 3, 1, 1), real)
    flat = distance(real * 0.5, real)
    assert moved < 0.05
    assert min(blurred, flat) > 5 * moved


def test_statistics_are_of_all_channels_together() -> None:
    """A height that does not belong to its colors is told from one that does."""
    colors = noise(1, 2, 1, 48, 40)
    real = torch.cat([colors, colors], dim=1)
    apart = torch.cat([colors, noise(2, 2, 1, 48, 40)], dim=1)
    assert distance(apart, real) > 5 * distance(real.roll(9, 2), real)


def test_each_picture_is_compared_with_its_own() -> None:
    dark, bright = noise(3, 1, 1, 32, 32) - 0.5, noise(4, 1, 1, 32, 32) + 0.5
    real = torch.cat([dark, bright])
    assert distance(real.flip(0), real) > 10 * distance(real.roll(5, 3), real)
    both = distance(torch.cat([bright, bright]), torch.cat([dark, bright]))
    alone = distance(bright, dark)
    assert both == pytest.approx(alone / 2, rel=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (8, 8), (9, 64)])
def test_pictures_of_any_size_have_statistics(size: tuple[int, int]) -> None:
    images, real = noise(5, 2, 1, *size), noise(6, 2, 1, *size)
    assert torch.tensor(distance(images, real)).isfinite()
    assert distance(real.new_zeros(real.shape), real.new_zeros(real.shape)) == 0


def test_alike_is_what_has_the_same_layout_whatever_its_brightness() -> None:
    x = noise(7, 1, 3, 32, 48)
    assert float(likeness(torch.cat([x, 0.2 * x + 0.7]), group=2)) == pytest.approx(1, abs=1e-4)
    assert float(likeness(torch.cat([x, -x]), group=2)) == pytest.approx(1, abs=1e-4)
    assert float(likeness(torch.cat([x, x.roll(11, 3)]), group=2)) < 0.05
    assert float(likeness(x, group=4)) == 0
    four = torch.cat([x, x, x.roll(11, 3), x.roll(11, 3)])
    assert float(likeness(four, group=2)) > 0.99  # neighbors
    assert float(likeness(four, group=4)) == pytest.approx(1 / 3, abs=0.03)


def test_waves_of_a_disc_have_all_lengths_directions_and_phases() -> None:
    torch.manual_seed(0)
    waves = FourierFeatures(4000, bandwidth=50.0, period=(0.0, 0.0), spread="disc")
    lengths = waves.frequencies.norm(dim=1) / 50
    angles = torch.atan2(*waves.frequencies.T)
    for values, low, high in (
        (lengths, 0.0, 1.0),
        (angles, -torch.pi, torch.pi),
        (waves.phases, -torch.pi, torch.pi),
    ):
        counts = torch.histc(values.detach(), bins=8, min=low, max=high)
        assert counts.sum() == 4000
        assert 420 < counts.min() <= counts.max() < 580
    with pytest.raises(ConfigError, match="spread"):
        replace(preset("texture-64"), ["generator.spread=ring"])
    assert CipsConfig(resolution=64).spread == "square"


def test_half_precision_has_the_same_waves() -> None:
    torch.manual_seed(0)
    waves = FourierFeatures(4000, bandwidth=500.0, period=(1.0, 2.0), spread="disc")
    exact = [waves.waves(axis).frequencies for axis in (0, 1)]
    own = waves.frequencies.detach().double() / torch.pi
    torch.testing.assert_close(own, torch.stack([exact[0], exact[1] / 2], 1), atol=1e-4, rtol=0)
    waves.half()
    assert torch.equal(waves.waves(0).frequencies, exact[0])
    assert torch.equal(waves.waves(1).frequencies, exact[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["data.textures=false"], "only those of textures say what a picture is, give --tile"),
        (["projected.weight=0.1"], "expected projected.weight=0"),
        (["augment.kind=ada"], "augmentation is for discriminators"),
        (["generator.img_channels=2", "discriminator.img_channels=2"], "loss.kind: expected"),
        (["watch.evaluate_every=5"], "measures with effnet"),
    ],
)
def test_what_statistics_do_not_go_with_is_refused(changes: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        texture(*changes)


def test_another_loss_needs_a_preset_with_a_discriminator() -> None:
    with pytest.raises(ConfigError, match="texture-64 learns statistics and has no discriminator"):
        with_loss(preset("texture-64"), "relativistic")
    assert with_loss(preset("texture-64"), "statistics") == preset("texture-64")


def test_recipes_for_textures_learn_statistics() -> None:
    for name, side in (("texture-64", 64), ("texture-256", 256)):
        config = preset(name)
        assert tiling(config) == config
        assert config.loss.kind == "statistics"
        assert config.generator.period == (1, 1)
        assert config.generator.resolution == 2 * config.resolution == 2 * side
        assert config.anneal.images == config.images
        # Waves reach the pixels' own, and no farther: pi radians a half unit are one a unit.
        assert 0.5 < config.generator.bandwidth / torch.pi / side < 1


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures of noise of 20x24 px, of two classes."""
    pytest.importorskip("efficientnet_lite_pytorch")
    return draw_pictures(tmp_path_factory.mktemp("textures"), classes=2)


def test_a_step_moves_the_generator_alone(pictures: Path) -> None:
    config = texture()
    before = initial_state(config)
    after, logged = few_steps(config, pictures, steps=1)
    moved = {
        name.partition(".")[0]
        for name, tensor in after.tensors()
        if "optimizer" not in name and not torch.equal(tensor, dict(before.tensors())[name])
    }
    assert moved == {"step", "generator", "average"}
    assert {"loss/generator", "gradient/generator", "spread/fake"} <= set(logged[0])
    assert not any("logits" in name or "discriminator" in name for name in logged[0])


def test_a_step_in_parts_is_the_same(pictures: Path) -> None:
    whole, logged = few_steps(texture("batch=8"), pictures, steps=1)
    parts, logged_parts = few_steps(texture("batch=8", "accumulate=2"), pictures, steps=1)
    for name in ("loss/generator", "gradient/generator"):
        torch.testing.assert_close(logged[0][name], logged_parts[0][name], rtol=1e-4, atol=1e-5)
    assert largest_difference(whole, parts) < 1e-2  # Adam's first step has the size of its rate


def test_runs_go_on_where_they_stopped_and_tile(tmp_path: Path, pictures: Path) -> None:
    labels = ["data.labels=true", "generator.label_dim=2", "discriminator.label_dim=2"]
    config = texture(*labels)
    unbroken = run_to(tmp_path / "unbroken", config, pictures)
    run_to(tmp_path / "broken", config, pictures, steps=4)
    resumed = run_to(tmp_path / "broken", config, pictures)
    assert largest_difference(unbroken, resumed) == 0
    found = diagnose_run(tmp_path / "broken").findings
    assert not any("discriminator" in finding.text for finding in found)
    model = creps.load(tmp_path / "broken/model")
    assert model.class_names == ("class0", "class1")
    picture = creps.render(model, seed=1, label="class1", size=(60, 36), tile=(2, 3))
    assert (picture == torch.from_numpy(picture[:30, :12]).repeat(2, 3, 1).numpy()).all()
