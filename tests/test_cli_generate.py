"""`creps generate` and `creps demo`: which files appear, what they hold, what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from creps.checkpoints import load, save, weights_id
from creps.cli import app
from creps.cli._options import parse_seeds, parse_size
from creps.errors import CheckpointError, GridError, LabelError, UsageError
from creps.networks.base import build_generator
from creps.rendering._renderer import render
from creps.rendering._words import parse_window
from creps.rendering.output._images import read_settings
from test_rendering_renderer import TINY

demo = sys.modules["creps.cli._demo"]  # the name creps.cli._demo is its function


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("model"), record={"credits": "Art by Ä"})


def saved(path: Path, *, record: dict[str, str] | None = None, label_dim: int = 0) -> Path:
    torch.manual_seed(2)
    save(build_generator("creps", TINY | {"label_dim": label_dim}), path, record=record)
    return path


def run(*arguments: str | Path | int) -> Result:
    """The command; errors of the user are raised, as `main` sees them."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_one_file_a_seed_with_its_settings(model, tmp_path) -> None:
    out = tmp_path / "new" / "folder"
    result = run("generate", "--model", model, "--seeds", "0-1,12", "--size", "6x9", "--out", out)
    assert result.exit_code == 0
    assert names(out) == ["seed0000.png", "seed0001.png", "seed0012.png"]
    assert str(out) in result.stdout
    assert "6x9" in result.stdout
    assert np.array_equal(pixels(out / "seed0012.png"), render(load(model), seed=12, size=(6, 9)))
    settings = read_settings(out / "seed0012.png")
    assert settings["seed"] == 12
    assert settings["size"] == [6, 9]
    assert settings["window"] == [0, -0.25, 1, 1.25]
    assert settings["truncation"] == 1
    assert settings["credits"] == "Art by Ä"


def test_settings_are_enough_to_draw_the_picture_again(model, tmp_path) -> None:
    run("generate", "--model", model, "--seeds", "3", "--size", "5x7", "--out", tmp_path,
        "--window", "-0.5,0.1,1.5,2", "--truncation", "0.5", "--cutoff", "2")  # fmt: skip
    settings = read_settings(tmp_path / "seed0003.png")
    again = render(
        load(settings["model"]),
        seed=settings["seed"],
        size=tuple(settings["size"]),
        window=tuple(settings["window"]),
        truncation=settings["truncation"],
        truncation_cutoff=settings["truncation_cutoff"],
    )
    assert np.array_equal(pixels(tmp_path / "seed0003.png"), again)


def test_the_default_size_is_the_resolution_of_the_model(model, tmp_path) -> None:
    run("generate", "--model", model, "--seeds", "0", "--out", tmp_path)
    assert pixels(tmp_path / "seed0000.png").shape == (16, 16, 3)


@pytest.mark.parametrize("kind", ["jpg", "webp"])
def test_other_formats_and_a_sheet(model, tmp_path, kind) -> None:
    result = run("generate", "--model", model, "--seeds", "0-4", "--size", "4x6", "--out", tmp_path,
                 "--format", kind, "--grid")  # fmt: skip
    assert names(tmp_path) == [f"grid.{kind}", *(f"seed000{seed}.{kind}" for seed in range(5))]
    assert f"grid.{kind}" in result.stdout
    assert pixels(tmp_path / f"grid.{kind}").shape == (2 * 4, 3 * 6, 3)
    assert read_settings(tmp_path / f"grid.{kind}")["seeds"] == [0, 1, 2, 3, 4]


def test_conditional_models_take_a_class(tmp_path) -> None:
    model = saved(tmp_path / "m", label_dim=3)
    run("generate", "--model", model, "--seeds", "0", "--class", 2, "--out", tmp_path)
    expected = render(load(model), seed=0, label=2)
    assert np.array_equal(pixels(tmp_path / "seed0000.png"), expected)
    for wrong in ([], ["--class", "3"]):
        with pytest.raises(LabelError):
            run("generate", "--model", model, "--seeds", "0", "--out", tmp_path / "no", *wrong)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["--seeds", "0-"], UsageError, "seeds '0-'"),
        (["--seeds", "7-3"], UsageError, "ranges such as"),
        (["--seeds", "4294967296"], UsageError, "4294967295"),
        (["--size", "0"], GridError, "size 0x0"),
        (["--size", "12x"], UsageError, "HEIGHTxWIDTH"),
        (["--size", "1000000", "--grid"], GridError, "1,000,000 megapixels"),
        (["--size", "16384x4", "--format", "webp"], GridError, "16383"),
        (["--window", "0,0,nan,1"], GridError, "finite"),
        (["--window", "0,0,1"], UsageError, "Y0,X0,Y1,X1"),
        (["--truncation", "inf"], UsageError, "truncation"),
        (["--class", "1"], LabelError, "unconditional"),
        (["--model", "no-such-model"], CheckpointError, "no-such-model"),
    ],
)
def test_nonsense_is_refused_in_one_line_before_anything_is_written(
    model, tmp_path, arguments, error, words
) -> None:
    out = tmp_path / "out"
    with pytest.raises(error, match=words) as refused:
        run("generate", "--model", model, "--seeds", "0", "--out", out, *arguments)
    assert "\n" not in str(refused.value)
    assert not out.exists() or names(out) == []


def test_words_become_numbers() -> None:
    assert parse_seeds("0-2, 12,1") == [0, 1, 2, 12]
    assert parse_size("1024") == (1024, 1024)
    assert parse_size("768x1280") == (768, 1280)
    assert parse_window("0, -0.5,1,1e1") == (0, -0.5, 1, 10)
    with pytest.raises(UsageError, match="4,000,000,001 pictures"):
        parse_seeds("0-4000000000")


def test_demo_makes_its_pictures_and_says_where(model, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(demo, "SIZES", (32, 64, 128))
    monkeypatch.setattr(demo, "PANEL", 32)
    monkeypatch.setattr(demo, "CONSISTENCY_SEEDS", 2)
    result = run("demo", "--model", model, "--out", tmp_path)
    portraits = {f"portrait-{size}.png": (size, size, 3) for size in (32, 64, 128)}
    assert names(tmp_path) == sorted([*portraits, "sheet.png", "zoom.png"])
    for name, shape in portraits.items():
        assert pixels(tmp_path / name).shape == shape
        assert str(tmp_path / name) in result.stdout
    assert pixels(tmp_path / "sheet.png").shape == (4 * 32, 6 * 32, 3)
    assert "dB" in result.stdout
    assert read_settings(tmp_path / "portrait-64.png")["seed"] == 10
    for name in names(tmp_path):
        settings = read_settings(tmp_path / name)
        assert settings["weights"] == weights_id(load(model))
        assert settings.keys() >= {"creps", "model", "size", "window", "truncation"}
        assert settings.keys() & {"seed", "seeds"}


@pytest.mark.parametrize(
    ("called", "again"),
    [("/a/creps/__main__.py", "python -m creps"), ("/a/.venv/bin/creps", "/a/.venv/bin/creps")],
)
def test_demo_says_how_it_is_called_again(called: str, again: str, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", [called])
    monkeypatch.setattr(demo.shutil, "which", lambda name: None)
    assert demo._command() == again


def test_demo_shows_the_same_zoom_when_it_leaves_a_large_picture_out(
    model, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(demo, "SIZES", (32, 64, 128))
    monkeypatch.setattr(demo, "PANEL", 32)
    monkeypatch.setattr(demo, "CONSISTENCY_SEEDS", 1)
    run("demo", "--model", model, "--out", tmp_path / "all")
    monkeypatch.setattr(demo, "LARGEST_SECONDS", 0)
    result = run("demo", "--model", model, "--out", tmp_path / "some")
    assert names(tmp_path / "some") == ["portrait-32.png", "sheet.png", "zoom.png"]
    assert "only its zoom" in result.stdout
    shown = [pixels(tmp_path / folder / "zoom.png").astype(int) for folder in ("all", "some")]
    assert np.abs(shown[0] - shown[1]).max() <= 1


def test_demo_looks_where_the_picture_varies() -> None:
    picture = np.zeros((256, 256, 3), dtype=np.uint8)
    picture[100:110, 164:172:2] = 255
    whole, half, last = demo.zoom_corners(picture)
    assert whole == (0, 0)
    assert last == (96 * 16, 160 * 16)
    assert half == ((96 + 8) * 4 - 128, (160 + 8) * 4 - 128)


def test_demo_takes_a_class_of_a_conditional_model(tmp_path, monkeypatch) -> None:
    model = saved(tmp_path / "m", label_dim=3)
    with pytest.raises(LabelError, match="choose with --class 0 to 2"):
        run("demo", "--model", model, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(demo, "SIZES", (8, 16, 32))
    monkeypatch.setattr(demo, "PANEL", 8)
    run("demo", "--model", model, "--out", tmp_path / "out", "--class", "2")
    expected = render(load(model), seed=10, label=2, size=32)
    assert np.array_equal(pixels(tmp_path / "out" / "portrait-32.png"), expected)


def test_tiles_are_shown_two_by_two(tmp_path: Path) -> None:
    torch.manual_seed(2)
    texture = tmp_path / "texture"
    save(build_generator("creps", TINY | {"period": [1, 1]}), texture)
    out = tmp_path / "out"
    words = ["--model", texture, "--seeds", "0-2", "--size", "12", "--grid", "--out", out]
    assert run("generate", *words, "--tile").exit_code == 0
    picture = pixels(out / "seed0001.png")
    np.testing.assert_array_equal(picture, np.tile(picture[:6, :6], (2, 2, 1)))
    assert pixels(out / "grid.png").shape[:2] == (24, 24)
    assert read_settings(out / "seed0001.png")["window"] == [0, 0, 2, 2]


def test_tiles_of_models_that_do_not_repeat_are_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"do not repeat.* creps train --tile"):
        run("generate", "--model", model, "--tile", "--out", tmp_path)
