"""A run: it learns, resumes bit for bit, refuses other settings, and loses nothing."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load, load_file, save_file
from typer.testing import CliRunner

import creps
from creps._files import exclusive
from creps.cli import app
from creps.config import from_dict, to_dict
from creps.coordinates import Canvas
from creps.errors import (
    CheckpointError,
    ConfigError,
    CrepsError,
    DataError,
    GridError,
    LabelError,
    UsageError,
)
from creps.networks.creps import Creps
from creps.training import _state
from creps.training._batches import draw_region, make_batch
from creps.training._callbacks import LogLines, Snapshots
from creps.training._config import TrainConfig, stored_settings
from creps.training._loop import run_steps, stop_on_signals, train
from creps.training._presets import PRESETS, preset
from creps.training._run import Callback, open_run
from creps.training._state import initial_state, save_snapshot, snapshots, step_random
from creps.training._steps import update_average
from creps.training.monitoring._log import read_lines
from creps.training.monitoring._report import write_report
from patience import wait_until
from training_pictures import TINY, draw_pictures, run_to, tiny


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return draw_pictures(tmp_path_factory.mktemp("pictures"))


def files(folder):
    """Bytes of everything a run leaves that does not tell the time."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "log.jsonl"
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe",
    [
        ["loss.kind=relativistic", "loss.discriminator_interval=2"],
        ["loss.kind=nonsaturating", "loss.r2_gamma=0", "loss.path_length_weight=2",
         "loss.generator_interval=2", "data.mirror=true"],
        ["loss.penalty=finite", "loss.discriminator_interval=2", "projected.weight=0.5",
         "anneal.images=40", "optimizer.beta2=0.9", "augment.blur=2", "augment.blur_images=20",
         "data.zoom=4", "data.zoom_images=24"],
        ["precision=bfloat16", "loss.discriminator_interval=2", "augment.kind=ada", "augment.p=0.5",
         "augment.interval=2", "height=8", "width=12"],
        ["precision=bfloat16", "loss.penalty=finite", "projected.weight=0.5", "anneal.images=40",
         "discriminator_kind=placed", "data.zoom=4"],
    ],
)  # fmt: skip
@pytest.mark.parametrize("stopped_at", [3, 5])
def test_a_stopped_run_ends_with_the_same_bytes(tmp_path, pictures, recipe, stopped_at):
    if "projected.weight=0.5" in recipe:
        pytest.importorskip("efficientnet_lite_pytorch")
    config = tiny(*recipe)
    run_to(tmp_path / "whole", config, pictures)
    run_to(tmp_path / "parts", config, pictures, steps=stopped_at)
    run_to(tmp_path / "parts", config, pictures)
    whole, parts = files(tmp_path / "whole"), files(tmp_path / "parts")
    assert whole["model/model.safetensors"] == parts["model/model.safetensors"]
    last = f"snapshots/step-{config.steps:09d}.safetensors"
    assert whole[last] == parts[last]
    assert whole["previews/000000032.png"] == parts["previews/000000032.png"]


@pytest.mark.slow
def test_a_killed_run_resumes_from_its_last_snapshot(tmp_path, pictures):
    """A real SIGKILL in the middle, then the same command: the bytes of an unbroken run."""
    words = ["train", "--data", str(pictures), "--preset", "smoke"]
    words += [w for change in [*TINY, "images=96", "preview_every=0"] for w in ("--set", change)]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "creps", *words, "--out", str(killed)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: snapshots(killed / "snapshots") or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert snapshots(killed / "snapshots"), "killed before its first snapshot"
    done = CliRunner().invoke(app, [*words, "--out", str(killed)], catch_exceptions=False)
    assert "going on at step" in done.output or "is complete" in done.output
    CliRunner().invoke(app, [*words, "--out", str(whole)], catch_exceptions=False)
    assert (whole / "model/model.safetensors").read_bytes() == (
        killed / "model/model.safetensors"
    ).read_bytes()
    lines = [json.loads(line) for line in (killed / "log.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in lines if "loss/discriminator" in line]
    assert steps == sorted(set(steps))


def test_a_model_of_a_run_loads_and_draws(tmp_path, pictures):
    config = tiny()
    state = run_to(tmp_path / "run", config, pictures)
    generator = creps.load(tmp_path / "run/model")
    styles = generator.map(creps.latents([3], generator))
    grid = Canvas(5, 9).grid()
    torch.testing.assert_close(
        generator.synthesize(styles, grid), state.average.synthesize(styles, grid)
    )
    assert generator.record["training"]["images"] == 32


def test_training_moves_every_parameter(tmp_path, pictures):
    config = tiny("loss.path_length_weight=2", "loss.kind=nonsaturating")
    before = initial_state(config)
    after = run_to(tmp_path / "run", config, pictures)
    for network in ("generator", "discriminator", "average"):
        trained = dict(getattr(after, network).named_parameters())
        for name, start in getattr(before, network).named_parameters():
            assert not torch.equal(start, trained[name]), f"{network}.{name} did not move"


def test_other_settings_or_data_are_refused_by_name(tmp_path, pictures):
    run_to(tmp_path / "run", tiny(), pictures, steps=1)
    with pytest.raises(ConfigError, match=r"started with loss.r1_gamma=0.5, now it is 3"):
        open_run(tmp_path / "run", tiny("loss.r1_gamma=3"), pictures)
    other = tmp_path / "other"
    other.mkdir()
    Image.new("RGB", (8, 8)).save(other / "a.png")
    with pytest.raises(ConfigError, match="started with other pictures"):
        open_run(tmp_path / "run", tiny(), other)


def test_a_run_of_an_earlier_version_goes_on(tmp_path, pictures):
    run_to(tmp_path / "run", tiny(), pictures, steps=3)
    settings = tmp_path / "run/config.json"
    stored = json.loads(settings.read_text())
    stored["train"]["judge"] = stored["train"].pop("discriminator_kind")
    stored["train"]["generator"]["sampling"] = "centres"
    for young in ("anneal", "projected"):
        del stored["train"][young]
    for group, young in (("loss", "penalty"), ("augment", "blur"), ("data", "zoom_images")):
        del stored["train"][group][young]
    settings.write_text(json.dumps(stored))
    assert run_to(tmp_path / "run", tiny(), pictures).step == 8
    assert stored_settings(tmp_path / "run")[0] == tiny()
    with pytest.raises(ConfigError, match="started with discriminator_kind=one, now it is two"):
        open_run(tmp_path / "run", tiny("discriminator_kind=two"), pictures)


def test_a_longer_run_goes_on(tmp_path, pictures):
    run_to(tmp_path / "run", tiny("images=16"), pictures)
    assert run_to(tmp_path / "run", tiny("images=24"), pictures).step == 6


def test_a_folder_of_something_else_is_not_touched(tmp_path, pictures):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(ConfigError, match="not empty and holds no run"):
        open_run(tmp_path, tiny(), pictures)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_damaged_snapshot_is_named(tmp_path, pictures):
    run_to(tmp_path / "run", tiny(), pictures, steps=3)
    newest = snapshots(tmp_path / "run/snapshots")[-1]
    newest.write_bytes(newest.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=newest.name):
        open_run(tmp_path / "run", tiny(), pictures)


@pytest.mark.parametrize("place", [0.02, 0.5, 0.99])
def test_a_damaged_newest_snapshot_is_passed_over_aloud(tmp_path, pictures, place):
    """A single bit, wherever it is; the run then ends as one that was never damaged."""
    config, said = tiny("snapshot_every=2"), []
    run_to(tmp_path / "run", config, pictures, steps=6)
    newest = snapshots(tmp_path / "run/snapshots")[-1]
    content = bytearray(newest.read_bytes())
    content[int(place * len(content))] ^= 4
    newest.write_bytes(content)
    train(pictures, tmp_path / "run", config, log=said.append)
    assert any(newest.name in line and "passed over" in line for line in said)
    assert any("going on at step 4 of" in line for line in said)
    assert newest.with_suffix(".damaged").exists()
    train(pictures, tmp_path / "whole", config, log=said.append)
    last = snapshots(tmp_path / "whole/snapshots")[-1]
    assert snapshots(tmp_path / "run/snapshots")[-1].read_bytes() == last.read_bytes()
    steps = [line["step"] for line in read_lines(tmp_path / "run/log.jsonl")]
    assert steps == sorted(set(steps))


def test_a_snapshot_of_another_step_is_damaged(tmp_path, pictures):
    """Snapshots of earlier versions hold no digest: the step is compared at least."""
    run_to(tmp_path / "run", tiny(), pictures, steps=3)
    newest = snapshots(tmp_path / "run/snapshots")[-1]
    # No views of the file: safetensors below 0.8 writes in place.
    tensors = load(newest.read_bytes())
    for step in (torch.tensor(-3), torch.tensor(2**40), torch.tensor([3]), torch.tensor(3.0)):
        save_file(tensors | {"step": step}, newest)
        with pytest.raises(CheckpointError, match="damaged"):
            open_run(tmp_path / "run", tiny(), pictures)
    save_file(tensors, newest)
    assert open_run(tmp_path / "run", tiny(), pictures).state.step == 3


def test_two_trainings_do_not_share_a_folder(tmp_path, pictures):
    run = tmp_path / "run"
    run_to(run, tiny(), pictures, steps=3)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with exclusive(run / "run") as ours:
        assert ours
        with pytest.raises(UsageError, match="another process trains"):
            train(pictures, run, tiny(), log=lambda line: None)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    train(pictures, run, tiny(), log=lambda line: None)


def test_leftovers_of_a_killed_process_are_swept(tmp_path, pictures):
    run = tmp_path / "run"
    run_to(run, tiny(), pictures, steps=3)
    left = [
        run / "snapshots/.step-000000006.safetensors.0123456789ab.part",
        run / ".model.0123456789ab.part",
        run / ".run.lock",
    ]
    left[1].mkdir()
    for path in (left[0], left[1] / "model.safetensors", left[2]):
        path.write_bytes(b"x")
    mine = run / ".mine.part"
    mine.write_text("mine")
    train(pictures, run, tiny(), log=lambda line: None)
    assert not [path for path in left if path.exists()]
    assert mine.exists()


def test_only_the_newest_snapshots_are_kept(tmp_path, pictures):
    config = tiny("snapshot_every=1")
    run_to(tmp_path / "run", config, pictures)
    assert len(snapshots(tmp_path / "run/snapshots")) == 2


def test_a_failing_disk_leaves_the_old_snapshot(tmp_path, pictures, monkeypatch):
    config = tiny()
    state = initial_state(config)
    save_snapshot(state, tmp_path)
    kept = files(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    state.step = 1
    with pytest.raises(CrepsError, match=r"step-0{8}1.*No space .*step-0{9}\.safetensors stays"):
        save_snapshot(state, tmp_path)
    assert files(tmp_path) == kept


def test_a_full_disk_stops_the_run_with_a_line_and_nothing_is_lost(tmp_path, pictures, monkeypatch):
    config = tiny("snapshot_every=2")
    run_to(tmp_path / "run", config, pictures, steps=2)
    kept = (tmp_path / "run/snapshots").iterdir()
    before = {path.name: path.read_bytes() for path in kept}
    with monkeypatch.context() as full:

        def write(path, content):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

        full.setattr("creps.training._state.write_atomically", write)
        with pytest.raises(CrepsError, match=r"step-000000004.* cannot be .* free disk space"):
            run_to(tmp_path / "run", config, pictures)
    kept = (tmp_path / "run/snapshots").iterdir()
    assert {path.name: path.read_bytes() for path in kept} == before
    assert run_to(tmp_path / "run", config, pictures).step == config.steps


def test_a_snapshot_is_written_under_names_of_ours_alone(tmp_path, monkeypatch):
    """Of what a killed run leaves one can tell whose it is; safetensors writes to a random name."""
    there, replace = [], os.replace

    def replaced(temporary, path):
        there.append(Path(temporary).name)
        replace(temporary, path)

    def writes_files(*given, **named):
        raise AssertionError("safetensors writes aside by itself")

    monkeypatch.setattr("os.replace", replaced)
    monkeypatch.setattr("safetensors.torch.serialize_file", writes_files)
    path = save_snapshot(initial_state(tiny()), tmp_path)
    assert [name.startswith(f".{path.name}.") for name in there] == [True]
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_after_its_step_with_a_snapshot(tmp_path, pictures, number):
    config = tiny()
    run = open_run(tmp_path / "run", config, pictures)

    class Killer(Callback):
        def after_step(self, run, stats):
            if run.state.step == 2:
                os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with stop_on_signals(run):
        run_steps(run, callbacks=[Killer(), Snapshots()])
    assert signal.getsignal(number) is before
    assert run.stop == f"stopped by {number.name}"
    assert [p.name for p in snapshots(run.folder / "snapshots")] == ["step-000000002.safetensors"]


def test_a_generator_of_one_fixed_grid_is_asked_for_that_alone(tmp_path, pictures, monkeypatch):
    monkeypatch.setattr(Creps, "tileable", False)
    whole = Creps.synthesize

    def only_8(self, styles, grid):
        if grid.shape != (8, 8):
            raise GridError("this network paints 8x8 pixels")
        return whole(self, styles, grid)

    monkeypatch.setattr(Creps, "synthesize", only_8)
    with pytest.raises(ConfigError, match=r"paint one fixed grid: set data.subpixel_shift=false"):
        open_run(tmp_path / "run", tiny(), pictures)
    with pytest.raises(GridError, match="paints 8x8 pixels"):
        open_run(tmp_path / "run", tiny("height=16", "data.subpixel_shift=false"), pictures)
    assert not (tmp_path / "run").exists()
    assert open_run(tmp_path / "run", tiny("data.subpixel_shift=false"), pictures).state.step == 0


def test_labels_must_match_the_networks(tmp_path, pictures):
    with pytest.raises(LabelError, match="no class labels"):
        open_run(tmp_path / "run", tiny("data.labels=true"), pictures)
    for k in range(3):
        (tmp_path / f"data/class{k}").mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / f"data/class{k}/a.png")
    with pytest.raises(DataError, match=r"has 3 classes, the networks 0: set generator\.label_dim"):
        open_run(tmp_path / "run", tiny("data.labels=true"), tmp_path / "data")
    assert not (tmp_path / "run").exists()


def test_class_conditional_training_runs(tmp_path):
    for k in range(3):
        (tmp_path / f"data/class{k}").mkdir(parents=True)
        Image.new("RGB", (8, 8), (80 * k, 0, 0)).save(tmp_path / f"data/class{k}/a.png")
    config = tiny(
        "data.labels=true", "generator.label_dim=3", "discriminator.label_dim=3", "images=8"
    )
    assert run_to(tmp_path / "run", config, tmp_path / "data").step == 2


def test_state_holds_what_the_next_step_needs(tmp_path):
    config = tiny("loss.path_length_weight=2")
    path = save_snapshot(initial_state(config), tmp_path)
    names = set(load_file(path))
    assert {"step", "path_length_mean", "average.mapping.average"} <= names


def test_the_same_seed_gives_the_same_weights_and_leaves_global_randomness_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second = initial_state(tiny()), initial_state(tiny())
    assert torch.equal(torch.rand(3), expected)
    for a, b in zip(first.generator.parameters(), second.generator.parameters(), strict=True):
        assert torch.equal(a, b)


def test_draws_depend_on_seed_step_and_purpose():
    def draw(*key):
        return torch.rand(4, generator=step_random(*key)).tolist()

    assert draw(0, 1, "z") == draw(0, 1, "z")
    assert len({tuple(draw(*k)) for k in [(0, 1, "z"), (1, 1, "z"), (0, 2, "z"), (0, 1, "y")]}) == 4


def test_shifts_stay_within_half_a_pixel_and_differ():
    config = tiny()
    windows = [draw_region(config, step).window for step in range(50)]
    assert len(set(windows)) == 50
    moved = torch.tensor(windows) - torch.tensor([0.0, 0.0, 1.0, 1.0])
    assert moved.abs().max() <= 0.5 / 8
    still = tiny("data.subpixel_shift=false")
    assert draw_region(still, 3).window == (0, 0, 1, 1)


def test_patches_are_area_means_in_the_nominal_range():
    config = tiny("data.subpixel_shift=false")
    pictures = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    batch = make_batch(config, 0, pictures, torch.zeros(4))
    means = pictures.double().unflatten(3, (8, 4)).unflatten(2, (8, 4)).mean((3, 5)) / 127.5 - 1
    torch.testing.assert_close(batch.image.double(), means, rtol=0, atol=1e-5)
    assert batch.label is None


def test_moving_average_follows_its_half_life():
    config = tiny("ema_half_life=4", "ema_rampup=1000")  # one batch halves the old weights' share
    state = initial_state(config)
    start = next(state.average.parameters()).clone()
    with torch.no_grad():
        next(state.generator.parameters()).add_(1.0)
    update_average(state, config)
    torch.testing.assert_close(next(state.average.parameters()), start + 0.5)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_survive_their_own_json(name):
    config = PRESETS[name].config
    assert from_dict(TrainConfig, json.loads(json.dumps(to_dict(config)))) == config


def test_unknown_presets_and_settings_name_the_nearest():
    with pytest.raises(ConfigError, match="did you mean smoke"):
        preset("smokey")
    with pytest.raises(ConfigError, match="did you mean r1_gamma"):
        tiny("loss.r1_gama=3")


def test_a_diverged_run_stops_with_advice_and_keeps_its_snapshot(tmp_path, pictures):
    config = tiny()
    run_to(tmp_path / "run", config, pictures, steps=3)
    run = open_run(tmp_path / "run", config, pictures)
    with torch.no_grad():
        next(run.state.generator.parameters()).fill_(float("nan"))
    with pytest.raises(CrepsError, match="at step 4: the run has diverged; the last snapshot is"):
        run_steps(run, callbacks=[LogLines(run)])
    assert [p.name for p in snapshots(tmp_path / "run/snapshots")] == ["step-000000003.safetensors"]


def test_settings_of_a_run_that_cannot_work_are_refused():
    for change, message in [
        ("batch=6", "multiple of 4 = accumulate 1 x minibatch_group 4"),
        ("discriminator.resolution=16", "differs from the training resolution"),
        ("discriminator.label_dim=2", "label_dim: generator has 0, discriminator 2"),
        ("images=0", "at least 1"),
        ("batch=100000000", "batch 100,000,000: expected at most 1,048,576"),
        ("loss.kind=wasserstein", "loss.kind"),
    ]:
        with pytest.raises(ConfigError, match=message):
            tiny(change)


@pytest.mark.parametrize(
    "changes",
    [
        ("generator.z_dim=2000000000",),
        ("generator.channel_max=100000000", "generator.channel_base=100000000"),
        ("discriminator.channel_max=100000", "discriminator.channel_base=10000000"),
        ("generator.label_dim=2000000000", "discriminator.label_dim=2000000000"),
    ],
)
def test_networks_beyond_the_memory_are_refused_before_they_are_built(changes):
    with pytest.raises(ConfigError, match=r"^networks of \d[\d,]+ numbers take [\d,.]+ GB of mem"):
        initial_state(tiny(*changes))


def test_the_memory_that_a_training_takes_is_known_to_what_builds_it(monkeypatch):
    config = tiny()
    numbers = {
        name: sum(p.numel() for p in getattr(initial_state(config), name).parameters())
        for name in ("generator", "discriminator")
    }
    needed = 20 * numbers["generator"] + 16 * numbers["discriminator"]
    monkeypatch.setattr(_state, "available_memory", lambda: needed)
    initial_state(config)
    monkeypatch.setattr(_state, "available_memory", lambda: needed - 1)
    with pytest.raises(ConfigError, match="is available: set fewer channels, or fewer classes"):
        initial_state(config)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_truncated_picture_is_named_and_replaced(tmp_path, pictures, workers):
    data = tmp_path / "data"
    shutil.copytree(pictures, data)
    whole = (data / "4.png").read_bytes()
    (data / "4.png").write_bytes(whole[: len(whole) // 2])
    config = tiny(f"data.workers={workers}", "images=24")
    run = open_run(tmp_path / "run", config, data)
    named = []
    run_steps(run, log=named.append)
    assert named == ["skipped: 4.png is broken, gone or changed"]
    assert run.state.step == config.steps


def test_credits_of_the_pictures_travel_with_the_model(tmp_path, pictures):
    data = tmp_path / "data"
    shutil.copytree(pictures, data)
    (data / "ATTRIBUTION.txt").write_text("Drawn by A. Painter, CC BY 4.0\n")
    run_to(tmp_path / "run", tiny("images=4"), data)
    assert creps.load(tmp_path / "run/model").record["credits"] == "Drawn by A. Painter, CC BY 4.0"


def test_warmup_leaves_the_generator_alone(tmp_path, pictures):
    config = tiny("discriminator_warmup=3", "loss.kind=nonsaturating")
    start = initial_state(config)
    early = run_to(tmp_path / "run", config, pictures, steps=3)
    for name, weights in start.generator.named_parameters():
        assert torch.equal(weights, dict(early.generator.named_parameters())[name])
    assert not torch.equal(start.discriminator.out.weight, early.discriminator.out.weight)
    late = run_to(tmp_path / "run", config, pictures, steps=4)
    assert not torch.equal(start.generator.to_rgb.weight, late.generator.to_rgb.weight)


def test_windows_lie_on_the_plane_at_every_zoom():
    config = tiny("data.zoom=4", "data.window_share=0.5")
    regions = [draw_region(config, step) for step in range(200)]
    sides = torch.tensor([r.window[2] - r.window[0] for r in regions], dtype=torch.float64)
    inside = [r.window for r, side in zip(regions, sides, strict=True) if side < 0.999]
    assert 60 < len(inside) < 140
    assert torch.tensor(inside).min() >= 0
    assert torch.tensor(inside).max() <= 1
    assert sides.min() >= 0.25 - 1e-12
    assert sides.min() < 0.3
    assert all(r.height == r.width == 8 for r in regions)


def test_zoom_beyond_the_detail_of_the_pictures_is_refused():
    with pytest.raises(ConfigError, match=r"expected zoom from 1 to detail \(4; any with"):
        tiny("data.zoom=8")


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode there")
def test_names_of_another_encoding_are_spelled_out(tmp_path):
    data = draw_pictures(tmp_path / "set\udce9", classes=2)  # bytes that are no UTF-8
    (data / "class1").rename(data / "caf\udce9")
    config = tiny(
        *("data.labels=true", "generator.label_dim=2", "discriminator.label_dim=2", "images=8")
    )
    run_to(tmp_path / "run", config, data)
    run = open_run(tmp_path / "run", config, data)  # which reads what the first one wrote
    assert run.data["name"] == "set\\udce9"
    assert creps.load(tmp_path / "run/model").class_names == ("caf\\udce9", "class0")
    assert "set\\udce9" in write_report(tmp_path / "run").read_text()
    with pytest.raises(UsageError, match="no name in UTF-8, which safetensors needs"):
        open_run(tmp_path / "run\udce9", config, data)
    shutil.copytree(tmp_path / "run/model", tmp_path / "model\udce9")
    with pytest.raises(CheckpointError, match="no name in UTF-8, rename it"):
        creps.load(tmp_path / "model\udce9")
