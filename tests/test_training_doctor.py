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
from creps.training._presets import preset
from creps.training.monitoring._doctor import Diagnosis, diagnose_run
from creps.training.monitoring._log import Line, read_lines
from creps.training.monitoring._rules import Finding, History, examine
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


def found(lines: list[Line], *changes: str, pictures: int = 20_000) -> dict[str, Finding]:
    """The most serious finding of each topic."""
    order = ["fine", "note", "problem"]
    findings = examine(History(lines), small(*changes), pictures=pictures)
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


@pytest.mark.parametrize(
    ("name", "gamma", "level", "words"),
    [
        ("learning", 0.2, "fine", "apart"),
        ("gaining", 0.2, "fine", "apart"),
        ("weakening", 0.5, "note", "the discriminator is weak"),
        ("guessing", 0.5, "problem", "the discriminator is guessing"),
    ],
)
def test_real_runs_are_told_apart(name: str, gamma: float, level: str, words: str) -> None:
    lines = read_lines(LOGS / f"{name}.jsonl")
    balance = found(lines, f"loss.r1_gamma={gamma}", f"loss.r2_gamma={gamma}")["balance"]
    assert (balance.level, words in balance.text) == (level, True)
    if level != "fine":
        assert "loss.r1_gamma=0.17 loss.r2_gamma=0.17" in balance.advice


def test_a_gaining_discriminator_is_left_alone_while_it_gains() -> None:
    lines = read_lines(LOGS / "gaining.jsonl")[:50]
    balance = found(lines, "loss.r1_gamma=0.2")["balance"]
    assert (balance.level, balance.advice) == ("note", "wait")
    assert "gains" in balance.text


def test_a_healthy_log_is_fine_all_over() -> None:
    findings = found(log())
    assert {f.level for f in findings.values()} == {"fine"}
    assert set(findings) == {"balance", "penalties", "variety"}


@pytest.mark.parametrize(
    ("late", "topic", "level", "advice"),
    [
        ({"logits__fake": -30.0}, "balance", "problem", "--augment ada: 20,000 pictures"),
        ({"logits__fake": -8.0}, "balance", "note", "loss.r1_gamma=1.5"),
        ({"penalty__r1": 4.0}, "penalties", "problem", "optimizer.learning_rate"),
        ({"penalty__r2": 2.9, "loss__discriminator": 0.05}, "penalties", "note", "r2_gamma"),
        ({"broken__generator": 0.01}, "gradients", "note", "optimizer.learning_rate"),
        ({"broken__generator": 0.2}, "gradients", "problem", "optimizer.learning_rate"),
        ({"gradient__generator": 50.0}, "gradients", "note", "optimizer.learning_rate"),
        ({"spread__fake": 0.02}, "variety", "problem", "loss.r1_gamma=1.5"),
        ({"nearest__fake": 0.1}, "variety", "note", "watch it"),
        ({"augment__strength": 0.9}, "augmentation", "note", "--mirror"),
    ],
)
def test_what_is_wrong_is_named_with_settings_to_change(
    late: dict[str, float], topic: str, level: str, advice: str
) -> None:
    finding = found(log(late=late))[topic]
    assert finding.level == level
    assert advice in finding.advice


def test_half_precision_is_suspected_first() -> None:
    finding = found(log(late={"broken__generator": 0.2}), "precision=float16")["gradients"]
    assert "bfloat16" in finding.advice


def test_a_number_that_is_none_is_a_problem() -> None:
    finding = found(log(late={"loss__generator": math.nan}))["numbers"]
    assert finding.level == "problem"
    assert "loss/generator is nan" in finding.text


def test_nothing_is_said_of_the_game_at_the_start() -> None:
    lines = [{**line, "logits/fake": line["logits/real"]} for line in log(images=3_000)]
    assert "balance" not in found(lines)
    assert "variety" not in found(lines)


def test_a_growing_distance_is_overfitting() -> None:
    lines = log()
    scores = [9.0, 5.0, 4.0, 5.0, 6.0, 7.0]
    for place, score in zip(range(9, 60, 10), scores, strict=True):
        lines[place]["fd_effnet@32"] = score
    finding = found(lines)["distance"]
    assert finding.level == "note"
    assert "is 7, and was 4 at 9,600 images" in finding.text
    for place, score in zip(range(9, 60, 10), sorted(scores, reverse=True), strict=True):
        lines[place]["fd_effnet@32"] = score
    assert found(lines)["distance"].level == "fine"


def texts(diagnosis: Diagnosis) -> dict[str, str]:
    return {f.topic: f.text for f in diagnosis.findings}


def test_progress_pace_and_life_come_from_the_log(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", log(late={"images_per_second": 25.0, "seconds": 7200.0}))
    said = texts(diagnose_run(run))
    assert said["progress"] == "19,840 of 400,000 images, 5%, in 2.0 h"
    assert said["pace"] == "25 images/s, 4.2 h to go at that pace; it was 100 images/s"
    assert "the last line was written 0 s ago" in said["life"]
    assert "no snapshot yet" in said["snapshots"]


def test_a_silent_run_stands_still(tmp_path: Path) -> None:
    import os
    import time

    run = make_run(tmp_path / "run", log())
    long_ago = time.time() - 7200
    os.utime(run / "log.jsonl", (long_ago, long_ago))
    assert texts(diagnose_run(run))["life"].startswith("it stands still: the last line was written")


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
    well = make_run(tmp_path / "well", log())
    assert command(monkeypatch, "doctor", well) == 0
    assert "healthy" in capsys.readouterr().out
    ill = make_run(tmp_path / "ill", log(late={"spread__fake": 0.001}))
    assert command(monkeypatch, "doctor", ill) == 1
    assert "collapse: generated pictures differ" in " ".join(capsys.readouterr().out.split())
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
    assert texts(found)["life"] == "complete"
    assert texts(found)["snapshots"] == "the newest is of step 8, 0 steps ago"
