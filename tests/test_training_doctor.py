"""`creps train doctor`: what it says of runs that learn, and of those that do not."""

from __future__ import annotations

import json
import math
import shutil
import sys
from pathlib import Path

import pytest

from creps.cli import main
from creps.config import replace, to_dict
from creps.errors import CheckpointError
from creps.training._config import TrainConfig
from creps.training._presets import PRESETS, preset, whole_run
from creps.training.monitoring import _doctor
from creps.training.monitoring._doctor import (
    History,
    RunDiagnosis,
    RunFinding,
    diagnose_run,
    examine,
)
from creps.training.monitoring._log import Line, read_lines
from training_pictures import draw_pictures, run_to, tiny

LOGS = Path(__file__).parent / "golden/logs"

HEALTHY = {
    "loss/generator": 0.9,
    "loss/discriminator": 0.6,
    "logits/real": 0.3,
    "logits/fake": -0.1,
    "penalty/r1": 0.1,
    "penalty/r2": 0.1,
    "spread/real": 0.5,
    "spread/fake": 0.45,
    "nearest/real": 0.3,
    "nearest/fake": 0.25,
    "gradient/generator": 1.0,
    "broken/generator": 0.0,
    "images_per_second": 100.0,
    "seconds": 10.0,
}


def test_frozen_features_are_named_where_they_could_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = {"plain": (True, ()), "taught": (True, ("projected.weight=0.1",)), "bare": (False, ())}
    told = {}
    for name, (installed, changes) in cases.items():
        monkeypatch.setattr(_doctor, "has_effnet", lambda there=installed: there)
        findings = diagnose_run(make_run(tmp_path / name, log(), *changes)).findings
        told[name] = [finding.advice for finding in findings if finding.topic == "features"]
    assert "projected.weight=0.1" in told["plain"][0]
    assert told["taught"] == told["bare"] == []


def small(*changes: str) -> TrainConfig:
    """The settings of the runs in `golden/logs`."""
    return replace(preset("small-32"), list(changes))


def log(*, images: int = 19_840, late: dict[str, float] | None = None) -> list[Line]:
    """A healthy log, whose last sixth has other values."""
    steps = range(20, images // 16 + 1, 20)
    changed = {name.replace("__", "/"): value for name, value in (late or {}).items()}
    start = steps[-1] * 5 / 6
    return [
        {"step": n, "images": n * 16, **HEALTHY, **(changed if n > start else {})} for n in steps
    ]


def found(lines: list[Line], *changes: str) -> dict[str, RunFinding]:
    """The most serious finding of each topic."""
    order = ["fine", "note", "problem"]
    findings = examine(History(lines), small(*changes))
    return {f.topic: f for f in sorted(findings, key=lambda f: order.index(f.level))}


def make_run(folder: Path, lines: list[Line], *changes: str) -> Path:
    """A folder as a run leaves it."""
    folder.mkdir()
    data = {"name": "set.zip", "count": 20_000, "fingerprint": "0"}
    stored = {"train": to_dict(small(*changes)), "data": data}
    (folder / "config.json").write_text(json.dumps(stored))
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "log.jsonl").write_text(text)
    return folder


@pytest.mark.parametrize("name", ["learning", "gaining", "weakening", "guessing"])
def test_real_runs_are_told_as_they_are(name: str) -> None:
    balance = found(read_lines(LOGS / f"{name}.jsonl"))["balance"]
    assert balance.level == "fine"
    assert balance.text.startswith("logits of real and generated pictures are 0.")


def test_a_healthy_log_is_fine_all_over() -> None:
    findings = found(log())
    assert {f.level for f in findings.values()} == {"fine"}
    assert set(findings) == {"balance", "diversity"}
    assert "0.4 apart" in findings["balance"].text
    assert "0.83 times as much from their nearest" in findings["diversity"].text


@pytest.mark.parametrize(
    ("late", "topic", "advice"),
    [
        ({"logits__fake": 0.299}, "balance", "a smaller loss.r1_gamma (now 0.5)"),
        ({"broken__generator": 0.2}, "gradients", "optimizer.learning_rate"),
        ({"broken__projected": 0.2}, "gradients", "optimizer.learning_rate"),
        ({"spread__fake": 0.02}, "diversity", "a larger loss.r1_gamma (now 0.5)"),
        ({"loss__generator": math.nan}, "numbers", "optimizer.learning_rate (now 0.002)"),
    ],
)
def test_what_is_wrong_is_named_with_settings_to_change(
    late: dict[str, float], topic: str, advice: str
) -> None:
    finding = found(log(late=late))[topic]
    assert finding.level == "problem"
    assert advice in finding.advice


def test_broken_gradients_and_ada_are_told() -> None:
    findings = found(log(late={"broken__generator": 0.01, "augment__strength": 0.9}))
    assert findings["gradients"].text.startswith("1.00% of the generator's gradient")
    assert findings["gradients"].level == "note"
    assert findings["augmentation"].text == "ADA is at a strength of 0.90"


def test_numbers_that_are_not_finite_are_told_once() -> None:
    late = dict.fromkeys(("spread__fake", "nearest__real", "logits__real"), math.nan)
    findings = found(log(late=late))
    assert "the run diverged" in findings["numbers"].text
    assert [each.text for each in findings.values() if " nan" in each.text] == [
        findings["numbers"].text
    ]


def test_half_precision_is_suspected() -> None:
    finding = found(log(late={"loss__generator": math.nan}), "precision=float16")["numbers"]
    assert "precision=float32" in finding.advice
    assert "loss/generator is nan" in finding.text


def test_fresh_networks_may_look_collapsed() -> None:
    lines = [{**line, "spread/fake": 0.0, "logits/fake": 0.3} for line in log(images=3_000)]
    assert {f.level for f in found(lines).values()} == {"fine"}


def test_the_best_distance_is_remembered() -> None:
    lines = log()
    scores = [9.0, 5.0, 4.0, 5.0, 6.0, 7.0]
    for place, score in zip(range(9, 60, 10), scores, strict=True):
        lines[place]["fd_effnet@32"] = score
    assert found(lines)["distance"].text == ("fd_effnet@32 is 7; its best was 4, at 9,600 images")


def texts(diagnosis: RunDiagnosis) -> dict[str, str]:
    return {f.topic: f.text for f in diagnosis.findings}


def test_progress_pace_and_activity_come_from_the_log(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", log(late={"images_per_second": 25.0, "seconds": 7200.0}))
    said = texts(diagnose_run(run))
    assert said["progress"] == "19,840 of 400,000 images, 5%, in 2.0 h"
    assert said["pace"] == "25 images/s, 4.2 h to go at that pace"
    assert "the last line was written 0 s ago" in said["activity"]
    assert "no snapshot yet" in said["snapshots"]


def test_a_silent_run_is_taken_to_be_stopped(tmp_path: Path) -> None:
    import os
    import time

    run = make_run(tmp_path / "run", log())
    long_ago = time.time() - 7200
    os.utime(run / "log.jsonl", (long_ago, long_ago))
    assert texts(diagnose_run(run))["activity"].startswith("stopped: the last line was written")


def test_a_run_without_lines_is_no_problem(tmp_path: Path) -> None:
    found = diagnose_run(make_run(tmp_path / "run", []))
    assert found.healthy
    assert "no line in log.jsonl yet" in texts(found)["progress"]


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no run: expected the folder given to train"):
        diagnose_run(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="is damaged or of another version"):
        diagnose_run(tmp_path)


def command(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    """The exit code of `creps train ...`."""
    monkeypatch.setattr(sys, "argv", ["creps", "train", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_the_exit_code_is_one_for_problems_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "300")  # lines are not broken within words
    well = make_run(tmp_path / "well", log())
    assert command(monkeypatch, "doctor", well) == 0
    assert "healthy" in capsys.readouterr().out
    collapsed = make_run(tmp_path / "collapsed", log(late={"spread__fake": 0.001}))
    assert command(monkeypatch, "doctor", collapsed) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "collapsed: unhealthy" in said
    assert "generated pictures are all alike" in said
    assert command(monkeypatch, "doctor", tmp_path) == 1
    assert "creps: " in capsys.readouterr().err


def test_json_is_for_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run", log(late={"spread__fake": 0.001}))
    assert command(monkeypatch, "doctor", run, "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["healthy"], told["images"], told["of_images"]) == (False, 19_840, 400_000)
    assert {"level", "topic", "text", "advice"} == set(told["findings"][0])


def test_a_true_run_is_examined_wherever_it_lies(tmp_path: Path) -> None:
    run_to(tmp_path / "run", tiny(), draw_pictures(tmp_path / "pictures"))
    shutil.move(tmp_path / "run", tmp_path / "moved")
    found = diagnose_run(tmp_path / "moved")
    assert found.healthy
    assert texts(found)["activity"] == "complete"
    assert texts(found)["snapshots"] == "the newest is of step 8, 0 steps ago"


def test_a_full_disk_is_noticed_before_the_next_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "run", log())
    (run / "snapshots").mkdir()
    (run / "snapshots/step-000001000.safetensors").write_bytes(bytes(2_000_000))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))
    (saved,) = (f for f in diagnose_run(run).findings if f.topic == "snapshots")
    assert saved.level == "problem"
    assert "1 MB are free, the next takes 2 MB" in saved.text


def test_runs_of_earlier_versions_are_read(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", log())
    stored = json.loads((run / "config.json").read_text())
    del stored["train"]["discriminator_kind"]
    stored["train"] |= {"judge": "two"}
    (run / "config.json").write_text(json.dumps(stored))
    assert diagnose_run(run).config.discriminator_kind == "two"


@pytest.mark.parametrize(
    ("images", "change", "state", "told", "advice"),
    [
        (3_200, "images=3000", "too early", "3,200 images are 0.8 % of the 400,000", "--images"),
        (60_000, "images=60000", "healthy", "59,840 images are 15 % of", "--images 400000"),
        (60_000, "seed=3", "healthy", "59,840 images are 15 % of the 400,000", ""),
        (400_000, "images=500000", "healthy", "400,000 images are 100 % of", ""),
        (3_200, "preset=smoke", "too early", "small-32 shows: smoke only tries things", "--preset"),
        (3_200, "preset=", "healthy", "", ""),
        (3_200, "preset=gone", "healthy", "", ""),
    ],
)
def test_short_runs_say_how_far_they_are_from_a_whole_one(
    tmp_path: Path, images: int, change: str, state: str, told: str, advice: str
) -> None:
    run = diagnose_run(make_run(tmp_path / "run", log(images=images), change))
    assert state in run.state
    assert run.healthy
    texts = {finding.topic: finding for finding in run.findings}
    assert ("length" in texts) == bool(told)
    if told:
        assert told in texts["length"].text
        assert texts["length"].advice.startswith(advice) or advice in texts["length"].advice
        assert bool(texts["length"].advice) == bool(advice)


def test_presets_that_only_try_things_name_one_for_pictures() -> None:
    for name, recipe in PRESETS.items():
        whole = whole_run(preset(name, "images=7"))
        assert whole == (recipe.tries or name, PRESETS[recipe.tries or name].config.images)
        assert ("smoke" in name) == bool(recipe.tries)
