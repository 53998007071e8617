"""Every family trains, resumes and renders; the two phases; cylinders; scales that agree."""

from __future__ import annotations

import json
import math
from dataclasses import replace as with_fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import creps
from creps.config import replace
from creps.coordinates import AxisGrid, Canvas
from creps.data import Batch
from creps.errors import CheckpointError, ConfigError
from creps.networks.base import build_generator, families
from creps.networks.discriminator import (
    Discriminator,
    PlacedDiscriminator,
    ScaledDiscriminator,
    TwoDiscriminators,
    build_discriminator,
)
from creps.training._batches import load_training_batches, open_training_set
from creps.training._config import TrainConfig
from creps.training._engine import Engine
from creps.training._loop import run_steps
from creps.training._periods import draw_split, straddling, turned
from creps.training._presets import PRESETS, preset
from creps.training._run import open_run
from creps.training._state import initial_state
from creps.training._teacher import (
    Axis,
    Teacher,
    lanczos_weights,
    mean_difference,
    resampled,
    teacher_loss,
)
from training_pictures import few_steps, largest_difference, run_to

COMMON = [
    *("resolution=16", "discriminator.resolution=16", "discriminator.channel_max=8"),
    *("generator.resolution=16", "generator.z_dim=8", "generator.w_dim=8"),
    *("generator.mapping_layers=2", "batch=4", "images=16", "log_every=2", "preview_every=0"),
    *("snapshot_every=2", "data.workers=0"),
]
ALIAS_FREE = ["num_layers=3", "num_critical=1", "channel_max=8", "margin_size=4"]
TOY = {
    "anyres": ALIAS_FREE,
    "cips": ["features=8", "widths=[8, 6]"],
    "creps": ["channel_max=8"],
    "scaleparty": ["channel_max=8", "coarse=4", "octaves=4"],
    "stylegan2": ["channel_max=8"],
    "stylegan3": ALIAS_FREE,
}
SMOKE = {"creps": "smoke"}
ONE_SIZE = {"stylegan2"}


def toy(name: str, *changes: str) -> TrainConfig:
    """A preset at 16 px, 4 steps."""
    config = preset(name)
    own = [f"generator.{change}" for change in TOY[config.family]]
    return replace(config, [*COMMON, *own, *changes])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight smooth pictures of mixed sizes, up to four times the toy resolution."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for k in range(8):
        small = random.integers(0, 255, (6, 7, 3), dtype=np.uint8)
        size = (40 + 4 * k, 36 + 4 * k)
        Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(folder / f"{k}.png")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("family", families())
def test_every_family_trains_resumes_and_renders(
    family: str, tmp_path: Path, pictures: Path
) -> None:
    assert family in TOY, "a new family needs a toy size here, and a smoke preset"
    config = toy(SMOKE.get(family, f"{family}-smoke"))
    assert config.family == family
    unbroken = run_to(tmp_path / "unbroken", config, pictures)
    assert unbroken.step == 4
    run_to(tmp_path / "broken", config, pictures, steps=2)
    resumed = run_to(tmp_path / "broken", config, pictures)
    assert largest_difference(unbroken, resumed) == 0
    fresh = dict(initial_state(config).generator.named_parameters())
    for name, learnt in unbroken.generator.named_parameters():
        if "noise" not in name and "scale." not in name and config.family != "stylegan2":
            assert not torch.equal(learnt, fresh[name]), name
    model = creps.load(tmp_path / "broken/model")
    sizes = [(16, 16)] if family in ONE_SIZE else [(16, 16), (21, 34)]
    for size in sizes:
        picture = creps.render(model, seed=1, size=size)
        assert picture.shape == (*size, 3)
        assert picture.std() > 0


@pytest.mark.parametrize("name", [n for n in PRESETS if n.endswith("-small-32")])
def test_small_presets_have_the_budget_of_small_32(name: str) -> None:
    ours, reference = preset(name), preset("small-32")
    size, expected = (
        sum(p.numel() for p in build_generator(c.family, c.generator).parameters())
        for c in (ours, reference)
    )
    assert abs(size / expected - 1) < 0.1
    assert ours.discriminator == reference.discriminator
    assert (ours.images, ours.batch, ours.loss) == (
        reference.images, reference.batch, reference.loss,
    )  # fmt: skip


# Two phases


@pytest.fixture(scope="module")
def first_phase(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Path:
    folder = tmp_path_factory.mktemp("phases") / "first"
    run_to(folder, toy("anyres-smoke"), pictures)
    return folder


def second_phase(*changes: str) -> TrainConfig:
    return toy("anyres-smoke-patches", "generator.scale_max=4", "data.zoom=4", *changes)


@pytest.mark.slow
def test_the_second_phase_goes_on_from_the_first_and_resumes_without_it(
    tmp_path: Path, pictures: Path, first_phase: Path
) -> None:
    config = second_phase()
    run = open_run(tmp_path / "run", config, pictures, start=first_phase)
    learnt = creps.load(first_phase / "model").state_dict()
    for name, tensor in run.state.average.state_dict().items():
        if not name.startswith("scale."):
            assert torch.equal(tensor, learnt[name]), name
    assert run.state.teacher is not None
    for name, tensor in run.state.teacher.state_dict().items():
        assert torch.equal(tensor, learnt[name]), name
    state = initial_state(toy("anyres-smoke"))
    learnt_too = dict(run.state.discriminator.state_dict())
    assert not torch.equal(
        learnt_too["conv.weight"], state.discriminator.state_dict()["conv.weight"]
    )

    unbroken = run_to(tmp_path / "run", config, pictures)
    open_run(tmp_path / "other", config, pictures, start=first_phase)
    run_to(tmp_path / "other", config, pictures, steps=2)
    assert largest_difference(unbroken, run_to(tmp_path / "other", config, pictures)) == 0
    after = run.state.teacher.state_dict()
    assert all(torch.equal(tensor, learnt[name]) for name, tensor in after.items())
    line = json.loads((tmp_path / "run/log.jsonl").read_text().splitlines()[0])
    assert line["loss/teacher"] > 0


def test_a_teacher_is_asked_for(tmp_path: Path, pictures: Path) -> None:
    with pytest.raises(ConfigError, match=r"no teacher: give the first phase's run"):
        open_run(tmp_path / "run", second_phase(), pictures)
    assert not (tmp_path / "run").exists()  # nothing was begun
    config = second_phase()
    with pytest.raises(ConfigError, match="expected a state with a teacher"):
        Engine(initial_state(config), config)


def test_a_stylegan3_is_a_first_phase_and_another_plane_is_not(
    tmp_path: Path, pictures: Path
) -> None:
    run_to(tmp_path / "sg3", toy("stylegan3-smoke"), pictures, steps=1)
    same = ["generator.channel_base=512"]
    run = open_run(tmp_path / "patches", second_phase(*same), pictures, start=tmp_path / "sg3")
    assert run.state.teacher is not None
    run_to(tmp_path / "plane", toy("anyres-smoke"), pictures, steps=1)
    other = toy("anyres-smoke", "generator.period=[0,3]")
    with pytest.raises(
        CheckpointError, match=r"period is \[0\.0, 0\.0\] there, \[0\.0, 3\.0\] here"
    ):
        open_run(tmp_path / "cylinder", other, pictures, start=tmp_path / "plane")


def test_half_of_the_windows_are_whole_and_none_is_finer_than_its_picture(pictures: Path) -> None:
    config = second_phase("batch=16", "data.window_group=1")
    batches = load_training_batches(
        open_training_set(config, pictures), config, first_step=0, device=torch.device("cpu")
    )
    sides: list[float] = []
    for _ in range(20):
        windows = next(batches).windows
        assert windows is not None
        sides += (windows[:, 2] - windows[:, 0]).tolist()
    share = sum(side == 1 for side in sides) / len(sides)
    assert 0.4 < share < 0.6
    assert min(sides) >= 16 / 64


@pytest.mark.parametrize("direction", ["inverse", "forward"])
def test_the_teacher_loss_is_zero_for_parts_of_its_own_picture(direction: Any) -> None:
    frame = Canvas(16, 16)
    for window in ((0, 0, 1, 1), (0.25, 0.125, 0.75, 0.625), (0.1, 0.3, 0.6, 0.8)):
        patch = Canvas(16, 16, window)
        loss = teacher_loss(
            smooth(patch), smooth(frame), patch=patch, frame=frame,
            direction=direction, distance=mean_difference,
        )  # fmt: skip
        assert float(loss) < 0.01
        other = teacher_loss(
            -smooth(patch), smooth(frame), patch=patch, frame=frame,
            direction=direction, distance=mean_difference,
        )  # fmt: skip
        assert float(other) > 0.05


def test_the_mask_is_part_of_the_teacher_loss() -> None:
    """A constant patch over a quarter of the frame, off by one: the mean is a quarter."""
    patch, frame = Canvas(8, 8, (0.5, 0, 1, 0.5)), Canvas(8, 8)
    ones, zeros = torch.ones(2, 3, 8, 8), torch.zeros(2, 3, 8, 8)
    inverse = teacher_loss(
        ones, zeros, patch=patch, frame=frame, direction="inverse", distance=mean_difference
    )
    forward = teacher_loss(
        ones, zeros, patch=patch, frame=frame, direction="forward", distance=mean_difference
    )
    torch.testing.assert_close(inverse, torch.tensor(0.25))
    torch.testing.assert_close(forward, torch.tensor(1.0))


def test_the_weight_scales_the_teacher_loss_and_gradients_reach_the_patch(
    first_phase: Path,
) -> None:
    network = creps.load(first_phase / "model")
    z = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    windows = torch.tensor([[0, 0, 1, 1]] * 2 + [[0.25, 0.25, 0.5, 0.5]] * 2, dtype=torch.float64)
    config = second_phase("teacher.weight=2")
    images = torch.zeros(4, 3, 16, 16, requires_grad=True)
    batch = Batch(images.detach(), config.canvas(), None, windows)
    loss = Teacher(network, config).loss(images, z, batch)
    five = Teacher(network, second_phase("teacher.weight=5")).loss(images, z, batch)
    torch.testing.assert_close(five, loss * 2.5)
    (gradient,) = torch.autograd.grad(loss, images)
    assert (gradient.abs().amax((1, 2, 3)) > 0).all()
    with torch.no_grad():
        own = network.synthesize(network.map(z[:2]), config.canvas().grid())
        whole = Batch(own, config.canvas(), None)
        assert float(Teacher(network, config).loss(own, z[:2], whole)) < 1e-6


def test_a_perceptual_distance_is_named_and_measures_nothing(
    tmp_path: Path, pictures: Path, first_phase: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Means:
        name = "effnet"

        def layers(self, images: Tensor) -> list[Tensor]:
            return [torch.nn.functional.avg_pool2d(images, 4) + 0.1]

    monkeypatch.setattr("creps.metrics._extractors.effnet", lambda *, device: Means())
    config = second_phase("teacher.perceptual=effnet")
    run = open_run(tmp_path / "run", config, pictures, start=first_phase)
    assert run.record["training"]["perceptual"] == "effnet"
    said: list[str] = []
    run.stop = "test"
    run_steps(run, log=said.append)
    assert "do not measure this run by fd_effnet" in said[0]
    engine = Engine(run.state, config)
    plain = Teacher(run.state.teacher, second_phase())  # type: ignore[arg-type]
    z = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    batch = Batch(images, config.canvas(), None)
    assert engine.teacher is not None
    assert engine.teacher.loss(images, z, batch) > plain.loss(images, z, batch)
    with pytest.raises(ConfigError, match="evaluate with another network"):
        second_phase("teacher.perceptual=effnet", "watch.evaluate_every=10")


# Lanczos


def smooth(canvas: Canvas) -> Tensor:
    """(1, 1, H, W) a wave of one and a half cycles a plane unit, across the diagonal."""
    ys, xs = canvas.rows(), canvas.columns()
    return torch.sin(3 * math.pi * (ys[:, None] * 0.6 + xs * 0.8) + 0.4)[None, None].float()


def test_resampling_to_the_same_pixels_changes_nothing() -> None:
    canvas = Canvas(9, 14, (0.1, 0.2, 0.7, 0.9))
    same, mask = resampled(smooth(canvas), canvas, canvas)
    torch.testing.assert_close(same, smooth(canvas))
    assert mask.shape == (9, 14)
    assert (mask == 1).all()


def test_resampling_keeps_what_both_sizes_hold_and_drops_the_rest() -> None:
    fine, coarse = Canvas(60, 84), Canvas(15, 21)
    reduced, _ = resampled(smooth(fine), fine, coarse)
    inner = (slice(None), slice(None), slice(3, -3), slice(3, -3))
    torch.testing.assert_close(reduced[inner], smooth(coarse)[inner], atol=0.02, rtol=0)
    checker = torch.ones(1, 1, 60, 84)
    checker[..., ::2] = -1
    vanished, _ = resampled(checker, fine, coarse)
    assert vanished[inner].abs().max() < 0.02


def test_pixels_beyond_the_source_are_masked_and_zero() -> None:
    weights, inside = lanczos_weights(Axis(0.25, 0.75, 8), Axis(0, 1, 8))
    assert inside.tolist() == [False, False, True, True, True, True, False, False]
    sums = weights.sum(1)
    torch.testing.assert_close(sums[2:6], torch.ones(4, dtype=torch.float64))
    assert (weights[[0, 7]] == 0).all()
    _, shifted = lanczos_weights(Axis(0.3, 0.7, 8), Axis(0, 1, 8))
    assert shifted.tolist() == [False, False, False, True, True, False, False, False]


# Cylinders


def test_a_cylinder_is_trained_at_every_angle(pictures: Path) -> None:
    config = toy("cips-smoke", "generator.period=[0,3]")
    assert config.period == (0, 3)
    images = torch.zeros(4, 3, 16, 16)
    flat = Batch(images, config.canvas(), None, None)
    places = [turned(config, flat, step).region.window[1] for step in range(300)]
    assert 0 <= min(places) < 0.1
    assert 2.9 < max(places) < 3
    assert abs(sum(places) / 300 - 1.5) < 0.15
    windows = torch.tensor([[0, 0, 1, 1]] * 2 + [[0.5, 0.25, 1, 0.75]] * 2, dtype=torch.float64)
    moved = turned(config, with_fields(flat, windows=windows), 5).windows
    assert moved is not None
    shift = moved - windows
    torch.testing.assert_close(shift[:, 1], shift[:1, 3].expand(4))
    assert (shift[:, 1] == places[5]).sum() >= 2
    assert (shift[:, ::2] == 0).all()
    plane = toy("cips-smoke")
    assert turned(plane, flat, 5) is flat
    first = next(
        load_training_batches(
            open_training_set(config, pictures), config, first_step=5, device=images.device
        )
    )
    assert abs(first.region.window[1] - places[5]) <= 0.5 / 16


CYLINDER = ["generator.period=[0,3]", "cross_frame=true"]


def test_a_trained_panorama_wraps_exactly(tmp_path: Path, pictures: Path) -> None:
    config = toy("anyres-smoke", *CYLINDER, "generator.margin_size=10")
    run_to(tmp_path / "run", config, pictures, steps=2)
    model = creps.load(tmp_path / "run/model")
    assert model.period == (0, 3)
    styles = model.map(creps.latents([3], model))
    whole = Canvas(16, 48, (0, 0, 1, 3))
    with torch.no_grad():
        here = model.synthesize(styles, whole.grid())
        once_more = model.synthesize(styles, AxisGrid(whole.rows(), whole.columns() + 3))
        across = model.synthesize(styles, AxisGrid(whole.rows(), whole.columns(24, 48)))
    torch.testing.assert_close(here, once_more, atol=1e-5, rtol=0)
    # The last column goes on at the first: a picture across the seam shows both halves.
    seam = torch.cat([here[..., 24:], here[..., :24]], dim=3)
    scale = float(here.std())
    assert float((across - seam)[..., 22:26].abs().max()) < 0.01 * scale


@pytest.mark.slow
def test_a_panorama_goes_through_both_phases(tmp_path: Path, pictures: Path) -> None:
    run_to(tmp_path / "first", toy("anyres-smoke", *CYLINDER), pictures, steps=2)
    config = second_phase(*CYLINDER)
    open_run(tmp_path / "second", config, pictures, start=tmp_path / "first")
    assert run_to(tmp_path / "second", config, pictures).step == 4


def test_a_cylinder_says_after_how_much_it_repeats() -> None:
    for y, x in ((0, 0), (0, 2), (3, 5)):
        config = toy("cips-smoke", f"generator.period=[{y},{x}]")
        model = build_generator("cips", config.generator)
        assert model.period == (y, x)


def test_straddling_two_frames_shows_the_places_of_one() -> None:
    def paint(styles: Tensor, grid: AxisGrid) -> Tensor:
        seen.append(len(grid.xs))
        return (grid.ys[:, None] + grid.xs)[None, None]

    grid = Canvas(3, 8, (0, 2, 1, 4)).grid()
    for split in (1, 5, 7):
        seen: list[int] = []
        straddled = straddling(paint, split)(torch.zeros(1, 1, 1), grid)
        torch.testing.assert_close(straddled, paint(torch.zeros(1, 1, 1), grid))
        assert seen[:2] == [8, 8]


def test_frames_of_convolutions_meet_anywhere() -> None:
    config = toy("anyres-smoke", *CYLINDER)
    splits = {draw_split(config, step) for step in range(200)}
    assert splits == set(range(1, 16))
    assert draw_split(toy("anyres-smoke"), 0) is None
    with pytest.raises(ConfigError, match="a generator on a cylinder"):
        toy("anyres-smoke", "cross_frame=true")


# Scales that agree


@pytest.mark.slow
def test_consistency_of_scales_is_trained_for(pictures: Path) -> None:
    config = toy("scaleparty-smoke", "consistency.interval=2", "consistency.weight=1")
    _, logged = few_steps(config, pictures)
    assert ["loss/consistency" in stats for stats in logged] == [True, False, True]
    quick = ["consistency.interval=1", "optimizer.learning_rate=0.01", "data.zoom=1"]
    last = []
    for weight in ("100", "1e-9"):  # measured in both, asked for in one
        heavy = toy("scaleparty-smoke", *quick, f"consistency.weight={weight}")
        _, logged = few_steps(heavy, pictures, steps=10)
        last.append(float(logged[-1]["loss/consistency"]))
    assert last[0] < 0.6 * last[1]


def test_one_size_cannot_agree_with_another(tmp_path: Path, pictures: Path) -> None:
    config = toy("stylegan2-smoke", "consistency.weight=1")
    with pytest.raises(ConfigError, match="paint one size"):
        open_run(tmp_path / "run", config, pictures)


# Discriminators of patches (Table 13)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["two", "scaled", "placed"])
def test_other_discriminators_go_on_from_one_and_train(
    kind: str, tmp_path: Path, pictures: Path, first_phase: Path
) -> None:
    config = second_phase(f"discriminator_kind={kind}", "data.window_group=4", "batch=8")
    run = open_run(tmp_path / "run", config, pictures, start=first_phase)
    images = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    scales = torch.tensor([1.0] * 4 + [3.0] * 4)
    told = torch.stack([scales, scales / 4, scales / 8], dim=1) if kind == "placed" else scales
    one = open_run(tmp_path / "one", second_phase("batch=8"), pictures, start=first_phase)
    with torch.no_grad():
        judged = run.state.discriminator(images, None, told)
        torch.testing.assert_close(judged, one.state.discriminator(images, None))
    before = {n: t.clone() for n, t in run.state.discriminator.state_dict().items()}
    assert run_to(tmp_path / "run", config, pictures, steps=2).step == 2
    after = open_run(tmp_path / "run", config, pictures).state.discriminator.state_dict()
    parts = ("whole.", "patches.") if kind == "two" else ("affines.", "conv.")
    for part in parts:
        assert any(not torch.equal(before[n], t) for n, t in after.items() if n.startswith(part))


def test_discriminators_know_the_scale_of_each_picture() -> None:
    config = preset("anyres-smoke").discriminator
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        two = build_discriminator(config, "two")
        scaled = build_discriminator(config, "scaled", largest=8.0)
    assert isinstance(two, TwoDiscriminators)
    assert isinstance(scaled, ScaledDiscriminator)
    assert type(build_discriminator(config)) is Discriminator
    wholes, patches = two.whole(images), two.patches(images)
    mixed = two(images, None, torch.tensor([1.0, 1.0, 2.0, 2.0]))
    torch.testing.assert_close(mixed, torch.cat([wholes[:2], patches[2:]]))
    for affine in scaled.affines:
        torch.nn.init.normal_(affine.weight)
    near, far = (scaled(images, None, torch.full((4,), scale)) for scale in (1.0, 4.0))
    assert (near - far).abs().max() > 1e-3
    placed = build_discriminator(config, "placed")
    assert isinstance(placed, PlacedDiscriminator)
    for affine in placed.affines:
        torch.nn.init.normal_(affine.weight)
    places = [torch.tensor([[2.0, 0.25, x]] * 4) for x in (0.25, 0.75)]
    left, right = (placed(images, None, each) for each in places)
    assert (left - right).abs().max() > 1e-3
    two.trainable(False)
    assert not any(p.requires_grad for p in two.parameters())


@pytest.mark.slow
def test_parts_of_a_batch_make_the_step_of_the_whole_with_everything_on(
    tmp_path: Path, pictures: Path, first_phase: Path
) -> None:
    changes = [
        "discriminator_kind=scaled",
        "consistency.weight=1",
        "consistency.interval=1",
        "batch=8",
    ]
    states = []
    for name, parts in (("whole", 1), ("parts", 2)):
        config = second_phase(*changes, f"accumulate={parts}", "discriminator.minibatch_group=4")
        open_run(tmp_path / name, config, pictures, start=first_phase)
        states.append(run_to(tmp_path / name, config, pictures, steps=2))
    assert largest_difference(*states) < 1e-4
