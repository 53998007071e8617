"""Going on from what another run has learnt: what fits is kept, what does not is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from creps import load, save
from creps.checkpoints._store import place_of
from creps.cli import main
from creps.config import replace
from creps.errors import CheckpointError, ConfigError, UsageError
from creps.training import AugmentSettings, pack, preset, train
from creps.training._run import open_run
from creps.training._state import initial_state, save_snapshot, snapshots
from creps.training._transfer import DISCRIMINATORS, start_from
from training_pictures import draw_pictures, run_to, tiny


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("pictures"))


def test_a_new_run_starts_from_another_ones_weights(tmp_path: Path, pictures: Path) -> None:
    first = run_to(tmp_path / "first", tiny(), pictures)
    config = tiny("resolution=16", "discriminator.resolution=16", "seed=9")
    second = open_run(tmp_path / "second", config, pictures, start=tmp_path / "first").state
    assert second.step == 0
    for name, weights in first.average.state_dict().items():
        assert torch.equal(second.average.state_dict()[name], weights)
    assert torch.equal(second.discriminator.out.weight, first.discriminator.out.weight)
    same = open_run(tmp_path / "same", tiny("loss.r1_gamma=2"), pictures, start=tmp_path / "first")
    assert same.state.step == 0
    for mine, theirs in zip(
        same.state.discriminator_optimizer.state.values(),
        first.discriminator_optimizer.state.values(),
        strict=True,
    ):
        assert torch.equal(mine["exp_avg_sq"], theirs["exp_avg_sq"])
    model = open_run(tmp_path / "third", tiny("seed=9"), pictures, start=tmp_path / "first/model")
    for ours, theirs in zip(
        model.state.generator.parameters(), first.average.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_another_discriminator_keeps_the_heads_beside_it(tmp_path: Path, pictures: Path) -> None:
    seen = tiny("projected.weight=1", "projected.side=40")
    first = run_to(tmp_path / "first", seen, pictures, steps=2)
    config = replace(seen, ["discriminator.channel_max=4", "seed=9"])
    second = open_run(tmp_path / "second", config, pictures, start=tmp_path / "first").state
    assert first.projected is not None
    assert second.projected is not None
    for name, weights in first.projected.state_dict().items():
        assert torch.equal(second.projected.state_dict()[name], weights)


@pytest.mark.parametrize("features", [False, True])
def test_a_packed_model_brings_its_discriminators(
    tmp_path: Path, pictures: Path, features: bool
) -> None:
    if features:
        pytest.importorskip("efficientnet_lite_pytorch")
    seen = tiny("projected.weight=1", "projected.side=40") if features else tiny()
    first = run_to(tmp_path / "first", seen, pictures, steps=2)
    packed = pack(tmp_path / "first", tmp_path / "packed")
    assert packed == tmp_path / "packed"
    assert load(packed).record["training"]["images"] == 2 * seen.batch
    second = open_run(tmp_path / "second", replace(seen, ["seed=9"]), pictures, start=packed).state
    networks = [("discriminator", first.discriminator, second.discriminator)]
    networks += [("average", first.average, second.average)]
    networks += [("projected", first.projected, second.projected)] * features
    for name, taught, ours in networks:
        for key, weights in taught.state_dict().items():
            rounded = weights.half().float()
            if name == "average" and key not in dict(taught.named_parameters()):
                rounded = weights  # buffers stay as they are
            assert torch.equal(ours.state_dict()[key], rounded), f"{name}.{key}"
    fewer = replace(seen, ["discriminator.channel_max=4", "seed=9"])
    open_run(tmp_path / "third", fewer, pictures, start=packed)  # what fits


def test_a_model_without_its_discriminators_starts_fresh_ones(
    tmp_path: Path, pictures: Path
) -> None:
    first = run_to(tmp_path / "first", tiny(), pictures)
    packed = pack(tmp_path / "first", tmp_path / "packed", dtype=torch.float32)
    (packed / DISCRIMINATORS).unlink()
    second = open_run(tmp_path / "second", tiny("seed=9"), pictures, start=packed).state
    assert not torch.equal(second.discriminator.out.weight, first.discriminator.out.weight)
    ours, theirs = second.average.state_dict(), first.average.state_dict()
    assert all(torch.equal(ours[name], weights) for name, weights in theirs.items())


def test_discriminators_of_another_model_are_refused(tmp_path: Path, pictures: Path) -> None:
    run_to(tmp_path / "first", tiny(), pictures)
    other = run_to(tmp_path / "other", tiny("seed=9"), pictures)
    packed = pack(tmp_path / "first", tmp_path / "packed")
    save(other.average, packed)
    with pytest.raises(CheckpointError, match=r"discriminators.safetensors: of another model than"):
        open_run(tmp_path / "second", tiny(), pictures, start=packed)
    assert pack(tmp_path / "other", packed) == packed  # written over, both
    open_run(tmp_path / "second", tiny(), pictures, start=packed)
    (packed / DISCRIMINATORS).write_bytes(b"not safetensors")
    with pytest.raises(CheckpointError, match=r"discriminators.safetensors: damaged or truncated"):
        open_run(tmp_path / "third", tiny(), pictures, start=packed)


def test_what_cannot_be_packed_is_named(tmp_path: Path, pictures: Path) -> None:
    run_to(tmp_path / "first", tiny(), pictures)
    for inside in (tmp_path / "first", tmp_path / "first/model", tmp_path / "first/new/model"):
        with pytest.raises(UsageError, match="is a run, or inside of one: give a folder of the"):
            pack(tmp_path / "first", inside)
    (tmp_path / "file").touch()
    for name in ("model.safetensors", "file"):
        with pytest.raises(UsageError, match=f"{name}: a model and its discriminators are two"):
            pack(tmp_path / "first", tmp_path / name)
    with pytest.raises(CheckpointError, match="nothing: no snapshot, expected the folder of a run"):
        pack(tmp_path / "nothing", tmp_path / "packed")
    assert not (tmp_path / "packed").exists()


def test_the_command_packs_and_says_how_to_go_on(
    tmp_path: Path,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_to(tmp_path / "first", tiny(), pictures)
    packed = tmp_path / "packed"
    words = ["creps", "train", "pack", str(tmp_path / "first"), "--out", str(packed)]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[:2]] == [
        str(packed / "discriminators.safetensors"),
        str(packed / "model.safetensors"),
    ]
    assert lines[2] == f"go on: creps train --from {packed}"


def test_a_run_starts_from_a_packaged_model_by_its_name(tmp_path: Path, pictures: Path) -> None:
    state = initial_state(preset("projected-64"))
    start_from(state, place_of("portraits"), augment=AugmentSettings())
    packaged = load("portraits").state_dict()
    assert all(torch.equal(state.average.state_dict()[n], t) for n, t in packaged.items())
    with pytest.raises(
        CheckpointError, match="no packaged model 'portrait', did you mean portraits"
    ):
        train(pictures, tmp_path / "run", tiny(), start="portrait")


def test_another_generator_cannot_be_started_from(tmp_path: Path, pictures: Path) -> None:
    run_to(tmp_path / "first", tiny(), pictures)
    with pytest.raises(CheckpointError, match="holds another generator"):
        open_run(tmp_path / "second", tiny("generator.w_dim=4"), pictures, start=tmp_path / "first")
    assert not (tmp_path / "second").exists()


def test_what_differs_in_the_other_generator_is_named(tmp_path: Path, pictures: Path) -> None:
    run_to(tmp_path / "first", tiny("generator.resolution=16"), pictures, steps=1)
    for change, message in [
        (
            "generator.w_dim=4",
            "resolution is 16 there, 8 here; w_dim is 8|w_dim is 8 there, 4 here",
        ),
        ("generator.thickness=4", "thickness is 8 there, 4 here"),
        ("generator.resolution=8", "resolution is 16 there, 8 here"),
    ]:
        with pytest.raises(CheckpointError, match=message):
            open_run(tmp_path / "second", tiny(change), pictures, start=tmp_path / "first")


def test_new_levels_keep_what_the_others_have_learnt(tmp_path: Path, pictures: Path) -> None:
    first = run_to(tmp_path / "first", tiny(), pictures, steps=2)
    grown = tiny("generator.resolution=16", "resolution=16", "discriminator.resolution=16")
    for start in ("first", "first/model"):
        run = open_run(tmp_path / start / "grown", grown, pictures, start=tmp_path / start)
        ours, theirs = run.state.average.state_dict(), first.average.state_dict()
        assert len(run.state.average.blocks) == len(first.average.blocks) + 1
        for name in theirs:
            if "decoders" not in name:
                assert torch.equal(ours[name], theirs[name]), name
        last = len(run.state.average.decoders) - 1
        for kept in (last, last - 1):
            assert torch.equal(
                ours[f"decoders.{kept}.0.weight"], theirs[f"decoders.{last - 1}.0.weight"]
            )
        assert not ours[f"blocks.{last + 1}.emit.weight"].any()
    run = open_run(tmp_path / "grown", grown, pictures, start=tmp_path / "first")
    for layer in ("conv0", "conv1", "skip"):  # counted from the coarse end
        ours = getattr(run.state.discriminator.blocks[1], layer).weight
        assert torch.equal(ours, getattr(first.discriminator.blocks[0], layer).weight)
    assert run.state.step == 0


def test_a_larger_training_size_needs_only_more_coordinates(tmp_path: Path, pictures: Path) -> None:
    first = run_to(tmp_path / "first", tiny(), pictures, steps=1)
    config = tiny("resolution=16", "discriminator.resolution=16")
    run = open_run(tmp_path / "second", config, pictures, start=tmp_path / "first/model")
    for name, weights in first.average.state_dict().items():
        assert torch.equal(run.state.generator.state_dict()[name], weights)
    styles = run.state.average.map(torch.zeros(1, 8))
    assert run.state.average.synthesize(styles, config.canvas().grid()).shape == (1, 3, 16, 16)


@pytest.mark.parametrize(
    ("changes", "carried"),
    [((), True), (("augment.p=0.25",), False), (("augment.kind=none",), False)],
)
def test_the_strength_of_ada_is_carried_on(
    tmp_path: Path, pictures: Path, changes: tuple[str, ...], carried: bool
) -> None:
    ada = tiny("augment.kind=ada", "images=80")
    state = run_to(tmp_path / "run", ada, pictures, steps=1)
    state.augment_strength.fill_(0.4)
    state.augment_signs.copy_(torch.tensor([1.0, 2.0]))
    state.step += 1
    save_snapshot(state, tmp_path / "run" / "snapshots")
    config = tiny("augment.kind=ada", "images=80", *changes)
    run = open_run(tmp_path / "next", config, pictures, start=tmp_path / "run")
    assert run.state.step == 0
    assert float(run.state.augment_strength) == (0.4 if carried else config.augment.p)
    assert run.state.augment_signs.tolist() == ([1, 2] if carried else [0, 0])


def test_runs_of_earlier_versions_go_on(tmp_path: Path, pictures: Path) -> None:
    """Settings that did not exist are at their defaults, tensors that did not exist are fresh."""
    run_to(tmp_path / "run", tiny(), pictures, steps=3)
    settings = tmp_path / "run/config.json"
    document = json.loads(settings.read_text())
    train = document["train"]
    for name in ("family", "height", "width", "accumulate", "augment", "precision", "compile",
                 "freeze_discriminator"):  # fmt: skip
        del train[name]
    for name in ("native", "precise", "window_group", "cache_megabytes"):
        del train["data"][name]
    for name in ("height", "width", "clamp"):
        del train["discriminator"][name]
    train["generator"]["sampling"] = "centres"
    settings.write_text(json.dumps(document))
    (newest,) = snapshots(tmp_path / "run/snapshots")
    tensors = load_file(newest)
    assert {"augment_strength", "augment_signs"} <= tensors.keys()
    save_file({k: v for k, v in tensors.items() if not k.startswith("augment")}, newest)
    assert open_run(tmp_path / "run", tiny(), pictures).state.step == 3
    with pytest.raises(ConfigError, match="started with precision=float32, now it is bfloat16"):
        open_run(tmp_path / "run", tiny("precision=bfloat16"), pictures)


def test_settings_that_change_no_number_may_change(tmp_path: Path, pictures: Path) -> None:
    run_to(tmp_path / "run", tiny("batch=8"), pictures, steps=1)
    for change in ("accumulate=2", "compile=true", "data.cache_megabytes=5", "images=80"):
        assert open_run(tmp_path / "run", tiny("batch=8", change), pictures).state.step == 1
