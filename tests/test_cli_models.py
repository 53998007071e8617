"""`creps info` and `creps convert`: what they print, what they refuse, what they leave behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import typer
from click.testing import Result
from typer.testing import CliRunner

from creps.checkpoints import load, save, weights_id
from creps.cli._models import convert, info
from creps.errors import CheckpointError, UsageError
from creps.networks.base import build_generator
from golden_names import GOLDEN

OFFICIAL = GOLDEN / "creps_nosrc.pkl"

app = typer.Typer()
app.command()(info)
app.command()(convert)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    config = {"resolution": 4, "channel_base": 16, "w_dim": 3, "z_dim": 5, "label_dim": 7}
    record = {"credits": "Art by [b]A[/b]", "training": {"steps": 3, "data": ["a", "b"]}}
    save(build_generator("creps", config), tmp_path / "m", record=record, dtype=torch.float16)
    return tmp_path / "m"


def test_info_says_what_a_model_is(model: Path) -> None:
    result = run("info", model)
    assert result.exit_code == 0
    lines = [line.strip() for line in result.stdout.splitlines()]
    shown = "\n".join(lines)
    for words in ("creps", "4 x 4 pixels", "5 numbers", "centers", "F16", "Art by [b]A[/b]"):
        assert words in shown
    assert any("classes" in line and "7" in line for line in lines)
    assert any("training.steps" in line and "3" in line for line in lines)
    assert any("weights id" in line for line in lines)
    assert any("training.data" in line and "a, b" in line for line in lines)


def test_info_says_that_latents_decide_on_classes(tmp_path: Path) -> None:
    config = {"resolution": 4, "z_dim": 5, "label_dim": 3, "class_from_latent": True}
    save(build_generator("creps", config | {"channel_max": 4}), tmp_path / "m")
    shown = run("info", tmp_path / "m").stdout
    assert "3, by the latent where none is chosen" in " ".join(shown.split())


def test_records_of_megabytes_are_cut_in_the_table(tmp_path: Path) -> None:
    network = build_generator("creps", {"resolution": 4, "z_dim": 5, "channel_max": 4})
    record = {"long": "y" * 3_000_000, "n" * 5000: 1, "many": {str(k): k for k in range(5000)}}
    save(network, tmp_path / "model", record=record)
    result = run("info", tmp_path / "model")
    assert result.exit_code == 0
    assert "4,802 entries: --json" in " ".join(result.stdout.split())
    assert len(result.stdout) < 100_000


def test_credits_keep_their_lines_and_phases_are_rows_of_their_own(tmp_path: Path) -> None:
    network = build_generator("creps", {"resolution": 4, "z_dim": 5, "channel_max": 4})
    phases = [{"patch": 64, "zoom": 4}, {"patch": 32, "zoom": 8}]
    record = {"credits": "Art by A\n  and\tB\x1b[31m\nC", "phases": phases, "lines": "\n" * 99999}
    save(network, tmp_path / "model", record=record)
    told = run("info", tmp_path / "model").stdout
    rows = [[cell.strip() for cell in line.split("│")[1:3]] for line in told.splitlines()]
    first = rows.index(["credits", "Art by A"])
    assert rows[first + 1 : first + 3] == [["", "and B\\x1b[31m"], ["", "C"]]
    assert ["phases.2.patch", "32"] in rows
    assert len(rows) < 150


def test_info_in_json_is_for_programs(model: Path) -> None:
    result = run("info", model, "--json")
    values = json.loads(result.stdout)
    generator = load(model)
    assert values["family"] == "creps"
    assert values["parameters"] == sum(p.numel() for p in generator.parameters())
    assert values["config"]["label_dim"] == 7
    assert values["stored_as"] == "F16"
    assert values["file_bytes"] == (model / "model.safetensors").stat().st_size
    assert values["record"] == generator.record


def test_info_on_nothing_is_one_line(tmp_path: Path) -> None:
    result = run("info", tmp_path / "nothing")
    assert isinstance(result.exception, CheckpointError)
    assert "no such file" in str(result.exception)


def test_convert_writes_a_model_and_its_id(tmp_path: Path) -> None:
    out = tmp_path / "new" / "model"
    result = run("convert", OFFICIAL, "--out", out)
    assert result.exit_code == 0
    assert files(out) == {"model.safetensors", "config.json"}
    weights = weights_id(load(out))
    assert str(out) in result.stdout
    assert weights in result.stdout
    assert "license" in result.stdout
    assert weights in (out / "config.json").read_text()
    assert json.loads(run("info", out, "--json").stdout)["weights_id"] == weights
    assert load(out).record["source"]["network"] == "G_ema"


def test_convert_takes_the_other_network_and_a_single_file(tmp_path: Path) -> None:
    out = tmp_path / "model.safetensors"
    result = run("convert", OFFICIAL, "--out", out, "--which", "G")
    assert result.exit_code == 0
    assert files(tmp_path) == {"model.safetensors"}
    assert load(out).record["source"]["network"] == "G"


def test_convert_keeps_what_is_there_unless_told(tmp_path: Path, model: Path) -> None:
    before = {path: path.read_bytes() for path in model.iterdir()}
    result = run("convert", OFFICIAL, "--out", model)
    assert isinstance(result.exception, UsageError)
    assert "--overwrite" in str(result.exception)
    assert {path: path.read_bytes() for path in model.iterdir()} == before
    assert run("convert", OFFICIAL, "--out", model, "--overwrite").exit_code == 0
    assert load(model).config.resolution == 32


@pytest.mark.parametrize("content", [b"", b"\x80\x04garbage", b"\x80\x04cos\nsystem\n."])
def test_convert_leaves_nothing_behind_when_it_fails(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.pkl").write_bytes(content)
    result = run("convert", tmp_path / "bad.pkl", "--out", tmp_path / "new" / "model")
    assert isinstance(result.exception, CheckpointError)
    assert files(tmp_path) == {"bad.pkl"}
    result = run("convert", OFFICIAL, "--out", tmp_path / "new" / "model", "--which", "D")
    assert isinstance(result.exception, CheckpointError)
    assert files(tmp_path) == {"bad.pkl"}
