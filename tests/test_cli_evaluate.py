"""`creps evaluate`, `creps compare` and `creps diagnose`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from creps.checkpoints import save
from creps.cli import app
from creps.cli._evaluate import _patch_sizes
from creps.errors import UsageError
from creps.metrics import _evaluate
from creps.networks.base import build_generator
from metric_stubs import stub
from smooth_model import CONFIG

RUN = CliRunner()


@pytest.fixture
def models(tmp_path: Path) -> list[str]:
    paths = []
    for seed in (1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            generator = build_generator("creps", CONFIG)
        paths.append(str(tmp_path / f"model-{seed}"))
        save(generator, paths[-1])
    return paths


@pytest.fixture
def data(tmp_path: Path) -> str:
    folder = tmp_path / "set"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(8):
        pixels = np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((32, 32, 1)))
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{k}.png")
    return str(folder)


@pytest.fixture(autouse=True)
def _stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = stub(monkeypatch)
    monkeypatch.setattr(_evaluate, "extractor_spec", lambda name, weights=None: spec)
    monkeypatch.setenv("CREPS_CACHE", str(tmp_path / "cache"))


def run(*arguments: object):
    return RUN.invoke(app, [str(each) for each in arguments], env={"COLUMNS": "120"})


def test_numbers_are_shown_where_there_is_little_room(models, data) -> None:
    words = ["evaluate", models[0], "--data", data, "--metrics", "fd", "--n", "8", "--workers", "0"]
    shown = RUN.invoke(app, words, env={"COLUMNS": "50"})
    assert re.search(r"fd_means@32 +\d", shown.output), shown.output


def test_evaluate_prints_a_table_and_writes_the_record(models, data, tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    options = ("--metrics", "fd,pr,spectrum", "--n", 8, "--workers", 0, "--size", "32,16x24")
    result = run("evaluate", models[0], "--data", data, *options, "--out", out)
    assert result.exit_code == 0, result.output
    record = json.loads(out.read_text())
    assert record["protocol"]["sizes"] == [[32, 32], [16, 24]]
    for name in record["values"]:
        assert name in result.stdout
    assert {"fd_means@32", "recall_means@16x24", "spectrum_db@32"} <= set(record["values"])


def test_evaluate_prints_json_for_programs(models, data) -> None:
    options = ("--metrics", "fd", "--n", 8, "--workers", 0, "--json")
    result = run("evaluate", models[0], "--data", data, *options)
    assert json.loads(result.stdout)["values"].keys() == {"fd_means@32"}


def test_mistakes_are_told_before_any_work(models, data) -> None:
    def error(*options: object) -> str:
        result = run("evaluate", models[0], "--workers", 0, *options)
        assert isinstance(result.exception, UsageError)
        return str(result.exception)

    assert "did you mean kid" in error("--data", data, "--metrics", "kidd")
    assert "at least 4" in error("--data", data, "--metrics", "pr", "--n", 3)
    assert "--data" in error("--metrics", "fd")
    assert "patch sizes" in error("--patch-sizes", "big")
    assert "patch sizes" in error("--patch-sizes", "9" * 5000)
    assert "pictures: expected 2 to 1,000,000" in error("--data", data, "--n", 10**30)
    assert run("evaluate").exit_code == 2
    assert run("compare", *models, "--shown-size", 10**30).exit_code == 2
    tiny = run("diagnose", models[0], "--data", data, "--workers", 0, "--size", 7)
    assert "size 7x7: expected 8 pixels" in str(tiny.exception)
    late = run("diagnose", models[0], "--data", data, "--workers", 0, "--seed", 2**32)
    assert "expected an integer from 0 to" in str(late.exception)


@pytest.mark.parametrize("command", ["evaluate", "compare", "diagnose"])
def test_devices_that_are_not_here_are_told(command, models, data) -> None:
    given = models if command == "compare" else models[:1]
    words = [command, *given, "--data", data, "--workers", 0, "--device"]
    result = run(*words, "cuda:99")
    assert isinstance(result.exception, UsageError)
    assert "device cuda:99: not here; expected auto or cpu" in str(result.exception)


def test_patch_sizes_are_ranges_or_numbers() -> None:
    assert _patch_sizes("224-896, 4096") == ((224, 896), (4096, 4096))


def test_compare_prints_both_models_and_writes_the_page(models, data, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    options = ("--metrics", "fd", "--n", 8, "--workers", 0, "--seeds", "0-2", "--out", out)
    result = run("compare", *models, "--data", data, *options)
    assert result.exit_code == 0, result.output
    assert "model-1" in result.stdout
    assert "fd_means@32" in result.stdout
    text = out.read_text()
    assert text.count("<img") == 6
    assert "fd_means@32" in text
    assert isinstance(run("compare", models[0]).exception, UsageError)


def test_diagnose_names_what_is_wrong(models, data, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    options = ("--n", 2, "--size", 128, "--workers", 0, "--out", out)
    result = run("diagnose", models[0], "--data", data, *options)
    assert result.exit_code == 0, result.output
    for artifact in ("waves", "symmetry", "blobs", "stripes", "grid"):
        assert artifact in result.stdout
    assert out.read_text().startswith("<!doctype html>")
