"""`creps.train`: what the command does, in one call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import creps
from creps import checkpoints
from creps.errors import CrepsError
from creps.networks.base import build_generator
from creps.training import Callback, Run, diagnose_run, preset, write_report
from test_house import ROOT, fenced
from training_pictures import TINY, StopAt, draw_pictures


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("pictures"))


def test_one_call_trains_stops_and_goes_on(tmp_path: Path, pictures: Path) -> None:
    config, out, lines = preset("smoke", *TINY), tmp_path / "run", []
    run = creps.train(pictures, out, config, callbacks=[StopAt(3)], log=lines.append)
    assert (run.stop, run.state.step, run.complete) == ("test", 3, False)
    assert lines == [
        "10 training pictures from " + pictures.name,
        "only 10 pictures: expect copies and blends of them, nothing new; "
        "some thousands teach more",
        "test after 12 images; the same command resumes from here",
    ]
    run = creps.train(str(pictures), str(out), config, log=lines.append)
    assert lines[-2:] == ["going on at step 3 of 8", "done: 32 images"]
    assert creps.render(run.model, seed=7, size=(12, 20)).shape == (12, 20, 3)
    assert (creps.load(out / "model").record["training"]["images"], run.images) == (32, 32)
    assert diagnose_run(out).healthy
    assert write_report(out).exists()
    creps.train(pictures, out, config, log=lines.append)
    assert lines[-1] == f"{out} is complete: 8 steps"


def test_a_time_limit_ends_with_a_snapshot(tmp_path: Path, pictures: Path) -> None:
    config = preset("smoke", *TINY)
    run = creps.train(pictures, tmp_path / "run", config, seconds=0, log=lambda line: None)
    assert (run.stop, run.state.step) == ("time limit reached", 1)
    assert (tmp_path / "run/snapshots/step-000000001.safetensors").exists()


def test_a_failure_of_a_callback_is_the_users(tmp_path: Path, pictures: Path) -> None:
    class Failing(Callback):
        def after_step(self, run: Run, stats: object) -> None:
            raise CrepsError("no more")

    with pytest.raises(CrepsError, match="no more"):
        creps.train(pictures, tmp_path / "run", preset("smoke", *TINY), callbacks=[Failing()])


def test_the_guide_trains_in_python(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, block = fenced(ROOT / "docs/training.md", "python")
    (tmp_path / "portraits.zip").symlink_to(pictures, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    found: dict[str, object] = {}
    exec(block.replace("images=1600", "images=32"), found)
    assert getattr(found["image"], "shape", None) == (256, 256, 3)


def test_the_guide_averages_models(tmp_path: Path) -> None:
    block, _ = fenced(ROOT / "docs/training.md", "python")
    found: dict[str, Any] = {}
    exec(block, found)
    config = preset("smoke", *TINY).generator
    models = [build_generator("creps", config) for _ in range(2)]
    for name, model in zip("ab", models, strict=True):
        checkpoints.save(model, tmp_path / name)
    mean = found["mean"]({tmp_path / "a": 0.25, tmp_path / "b": 0.75}).state_dict()
    first, second = (model.state_dict() for model in models)
    assert mean.keys() == first.keys()
    for name, value in mean.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.25 * first[name] + 0.75 * second[name])
        else:
            assert torch.equal(value, first[name])
    assert any(not torch.equal(value, second[name]) for name, value in first.items())
