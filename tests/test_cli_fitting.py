"""`creps project`: what it writes, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from creps.checkpoints import load, save, weights_id
from creps.cli import app
from creps.data._framing import read_picture
from creps.errors import ConfigError, DataError, GridError, MissingExtraError, UsageError
from creps.metrics import _extractors as features
from creps.rendering import read_settings
from creps.rendering._renderer import render
from creps.rendering._styles import StyleFile
from creps.rendering.output._save import save_picture
from tiny_creps import tiny_creps

SHORT = ("--steps", 20, "--starts", 2)


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "model"
    save(tiny_creps().float(), path)
    return str(path)


@pytest.fixture
def face(model: str, tmp_path: Path) -> Path:
    path = tmp_path / "face.png"
    save_picture(render(load(model), seed=5, size=(20, 32), window=(0, -0.3, 1, 1.3)), path)
    return path


@pytest.fixture(autouse=True)
def _no_features(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*, device: object = "cpu") -> None:
        raise MissingExtraError("the effnet extractor", "metrics")

    monkeypatch.setattr(features, "effnet", missing)


def run(*arguments: object) -> str:
    words = [str(each) for each in arguments]
    return CliRunner().invoke(app, words, catch_exceptions=False).output


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_project_writes_styles_pictures_and_a_record(model, face, tmp_path: Path) -> None:
    out = tmp_path / "new" / "found"
    said = run("project", "--model", model, "--image", face, "--out", out, *SHORT)
    assert sorted(path.name for path in out.iterdir()) == [
        "comparison.png",
        "picture.png",
        "record.json",
        "styles.safetensors",
    ]
    record = json.loads((out / "record.json").read_text())
    assert record["features"] == "none, pixels alone"
    assert record["compared"] == [20, 20]
    assert len(record["losses"]) == 20
    assert f"{record['psnr']:.2f} dB" in said
    styles, kept = StyleFile(str(out / "styles.safetensors")).read()
    for told in (kept, *(read_settings(out / f"{name}.png") for name in ("picture", "comparison"))):
        assert told["weights"] == record["weights"] == weights_id(load(model))
        assert told.keys() >= {"creps", "model", "window"}
    assert pixels(out / "comparison.png").shape == (20, 60, 3)
    picture = pixels(out / "picture.png").astype(int)
    assert np.abs(picture - render(load(model), styles=styles, size=20)).max() <= 1


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode there")
def test_a_picture_with_a_name_of_another_encoding(model, face, tmp_path: Path) -> None:
    other, out = face.rename(tmp_path / "caf\udce9.png"), tmp_path / "out"
    run("project", "--model", model, "--image", other, "--out", out, "--steps", 2, "--starts", 1)
    assert StyleFile(str(out / "styles.safetensors")).read()[1]["image"] == "caf\\udce9.png"


def test_with_a_window_the_whole_picture_is_looked_for(model, face, tmp_path: Path) -> None:
    out = tmp_path / "found"
    window = ("--window", "0,-0.3,1,1.3")
    run("project", "--model", model, "--image", face, "--out", out, *window, *SHORT)
    record = json.loads((out / "record.json").read_text())
    assert (record["compared"], record["window"]) == ([20, 32], [0, -0.3, 1, 1.3])


def test_a_result_is_replaced_only_when_asked(model, face, tmp_path: Path) -> None:
    words = ("project", "--model", model, "--image", face, "--out", tmp_path, *SHORT)
    run(*words)
    with pytest.raises(UsageError, match="exists already"):
        run(*words)
    run(*words, "--overwrite", "--seed", 1)
    assert json.loads((tmp_path / "record.json").read_text())["seed"] == 1


@pytest.mark.parametrize("name", ["face.safetensors", "face.safetensors/found"])
def test_a_folder_that_would_be_taken_for_a_file_of_styles_is_refused(
    model, face, tmp_path: Path, name: str
) -> None:
    with pytest.raises(UsageError, match=r"expected a folder, styles\.safetensors is written into"):
        run("project", "--model", model, "--image", face, "--out", tmp_path / name, *SHORT)
    assert not any(tmp_path.glob("*.safetensors"))


@pytest.mark.parametrize(
    ("words", "error", "told"),
    [
        (("--features", "vgg"), UsageError, "features 'vgg': expected auto, effnet or none"),
        (("--features", "effnet"), MissingExtraError, "creps[metrics]"),
        (("--space", "z"), ConfigError, "space 'z'"),
        (("--steps", 0), ConfigError, "steps 0"),
        (("--window", "0,0,0,1"), GridError, "empty"),
        (("--device", "abacus"), UsageError, "abacus"),
    ],
)
def test_misuse_of_project_leaves_nothing(model, face, tmp_path, words, error, told) -> None:
    out = tmp_path / "found"
    with pytest.raises(error) as raised:
        run("project", "--model", model, "--image", face, "--out", out, *words)
    assert told in str(raised.value)
    assert not out.exists()


def test_pictures_that_cannot_be_read(tmp_path: Path, monkeypatch) -> None:
    words = tmp_path / "words.png"
    words.write_text("no picture")
    for path, told in ((words, "cannot be read as a picture"), (tmp_path, "is a folder"),
                       (tmp_path / "none.png", "no such picture")):  # fmt: skip
        with pytest.raises(DataError, match=told):
            read_picture(path)
    huge = tmp_path / "huge.png"
    Image.fromarray(np.zeros((40, 50), np.uint8)).save(huge)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1500)
    assert read_picture(huge).shape == (40, 50, 3)  # Pillow's warning begins here, not its refusal
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 900)
    with pytest.raises(DataError, match="more than 1,800 pixels, reduce it first"):
        read_picture(huge)


def test_nothing_is_drawn_from_the_global_generator(model, face, tmp_path: Path) -> None:
    state = torch.get_rng_state()
    run("project", "--model", model, "--image", face, "--out", tmp_path / "a", *SHORT)
    assert torch.equal(torch.get_rng_state(), state)
