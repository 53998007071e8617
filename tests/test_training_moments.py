"""Moments of features: what runs along, how far two sets are, and which way a generator is sent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor

from creps.errors import ConfigError
from creps.training import _moments
from creps.training._moments import FeatureMoments
from creps.training._run import open_run
from training_pictures import draw_pictures, few_steps, run_to, tiny

CHANNELS = (3, 6)
SIZE = (16, 24)
MOMENTS = ["projected.weight=1", "projected.moments=0.5"]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moments count from the first pictures on."""
    monkeypatch.setattr(_moments, "_FIRST", 4)
    monkeypatch.setattr(_moments, "_INTERVAL", 1)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("pictures"))


def some_maps(count: int, *, seed: int, scale: float = 1.0) -> list[Tensor]:
    """Maps (count, C_l, H_l, W_l) whose channels depend on each other."""
    random = torch.Generator().manual_seed(seed)
    found = []
    for level, width in enumerate(CHANNELS, 2):
        size = [-(-side // 2**level) for side in SIZE]
        x = torch.randn(count, width, *size, generator=random)
        found.append((x + x.roll(1, 1)) * scale + 0.3 * seed)
    return found


def followed(
    real: list[Tensor], generated: list[Tensor], windows: Tensor, *, steps: int = 1
) -> FeatureMoments:
    moments = FeatureMoments(SIZE, seed=5, channels=CHANNELS)
    for step, piece in enumerate(torch.arange(len(windows)).chunk(steps)):
        ours, theirs = ([x[piece] for x in maps] for maps in (real, generated))
        moments.follow(moments.sums(ours, theirs, windows[piece]), step=step)
    return moments


def test_running_moments_are_those_of_all_pictures_at_first() -> None:
    real, generated = some_maps(60, seed=1), some_maps(60, seed=2)
    windows = torch.arange(60) % 3 == 0
    moments = followed(real, generated, windows, steps=7)
    for kind, members in zip(moments._all(), (~windows, windows), strict=True):
        for level, each in enumerate(kind):
            for which, maps in enumerate((real, generated)):
                values = each.values(maps[level][members]).numpy()
                covariance = np.cov(values.T, bias=True)
                np.testing.assert_allclose(each.mean[which], values.mean(0), atol=1e-5)
                np.testing.assert_allclose(each.covariance[which], covariance, atol=1e-5)


def test_later_moments_forget_what_was_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_moments, "_REMEMBERED", (20, 10))
    maps = [torch.cat(x) for x in zip(some_maps(200, seed=9), some_maps(200, seed=1), strict=True)]
    moments = followed(maps, maps, torch.zeros(400, dtype=torch.bool), steps=100)
    (wholes, _) = moments._all()
    for level, each in enumerate(wholes):
        recent = each.values(maps[level][200:]).mean(0)
        torch.testing.assert_close(each.mean[1], recent, atol=1.5, rtol=0)


def test_the_distance_is_that_of_frechet_in_units_of_real_pictures() -> None:
    real, generated = some_maps(200, seed=1), some_maps(200, seed=2, scale=0.5)
    wholes = torch.zeros(200, dtype=torch.bool)
    moments = followed(real, generated, wholes)
    expected = []
    for each in next(iter(moments._all())):
        a, b = each.covariance.double().numpy()
        ridge = np.eye(len(a)) * 0.05 * np.diag(a).mean()
        whiten = np.linalg.inv(sqrtm(a + ridge).real)
        inside = whiten @ (b + ridge) @ whiten
        away = whiten @ (each.mean[1] - each.mean[0]).double().numpy()
        frechet = away @ away + np.trace(inside + np.eye(len(a)) - 2 * sqrtm(inside).real)
        expected.append(frechet / len(a))
    found = moments.distances()
    np.testing.assert_allclose(float(found["moments/wholes"]), np.mean(expected), rtol=1e-4)
    assert list(found) == ["moments/wholes"]  # no window was seen
    same = followed(real, real, wholes).distances()["moments/wholes"]
    assert float(same) < 1e-8


def test_distances_are_told_once_they_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_moments, "_FIRST", 30)
    real, generated = some_maps(60, seed=1), some_maps(60, seed=2)
    windows = torch.arange(60) % 3 == 0
    few = [[x[:40] for x in maps] for maps in (real, generated)]
    assert not followed(*few, windows[:40]).distances()
    assert list(followed(real, generated, windows).distances()) == ["moments/wholes"]


def test_distances_are_told_in_the_steps_that_change_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_moments, "_FIRST", 8)
    monkeypatch.setattr(_moments, "_INTERVAL", 3)
    moments = FeatureMoments(SIZE, seed=5, channels=CHANNELS)
    wholes = torch.zeros(8, dtype=torch.bool)
    told = []
    for step in range(7):
        real, generated = some_maps(8, seed=2 * step), some_maps(8, seed=2 * step + 1)
        told.append(moments.follow(moments.sums(real, generated, wholes), step=step))
    assert [bool(each) for each in told] == [True, False, False, True, False, False, True]
    assert len({float(each["moments/wholes"]) for each in told if each}) == 3


def test_a_batch_larger_than_what_they_remember_is_all_they_know(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_moments, "_REMEMBERED", (200, 10))
    maps = some_maps(60, seed=9)
    moments = followed(maps, maps, torch.zeros(60, dtype=torch.bool), steps=2)
    for level, each in enumerate(next(iter(moments._all()))):
        latest = each.values(maps[level][30:]).numpy()
        np.testing.assert_allclose(each.mean[1], latest.mean(0), atol=1e-4)
        np.testing.assert_allclose(each.covariance[1], np.cov(latest.T, bias=True), atol=1e-3)


def test_pictures_that_are_all_alike_do_not_make_rounding_the_unit() -> None:
    alike = [x[:1].expand(90, -1, -1, -1) for x in some_maps(1, seed=3)]
    generated = some_maps(90, seed=1)
    wholes = torch.zeros(90, dtype=torch.bool)
    moments = followed(alike, generated, wholes, steps=9)
    leaves = [x.clone().requires_grad_(True) for x in generated]
    torch.autograd.backward(moments.score(leaves, wholes))
    assert float(moments.distances()["moments/wholes"]) < 1e4
    assert all(leaf.grad is not None and float(leaf.grad.norm()) < 1e4 for leaf in leaves)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_features_that_are_not_finite_are_left_to_the_log(value: float) -> None:
    real, broken = [torch.ones(8, 4, 1, 1)], [torch.full((8, 4, 1, 1), value)]
    wholes = torch.zeros(8, dtype=torch.bool)
    moments = FeatureMoments((4, 4), seed=5, channels=(4,))
    moments.follow(moments.sums(real, broken, wholes), step=0)  # of which no eigenvalue is found
    assert torch.isnan(moments.distances()["moments/wholes"])


def test_the_gradient_of_scores_is_that_of_the_distance() -> None:
    real, generated = some_maps(150, seed=1), some_maps(150, seed=2, scale=0.7)
    wholes = torch.zeros(150, dtype=torch.bool)
    leaves = [x.clone().requires_grad_(True) for x in generated]
    moments = followed(real, generated, wholes)
    torch.autograd.backward(moments.score(leaves, wholes))
    random = torch.Generator().manual_seed(0)
    for level, leaf in enumerate(leaves):
        direction = torch.randn(leaf.shape, generator=random)
        distances = []
        for step in (1e-2, -1e-2):
            moved = [x + step * direction if n == level else x for n, x in enumerate(generated)]
            found = followed(real, moved, wholes)
            # the sum over maps, as the score has it, not their mean
            distances.append(float(found.distances()["moments/wholes"]) * len(CHANNELS))
        expected = (distances[0] - distances[1]) / 2e-2
        assert leaf.grad is not None
        np.testing.assert_allclose(float((leaf.grad * direction).sum()), expected, rtol=2e-2)


def test_wholes_are_not_scored_by_the_moments_of_windows() -> None:
    real, generated = some_maps(40, seed=1), some_maps(40, seed=2)
    windows = torch.ones(40, dtype=torch.bool)
    moments = followed(real, generated, windows)
    assert float(moments.score(generated, ~windows)) == 0
    assert float(moments.score(generated, windows)) != 0


def test_a_generator_learns_from_them(pictures: Path) -> None:
    state, logged = few_steps(tiny(*MOMENTS), pictures, steps=3)
    without, logged_without = few_steps(tiny("projected.weight=1"), pictures, steps=3)
    assert float(logged[-1]["moments/wholes"]) > 0
    assert not [name for name in logged_without[-1] if name.startswith("moments/")]
    pairs = zip(state.generator.parameters(), without.generator.parameters(), strict=True)
    assert any(not torch.equal(one, other) for one, other in pairs)


def test_parts_of_a_batch_add_up_to_the_whole() -> None:
    real, generated = some_maps(48, seed=1), some_maps(48, seed=2)
    windows = torch.arange(48) % 5 < 2
    whole, parts = (
        followed(real, generated, windows),
        FeatureMoments(SIZE, seed=5, channels=CHANNELS),
    )
    pieces = torch.arange(48).chunk(3)
    few = [([x[n] for x in real], [x[n] for x in generated], windows[n]) for n in pieces]
    parts.follow(torch.stack([parts.sums(*each) for each in few]).sum(0), step=0)
    for (name, one), other in zip(whole.named_buffers(), parts.buffers(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4, msg=name)
    scores = torch.stack([parts.score(maps, kinds) for _, maps, kinds in few])
    torch.testing.assert_close(scores.mean(), whole.score(generated, windows), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_stopped_run_ends_with_the_same_bytes(
    tmp_path: Path, pictures: Path, precision: str
) -> None:
    config = tiny(*MOMENTS, f"precision={precision}", "data.zoom=4")
    run_to(tmp_path / "whole", config, pictures)
    run_to(tmp_path / "parts", config, pictures, steps=3)
    run_to(tmp_path / "parts", config, pictures)
    last = f"snapshots/step-{config.steps:09d}.safetensors"
    assert (tmp_path / "whole" / last).read_bytes() == (tmp_path / "parts" / last).read_bytes()


def test_another_run_takes_all_but_the_moments(tmp_path: Path, pictures: Path) -> None:
    plain = run_to(tmp_path / "plain", tiny("projected.weight=1", "images=16"), pictures)
    run = open_run(tmp_path / "next", tiny(*MOMENTS), pictures, start=tmp_path / "plain")
    tensors = dict(run.state.tensors())
    for name, tensor in plain.tensors():
        assert name == "step" or torch.equal(tensors[name], tensor), name
    with_them = run_to(tmp_path / "with", tiny(*MOMENTS, "images=16"), pictures)
    for k, recipe in enumerate((["projected.weight=1"], MOMENTS)):
        run = open_run(tmp_path / f"on-{k}", tiny(*recipe), pictures, start=tmp_path / "with")
        tensors = dict(run.state.tensors())
        for name, tensor in with_them.tensors():
            if not name.startswith("moments.") and name != "step":
                assert torch.equal(tensors[name], tensor), name
        seen = [float(tensor.sum()) for name, tensor in tensors.items() if name.endswith(".seen")]
        assert sum(seen) == 0


@pytest.mark.parametrize("value", ["-1", "inf", "nan"])
def test_weights_that_are_none_are_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=r"projected\.moments"):
        tiny("projected.weight=1", f"projected.moments={value}")


def test_moments_without_the_features_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"projected\.moments.*projected\.weight"):
        tiny("projected.moments=1")
