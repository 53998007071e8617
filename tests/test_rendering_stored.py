"""Styles in files: they come back as they were, and stand where a seed stands in a recipe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from creps.checkpoints import save, weights_id
from creps.cli import app
from creps.errors import DataError, UsageError
from creps.rendering._renderer import render
from creps.rendering._styles import (
    Recipe,
    StyleFile,
    latents,
    mix_styles,
    parse_recipes,
    parse_styles,
    save_styles,
    styles_of,
)
from creps.rendering.output._images import read_settings
from tiny_creps import random_styles, tiny_creps


@pytest.fixture(scope="module")
def network():
    return tiny_creps().float()


@pytest.fixture
def stored(network, tmp_path: Path) -> Path:
    path = tmp_path / "found.styles" / "face.safetensors"
    path.parent.mkdir()
    save_styles(path, random_styles(network, 1), record={"model": "tiny"})
    return path


def recipe(text: object) -> Recipe:
    (found,) = parse_recipes(str(text))
    assert found.file is not None
    return found


def test_styles_and_their_record_come_back(network, stored) -> None:
    styles, record = StyleFile(str(stored)).read()
    assert torch.equal(styles, random_styles(network, 1).float())
    assert record == {"model": "tiny"}
    assert torch.equal(styles_of(recipe(stored), network), styles)


def test_truncation_and_layers_of_seeds_work_on_them(network, stored) -> None:
    styles = random_styles(network, 1).float()
    average = network.mapping.average
    halved = styles_of(recipe(stored), network, truncation=0.5)
    torch.testing.assert_close(halved, average + 0.5 * (styles - average))
    seven = network.map(latents([7], network))
    mixed = styles_of(recipe(f"{stored}+7:0-1"), network)
    assert torch.equal(mixed, mix_styles(styles, seven, "0-1"))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("face.safetensors", ["face.safetensors"]),
        ("/a/b c/face.safetensors", ["/a/b c/face.safetensors"]),
        ("../a.safetensors+7:0-2", ["../a.safetensors+7:0-2"]),
        ("7/a/b.safetensors/7..12@0.4", ["7", "a/b.safetensors", "7..12@0.4"]),
        ("2026-faces/b.safetensors/c.safetensors", ["2026-faces/b.safetensors", "c.safetensors"]),
        ("./7/b.safetensors", ["./7/b.safetensors"]),
    ],
)
def test_paths_and_seeds_are_told_apart(text: str, parts: list[str]) -> None:
    found = parse_recipes(text)
    assert [str(each) for each in found] == parts
    assert [each.file is not None for each in found] == [".safe" in part for part in parts]


@pytest.mark.parametrize("text", ["a.safetensors/b", "a.safetensors+7", "a.safetensors+b:1"])
def test_texts_that_make_no_sense(text: str) -> None:
    with pytest.raises(UsageError, match="styles"):
        parse_recipes(text)


def test_words_of_strangers_open_no_files(stored) -> None:
    """Addresses are read by `parse_styles`."""
    with pytest.raises(UsageError):
        parse_styles(str(stored))


def test_render_draws_them_at_any_size(network, stored, tmp_path: Path) -> None:
    save(network, tmp_path / "model")
    out = tmp_path / "a.png"
    words = ["render", "--model", tmp_path / "model", "--styles", stored, "--out", out]
    result = CliRunner().invoke(app, [*map(str, words), "--size", "24x40"])
    assert result.exit_code == 0, result.output
    expected = render(network, styles=random_styles(network, 1).float(), size=(24, 40))
    with Image.open(out) as image:
        assert np.abs(np.asarray(image).astype(int) - expected).max() <= 1
    settings = read_settings(out)
    assert settings["styles"] == str(stored)
    assert settings["files"] == [StyleFile(str(stored)).fingerprint]


def test_styles_found_with_other_weights_are_told(network, tmp_path: Path) -> None:
    save(network, tmp_path / "model")
    told = []
    for weights in (weights_id(network), "0" * 64):
        path = tmp_path / "face.safetensors"
        save_styles(path, random_styles(network, 1), record={"weights": weights})
        words = ["render", "--model", tmp_path / "model", "--styles", path, "--size", "8"]
        out = tmp_path / f"{weights[:4]}.png"
        result = CliRunner().invoke(app, [*map(str, words), "--out", str(out)])
        assert result.exit_code == 0, result.output
        told.append("other weights" in result.stderr)
    assert told == [False, True]


def test_files_that_hold_no_styles(network, tmp_path: Path) -> None:
    save(network, tmp_path / "model.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    save_styles(tmp_path / "caf.safetensors", random_styles(network, 1))
    (tmp_path / "caf.safetensors").rename(tmp_path / "caf\udce9.safetensors")
    save_styles(tmp_path / "other.safetensors", torch.zeros(1, 2, 3))
    for name, error, words in (
        ("none", DataError, "no such file of styles"),
        ("model", DataError, "holds no styles"),
        ("broken", DataError, "damaged"),
        ("caf\udce9", DataError, "no name in UTF-8, rename it"),
        ("other", UsageError, "holds 2x3 styles, this model takes"),
    ):
        with pytest.raises(error, match=words) as told:
            styles_of(recipe(tmp_path / f"{name}.safetensors"), network)
        assert "\n" not in str(told.value)


def test_a_missing_file_is_told_before_the_model_is_looked_for(tmp_path: Path) -> None:
    words = ["render", "--model", "none", "--styles", "no.safetensors", "--out", "a.png"]
    with pytest.raises(DataError, match=r"no\.safetensors: no such file of styles"):
        CliRunner().invoke(app, words, catch_exceptions=False)


def test_what_cannot_be_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with pytest.raises(UsageError, match=r"finite \(1, K, D\)"):
        save_styles(path, torch.zeros(2, 3, 4))
    with pytest.raises(UsageError, match=r"finite \(1, K, D\)"):
        save_styles(path, torch.full((1, 3, 4), torch.nan))
    with pytest.raises(UsageError, match=r"end with \.safetensors"):
        save_styles(tmp_path / "a.pt", torch.zeros(1, 3, 4))
    with pytest.raises(UsageError, match="must be JSON"):
        save_styles(path, torch.zeros(1, 3, 4), record={"a": {1, 2}})
    with pytest.raises(UsageError, match="must be JSON"):
        save_styles(path, torch.zeros(1, 3, 4), record={"a": "caf\udce9"})
    with pytest.raises(UsageError, match="no name in UTF-8"):
        save_styles(tmp_path / "caf\udce9.safetensors", torch.zeros(1, 3, 4))
    assert list(tmp_path.iterdir()) == []
