"""What watches a run: its log, alarms, previews, snapshots, loggers."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace as with_field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from creps.config import to_dict
from creps.errors import ConfigError, CrepsError, MissingExtraError, UsageError
from creps.rendering._painter import to_uint8
from creps.training._callbacks import (
    Alarms,
    Evaluations,
    LogLines,
    Snapshots,
    memory_used,
    standard_callbacks,
)
from creps.training._config import TrainConfig, WatchSettings
from creps.training._loop import run_steps
from creps.training._losses import picture_distances
from creps.training._run import Run, open_run
from creps.training._state import initial_state, snapshots, step_of
from creps.training.monitoring._doctor import History, collapse
from creps.training.monitoring._log import LOGGERS, RunLog, open_logger, read_lines
from creps.training.monitoring._previews import (
    COLUMNS,
    MAGNIFICATIONS,
    Previews,
    samples,
    zoom_strip,
)
from test_house import extras
from training_pictures import draw_pictures, few_steps, run_to, tiny


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("pictures"))


# The log


def test_lines_tell_means_pace_time_and_memory(tmp_path: Path, pictures: Path) -> None:
    run_to(tmp_path / "run", tiny(), pictures, steps=4)
    lines = [line for line in read_lines(tmp_path / "run/log.jsonl") if "seconds" in line]
    assert [line["step"] for line in lines] == [2, 4]
    assert [line["images"] for line in lines] == [8, 16]
    expected = {"loss/generator", "gradient/generator", "broken/discriminator", "spread/real"}
    assert expected <= set(lines[0])
    assert lines[0]["images_per_second"] > 0
    assert 0 < lines[0]["seconds"] < lines[1]["seconds"]
    assert 0.05 < lines[0]["memory_gb"] < 100


def test_a_resumed_log_goes_on_in_time_and_repeats_no_step(tmp_path: Path, pictures: Path) -> None:
    run_to(tmp_path / "run", tiny(), pictures, steps=4)
    log = tmp_path / "run/log.jsonl"
    with log.open("a") as file:
        file.write('{"step": 6, "images": 24, "loss/generator": 1}\n{"step": 7, "im')
    before = read_lines(log)
    run_to(tmp_path / "run", tiny(), pictures)
    lines = [line for line in read_lines(log) if "seconds" in line]
    assert [line["step"] for line in lines] == [2, 4, 6, 8]
    assert lines[2]["seconds"] > before[1]["seconds"]
    assert "loss/discriminator" in lines[2]


def test_what_is_not_a_number_survives_the_file(tmp_path: Path) -> None:
    RunLog(tmp_path / "log.jsonl", batch=4).write(
        2, {"a": math.nan, "b": -math.inf, "c": 0.123456789}
    )
    (line,) = read_lines(tmp_path / "log.jsonl")
    assert math.isnan(line["a"])
    assert line["b"] == -math.inf
    assert line["c"] == pytest.approx(0.123457, rel=1e-12)
    assert json.loads((tmp_path / "log.jsonl").read_text())["step"] == 2


def test_numbers_of_no_training_stay_within_those_that_can_be_summed(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1, "images": 4, "a": 1e308, "b": -1e308, "c": "nan", "d": 2.5}\n')
    (line,) = read_lines(log)
    assert line["a"] == -line["b"] == pytest.approx(3.4028e38, rel=1e-4)
    assert (line["d"], line["images"]) == (2.5, 4)
    assert math.isnan(line["c"])


def test_memory_is_the_peak_of_this_process() -> None:
    before = memory_used(torch.device("cpu"))
    held = np.ones(30_000_000)
    after = memory_used(torch.device("cpu"))
    assert before is not None
    assert after is not None
    assert held.nbytes / 1e9 < after < before + 0.5


# Alarms


def lines_of(*, images: int, every: int = 100, **values: float) -> list[dict[str, float]]:
    """A log in which nothing changes."""
    names = {name.replace("__", "/"): value for name, value in values.items()}
    return [
        {"step": n // 4, "images": n, "logits/real": 0.5, "logits/fake": 0.0, **names}
        for n in range(every, images + 1, every)
    ]


ALIKE = {"spread__fake": 0.01, "spread__real": 0.4}
WATCHFUL = "watch.patience=2000"


@pytest.mark.parametrize(
    ("values", "topic"),
    [
        (ALIKE, "diversity"),
        ({"broken__generator": 0.5}, "gradients"),
        ({"logits__fake": 0.499}, "balance"),
    ],
)
def test_an_alarm_needs_patience_and_then_gives_advice(
    values: dict[str, float], topic: str
) -> None:
    config = tiny(WATCHFUL)
    assert collapse(History(lines_of(images=1900, **values)), config, since=0) is None
    found = collapse(History(lines_of(images=2000, **values)), config, since=0)
    assert found is not None
    assert found.topic == topic
    assert "over the last 2,000 images" in found.text
    assert found.advice.startswith("a ")


def test_no_alarm_while_one_line_looks_well() -> None:
    lines = lines_of(images=2000, **ALIKE)
    lines[12]["spread/fake"] = 0.3
    assert collapse(History(lines), tiny(WATCHFUL), since=0) is None


def test_no_alarm_before_the_generator_learns() -> None:
    lines = lines_of(images=2000, **ALIKE)
    config = tiny(WATCHFUL, "discriminator_warmup=100")
    assert collapse(History(lines), config, since=0) is None
    assert collapse(History(lines_of(images=2400, **ALIKE)), config, since=0) is not None


@pytest.mark.parametrize("name", ["learning", "gaining", "weakening", "guessing"])
def test_real_runs_raise_no_alarm(name: str) -> None:
    """None of them is beyond hope, whatever the doctor says."""
    lines = read_lines(Path(__file__).parent / f"golden/logs/{name}.jsonl")
    config = with_field(tiny(), watch=WatchSettings())
    for end in range(len(lines)):
        history = History(lines[: end + 1])
        assert collapse(history, config, since=max(history.images - 25_000, 0)) is None


def collapsing_run(folder: Path, config: TrainConfig, data: Path) -> Run:
    """Train a generator that does not look at its latents."""
    run = open_run(folder, config, data)
    with torch.no_grad():
        for parameter in run.state.generator.mapping.parameters():
            parameter.zero_()
    run_steps(run, callbacks=[*standard_callbacks(run, data=data), Alarms(run)])
    return run


FROZEN = ("optimizer.learning_rate=1e-9", "watch.patience=72", "log_every=1", "images=120")


@pytest.mark.slow
def test_a_collapsed_run_is_stopped_and_saved(tmp_path: Path, pictures: Path) -> None:
    # Diversity is measured every fourth step, and an alarm wants five of them.
    config = tiny(*FROZEN)
    with pytest.raises(CrepsError, match=r"alarm \(diversity\): generated pictures are all alike"):
        collapsing_run(tmp_path / "run", config, pictures)
    (*_, last) = snapshots(tmp_path / "run/snapshots")
    assert 18 <= int(last.stem.removeprefix("step-")) < config.steps


def test_alarms_can_be_switched_off(tmp_path: Path, pictures: Path) -> None:
    run = collapsing_run(tmp_path / "run", tiny(*FROZEN, "watch.stop=false"), pictures)
    assert (run.stop, run.complete) == ("", True)


def test_a_huge_learning_rate_is_stopped_at_once(tmp_path: Path, pictures: Path) -> None:
    with pytest.raises(CrepsError, match=r"the run has diverged; .*optimizer\.learning_rate"):
        run_to(tmp_path / "run", tiny("optimizer.learning_rate=30", "images=200"), pictures)
    with pytest.raises(CrepsError, match=r"the run has diverged; nothing was saved yet, start"):
        run_to(tmp_path / "next", tiny("optimizer.learning_rate=1e20"), pictures)


def test_snapshots_come_by_time_too_where_steps_are_slow(tmp_path: Path, pictures: Path) -> None:
    now = 0.0
    run = open_run(tmp_path, tiny("snapshot_every=1000"), pictures)
    keeper, saved = Snapshots(lambda: now), []
    for step in range(1, 15):
        now, run.state.step = 50.0 * step, step
        keeper.after_step(run, {})
        if (found := snapshots(tmp_path / "snapshots")) and step_of(found[-1]) == step:
            saved.append(now)
    assert saved == [100, 400, 700]  # the first after a minute, then every five


@pytest.mark.parametrize(("every", "drawn"), [(1000, [2, 12]), (5, [2, 5, 12]), (0, [])])
def test_previews_come_by_time_too_where_steps_are_slow(
    tmp_path: Path, pictures: Path, every: int, drawn: list[int]
) -> None:
    now = 0.0
    run = open_run(tmp_path, tiny(f"preview_every={every}"), pictures)
    previews = Previews(lambda: now)
    for step in (1, 2, 3, 4, 5, 7, 12):
        now, run.state.step = 50.0 * step, step
        previews.after_step(run, {})
    shown = sorted(int(path.stem) for path in (tmp_path / "previews").glob("*[0-9].png"))
    assert shown == [step * run.config.batch for step in drawn]


def test_a_broken_state_pushes_no_snapshot_out(tmp_path: Path, pictures: Path) -> None:
    run, keeper = open_run(tmp_path, tiny(), pictures), Snapshots()
    keeper.at_end(run)
    run.state.step = 3
    with torch.no_grad():
        next(run.state.discriminator.parameters()).view(-1)[0] = torch.nan
    with pytest.raises(CrepsError, match=r"discriminator\..* is not finite at step 3"):
        keeper.after_step(run, {})
    assert len(snapshots(tmp_path / "snapshots")) == 1


def test_impossible_watch_settings_are_refused() -> None:
    for change in ("watch.patience=0", "watch.evaluate_pictures=1", "watch.min_spread=1"):
        with pytest.raises(ConfigError, match="watch: "):
            tiny(change)


# How different pictures are


def test_distances_are_root_mean_squares() -> None:
    images = torch.zeros(3, 2, 4, 6)
    images[1] += 1
    images[2] -= 1
    spread, nearest = picture_distances(images)
    assert float(spread) == pytest.approx((1 + 1 + 2) / 3, rel=1e-6)
    assert float(nearest) == pytest.approx(1, rel=1e-6)


def test_nearly_equal_pictures_do_not_drown_in_rounding() -> None:
    noise = torch.randn(6, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    expected = picture_distances(noise)
    found = picture_distances(0.9 + 1e-4 * noise)
    for ours, theirs in zip(found, expected, strict=True):
        assert float(ours) == pytest.approx(1e-4 * float(theirs), rel=1e-2)


def test_steps_tell_diversity_and_gradients(pictures: Path) -> None:
    _, stats = few_steps(tiny(), pictures, steps=2)
    first, second = stats
    assert {"spread/real", "nearest/fake", "gradient/generator"} <= set(first)
    assert "spread/real" not in second
    assert float(first["spread/real"]) >= float(first["nearest/real"]) > 0
    assert float(first["gradient/discriminator"]) > 0
    assert float(first["broken/discriminator"]) == 0


# Previews


def test_previews_are_a_grid_and_a_zoom(tmp_path: Path, pictures: Path) -> None:
    config = tiny("height=8", "width=16", "images=16")
    run_to(tmp_path / "run", config, pictures)
    folder = tmp_path / "run/previews"
    assert sorted(p.name for p in folder.iterdir()) == ["000000016-zoom.png", "000000016.png"]
    with (
        Image.open(folder / "000000016.png") as grid,
        Image.open(folder / "000000016-zoom.png") as zoom,
    ):
        assert grid.size == (6 * 16, 4 * 8)
        assert zoom.size == (len(MAGNIFICATIONS) * 16, 3 * 8)
    lines = read_lines(tmp_path / "run/log.jsonl")
    assert [line["preview/spread"] > 0 for line in lines if "preview/spread" in line] == [True]


def test_later_previews_tell_how_much_has_changed(tmp_path: Path, pictures: Path) -> None:
    run_to(tmp_path / "run", tiny(), pictures)
    lines = [line for line in read_lines(tmp_path / "run/log.jsonl") if "preview/spread" in line]
    assert [line["images"] for line in lines] == [16, 32]
    assert "preview/change" not in lines[0]
    assert lines[1]["preview/change"] > 0


def test_a_zoom_starts_with_the_whole_pictures_of_the_grid() -> None:
    config = tiny("height=8", "width=16")
    generator = initial_state(config).average
    strip = zoom_strip(generator, config)
    first = samples(generator, config)[1]
    assert np.abs(strip[8:16, :16].astype(int) - to_uint8(first)).max() <= 1


def test_rows_of_a_conditional_run_are_its_classes() -> None:
    config = tiny("data.labels=true", "generator.label_dim=3", "discriminator.label_dim=3")
    generator = initial_state(config).average
    painted = samples(generator, config)
    assert len(painted) == 3 * COLUMNS
    z = torch.from_numpy(np.random.RandomState(4).randn(1, 8)).float()
    styles = generator.map(z, torch.tensor([2]))
    expected = generator.synthesize(styles, config.canvas().grid())[0]
    torch.testing.assert_close(painted[2 * COLUMNS + 4], expected, rtol=0, atol=1e-5)


# The distance to the training set


@pytest.mark.slow
def test_the_distance_is_measured_now_and_then(tmp_path: Path, pictures: Path) -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    config = tiny("watch.evaluate_every=3", "watch.evaluate_pictures=6", "images=36")
    run = open_run(tmp_path / "run", config, pictures)
    run_steps(run, callbacks=[Evaluations(run, data=pictures)])
    lines = read_lines(tmp_path / "run/log.jsonl")
    assert [line["step"] for line in lines] == [3, 6, 9]
    scores = [line["fd_effnet@8"] for line in lines]
    assert all(0 < score < 1e4 for score in scores)
    assert len(set(scores)) == 3
    # The real pictures' features stay, and those of the first samples.
    assert len(list((tmp_path / "run/evaluations").iterdir())) == 2


# Loggers


class StandIn:
    """A module that notes what it is told: the calls of trackio and wandb that are used."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []
        self.Image = lambda picture: ("image", picture.shape)

    def init(self, **settings: object) -> SimpleNamespace:
        self.calls.append(("init", settings))
        return SimpleNamespace(id="run7")

    def log(self, values: dict[str, object], *, step: int) -> None:
        self.calls.append((f"log {step}", values))

    def finish(self) -> None:
        self.calls.append(("finish", None))


@pytest.mark.parametrize("name", ["trackio", "wandb"])
def test_services_get_numbers_and_pictures(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = StandIn()
    monkeypatch.setitem(sys.modules, name, module)
    config = tiny()
    log = RunLog(tmp_path / "log.jsonl", batch=4)
    log.loggers = [open_logger(name, tmp_path, config=to_dict(config))]
    log.write(5, {"loss/generator": 0.5})
    log.show(5, "previews/samples", np.zeros((4, 6, 3), np.uint8))
    log.close()
    (kind, settings), *rest = module.calls
    assert kind == "init"
    assert isinstance(settings, dict)
    assert (settings["project"], settings["name"]) == ("creps", tmp_path.name)
    assert settings["config"]["batch"] == 4
    assert settings["resume"] == "allow"
    assert rest == [
        ("log 5", {"images": 20, "loss/generator": 0.5}),
        ("log 5", {"previews/samples": ("image", (4, 6, 3))}),
        ("finish", None),
    ]


def test_wandb_goes_on_with_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = StandIn()
    monkeypatch.setitem(sys.modules, "wandb", module)
    for _ in range(2):
        open_logger("wandb", tmp_path, config={})
    ids = [settings["id"] for _, settings in module.calls if isinstance(settings, dict)]
    assert ids == [None, "run7"]


@pytest.mark.parametrize("name", LOGGERS)
def test_a_missing_logger_names_its_extra(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (name, "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError) as refused:
        open_logger(name, tmp_path, config={})
    assert any(f"creps[{extra}]" in str(refused.value) for extra in extras())


def test_an_unknown_logger_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean wandb"):
        open_logger("wanb", tmp_path, config={})


def test_tensorboard_writes_event_files(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    logger = open_logger("tensorboard", tmp_path, config={})
    logger.numbers(1, {"loss/generator": 0.5})
    logger.picture(1, "previews/samples", np.zeros((4, 6, 3), np.uint8))
    logger.close()
    assert [p.stat().st_size > 0 for p in (tmp_path / "tensorboard").iterdir()] == [True]


def test_a_log_alone_stops_at_numbers_that_are_not_finite(tmp_path: Path, pictures: Path) -> None:
    run = open_run(tmp_path / "run", tiny("precision=float16", "log_every=1"), pictures)
    lines = LogLines(run)
    run.state.step = 1
    with pytest.raises(CrepsError, match=r"loss/generator is nan at step 1: .*precision=float32"):
        lines.after_step(run, {"loss/generator": torch.tensor(torch.nan)})


PEAK = "from creps._devices import peak_memory; print(peak_memory())"


def test_the_peak_of_a_process_is_not_that_of_what_started_it() -> None:
    """Linux hands `ru_maxrss` on to the programs that a process starts."""
    held = b"1" * (1 << 30)
    ran = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert int(ran.stdout) < len(held)
