"""The engine: parts, processes and precision change how a step is computed, not what it is."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from creps.config import replace
from creps.errors import ConfigError, CrepsError
from creps.networks.base import Grid, build_generator
from creps.networks.creps import Creps
from creps.training import _loop
from creps.training._config import TrainConfig
from creps.training._distributed import ProcessGroup
from creps.training._engine import Engine, Part
from creps.training._loop import run_steps, try_run
from creps.training._precision import Passes, half_precision_pays
from creps.training._run import Callback, Run, open_run
from creps.training._state import initial_state, restore_snapshot, save_snapshot, snapshots
from patience import PATIENCE
from training_pictures import TINY, draw_pictures, few_steps, largest_difference, tiny

PARITY = 0.01
"""Of any tensor of two states that differ by rounding, after 3 steps. How products round depends on
the size of a batch, on some processors more than on others, and kinks make more of it: 1e-3 was
seen. Draws of another part make a tenth."""

_CALM = "optimizer.epsilon=1e-3"
"""Weights whose gradients cancel but for rounding are not to follow the rounding."""

PROJECTED = [
    *("projected.placed=true", "discriminator_kind=placed", "data.zoom=4", "data.window_share=1"),
    "projected.weight=1",
    "projected.moments=0.5",
    "projected.side=40",
    "height=8",
    "width=12",
    _CALM,
]

RECIPES = {
    "relativistic": ["loss.discriminator_interval=2"],
    "paper": [
        *("loss.kind=nonsaturating", "loss.r2_gamma=0", "loss.path_length_weight=2"),
        *("loss.generator_interval=2", "loss.discriminator_interval=2", "data.mirror=true"),
    ],
    "classes, augmented": [
        *("augment.kind=ada", "augment.p=0.6", "augment.interval=2", "loss.path_length_weight=2"),
        *("data.labels=true", "generator.label_dim=3", "discriminator.label_dim=3"),
    ],
    "classes of latents": [
        *("data.labels=true", "generator.label_dim=3", "discriminator.label_dim=3"),
        "generator.class_from_latent=true",
    ],
    "finite, annealed": [
        *("loss.penalty=finite", "loss.discriminator_interval=1", "anneal.images=24"),
        *("optimizer.beta2=0.9", "augment.blur=2", "height=8"),
        *("augment.blur_images=32", "width=12", "loss.penalty_noise=0.1", _CALM),
    ],
    "one draw": ["loss.one_draw=true", "augment.kind=diffaugment", _CALM],
    "native patches": ["data.native=true", "data.zoom=2", "data.window_group=2"],
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("pictures"), classes=3)


@pytest.mark.parametrize("name", RECIPES)
def test_parts_of_a_batch_make_the_step_of_the_whole(pictures: Path, name: str) -> None:
    whole, logged = few_steps(tiny(*RECIPES[name], "batch=8"), pictures)
    parts, logged_parts = few_steps(tiny(*RECIPES[name], "batch=8", "accumulate=2"), pictures)
    assert largest_difference(whole, parts) < PARITY
    for one, other in zip(logged, logged_parts, strict=True):
        assert one.keys() == other.keys()
        for key, value in one.items():
            torch.testing.assert_close(value, other[key], rtol=PARITY, atol=1e-3)


def test_parts_that_draw_alike_do_not_make_it(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = few_steps(tiny("batch=8"), pictures)
    cut = Engine.parts
    monkeypatch.setattr(
        Engine,
        "parts",
        lambda self, batch: [dataclasses.replace(p, first=0) for p in cut(self, batch)],
    )
    parts, _ = few_steps(tiny("batch=8", "accumulate=2"), pictures)
    assert largest_difference(whole, parts) > 5 * PARITY


def run_command(out: Path, data: Path, *changes: str, processes: int) -> None:
    """`creps train` on so many processes of this machine, as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "creps", "train", "--data", str(data), "--out", str(out)]
    command += ["--preset", "smoke", "--device", "cpu"]
    command += [word for change in [*TINY, *changes] for word in ("--set", change)]
    group = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    started = [
        subprocess.Popen(
            command,
            env=os.environ | group | {"RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(processes)
    ]
    said = [process.communicate(timeout=PATIENCE)[0] for process in started]
    assert [process.returncode for process in started] == [0] * processes, said


@pytest.mark.slow
@pytest.mark.parametrize("name", ["classes, augmented", "finite, annealed"])
def test_two_processes_make_the_step_of_one_and_one_goes_on(
    tmp_path: Path, pictures: Path, name: str
) -> None:
    recipe = [*RECIPES[name], "batch=8"]
    run_command(tmp_path / "pair", pictures, *recipe, "images=24", processes=2)
    alone, _ = few_steps(tiny(*recipe), pictures)
    pair = initial_state(tiny(*recipe))
    (newest,) = snapshots(tmp_path / "pair/snapshots")
    restore_snapshot(pair, newest)
    assert pair.step == 3
    assert largest_difference(alone, pair) < PARITY
    longer = tiny(*recipe, "images=32")
    run = open_run(tmp_path / "pair", longer, pictures)
    run_steps(run)
    unbroken, _ = few_steps(longer, pictures, steps=4)
    assert run.state.step == 4
    assert largest_difference(unbroken, run.state) < PARITY


@pytest.mark.slow
@pytest.mark.parametrize("name", ["classes, augmented", "finite, annealed"])
def test_two_processes_make_the_steps_of_two_parts_in_bfloat16(
    tmp_path: Path, pictures: Path, name: str
) -> None:
    """Not those of the whole batch, whose sums are rounded otherwise."""
    recipe = [*RECIPES[name], "batch=8", "precision=bfloat16"]
    run_command(tmp_path / "pair", pictures, *recipe, "images=24", processes=2)
    parts, _ = few_steps(tiny(*recipe, "accumulate=2"), pictures)
    pair = initial_state(tiny(*recipe))
    restore_snapshot(pair, snapshots(tmp_path / "pair/snapshots")[-1])
    assert largest_difference(parts, pair) < PARITY


@pytest.mark.slow
def test_parts_and_processes_make_the_same_step_with_features(
    tmp_path: Path, pictures: Path
) -> None:
    # One step: the frozen network's kinks make the second one differ by far more than rounding.
    pytest.importorskip("efficientnet_lite_pytorch")
    recipe = [*PROJECTED, "batch=8", "images=8"]
    whole, logged = few_steps(tiny(*recipe), pictures, steps=1)
    parts, logged_parts = few_steps(tiny(*recipe, "accumulate=2"), pictures, steps=1)
    assert largest_difference(whole, parts) < PARITY
    for key, value in logged[0].items():
        torch.testing.assert_close(value, logged_parts[0][key], rtol=PARITY, atol=1e-3)
    run_command(tmp_path / "pair", pictures, *recipe, processes=2)
    pair = initial_state(tiny(*recipe))
    restore_snapshot(pair, snapshots(tmp_path / "pair/snapshots")[-1])
    assert largest_difference(whole, pair) < PARITY


def test_shares_of_a_group_cover_the_batch() -> None:
    shares = [range(12)[ProcessGroup(rank, 3).share(12)] for rank in range(3)]
    assert [place for share in shares for place in share] == list(range(12))


def test_a_batch_that_cannot_be_shared_names_the_multiple() -> None:
    with pytest.raises(ConfigError, match="batch 12: expected a multiple of 8 = accumulate 2 x"):
        tiny("batch=12", "accumulate=2")
    with pytest.raises(ConfigError, match=r"a multiple of 12 = 3 processes x accumulate 1 x"):
        tiny("batch=16").check_share(3)
    tiny("batch=6", "discriminator.minibatch_channels=0").check_share(3)


def test_a_failure_reaches_the_caller(pictures: Path) -> None:
    class Failing(Callback):
        def after_step(self, run: Run, stats: object) -> None:
            raise CrepsError("no more")

        def at_end(self, run: Run) -> None:
            raise AssertionError("not reached")

    run = open_run(pictures.parent / "failing", tiny(), pictures)
    with pytest.raises(CrepsError, match="no more"):
        run_steps(run, callbacks=[Failing()])


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_stays_near_and_keeps_float32_weights(
    pictures: Path, precision: str
) -> None:
    exact, logged = few_steps(tiny("batch=8"), pictures)
    half, logged_half = few_steps(
        tiny("batch=8", f"precision={precision}", "discriminator.clamp=256"), pictures
    )
    assert all(tensor.dtype == torch.float32 for tensor in half.generator.state_dict().values())
    for one, other in zip(logged, logged_half, strict=True):
        torch.testing.assert_close(
            other["loss/generator"], one["loss/generator"], rtol=0.02, atol=0
        )
    assert 0 < largest_difference(exact, half) < 0.1


def test_passes_of_half_precision_give_float32(pictures: Path) -> None:
    config = tiny("precision=bfloat16")
    state = initial_state(config)
    passes = Passes(state, config, log=pytest.fail)
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        half, exact = passes.logits(images, None), state.discriminator(images)
    assert half.dtype == torch.float32
    assert 0 < (half - exact).abs().max() < 0.05


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # from within torch.compile
def test_compiled_passes_make_the_same_step(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eager, _ = few_steps(tiny(), pictures, steps=1)
    compile_fully, calls = torch.compile, []

    def trace_only(function: Any, *, dynamic: bool | None = None) -> Any:
        calls.append(function)
        return compile_fully(function, backend="eager", dynamic=dynamic)

    monkeypatch.setattr(torch, "compile", trace_only)
    compiled, _ = few_steps(tiny("compile=true"), pictures, steps=1)
    assert len(calls) == 3  # a probe, the generator, the discriminator
    assert largest_difference(eager, compiled) < PARITY


def test_without_a_compiler_training_goes_on_with_a_line(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **settings: object) -> None:
        raise RuntimeError("no C++ compiler\nand a long story")

    monkeypatch.setattr(torch, "compile", broken)
    said: list[str] = []
    config = tiny("compile=true")
    Engine(initial_state(config), config, log=said.append)
    assert said == [
        "torch.compile is not usable here (no C++ compiler): training continues without it"
    ]


def test_augmentation_strength_follows_the_signs_and_is_saved(
    tmp_path: Path, pictures: Path
) -> None:
    settings = ["augment.kind=ada", "augment.interval=2", "augment.p=0.5", "augment.target=0.999"]
    state, logged = few_steps(tiny(*settings, "augment.speed_kimg=1"), pictures, steps=4)
    assert float(state.augment_strength) == pytest.approx(0.5 - 4 * 4 / 1000)
    assert [float(each["augment/strength"]) for each in logged] == [0.5, 0.5, 0.492, 0.492]
    odd, _ = few_steps(tiny(*settings), pictures, steps=3)
    restored = initial_state(tiny(*settings))
    restore_snapshot(restored, save_snapshot(odd, tmp_path))
    assert largest_difference(odd, restored) == 0
    assert restored.augment_signs[1] == 1


def test_augmented_pictures_reach_the_discriminator_in_every_pass(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import creps.training._engine as engine

    seen = []

    def gray(images, strength, settings, *, generator, first):  # type: ignore[no-untyped-def]
        seen.append(images.requires_grad)
        return images * 0

    monkeypatch.setattr(engine, "augment", gray)
    config = tiny("augment.kind=ada", "augment.p=1", "loss.discriminator_interval=1")
    _, (stats,) = few_steps(config, pictures, steps=1)
    # real once for both updates; generated twice; gradients of R1 and R2 go through it
    assert seen == [False, True, False, True, True]
    assert float(stats["penalty/r1"]) == float(stats["penalty/r2"]) == 0


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("features", [False, True])
def test_one_draw_paints_once_and_shows_it_to_all(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, parts: int, features: bool
) -> None:
    if features:
        pytest.importorskip("efficientnet_lite_pytorch")
    painted, shown, seen = [], [], []

    def paint(self: Engine, styles: Tensor, part: Part, **how: Any) -> Tensor:
        painted.append(image := ordinary_paint(self, styles, part, **how))
        return image

    def logits(self: Engine, images: Tensor, part: Part, purpose: str, **how: Any) -> Tensor:
        if purpose == "discriminator":
            shown.append(images)
        return ordinary_logits(self, images, part, purpose, **how)

    def maps(self: Engine, images: Tensor, part: Part, purpose: str) -> list[Tensor]:
        seen.append(purpose)
        return ordinary_maps(self, images, part, purpose)

    ordinary_paint, ordinary_logits = Engine.paint, Engine.logits
    ordinary_maps = Engine.projected_maps
    monkeypatch.setattr(Engine, "paint", paint)
    monkeypatch.setattr(Engine, "logits", logits)
    monkeypatch.setattr(Engine, "projected_maps", maps)
    recipe = [*(PROJECTED if features else []), "batch=8", f"accumulate={parts}"]
    penalties = "loss.discriminator_interval=1", "loss.r1_gamma=1", "loss.r2_gamma=1"
    few_steps(tiny(*recipe, *penalties, "loss.one_draw=true"), pictures, steps=1)
    assert len(painted) == parts
    assert len(shown) == 2 * parts  # once for its loss, once for the penalty
    for image, other in zip(painted * 2, shown, strict=True):
        assert torch.equal(image.detach(), other.detach())
    assert seen == (["generator"] * parts + ["real"] * parts if features else [])
    painted.clear()
    few_steps(tiny(*recipe, *penalties), pictures, steps=1)
    assert len(painted) == 2 * parts


def test_one_draw_paints_for_a_discriminator_that_is_warming_up(pictures: Path) -> None:
    recipe = "batch=8", "discriminator_warmup=1"
    state, _ = few_steps(tiny(*recipe, "loss.one_draw=true"), pictures, steps=1)
    ordinary, _ = few_steps(tiny(*recipe), pictures, steps=1)
    assert largest_difference(state, ordinary) == 0


def test_frozen_blocks_do_not_learn(pictures: Path) -> None:
    base = [
        "resolution=16",
        "discriminator.resolution=16",
        "freeze_discriminator=1",
        "loss.kind=nonsaturating",
    ]
    config = tiny(*base)
    start = dict(initial_state(config).discriminator.named_parameters())
    state, _ = few_steps(config, pictures, steps=2)
    stayed = {n for n, p in state.discriminator.named_parameters() if torch.equal(p, start[n])}
    expected = {n for n in start if n.startswith(("from_rgb.", "blocks.0."))}
    assert stayed == expected
    with pytest.raises(ConfigError, match="freeze_discriminator 3: expected 0 to 2"):
        tiny(*base, "freeze_discriminator=3")


@pytest.mark.parametrize(
    ("resolution", "height", "width", "final"), [(8, 8, 16, (4, 8)), (16, 24, 16, (6, 4))]
)
def test_canvases_need_not_be_square(
    pictures: Path, resolution: int, height: int, width: int, final: tuple[int, int]
) -> None:
    config = tiny(
        f"resolution={resolution}",
        f"discriminator.resolution={resolution}",
        f"height={height}",
        f"width={width}",
    )
    assert config.discriminator.final_size == final
    state, logged = few_steps(config, pictures, steps=1)
    assert torch.isfinite(logged[0]["loss/discriminator"])
    canvas = config.canvas()
    spacing = [float(axis[1] - axis[0]) for axis in (canvas.rows(), canvas.columns())]
    assert spacing[0] == pytest.approx(spacing[1])  # pixels are square on the plane
    styles = state.generator.map(torch.zeros(1, 8))
    assert state.generator.synthesize(styles, canvas.grid()).shape == (1, 3, height, width)


def test_impossible_canvases_are_refused() -> None:
    with pytest.raises(ConfigError, match="width that is a multiple of resolution / 4 = 2"):
        tiny("height=8", "width=9")
    with pytest.raises(ConfigError, match="set height and width, and leave the discriminator's"):
        tiny("discriminator.height=16")


def test_settings_of_the_generator_are_those_of_its_family() -> None:
    values = {"resolution": 8, "channel_max": 8, "z_dim": 8, "w_dim": 8}
    config = replace(tiny(), [])
    made = TrainConfig(
        family="creps",
        generator=values,
        discriminator=config.discriminator,
        resolution=8,
        batch=4,
        images=4,
    )
    assert made.generator == build_generator("creps", values).config
    with pytest.raises(ConfigError, match=r"unknown setting 'generator.chanel_max'"):
        TrainConfig(
            generator=values | {"chanel_max": 3},
            discriminator=config.discriminator,
            resolution=8,
            batch=4,
            images=4,
        )
    with pytest.raises(ConfigError, match="unknown generator family 'crebs'"):
        tiny("family=crebs")


def test_families_that_measure_their_features_are_told(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []

    def measured(self: Creps, styles: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
        return self.synthesize(styles, grid), torch.tensor([1.0, float(len(styles))])

    def track(self: Creps, magnitudes: Tensor, *, images: int) -> None:
        told.append((magnitudes.tolist(), images))

    monkeypatch.setattr(Creps, "synthesize_measured", measured)
    monkeypatch.setattr(Creps, "track_magnitudes", track)
    monkeypatch.setattr(Creps, "tracks_magnitudes", True)
    monkeypatch.setattr(Creps, "average_decay", 1.0)
    state, _ = few_steps(tiny("batch=8", "accumulate=2"), pictures, steps=2)
    assert told == [([1.0, 4.0], 8)] * 2
    assert not state.generator.mapping.average.any()  # a decay of one keeps the zeros


@pytest.mark.parametrize(
    ("precision", "pays", "tried"),
    [("float32", True, 2), ("float32", False, 1), ("bfloat16", True, 1)],
)
def test_a_trial_measures_bfloat16_beside_float32_where_it_may_pay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str, pays: bool, tried: int
) -> None:
    data, shown = draw_pictures(tmp_path / "pictures"), list[tuple[int, int]]()
    monkeypatch.setattr(_loop, "half_precision_pays", lambda device: pays)
    trial = try_run(
        tiny(f"precision={precision}"),
        data,
        device="cpu",
        progress=lambda done, count: shown.append((done, count)),
    )
    assert (trial.half_seconds is not None) is (tried == 2)
    assert trial.seconds > 0
    assert shown == [(done, 6 * tried) for done in range(6 * tried + 1)]


@pytest.mark.parametrize(
    ("changes", "shares"),
    [
        (["loss.discriminator_interval=4"], {0: 1 / 4, 1: 3 / 4}),
        (["loss.discriminator_interval=1"], {0: 1}),
        (["loss.r1_gamma=0", "loss.r2_gamma=0"], {0: 1}),
        (["loss.discriminator_interval=8", "discriminator_warmup=50"], {56: 1 / 8, 57: 7 / 8}),
        (
            ["loss.discriminator_interval=16", "loss.path_length_weight=2"],
            {0: 1 / 16, 1: 12 / 16, 4: 3 / 16},
        ),
        (["loss.discriminator_interval=999983", "loss.generator_interval=3"], {0: 1 / 2**12}),
    ],
)
def test_a_trial_takes_each_kind_of_step_by_its_share_of_a_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: list[str],
    shares: dict[int, float],
) -> None:
    config = tiny("loss.generator_interval=4", *changes)
    found: dict[int, float] = {}
    steps = _loop._typical_steps(config)
    for number, share in steps:
        found[number] = found.get(number, 0) + share
    assert sum(found.values()) == pytest.approx(1)
    assert {number: found[number] for number in shares} == pytest.approx(shares)
    assert len(steps) <= 8
    now, taken = [0.0], []

    def step(engine: Engine, batch: object) -> None:
        taken.append(engine.state.step)
        now[0] += found[engine.state.step]

    monkeypatch.setattr(_loop, "train_step", step)
    monkeypatch.setattr(_loop.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(_loop, "half_precision_pays", lambda device: True)
    trial = try_run(config, draw_pictures(tmp_path), device="cpu")
    assert taken == 2 * [number for number, _ in steps]  # bfloat16 in the same ones
    expected = sum(share * share for share in found.values())
    assert (trial.seconds, trial.half_seconds) == pytest.approx((expected, expected))


def test_half_precision_does_not_pay_on_a_device_without_it() -> None:
    assert half_precision_pays(torch.device("cpu")) in (True, False)
    assert not half_precision_pays(torch.device("meta"))
