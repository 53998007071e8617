"""What is made with a model tells of which weights: all show the id of `creps info`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient
from typer.testing import CliRunner

from creps.checkpoints import load, save
from creps.cli import app
from creps.metrics._evaluate import evaluate
from creps.metrics._metrics import Protocol
from creps.metrics._models import model_ref
from creps.networks.base import build_generator
from creps.rendering.output._images import read_settings
from creps.serving._app import build_app
from creps.serving._models import ModelRegistry
from creps.serving._settings import ServeSettings
from creps.serving._sites import SiteSettings, write_site
from metric_stubs import stub


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None, result.exception
    return result.stdout


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = {"resolution": 8, "channel_base": 64, "w_dim": 6, "z_dim": 5}
    save(build_generator("creps", config), tmp_path / "model", dtype=torch.float16)
    return tmp_path / "model"


@pytest.fixture
def shown(model: Path) -> str:
    found: str = json.loads(run("info", model, "--json"))["weights_id"]
    assert len(found) == 64
    return found


def test_files_of_a_model_show_its_id(tmp_path: Path, model: Path, shown: str) -> None:
    of_it = "--model", model, "--size", 8, "--out"
    run("generate", *of_it, tmp_path / "samples", "--seeds", 3, "--grid")
    run("render", *of_it, tmp_path / "picture.png", "--seed", 3)
    run("video", "zoom", *of_it, tmp_path / "film", "--frames", 2)
    run("video", "zoom", *of_it, tmp_path / "film.gif", "--frames", 2)
    site = SiteSettings(seeds=(3,), size=8, name="m", title="m")
    write_site(tmp_path / "site", load(model), settings=site)
    pictures = [*tmp_path.rglob("*.png"), *(tmp_path / "site").glob("seed3.*")]
    assert len(pictures) == 7
    for path in pictures:
        settings = read_settings(path)
        assert settings["weights"] == shown, path
        assert settings.keys() >= {"creps", "model", "truncation", "size"}, path
        assert settings.keys() & {"seed", "seeds", "styles"}, path
        assert settings.keys() & {"window", "motion"}, path
    with Image.open(tmp_path / "film.gif") as film:
        assert json.loads(film.info["comment"])["weights"] == shown


def test_the_config_beside_the_weights_shows_it(model: Path, shown: str) -> None:
    assert json.loads((model / "config.json").read_text())["weights_id"] == shown
    assert shown in re.sub(r"[^0-9a-f]", "", run("info", model))  # in several lines where narrow


def test_evaluation_records_show_it(
    model: Path, shown: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    protocol = Protocol(metrics=("consistency",), probes=2, sizes=((16, 16),))
    for measured in (model_ref(str(model)), model_ref(load(model))):
        found = evaluate(
            measured, None, protocol, extractor=stub(monkeypatch), workers=0, cache=tmp_path / "c"
        )
        assert found.record["model"]["weights_id"] == shown


def test_served_addresses_are_pinned_to_it(model: Path) -> None:
    other = load(model)
    other.to_rgb.bias += 1
    generators = {"tiny": load(model), "same": load(model), "other": other}
    served = ModelRegistry(generators, settings=ServeSettings()).models
    assert served["tiny"].pin == served["same"].pin
    assert served["tiny"].pin != served["other"].pin


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_served_pictures_and_tiles_show_it(
    model: Path, shown: str, suffix: str, tmp_path: Path
) -> None:
    app = build_app({"tiny": load(model)}, settings=ServeSettings(size=64))
    with TestClient(app, base_url="http://localhost") as client:
        for address in (f"plane/tiny:3/0/0_0.{suffix}", f"view/tiny:3?format={suffix}&height=9"):
            path = tmp_path / f"answer.{suffix}"
            path.write_bytes(client.get(address).content)
            settings = read_settings(path)
            assert settings["weights"] == shown
            assert settings["seed"] == 3
            assert settings.keys() >= {"creps", "window", "size", "truncation", "picture"}
