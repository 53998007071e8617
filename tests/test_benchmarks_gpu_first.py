"""The command for a first GPU, on a CPU: checks find faults, parts end in time, all of it runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
import typer

from benchmarks import gpu_first
from benchmarks.gpu_first import Plan, Show, run_checks


def show(out: Path, seconds: float = 60) -> Show:
    return Show(Plan(device="cpu", seconds=seconds), out)


def test_batches_are_the_same_with_workers() -> None:
    assert "within 0.0e+00" in gpu_first.check_batches("cpu")


def test_a_picture_on_the_device_is_the_cpus() -> None:
    assert gpu_first.check_drawing("cpu").startswith("within 0 of 255")
    assert "within" in gpu_first.check_drawing_bfloat16("cpu")


def test_a_check_that_fails_is_told_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_wrong(device: str) -> str:
        raise RuntimeError(f"no kernel on {device}\nand more")

    def check_right(device: str) -> str:
        return "close"

    monkeypatch.setattr(gpu_first, "CHECKS", (check_wrong, check_right))
    wrong, right = run_checks("cpu")
    assert (wrong["check"], wrong["ok"]) == ("wrong", False)
    assert wrong["said"] == "RuntimeError: no kernel on cpu"
    assert right["ok"]


def test_losses_that_differ_fail_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def losses(device: str, changes: list[str], notices: list[str]) -> list[float]:
        return [1.0, float("nan") if device == "cuda" else 1.0]

    monkeypatch.setattr(gpu_first, "_losses", losses)
    assert gpu_first.check_float32("cpu")
    with pytest.raises(AssertionError, match=r"losses .*nan"):
        gpu_first.check_float32("cuda")


def test_a_part_that_hangs_is_cut_off_and_keeps_what_it_said(tmp_path: Path) -> None:
    told = show(tmp_path)
    endless = "import time; print('{\"a\": 1}', flush=True); time.sleep(1000)"
    output = told.part("endless", [sys.executable, "-c", endless], limit=8)
    assert gpu_first._json_lines(output) == [{"a": 1}]
    assert "cut off after 8 s" in (tmp_path / "report.md").read_text()


def test_a_part_that_dies_is_named_with_its_last_words(tmp_path: Path) -> None:
    told = show(tmp_path)
    told.part("broken", [sys.executable, "-c", "raise SystemExit('no memory')"], limit=60)
    assert "broken: failed with exit code 1: no memory" in (tmp_path / "report.md").read_text()


def test_no_part_takes_longer_than_the_whole(tmp_path: Path) -> None:
    told = show(tmp_path, seconds=2)
    told.part("long", [sys.executable, "-c", "import time; time.sleep(1000)"], limit=600)
    assert told.left < 1


def test_lines_that_were_cut_off_are_left_out() -> None:
    assert gpu_first._json_lines('{"a": 1}\nwords\n{"b": ') == [{"a": 1}]


def test_without_a_gpu_it_says_how_to_try_it(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(typer.BadParameter, match="no CUDA device here: --device cpu --toy"):
        gpu_first.main(out=tmp_path)


@pytest.mark.slow
def test_the_whole_at_toy_size(tmp_path: Path) -> None:
    pytest.importorskip("dicebear")
    pytest.importorskip("resvg_py")
    with pytest.raises(typer.Exit) as ended:
        gpu_first.main(out=tmp_path, device="cpu", small=True)
    report = (tmp_path / "report.md").read_text()
    assert ended.value.exit_code == 0, report
    rows = [json.loads(line) for line in (tmp_path / "checks.jsonl").read_text().splitlines()]
    assert len(rows) == len(gpu_first.CHECKS)
    kinds = {
        json.loads(line)["benchmark"]
        for line in (tmp_path / "benchmarks.jsonl").read_text().splitlines()
    }
    assert kinds == {"render", "train_step"}
    assert (tmp_path / "run" / "model" / "model.safetensors").exists()
    assert len(list((tmp_path / "samples").glob("*.png"))) >= 25
    assert "fd_portraits@64" in json.loads((tmp_path / "judge.json").read_text())["values"]
    assert "seconds in all" in report
