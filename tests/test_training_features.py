"""Training with a projected discriminator: what it sees, how it learns, what is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from creps.data import Batch
from creps.errors import ConfigError, MissingExtraError
from creps.metrics._models import model_ref
from creps.networks.discriminator import FEATURE_CHANNELS, PlacedDiscriminator
from creps.training._engine import Engine
from creps.training._loop import run_steps
from creps.training._precision import feature_maps
from creps.training._run import open_run
from creps.training._state import copy_tensors, initial_state
from training_pictures import draw_pictures, few_steps, run_to, tiny

pytest.importorskip("efficientnet_lite_pytorch")

PROJECTED = ["projected.weight=1"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("pictures"))


def test_patches_are_enlarged_to_the_wanted_side_and_never_reduced() -> None:
    assert tiny().projected_size == (32, 32)
    assert tiny("projected.side=40", "height=8", "width=12").projected_size == (40, 60)
    large = ["resolution=64", "discriminator.resolution=64", "projected.side=40"]
    assert tiny(*large).projected_size == (64, 64)


@pytest.mark.parametrize("channels", [1, 3])
def test_four_maps_each_half_as_large(channels: int) -> None:
    from creps.metrics._extractors import effnet

    images = torch.rand(2, channels, 8, 12) * 2 - 1
    maps = feature_maps(effnet(), images, (64, 96))
    assert [tuple(each.shape) for each in maps] == [
        (2, width, 64 // reduction, 96 // reduction)
        for width, reduction in zip(FEATURE_CHANNELS, (4, 8, 16, 32), strict=True)
    ]


def test_filters_with_strides_stay_in_float32_on_a_cpu() -> None:
    from creps.metrics._extractors import effnet

    network = effnet().network
    types: list[tuple[tuple[int, int], torch.dtype]] = []
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d) and module.groups > 1:
            stride = tuple(module.stride)  # a list, from this package
            module.register_forward_hook(
                lambda _, x, y, stride=stride: types.append((stride, y.dtype))  # type: ignore[misc]
            )
    extractor = effnet()
    images = (torch.rand(2, 3, 32, 48) * 2 - 1).requires_grad_(True)
    exact = feature_maps(extractor, images, (32, 48))
    with torch.autocast("cpu", torch.bfloat16):
        half = feature_maps(replace(extractor, network=network), images, (32, 48))
    assert {each for each in types if each[0] != (1, 1)} == {((2, 2), torch.float32)}
    assert {each for each in types if each[0] == (1, 1)} == {((1, 1), torch.bfloat16)}
    assert sum(stride != (1, 1) for stride, _ in types) == 4
    for one, other in zip(half, exact, strict=True):
        away = (one.float() - other).detach().norm() / other.detach().norm()
        assert 0 < float(away) < 0.1
    total = torch.stack([each.float().square().mean() for each in half]).sum()
    assert bool(torch.autograd.grad(total, images)[0].isfinite().all())


def test_heads_and_generator_learn_and_the_features_do_not(pictures: Path) -> None:
    config = tiny(*PROJECTED)
    fresh = initial_state(config)
    state, logged = few_steps(config, pictures, steps=2)
    assert fresh.projected is not None
    assert state.projected is not None
    before = dict(fresh.projected.named_parameters())
    for name, parameter in state.projected.named_parameters():
        # Scores within the margins push the last bias up and down alike.
        assert name.endswith("bias") or not torch.equal(before[name], parameter), name
    names = {"loss/projected", "loss/generator_projected", "gradient/projected"}
    assert names <= logged[0].keys()
    alone, _ = few_steps(tiny(), pictures, steps=2)
    pairs = zip(alone.generator.parameters(), state.generator.parameters(), strict=True)
    assert any(not torch.equal(one, other) for one, other in pairs)


def test_other_networks_start_as_without_it() -> None:
    with_it, without = initial_state(tiny(*PROJECTED)), initial_state(tiny())
    tensors = dict(with_it.tensors())
    for name, tensor in without.tensors():
        assert torch.equal(tensors[name], tensor), name


def test_heads_learn_to_tell_blurred_pictures(pictures: Path) -> None:
    config = tiny(*PROJECTED, "resolution=32", "discriminator.resolution=32")
    state = initial_state(config)
    engine = Engine(state, config)
    random = torch.Generator().manual_seed(0)
    real = torch.randn(16, 3, 32, 32, generator=random)
    fake = torch.nn.functional.avg_pool2d(real, 5, 1, 2)
    heads = state.projected
    assert heads is not None
    optimizer = torch.optim.Adam(heads.parameters(), lr=2e-3, betas=(0.0, 0.99))
    for _ in range(30):
        optimizer.zero_grad()
        of_real, of_fake = (
            engine.passes.projected_scores(engine.passes.projected_maps(each))
            for each in (real, fake)
        )
        gaps = [a.mean() - b.mean() for a, b in zip(of_real, of_fake, strict=True)]
        torch.autograd.backward(-torch.stack(gaps).sum())
        optimizer.step()
        heads.tighten()
    assert float(torch.stack(gaps).detach().min()) > 0


def test_places_are_scales_and_centers_of_windows() -> None:
    config = tiny("height=8", "width=12")
    engine = Engine(initial_state(config), config)
    top, left, bottom, right = config.whole
    quarter = (top, left, (top + bottom) / 2, (left + right) / 2)
    image = torch.zeros(2, 3, 8, 12)
    for window, place in ((config.whole, [1, 0.5, 0.5]), (quarter, [2, 0.25, 0.25])):
        places = engine._places(Batch(image, config.canvas(window), None))
        torch.testing.assert_close(places, torch.tensor([place, place], dtype=torch.float32))


def test_finer_windows_leave_what_is_told_of_coarse_ones_as_it_was(pictures: Path) -> None:
    """A second phase takes all of the first one's networks: the same window, the same numbers."""
    told = ["projected.placed=true", "discriminator_kind=placed", "data.detail=16"]
    image, places = torch.randn(4, 3, 8, 8), torch.tensor([[4.0, 0.25, 0.75]] * 4)
    found = []
    for zoom in (4, 16):
        state, _ = few_steps(tiny(*PROJECTED, *told, "data.zoom=4"), pictures, steps=1)
        later = initial_state(tiny(*PROJECTED, *told, f"data.zoom={zoom}"))
        copy_tensors(later, dict(state.tensors()), names={name for name, _ in state.tensors()})
        maps = [torch.ones(4, width, 8, 8) for width in FEATURE_CHANNELS]
        assert isinstance(later.discriminator, PlacedDiscriminator)
        assert later.projected is not None
        with torch.no_grad():
            found.append([later.discriminator(image, None, places), *later.projected(maps, places)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_models_say_which_network_must_not_measure_them(tmp_path: Path, pictures: Path) -> None:
    config = tiny(*PROJECTED)
    run = open_run(tmp_path / "run", config, pictures)
    assert run.record["training"]["perceptual"] == "effnet"
    said: list[str] = []
    run.stop = "test"
    run_steps(run, log=said.append)
    assert "do not measure this run by fd_effnet" in said[0]
    with pytest.raises(ConfigError, match=r"watch\.evaluate_every measures with effnet"):
        tiny(*PROJECTED, "watch.evaluate_every=10")
    with pytest.raises(ConfigError, match="expected pictures of 1 or 3 channels, not 4"):
        tiny(*PROJECTED, "generator.img_channels=4", "discriminator.img_channels=4")


def test_what_goes_on_from_such_a_model_says_so_too(tmp_path: Path, pictures: Path) -> None:
    run_to(tmp_path / "first", tiny(*PROJECTED), pictures, steps=1)
    run_to(tmp_path / "plain", tiny(), pictures, steps=1)
    for k, start in enumerate(("first", "first/model", "next-0", "next-1/model")):
        folder = tmp_path / f"next-{k}"
        begun = open_run(folder, tiny(), pictures, start=tmp_path / start)
        assert begun.record["training"]["perceptual"] == "effnet"
        run_to(folder, tiny(), pictures, start=tmp_path / start, steps=1)
        resumed = open_run(folder, tiny(), pictures)  # without --from
        assert resumed.record["training"]["perceptual"] == "effnet"
        assert model_ref(folder / "model").taught_by == "effnet"
        watched = tiny("watch.evaluate_every=10")
        with pytest.raises(ConfigError, match=rf"{start} was trained with"):
            open_run(tmp_path / "watched", watched, pictures, start=tmp_path / start)
        assert not (tmp_path / "watched").exists()
    for start in ("plain", "plain/model"):
        run = open_run(tmp_path / f"of-{start}", tiny(), pictures, start=tmp_path / start)
        assert "perceptual" not in run.record["training"]


def test_a_run_without_it_is_what_one_with_it_can_start_from(
    tmp_path: Path, pictures: Path
) -> None:
    plain = run_to(tmp_path / "plain", tiny("images=8"), pictures)
    run = open_run(tmp_path / "next", tiny(*PROJECTED), pictures, start=tmp_path / "plain")
    pairs = zip(plain.generator.parameters(), run.state.generator.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_without_the_packages_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    config = tiny(*PROJECTED)
    with pytest.raises(MissingExtraError, match="metrics"):
        Engine(initial_state(config), config)
